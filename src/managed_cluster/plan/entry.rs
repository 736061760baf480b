//! The steps that keep the access entry and its policies.

use crate::domain::{
    eks::{AccessEntry, Associations},
    ownership::{ROLE_ID_TAG, Tags, missing_tags},
};

use crate::managed_cluster::{
    desired::Desired,
    step::{Plan, Step},
};

pub(super) fn plan_entry(
    plan: &mut Plan,
    desired: &Desired,
    entry: Option<&AccessEntry>,
    role_id: Option<&str>,
    found: Option<&Associations>,
) {
    let nothing = Associations::new();
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
            if entry.groups != desired.entry.groups {
                plan.steps.push(Step::SetGroups {
                    groups: desired.entry.groups.clone(),
                    found: entry.groups.clone(),
                });
            }
            let tags = entry_tags(&desired.entry.tags, role_id);
            let missing = missing_tags(&tags, &entry.tags);
            if !missing.is_empty() {
                plan.steps.push(Step::TagAccessEntry {
                    arn: entry.arn.clone(),
                    tags,
                    missing: missing.into_keys().collect(),
                });
            }
            found.unwrap_or(&nothing)
        }
    };
    // Widening comes before narrowing, so that there is no moment without access.
    let mut narrowing = Vec::new();
    let mut widening = Vec::new();
    for (policy, scope) in &desired.associations {
        let (policy, scope) = (policy.clone(), scope.clone());
        let Some(found) = found.get(&policy).cloned() else {
            plan.steps.push(Step::Associate { policy, scope });
            continue;
        };
        if found != scope {
            let side = if scope.covers(&found) {
                &mut widening
            } else {
                &mut narrowing
            };
            side.push(Step::Rescope { policy, scope, found });
        }
    }
    plan.steps.append(&mut widening);
    plan.steps.append(&mut narrowing);
    for (policy, found) in found {
        if !desired.associations.contains_key(policy) {
            plan.steps.push(Step::Disassociate {
                policy: policy.clone(),
                found: found.clone(),
            });
        }
    }
}

/// The tags of an entry: the role's, and the role's unique ID.
#[must_use]
pub fn entry_tags(tags: &Tags, role_id: Option<&str>) -> Tags {
    let mut tags = tags.clone();
    tags.extend(role_id.map(|id| (ROLE_ID_TAG.to_owned(), id.to_owned())));
    tags
}
