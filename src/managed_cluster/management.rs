//! What a `ManagementRole` gives to the clusters that name it. Pure.

pub mod unparsable;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::blocked::Blocked;
use crate::{
    api::{
        self, CLOSED_ACCOUNTS, IdentityType, ManagementRole,
        condition::{ConditionType, find, holds, is_false},
    },
    domain::{
        allow::{Allowance, ScopeKind},
        arn::{ClusterArn, RoleArn},
        glob::Glob,
        hub::Hub,
        name::{InvalidName, RoleName},
    },
};

/// A management role that deployer roles can trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// The hub and the object.
    pub hub: Hub,
    /// The management role.
    pub role: RoleArn,
    /// The provisioner role's name in every account.
    pub provisioner: RoleName,
    /// The reader role's name in every account.
    pub reader: RoleName,
    /// The external ID that provisioner roles ask for.
    pub external_id: Option<String>,
    /// Argo CD's namespace.
    pub namespace: String,
    /// What may be asked for.
    pub allow: Vec<Allowance>,
    /// What the role's policy lets it assume; `None` when the role is somebody else's and we do not write its policy.
    pub assumable: Option<BTreeSet<String>>,
    /// Deployer roles kept by their deletion policy, as recorded.
    pub retained: BTreeSet<String>,
    /// The namespaces of the hub that give more than themselves: an Argo CD's, and the operator's own.
    pub guarded: BTreeSet<String>,
    /// The accounts that a person has said are closed for good.
    pub closed: BTreeSet<String>,
    /// Whether the `ManagementRole` is being removed.
    pub going: bool,
    /// Whether the role's policy has no room for more than it lets the role assume.
    pub full: bool,
}

/// The reason of a `ManagementRole` whose policy has no room.
pub(crate) const POLICY_FULL: &str = "PolicyFull";

/// The namespace that `deploy/install` puts the operator into.
const OPERATOR_NAMESPACE: &str = "mooring-system";

/// The namespaces of the hub that give more than themselves, as far as one Argo CD alone tells: whoever writes workloads
/// there is Argo CD or the operator, and has the fleet.
#[must_use]
pub fn guarded(argocd: &str) -> BTreeSet<String> {
    [argocd, OPERATOR_NAMESPACE].map(str::to_owned).into()
}

/// The accounts that a person has said, by an annotation, are closed for good.
#[must_use]
pub fn closed_accounts(metadata: &ObjectMeta) -> BTreeSet<String> {
    let annotations = metadata.annotations.iter();
    annotations
        .filter_map(|all| all.get(CLOSED_ACCOUNTS))
        .flat_map(|accounts| accounts.split(','))
        .map(|account| account.trim().to_owned())
        .filter(|account| !account.is_empty())
        .collect()
}

/// Why a `ManagementRole` gives nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoManagement {
    /// There is none of that name.
    Missing(String),
    /// It cannot be read by this release.
    Unreadable(String),
    /// It is not ready.
    NotReady {
        /// Its own reason and message.
        why: String,
        /// Whether that ends only when a person acts.
        stalled: bool,
        /// Argo CD's namespace, where its hub is not known to be the cluster that the operator runs on: it may be a copy.
        copy: Option<String>,
    },
}

impl Management {
    /// Reads a `ManagementRole` and its status.
    ///
    /// # Errors
    /// When it has not come far enough for clusters to stand on it.
    pub fn read(object: &ManagementRole) -> Result<Self, NoManagement> {
        let Some(role) = object.status.as_ref().and_then(|status| status.role.as_ref()) else {
            return Err(not_ready(object));
        };
        Self::over(object, &role.arn)
    }

    /// The same for a removal, which needs the way into the account and not the role: that may be gone already, and
    /// what stands in the account must be let go of all the same. A hub that is not the one that the operator runs on
    /// removes nothing.
    ///
    /// # Errors
    /// When the hub has not been found, or is another.
    pub fn read_for_removal(object: &ManagementRole) -> Result<Self, NoManagement> {
        Self::read(object).or_else(|none| match none {
            NoManagement::NotReady { .. } => Self::over(object, ""),
            NoManagement::Missing(_) | NoManagement::Unreadable(_) => Err(none),
        })
    }

    /// Reads everything but the role, which is `role`, or what it would be named where that is empty.
    fn over(object: &ManagementRole, role: &str) -> Result<Self, NoManagement> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let spec = &object.spec;
        let status = object.status.clone().unwrap_or_default();
        let hub_refused = is_false(&status.conditions, ConditionType::HubReady);
        let (Some(found), false) = (&status.hub, hub_refused) else {
            return Err(not_ready(object));
        };
        let unreadable = |error: InvalidName| NoManagement::Unreadable(format!("ManagementRole {name}: {error}"));
        let hub = Hub {
            cluster: ClusterArn {
                region: spec.cluster.region.parse().map_err(unreadable)?,
                account: found.account_id.parse().map_err(unreadable)?,
                name: spec.cluster.name.parse().map_err(unreadable)?,
            },
            management_role: name.parse().map_err(unreadable)?,
        };
        let role = if role.is_empty() {
            hub.management_role_arn(None)
        } else {
            role.parse().map_err(unreadable)?
        };
        Ok(Self {
            hub,
            role,
            provisioner: spec.provisioner.role_name.parse().map_err(unreadable)?,
            reader: spec.provisioner.reader_role_name.parse().map_err(unreadable)?,
            external_id: spec.provisioner.external_id.clone(),
            namespace: spec.argocd_namespace.clone(),
            allow: allowances(&spec.allow),
            assumable: (spec.identity.kind == IdentityType::Irsa).then(|| status.assumable.into_iter().collect()),
            retained: status.retained.into_iter().collect(),
            guarded: guarded(&spec.argocd_namespace),
            closed: closed_accounts(&object.metadata),
            going: object.metadata.deletion_timestamp.is_some(),
            full: find(&status.conditions, ConditionType::PolicyReady).is_some_and(|c| c.reason == POLICY_FULL),
        })
    }

    /// The same where more namespaces of the hub are known to give more than themselves.
    #[must_use]
    pub fn guarding(mut self, more: &BTreeSet<String>) -> Self {
        self.guarded.extend(more.iter().cloned());
        self
    }

    /// Whether the management role's policy lets it assume a deployer role, as far as that policy is ours.
    #[must_use]
    pub fn admits(&self, deployer: &RoleArn) -> bool {
        self.assumable.as_ref().is_none_or(|set| {
            set.contains(&deployer.to_string())
                || (deployer.path == self.hub.path() && set.contains(&account_pattern(&self.hub, deployer)))
        })
    }

    /// What is waited for while it does not.
    #[must_use]
    pub fn pending(&self, deployer: &RoleArn) -> Option<Blocked> {
        if self.admits(deployer) {
            return None;
        }
        let name = self.hub.management_role.to_string();
        Some(if self.full {
            Blocked::PolicyFull { name }
        } else {
            Blocked::PolicyPending { name }
        })
    }
}

fn not_ready(object: &ManagementRole) -> NoManagement {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice());
    let ready = find(conditions.unwrap_or_default(), ConditionType::Ready);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let going = object.metadata.deletion_timestamp.is_some();
    let why = match ready {
        None => format!("ManagementRole {name} is not ready: it has not been looked at yet"),
        // What it says then is how it goes itself, which is not for whoever reads this.
        Some(ready) if going => format!(
            "ManagementRole {name} is being removed, and waits ({}): `kubectl describe mgr {name}` says for what, and what ends that",
            ready.reason
        ),
        Some(ready) => format!(
            "ManagementRole {name} is not ready: {}: {}",
            ready.reason, ready.message
        ),
    };
    let elsewhere = is_false(conditions.unwrap_or_default(), ConditionType::HubReady);
    NoManagement::NotReady {
        why,
        stalled: holds(conditions.unwrap_or_default(), ConditionType::Stalled),
        copy: elsewhere.then(|| object.spec.argocd_namespace.clone()),
    }
}

/// Everything under the hub's path in the account of a deployer role: the one pattern that we issue.
#[must_use]
pub fn account_pattern(hub: &Hub, deployer: &RoleArn) -> String {
    format!(
        "arn:{}:iam::{}:role{}*",
        deployer.partition,
        deployer.account,
        hub.path()
    )
}

/// `spec.allow` in our own words. What is left out means any for regions, clusters and projects, none for the rest.
#[must_use]
pub fn allowances(allow: &[api::Allow]) -> Vec<Allowance> {
    let globs = |texts: &[String]| texts.iter().cloned().map(Glob).collect::<Vec<_>>();
    let any_by_default = |texts: &[String]| {
        if texts.is_empty() {
            vec![Glob("*".to_owned())]
        } else {
            globs(texts)
        }
    };
    allow
        .iter()
        .map(|entry| {
            let api::Allow {
                accounts,
                regions,
                clusters,
                access_policies,
                kubernetes_groups,
                projects,
                deployer_roles,
            } = entry;
            Allowance {
                accounts: globs(accounts),
                regions: any_by_default(regions),
                clusters: any_by_default(clusters),
                access_policies: access_policies
                    .iter()
                    .map(|policy| {
                        let scope = match policy.scope {
                            api::Scope::Cluster => ScopeKind::Cluster,
                            api::Scope::Namespace => ScopeKind::Namespace,
                        };
                        (policy.name.clone(), scope)
                    })
                    .collect(),
                kubernetes_groups: globs(kubernetes_groups),
                projects: any_by_default(projects),
                // One that is none lets nobody in; the definition refuses it with a sentence.
                deployer_roles: deployer_roles.iter().filter_map(|text| text.parse().ok()).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: &Value, status: &Value) -> Result<Management, NoManagement> {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default"},
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
            "status": {
                "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "x"},
                "role": {"arn": "arn:aws:iam::111111111111:role/m/management", "id": "A"},
                "assumable": ["arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/one"],
            },
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        for (key, value) in status.as_object().into_iter().flatten() {
            object["status"][key] = value.clone();
        }
        Management::read(&serde_json::from_value(object).unwrap())
    }

    fn condition(kind: &str, status: &str) -> Value {
        json!({"conditions": [{"type": kind, "status": status, "reason": "Why", "message": "what to do", "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    }

    #[test]
    fn clusters_stand_on_a_hub_and_a_role_that_were_found_and_on_no_mismatch() {
        assert!(read(&json!({}), &json!({})).is_ok());
        // A pass that could not look takes nothing away.
        for (kind, status) in [
            ("HubReady", "Unknown"),
            ("HubReady", "True"),
            ("Ready", "False"),
            ("RoleReady", "False"),
        ] {
            assert!(read(&json!({}), &condition(kind, status)).is_ok(), "{kind} {status}");
        }
        for missing in [
            json!({"hub": null}),
            json!({"role": null}),
            condition("HubReady", "False"),
        ] {
            assert!(
                matches!(read(&json!({}), &missing), Err(NoManagement::NotReady { .. })),
                "{missing}"
            );
        }
        let mut told = condition("Ready", "False");
        told["role"] = Value::Null;
        let Err(NoManagement::NotReady { why, .. }) = read(&json!({}), &told) else {
            unreachable!()
        };
        assert!(
            why.contains("ManagementRole default") && why.ends_with("Why: what to do"),
            "{why}"
        );
        let broken = json!({"role": {"arn": "arn:aws:iam::111111111111:role/*", "id": "A"}});
        assert!(matches!(read(&json!({}), &broken), Err(NoManagement::Unreadable(_))));
    }

    #[test]
    fn a_removal_needs_the_hub_and_not_the_role() {
        let of = |status: &Value| {
            let mut object = json!({
                "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default"},
                "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
                "status": {"hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "x"}},
            });
            for (key, value) in status.as_object().into_iter().flatten() {
                object["status"][key] = value.clone();
            }
            Management::read_for_removal(&serde_json::from_value(object).unwrap())
        };
        let management = of(&json!({})).unwrap();
        assert_eq!(management.hub.cluster.account.as_str(), "111111111111");
        assert!(matches!(of(&json!({"hub": null})), Err(NoManagement::NotReady { .. })));
        assert!(matches!(
            of(&condition("HubReady", "False")),
            Err(NoManagement::NotReady { .. })
        ));
    }

    #[test]
    fn a_policy_without_room_and_a_role_that_waits_for_a_person_are_known() {
        let full = condition("PolicyReady", "False")
            .to_string()
            .replace("Why", POLICY_FULL);
        let full: Value = serde_json::from_str(&full).unwrap();
        assert!(read(&json!({}), &full).unwrap().full);
        assert!(!read(&json!({}), &condition("PolicyReady", "False")).unwrap().full);
        for (stands, expected) in [("True", true), ("False", false)] {
            let mut status = condition("Stalled", stands);
            status["role"] = Value::Null;
            let Err(NoManagement::NotReady { stalled, .. }) = read(&json!({}), &status) else {
                panic!("there is no role");
            };
            assert_eq!(stalled, expected);
        }
    }

    #[test]
    fn it_admits_by_role_or_by_pattern_and_all_where_the_policy_is_not_ours() {
        let path = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/";
        let (one, two): (RoleArn, RoleArn) = (
            format!("{path}one").parse().unwrap(),
            format!("{path}two").parse().unwrap(),
        );
        let elsewhere: RoleArn = "arn:aws:iam::333333333333:role/mooring/111111111111-eu-west-1-hub/default/one"
            .parse()
            .unwrap();
        let explicit = read(&json!({}), &json!({})).unwrap();
        assert!(explicit.admits(&one) && !explicit.admits(&two) && !explicit.admits(&elsewhere));
        let pattern = read(&json!({}), &json!({"assumable": [format!("{path}*")]})).unwrap();
        assert!(pattern.admits(&one) && pattern.admits(&two) && !pattern.admits(&elsewhere));
        // A role that stands elsewhere takes its own line, whatever the pattern of its account.
        let outside: RoleArn = "arn:aws:iam::222222222222:role/argocd".parse().unwrap();
        assert!(!pattern.admits(&outside));
        let named = read(
            &json!({}),
            &json!({"assumable": [format!("{path}*"), outside.to_string()]}),
        )
        .unwrap();
        assert!(named.admits(&outside));
        let existing =
            json!({"identity": {"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/m/management"}});
        assert!(read(&existing, &json!({"assumable": []})).unwrap().admits(&elsewhere));
    }

    #[test]
    fn accounts_that_are_closed_are_named_by_a_person() {
        let with = |annotations: Value| {
            let object = json!({
                "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole",
                "metadata": {"name": "default", "annotations": annotations},
                "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
            });
            let object: ManagementRole = serde_json::from_value(object).unwrap();
            closed_accounts(&object.metadata)
        };
        assert!(with(json!({})).is_empty() && with(json!({CLOSED_ACCOUNTS: " "})).is_empty());
        let both = with(json!({CLOSED_ACCOUNTS: "222222222222, 333333333333"}));
        assert_eq!(Vec::from_iter(both), ["222222222222", "333333333333"]);
    }

    #[test]
    fn what_an_allowance_leaves_out_is_any_place_and_no_right() {
        let allow = read(&json!({}), &json!({})).unwrap().allow.remove(0);
        let any = vec![Glob("*".into())];
        assert_eq!((&allow.regions, &allow.clusters, &allow.projects), (&any, &any, &any));
        assert!(
            allow.access_policies.is_empty() && allow.kubernetes_groups.is_empty() && allow.deployer_roles.is_empty()
        );
    }
}
