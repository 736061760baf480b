//! What a pass for which nothing is written means for the conditions.

use crate::{
    api::condition::{Finding, Verdict},
    managed_cluster::{
        Withheld,
        chain::{as_specified, summarise},
    },
    management_role::{
        blocked::SHUT_OUT,
        step::{Blocked, Part, Plan, Step},
    },
};

use super::Bad;

/// Nothing is written: what is not as the spec says is told, and at its own part.
pub(super) fn told(withheld: Withheld, object: &str, plan: &Plan) -> Vec<Finding> {
    let steps = |of: &dyn Fn(Part) -> bool| -> Vec<String> {
        let here = plan.steps.iter().filter(|step| of(step.part()));
        here.map(Step::words).collect()
    };
    let blocked = |of: &dyn Fn(Option<Part>) -> bool| -> Vec<&Blocked> {
        plan.blocked.iter().filter(|blocked| of(blocked.part())).collect()
    };
    let words = |blocked: &[&Blocked]| -> Vec<String> { blocked.iter().map(|blocked| blocked.found()).collect() };
    let mut parts: Vec<Finding> = Vec::new();
    for part in Part::ALL {
        let (undone, here) = (steps(&|of| of == part), blocked(&|of| of == Some(part)));
        let finding = if let Some(first) = here.iter().find(|blocked| !blocked.is_note()) {
            Finding::new(
                part.condition(),
                Verdict::False,
                first.reason(),
                words(&here).join("; "),
            )
        } else if undone.is_empty() {
            as_specified(part)
        } else {
            let told = withheld.undone(&undone);
            Finding::new(part.condition(), Verdict::False, withheld.reason(), told)
        };
        parts.push(finding);
    }
    let mut bad: Bad = Bad {
        part: None,
        verdict: Verdict::False,
        reason: withheld.reason(),
        message: withheld.not_done(&format!("mgr {object}"), &steps(&|_| true), &words(&blocked(&|_| true))),
        stalled: false,
    };
    tell_shut_out(&mut bad.message, &plan.steps);
    summarise(parts, &bad)
}

/// Tells first what steps that are not done mean for the whole fleet.
pub(super) fn tell_shut_out<'a>(message: &mut String, undone: impl IntoIterator<Item = &'a Step>) {
    if undone.into_iter().any(Step::shuts_out) {
        *message = format!("{SHUT_OUT}: {message}");
    }
}
