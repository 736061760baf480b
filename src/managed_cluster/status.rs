//! 6. status: what a pass means to the people who read the object. Pure but for the one write at the end.

mod steps;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, core::DeserializeGuard};

use crate::{
    api::{
        AccessEntryStatus, ClusterStatus, DeployerRoleStatus, ManagedCluster, ManagedClusterStatus,
        condition::{ConditionType, conditions, without},
    },
    argocd::fingerprint_of_base64,
    domain::{arn::ClusterArn, eks::Cluster},
    kubernetes::{
        KubernetesError,
        objects::{self, FIELD_MANAGER},
    },
};

use super::{
    apply::{OurEntry, OurSecret, Outcome},
    beyond::Beside,
    blocked::Blocked,
    chain::{Removal, keep_parts},
    error::Error,
    findings::{findings, let_by, stands_again, tell_what_stands},
    foreseen::Foreseen,
    forget::forget,
    request::Refusal,
    server::ServerChanged,
    step::{Part, Plan},
    withheld::Withheld,
};

/// Every way in which a pass can end.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for the length of a pass")]
pub enum Pass {
    /// The spec asks for what it cannot have; with what was found of the role and the access entry that stand meanwhile and are
    /// not as they should be, where that was looked at.
    Refused(Refusal, Beside),
    /// Nothing in the account was looked at yet.
    Waiting(Blocked),
    /// Everything was looked at, and nothing written.
    Withheld(Withheld, Plan, Facts),
    /// The plan was carried out as far as it went.
    Applied(Plan, Outcome, Facts),
    /// The access was taken away, and the rest kept, each as far as it went.
    Suspended(Box<Suspension>),
    /// The pass could not be carried through.
    Failed(Error),
    /// The object is being removed, and this is what remains, or why that is not known.
    Releasing(Releasing),
    /// The object is being removed and nothing is written for it: what was looked at and is not done.
    ReleaseWithheld(Withheld, Foreseen),
}

/// How far a removal is.
#[derive(Debug)]
pub struct Releasing {
    /// In words.
    pub message: String,
    /// What it waits for.
    pub blocked: Option<Blocked>,
    /// Why the pass could not be carried through, where it could not.
    pub failed: Option<Error>,
    /// How long it takes until another look is worth it, where that is known.
    pub look_in: Option<Duration>,
    /// What is surely gone.
    pub gone: BTreeSet<Part>,
    /// What became of the access entry of an object that is suspended besides.
    pub cut: Option<Cut>,
    /// The deployer role that was made and never recorded, and that is kept.
    pub found: Option<DeployerRoleStatus>,
    /// Whether the access entry was the object's, and is another's by now.
    pub handed_over: bool,
    /// Whether the deployer role is somebody else's, which no removal looks at.
    pub existing: bool,
    /// That what the spec gave to an access entry of others is taken off it, and what stays.
    pub let_go: Option<String>,
}

impl Releasing {
    /// A removal that goes on by itself.
    #[must_use]
    pub fn again(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            blocked: None,
            failed: None,
            look_in: None,
            gone: BTreeSet::new(),
            cut: None,
            found: None,
            handed_over: false,
            existing: false,
            let_go: None,
        }
    }

    /// A removal whose pass broke off.
    #[must_use]
    pub fn failed(error: Error) -> Self {
        Self {
            failed: Some(error),
            ..Self::again("")
        }
    }

    /// A removal that waits.
    #[must_use]
    pub fn blocked(blocked: Blocked) -> Self {
        Self {
            message: blocked.message(),
            blocked: Some(blocked),
            ..Self::again("")
        }
    }
}

/// The reason of what a suspension has taken away.
pub const SUSPENDED: &str = "Suspended";

/// The reason of what a removal has taken away.
pub const REMOVED: &str = "Removed";

/// The reason of a cluster Secret whose labels a removal has taken off, for ApplicationSets to let go of the cluster.
pub const DRAINING: &str = "Draining";

/// What became of a suspension.
#[derive(Debug)]
pub struct Suspension {
    /// Of the access entry.
    pub cut: Cut,
    /// Of the rest.
    pub kept: Kept,
    /// What others gave to the entry, and went with it, now or before.
    pub lost: BTreeSet<String>,
    /// Whether an entry that was ours is another's by now.
    pub handed_over: bool,
}

/// What became of the access entry of a cluster that is suspended.
#[derive(Debug)]
pub enum Cut {
    /// There is none.
    Away {
        /// Whether this pass deleted it.
        deleted: bool,
        /// Whether two looks found none.
        settled: bool,
    },
    /// Something stands in the way.
    Blocked(Blocked),
    /// It could not be looked at, or not be deleted.
    Failed(Error),
}

impl Cut {
    /// Whether an access entry was seen that stands still.
    #[must_use]
    pub fn seen(&self) -> bool {
        match self {
            Self::Away { .. } => false,
            Self::Blocked(blocked) => {
                let entry = Part::AccessEntry;
                matches!(blocked, Blocked::EntryNotOurs { .. })
                    || matches!(blocked, Blocked::Held { part, .. } if *part == entry)
            }
            Self::Failed(error) => {
                matches!(error, Error::Step(Part::AccessEntry, failure) if failure.needs_a_person())
            }
        }
    }
}

/// What became of the rest of what was made for a cluster that is suspended.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for the length of a pass")]
pub enum Kept {
    /// The spec asks for what it cannot have.
    Refused(Refusal),
    /// Something must be waited for before it is looked at.
    Waiting(Blocked),
    /// It was looked at and kept as the spec says, as far as that went.
    Applied(Plan, Outcome, Facts),
    /// It was not looked at, and why.
    Not(Option<String>),
}

impl Kept {
    /// Why it was not looked at, where that is known.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.to_string()),
            Self::Waiting(blocked) => Some(blocked.message()),
            Self::Not(why) => why.clone(),
            Self::Applied(..) => None,
        }
    }
}

/// What was seen and belongs into the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The cluster as AWS describes it.
    pub cluster: Option<Cluster>,
    /// The cluster Secret.
    pub secret: Option<OurSecret>,
    /// The deployer role that somebody else owns, as it was seen.
    pub existing_role: Option<DeployerRoleStatus>,
    /// The access entry that is ours, and what the spec gave to it where it was taken over.
    pub access_entry: Option<AccessEntryStatus>,
    /// The ARN of the deployer role, while the management role cannot assume it yet.
    pub not_admitted: Option<String>,
    /// That the server in it changed, while there is somebody left to tell.
    pub server_changed: Option<ServerChanged>,
    /// Whether access is to be taken away.
    pub suspended: bool,
    /// What could not be looked at of what is only kept, in words.
    pub unseen: Option<String>,
    /// Why the spec cannot be had as it is, where only what takes access away was looked at for that.
    pub refused: Option<Refusal>,
    /// Whether the access entry stands and gives nothing, after a change that went half way.
    pub bare: bool,
}

impl Facts {
    /// What the `ManagementRole` would have to do first, in words.
    #[must_use]
    pub fn admission(&self) -> Option<String> {
        let deployer = self.not_admitted.as_ref()?;
        Some(format!("let the management role assume {deployer}"))
    }
}

/// The whole status after a pass. What the pass did not look at is kept from before.
#[must_use]
pub fn status(
    old: &ManagedClusterStatus,
    object: &str,
    cluster: Option<&ClusterArn>,
    generation: Option<i64>,
    pass: &Pass,
    now: Timestamp,
) -> ManagedClusterStatus {
    let made = old.deployer_role.is_some() || old.secret.is_some() || old.access_entry.is_some();
    let mut findings = findings(pass, object, made);
    if let Pass::Releasing(releasing) = pass {
        let told = findings.iter().any(|one| one.kind == ConditionType::SecretReady);
        findings.extend(stands_again(releasing, &old.conditions).filter(|_| !told));
    }
    let told = findings
        .iter()
        .any(|one| one.kind == ConditionType::ManagementRoleReady);
    findings.extend(let_by(pass, &old.conditions).filter(|_| !told));
    let going = matches!(pass, Pass::Releasing(_) | Pass::ReleaseWithheld(..));
    let removal = Removal::of(going, old.observed_generation, generation);
    keep_parts::<Part>(&old.conditions, &mut findings, removal);
    tell_what_stands(&mut findings, pass, old);
    let mut status = ManagedClusterStatus {
        observed_generation: generation,
        conditions: conditions(&old.conditions, &findings, generation, now),
        ..old.clone()
    };
    if let Some(arn) = cluster {
        let known = status.cluster.take().unwrap_or_default();
        status.cluster = Some(ClusterStatus {
            account_id: arn.account.to_string(),
            region: arn.region.to_string(),
            name: arn.name.to_string(),
            arn: arn.to_string(),
            ..known
        });
    }
    let facts = match pass {
        Pass::Suspended(suspension) => {
            if !suspension.lost.is_empty() {
                let entry = status.access_entry.get_or_insert_default();
                entry.lost.clone_from(&suspension.lost);
            }
            match &suspension.kept {
                Kept::Applied(_, _, facts) => {
                    status.server_changed_at = facts.server_changed.as_ref().map(|changed| Time(changed.at));
                    Some(facts)
                }
                Kept::Not(_) | Kept::Refused(_) | Kept::Waiting(_) => None,
            }
        }
        Pass::Applied(_, outcome, facts) => {
            if outcome.role_deleted() {
                status.deployer_role = None;
            }
            if let Some(made) = outcome.made_role() {
                status.deployer_role = Some(DeployerRoleStatus {
                    arn: made.arn.clone(),
                    id: made.id.clone(),
                });
            }
            status.access_entry = access_entry(facts.access_entry.clone(), outcome.entry());
            status.server_changed_at = facts.server_changed.as_ref().map(|changed| Time(changed.at));
            // Nothing stands on a role of somebody else's before a pass has acted.
            if let Some(existing) = &facts.existing_role {
                status.deployer_role = Some(existing.clone());
            }
            Some(facts)
        }
        Pass::Withheld(_, _, facts) => Some(facts),
        Pass::Releasing(releasing) => {
            status.deployer_role = releasing.found.clone().or(status.deployer_role);
            None
        }
        Pass::Refused(..) | Pass::Waiting(_) | Pass::Failed(_) | Pass::ReleaseWithheld(..) => None,
    };
    status.plan = match pass {
        Pass::Withheld(Withheld::Observe, plan, facts) => Some(steps::in_words(plan, facts)),
        Pass::ReleaseWithheld(Withheld::Observe, foreseen) => Some(steps::in_words(&foreseen.plan, &Facts::default())),
        // A look that failed, or has to wait, knows nothing better, as long as the same is asked.
        Pass::Failed(_) | Pass::Waiting(_) => status.plan.filter(|_| old.observed_generation == generation),
        Pass::Withheld(..)
        | Pass::ReleaseWithheld(..)
        | Pass::Refused(..)
        | Pass::Applied(..)
        | Pass::Suspended(_)
        | Pass::Releasing(_) => None,
    };
    if let Some(facts) = facts {
        if let Some(secret) = facts.secret.clone() {
            status.secret = Some(secret.name);
            status.secret_uid = Some(secret.uid);
            status.secret_adopted = Some(secret.adopted);
        }
        if let (Some(told), Some(seen)) = (&mut status.cluster, &facts.cluster) {
            // A cluster that is being made tells none of it yet: what the one before it had is how it is known for another.
            told.endpoint = seen.endpoint.clone().or_else(|| told.endpoint.take());
            if let Some(authority) = seen.certificate_authority.as_deref() {
                told.certificate_authority_sha256 = fingerprint_of_base64(authority);
            }
            told.version = seen.version.clone().or_else(|| told.version.take());
            told.issuer = seen.issuer.clone().or_else(|| told.issuer.take());
        }
    }
    forget(&mut status, &old.conditions, pass);
    status
}

/// What is recorded of the access entry after a pass that may have made it, or made it ours.
fn access_entry(seen: Option<AccessEntryStatus>, ours: Option<&OurEntry>) -> Option<AccessEntryStatus> {
    let Some(ours) = ours else { return seen };
    let seen = seen.filter(|_| ours.taken_over).unwrap_or_default();
    Some(AccessEntryStatus {
        arn: Some(ours.arn.clone()),
        role_id: ours.role_id.clone(),
        adopted: Some(seen.adopted.unwrap_or(false)),
        ..seen
    })
}

/// Writes the status, unless it says the same already; also of an object that cannot be read.
///
/// # Errors
/// When the API server refuses it.
pub async fn write(
    api: &Api<DeserializeGuard<ManagedCluster>>,
    object: &str,
    old: &ManagedClusterStatus,
    new: &ManagedClusterStatus,
) -> Result<bool, KubernetesError> {
    let mut old = old.clone();
    old.conditions = without(old.conditions, ConditionType::Connected);
    if old == *new {
        return Ok(false);
    }
    let value = serde_json::to_value(new).unwrap_or_default();
    objects::apply_status(api, object, FIELD_MANAGER, &value).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::{
        api::{PlanStatus, condition::find},
        aws::{AwsError, Call, ErrorKind},
        domain::{
            allow::{Beyond, NotAllowed, Remedy},
            eks::{AccessPolicyArn, AccessScope, ClusterState},
            name::Partition,
        },
        managed_cluster::{
            apply::{Failure, Stop},
            blocked::ONE_TOO_MANY,
            foreseen::Access,
            step::Step,
        },
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn aws(kind: ErrorKind, call: Call, request: &str) -> AwsError {
        AwsError {
            call,
            kind,
            code: "Code".into(),
            message: "in AWS's words".into(),
            request_id: Some(request.into()),
            resource: "arn:aws:iam::222222222222:role/x".into(),
            acting_as: Arc::from("arn:aws:iam::222222222222:role/mooring-provisioner"),
        }
    }

    fn clear(facts: Facts) -> Pass {
        Pass::Applied(Plan::default(), Outcome::default(), facts)
    }

    fn after(old: &ManagedClusterStatus, pass: &Pass, second: i64) -> ManagedClusterStatus {
        status(old, "prod", None, Some(second), pass, at(second))
    }

    /// Each condition that is there: type, verdict, reason.
    fn brief(status: &ManagedClusterStatus) -> Vec<String> {
        let mut all: Vec<String> = status
            .conditions
            .iter()
            .map(|c| format!("{} {} {}", c.type_, c.status, c.reason))
            .collect();
        all.sort();
        all
    }

    fn theirs(owner: &str) -> Blocked {
        Blocked::EntryNotOurs {
            owner: owner.to_owned(),
            next: "delete it".to_owned(),
        }
    }

    fn prod() -> ClusterArn {
        ClusterArn {
            region: "eu-west-1".parse().unwrap(),
            account: "222222222222".parse().unwrap(),
            name: "prod".parse().unwrap(),
        }
    }

    fn what_holds_removals_up() -> Vec<Blocked> {
        vec![
            Blocked::ApplicationsStillTargeting {
                why: "one Application still deploys here".into(),
                stalled: true,
                drained: false,
            },
            Blocked::ApplicationsMayReturn {
                why: "no Application deploys here at the moment".into(),
            },
            Blocked::ApplicationsUnseen {
                why: "Applications could not be listed here".into(),
                stalled: true,
            },
            Blocked::RemovalsPaused {
                why: "too many removals at the same time".into(),
            },
            Blocked::SecretGoing {
                name: "some-thing".into(),
                namespace: "some-thing".into(),
                finalizers: BTreeSet::from(["one".to_owned(), "two".to_owned()]),
                behind: true,
            },
        ]
    }

    fn every_blocked() -> Vec<Blocked> {
        let text = || "some-thing".to_owned();
        let set = || BTreeSet::from(["one".to_owned(), "two".to_owned()]);
        let mut all = vec![
            Blocked::ManagementRoleMissing { name: text() },
            Blocked::ManagementRoleNotReady {
                why: "ManagementRole default is not ready: it has not been looked at yet".into(),
                stalled: false,
                copy: None,
            },
            Blocked::ManagementRoleNotReady {
                why: "ManagementRole default is not ready: there is no such role".into(),
                stalled: true,
                copy: None,
            },
            Blocked::PolicyFull { name: text() },
            Blocked::NamespaceNotServed { namespace: text() },
            Blocked::PolicyPending { name: text() },
            Blocked::ClusterNotFound { cluster: prod() },
            Blocked::AccessEntriesDisabled { cluster: prod() },
            Blocked::ConnectedCluster,
            Blocked::RoleNotOurs {
                next: "delete it".into(),
                arn: text(),
                owner: text(),
            },
            Blocked::RoleReplaced {
                arn: text(),
                recorded: text(),
                found: text(),
                owner: text(),
                kept_out: None,
            },
            Blocked::ClusterGone { cluster: prod() },
            Blocked::ForeignPolicyAttached {
                role: text(),
                policies: set(),
                forged: true,
                closed: false,
            },
            Blocked::UnusableRole {
                arn: text(),
                why: text(),
            },
            Blocked::TrustMissing {
                arn: text(),
                management_role: text(),
                lack: crate::policy::Lack {
                    denied_by: Some(text()),
                    gone: set(),
                    statement: None,
                    in_place: false,
                },
            },
            Blocked::NotAdoptable {
                what: text(),
                why: "its owner has not opened it".into(),
                part: Part::AccessEntry,
            },
            Blocked::NotOpened {
                arn: text(),
                undone: vec![text()],
                open: "aws iam tag-role".into(),
            },
            Blocked::Unconfirmed { what: text() },
            Blocked::EntryNotOurs {
                owner: text(),
                next: "leave it alone".into(),
            },
            Blocked::Propagating { what: text() },
            Blocked::DuplicateCluster {
                secrets: vec![text()],
                next: "leave it alone".into(),
                lets_in: Some(text()),
            },
            Blocked::SecretNotOurs {
                name: text(),
                namespace: text(),
                object: text(),
            },
            Blocked::SecretImmutable {
                name: text(),
                namespace: text(),
                undone: set(),
            },
            Blocked::UnusableConnection { why: text() },
            Blocked::RetentionPending { name: text() },
            Blocked::Suspended { part: Part::Secret },
            Blocked::StoodBack,
        ];
        all.push(Blocked::Held {
            part: Part::AccessEntry,
            thing: text(),
            value: text(),
            undone: vec![text()],
        });
        let states = [ClusterState::Creating, ClusterState::Failed, ClusterState::Deleting];
        all.extend(states.map(|state| Blocked::ClusterNotActive { cluster: prod(), state }));
        all.push(Blocked::RolePropagating);
        all.extend(what_holds_removals_up());
        all
    }

    #[test]
    fn every_obstacle_has_a_reason_of_its_own_and_a_sentence() {
        let mut reasons = BTreeSet::new();
        for blocked in every_blocked() {
            let (reason, message) = (blocked.reason(), blocked.message());
            let camel =
                reason.chars().all(|c| c.is_ascii_alphabetic()) && reason.starts_with(|c: char| c.is_ascii_uppercase());
            assert!(camel, "{reason}");
            assert!(
                message.split_whitespace().count() >= 5 && !message.ends_with('.'),
                "{message}"
            );
            let shared = matches!(
                blocked,
                Blocked::ClusterNotActive { .. }
                    | Blocked::RolePropagating
                    | Blocked::Unconfirmed { .. }
                    | Blocked::ManagementRoleNotReady { .. }
            );
            assert!(reasons.insert(reason) || shared, "{reason} is told of two things");
        }
    }

    #[test]
    fn stalled_is_there_only_when_a_person_must_act() {
        for blocked in every_blocked() {
            let (stalled, reason) = (blocked.stalled(), blocked.reason());
            let verdict = if blocked.is_unconfirmed() { "Unknown" } else { "False" };
            let part = blocked.part();
            let plan = Plan {
                blocked: vec![blocked.clone()],
                ..Plan::default()
            };
            for pass in [
                Pass::Waiting(blocked.clone()),
                Pass::Applied(plan, Outcome::default(), Facts::default()),
                Pass::Releasing(Releasing::blocked(blocked)),
            ] {
                let told = after(&ManagedClusterStatus::default(), &pass, 1);
                let ready = find(&told.conditions, ConditionType::Ready).unwrap();
                assert_eq!((ready.status.as_str(), ready.reason.as_str()), (verdict, reason));
                let stands = find(&told.conditions, ConditionType::Stalled);
                assert_eq!(stands.is_some(), stalled, "{reason}");
                assert!(stands.is_none_or(|c| {
                    let more = c.message.strip_prefix(ready.message.trim_end_matches('.'));
                    c.status == "True" && more == Some(". This ends when a person acts; Mooring looks again by itself")
                }));
                if !matches!(pass, Pass::Releasing(_)) {
                    let of_part = find(&told.conditions, part.condition()).unwrap();
                    assert_eq!((of_part.status.as_str(), of_part.reason.as_str()), (verdict, reason));
                }
            }
        }
    }

    #[test]
    fn what_comes_before_an_obstacle_holds_and_what_comes_after_is_not_reached() {
        let blocked = Blocked::RolePropagating;
        let told = after(&ManagedClusterStatus::default(), &Pass::Waiting(blocked), 1);
        assert_eq!(
            brief(&told),
            [
                "AccessEntryReady Unknown NotReached",
                "ClusterReady True AsSpecified",
                "DeployerRoleReady False Propagating",
                "ManagementRoleReady True AsSpecified",
                "Ready False Propagating",
                "SecretReady Unknown NotReached",
            ]
        );
    }

    #[test]
    fn each_way_a_pass_can_end_is_told() {
        let refused = Refusal::NotAllowed {
            management_role: "default".into(),
            beyond: NotAllowed(
                ["account 2", "region x"]
                    .map(|what| Beyond::new(what, Remedy::LessOrMore))
                    .into(),
            ),
        };
        let planned = Plan {
            steps: vec![Step::DeleteAccessEntry],
            ..Plan::default()
        };
        let denied = || Error::Aws(aws(ErrorKind::Denied, Call::AssumeRole, "r"));
        let cases = [
            (
                clear(Facts::default()),
                "Ready True Moored",
                false,
                "everything is as the spec says; Connected, where a verifier runs, says",
            ),
            (
                Pass::Withheld(Withheld::Paused, Plan::default(), Facts::default()),
                "Ready True Paused",
                false,
                "mooring.dev/paused",
            ),
            (
                Pass::Withheld(Withheld::Paused, planned, Facts::default()),
                "Ready False Paused",
                false,
                "delete the access entry",
            ),
            (
                Pass::Refused(refused, Beside::new()),
                "Ready False NotAllowed",
                true,
                "account 2, nor region x",
            ),
            (
                Pass::Releasing(Releasing::again("looking once more")),
                "Ready False Releasing",
                false,
                "once more",
            ),
            (
                Pass::Failed(denied()),
                "Ready False AccountNotEntered",
                true,
                "mooring bootstrap",
            ),
            (
                Pass::Failed(Error::Aws(aws(ErrorKind::Throttled, Call::DescribeCluster, "r"))),
                "Ready Unknown Throttled",
                false,
                "Next: ",
            ),
            (
                Pass::Failed(Error::Deadline(60)),
                "Ready Unknown TimedOut",
                false,
                "60 s",
            ),
            (
                Pass::Failed(Error::Unreadable("no field x".into())),
                "Ready False InvalidSpec",
                true,
                "no field x",
            ),
        ];
        for (pass, ready, stalled, says) in cases {
            let told = after(&ManagedClusterStatus::default(), &pass, 1);
            assert!(brief(&told).contains(&ready.to_owned()), "{:?}", brief(&told));
            assert_eq!(
                find(&told.conditions, ConditionType::Stalled).is_some(),
                stalled,
                "{ready}"
            );
            let message = &find(&told.conditions, ConditionType::Ready).unwrap().message;
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_pause_tells_at_each_part_what_is_not_as_the_spec_says() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let plan = Plan {
            steps: vec![Step::DeleteAccessEntry],
            ..Plan::default()
        };
        let told = after(&moored, &Pass::Withheld(Withheld::Paused, plan, Facts::default()), 2);
        for says in [
            "AccessEntryReady False Paused",
            "DeployerRoleReady True AsSpecified",
            "SecretReady True AsSpecified",
        ] {
            assert!(brief(&told).contains(&says.to_owned()), "{:?}", brief(&told));
        }
        let plan = Plan {
            blocked: vec![Blocked::ClusterNotFound { cluster: prod() }],
            ..Plan::default()
        };
        let told = after(&moored, &Pass::Withheld(Withheld::Paused, plan, Facts::default()), 2);
        for says in [
            "ClusterReady False ClusterNotFound",
            "AccessEntryReady Unknown NotReached",
        ] {
            assert!(brief(&told).contains(&says.to_owned()), "{:?}", brief(&told));
        }
    }

    #[test]
    fn observe_tells_the_whole_plan_and_what_the_management_role_needs_first() {
        let plan = Plan {
            steps: vec![Step::DeleteAccessEntry],
            blocked: vec![Blocked::SecretNotOurs {
                name: "taken".into(),
                namespace: "argocd".into(),
                object: "prod".into(),
            }],
            ..Plan::default()
        };
        let facts = Facts {
            not_admitted: Some("arn:aws:iam::222222222222:role/x".into()),
            ..Facts::default()
        };
        let told = after(
            &ManagedClusterStatus::default(),
            &Pass::Withheld(Withheld::Observe, plan, facts),
            1,
        );
        for says in [
            "ManagementRoleReady False Observe",
            "ClusterReady True AsSpecified",
            "AccessEntryReady False Observe",
            "SecretReady False SecretNotOurs",
            "Ready False Observe",
        ] {
            assert!(brief(&told).contains(&says.to_owned()), "{:?}", brief(&told));
        }
        assert_eq!(
            find(&told.conditions, ConditionType::Stalled),
            None,
            "a person wants it so"
        );
        let plan = told.plan.unwrap();
        assert_eq!(
            plan.steps,
            [
                "let the management role assume arn:aws:iam::222222222222:role/x",
                "delete the access entry"
            ]
        );
        assert!(plan.blocked[0].contains("Secret argocd/taken has the name"), "{plan:?}");
        let message = &find(&told.conditions, ConditionType::Ready).unwrap().message;
        assert!(
            message.starts_with("spec.mode is Observe, so this is not done: "),
            "{message}"
        );
    }

    /// What is told of an object by `Ready`: verdict, reason and message.
    fn ready(status: &ManagedClusterStatus) -> (String, String, String) {
        let ready = find(&status.conditions, ConditionType::Ready).unwrap().clone();
        (ready.status, ready.reason, ready.message)
    }

    #[test]
    fn a_removal_for_which_nothing_is_written_has_the_reason_of_that_and_tells_what_is_left() {
        let foreseen = || Foreseen {
            plan: Plan {
                steps: vec![Step::DeleteAccessEntry],
                blocked: vec![Blocked::RemovalsPaused {
                    why: "9 removals were asked for".into(),
                }],
                ..Plan::default()
            },
            unseen: Some("AWS did not answer".into()),
            access: Access::Wanted,
            retains: true,
        };
        for withheld in [Withheld::Paused, Withheld::Observe, Withheld::ReadOnly] {
            let pass = Pass::ReleaseWithheld(withheld, foreseen());
            let told = after(&ManagedClusterStatus::default(), &pass, 1);
            let (verdict, reason, message) = ready(&told);
            assert_eq!((verdict.as_str(), reason.as_str()), ("False", withheld.reason()));
            for part in [
                "the object is being removed",
                &withheld.end("mgc prod"),
                "What is then done: delete the access entry; keep the deployer role",
                "9 removals",
                "AWS did not answer",
            ] {
                assert!(message.contains(part), "{part}: {message}");
            }
            assert_eq!(
                find(&told.conditions, ConditionType::Stalled),
                None,
                "a person wants it so"
            );
            let plan = told.plan.map(|plan| (plan.steps.concat(), plan.blocked.concat()));
            let whole = (
                "delete the access entry".to_owned(),
                "9 removals were asked for".to_owned(),
            );
            assert_eq!(plan, (withheld == Withheld::Observe).then_some(whole));
        }
    }

    #[test]
    fn a_cluster_without_access_is_not_ready_whatever_else_holds_it() {
        let suspended = |plan: Plan, unseen: Option<&str>| {
            let facts = Facts {
                suspended: true,
                unseen: unseen.map(str::to_owned),
                ..Facts::default()
            };
            after(
                &ManagedClusterStatus::default(),
                &Pass::Withheld(Withheld::Paused, plan, facts),
                1,
            )
        };
        let never_made = Plan {
            blocked: vec![Blocked::Suspended { part: Part::Secret }],
            ..Plan::default()
        };
        for plan in [Plan::default(), never_made] {
            let told = suspended(plan, Some("the spec cannot be read"));
            let (verdict, reason, message) = ready(&told);
            assert_eq!((verdict.as_str(), reason.as_str()), ("False", "Suspended"));
            for part in ["no access entry", "mooring.dev/paused", "the spec cannot be read"] {
                assert!(message.contains(part), "{part}: {message}");
            }
            assert!(
                brief(&told).contains(&"AccessEntryReady False Suspended".to_owned()),
                "{:?}",
                brief(&told)
            );
        }
        let stands = Plan {
            steps: vec![Step::DeleteAccessEntry],
            ..Plan::default()
        };
        let foreign = Plan {
            blocked: vec![theirs("them")],
            ..Plan::default()
        };
        for (plan, of_entry) in [(stands, "Paused"), (foreign, "AccessEntryNotOurs")] {
            let told = suspended(plan, None);
            assert_eq!(ready(&told).1, "Paused");
            let of_entry = format!("AccessEntryReady False {of_entry}");
            assert!(brief(&told).contains(&of_entry), "{:?}", brief(&told));
        }
    }

    #[test]
    fn a_removal_that_waits_tells_what_became_of_the_access_it_takes_away_first() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let told = |cut: Cut| {
            let blocked = Blocked::RemovalsPaused {
                why: "9 removals were asked for".into(),
            };
            let releasing = Releasing {
                cut: Some(cut),
                ..Releasing::blocked(blocked)
            };
            after(&moored, &Pass::Releasing(releasing), 2)
        };
        let held = Blocked::Held {
            part: Part::AccessEntry,
            thing: "access entry x".into(),
            value: "INC-1".into(),
            undone: vec!["delete the access entry".into()],
        };
        let denied = Error::Aws(aws(ErrorKind::Denied, Call::DeleteAccessEntry, "r"));
        let away = Cut::Away {
            deleted: true,
            settled: false,
        };
        for (cut, of_entry, says) in [
            (
                away,
                "Suspended",
                "9 removals were asked for. The object is being removed, and waits for that. Besides, there is no access entry",
            ),
            (
                Cut::Blocked(held),
                "Held",
                "spec.mode is Suspended, and Argo CD's access still stands: AccessEntryReady says why. 9 removals",
            ),
            (
                Cut::Failed(denied),
                "AccessDenied",
                "spec.mode is Suspended, and the access is not known to be taken away: AccessEntryReady says why. 9 removals",
            ),
        ] {
            let told = told(cut);
            let (_, reason, message) = ready(&told);
            assert_eq!(reason, "RemovalsPaused");
            assert!(message.starts_with(says), "{message}");
            let of_entry = format!("AccessEntryReady False {of_entry}");
            assert!(brief(&told).contains(&of_entry), "{:?}", brief(&told));
        }
    }

    #[test]
    fn a_removal_tells_what_is_gone_and_at_its_part_what_is_not() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let gone = || BTreeSet::from([Part::AccessEntry, Part::Secret]);
        let foreign = Blocked::ForeignPolicyAttached {
            role: "x".into(),
            policies: BTreeSet::from(["mine".to_owned()]),
            forged: false,
            closed: false,
        };
        let failure = Failure::Aws(aws(ErrorKind::Denied, Call::DeleteRole, "r"));
        let failed = Releasing::failed(Error::Step(Part::DeployerRole, failure));
        for (releasing, reason) in [
            (Releasing::blocked(foreign), "ForeignPolicyAttached"),
            (failed, "AccessDenied"),
        ] {
            let told = after(
                &moored,
                &Pass::Releasing(Releasing {
                    gone: gone(),
                    ..releasing
                }),
                2,
            );
            assert_eq!(
                brief(&told),
                [
                    "AccessEntryReady False Removed".to_owned(),
                    "ClusterReady True AsSpecified".to_owned(),
                    format!("DeployerRoleReady False {reason}"),
                    "ManagementRoleReady True AsSpecified".to_owned(),
                    format!("Ready False {reason}"),
                    "SecretReady False Removed".to_owned(),
                    format!("Stalled True {reason}"),
                ]
            );
            let (_, _, message) = ready(&told);
            assert!(
                message.contains("being removed: there is no cluster Secret and no access entry; what there is of the deployer role stands meanwhile"),
                "{message}"
            );
            // What a later pass does not come to is as it was.
            let waits = Blocked::RemovalsPaused {
                why: "9 removals were asked for".into(),
            };
            let pass = Pass::Releasing(Releasing::blocked(waits));
            let later = status(&told, "prod", None, told.observed_generation, &pass, at(3));
            for says in [
                "SecretReady False Removed",
                "DeployerRoleReady False NotLookedAt",
                "ManagementRoleReady True AsSpecified",
            ] {
                assert!(brief(&later).contains(&says.to_owned()), "{:?}", brief(&later));
            }
        }
    }

    #[test]
    fn access_that_nobody_lets_a_removal_take_away_is_what_a_person_is_told_first() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let pending = || Blocked::RetentionPending { name: "default".into() };
        let told = |old: &ManagedClusterStatus, cut: Cut, waits: Releasing, at| {
            let releasing = Releasing {
                cut: Some(cut),
                gone: BTreeSet::from([Part::Secret]),
                ..waits
            };
            after(old, &Pass::Releasing(releasing), at)
        };
        let denied = || {
            let failure = Failure::Aws(aws(ErrorKind::Denied, Call::DeleteAccessEntry, "r"));
            Cut::Failed(Error::Step(Part::AccessEntry, failure))
        };
        let waits = told(&moored, denied(), Releasing::blocked(pending()), 2);
        for says in [
            "Ready False AccessDenied",
            "Stalled True AccessDenied",
            "AccessEntryReady False AccessDenied",
            "ManagementRoleReady False RetentionPending",
        ] {
            assert!(brief(&waits).contains(&says.to_owned()), "{says}: {:?}", brief(&waits));
        }
        let (_, _, message) = ready(&waits);
        assert!(
            message.starts_with("spec.mode is Suspended, and Argo CD's access still stands: ")
                && message.contains(
                    "stands meanwhile. Waiting for ManagementRole default to record that the deployer role is kept: "
                ),
            "{message}"
        );
        // What comes by itself hides nothing of it, and what does not come by itself is told.
        let throttled = Cut::Failed(Error::Aws(aws(ErrorKind::Throttled, Call::DeleteAccessEntry, "r")));
        let slow = told(&moored, throttled, Releasing::blocked(pending()), 2);
        assert_eq!(ready(&slow).1, "RetentionPending");
        // It was recorded: nothing waits for the ManagementRole any more.
        let then = told(&waits, denied(), Releasing::again("looking once more"), 3);
        assert!(
            brief(&then).contains(&"ManagementRoleReady True AsSpecified".to_owned()),
            "{:?}",
            brief(&then)
        );
        let (_, _, message) = ready(&then);
        assert!(message.ends_with("stands meanwhile. Looking once more"), "{message}");
        assert_eq!(message.matches("being removed").count(), 1, "{message}");
    }

    #[test]
    fn an_entry_of_others_that_the_spec_gives_nothing_any_more_is_not_told_to_be_as_specified() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let releasing = Releasing {
            gone: BTreeSet::from([Part::Secret]),
            let_go: Some("what the spec gave to it is taken away, and it stays".into()),
            ..Releasing::blocked(Blocked::NotOpened {
                arn: "arn:role".into(),
                undone: vec!["leave the role".into()],
                open: "open it".into(),
            })
        };
        let told = after(&moored, &Pass::Releasing(releasing), 2);
        assert!(
            brief(&told).contains(&"AccessEntryReady False Releasing".to_owned()),
            "{:?}",
            brief(&told)
        );
        let (_, _, message) = ready(&told);
        assert!(
            message.contains("what there is of the deployer role stands meanwhile")
                && message.ends_with("the access entry stays with what others gave to it, as AccessEntryReady says"),
            "{message}"
        );
    }

    #[test]
    fn what_is_gone_stays_told_as_gone_while_aws_shows_it_late() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let releasing = Releasing {
            gone: BTreeSet::from([Part::Secret, Part::AccessEntry, Part::DeployerRole]),
            ..Releasing::blocked(Blocked::Propagating {
                what: "the deletion".into(),
            })
        };
        let told = after(&moored, &Pass::Releasing(releasing), 2);
        assert!(
            brief(&told).contains(&"AccessEntryReady False Removed".to_owned()),
            "{:?}",
            brief(&told)
        );
        let (_, reason, message) = ready(&told);
        assert_eq!(reason, "Propagating");
        assert!(
            message.ends_with("any more, and it goes once this is over"),
            "{message}"
        );
    }

    #[test]
    fn what_was_made_before_is_told_to_be_left_where_a_pass_does_not_come_to_it() {
        let mut made = moored();
        made.deployer_role = Some(DeployerRoleStatus {
            arn: "a".into(),
            id: "AROA".into(),
        });
        made.access_entry = Some(AccessEntryStatus {
            arn: Some("e".into()),
            ..AccessEntryStatus::default()
        });
        let told = |old: &ManagedClusterStatus, blocked: Blocked, kind| {
            let told = after(old, &Pass::Waiting(blocked), 2);
            find(&told.conditions, kind).unwrap().message.clone()
        };
        let left = "waits for ManagementRoleReady; what was made before is left as it is";
        let missing = || Blocked::ManagementRoleMissing { name: "gone".into() };
        for kind in [
            ConditionType::DeployerRoleReady,
            ConditionType::AccessEntryReady,
            ConditionType::SecretReady,
        ] {
            assert_eq!(told(&made, missing(), kind), left);
            let never = told(&ManagedClusterStatus::default(), missing(), kind);
            assert_eq!(never, "waits for ManagementRoleReady");
        }
    }

    #[test]
    fn an_access_entry_that_went_with_its_cluster_is_not_told_to_be_left() {
        let mut made = moored();
        made.access_entry = Some(AccessEntryStatus {
            arn: Some("e".into()),
            ..AccessEntryStatus::default()
        });
        let waits = |old: &ManagedClusterStatus, blocked| after(old, &Pass::Waiting(blocked), 2);
        let told = |status: &ManagedClusterStatus, kind| find(&status.conditions, kind).unwrap().message.clone();
        let is = |state| Blocked::ClusterNotActive { cluster: prod(), state };
        let went = "waits for ClusterReady; there is none: it went with the cluster that was moored";
        let left = "waits for ClusterReady; what was made before is left as it is";
        let gone = waits(&made, Blocked::ClusterGone { cluster: prod() });
        assert_eq!(told(&gone, ConditionType::AccessEntryReady), went);
        assert_eq!(told(&gone, ConditionType::SecretReady), left);
        // Another one that is being made never had it, whether or not a pass came while there was none.
        for before in [&made, &gone] {
            let creating = waits(before, is(ClusterState::Creating));
            assert_eq!(told(&creating, ConditionType::AccessEntryReady), went);
            let failed = waits(&creating, is(ClusterState::Failed));
            assert_eq!(told(&failed, ConditionType::AccessEntryReady), went);
            let missing = waits(&failed, Blocked::ManagementRoleMissing { name: "gone".into() });
            assert_eq!(
                told(&missing, ConditionType::AccessEntryReady),
                went.replace("ClusterReady", "ManagementRoleReady")
            );
        }
        // One that goes has it still.
        let going = waits(&made, is(ClusterState::Deleting));
        assert_eq!(told(&going, ConditionType::AccessEntryReady), left);
        // What a pass comes to is told anew.
        let moored = after(&gone, &clear(Facts::default()), 2);
        assert_eq!(told(&moored, ConditionType::AccessEntryReady), "as the spec says");
    }

    #[test]
    fn a_role_of_somebody_elses_is_told_to_be_left_by_a_removal_and_not_to_be_gone() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let failure = Failure::Aws(aws(ErrorKind::Denied, Call::DeleteAccessEntry, "r"));
        let releasing = Releasing {
            gone: Part::ALL.into_iter().collect(),
            existing: true,
            ..Releasing::failed(Error::Step(Part::AccessEntry, failure))
        };
        let told = after(&moored, &Pass::Releasing(releasing), 2);
        assert!(
            brief(&told).contains(&"DeployerRoleReady Unknown NotLookedAt".to_owned()),
            "{:?}",
            brief(&told)
        );
        let role = find(&told.conditions, ConditionType::DeployerRoleReady).unwrap();
        assert!(role.message.contains("somebody else's"), "{}", role.message);
        let (_, _, message) = ready(&told);
        assert!(
            message.contains("there is no cluster Secret") && !message.contains("deployer role"),
            "{message}"
        );
    }

    #[test]
    fn a_suspension_does_not_speak_of_what_was_never_made() {
        let told = |unmade: &[Part]| {
            let plan = Plan {
                blocked: unmade.iter().map(|&part| Blocked::Suspended { part }).collect(),
                ..Plan::default()
            };
            let away = Cut::Away {
                deleted: false,
                settled: true,
            };
            let kept = Kept::Applied(plan, Outcome::default(), Facts::default());
            ready(&after(&ManagedClusterStatus::default(), &suspended(away, kept), 1)).2
        };
        for (unmade, says) in [
            (&[][..], "the deployer role and the cluster Secret stay"),
            (
                &[Part::Secret],
                "the deployer role stays, and the cluster Secret was never written",
            ),
            (
                &[Part::DeployerRole],
                "there is no deployer role and none is made, the cluster Secret stays",
            ),
            (
                &[Part::DeployerRole, Part::Secret],
                "nothing stands for this cluster, and nothing is made. To moor it, run `kubectl patch mgc prod",
            ),
        ] {
            let message = told(unmade);
            assert!(message.contains(says) && !message.contains("Besides"), "{message}");
        }
    }

    #[test]
    fn what_nobody_heals_while_nothing_is_written_promises_nothing() {
        let plan = Plan {
            blocked: vec![Blocked::Unconfirmed {
                what: "a role that we did not make".into(),
            }],
            ..Plan::default()
        };
        let told = after(
            &ManagedClusterStatus::default(),
            &Pass::Withheld(Withheld::Paused, plan.clone(), Facts::default()),
            1,
        );
        let of_role = find(&told.conditions, ConditionType::DeployerRoleReady).unwrap();
        assert_eq!(of_role.message, "a role that we did not make; it would be made afresh");
        let (_, _, message) = ready(&told);
        assert!(
            message.starts_with(
                "mooring.dev/paused is set, so nothing is written. What stands in the way besides: a role"
            ) && message.ends_with("Once that is settled, run `kubectl annotate mgc prod mooring.dev/paused-`"),
            "{message}"
        );
        let waits = after(
            &ManagedClusterStatus::default(),
            &Pass::Applied(plan, Outcome::default(), Facts::default()),
            1,
        );
        assert!(
            ready(&waits).2.ends_with("makes it afresh by itself"),
            "{}",
            ready(&waits).2
        );
    }

    #[test]
    fn a_pause_that_keeps_access_from_being_taken_away_says_that_it_stands() {
        let plan = Plan {
            steps: vec![Step::DeleteAccessEntry],
            ..Plan::default()
        };
        let facts = Facts {
            suspended: true,
            ..Facts::default()
        };
        let told = after(
            &ManagedClusterStatus::default(),
            &Pass::Withheld(Withheld::Paused, plan, facts),
            1,
        );
        let (_, _, message) = ready(&told);
        assert!(
            message.starts_with("spec.mode is Suspended, and Argo CD's access still stands: mooring.dev/paused is set"),
            "{message}"
        );
        let of_entry = find(&told.conditions, ConditionType::AccessEntryReady).unwrap();
        assert_eq!(
            of_entry.message,
            "not done while mooring.dev/paused is set: delete the access entry"
        );
        let going = Foreseen {
            access: Access::Unseen,
            ..Foreseen::default()
        };
        let told = after(
            &ManagedClusterStatus::default(),
            &Pass::ReleaseWithheld(Withheld::Paused, going),
            1,
        );
        let message = ready(&told).2;
        assert!(
            message.starts_with(
                "spec.mode is Suspended, and the access is not known to be taken away: mooring.dev/paused is set, so Mooring neither takes that away nor removes"
            ) && message.ends_with("What is then done: delete the access entry"),
            "{message}"
        );
        assert!(
            brief(&told).contains(&"AccessEntryReady False Paused".to_owned()),
            "{:?}",
            brief(&told)
        );
    }

    #[test]
    fn a_removal_that_is_paused_says_of_what_is_suspended_whether_the_access_stands() {
        let told = |access: Access, plan: Plan| {
            let foreseen = Foreseen {
                plan,
                access,
                ..Foreseen::default()
            };
            let pass = Pass::ReleaseWithheld(Withheld::Paused, foreseen);
            let told = after(&ManagedClusterStatus::default(), &pass, 1);
            let of_entry = find(&told.conditions, ConditionType::AccessEntryReady).unwrap();
            (ready(&told).2, of_entry.reason.clone())
        };
        let cut = || Plan {
            steps: vec![Step::DeleteAccessEntry],
            ..Plan::default()
        };
        let (message, of_entry) = told(Access::Stands, cut());
        assert!(
            message
                .starts_with("spec.mode is Suspended, and Argo CD's access still stands: mooring.dev/paused is set, so Mooring neither takes that away nor removes this object: run `kubectl annotate mgc prod mooring.dev/paused-` to let it do both")
                && message.ends_with("What is then done: delete the access entry"),
            "{message}"
        );
        assert_eq!(of_entry, "Paused");
        // What is not ours to delete is not said to go.
        let foreign = Plan {
            blocked: vec![theirs("a person")],
            ..Plan::default()
        };
        let (message, of_entry) = told(Access::Stands, foreign);
        assert!(
            message.contains("access still stands") && !message.contains("What is then done"),
            "{message}"
        );
        assert_eq!(of_entry, "AccessEntryNotOurs");
        let (message, of_entry) = told(Access::Away, Plan::default());
        assert!(
            message.starts_with("the object is being removed, and mooring.dev/paused"),
            "{message}"
        );
        assert_eq!(of_entry, "Suspended");
        assert_eq!(told(Access::Wanted, cut()).1, "NotLookedAt");
    }

    #[test]
    fn what_could_not_go_on_either_is_not_told_to_be_let_go_on() {
        let plan = |next: &str| Plan {
            blocked: vec![Blocked::RoleNotOurs {
                arn: "arn:role".into(),
                owner: "the other's".into(),
                next: next.into(),
            }],
            ..Plan::default()
        };
        let told = |next: &str| {
            let pass = Pass::Withheld(Withheld::Observe, plan(next), Facts::default());
            ready(&after(&ManagedClusterStatus::default(), &pass, 1)).2
        };
        let vain = told(ONE_TOO_MANY);
        assert!(
            vain.starts_with(
                "spec.mode is Observe, and without that it would stop here too: role arn:role is not ours"
            ) && vain.ends_with(ONE_TOO_MANY),
            "{vain}"
        );
        let settled = told("delete it");
        assert!(
            settled.contains("Once that is settled, run `kubectl patch mgc prod"),
            "{settled}"
        );
    }

    #[test]
    fn a_pause_hides_no_restart_that_is_still_due() {
        let told = |plan: Plan| {
            let facts = Facts {
                server_changed: Some(ServerChanged {
                    at: at(1),
                    namespace: "argocd".into(),
                }),
                ..Facts::default()
            };
            let told = after(
                &ManagedClusterStatus::default(),
                &Pass::Withheld(Withheld::Paused, plan, facts),
                1,
            );
            find(&told.conditions, ConditionType::SecretReady)
                .unwrap()
                .message
                .clone()
        };
        let dropped = Plan {
            steps: vec![Step::DropOwners {
                name: "cluster-x".into(),
                uid: "u".into(),
                owners: BTreeSet::from(["ConfigMap a".to_owned()]),
            }],
            ..Plan::default()
        };
        for (plan, first) in [
            (Plan::default(), "as the spec says; "),
            (dropped, "not done while mooring.dev/paused is set: "),
        ] {
            let message = told(plan);
            assert!(
                message.starts_with(first) && message.contains("rollout restart statefulset"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_plan_in_the_status_is_bounded_and_goes_with_the_mode() {
        let policy = |n: usize| Step::Disassociate {
            policy: AccessPolicyArn::new(Partition::Aws, &format!("P{n}")).unwrap(),
            found: AccessScope::Cluster,
        };
        let observed = |steps: Vec<Step>| {
            let plan = Plan {
                steps,
                ..Plan::default()
            };
            Pass::Withheld(Withheld::Observe, plan, Facts::default())
        };
        let nothing = after(&ManagedClusterStatus::default(), &observed(Vec::new()), 1);
        assert_eq!(nothing.plan, Some(PlanStatus::default()), "an empty plan is told too");
        assert!(brief(&nothing).contains(&"Ready True Observe".to_owned()));
        let full = after(&nothing, &observed((0..64).map(policy).collect()), 1);
        assert_eq!(
            full.plan.as_ref().unwrap().steps[63],
            "take away P63, associated in the whole cluster"
        );
        let more = after(&nothing, &observed((0..70).map(policy).collect()), 1);
        let steps = &more.plan.as_ref().unwrap().steps;
        assert_eq!((steps.len(), steps[63].as_str()), (64, "and 7 more"));
        let long = Step::DeleteSecret {
            name: "x".repeat(5000),
            uid: "u".into(),
        };
        let long = after(&nothing, &observed(vec![long]), 1);
        assert_eq!(long.plan.unwrap().steps[0].chars().count(), 1024);
        // A look that failed leaves what is known; another wish, and another way to end, do not.
        assert_eq!(after(&more, &Pass::Failed(Error::Deadline(1)), 1).plan, more.plan);
        assert_eq!(after(&more, &Pass::Failed(Error::Deadline(1)), 2).plan, None);
        for pass in [
            clear(Facts::default()),
            Pass::Withheld(Withheld::Paused, Plan::default(), Facts::default()),
            Pass::ReleaseWithheld(Withheld::Paused, Foreseen::default()),
            Pass::Releasing(Releasing::again("x")),
        ] {
            assert_eq!(after(&more, &pass, 1).plan, None, "{pass:?}");
        }
    }

    fn suspended(cut: Cut, kept: Kept) -> Pass {
        Pass::Suspended(Box::new(Suspension {
            cut,
            kept,
            lost: BTreeSet::new(),
            handed_over: false,
        }))
    }

    #[test]
    fn a_suspension_is_told_by_what_became_of_the_access() {
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let all = || Kept::Applied(Plan::default(), Outcome::default(), Facts::default());
        let away = suspended(
            Cut::Away {
                deleted: true,
                settled: false,
            },
            all(),
        );
        let told = after(&moored, &away, 2);
        for says in [
            "AccessEntryReady False Suspended",
            "DeployerRoleReady True AsSpecified",
            "Ready False Suspended",
        ] {
            assert!(brief(&told).contains(&says.to_owned()), "{:?}", brief(&told));
        }
        assert_eq!(find(&told.conditions, ConditionType::Stalled), None);
        // What could not be looked at is kept, and does not hide that the access is away.
        let unseen = suspended(
            Cut::Away {
                deleted: false,
                settled: true,
            },
            Kept::Not(Some("GetRole was refused".into())),
        );
        let message =
            |told: &ManagedClusterStatus| find(&told.conditions, ConditionType::Ready).unwrap().message.clone();
        let told = after(&told, &unseen, 2);
        assert!(
            brief(&told).contains(&"SecretReady True AsSpecified".to_owned()),
            "{:?}",
            brief(&told)
        );
        assert!(
            message(&told).ends_with("could not be looked at: GetRole was refused"),
            "{}",
            message(&told)
        );
        for (cut, ready, stalled, says) in [
            (
                Cut::Blocked(theirs("a person")),
                "Ready False AccessEntryNotOurs",
                true,
                "AccessEntryReady False AccessEntryNotOurs",
            ),
            (
                Cut::Failed(Error::Aws(aws(ErrorKind::Throttled, Call::DescribeAccessEntry, "r"))),
                "Ready Unknown Throttled",
                false,
                "AccessEntryReady Unknown Throttled",
            ),
            (
                Cut::Failed(Error::Aws(aws(ErrorKind::Denied, Call::AssumeRole, "r"))),
                "Ready False AccountNotEntered",
                true,
                "AccessEntryReady Unknown NotReached",
            ),
            (
                Cut::Blocked(Blocked::ManagementRoleMissing { name: "default".into() }),
                "Ready False ManagementRoleMissing",
                true,
                "AccessEntryReady Unknown NotReached",
            ),
        ] {
            let told = after(&moored, &suspended(cut, Kept::Not(None)), 2);
            assert!(brief(&told).contains(&ready.to_owned()), "{:?}", brief(&told));
            assert!(brief(&told).contains(&says.to_owned()), "{:?}", brief(&told));
            assert_eq!(
                find(&told.conditions, ConditionType::Stalled).is_some(),
                stalled,
                "{ready}"
            );
            let says = if stalled && ready.ends_with("AccessEntryNotOurs") {
                "Argo CD's access still stands: "
            } else {
                "the access is not known to be taken away: "
            };
            assert!(message(&told).contains(says), "{}", message(&told));
        }
    }

    /// Before its steps are carried out nothing lets anybody in, and afterwards nobody looks again for a while.
    #[test]
    fn a_secret_that_is_not_written_is_told_with_the_access_that_was_made_all_the_same() {
        let principal = "arn:aws:iam::222222222222:role/mooring/second";
        let plan = Plan {
            steps: vec![Step::CreateAccessEntry {
                entry: crate::domain::eks::WantedEntry {
                    principal: principal.parse().unwrap(),
                    groups: BTreeSet::new(),
                    tags: std::iter::empty().collect(),
                },
                role_id: None,
            }],
            blocked: vec![Blocked::DuplicateCluster {
                secrets: vec!["that of ManagedCluster first has the same server or name".into()],
                next: "delete this one".into(),
                lets_in: None,
            }],
            ..Plan::default()
        };
        let says = format!(
            "Deployer role {principal} and its access entry stand all the same, and by them Argo CD's management role is let in"
        );
        let told = |pass: &Pass| -> Vec<bool> {
            let told = after(&ManagedClusterStatus::default(), pass, 1);
            let of = |kind| find(&told.conditions, kind).is_some_and(|one| one.message.contains(&says));
            [ConditionType::SecretReady, ConditionType::Ready].map(of).to_vec()
        };
        let withheld = Pass::Withheld(Withheld::Paused, plan.clone(), Facts::default());
        assert_eq!(told(&withheld), [false, false]);
        let applied = Pass::Applied(plan, Outcome::default(), Facts::default());
        assert_eq!(told(&applied), [true, true]);
    }

    #[test]
    fn what_is_held_and_as_the_spec_says_is_told_and_stands_in_nobodys_way() {
        let held = |undone: &[&str]| Blocked::Held {
            part: Part::DeployerRole,
            thing: "role x".into(),
            value: "INC-42".into(),
            undone: undone.iter().map(|&text| text.to_owned()).collect(),
        };
        let applied = |blocked: Blocked| {
            let plan = Plan {
                blocked: vec![blocked],
                ..Plan::default()
            };
            after(
                &ManagedClusterStatus::default(),
                &Pass::Applied(plan, Outcome::default(), Facts::default()),
                1,
            )
        };
        let note = applied(held(&[]));
        for says in [
            "DeployerRoleReady True Held",
            "SecretReady True AsSpecified",
            "Ready True Held",
        ] {
            assert!(brief(&note).contains(&says.to_owned()), "{:?}", brief(&note));
        }
        let drift = applied(held(&["restore the trust policy"]));
        for says in [
            "DeployerRoleReady False Held",
            "SecretReady True AsSpecified",
            "Ready False Held",
            "Stalled True Held",
        ] {
            assert!(brief(&drift).contains(&says.to_owned()), "{:?}", brief(&drift));
        }
    }

    #[test]
    fn a_failed_step_is_told_of_its_part() {
        let failure = Failure::Aws(aws(ErrorKind::Denied, Call::CreateRole, "r"));
        let outcome = Outcome::stopped(Stop::Failed(Part::DeployerRole, failure));
        let told = after(
            &ManagedClusterStatus::default(),
            &Pass::Applied(Plan::default(), outcome, Facts::default()),
            1,
        );
        assert!(
            brief(&told).contains(&"DeployerRoleReady False AccessDenied".to_owned()),
            "{:?}",
            brief(&told)
        );
        assert!(brief(&told).contains(&"ClusterReady True AsSpecified".to_owned()));
    }

    #[test]
    fn a_pass_that_broke_off_claims_nothing_of_what_it_did_not_see() {
        let error = Error::Aws(aws(ErrorKind::Denied, Call::DescribeAccessEntry, "r"));
        let told = after(&ManagedClusterStatus::default(), &Pass::Failed(error), 1);
        assert_eq!(
            brief(&told),
            [
                "AccessEntryReady False AccessDenied",
                "ClusterReady Unknown NotLookedAt",
                "DeployerRoleReady Unknown NotLookedAt",
                "ManagementRoleReady True AsSpecified",
                "Ready False AccessDenied",
                "SecretReady Unknown NotReached",
                "Stalled True AccessDenied"
            ],
            "the ManagementRole was asked before AWS was"
        );
        let unread = Pass::Failed(Error::Invalid {
            name: "prod".into(),
            why: "no field x".into(),
        });
        let told = after(&ManagedClusterStatus::default(), &unread, 1);
        assert!(brief(&told).contains(&"ManagementRoleReady Unknown NotLookedAt".to_owned()));
        let unready = Pass::Waiting(Blocked::ManagementRoleMissing { name: "default".into() });
        let missing = after(&ManagedClusterStatus::default(), &unready, 1);
        let told = after(&missing, &Pass::Failed(Error::Deadline(60)), 2);
        assert!(
            brief(&told).contains(&"ManagementRoleReady False NotLookedAt".to_owned()),
            "what was told of it is for a pass that looks to take back"
        );
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let told = after(&moored, &Pass::Failed(Error::Deadline(60)), 2);
        assert!(
            brief(&told).contains(&"DeployerRoleReady True AsSpecified".to_owned()),
            "{:?}",
            brief(&told)
        );
    }

    fn moored() -> ManagedClusterStatus {
        let secret = Some("cluster-x".to_owned());
        ManagedClusterStatus {
            secret,
            ..after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1)
        }
    }

    fn not_allowed() -> Refusal {
        Refusal::NotAllowed {
            management_role: "default".into(),
            beyond: NotAllowed(vec![Beyond::new("x", Remedy::LessOrMore)]),
        }
    }

    #[test]
    fn what_is_refused_speaks_of_access_only_where_something_was_made() {
        let told = |old| ready(&after(&old, &Pass::Refused(not_allowed(), Beside::new()), 2)).2;
        let beside = Pass::Refused(
            not_allowed(),
            [
                (Part::DeployerRole, "others may use its role".to_owned()),
                (Part::AccessEntry, "its access entry gives more".to_owned()),
            ]
            .into(),
        );
        let more = after(&moored(), &beside, 2);
        assert!(
            brief(&more).contains(&"AccessEntryReady False NotAllowed".to_owned()),
            "{:?}",
            brief(&more)
        );
        assert!(
            brief(&more).contains(&"DeployerRoleReady False NotAllowed".to_owned()),
            "{:?}",
            brief(&more)
        );
        let (_, _, message) = ready(&more);
        let both = "Besides, others may use its role; and its access entry gives more";
        assert!(message.ends_with(both), "{message}");
        assert!(told(moored()).contains("what was made before is kept as it is, access included"));
        let never = told(ManagedClusterStatus::default());
        assert!(never.ends_with("Until then nothing is made for it"), "{never}");
        let unusable = Refusal::UnusableRole {
            arn: "arn:aws:iam::222222222222:role/x".parse().unwrap(),
            why: "a service's".into(),
        };
        let told = brief(&after(
            &ManagedClusterStatus::default(),
            &Pass::Refused(unusable, Beside::new()),
            1,
        ));
        assert!(
            told.contains(&"DeployerRoleReady False UnusableRole".to_owned()),
            "{told:?}"
        );
        assert!(told.contains(&"SecretReady Unknown NotReached".to_owned()), "{told:?}");
    }

    #[test]
    fn access_that_went_while_its_successor_was_refused_is_told_first() {
        let told = |bare| {
            let denied = Failure::Aws(aws(ErrorKind::Denied, Call::AssociateAccessPolicy, "1"));
            let outcome = Outcome::stopped(Stop::Failed(Part::AccessEntry, denied));
            let facts = Facts {
                bare,
                ..Facts::default()
            };
            ready(&after(&moored(), &Pass::Applied(Plan::default(), outcome, facts), 2)).2
        };
        let lost = "Argo CD has no access policy and no group on this cluster now: ";
        assert!(told(true).starts_with(lost), "{}", told(true));
        assert!(!told(false).contains(lost));
    }

    #[test]
    fn what_is_kept_of_a_suspended_cluster_is_not_told_as_seen_where_it_was_not() {
        let kept = [
            (
                Kept::Refused(not_allowed()),
                "ManagementRoleReady False NotAllowed",
                "spec.mode Enforce would be refused as the spec is: ",
            ),
            (
                Kept::Waiting(Blocked::ManagementRoleMissing { name: "gone".into() }),
                "ManagementRoleReady False ManagementRoleMissing",
                "What stays could not be looked at: ",
            ),
        ];
        for (kept, says, said) in kept {
            let away = Cut::Away {
                deleted: false,
                settled: true,
            };
            let told = after(&moored(), &suspended(away, kept), 2);
            assert!(brief(&told).contains(&says.to_owned()), "{:?}", brief(&told));
            let secret = find(&told.conditions, ConditionType::SecretReady).unwrap();
            assert_eq!(secret.message, "as the spec said when it was last looked at");
            let (_, _, message) = ready(&told);
            assert!(message.contains(said), "{message}");
        }
        let facts = Facts {
            suspended: true,
            refused: Some(not_allowed()),
            ..Facts::default()
        };
        let told = after(&moored(), &Pass::Withheld(Withheld::Paused, Plan::default(), facts), 2);
        assert!(
            brief(&told).contains(&"ManagementRoleReady False NotAllowed".to_owned()),
            "{:?}",
            brief(&told)
        );
        let (_, reason, message) = ready(&told);
        assert_eq!(reason, "Suspended");
        assert!(
            message
                .contains("spec.mode Enforce would be refused as the spec is: ManagementRole default does not allow")
                && message.contains("run `kubectl annotate mgc prod mooring.dev/paused-`")
                && !message.contains("could not be looked at"),
            "{message}"
        );
        let facts = Facts {
            suspended: true,
            unseen: Some("GetRole was refused".into()),
            ..Facts::default()
        };
        let pass = Pass::Withheld(Withheld::Paused, Plan::default(), facts);
        let told = after(&moored(), &pass, 2);
        let secret = find(&told.conditions, ConditionType::SecretReady).unwrap();
        assert_eq!(secret.message, "as the spec said when it was last looked at");
    }

    #[test]
    fn a_secret_that_a_removal_waits_for_is_not_told_as_away_or_as_specified() {
        let waits = |drained| {
            Pass::Releasing(Releasing::blocked(Blocked::ApplicationsStillTargeting {
                why: "1 Application still deploys".into(),
                stalled: false,
                drained,
            }))
        };
        let going = after(&moored(), &waits(false), 2);
        assert!(brief(&going).contains(&"SecretReady True AsSpecified".to_owned()));
        let drained = after(&moored(), &waits(true), 2);
        assert!(brief(&drained).contains(&"SecretReady False Draining".to_owned()));
        let gone = Releasing {
            gone: BTreeSet::from([Part::Secret]),
            ..Releasing::again("looking once more")
        };
        let gone = after(&moored(), &Pass::Releasing(gone), 2);
        assert!(brief(&gone).contains(&"SecretReady False Removed".to_owned()));
        let again = after(&gone, &waits(false), 3);
        let again = after(&again, &waits(false), 4);
        let secret = find(&again.conditions, ConditionType::SecretReady).unwrap();
        let twice = after(&gone, &waits(true), 3);
        assert_eq!(
            brief(&twice)
                .iter()
                .filter(|told| told.starts_with("SecretReady"))
                .count(),
            1
        );
        assert_eq!(
            (secret.reason.as_str(), secret.message.as_str()),
            (
                "Releasing",
                "a cluster Secret stands again, after the former one was removed"
            )
        );
    }

    #[test]
    fn the_same_failure_twice_is_the_same_status() {
        let failed = |request: &str| Pass::Failed(Error::Aws(aws(ErrorKind::Denied, Call::AssumeRole, request)));
        let first = status(
            &ManagedClusterStatus::default(),
            "prod",
            None,
            Some(1),
            &failed("1"),
            at(1),
        );
        let second = status(&first, "prod", None, Some(1), &failed("2"), at(2));
        assert_eq!(first, second, "each try would be a write");
    }

    #[test]
    fn every_pass_told_twice_is_the_same_status() {
        let refused = || {
            Pass::Refused(
                Refusal::NotAllowed {
                    management_role: "d".into(),
                    beyond: NotAllowed(vec![Beyond::new("x", Remedy::LessOrMore)]),
                },
                Beside::new(),
            )
        };
        let failed = || Pass::Failed(Error::Unreadable("x".into()));
        let pairs = [
            (refused(), refused()),
            (failed(), failed()),
            (clear(Facts::default()), clear(Facts::default())),
            (
                Pass::Releasing(Releasing::again("x")),
                Pass::Releasing(Releasing::again("x")),
            ),
        ];
        let blocked = after(
            &ManagedClusterStatus::default(),
            &Pass::Waiting(Blocked::ClusterNotFound { cluster: prod() }),
            1,
        );
        for (one, two) in pairs {
            let first = status(&blocked, "prod", None, Some(1), &one, at(2));
            assert_eq!(
                first,
                status(&first, "prod", None, Some(1), &two, at(3)),
                "{}",
                brief(&first).join(", ")
            );
        }
    }

    #[test]
    fn facts_stay_until_they_are_looked_at_again() {
        let mut moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        moored.secret = Some("cluster-x".into());
        moored.deployer_role = Some(DeployerRoleStatus {
            arn: "a".into(),
            id: "AROA".into(),
        });
        moored.cluster = Some(ClusterStatus {
            endpoint: Some("https://x".into()),
            ..ClusterStatus::default()
        });
        for pass in [
            Pass::Waiting(Blocked::PolicyPending { name: "default".into() }),
            Pass::Failed(Error::Unreadable("x".into())),
            Pass::Failed(Error::Deadline(1)),
            Pass::Releasing(Releasing::again("x")),
            clear(Facts::default()),
        ] {
            let told = after(&moored, &pass, 2);
            assert_eq!(
                (&told.secret, &told.deployer_role, &told.cluster),
                (&moored.secret, &moored.deployer_role, &moored.cluster)
            );
        }
    }

    #[test]
    fn a_changed_server_is_told_at_the_secret_until_it_is_not_seen_any_more() {
        let changed = |server_changed| {
            clear(Facts {
                server_changed,
                ..Facts::default()
            })
        };
        let told = after(
            &ManagedClusterStatus::default(),
            &changed(Some(ServerChanged {
                at: at(7),
                namespace: "argocd".into(),
            })),
            1,
        );
        let secret = find(&told.conditions, ConditionType::SecretReady).unwrap();
        assert_eq!(
            (secret.status.as_str(), secret.reason.as_str()),
            ("True", "ServerChanged")
        );
        assert!(secret.message.contains("rollout restart"), "{}", secret.message);
        assert_eq!(told.server_changed_at, Some(Time(at(7))));
        let away = Cut::Away {
            deleted: false,
            settled: true,
        };
        let Pass::Applied(plan, outcome, facts) =
            changed(told.server_changed_at.clone().map(|Time(at)| ServerChanged {
                at,
                namespace: "argocd".into(),
            }))
        else {
            unreachable!()
        };
        let cut = after(
            &ManagedClusterStatus::default(),
            &suspended(away, Kept::Applied(plan, outcome, facts)),
            2,
        );
        let secret = find(&cut.conditions, ConditionType::SecretReady).unwrap();
        assert_eq!(secret.reason, "ServerChanged", "a suspended one as well");
        assert!(ready(&cut).2.contains("restarted once"), "{}", ready(&cut).2);
        assert_eq!(cut.server_changed_at, told.server_changed_at);
        // A pass that broke off has not looked.
        let kept = after(&told, &Pass::Failed(Error::Deadline(1)), 2);
        assert_eq!(kept.server_changed_at, told.server_changed_at);
        let clear = after(&kept, &changed(None), 3);
        assert_eq!(clear.server_changed_at, None);
        assert!(brief(&clear).contains(&"SecretReady True AsSpecified".to_owned()));
    }

    #[test]
    fn what_a_cluster_that_is_being_made_does_not_tell_yet_stays_as_it_was() {
        let cluster = |issuer: Option<&str>| Cluster {
            arn: "a".into(),
            state: ClusterState::Creating,
            endpoint: issuer.map(|_| "https://new".to_owned()),
            certificate_authority: None,
            version: None,
            issuer: issuer.map(str::to_owned),
            authentication_mode: crate::domain::eks::AuthenticationMode::Api,
            public_endpoint: true,
            connected: false,
            outpost_id: None,
        };
        let seen = |issuer| {
            clear(Facts {
                cluster: Some(cluster(issuer)),
                ..Facts::default()
            })
        };
        let moored = ManagedClusterStatus {
            cluster: Some(ClusterStatus {
                endpoint: Some("https://old".into()),
                issuer: Some("old".into()),
                ..ClusterStatus::default()
            }),
            ..ManagedClusterStatus::default()
        };
        let issuer = |status: &ManagedClusterStatus| status.cluster.clone().unwrap().issuer.unwrap();
        let making = after(&moored, &seen(None), 2);
        assert_eq!(issuer(&making), "old");
        assert_eq!(issuer(&after(&making, &seen(Some("new")), 3)), "new");
    }

    #[test]
    fn the_time_of_a_condition_moves_with_its_verdict_alone() {
        let time = |status: &ManagedClusterStatus| {
            find(&status.conditions, ConditionType::Ready)
                .unwrap()
                .last_transition_time
                .0
        };
        let first = after(
            &ManagedClusterStatus::default(),
            &Pass::Waiting(Blocked::ClusterNotFound { cluster: prod() }),
            1,
        );
        let second = after(
            &first,
            &Pass::Waiting(Blocked::AccessEntriesDisabled { cluster: prod() }),
            2,
        );
        assert_eq!(time(&second), at(1));
        assert_eq!(time(&after(&second, &clear(Facts::default()), 3)), at(3));
    }

    #[test]
    fn no_message_is_longer_than_the_api_takes() {
        let long = Blocked::DuplicateCluster {
            secrets: vec!["ä".repeat(300); 40],
            next: String::new(),
            lets_in: None,
        };
        let told = after(&ManagedClusterStatus::default(), &Pass::Waiting(long), 1);
        assert!(told.conditions.iter().all(|c| c.message.chars().count() <= 4096));
    }
}
