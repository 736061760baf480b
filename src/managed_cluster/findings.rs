//! What a pass means for the conditions: a finding for each part of the chain, and the summary. Pure.

mod applied;
mod released;
mod suspended;
mod withheld;

use self::applied::{RESTART, of_part};
pub(super) use self::{
    released::{RELEASING, stands_again},
    suspended::ACCESS_STANDS,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{
        ManagedClusterStatus,
        condition::{ConditionType, Finding, Verdict, find},
    },
    domain::eks::ClusterState,
};

use super::{
    apply::{Failure, Stop},
    blocked::Blocked,
    chain::{self, chain, summarise},
    error::{Error, OPERATOR_STOPPING},
    request::Refusal,
    server::ServerChanged,
    status::Pass,
    step::{Part, Plan},
};

/// What holds after a pass: a finding for each part, the summary, and `Stalled` when a person must act. `made` says whether
/// something was made for the object before.
#[must_use]
pub fn findings(pass: &Pass, object: &str, made: bool) -> Vec<Finding> {
    match pass {
        Pass::Refused(refusal, beside) => {
            let (part, reason) = part_of(refusal);
            let until_then = if made {
                "nothing is changed for it: what was made before is kept as it is, access included (spec.mode: Suspended takes that away)"
            } else {
                "nothing is made for it"
            };
            let mut message = format!("{refusal}. Until then {until_then}");
            if !beside.is_empty() {
                let all: Vec<&str> = beside.values().map(String::as_str).collect();
                message.push_str(". Besides, ");
                message.push_str(&all.join("; and "));
            }
            let mut told = at_its_part(&Bad {
                part,
                verdict: Verdict::False,
                reason,
                message,
                stalled: true,
            });
            for (part, beside) in beside {
                set(&mut told, *part, Verdict::False, reason, beside);
            }
            told
        }
        Pass::Waiting(blocked) => chain(&bad_of(blocked)),
        Pass::Withheld(withheld, plan, facts) => withheld::told(*withheld, object, plan, facts),
        Pass::Applied(plan, outcome, facts) => applied::told(&plan.carried_out(outcome), outcome, facts),
        Pass::Suspended(suspension) => suspended::told(suspension, object),
        Pass::Failed(error) => failed(error),
        Pass::Releasing(releasing) => released::told(releasing),
        Pass::ReleaseWithheld(withheld, foreseen) => released::withheld(*withheld, object, foreseen),
    }
}

/// The part that a refusal is told of, where it is of one, and its reason. What is not allowed is told of whoever does not
/// allow it.
fn part_of(refusal: &Refusal) -> (Option<Part>, &'static str) {
    match refusal {
        Refusal::Invalid(_) => (None, "InvalidSpec"),
        Refusal::NotAllowed { .. } => (Some(Part::ManagementRole), "NotAllowed"),
        Refusal::OtherPartition { .. } => (None, "OtherPartition"),
        Refusal::UnusableRole { .. } => (Some(Part::DeployerRole), "UnusableRole"),
    }
}

/// Tells that the cluster Secret still asks for something though it is as the spec says.
fn tell_restart(parts: &mut Vec<Finding>, changed: &ServerChanged) {
    set(parts, Part::Secret, Verdict::True, "ServerChanged", &changed.message());
}

fn with(mut parts: Vec<Finding>, finding: Finding) -> Vec<Finding> {
    parts.push(finding);
    parts
}

/// A pass that broke off knows of the one part that it broke off at; of the others nothing new.
fn failed(error: &Error) -> Vec<Finding> {
    at_its_part(&bad_error(error))
}

/// That a pass was let by the `ManagementRole` before it broke off or found a role that can be none, where no pass has told
/// of it yet: it is asked before anything of AWS is.
pub(super) fn let_by(pass: &Pass, old: &[Condition]) -> Option<Finding> {
    let message = match pass {
        Pass::Failed(Error::Unreadable(_) | Error::Invalid { .. } | Error::Panicked(_)) => return None,
        Pass::Failed(_) => "it is ready and allows what the spec asks for",
        Pass::Refused(Refusal::UnusableRole { .. }, _) => "it is ready",
        Pass::Releasing(releasing) if released::got_in(releasing) => "it lets the removal go on",
        Pass::Refused(..)
        | Pass::Waiting(_)
        | Pass::Withheld(..)
        | Pass::Applied(..)
        | Pass::Suspended(_)
        | Pass::Releasing(_)
        | Pass::ReleaseWithheld(..) => return None,
    };
    let kind = Part::ManagementRole.condition();
    let told = find(old, kind);
    let known = told.is_some_and(|told| {
        // What a removal waited for there is over.
        let over = matches!(pass, Pass::Releasing(_)) && told.status != Verdict::True.as_str();
        told.message != chain::NOT_YET && !over
    });
    (!known).then(|| Finding::new(kind, Verdict::True, "AsSpecified", message))
}

/// What is told of an access entry whose cluster is gone, until a pass comes to the part again.
const WENT: &str = "; there is none: it went with the cluster that was moored";

/// Tells of each part that was not come to and was made before that it is left as it is; of an access entry, that it went
/// with its cluster.
pub(super) fn tell_what_stands(findings: &mut [Finding], pass: &Pass, old: &ManagedClusterStatus) {
    let entry = Part::AccessEntry.condition();
    let told_before = find(&old.conditions, entry).is_some_and(|told| told.message.ends_with(WENT));
    let stands = |one: &Finding| one.kind == ConditionType::ClusterReady && one.verdict == Verdict::True;
    let went = told_before && !findings.iter().any(stands) || cluster_went(pass);
    let changed = |kind: ConditionType| matches!(pass, Pass::Applied(plan, outcome, _) if plan.steps.iter().any(|step| step.part().condition() == kind && outcome.did(step)));
    let recorded = (old.access_entry.as_ref()).is_some_and(|entry| entry.arn.is_some());
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.reason == chain::NOT_REACHED && !changed(finding.kind))
    {
        let made = [
            (Part::DeployerRole, old.deployer_role.is_some()),
            (Part::AccessEntry, recorded),
            (Part::Secret, old.secret.is_some()),
        ];
        if made
            .iter()
            .any(|(part, made)| *made && part.condition() == finding.kind)
        {
            finding.message.push_str(if finding.kind == entry && went {
                WENT
            } else {
                "; what was made before is left as it is"
            });
        }
    }
}

/// Whether a pass found the cluster gone, or another one being made under its name: an access entry goes with its cluster.
fn cluster_went(pass: &Pass) -> bool {
    let went = |blocked: &Blocked| {
        matches!(
            blocked,
            Blocked::ClusterGone { .. }
                | Blocked::ClusterNotActive {
                    state: ClusterState::Creating | ClusterState::Pending,
                    ..
                }
        )
    };
    match pass {
        Pass::Waiting(blocked) => went(blocked),
        Pass::Applied(plan, ..) | Pass::Withheld(_, plan, _) => plan.blocked.iter().any(went),
        Pass::Refused(..) | Pass::Suspended(_) | Pass::Failed(_) | Pass::Releasing(_) | Pass::ReleaseWithheld(..) => {
            false
        }
    }
}

/// What is told of one part alone, and of the whole.
fn at_its_part(bad: &Bad) -> Vec<Finding> {
    let part = bad
        .part
        .map(|part| Finding::new(part.condition(), bad.verdict, bad.reason, &bad.message));
    summarise(part.into_iter().collect(), bad)
}

/// The first thing that does not hold.
type Bad = chain::Bad<Part>;

fn bad_of(blocked: &Blocked) -> Bad {
    Bad {
        part: Some(blocked.part()),
        verdict: blocked.verdict(),
        reason: blocked.reason(),
        message: blocked.message(),
        stalled: blocked.stalled(),
    }
}

fn bad_error(error: &Error) -> Bad {
    let telling = error.telling();
    let unread = matches!(error, Error::Unreadable(_) | Error::Invalid { .. });
    Bad {
        part: (!unread).then_some(telling.part),
        verdict: telling.verdict,
        reason: telling.reason,
        message: error.message(),
        stalled: telling.stalled,
    }
}

fn bad_stop(stop: &Stop) -> Bad {
    match stop {
        Stop::Blocked(blocked) => bad_of(blocked),
        Stop::Failed(part, failure) => failed_step(*part, failure),
    }
}

fn failed_step(part: Part, failure: &Failure) -> Bad {
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
        Failure::Stopping => (Verdict::Unknown, OPERATOR_STOPPING, false),
    };
    Bad {
        part: Some(part),
        verdict,
        reason,
        message,
        stalled,
    }
}

const BESIDE: &str = "others' additions, which Mooring leaves alone";

/// A part that holds, with what others wrote beside.
fn with_others(plan: &Plan, part: Part) -> Finding {
    let message = plan.beside.get(&part).map_or_else(
        || "as the spec says".to_owned(),
        |beside| format!("as the spec says; {BESIDE}: {}", beside.join("; ")),
    );
    Finding::new(part.condition(), Verdict::True, "AsSpecified", message)
}

/// Puts another finding in the place of what is told of a part.
fn set(parts: &mut Vec<Finding>, part: Part, verdict: Verdict, reason: &'static str, message: &str) {
    parts.retain(|finding| finding.kind != part.condition());
    parts.push(Finding::new(part.condition(), verdict, reason, message));
}
