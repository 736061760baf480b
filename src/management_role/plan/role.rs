//! Whose the management role is, and the steps that keep ours.

use std::collections::BTreeSet;

use crate::{
    aws::{Role, WantedRole},
    domain::ownership::{HUB_TAG, Marked, OBJECT_TAG, missing_tags},
    managed_cluster::{plan::owner_in_words, words::some},
    policy::{self, Exposure, exposure::open_beyond},
};

use super::{Memory, confirmed, untrusted};
use crate::management_role::{
    observe::Observed,
    request::Request,
    step::{Blocked, POLICY_NAME, Plan, Step},
};

/// Why the role that stands under our name is not to be touched, if so.
fn not_ours(
    request: &Request,
    role: &Role,
    wanted: &WantedRole,
    (memory, issuer): (&Memory<'_>, &str),
) -> Option<Blocked> {
    let arn = role.arn.clone();
    if arn != wanted.arn.to_string() {
        let owner = format!("ours would be {}", wanted.arn);
        return Some(Blocked::RoleNotOurs { arn, owner });
    }
    let marked = request.owner.judge(&role.tags);
    // An object of ours that is no more made it: of our name, on our hub.
    let left_behind = matches!(marked, Marked::Another { .. })
        && role.tags.get(HUB_TAG) == Some(&request.owner.hub.to_string())
        && role.tags.get(OBJECT_TAG) == Some(&request.owner.object);
    if marked == Marked::Ours || left_behind && memory.recorded_role.is_none() && confirmed(request, issuer) {
        return None;
    }
    let owner = owner_in_words(&marked);
    Some(match memory.recorded_role {
        Some(recorded) => Blocked::RoleReplaced {
            arn,
            recorded: recorded.to_owned(),
            found: role.id.clone(),
            owner,
        },
        None if left_behind => Blocked::RoleLeftBehind {
            object: request.name.clone(),
            arn,
            owner,
            issuer: issuer.to_owned(),
        },
        None => Blocked::RoleNotOurs { arn, owner },
    })
}

pub(super) fn plan_role(
    plan: &mut Plan,
    request: &Request,
    observed: &Observed,
    wanted: &WantedRole,
    (memory, issuer): (&Memory<'_>, &str),
) {
    let name = wanted.arn.name.clone();
    let create = |plan: &mut Plan| {
        // The federated principal must be there before a role can trust it, so this step comes after the provider's.
        plan.steps.push(Step::CreateRole { role: wanted.clone() });
        plan.blocked.push(Blocked::JustMade);
        plan.assumable.clear();
    };
    let Some(role) = &observed.role else {
        return create(plan);
    };
    let recorded = memory.recorded_role == Some(role.id.as_str());
    // Right after it was made, AWS may give a role's unique ID in the place of its ARN (see `Role::arn`).
    if memory.deleted == Some(role.id.as_str()) || recorded && role.arn == role.id {
        return plan.blocked.push(Blocked::Propagating);
    }
    // Our own role keeps the ID that we recorded, whatever was done to its tags, and nobody can give it to another.
    if recorded && role.arn == wanted.arn.to_string() {
        let shuts_out = untrusted(request, &role.trust, issuer).len() == request.service_accounts.len();
        return mend_role(plan, role, wanted, shuts_out);
    }
    if let Some(blocked) = not_ours(request, role, wanted, (memory, issuer)) {
        return plan.blocked.push(blocked);
    }
    let foreign = foreign_policies(observed);
    if !foreign.is_empty() {
        let owner = format!(
            "it bears our tags, we did not record it, and it carries policies: {}",
            some(&foreign)
        );
        let arn = role.arn.clone();
        return plan.blocked.push(match memory.recorded_role {
            Some(recorded) => Blocked::RoleReplaced {
                arn,
                recorded: recorded.to_owned(),
                found: role.id.clone(),
                owner,
            },
            None => Blocked::RoleNotOurs { arn, owner },
        });
    }
    // It could not be made again without the provider that it is to trust, and whoever keeps that is told so first.
    if memory.confirmed != Some(role.id.as_str()) || !plan.blocked.is_empty() {
        return plan.blocked.push(Blocked::Unconfirmed { id: role.id.clone() });
    }
    restore_boundary(plan, role, wanted);
    if observed.policy.is_some() {
        plan.steps.push(Step::DeletePolicy { name: name.clone() });
    }
    plan.steps.push(Step::DeleteRole { name });
    create(plan);
}

/// The provisioner may change or delete a role only while it has the boundary that bootstrap made.
fn restore_boundary(plan: &mut Plan, role: &Role, wanted: &WantedRole) {
    if !role.has_boundary(&wanted.boundary) {
        plan.steps.push(Step::SetBoundary {
            name: wanted.arn.name.clone(),
            boundary: wanted.boundary.clone(),
            found: role.boundary.clone(),
        });
    }
}

fn mend_role(plan: &mut Plan, role: &Role, wanted: &WantedRole, shuts_out: bool) {
    let name = &wanted.arn.name;
    restore_boundary(plan, role, wanted);
    let differences = policy::differences_of(&role.trust, &wanted.trust);
    if !differences.is_empty() {
        plan.steps.push(Step::SetTrust {
            name: name.clone(),
            trust: wanted.trust.clone(),
            differences,
            exposure: Exposure {
                open: open_beyond(&role.trust, &wanted.trust),
                shuts_out,
            },
        });
    }
    let missing = missing_tags(&wanted.tags, &role.tags);
    if !missing.is_empty() {
        plan.steps.push(Step::TagRole {
            name: name.clone(),
            tags: wanted.tags.clone(),
            missing: missing.into_keys().collect(),
        });
    }
    let changed = role.unlike(wanted);
    if !changed.is_empty() {
        plan.steps.push(Step::UpdateRole {
            name: name.clone(),
            description: wanted.description.clone(),
            changed,
        });
    }
}

/// What the role carries besides our policy.
pub(super) fn foreign_policies(observed: &Observed) -> BTreeSet<String> {
    let inline = observed.policies.inline.iter().filter(|name| *name != POLICY_NAME);
    inline.chain(&observed.policies.attached).cloned().collect()
}
