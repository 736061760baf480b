//! The two plans of a suspension: the access entry is cut off, which needs nothing but who we are; and what else was
//! made is kept as the spec says, as far as that can be known.

use std::collections::BTreeSet;

use super::{
    KnownEntry, Memory, hold, mark, owns, role, role::Standing, secret, taken_over, unusable::unusable_cluster,
    username_beside,
};
use crate::{
    api::AccessEntryStatus,
    domain::{
        eks::{AccessEntry, Associations},
        ownership::Owner,
    },
    managed_cluster::{
        blocked::Blocked,
        desired::Desired,
        observe::{Secrets, Spoke},
        step::{Part, Plan, Step},
        words::scope_in_words,
    },
};

/// Takes the access away. Nothing is waited for: an entry that bears our tags, or the ARN that was recorded, is ours to
/// delete, whoever made it and for which role. Only the tag that its owner set on it to hold it is stronger.
#[must_use]
pub fn cut(owner: &Owner, known: KnownEntry<'_>, entry: Option<&AccessEntry>) -> Plan {
    let mut plan = Plan::default();
    match entry {
        None => {}
        Some(entry) if owns(owner, known, entry) => {
            plan.steps.extend(mark(owner, &owner.tags(), entry));
            plan.steps.push(Step::DeleteAccessEntry);
        }
        Some(entry) => plan
            .blocked
            .push(super::owner::entry_not_ours(owner, known.living, entry, false)),
    }
    hold::withhold(&mut plan, None, entry);
    plan
}

/// What others gave to an entry that was taken over, and goes with it; in words, each. `policies` is why, where they
/// could not be looked at: the access goes all the same.
#[must_use]
pub fn lost(
    entry: &AccessEntry,
    policies: Result<&Associations, &str>,
    given: Option<&AccessEntryStatus>,
) -> BTreeSet<String> {
    if !taken_over(given, entry) {
        return BTreeSet::new();
    }
    let given = given.cloned().unwrap_or_default();
    let groups = entry.groups.difference(&given.kubernetes_groups);
    let groups = groups.map(|group| format!("Kubernetes group {group}"));
    let mut lost: BTreeSet<String> = groups.chain(entry.others_username().map(username_beside)).collect();
    match policies {
        Ok(policies) => lost.extend(
            policies
                .iter()
                .filter(|(policy, _)| !given.policies.contains(policy.as_str()))
                .map(|(policy, scope)| format!("access policy {} in {}", policy.name(), scope_in_words(scope))),
        ),
        Err(why) => {
            lost.insert(format!("its access policies, which could not be looked at ({why})"));
        }
    }
    lost
}

/// Keeps the deployer role and the cluster Secret that were made as the spec says. Nothing that would give access is
/// made: neither a role nor the first Secret.
#[must_use]
pub fn keep(desired: &Desired, spoke: &Spoke, secrets: &Secrets, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan::default();
    if let Some(blocked) = unusable_cluster(desired, spoke, memory) {
        plan.blocked.push(blocked);
        if let Standing::Ours(role) = role::standing(desired, spoke, memory) {
            role::plan_role(&mut plan, desired, spoke, role);
        }
        return held_back(plan, desired, spoke, memory);
    }
    let standing = role::standing(desired, spoke, memory);
    plan.blocked.extend(role::foreign_policies(desired, spoke, &standing));
    match standing {
        Standing::Ours(role) => role::plan_role(&mut plan, desired, spoke, role),
        Standing::Existing(_) => {}
        Standing::Foreign(blocked) => plan.blocked.push(blocked),
        // What is not ours yet is not made ours while nothing is to be given.
        Standing::Adopt(_) | Standing::Absent | Standing::Stranger(_) => plan.blocked.push(Blocked::Suspended {
            part: Part::DeployerRole,
        }),
    }
    let written = memory.recorded_secret.is_some() || secrets.own.iter().any(|own| !own.deleting);
    if written {
        secret::plan_secret(&mut plan, desired, secrets, memory);
    } else {
        plan.blocked.push(Blocked::Suspended { part: Part::Secret });
    }
    held_back(plan, desired, spoke, memory)
}

/// The plan without what the owner of the role does not let be written.
fn held_back(mut plan: Plan, desired: &Desired, spoke: &Spoke, memory: &Memory<'_>) -> Plan {
    hold::withhold(&mut plan, spoke.role.as_ref(), None);
    if desired.named {
        hold::leave_closed(&mut plan, spoke.role.as_ref(), &desired.role.arn, memory.owner);
    }
    plan.blocked.sort_by_key(Blocked::part);
    plan
}
