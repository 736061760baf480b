//! Whose the deployer role is, and the steps that keep ours.

use std::collections::BTreeSet;

use crate::{
    aws::Role,
    domain::ownership::{ADOPTED_TAG, Marked, missing_tags},
    policy::{self, Document, Ruling, trust},
};

use super::{Memory, adopt, owner_in_words};
use crate::managed_cluster::{
    blocked::Blocked,
    desired::Desired,
    observe::Spoke,
    step::{Part, Plan, Step},
};

/// Whose the role is that stands under the name.
pub(super) enum Standing<'a> {
    Absent,
    Ours(&'a Role),
    /// Bears our tags, and an ID that we did not record: made by somebody else, or by a pass that could not record it.
    Stranger(&'a Role),
    /// Somebody else's by the spec's own word: it is used, and never written to.
    Existing(&'a Role),
    /// Others made it, and it is taken over.
    Adopt(&'a Role),
    /// Not to be touched: somebody else's, or not fully there yet.
    Foreign(Blocked),
}

pub(super) fn standing<'a>(desired: &Desired, spoke: &'a Spoke, memory: &Memory<'_>) -> Standing<'a> {
    if desired.existing {
        return match existing(desired, spoke.role.as_ref(), memory) {
            Ok(role) => Standing::Existing(role),
            Err(blocked) => Standing::Foreign(blocked),
        };
    }
    let Some(role) = &spoke.role else {
        return if desired.named {
            Standing::Foreign(Blocked::UnusableRole {
                arn: desired.role.arn.to_string(),
                why: "there is no such role to take over: have its owner make it".to_owned(),
            })
        } else {
            Standing::Absent
        };
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
        // A role that was being taken over has our tags before its ID is recorded, and others made it.
        Marked::Ours if !desired.named => Standing::Stranger(role),
        _ if desired.adopt => match adopt::role(desired, role, spoke, memory) {
            Ok(role) => Standing::Adopt(role),
            Err(blocked) => Standing::Foreign(blocked),
        },
        other @ (Marked::Ours | Marked::Unmarked | Marked::Another { .. }) => match memory.recorded_role {
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

/// A role that somebody else owns, if it can be used. What bears the mark of any hub is a role of Mooring's: its own,
/// or one that it made for another object.
fn existing<'a>(desired: &Desired, role: Option<&'a Role>, memory: &Memory<'_>) -> Result<&'a Role, Blocked> {
    let unusable = |why: String| Blocked::UnusableRole {
        arn: desired.role.arn.to_string(),
        why,
    };
    let role = role.ok_or_else(|| unusable("there is no such role: have its owner make it".to_owned()))?;
    if role.arn == role.id {
        return Err(Blocked::RolePropagating);
    }
    if role.arn != desired.role.arn.to_string() {
        let why = format!(
            "the role of that name is {}, and a name has one role whatever its path",
            role.arn
        );
        return Err(unusable(why));
    }
    match memory.owner.judge(&role.tags) {
        Marked::Unmarked => Ok(role),
        marked @ (Marked::Ours | Marked::Another { .. }) => Err(unusable(format!(
            "it bears the mark of Mooring ({}): where that is there no more, have the account's owner take the tags mooring.dev/* off it",
            owner_in_words(&marked)
        ))),
    }
}

/// Whether a role of somebody else's surely keeps the management role out, and what to set there.
pub(super) fn missing_trust(desired: &Desired, role: &Role) -> Option<Blocked> {
    let management_role = &desired.management_role;
    let ruling = trust::lets_in(&role.trust, management_role);
    ruling.refuses().then(|| Blocked::TrustMissing {
        arn: role.arn.clone(),
        management_role: management_role.to_string(),
        document: (ruling != Ruling::Denied).then(|| trust::with_ours(&role.trust, management_role)),
    })
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
    plan_trust(plan, desired, role);
    let missing = missing_tags(&desired.role.tags, &role.tags);
    if !missing.is_empty() {
        plan.steps.push(Step::TagRole {
            name: name.clone(),
            tags: desired.role.tags.clone(),
            missing: missing.into_keys().collect(),
        });
    }
}

/// On a role of ours the trust policy is ours alone. On one that was taken over our statement stands beside what others
/// wrote, which is told.
fn plan_trust(plan: &mut Plan, desired: &Desired, role: &Role) {
    let name = desired.role.arn.name.clone();
    if !desired.named {
        let differences = policy::differences_of(&role.trust, &desired.role.trust);
        if !differences.is_empty() {
            plan.steps.push(Step::SetTrust {
                name,
                trust: desired.role.trust.clone(),
                differences,
            });
        }
        return;
    }
    let found = Document::parse(&role.trust);
    let merged = trust::with_ours(&role.trust, &desired.management_role);
    if !found.is_ok_and(|found| found.means(&merged)) {
        plan.steps.push(Step::AddTrust {
            name,
            management_role: desired.management_role.clone(),
            trust: merged,
        });
    }
    if let Some(others) = trust::without_ours(&role.trust) {
        let named = adopt::principals(&others, "AWS").join(", ");
        let who = if named.is_empty() { "others".to_owned() } else { named };
        plan.beside
            .entry(Part::DeployerRole)
            .or_default()
            .push(format!("the trust policy of {} also speaks of {who}", role.arn));
    }
}

/// Takes over a role: the boundary first, which the provisioner needs for the rest, and the record last, so that a pass
/// that breaks off takes it over again.
pub(super) fn plan_adoption(plan: &mut Plan, desired: &Desired, role: &Role) {
    restore_boundary(plan, desired, role);
    plan_trust(plan, desired, role);
    let mut tags = desired.role.tags.clone();
    if desired.named {
        tags.insert(ADOPTED_TAG.to_owned(), "true".to_owned());
    }
    plan.steps.push(Step::AdoptRole {
        arn: desired.role.arn.clone(),
        id: role.id.clone(),
        tags,
    });
}
