//! The plan of letting go: Secret, access entry, deployer role. Pure, and needs only what never changes.

use std::collections::BTreeSet;

use crate::domain::{
    arn::{PolicyArn, RoleArn},
    ownership::{Marked, Owner},
};

use super::{
    blocked::Blocked,
    observe::{Secrets, Spoke},
    plan::withhold,
    step::{Plan, Step},
};

/// Plans a removal. `spoke` is `None` when nothing in the account is to be touched, or when the account cannot be
/// entered: the Secret goes all the same, since nothing may deploy there any more.
#[must_use]
pub fn plan_removal(
    deployer: &RoleArn,
    boundary: &PolicyArn,
    owner: &Owner,
    recorded_role: Option<&str>,
    spoke: Option<&Spoke>,
    secrets: &Secrets,
) -> Plan {
    let mut plan = Plan::default();
    for secret in secrets.own.iter().filter(|secret| !secret.deleting) {
        plan.steps.push(Step::DeleteSecret {
            name: secret.name.clone(),
            uid: secret.uid.clone(),
        });
    }
    let Some(spoke) = spoke else { return plan };
    if spoke
        .entry
        .as_ref()
        .is_some_and(|entry| owner.judge(&entry.tags) == Marked::Ours)
    {
        plan.steps.push(Step::DeleteAccessEntry);
    }
    plan_role(&mut plan, deployer, boundary, owner, recorded_role, spoke);
    withhold(&mut plan, spoke.role.as_ref(), spoke.entry.as_ref());
    // What is held and is not ours to remove keeps nothing.
    plan.blocked.retain(|blocked| !blocked.is_note());
    plan
}

fn plan_role(
    plan: &mut Plan,
    deployer: &RoleArn,
    boundary: &PolicyArn,
    owner: &Owner,
    recorded_role: Option<&str>,
    spoke: &Spoke,
) {
    let Some(role) = &spoke.role else { return };
    // Right after it was made, AWS may give a role's unique ID in the place of its ARN (see `Role::arn`).
    if recorded_role == Some(role.id.as_str()) && role.arn == role.id {
        plan.blocked.push(Blocked::RolePropagating);
        return;
    }
    let ours = role.arn == deployer.to_string()
        && (owner.judge(&role.tags) == Marked::Ours || recorded_role == Some(role.id.as_str()));
    if !ours {
        return;
    }
    let policies: BTreeSet<String> = spoke
        .role_policies
        .iter()
        .flat_map(|of| of.inline.iter().chain(&of.attached))
        .cloned()
        .collect();
    if !policies.is_empty() {
        plan.blocked.push(Blocked::ForeignPolicyAttached {
            role: role.arn.clone(),
            policies,
        });
        return;
    }
    let name = deployer.name.clone();
    // The provisioner may only delete a role that has the boundary it knows.
    if role.boundary.as_deref() != Some(boundary.to_string().as_str()) {
        plan.steps.push(Step::SetBoundary {
            name: name.clone(),
            boundary: boundary.clone(),
            found: role.boundary.clone(),
        });
    }
    plan.steps.push(Step::DeleteRole { name });
}
