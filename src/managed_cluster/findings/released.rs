//! What a removal means for the conditions. What was found of the parts before stands, but for what it takes away first.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::condition::{ConditionType, Finding, Verdict, find},
    managed_cluster::{
        Blocked, Part, Step,
        foreseen::{Access, Foreseen},
        status::{Cut, REMOVED, Releasing, SUSPENDED},
        withheld::Withheld,
        words::capitalised,
    },
};

use super::{
    Bad, bad_error, bad_of, set, summarise,
    suspended::{NO_ENTRY, standing, stands},
};

/// That a part is away.
const GONE: &str = "there is none, since the object is being removed";

/// That the deployer role stays.
const EXISTING: &str = "it is somebody else's: a removal leaves it as it is, and does not look at it";

/// What is away. A role of somebody else's is not looked at, and never is.
fn gone(releasing: &Releasing) -> impl Iterator<Item = Part> + '_ {
    let stays = |part: &Part| releasing.existing && *part == Part::DeployerRole;
    releasing.gone.iter().copied().filter(move |part| !stays(part))
}

/// That ApplicationSets are to let go of the cluster.
const DRAINED: &str = "its labels are taken off, for ApplicationSets to let go of the cluster";

/// What holds while the object is being removed.
pub(super) fn told(releasing: &Releasing) -> Vec<Finding> {
    let mut parts = Vec::new();
    for part in gone(releasing) {
        set(&mut parts, part, Verdict::False, REMOVED, GONE);
    }
    if releasing.existing {
        set(
            &mut parts,
            Part::DeployerRole,
            Verdict::Unknown,
            "NotLookedAt",
            EXISTING,
        );
    }
    let by_itself = releasing.blocked.is_none() && releasing.failed.is_none();
    let in_the_way = match &releasing.cut {
        Some(cut @ Cut::Blocked(blocked)) if by_itself => Some(standing(bad_of(blocked), cut.seen())),
        Some(cut @ Cut::Failed(error)) if by_itself => Some(standing(bad_error(error), cut.seen())),
        Some(_) | None => None,
    };
    let told = in_the_way.is_some();
    let mut bad = in_the_way.unwrap_or_else(|| bad(releasing));
    if let Some(part) = bad.part {
        set(&mut parts, part, bad.verdict, bad.reason, &bad.message);
    }
    if matches!(
        releasing.blocked,
        Some(Blocked::ApplicationsStillTargeting { drained: true, .. })
    ) {
        set(&mut parts, Part::Secret, Verdict::False, "Draining", DRAINED);
    }
    if bad.reason != RELEASING {
        bad.message.push_str(&how_far(releasing));
    }
    match &releasing.cut {
        None => {}
        Some(_) if told => {
            bad.message.push_str(". ");
            bad.message.push_str(&capitalised(&releasing.message));
        }
        Some(Cut::Away { .. }) => {
            set(&mut parts, Part::AccessEntry, Verdict::False, SUSPENDED, NO_ENTRY);
            bad.message.push_str(". Besides, ");
            bad.message.push_str(NO_ENTRY);
        }
        Some(cut @ Cut::Blocked(blocked)) => uncut(&mut parts, &mut bad.message, bad_of(blocked), cut.seen()),
        Some(cut @ Cut::Failed(error)) => uncut(&mut parts, &mut bad.message, bad_error(error), cut.seen()),
    }
    summarise(parts, &bad)
}

/// The reason of a removal that goes on by itself.
const RELEASING: &str = "Releasing";

/// What holds the removal up, and at which part. Too many removals, and whoever uses the cluster, are nothing that a part
/// of it lacks.
fn bad(releasing: &Releasing) -> Bad {
    let Releasing {
        message,
        blocked,
        failed,
        ..
    } = releasing;
    if let Some(error) = failed {
        return bad_error(error);
    }
    let Some(blocked) = blocked else {
        return Bad {
            part: None,
            verdict: Verdict::False,
            reason: RELEASING,
            message: message.clone(),
            stalled: false,
        };
    };
    let bad = bad_of(blocked);
    Bad {
        part: bad.part.filter(|_| !blocked.holds_removals_up()),
        message: message.clone(),
        ..bad
    }
}

/// That it is being removed, and what is gone already.
fn how_far(releasing: &Releasing) -> String {
    let gone: BTreeSet<Part> = gone(releasing).collect();
    let away: Vec<String> = gone
        .iter()
        .rev()
        .map(|part| part.words().replacen("the ", "no ", 1))
        .collect();
    if away.is_empty() {
        return ". The object is being removed, and waits for that".to_owned();
    }
    let away = away.join(" and ");
    let cut = matches!(releasing.cut, Some(Cut::Away { .. }));
    let stands = |part: &Part| match part {
        Part::Secret => true,
        Part::AccessEntry => !cut,
        Part::DeployerRole => !releasing.existing,
        Part::Cluster | Part::ManagementRole => false,
    };
    let made = [Part::Secret, Part::AccessEntry, Part::DeployerRole];
    let left: Vec<&str> = (made.iter())
        .filter(|part| stands(part) && !gone.contains(part))
        .map(|part| part.words())
        .collect();
    if left.is_empty() {
        format!(". The object is being removed: there is {away}, and it waits for that")
    } else {
        format!(
            ". The object is being removed: there is {away}; what there is of {} stands meanwhile",
            left.join(" and ")
        )
    }
}

fn uncut(parts: &mut Vec<Finding>, message: &mut String, bad: Bad, seen: bool) {
    let bad = standing(bad, seen);
    set(parts, Part::AccessEntry, bad.verdict, bad.reason, &bad.message);
    let why = Part::AccessEntry.condition().as_str();
    *message = format!("{}: {why} says why. {}", stands(seen), capitalised(message));
}

/// What is told while it is being removed and nothing is written for it.
pub(super) fn withheld(withheld: Withheld, foreseen: &Foreseen) -> Vec<Finding> {
    let Foreseen { plan, unseen, access } = foreseen;
    let mut steps: Vec<String> = plan.steps.iter().map(Step::words).collect();
    let mut parts = Vec::new();
    if *access == Access::Unseen {
        steps.insert(0, Step::DeleteAccessEntry.words());
    }
    let of_entry = |blocked: &&Blocked| blocked.part() == Part::AccessEntry && !blocked.is_note();
    match access {
        Access::Wanted => {}
        Access::Away => set(&mut parts, Part::AccessEntry, Verdict::False, SUSPENDED, NO_ENTRY),
        Access::Stands | Access::Unseen => {
            let (reason, message) = match plan.blocked.iter().find(of_entry) {
                Some(blocked) => (blocked.reason(), blocked.found()),
                None => (withheld.reason(), withheld.undone(&[Step::DeleteAccessEntry.words()])),
            };
            set(&mut parts, Part::AccessEntry, Verdict::False, reason, &message);
        }
    }
    let unseen = unseen
        .iter()
        .map(|why| format!("what is left could not be looked at: {why}"));
    let in_the_way: Vec<String> = plan.blocked.iter().map(Blocked::found).chain(unseen).collect();
    let mut message = withheld.removal_waits_with(&steps, &in_the_way);
    if matches!(access, Access::Stands | Access::Unseen) {
        message = format!("{}: {message}", stands(*access == Access::Stands));
    }
    summarise(
        parts,
        &Bad {
            part: None,
            verdict: Verdict::False,
            reason: withheld.reason(),
            message,
            stalled: false,
        },
    )
}

/// That a cluster Secret stands, though one was removed.
const AGAIN: &str = "a cluster Secret stands again, since the former one was removed";

/// That a cluster Secret stands, of which an earlier pass told that it was gone: the removal waits for who uses the cluster
/// by it.
pub(in crate::managed_cluster) fn stands_again(releasing: &Releasing, old: &[Condition]) -> Option<Finding> {
    let by_secret = releasing
        .blocked
        .as_ref()
        .is_some_and(Blocked::asks_who_uses_the_secret);
    let told =
        find(old, ConditionType::SecretReady).is_some_and(|told| told.reason == REMOVED || told.message == AGAIN);
    (by_secret && told).then(|| Finding::new(ConditionType::SecretReady, Verdict::False, "Releasing", AGAIN))
}
