//! Access that is taken away, as somebody who waits for it is told: what the operator says of the entry, what a walk met at
//! the cluster, and who may give the access back. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde::Serialize;
use serde_json::Value;

use super::{
    chain::{Found, Hop, Trouble, Walk},
    others::Others,
    reason::Reason,
};
use crate::{
    api::{
        ManagedCluster, PAUSED,
        condition::{ConditionType, find},
    },
    domain::commands::{OPERATOR_DEPLOYMENTS, OPERATOR_PODS, delete_access_entry, let_go_of_access_entry},
    managed_cluster::request::Identity,
};

/// The name under which the API server records who set the mode.
pub const FIELD_MANAGER: &str = "mooring-revoke";

/// What is known of the access entry, from the operator's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state")]
pub enum Entry {
    /// The operator has taken it away.
    Away,
    /// Nothing was ever made for the object, by its status, and the operator has looked: no entry of it stands.
    Never,
    /// It stands, or may: the operator's reason and message.
    Stands {
        /// The reason of its condition.
        reason: String,
        /// What it says.
        message: String,
    },
    /// Nothing was ever made for the object, by its status, and the operator could not look whether something stands all
    /// the same.
    NotMade {
        /// The reason of its condition.
        reason: String,
        /// What it says.
        message: String,
    },
}

/// What a probe with the deployer role's own token met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state")]
pub enum Probe {
    /// The cluster's API server does not know who asks: 401.
    Refused,
    /// It was let in.
    LetIn(Trouble),
    /// Nobody could look, and why.
    NotSeen {
        /// Why.
        why: String,
    },
}

/// A revocation, as far as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// The `ManagedCluster`.
    pub name: String,
    /// Whether it is being removed, and so gets no access back.
    pub going: bool,
    /// The access entry.
    pub entry: Entry,
    /// The probe.
    pub probe: Probe,
    /// Other objects of the same EKS cluster, each with a role of its own.
    pub others: Others,
    /// What ends access that stands, a command each.
    pub next: Vec<Way>,
    /// What may set the mode back.
    pub warnings: Vec<String>,
}

/// A way to end access that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// What is to be run.
    pub command: String,
    /// Who can, and what it leads to.
    pub what: String,
}

/// The reason of an entry that somebody else made.
pub const NOT_OURS: &str = "AccessEntryNotOurs";

/// The reasons of a suspended object's entry that the operator has seen and leaves where it is.
const OTHERS: [&str; 2] = [NOT_OURS, "Held"];

/// The reason of an object that was deleted while it was waited for.
pub const DELETED: &str = "Deleted";

/// The reason of an object whose mode somebody has set back while it was waited for.
pub const SET_BACK: &str = "SetBack";

/// The reason of an object that could not be looked at.
pub const NOT_SEEN: &str = "NotSeen";

/// The reason of an entry of which the operator has said nothing since the mode was set.
pub const NOT_LOOKED_AT: &str = "NotLookedAt";

impl Revoked {
    /// 0 when the entry is away, a probe was refused and no other object lets in on the cluster; 1 when access stands, or may;
    /// 2 when the entry is away, or was never made, and nobody could see that the cluster refuses.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (&self.entry, &self.probe, &self.others) {
            (Entry::Stands { .. }, _, _) | (_, Probe::LetIn(_), _) | (_, _, Others::LetIn { .. }) => 1,
            (Entry::Away, Probe::Refused, Others::LetNobodyIn) => 0,
            (Entry::Away, Probe::Refused, Others::NotSeen { .. })
            | (Entry::Away, Probe::NotSeen { .. }, _)
            | (Entry::Never | Entry::NotMade { .. }, _, _) => 2,
        }
    }
}

/// What the operator says of the entry, once it has heard of the mode; `None` until then.
#[must_use]
pub fn entry(object: &ManagedCluster) -> Option<Entry> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation;
    let ready = find(&status.conditions, ConditionType::Ready).filter(|_| status.observed_generation == generation)?;
    let of_entry = find(&status.conditions, ConditionType::AccessEntryReady);
    let made = status.deployer_role.is_some() || status.access_entry.is_some() || status.secret.is_some();
    // While the object is being removed, the summary has the reason that the removal waits for.
    if of_entry.is_some_and(|entry| entry.reason == Reason::Suspended.as_str()) {
        // A role may stand that an operator made and did not come to record.
        let of_role = find(&status.conditions, ConditionType::DeployerRoleReady);
        let no_role = of_role.is_none_or(|role| role.reason == Reason::Suspended.as_str());
        return Some(if made || !no_role { Entry::Away } else { Entry::Never });
    }
    let (reason, message) = (ready.reason.clone(), ready.message.clone());
    // One that others made, as before it is taken over, is no less a way in.
    let seen = of_entry.is_some_and(|entry| OTHERS.contains(&entry.reason.as_str()));
    Some(if made || seen {
        Entry::Stands { reason, message }
    } else {
        Entry::NotMade { reason, message }
    })
}

/// The deletion that does without the operator, where an entry may stand.
#[must_use]
pub fn by_hand(object: &ManagedCluster, entry: &Entry) -> Option<Way> {
    let (Entry::Stands { reason, .. }, Ok(identity)) = (entry, Identity::of(object)) else {
        return None;
    };
    let (name, at, account) = (&identity.name, &identity.cluster, &identity.cluster.account);
    let what = match reason.as_str() {
        // It would be made again.
        SET_BACK => return None,
        DELETED => format!("with credentials of account {account}, where it is there still"),
        NOT_OURS => format!(
            "with credentials of account {account}: the entry is somebody else's, who may make it again, and what the operator says tells whose it is"
        ),
        _ => format!(
            "at once and without the operator, with credentials of account {account}: while spec.mode is Suspended nothing makes the entry again. `mooring doctor {name}` then shows whether the cluster refuses"
        ),
    };
    let role = object
        .status
        .as_ref()
        .and_then(|status| Some(status.deployer_role.as_ref()?.arn.clone()));
    let role = role.or_else(|| Some(identity.named()?.to_string()))?;
    Some(Way {
        command: delete_access_entry(&at.region, &at.name, role),
        what,
    })
}

/// What ends access that stands: what lets the operator take it away, and the deletion that does without the operator.
#[must_use]
pub fn ways(object: &ManagedCluster, entry: &Entry) -> Vec<Way> {
    let (Entry::Stands { reason, .. }, Ok(identity)) = (entry, Identity::of(object)) else {
        return Vec::new();
    };
    let way = |command: String, what: &str| Way {
        command,
        what: what.to_owned(),
    };
    let (name, at) = (&identity.name, &identity.cluster);
    let status = object.status.as_ref();
    let recorded = status.and_then(|status| status.access_entry.as_ref()?.arn.as_deref());
    let lets_it = "then the operator takes the access away";
    let operator = match (reason.as_str(), recorded) {
        ("Paused", _) => Some(way(format!("kubectl annotate mgc {name} {PAUSED}-"), lets_it)),
        ("Held", Some(arn)) => Some(way(
            let_go_of_access_entry(&at.region, arn),
            "by the owner of the account, who set the tag; then the operator takes the access away",
        )),
        ("ReadOnly", _) => Some(way(
            OPERATOR_DEPLOYMENTS.to_owned(),
            "shows the operator's Deployment: take --read-only and MOORING_READ_ONLY out of it, and the operator writes again, for all objects",
        )),
        (NOT_LOOKED_AT, _) => Some(way(
            OPERATOR_PODS.to_owned(),
            "shows the operator's pods: see why the operator does not run: once it does, it takes the access away",
        )),
        (SET_BACK, _) => Some(way(
            format!("mooring revoke {name}"),
            "once spec.mode: Suspended stands where the manifest comes from",
        )),
        _ => None,
    };
    operator.into_iter().chain(by_hand(object, entry)).collect()
}

/// What a walk of the chain says of the access.
#[must_use]
pub fn probe(walk: &Walk) -> Probe {
    match walk.at(Hop::Authentication) {
        Found::Failed(trouble) if trouble.reason == Reason::Suspended => Probe::Refused,
        Found::Failed(trouble) if [Reason::ResidualAccess, Reason::AccessStands].contains(&trouble.reason) => {
            Probe::LetIn(trouble.clone())
        }
        Found::Failed(trouble) | Found::Unknown(trouble) => Probe::NotSeen {
            why: trouble.message.clone(),
        },
        Found::Passed { .. } | Found::NotReached => {
            let (hop, trouble) = match walk.broken().or_else(|| walk.unknown()) {
                Some((hop, trouble)) => (hop.title(), trouble.message.as_str()),
                None => ("authentication", "the walk did not come to it"),
            };
            Probe::NotSeen {
                why: format!("{hop}: {trouble}"),
            }
        }
    }
}

/// Who may set the mode back: whoever applies the object from elsewhere.
#[must_use]
pub fn warnings(metadata: &ObjectMeta) -> Vec<String> {
    let commit = "commit spec.mode: Suspended there, or the next apply may set it back";
    let mut all = Vec::new();
    for manager in metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| sets_again(entry))
    {
        let manager = manager.manager.as_deref().unwrap_or_default();
        all.push(format!(
            "field manager {manager} has set spec.mode: where it applies a manifest, {commit}"
        ));
    }
    let applied = metadata.annotations.as_ref().and_then(|all| all.get(LAST_APPLIED));
    let applied: Option<Value> = applied.and_then(|text| serde_json::from_str(text).ok());
    let mode = applied.as_ref().and_then(|object| object.pointer("/spec/mode"));
    if let Some(mode) = mode.and_then(Value::as_str).filter(|mode| *mode != "Suspended") {
        all.push(format!(
            "the manifest that kubectl apply was given says mode: {mode}: {commit}"
        ));
    }
    let (labels, annotations) = (metadata.labels.as_ref(), metadata.annotations.as_ref());
    let label = |key: &str| labels.is_some_and(|all| all.contains_key(key));
    let tracked = [
        (
            annotations.is_some_and(|all| all.contains_key("argocd.argoproj.io/tracking-id"))
                || label("argocd.argoproj.io/instance")
                || label("app.kubernetes.io/instance"),
            "an Argo CD Application seems to hold this object",
        ),
        (
            label("kustomize.toolkit.fluxcd.io/name") || label("helm.toolkit.fluxcd.io/name"),
            "Flux holds this object",
        ),
    ];
    let held = tracked.into_iter().filter(|(held, _)| *held);
    all.extend(held.map(|(_, who)| format!("{who}: {commit}")));
    all
}

/// Where `kubectl apply` keeps what it was given.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a field manager has set the mode, and will again. Who updates is credited with the defaults of the schema too
/// (Kubernetes documentation, "Server-Side Apply", "Field management"), so that kubectl's own updates tell nothing: what
/// `kubectl apply` was given stands in its annotation, and a patch or an edit is made once.
fn sets_again(entry: &ManagedFieldsEntry) -> bool {
    let sets = |fields: &FieldsV1| fields.0.pointer("/f:spec/f:mode").is_some();
    let manager = entry.manager.as_deref().unwrap_or_default();
    let by_hand = entry.operation.as_deref() != Some("Apply") && manager.starts_with("kubectl");
    manager != FIELD_MANAGER && !by_hand && entry.fields_v1.as_ref().is_some_and(sets)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{from_value, json};

    use super::*;

    fn trouble(reason: Reason) -> Trouble {
        Trouble {
            reason,
            message: "what was met".into(),
            next: "do this".into(),
            candidates: Vec::new(),
        }
    }

    fn revoked(entry: Entry, probe: Probe) -> Revoked {
        Revoked {
            name: "prod".into(),
            going: false,
            entry,
            probe,
            others: Others::LetNobodyIn,
            next: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn stands() -> Entry {
        Entry::Stands {
            reason: "Held".into(),
            message: "the access entry bears a tag".into(),
        }
    }

    fn not_made() -> Entry {
        Entry::NotMade {
            reason: "AccountNotEntered".into(),
            message: "the role is not there".into(),
        }
    }

    #[test]
    fn the_exit_code_is_0_only_when_the_refusal_was_seen() {
        let not_seen = || Probe::NotSeen { why: "x".into() };
        let let_in = || Probe::LetIn(trouble(Reason::ResidualAccess));
        for (entry, probe, code) in [
            (Entry::Away, Probe::Refused, 0),
            (Entry::Away, not_seen(), 2),
            (Entry::Away, let_in(), 1),
            (stands(), Probe::Refused, 1),
            (stands(), not_seen(), 1),
            (not_made(), not_seen(), 2),
            (Entry::Never, not_seen(), 2),
        ] {
            assert_eq!(revoked(entry, probe).exit_code(), code);
        }
    }

    #[test]
    fn access_is_left_while_another_object_lets_in_on_the_same_cluster() {
        let second = || Others::LetIn {
            objects: vec![crate::access::others::Other {
                name: "second".into(),
                why: "its spec.mode is Enforce".into(),
                command: "mooring revoke second".into(),
            }],
        };
        let not_seen = || Others::NotSeen { why: "x".into() };
        let unseen = || Probe::NotSeen { why: "x".into() };
        for (entry, probe, others, code) in [
            (Entry::Away, Probe::Refused, second(), 1),
            (Entry::Away, unseen(), second(), 1),
            (not_made(), unseen(), second(), 1),
            (Entry::Away, Probe::Refused, not_seen(), 2),
            (stands(), unseen(), not_seen(), 1),
        ] {
            let revoked = Revoked {
                others,
                ..revoked(entry, probe)
            };
            assert_eq!(revoked.exit_code(), code, "{revoked:?}");
        }
    }

    #[test]
    fn a_walk_tells_whether_the_cluster_lets_in() {
        let walk = |over: (Hop, Found)| {
            let passed = |hop| {
                (
                    hop,
                    Found::Passed {
                        seen: "seen".into(),
                        notes: Vec::new(),
                    },
                )
            };
            let mut hops: BTreeMap<Hop, Found> = Hop::ALL.into_iter().map(passed).collect();
            hops.extend([over]);
            Walk { hops }
        };
        let at = |reason| (Hop::Authentication, Found::Failed(trouble(reason)));
        assert_eq!(probe(&walk(at(Reason::Suspended))), Probe::Refused);
        for reason in [Reason::ResidualAccess, Reason::AccessStands] {
            assert_eq!(probe(&walk(at(reason))), Probe::LetIn(trouble(reason)));
        }
        let mut cut = walk((Hop::Token, Found::Unknown(trouble(Reason::TokenForbidden))));
        cut.hops.insert(Hop::Authentication, Found::NotReached);
        assert_eq!(
            probe(&cut),
            Probe::NotSeen {
                why: "token: what was met".into()
            }
        );
    }

    #[test]
    fn the_operators_word_counts_once_it_has_heard_of_the_mode() {
        let object = |observed: i64, ready: &str, entry: &str| -> ManagedCluster {
            let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "False", "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
            from_value(json!({
                "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "prod", "generation": 2},
                "spec": {"accountId": "222222222222", "region": "eu-west-1", "mode": "Suspended", "access": {}},
                "status": {"observedGeneration": observed, "conditions": [condition("Ready", ready), condition("AccessEntryReady", entry)]},
            }))
            .unwrap()
        };
        assert_eq!(super::entry(&object(1, "Suspended", "Suspended")), None);
        let mut unrecorded = object(2, "Suspended", "Suspended");
        let role = json!({"type": "DeployerRoleReady", "status": "True", "reason": "AsSpecified", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        unrecorded
            .status
            .as_mut()
            .unwrap()
            .conditions
            .push(from_value(role).unwrap());
        assert_eq!(super::entry(&unrecorded), Some(Entry::Away), "its role stands");
        for ready in ["Suspended", "ApplicationsStillTargeting"] {
            let mut seen = object(2, ready, "Suspended");
            assert_eq!(super::entry(&seen), Some(Entry::Never), "nothing is recorded");
            seen.status.as_mut().unwrap().secret = from_value(json!("cluster-x")).unwrap();
            assert_eq!(super::entry(&seen), Some(Entry::Away));
        }
        // What stands there was made by others, and nothing was taken over yet.
        for reason in ["AccessEntryNotOurs", "Held"] {
            assert!(
                matches!(super::entry(&object(2, reason, reason)), Some(Entry::Stands { .. })),
                "{reason}"
            );
        }
        let mut shut = object(2, "AccountNotEntered", "AccountNotEntered");
        assert!(matches!(super::entry(&shut), Some(Entry::NotMade { .. })));
        for made in [
            json!({"secret": "cluster-x"}),
            json!({"deployerRole": {"arn": "arn:aws:iam::222222222222:role/r", "id": "AROA"}}),
        ] {
            let status = shut.status.as_mut().unwrap();
            let recorded: crate::api::ManagedClusterStatus = from_value(made).unwrap();
            (status.secret, status.deployer_role) = (recorded.secret, recorded.deployer_role);
            assert!(matches!(super::entry(&shut), Some(Entry::Stands { .. })));
        }
    }

    #[test]
    fn access_that_stands_comes_with_what_ends_it() {
        let mut object: ManagedCluster = from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "prod", "uid": "u"},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "clusterName": "live", "mode": "Suspended", "access": {}},
            "status": {
                "deployerRole": {"arn": "arn:aws:iam::222222222222:role/mooring/r", "id": "AROA"},
                "accessEntry": {"arn": "arn:aws:eks:eu-west-1:222222222222:access-entry/live/role/222222222222/r/1"},
            },
        }))
        .unwrap();
        let stands = |reason: &str| Entry::Stands {
            reason: reason.to_owned(),
            message: "m".into(),
        };
        let commands = |object: &ManagedCluster, entry: &Entry| -> Vec<String> {
            ways(object, entry).into_iter().map(|way| way.command).collect()
        };
        let by_hand = "aws eks delete-access-entry --region eu-west-1 --cluster-name live --principal-arn arn:aws:iam::222222222222:role/mooring/r";
        for (reason, command) in [
            ("Paused", "kubectl annotate mgc prod mooring.dev/paused-"),
            (
                "Held",
                "aws eks untag-resource --region eu-west-1 --resource-arn arn:aws:eks:eu-west-1:222222222222:access-entry/live/role/222222222222/r/1 --tag-keys mooring.dev/hold",
            ),
            ("ReadOnly", OPERATOR_DEPLOYMENTS),
            (NOT_LOOKED_AT, OPERATOR_PODS),
        ] {
            assert_eq!(commands(&object, &stands(reason)), [command, by_hand], "{reason}");
        }
        for reason in ["AccountNotEntered", NOT_OURS, NOT_SEEN, DELETED] {
            assert_eq!(commands(&object, &stands(reason)), [by_hand], "{reason}");
        }
        let told = |reason: &str| ways(&object, &stands(reason)).pop().unwrap().what;
        for reason in [NOT_OURS, DELETED] {
            assert!(!told(reason).contains("nothing makes the entry again"), "{reason}");
        }
        assert_eq!(
            commands(&object, &stands(SET_BACK)),
            ["mooring revoke prod"],
            "an entry would come back"
        );
        assert_eq!(commands(&object, &Entry::Away), Vec::<String>::new());
        assert_eq!(commands(&object, &not_made()), Vec::<String>::new());
        object.status = None;
        assert_eq!(commands(&object, &stands("Paused")).len(), 1, "no role is made up");
    }

    #[test]
    fn whoever_may_set_the_mode_back_is_named() {
        let metadata: ObjectMeta = from_value(json!({
            "name": "prod",
            "annotations": {"argocd.argoproj.io/tracking-id": "fleet:mooring.dev/ManagedCluster:/prod"},
            "managedFields": [
                {"manager": "argocd-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:mode": {}}}},
                {"manager": "mooring", "operation": "Apply", "fieldsV1": {"f:status": {}}},
                {"manager": FIELD_MANAGER, "operation": "Update", "fieldsV1": {"f:spec": {"f:mode": {}}}},
            ],
        }))
        .unwrap();
        let told = warnings(&metadata);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("argocd-controller") && told[0].contains("commit spec.mode: Suspended"));
        assert!(told[1].contains("Argo CD"), "{told:?}");
        assert!(warnings(&ObjectMeta::default()).is_empty());
    }

    /// As the API server keeps it after `kubectl apply` of a manifest without a mode, and after what revoke prints to give
    /// the access back: the mode is theirs by the schema's default, or once.
    #[test]
    fn nobody_is_named_who_does_not_set_the_mode_again() {
        let applied = |spec: Value| -> ObjectMeta {
            let mode = json!({"f:spec": {"f:accountId": {}, "f:mode": {}}});
            let given =
                json!({"apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "spec": spec}).to_string();
            from_value(json!({
                "name": "prod", "annotations": {LAST_APPLIED: given},
                "managedFields": [
                    {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": mode},
                    {"manager": "kubectl-patch", "operation": "Update", "fieldsV1": mode},
                    {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": mode},
                ],
            }))
            .unwrap()
        };
        assert_eq!(
            warnings(&applied(json!({"accountId": "222222222222"}))),
            Vec::<String>::new()
        );
        assert_eq!(warnings(&applied(json!({"mode": "Suspended"}))), Vec::<String>::new());
        let told = warnings(&applied(json!({"mode": "Enforce"})));
        assert!(told.len() == 1 && told[0].contains("says mode: Enforce"), "{told:?}");
        let server_side: ObjectMeta = from_value(json!({
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:mode": {}}}}],
        }))
        .unwrap();
        assert_eq!(warnings(&server_side).len(), 1);
    }
}
