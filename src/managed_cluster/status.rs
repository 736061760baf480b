//! 6. status: what a pass means to the people who read the object. Pure but for the one write at the end.

use jiff::Timestamp;
use kube::{Api, core::DeserializeGuard};
use serde_json::Value;

use crate::{
    api::{
        ClusterStatus, DeployerRoleStatus, ManagedCluster, ManagedClusterStatus,
        condition::{ConditionType, Finding, Verdict, conditions},
    },
    domain::{arn::ClusterArn, eks::Cluster},
    kubernetes::{
        KubernetesError,
        objects::{self, FIELD_MANAGER},
    },
};

use super::{
    apply::{Outcome, Stop},
    error::Error,
    request::Refusal,
    step::{Blocked, Part, Plan},
};

/// Every way in which a pass can end.
#[derive(Debug)]
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
            match stopped.or_else(|| plan.blocked.first().map(bad_of)) {
                Some(bad) => chain(&bad),
                None => {
                    let mut findings = chain_ready();
                    findings.push(Finding::new(
                        ConditionType::Ready,
                        Verdict::True,
                        "Moored",
                        "Argo CD can deploy to this cluster",
                    ));
                    findings
                }
            }
        }
        Pass::Failed(error) => {
            let telling = error.telling();
            chain(&Bad {
                part: Some(telling.part),
                verdict: telling.verdict,
                reason: telling.reason,
                message: error.message(),
                stalled: telling.stalled,
            })
        }
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
        Failure::Aws(error) => format!("{error}. Next: {}", error.hint()),
        Failure::Kubernetes(_) | Failure::OutOfTime | Failure::NotEntered => failure.to_string(),
    };
    let (verdict, reason, stalled) = match failure {
        Failure::Aws(error) => {
            let telling = Error::Aws(error.clone()).telling();
            (telling.verdict, telling.reason, telling.stalled)
        }
        Failure::Kubernetes(_) => (Verdict::Unknown, "KubernetesError", false),
        Failure::OutOfTime | Failure::NotEntered => (Verdict::Unknown, "TimedOut", false),
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
    if matches!(pass, Pass::Refused(_) | Pass::Paused(..) | Pass::Releasing(..)) {
        keep_parts(old, &mut findings);
    }
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
    if old == new {
        return Ok(false);
    }
    let value = serde_json::to_value(new).unwrap_or(Value::Null);
    objects::apply_status(api, object, FIELD_MANAGER, &value).await?;
    Ok(true)
}
