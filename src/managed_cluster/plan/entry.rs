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
                });
            }
            let tags = entry_tags(&desired.entry.tags, role_id);
            if !missing_tags(&tags, &entry.tags).is_empty() {
                plan.steps.push(Step::TagAccessEntry {
                    arn: entry.arn.clone(),
                    tags,
                });
            }
            found.unwrap_or(&nothing)
        }
    };
    // Widening comes before narrowing, so that there is no moment without access.
    let mut narrowing = Vec::new();
    let mut widening = Vec::new();
    for (policy, scope) in &desired.associations {
        let (policy, wanted) = (policy.clone(), scope.clone());
        match found.get(&policy) {
            None => plan.steps.push(Step::Associate { policy, scope: wanted }),
            Some(scope) if *scope == wanted => {}
            Some(scope) if wanted.covers(scope) => widening.push(Step::Rescope { policy, scope: wanted }),
            Some(_) => narrowing.push(Step::Rescope { policy, scope: wanted }),
        }
    }
    plan.steps.append(&mut widening);
    plan.steps.append(&mut narrowing);
    for policy in found.keys().filter(|policy| !desired.associations.contains_key(policy)) {
        plan.steps.push(Step::Disassociate { policy: policy.clone() });
    }
}

/// The tags of an entry: the role's, and the role's unique ID.
#[must_use]
pub fn entry_tags(tags: &Tags, role_id: Option<&str>) -> Tags {
    let mut tags = tags.clone();
    tags.extend(role_id.map(|id| (ROLE_ID_TAG.to_owned(), id.to_owned())));
    tags
}
