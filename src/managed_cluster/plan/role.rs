//! Whose the deployer role is, and the steps that keep ours.

use std::collections::BTreeSet;

use crate::{
    aws::Role,
    domain::ownership::{Marked, missing_tags},
    policy,
};

use super::{Memory, owner_in_words};
use crate::managed_cluster::{
    blocked::Blocked,
    desired::Desired,
    observe::Spoke,
    step::{Plan, Step},
};

/// Whose the role is that stands under the name.
pub(super) enum Standing<'a> {
    Absent,
    Ours(&'a Role),
    /// Bears our tags, and an ID that we did not record: made by somebody else, or by a pass that could not record it.
    Stranger(&'a Role),
    /// Not to be touched: somebody else's, or not fully there yet.
    Foreign(Blocked),
}

pub(super) fn standing<'a>(desired: &Desired, spoke: &'a Spoke, memory: &Memory<'_>) -> Standing<'a> {
    let Some(role) = &spoke.role else {
        return Standing::Absent;
    };
    let not_ours = |owner: String| {
        Standing::Foreign(Blocked::RoleNotOurs {
            arn: role.arn.clone(),
            owner,
        })
    };
    let recorded = memory.recorded_role == Some(role.id.as_str());
    // Right after it was made, AWS may give a role's unique ID in the place of its ARN (see `Role::arn`).
    if recorded && role.arn == role.id {
        return Standing::Foreign(Blocked::RolePropagating);
    }
    if role.arn != desired.role.arn.to_string() {
        return not_ours(format!("ours would be {}", desired.role.arn));
    }
    match memory.owner.judge(&role.tags) {
        // Our own role whose tags were changed by hand keeps the ID that we recorded, which nobody can give another.
        _ if recorded => Standing::Ours(role),
        Marked::Ours => Standing::Stranger(role),
        other @ (Marked::Unmarked | Marked::Another { .. }) => match memory.recorded_role {
            Some(recorded) => Standing::Foreign(Blocked::RoleReplaced {
                arn: role.arn.clone(),
                recorded: recorded.to_owned(),
                found: role.id.clone(),
                owner: owner_in_words(&other),
            }),
            None => not_ours(owner_in_words(&other)),
        },
    }
}

/// A deployer role has no permissions. With AWSDenyAll as its boundary, policies on it change nothing, and are not
/// looked for; with another boundary they are, and nothing goes on while there are any.
pub(super) fn foreign_policies(desired: &Desired, spoke: &Spoke) -> Option<Blocked> {
    let policies = spoke.role_policies.as_ref()?;
    let names: BTreeSet<String> = policies.inline.iter().chain(&policies.attached).cloned().collect();
    (!names.is_empty()).then(|| Blocked::ForeignPolicyAttached {
        role: desired.role.arn.to_string(),
        policies: names,
    })
}

/// The provisioner may change or delete a role only while it has the boundary that the account's owner knows.
pub(super) fn restore_boundary(plan: &mut Plan, desired: &Desired, role: &Role) {
    if role.boundary.as_deref() != Some(desired.role.boundary.to_string().as_str()) {
        plan.steps.push(Step::SetBoundary {
            name: desired.role.arn.name.clone(),
            boundary: desired.role.boundary.clone(),
            found: role.boundary.clone(),
        });
    }
}

pub(super) fn plan_role(plan: &mut Plan, desired: &Desired, role: &Role) {
    let name = &desired.role.arn.name;
    restore_boundary(plan, desired, role);
    let differences = policy::differences_of(&role.trust, &desired.role.trust);
    if !differences.is_empty() {
        plan.steps.push(Step::SetTrust {
            name: name.clone(),
            trust: desired.role.trust.clone(),
            differences,
        });
    }
    let missing = missing_tags(&desired.role.tags, &role.tags);
    if !missing.is_empty() {
        plan.steps.push(Step::TagRole {
            name: name.clone(),
            tags: desired.role.tags.clone(),
            missing: missing.into_keys().collect(),
        });
    }
}
