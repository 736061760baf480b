//! A plan as it stands in a status. Pure.

use crate::{
    api::PlanStatus,
    managed_cluster::{
        Blocked,
        step::{Plan, Step},
    },
};

use super::Facts;

/// The most steps that stand in a status, and the most characters of each.
const STEPS: usize = 64;
const STEP_LENGTH: usize = 1024;

/// A plan as people read it.
pub(super) fn in_words(plan: &Plan, facts: &Facts) -> PlanStatus {
    let steps = facts.admission().into_iter().chain(plan.steps.iter().map(Step::words));
    PlanStatus {
        steps: bounded(steps),
        blocked: bounded(plan.blocked.iter().map(Blocked::message)),
    }
}

fn bounded(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = texts.map(|text| text.chars().take(STEP_LENGTH).collect()).collect();
    if all.len() > STEPS {
        let left_out = all.split_off(STEPS - 1).len();
        all.push(format!("and {left_out} more"));
    }
    all
}
