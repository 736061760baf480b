//! 6. status: what a pass means to the people who read the object. Pure but for the one write at the end.

use jiff::Timestamp;
use kube::{Api, core::DeserializeGuard};

use crate::{
    api::{
        ClusterStatus, DeployerRoleStatus, ManagedCluster, ManagedClusterStatus,
        condition::{ConditionType, Finding, Verdict, conditions, without},
    },
    domain::{arn::ClusterArn, eks::Cluster},
    kubernetes::{
        KubernetesError,
        objects::{self, FIELD_MANAGER},
    },
};

use super::{
    apply::{Outcome, Stop},
    blocked::Blocked,
    error::Error,
    request::Refusal,
    step::{Part, Plan},
};

/// Every way in which a pass can end.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for the length of a pass")]
pub enum Pass {
    /// The spec asks for what it cannot have.
    Refused(Refusal),
    /// Nothing in the account was looked at yet.
    Waiting(Blocked),
    /// Everything was looked at, and nothing written, because the object is paused.
    Paused(Plan, Facts),
    /// The plan was carried out as far as it went.
    Applied(Plan, Outcome, Facts),
    /// The pass could not be carried through.
    Failed(Error),
    /// The object is being removed, and this is what remains.
    Releasing(String, Option<Blocked>),
}

/// What was seen and belongs into the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The cluster as AWS describes it.
    pub cluster: Option<Cluster>,
    /// The cluster Secret's name.
    pub secret: Option<String>,
}

/// What holds after a pass: a finding for each part, the summary, and `Stalled` when a person must act.
#[must_use]
pub fn findings(pass: &Pass) -> Vec<Finding> {
    match pass {
        Pass::Refused(refusal) => {
            let reason = match refusal {
                Refusal::Invalid(_) => "InvalidSpec",
                Refusal::NotAllowed { .. } => "NotAllowed",
                Refusal::OtherPartition { .. } => "OtherPartition",
            };
            let message = format!("{refusal}. What was made before is kept as it is");
            summarise(
                Vec::new(),
                &Bad {
                    part: None,
                    verdict: Verdict::False,
                    reason,
                    message,
                    stalled: true,
                },
            )
        }
        Pass::Waiting(blocked) => chain(&bad_of(blocked)),
        Pass::Paused(plan, _) if plan.is_clean() => {
            let mut findings = chain_ready();
            findings.push(Finding::new(
                ConditionType::Ready,
                Verdict::True,
                "Paused",
                "everything is as the spec says; nothing will be written while mooring.dev/paused is set",
            ));
            findings
        }
        Pass::Paused(plan, _) => {
            let words: Vec<String> = plan
                .steps
                .iter()
                .map(super::Step::words)
                .chain(plan.blocked.iter().map(Blocked::message))
                .collect();
            let message = format!("mooring.dev/paused is set, so this is not done: {}", words.join("; "));
            summarise(
                Vec::new(),
                &Bad {
                    part: None,
                    verdict: Verdict::False,
                    reason: "Paused",
                    message,
                    stalled: false,
                },
            )
        }
        Pass::Applied(plan, outcome, _) => {
            let stopped = outcome.stop().map(|stop| match stop {
                Stop::Blocked(blocked) => bad_of(blocked),
                Stop::Failed(part, failure) => failed_step(*part, failure),
            });
            if let Some(bad) = stopped.or_else(|| plan.blocked.first().map(bad_of)) {
                return chain(&bad);
            }
            let mut findings = chain_ready();
            let message = "Argo CD can deploy to this cluster";
            findings.push(Finding::new(ConditionType::Ready, Verdict::True, "Moored", message));
            findings
        }
        Pass::Failed(error) => failed(error),
        Pass::Releasing(message, blocked) => summarise(
            Vec::new(),
            &Bad {
                part: None,
                verdict: Verdict::False,
                reason: blocked.as_ref().map_or("Releasing", Blocked::reason),
                message: message.clone(),
                stalled: blocked.as_ref().is_some_and(Blocked::stalled),
            },
        ),
    }
}

/// A pass that broke off knows of the one part that it broke off at; of the others nothing new.
fn failed(error: &Error) -> Vec<Finding> {
    let telling = error.telling();
    let message = error.message();
    let part = Finding::new(telling.part.condition(), telling.verdict, telling.reason, &message);
    let unread = matches!(error, Error::Unreadable(_));
    let parts = if unread { Vec::new() } else { vec![part] };
    summarise(
        parts,
        &Bad {
            part: Some(telling.part),
            verdict: telling.verdict,
            reason: telling.reason,
            message,
            stalled: telling.stalled,
        },
    )
}

/// The first thing that does not hold.
struct Bad {
    part: Option<Part>,
    verdict: Verdict,
    reason: &'static str,
    message: String,
    stalled: bool,
}

fn bad_of(blocked: &Blocked) -> Bad {
    Bad {
        part: Some(blocked.part()),
        verdict: Verdict::False,
        reason: blocked.reason(),
        message: blocked.message(),
        stalled: blocked.stalled(),
    }
}

fn failed_step(part: Part, failure: &super::apply::Failure) -> Bad {
    use super::apply::Failure;
    let message = match failure {
        Failure::Aws(error) => super::in_words(error),
        Failure::Kubernetes(_) | Failure::OutOfTime | Failure::NotEntered | Failure::Stopping => failure.to_string(),
    };
    let (verdict, reason, stalled) = match failure {
        Failure::Aws(error) => {
            let telling = Error::Aws(error.clone()).telling();
            (telling.verdict, telling.reason, telling.stalled)
        }
        Failure::Kubernetes(_) => (Verdict::Unknown, "KubernetesError", false),
        Failure::OutOfTime | Failure::NotEntered => (Verdict::Unknown, "TimedOut", false),
        Failure::Stopping => (Verdict::Unknown, "OperatorStopping", false),
    };
    Bad {
        part: Some(part),
        verdict,
        reason,
        message,
        stalled,
    }
}

fn chain_ready() -> Vec<Finding> {
    Part::ALL
        .map(|part| Finding::new(part.condition(), Verdict::True, "AsSpecified", "as the spec says"))
        .to_vec()
}

/// Parts before the first bad one hold, since the chain is made in order; those behind it were not reached.
fn chain(bad: &Bad) -> Vec<Finding> {
    let at = bad.part.unwrap_or(Part::ManagementRole);
    let parts = Part::ALL
        .into_iter()
        .map(|part| match part.cmp(&at) {
            std::cmp::Ordering::Less => {
                Finding::new(part.condition(), Verdict::True, "AsSpecified", "as the spec says")
            }
            std::cmp::Ordering::Equal => Finding::new(part.condition(), bad.verdict, bad.reason, &bad.message),
            std::cmp::Ordering::Greater => Finding::new(
                part.condition(),
                Verdict::Unknown,
                "NotReached",
                format!("waits for {}", at.condition().as_str()),
            ),
        })
        .collect();
    summarise(parts, bad)
}

fn summarise(mut findings: Vec<Finding>, bad: &Bad) -> Vec<Finding> {
    findings.push(Finding::new(
        ConditionType::Ready,
        bad.verdict,
        bad.reason,
        &bad.message,
    ));
    if bad.stalled {
        findings.push(Finding::new(
            ConditionType::Stalled,
            Verdict::True,
            bad.reason,
            &bad.message,
        ));
    }
    findings
}

/// The whole status after a pass. What the pass did not look at is kept from before.
#[must_use]
pub fn status(
    old: &ManagedClusterStatus,
    cluster: Option<&ClusterArn>,
    generation: Option<i64>,
    pass: &Pass,
    now: Timestamp,
) -> ManagedClusterStatus {
    let mut findings = findings(pass);
    keep_parts(old, &mut findings);
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
            Some(facts)
        }
        Pass::Paused(_, facts) => Some(facts),
        Pass::Refused(_) | Pass::Waiting(_) | Pass::Failed(_) | Pass::Releasing(..) => None,
    };
    if let Some(facts) = facts {
        status.secret = facts.secret.clone().or(status.secret);
        if let (Some(told), Some(seen)) = (&mut status.cluster, &facts.cluster) {
            told.endpoint.clone_from(&seen.endpoint);
            told.version.clone_from(&seen.version);
            told.issuer.clone_from(&seen.issuer);
        }
    }
    status
}

/// What earlier passes found of the parts stands until they are looked at again.
fn keep_parts(old: &ManagedClusterStatus, findings: &mut Vec<Finding>) {
    for part in Part::ALL.map(Part::condition) {
        if findings.iter().any(|finding| finding.kind == part) {
            continue;
        }
        let Some(kept) = old.conditions.iter().find(|c| c.type_ == part.as_str()) else {
            continue;
        };
        let verdict = [Verdict::True, Verdict::False]
            .into_iter()
            .find(|v| v.as_str() == kept.status);
        let reason = if verdict == Some(Verdict::True) {
            "AsSpecified"
        } else {
            "NotLookedAt"
        };
        findings.push(Finding::new(
            part,
            verdict.unwrap_or(Verdict::Unknown),
            reason,
            kept.message.clone(),
        ));
    }
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
        api::condition::find,
        aws::{AwsError, Call, ErrorKind},
        domain::eks::ClusterState,
        managed_cluster::{Step, apply::Failure},
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
        status(old, None, Some(second), pass, at(second))
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

    fn every_blocked() -> Vec<Blocked> {
        let text = || "some-thing".to_owned();
        let set = || BTreeSet::from(["one".to_owned(), "two".to_owned()]);
        let mut all = vec![
            Blocked::ManagementRoleMissing { name: text() },
            Blocked::ManagementRoleNotReady {
                why: "ManagementRole default is not ready: it has not been looked at yet".into(),
            },
            Blocked::NamespaceNotServed { namespace: text() },
            Blocked::PolicyPending { name: text() },
            Blocked::ClusterNotFound,
            Blocked::AccessEntriesDisabled,
            Blocked::ConnectedCluster,
            Blocked::RoleNotOurs {
                arn: text(),
                owner: text(),
            },
            Blocked::ForeignPolicyAttached {
                role: text(),
                policies: set(),
            },
            Blocked::Unconfirmed { what: text() },
            Blocked::EntryNotOurs { owner: text() },
            Blocked::Propagating { what: text() },
            Blocked::DuplicateCluster { secrets: vec![text()] },
            Blocked::SecretNotOurs { name: text() },
            Blocked::SecretGoing { name: text() },
            Blocked::UnusableConnection { why: text() },
            Blocked::RetentionPending { name: text() },
        ];
        all.extend(
            [ClusterState::Creating, ClusterState::Failed, ClusterState::Deleting]
                .map(|state| Blocked::ClusterNotActive { state }),
        );
        all.push(Blocked::RolePropagating);
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
            let shared = matches!(blocked, Blocked::ClusterNotActive { .. } | Blocked::RolePropagating);
            assert!(reasons.insert(reason) || shared, "{reason} is told of two things");
        }
    }

    #[test]
    fn stalled_is_there_only_when_a_person_must_act() {
        for blocked in every_blocked() {
            let (stalled, reason) = (blocked.stalled(), blocked.reason());
            let part = blocked.part();
            let plan = Plan {
                blocked: vec![blocked.clone()],
                ..Plan::default()
            };
            for pass in [
                Pass::Waiting(blocked.clone()),
                Pass::Applied(plan, Outcome::default(), Facts::default()),
                Pass::Releasing("what remains".into(), Some(blocked)),
            ] {
                let told = after(&ManagedClusterStatus::default(), &pass, 1);
                let ready = find(&told.conditions, ConditionType::Ready).unwrap();
                assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reason));
                let stands = find(&told.conditions, ConditionType::Stalled);
                assert_eq!(stands.is_some(), stalled, "{reason}");
                assert!(stands.is_none_or(|c| c.status == "True" && c.message == ready.message));
                if !matches!(pass, Pass::Releasing(..)) {
                    let of_part = find(&told.conditions, part.condition()).unwrap();
                    assert_eq!((of_part.status.as_str(), of_part.reason.as_str()), ("False", reason));
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
            beyond: vec!["account 2".into(), "region x".into()],
        };
        let planned = Plan {
            steps: vec![Step::DeleteAccessEntry],
            ..Plan::default()
        };
        let denied = || Error::Aws(aws(ErrorKind::Denied, Call::AssumeRole, "r"));
        let cases = [
            (clear(Facts::default()), "Ready True Moored", false, "can deploy"),
            (
                Pass::Paused(Plan::default(), Facts::default()),
                "Ready True Paused",
                false,
                "mooring.dev/paused",
            ),
            (
                Pass::Paused(planned, Facts::default()),
                "Ready False Paused",
                false,
                "delete the access entry",
            ),
            (
                Pass::Refused(refused),
                "Ready False NotAllowed",
                true,
                "account 2, nor region x",
            ),
            (
                Pass::Releasing("looking once more".into(), None),
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
                "Ready False AccessDenied",
                "Stalled True AccessDenied"
            ]
        );
        let moored = after(&ManagedClusterStatus::default(), &clear(Facts::default()), 1);
        let told = after(&moored, &Pass::Failed(Error::Deadline(60)), 2);
        assert!(
            brief(&told).contains(&"DeployerRoleReady True AsSpecified".to_owned()),
            "{:?}",
            brief(&told)
        );
    }

    #[test]
    fn the_same_failure_twice_is_the_same_status() {
        let failed = |request: &str| Pass::Failed(Error::Aws(aws(ErrorKind::Denied, Call::AssumeRole, request)));
        let first = status(&ManagedClusterStatus::default(), None, Some(1), &failed("1"), at(1));
        let second = status(&first, None, Some(1), &failed("2"), at(2));
        assert_eq!(first, second, "each try would be a write");
    }

    #[test]
    fn every_pass_told_twice_is_the_same_status() {
        let refused = || {
            Pass::Refused(Refusal::NotAllowed {
                management_role: "d".into(),
                beyond: vec!["x".into()],
            })
        };
        let failed = || Pass::Failed(Error::Unreadable("x".into()));
        let pairs = [
            (refused(), refused()),
            (failed(), failed()),
            (clear(Facts::default()), clear(Facts::default())),
            (Pass::Releasing("x".into(), None), Pass::Releasing("x".into(), None)),
        ];
        let blocked = after(
            &ManagedClusterStatus::default(),
            &Pass::Waiting(Blocked::ClusterNotFound),
            1,
        );
        for (one, two) in pairs {
            let first = status(&blocked, None, Some(1), &one, at(2));
            assert_eq!(
                first,
                status(&first, None, Some(1), &two, at(3)),
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
            Pass::Releasing("x".into(), None),
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
    fn the_time_of_a_condition_moves_with_its_verdict_alone() {
        let time = |status: &ManagedClusterStatus| {
            find(&status.conditions, ConditionType::Ready)
                .unwrap()
                .last_transition_time
                .0
        };
        let first = after(
            &ManagedClusterStatus::default(),
            &Pass::Waiting(Blocked::ClusterNotFound),
            1,
        );
        let second = after(&first, &Pass::Waiting(Blocked::AccessEntriesDisabled), 2);
        assert_eq!(time(&second), at(1));
        assert_eq!(time(&after(&second, &clear(Facts::default()), 3)), at(3));
    }

    #[test]
    fn no_message_is_longer_than_the_api_takes() {
        let long = Blocked::DuplicateCluster {
            secrets: vec!["ä".repeat(300); 40],
        };
        let told = after(&ManagedClusterStatus::default(), &Pass::Waiting(long), 1);
        assert!(told.conditions.iter().all(|c| c.message.chars().count() <= 4096));
    }
}
