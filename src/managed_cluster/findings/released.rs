//! What a removal means for the conditions. What was found of the parts before stands, but for what it takes away first.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::condition::{ConditionType, Finding, Verdict, find},
    managed_cluster::{
        Blocked, Part, Step,
        foreseen::{Access, Foreseen},
        status::{Cut, DRAINING, REMOVED, Releasing, SUSPENDED},
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
    if let Some(let_go) = &releasing.let_go {
        set(&mut parts, Part::AccessEntry, Verdict::False, RELEASING, let_go);
    }
    let in_the_way = uncut_first(releasing);
    let told = in_the_way.is_some();
    if let Some(waits) = releasing.blocked.as_ref().filter(|_| told) {
        let part = waits.part();
        set(&mut parts, part, Verdict::False, waits.reason(), &waits.message());
    }
    let mut bad = in_the_way.unwrap_or_else(|| bad(releasing));
    // What AWS still shows of what is gone is no news of it.
    let late = |part: &Part| bad.reason == PROPAGATING && releasing.gone.contains(part);
    if let Some(part) = bad.part.filter(|part| !late(part)) {
        set(&mut parts, part, bad.verdict, bad.reason, &bad.message);
    }
    if matches!(
        releasing.blocked,
        Some(Blocked::ApplicationsStillTargeting { drained: true, .. })
    ) {
        set(&mut parts, Part::Secret, Verdict::False, DRAINING, DRAINED);
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

/// What keeps the access from being taken away, where that is what a person has to know first: the removal goes on by
/// itself, or waits for what comes by itself.
fn uncut_first(releasing: &Releasing) -> Option<Bad> {
    let waits = releasing.blocked.as_ref();
    if releasing.failed.is_some()
        || waits.is_some_and(|blocked| blocked.stalled() || blocked.asks_who_uses_the_secret())
    {
        return None;
    }
    let bad = match releasing.cut.as_ref()? {
        Cut::Away { .. } => return None,
        cut @ Cut::Blocked(blocked) => standing(bad_of(blocked), cut.seen()),
        cut @ Cut::Failed(error) => standing(bad_error(error), cut.seen()),
    };
    (waits.is_none() || bad.stalled).then_some(bad)
}

/// The reason of a removal that goes on by itself.
pub(in crate::managed_cluster) const RELEASING: &str = "Releasing";

/// The reason of what AWS has yet to carry everywhere.
const PROPAGATING: &str = "Propagating";

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
        Part::AccessEntry => !cut && releasing.let_go.is_none(),
        Part::DeployerRole => !releasing.existing,
        Part::Cluster | Part::ManagementRole => false,
    };
    let made = [Part::Secret, Part::AccessEntry, Part::DeployerRole];
    let left: Vec<&str> = (made.iter())
        .filter(|part| stands(part) && !gone.contains(part))
        .map(|part| part.words())
        .collect();
    if left.is_empty() {
        format!(". The object is being removed: there is {away} any more, and it goes once this is over")
    } else {
        let theirs = match releasing.let_go {
            Some(_) => "; the access entry stays with what others gave to it, as AccessEntryReady says",
            None => "",
        };
        format!(
            ". The object is being removed: there is {away}; what there is of {} stands meanwhile{theirs}",
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

/// Whether the `ManagementRole` let the removal go as far as to take something away.
pub(super) fn got_in(releasing: &Releasing) -> bool {
    let waits = releasing.blocked.as_ref();
    !releasing.gone.is_empty() && waits.is_none_or(|blocked| blocked.part() != Part::ManagementRole)
}

/// What is told while it is being removed and nothing is written for it.
pub(super) fn withheld(withheld: Withheld, object: &str, foreseen: &Foreseen) -> Vec<Finding> {
    let Foreseen {
        plan,
        unseen,
        access,
        retains,
    } = foreseen;
    let object = format!("mgc {object}");
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
    if *retains {
        steps.push("keep the deployer role, since spec.deletion.policy is Retain".to_owned());
    }
    let waits = match access {
        Access::Wanted | Access::Away => withheld.removal_waits(&object),
        Access::Stands | Access::Unseen => {
            let stands = stands(*access == Access::Stands);
            format!("{stands}: {}", withheld.removal_leaves_access(&object))
        }
    };
    let message = Withheld::with(waits, &steps, &in_the_way);
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
const AGAIN: &str = "a cluster Secret stands again, after the former one was removed";

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
