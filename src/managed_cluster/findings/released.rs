//! What a removal means for the conditions. What was found of the parts before stands, but for what it takes away first.

use crate::{
    api::condition::{Finding, Verdict},
    managed_cluster::{
        Blocked, Part, Step,
        status::{Cut, Foreseen, Releasing, SUSPENDED},
        withheld::Withheld,
    },
};

use super::{
    Bad, bad_error, bad_of, set, summarise,
    suspended::{NO_ENTRY, standing},
};

/// What holds while the object is being removed.
pub(super) fn told(releasing: &Releasing) -> Vec<Finding> {
    let Releasing {
        message, blocked, cut, ..
    } = releasing;
    let mut parts = Vec::new();
    let mut message = message.clone();
    match cut {
        None => {}
        Some(Cut::Away { .. }) => {
            set(&mut parts, Part::AccessEntry, Verdict::False, SUSPENDED, NO_ENTRY);
            message.push_str(". Besides, the access entry is taken away, since spec.mode is Suspended");
        }
        Some(Cut::Blocked(blocked)) => uncut(&mut parts, &mut message, &standing(bad_of(blocked))),
        Some(Cut::Failed(error)) => uncut(&mut parts, &mut message, &standing(bad_error(error))),
    }
    summarise(
        parts,
        &Bad {
            part: None,
            verdict: Verdict::False,
            reason: blocked.as_ref().map_or("Releasing", Blocked::reason),
            message,
            stalled: blocked.as_ref().is_some_and(Blocked::stalled),
        },
    )
}

fn uncut(parts: &mut Vec<Finding>, message: &mut String, bad: &Bad) {
    set(parts, Part::AccessEntry, bad.verdict, bad.reason, &bad.message);
    let why = Part::AccessEntry.condition().as_str();
    message.push_str(". Besides, spec.mode is Suspended, and the access is not known to be taken away: ");
    message.push_str(why);
    message.push_str(" says why");
}

/// What is told while it is being removed and nothing is written for it.
pub(super) fn withheld(withheld: Withheld, foreseen: &Foreseen) -> Vec<Finding> {
    let Foreseen { plan, unseen } = foreseen;
    let steps: Vec<String> = plan.steps.iter().map(Step::words).collect();
    let unseen = unseen
        .iter()
        .map(|why| format!("what is left could not be looked at: {why}"));
    let in_the_way: Vec<String> = plan.blocked.iter().map(Blocked::message).chain(unseen).collect();
    summarise(
        Vec::new(),
        &Bad {
            part: None,
            verdict: Verdict::False,
            reason: withheld.reason(),
            message: withheld.removal_waits_with(&steps, &in_the_way),
            stalled: false,
        },
    )
}
