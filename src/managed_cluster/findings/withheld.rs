//! What it means for the conditions that nothing is written.

use crate::{
    api::condition::{ConditionType, Finding, Verdict},
    managed_cluster::{
        Blocked, Part, Plan, Step,
        status::{Facts, SUSPENDED},
        withheld::Withheld,
    },
};

use super::{
    Bad, of_part, part_of, set, summarise,
    suspended::{NO_ENTRY, not_to_be_enforced, stands},
    with,
};

/// What is not as the spec says is told, and at its own part.
pub(super) fn told(withheld: Withheld, object: &str, plan: &Plan, facts: &Facts) -> Vec<Finding> {
    let object = format!("mgc {object}");
    let all = undone(plan, facts, |_| true);
    let in_the_way: Vec<String> = plan
        .blocked
        .iter()
        .filter(|blocked| is_wanted(blocked))
        .map(Blocked::found)
        .collect();
    let clean = plan.steps.is_empty() && plan.blocked.iter().all(is_no_obstacle) && facts.not_admitted.is_none();
    let tell = |part: Part| {
        let undone = undone(plan, facts, |of| of == part);
        let found = of_part(plan, part);
        let unconfirmed = |blocked: &&Blocked| blocked.part() == part && blocked.second_look();
        if let Some(blocked) = plan.blocked.iter().find(unconfirmed) {
            return Finding::new(part.condition(), blocked.verdict(), blocked.reason(), blocked.found());
        }
        if undone.is_empty() || found.verdict != Verdict::True || clean {
            return found;
        }
        Finding::new(
            part.condition(),
            Verdict::False,
            withheld.reason(),
            withheld.undone(&undone),
        )
    };
    let mut parts = Part::ALL.map(tell).to_vec();
    if let Some(changed) = &facts.server_changed {
        add(&mut parts, Part::Secret, &changed.told());
    }
    if facts.unseen.is_some() || facts.refused.is_some() {
        // Only what takes the access away was looked at.
        parts.retain(|finding| finding.kind == Part::AccessEntry.condition());
    }
    if let Some(refusal) = &facts.refused
        && let (Some(part), reason) = part_of(refusal)
    {
        set(&mut parts, part, Verdict::False, reason, &refusal.to_string());
    }
    let cut_off = is_cut_off(plan);
    if facts.suspended && cut_off {
        set(&mut parts, Part::AccessEntry, Verdict::False, SUSPENDED, NO_ENTRY);
    }
    let unseen = facts
        .unseen
        .iter()
        .map(|why| format!("what stays could not be looked at: {why}"))
        .chain(facts.refused.iter().map(not_to_be_enforced));
    if clean && !facts.suspended {
        let notes: Vec<String> = [withheld.nothing_to_do(&object)]
            .into_iter()
            .chain(in_the_way)
            .collect();
        let finding = Finding::new(ConditionType::Ready, Verdict::True, withheld.reason(), notes.join("; "));
        return with(parts, finding);
    }
    let (reason, message) = if clean {
        let told = format!("{NO_ENTRY}; {}", withheld.until(&object));
        let notes: Vec<String> = [told].into_iter().chain(in_the_way).chain(unseen).collect();
        (SUSPENDED, notes.join("; "))
    } else {
        let not_done = if plan.blocked.iter().any(Blocked::is_one_too_many) {
            withheld.in_vain(&in_the_way)
        } else {
            withheld.not_done(&object, &all, &in_the_way)
        };
        let told = if facts.suspended && !cut_off {
            format!("{}: {not_done}", stands(true))
        } else {
            not_done
        };
        let told: Vec<String> = [told].into_iter().chain(unseen).collect();
        (withheld.reason(), told.join(". Besides, "))
    };
    summarise(
        parts,
        &Bad {
            part: None,
            verdict: Verdict::False,
            reason,
            message,
            stalled: false,
        },
    )
}

/// Adds to what is told of a part.
fn add(parts: &mut [Finding], part: Part, more: &str) {
    for finding in parts.iter_mut().filter(|finding| finding.kind == part.condition()) {
        finding.message = format!("{}; {more}", finding.message);
    }
}

/// What a person wants so, and what only stands beside.
fn is_no_obstacle(blocked: &Blocked) -> bool {
    blocked.is_note() || matches!(blocked, Blocked::Suspended { .. })
}

/// Whether no access entry is left to delete.
fn is_cut_off(plan: &Plan) -> bool {
    let entry = |part: Part| part == Part::AccessEntry;
    !plan.steps.iter().any(|step| entry(step.part()))
        && !plan
            .blocked
            .iter()
            .any(|blocked| entry(blocked.part()) && !is_no_obstacle(blocked))
}

/// What a person did not ask for by suspending the object.
fn is_wanted(blocked: &Blocked) -> bool {
    !matches!(blocked, Blocked::Suspended { .. })
}

/// What would be done, in words.
fn undone(plan: &Plan, facts: &Facts, of: impl Fn(Part) -> bool) -> Vec<String> {
    let admit = facts.admission().filter(|_| of(Part::ManagementRole));
    let steps = plan.steps.iter().filter(|step| of(step.part()));
    admit.into_iter().chain(steps.map(Step::words)).collect()
}
