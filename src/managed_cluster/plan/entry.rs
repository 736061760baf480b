//! The steps that keep the access entry and its policies.

use std::collections::BTreeSet;

use crate::{
    domain::{
        eks::{AccessEntry, Associations, generated_username},
        ownership::{ADOPTED_TAG, HUB_TAG, ROLE_ID_TAG, Tags, missing_tags},
    },
    policy,
};

use crate::managed_cluster::{
    blocked::Blocked,
    desired::Desired,
    step::{Part, Plan, Step},
    unmoved::{self, Unmoved},
};

use super::{Memory, mark, taken_over};

pub(super) fn plan_entry(
    plan: &mut Plan,
    desired: &Desired,
    entry: Option<&AccessEntry>,
    role_id: Option<&str>,
    found: Option<&Associations>,
    memory: &Memory<'_>,
) {
    let ours = entry.is_none_or(|entry| memory.owns(entry));
    let lenient = entry.is_some_and(|entry| shared(entry, memory));
    let stays = |given: bool| lenient && !given;
    let nothing = Associations::new();
    let mut groups_step = None;
    let found = match entry {
        None => {
            let role_id = role_id.map(str::to_owned);
            plan.steps.push(Step::CreateAccessEntry {
                entry: desired.entry.clone(),
                role_id,
            });
            &nothing
        }
        Some(entry) => {
            let mut tags = entry_tags(&desired.entry.tags, role_id);
            if lenient {
                tags.insert(ADOPTED_TAG.to_owned(), "true".to_owned());
            }
            // The provisioner may do nothing to an entry before it bears our mark.
            let missing = missing_tags(&tags, &entry.tags);
            let arn = entry.arn.clone();
            if !ours {
                plan.steps.push(Step::AdoptAccessEntry { arn, tags });
            } else if !missing.is_empty() {
                let missing = missing.into_keys().collect();
                plan.steps.push(Step::TagAccessEntry { arn, tags, missing });
            }
            let given = |group: &&String| {
                memory
                    .given
                    .is_some_and(|given| given.kubernetes_groups.contains(*group))
            };
            let others = entry.groups.difference(&desired.entry.groups);
            let others: BTreeSet<String> = others.filter(|group| stays(given(group))).cloned().collect();
            let groups: BTreeSet<String> = desired.entry.groups.union(&others).cloned().collect();
            let username = entry.others_username();
            if let Some(found) = username.filter(|_| !lenient) {
                groups_step = Some(Step::SetUsername {
                    username: generated_username(&desired.entry.principal),
                    found: found.to_owned(),
                    groups,
                    found_groups: entry.groups.clone(),
                });
            } else if entry.groups != groups {
                groups_step = Some(Step::SetGroups {
                    groups,
                    found: entry.groups.clone(),
                });
            }
            beside(plan, username.filter(|_| lenient).map(username_beside));
            beside(plan, others.iter().map(|group| format!("Kubernetes group {group}")));
            found.unwrap_or(&nothing)
        }
    };
    // Widening comes before narrowing, so that there is no moment without access.
    let mut narrowing = Vec::new();
    let mut widening = Vec::new();
    let mut anew = Vec::new();
    for (policy, scope) in &desired.associations {
        let (policy, scope) = (policy.clone(), scope.clone());
        let Some(found) = found.get(&policy).cloned() else {
            plan.steps.push(Step::Associate { policy, scope });
            continue;
        };
        if found == scope {
            continue;
        }
        let side = if scope.covers(&found) {
            &mut widening
        } else {
            &mut narrowing
        };
        match unmoved::about(memory.unmoved, &policy, &found, &scope) {
            None => side.push(Step::Rescope { policy, scope, found }),
            Some(Unmoved { confirmed: true, .. }) => anew.push(Step::Reassociate { policy, scope, found }),
            Some(_) => plan.blocked.push(Blocked::ScopeUnmoved {
                what: Step::Rescope { policy, scope, found }.words(),
            }),
        }
    }
    plan.steps.append(&mut widening);
    // One call gives groups and takes groups away: behind the policies that are given, before those that go.
    plan.steps.extend(groups_step);
    plan.steps.append(&mut narrowing);
    // While one is away, whatever else gives the same access stands: what came before it, and what goes after it.
    plan.steps.append(&mut anew);
    for (policy, scope) in found {
        if desired.associations.contains_key(policy) {
            continue;
        }
        let given = memory
            .given
            .is_some_and(|given| given.policies.contains(policy.as_str()));
        if stays(given) {
            beside(plan, [format!("access policy {}", policy.name())]);
        } else {
            plan.steps.push(Step::Disassociate {
                policy: policy.clone(),
                found: scope.clone(),
            });
        }
    }
}

/// Takes away what the spec does not give, and nothing else: whatever is the matter with the role, an entry of ours gives
/// no more than the spec.
pub(super) fn plan_narrowing(
    plan: &mut Plan,
    desired: &Desired,
    entry: &AccessEntry,
    found: Option<&Associations>,
    memory: &Memory<'_>,
) {
    let mut whole = Plan::default();
    plan_entry(&mut whole, desired, Some(entry), None, found, memory);
    plan.steps.extend(mark(memory.owner, &desired.entry.tags, entry));
    plan.steps.extend(whole.steps.into_iter().filter_map(taking_away));
}

/// A step, as far as it takes away.
fn taking_away(step: Step) -> Option<Step> {
    if let Step::SetGroups { groups, found } = step {
        let groups: BTreeSet<String> = groups.intersection(&found).cloned().collect();
        return (groups != found).then_some(Step::SetGroups { groups, found });
    }
    if let Step::SetUsername {
        username,
        found,
        groups,
        found_groups,
    } = step
    {
        return Some(Step::SetUsername {
            username,
            found,
            groups: groups.intersection(&found_groups).cloned().collect(),
            found_groups,
        });
    }
    let takes = if let Step::Rescope { scope, found, .. } | Step::Reassociate { scope, found, .. } = &step {
        found.covers(scope)
    } else {
        matches!(step, Step::Disassociate { .. })
    };
    takes.then_some(step)
}

/// What others gave to an entry that was taken over.
pub(super) fn others(
    desired: &Desired,
    entry: &AccessEntry,
    found: Option<&Associations>,
    memory: &Memory<'_>,
) -> Vec<String> {
    let given = memory.given.cloned().unwrap_or_default();
    let policies = found
        .into_iter()
        .flat_map(Associations::keys)
        .filter(|policy| !desired.associations.contains_key(policy) && !given.policies.contains(policy.as_str()));
    let groups = entry
        .groups
        .difference(&desired.entry.groups)
        .filter(|group| !given.kubernetes_groups.contains(*group));
    policies
        .map(|policy| policy.name().to_owned())
        .chain(groups.cloned())
        .chain(entry.others_username().map(username_beside))
        .collect()
}

/// Whether others may have a part in an entry: in what they made, and not in what this hub made for an object that is no
/// more.
pub(super) fn shared(entry: &AccessEntry, memory: &Memory<'_>) -> bool {
    taken_over(memory.given, entry) || (!memory.owns(entry) && !by_us(entry, memory))
}

/// Whether an object of this hub made it.
fn by_us(entry: &AccessEntry, memory: &Memory<'_>) -> bool {
    let hub = memory.owner.hub.to_string();
    entry.tags.get(HUB_TAG) == Some(&hub) && entry.tags.contains_key(ROLE_ID_TAG)
}

/// The user name of an entry, as something that others gave to it.
pub(in crate::managed_cluster) fn username_beside(username: &str) -> String {
    format!("user name {}", policy::shown(username))
}

fn beside(plan: &mut Plan, what: impl IntoIterator<Item = String>) {
    let mut what = what.into_iter().peekable();
    if what.peek().is_some() {
        plan.beside.entry(Part::AccessEntry).or_default().extend(what);
    }
}

/// The tags of an entry: the role's, and the role's unique ID.
#[must_use]
pub fn entry_tags(tags: &Tags, role_id: Option<&str>) -> Tags {
    let mut tags = tags.clone();
    tags.extend(role_id.map(|id| (ROLE_ID_TAG.to_owned(), id.to_owned())));
    tags
}
