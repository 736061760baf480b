//! Whose the deployer role is, and the steps that keep ours.

use std::collections::BTreeSet;

use crate::{
    aws::{Role, RolePolicies},
    domain::{
        arn::{PolicyArn, account_in, name_in},
        ownership::{ADOPTED_TAG, Marked, missing_tags},
    },
    policy::{deployer_trust, lack::lacks},
};

use super::{
    Memory, adopt,
    not_ours::{begun, elsewhere, held, held_by, not_ours, replaced},
    owner_in_words,
    theirs::{anothers, mooring_tags},
    trust::plan_trust,
};
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
    // Right after it was made, AWS may give a role's unique ID in the place of its ARN (see `Role::arn`).
    if role.arn == role.id {
        return Standing::Foreign(Blocked::RolePropagating);
    }
    if role.arn != desired.role.arn.to_string() {
        return Standing::Foreign(elsewhere(desired, role, memory));
    }
    let theirs = anothers(memory.owner, memory.living, role).filter(|_| desired.named);
    let recorded = memory.recorded_role == Some(role.id.as_str()) && theirs.is_none();
    let taking_over = desired.named || (desired.adopt && adopt::is_opened(&role.tags, memory.owner));
    match memory.owner.judge(&role.tags) {
        // Our own role whose tags were changed by hand keeps the ID that we recorded, which nobody can give another.
        _ if recorded => Standing::Ours(role),
        // A role that was being taken over has our tags before its ID is recorded, and others made it.
        // And one of another object of this hub is that object's, whoever wrote our tags on it.
        Marked::Ours if !taking_over && held(role, memory).is_none() => Standing::Stranger(role),
        _ if desired.adopt => match adopt::role(desired, role, spoke, memory) {
            Ok(role) => Standing::Adopt(role),
            Err(blocked) => Standing::Foreign(replaced(role, memory, blocked)),
        },
        other @ (Marked::Ours | Marked::Unmarked | Marked::Another { .. }) => {
            Standing::Foreign(match memory.recorded_role.filter(|recorded| *recorded != role.id) {
                Some(recorded) => Blocked::RoleReplaced {
                    arn: role.arn.clone(),
                    recorded: recorded.to_owned(),
                    found: role.id.clone(),
                    owner: owner_in_words(&other),
                    kept_out: None,
                },
                None if held(role, memory).is_some() => held_by(desired, role, &other, memory),
                None if other == Marked::Ours => begun(role),
                None => not_ours(desired, role, &other, theirs, memory),
            })
        }
    }
}

/// A role that somebody else owns, if it can be used. What bears the mark of any hub is a role of Mooring's: its own,
/// or one that it made for another object.
fn existing<'a>(desired: &Desired, role: Option<&'a Role>, memory: &Memory<'_>) -> Result<&'a Role, Blocked> {
    let unusable = |why: String| Blocked::UnusableRole {
        arn: desired.role.arn.to_string(),
        why,
    };
    let role = role.ok_or_else(|| {
        let trust = deployer_trust(&desired.management_role);
        unusable(format!(
            "there is no such role: have its owner make it, in account {}, without a policy of its own and with this trust policy: {}",
            desired.role.arn.account,
            trust.to_json()
        ))
    })?;
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
            "it bears the tags of Mooring ({}), and may have permissions that Argo CD is not to have. If that Mooring is gone, and the role has no policy of its own, its owner may take the tags off it: in account {}, `aws iam untag-role --role-name {} --tag-keys {}`",
            owner_in_words(&marked),
            account_in(&role.arn),
            name_in(&role.arn),
            mooring_tags(&role.tags)
        ))),
    }
}

/// Whether a role of somebody else's surely keeps the management role out, and what its owner is to do about it.
pub(super) fn missing_trust(desired: &Desired, role: &Role) -> Option<Blocked> {
    let management_role = &desired.management_role;
    lacks(&role.trust, management_role).map(|lack| Blocked::TrustMissing {
        arn: role.arn.clone(),
        management_role: management_role.to_string(),
        lack,
    })
}

/// A deployer role has no permissions. With AWSDenyAll as its boundary, policies on it change nothing, and are not
/// looked for; with another boundary they are, and while there are any, what stands is kept and nothing is made.
pub(super) fn foreign_policies(desired: &Desired, spoke: &Spoke, standing: &Standing<'_>) -> Option<Blocked> {
    let policies = spoke.role_policies.as_ref()?;
    let names: BTreeSet<String> = policies.inline.iter().chain(&policies.attached).cloned().collect();
    let closed = spoke
        .role
        .as_ref()
        .is_some_and(|role| stays_closed(desired, spoke, role));
    (!names.is_empty()).then(|| Blocked::ForeignPolicyAttached {
        role: desired.role.arn.to_string(),
        policies: names,
        forged: matches!(standing, Standing::Stranger(_)),
        closed,
    })
}

/// Whether a role keeps AWSDenyAll as its boundary though the spec names another: with policies of others on it, or with none
/// looked for, the change would give what these allow.
fn stays_closed(desired: &Desired, spoke: &Spoke, role: &Role) -> bool {
    let deny_all = PolicyArn::deny_all(desired.role.arn.partition);
    desired.role.boundary != deny_all
        && role.has_boundary(&deny_all)
        && !spoke.role_policies.as_ref().is_some_and(RolePolicies::is_empty)
}

/// The provisioner may change or delete a role only while it has the boundary that the account's owner knows.
pub(super) fn restore_boundary(plan: &mut Plan, desired: &Desired, spoke: &Spoke, role: &Role) {
    if !role.has_boundary(&desired.role.boundary) && !stays_closed(desired, spoke, role) {
        plan.steps.push(Step::SetBoundary {
            name: desired.role.arn.name.clone(),
            boundary: desired.role.boundary.clone(),
            found: role.boundary.clone(),
        });
    }
}

pub(super) fn plan_role(plan: &mut Plan, desired: &Desired, spoke: &Spoke, role: &Role) {
    let name = &desired.role.arn.name;
    restore_boundary(plan, desired, spoke, role);
    plan_trust(plan, desired, role);
    let missing = missing_tags(&desired.role.tags, &role.tags);
    if !missing.is_empty() {
        plan.steps.push(Step::TagRole {
            name: name.clone(),
            tags: desired.role.tags.clone(),
            missing: missing.into_keys().collect(),
        });
    }
    plan_settings(plan, desired, role);
}

/// The description and the longest session: of a role that others have a part in, they are theirs.
fn plan_settings(plan: &mut Plan, desired: &Desired, role: &Role) {
    let changed = role.unlike(&desired.role);
    if !desired.named && !changed.is_empty() {
        plan.steps.push(Step::UpdateRole {
            name: desired.role.arn.name.clone(),
            description: desired.role.description.clone(),
            changed,
        });
    }
}

/// Takes over a role. One that others have a part in is marked first: wherever a pass breaks off, the mark tells whose the
/// rest is, and a removal takes it out. Under our path the mark and the record come last: marked and not recorded, a role
/// there is taken for forged.
pub(super) fn plan_adoption(plan: &mut Plan, desired: &Desired, spoke: &Spoke, role: &Role) {
    let mut tags = desired.role.tags.clone();
    if desired.named {
        tags.insert(ADOPTED_TAG.to_owned(), "true".to_owned());
    }
    let mark = Step::AdoptRole {
        arn: desired.role.arn.clone(),
        id: role.id.clone(),
        tags,
    };
    let (first, last) = if desired.named {
        (Some(mark), None)
    } else {
        (None, Some(mark))
    };
    plan.steps.extend(first);
    restore_boundary(plan, desired, spoke, role);
    plan_trust(plan, desired, role);
    plan_settings(plan, desired, role);
    plan.steps.extend(last);
}
