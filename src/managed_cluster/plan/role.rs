//! Whose the deployer role is, and the steps that keep ours.

use std::collections::BTreeSet;

use crate::{
    aws::{Role, RolePolicies},
    domain::{
        arn::{PolicyArn, account_in, name_in},
        commands::{adopt_existing, open_role},
        ownership::{ADOPTED_TAG, Marked, missing_tags},
    },
    policy::lack::lacks,
};

use super::{
    Memory, adopt, owner_in_words,
    theirs::{anothers, made_by, mooring_tags},
    trust::plan_trust,
};
use crate::managed_cluster::{
    blocked::{Blocked, ONE_TOO_MANY},
    desired::Desired,
    living::Lives,
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
            Err(blocked) => Standing::Foreign(blocked),
        },
        other @ (Marked::Ours | Marked::Unmarked | Marked::Another { .. }) => {
            Standing::Foreign(match memory.recorded_role.filter(|recorded| *recorded != role.id) {
                Some(recorded) => Blocked::RoleReplaced {
                    arn: role.arn.clone(),
                    recorded: recorded.to_owned(),
                    found: role.id.clone(),
                    owner: owner_in_words(&other),
                },
                None if held(role, memory).is_some() => held_by(desired, role, &other, memory),
                None if other == Marked::Ours => begun(role),
                None => not_ours(desired, role, &other, theirs, memory),
            })
        }
    }
}

/// A role whose name is ours, and that stands under another path or in another case: to IAM the name is the same.
fn elsewhere(desired: &Desired, role: &Role, memory: &Memory<'_>) -> Blocked {
    let wanted = &desired.role.arn;
    let same_path = role.arn.eq_ignore_ascii_case(&wanted.to_string());
    let differs = if same_path { "case" } else { "path" };
    Blocked::RoleNotOurs {
        arn: role.arn.clone(),
        owner: format!("ours would be {wanted}, and IAM tells names apart by neither path nor case"),
        next: format!(
            "somebody else has the name in another {differs}. Choose another access.deployerRole.name in a new ManagedCluster, or delete the role if nothing uses it. To have it taken over, its owner opens it with `{}`, the platform team allows it in spec.allow[].deployerRoles and runs `mooring bootstrap` again, and a new ManagedCluster names it in access.deployerRole.arn, with adoptExisting",
            open_role(name_in(&role.arn), &memory.owner.hub)
        ),
    }
}

/// A role that was being taken over when the spec ceased to ask for that.
fn begun(role: &Role) -> Blocked {
    Blocked::NotAdoptable {
        what: format!("role {}", role.arn),
        why: "it bears the mark of this object, which was taking it over when spec.adoptExisting was set to false: nothing more is written to it. Set that to true to go on, or delete this ManagedCluster, which takes out what Mooring wrote there".to_owned(),
        part: Part::DeployerRole,
    }
}

/// Another object of this hub that has recorded the role as its own.
fn held<'a>(role: &Role, memory: &Memory<'a>) -> Option<&'a Lives> {
    memory.living.owner_of_role(&role.id, &memory.owner.uid)
}

/// A role that another object of this hub has recorded as its own, whatever tags it bears.
fn held_by(desired: &Desired, role: &Role, marked: &Marked, memory: &Memory<'_>) -> Blocked {
    let holder = held(role, memory);
    let name = holder.map(|holder| holder.name.as_str()).unwrap_or_default();
    let made = made_by(marked);
    Blocked::RoleNotOurs {
        arn: role.arn.clone(),
        owner: format!("{made}ManagedCluster {name} has recorded it as its own"),
        next: one_too_many(desired, holder),
    }
}

/// What to do where another object that is there has the role.
pub(super) fn one_too_many(desired: &Desired, holder: Option<&Lives>) -> String {
    let field = if desired.named { "arn" } else { "name" };
    match holder.and_then(|holder| holder.cluster.as_ref()) {
        Some(cluster) if *cluster == desired.cluster => ONE_TOO_MANY.to_owned(),
        Some(cluster) => format!(
            "that object moors {cluster} by it, and a role is one object's: make this ManagedCluster anew with another access.deployerRole.{field}"
        ),
        None => format!(
            "a role is one object's: delete this ManagedCluster if that one moors the same cluster, and else make it anew with another access.deployerRole.{field}"
        ),
    }
}

/// A role of our very ARN that somebody else made. `theirs` is who has it that was ours before.
fn not_ours(desired: &Desired, role: &Role, marked: &Marked, theirs: Option<String>, memory: &Memory<'_>) -> Blocked {
    let hub = memory.owner.hub.to_string();
    let open = adopt::open_role(&desired.role.arn.name, memory.owner);
    let (account, name) = (account_in(&role.arn), name_in(&role.arn));
    let adopt = adopt_existing(&memory.owner.object);
    let opened =
        format!("to have it taken over, its owner opens it, in account {account}, with `{open}`, and then `{adopt}`");
    let take_over = format!("take it over with `{adopt}`");
    let delete =
        format!("delete it if nothing uses it: in account {account}, `aws iam delete-role --role-name {name}`");
    let next = match marked {
        Marked::Another { hub: of, uid, object } if *of == hub => {
            if let Some(holder) = uid.as_ref().and_then(|uid| memory.living.get(uid)) {
                one_too_many(desired, Some(holder))
            } else {
                // The account opened what this hub made to it already, but for a role of others.
                let adopt = if desired.named {
                    opened.as_str()
                } else {
                    &take_over
                };
                let whose = if object.starts_with(&format!("{} (", memory.owner.object)) {
                    "that was an earlier object of this name, and is there no more"
                } else {
                    "that object is there no more"
                };
                format!("{whose}, so it left the role behind: {adopt}; or {delete}")
            }
        }
        _ if theirs.is_some() && memory.recorded_role == Some(role.id.as_str()) => {
            "its owner has handed it over: delete this ManagedCluster, which leaves the role as it is, or have it removed there first".to_owned()
        }
        Marked::Another { hub: of, .. } => format!(
            "the cluster is moored by the Mooring of {of}: remove it there first, or choose another access.deployerRole.name in a new ManagedCluster"
        ),
        Marked::Ours | Marked::Unmarked if desired.named => {
            format!("{opened}; or name another role in a new ManagedCluster")
        }
        Marked::Ours | Marked::Unmarked => format!(
            "somebody made it by hand, or took its tags off: {delete}; {opened}; or choose another access.deployerRole.name in a new ManagedCluster"
        ),
    };
    Blocked::RoleNotOurs {
        arn: role.arn.clone(),
        owner: theirs.unwrap_or_else(|| owner_in_words(marked)),
        next,
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
