//! The two plans of a suspension: the access entry is cut off, which needs nothing but who we are; and what else was
//! made is kept as the spec says, as far as that can be known.

use super::{Memory, hold, owner_in_words, role, role::Standing, secret, unusable_cluster};
use crate::{
    domain::{
        eks::AccessEntry,
        ownership::{Marked, Owner},
    },
    managed_cluster::{
        blocked::Blocked,
        desired::Desired,
        observe::{Secrets, Spoke},
        step::{Part, Plan, Step},
    },
};

/// Takes the access away. Nothing is waited for: an entry that bears our tags is ours to delete, whoever made it and for
/// which role. Only the tag that its owner set on it to hold it is stronger.
#[must_use]
pub fn cut(owner: &Owner, entry: Option<&AccessEntry>) -> Plan {
    let mut plan = Plan::default();
    match entry.map(|entry| owner.judge(&entry.tags)) {
        None => {}
        Some(Marked::Ours) => plan.steps.push(Step::DeleteAccessEntry),
        Some(other @ (Marked::Unmarked | Marked::Another { .. })) => plan.blocked.push(Blocked::EntryNotOurs {
            owner: owner_in_words(&other),
        }),
    }
    hold::withhold(&mut plan, None, entry);
    plan
}

/// Keeps the deployer role and the cluster Secret that were made as the spec says. Nothing that would give access is
/// made: neither a role nor the first Secret.
#[must_use]
pub fn keep(desired: &Desired, spoke: &Spoke, secrets: &Secrets, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan::default();
    if let Some(blocked) = unusable_cluster(spoke, memory) {
        plan.blocked.push(blocked);
        return plan;
    }
    plan.blocked.extend(role::foreign_policies(desired, spoke));
    match role::standing(desired, spoke, memory) {
        Standing::Ours(role) => role::plan_role(&mut plan, desired, role),
        Standing::Existing(_) => {}
        // What is not ours yet is not made ours while nothing is to be given.
        Standing::Adopt(_) => plan.blocked.push(Blocked::Suspended {
            part: Part::DeployerRole,
        }),
        Standing::Foreign(blocked) => plan.blocked.push(blocked),
        Standing::Absent | Standing::Stranger(_) => plan.blocked.push(Blocked::Suspended {
            part: Part::DeployerRole,
        }),
    }
    let written = memory.recorded_secret.is_some() || secrets.own.iter().any(|own| !own.deleting);
    if written {
        secret::plan_secret(&mut plan, desired, secrets, memory);
    } else {
        plan.blocked.push(Blocked::Suspended { part: Part::Secret });
    }
    hold::withhold(&mut plan, spoke.role.as_ref(), None);
    plan.blocked.sort_by_key(Blocked::part);
    plan
}
