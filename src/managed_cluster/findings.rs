//! What a pass means for the conditions: a finding for each part of the chain, and the summary. Pure.

use crate::api::condition::{ConditionType, Finding, Verdict};

use super::{
    apply::{Failure, Stop},
    blocked::Blocked,
    error::Error,
    request::Refusal,
    status::{Facts, Pass},
    step::{Part, Plan},
    withheld::Withheld,
};

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
        Pass::Withheld(withheld, plan, facts) => told_withheld(*withheld, plan, facts),
        Pass::Applied(plan, outcome, facts) => {
            let stopped = outcome.stop().map(|stop| match stop {
                Stop::Blocked(blocked) => bad_of(blocked),
                Stop::Failed(part, failure) => failed_step(*part, failure),
            });
            if let Some(bad) = stopped.or_else(|| plan.blocked.first().map(bad_of)) {
                return chain(&bad);
            }
            let mut findings = chain_ready();
            let mut message = "Argo CD can deploy to this cluster";
            if let Some(changed) = &facts.server_changed {
                findings.retain(|finding| finding.kind != ConditionType::SecretReady);
                let told = changed.message();
                findings.push(Finding::new(
                    ConditionType::SecretReady,
                    Verdict::True,
                    "ServerChanged",
                    told,
                ));
                message = "Argo CD can deploy to this cluster; its application controller is to be restarted once, as SecretReady says";
            }
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

/// Nothing was written: what is not as the spec says is told, and at its own part.
fn told_withheld(withheld: Withheld, plan: &Plan, facts: &Facts) -> Vec<Finding> {
    let undone = undone(plan, facts, |_| true);
    if undone.is_empty() {
        let mut findings = chain_ready();
        findings.push(Finding::new(
            ConditionType::Ready,
            Verdict::True,
            withheld.reason(),
            withheld.nothing_to_do(),
        ));
        return findings;
    }
    let stuck = plan.blocked.iter().map(Blocked::part).min();
    let tell = |part: Part| {
        let undone = undone_of(plan, facts, part);
        if !undone.is_empty() {
            let in_the_way = plan.blocked.iter().find(|blocked| blocked.part() == part);
            let reason = in_the_way.map_or_else(|| withheld.reason(), Blocked::reason);
            return Finding::new(part.condition(), Verdict::False, reason, undone.join("; "));
        }
        match stuck.filter(|stuck| *stuck < part) {
            Some(stuck) => not_reached(part, stuck),
            None => as_specified(part),
        }
    };
    summarise(
        Part::ALL.map(tell).to_vec(),
        &Bad {
            part: None,
            verdict: Verdict::False,
            reason: withheld.reason(),
            message: withheld.not_done(&undone),
            stalled: false,
        },
    )
}

fn undone_of(plan: &Plan, facts: &Facts, part: Part) -> Vec<String> {
    undone(plan, facts, |of| of == part)
}

/// What would be done and what stands in its way, in words.
fn undone(plan: &Plan, facts: &Facts, of: impl Fn(Part) -> bool) -> Vec<String> {
    let admit = facts.admission().filter(|_| of(Part::ManagementRole));
    let steps = plan.steps.iter().filter(|step| of(step.part()));
    let blocked = plan.blocked.iter().filter(|blocked| of(blocked.part()));
    admit
        .into_iter()
        .chain(steps.map(super::Step::words))
        .chain(blocked.map(Blocked::message))
        .collect()
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
    Part::ALL.map(as_specified).to_vec()
}

fn as_specified(part: Part) -> Finding {
    Finding::new(part.condition(), Verdict::True, "AsSpecified", "as the spec says")
}

fn not_reached(part: Part, stuck: Part) -> Finding {
    let message = format!("waits for {}", stuck.condition().as_str());
    Finding::new(part.condition(), Verdict::Unknown, "NotReached", message)
}

/// Parts before the first bad one hold, since the chain is made in order; those behind it were not reached.
fn chain(bad: &Bad) -> Vec<Finding> {
    let at = bad.part.unwrap_or(Part::ManagementRole);
    let parts = Part::ALL
        .into_iter()
        .map(|part| match part.cmp(&at) {
            std::cmp::Ordering::Less => as_specified(part),
            std::cmp::Ordering::Equal => Finding::new(part.condition(), bad.verdict, bad.reason, &bad.message),
            std::cmp::Ordering::Greater => not_reached(part, at),
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
