//! Why a role that stands under our name is not ours, and what to do about it. Pure.

use crate::{
    aws::Role,
    domain::{
        arn::{account_in, name_in},
        commands::{adopt_existing, open_role},
        ownership::Marked,
    },
};

use super::{Memory, adopt, owner_in_words, theirs::made_by};
use crate::managed_cluster::{
    blocked::{Blocked, ONE_TOO_MANY},
    desired::Desired,
    living::Lives,
    step::Part,
};

/// A role whose name is ours, and that stands under another path or in another case: to IAM the name is the same.
pub(super) fn elsewhere(desired: &Desired, role: &Role, memory: &Memory<'_>) -> Blocked {
    let wanted = &desired.role.arn;
    let same_path = role.arn.eq_ignore_ascii_case(&wanted.to_string());
    let differs = if same_path { "case" } else { "path" };
    let why = format!("ours would be {wanted}, and IAM tells names apart by neither path nor case");
    let marked = memory.owner.judge(&role.tags);
    let of_living = match &marked {
        Marked::Another { hub, uid, .. } if *hub == memory.owner.hub.to_string() => {
            uid.as_ref().and_then(|uid| memory.living.get(uid))
        }
        Marked::Ours | Marked::Another { .. } | Marked::Unmarked => None,
    };
    let recorded = held(role, memory);
    let holder = recorded.or(of_living);
    if holder.is_some() || marked != Marked::Unmarked {
        let whose = recorded.map_or_else(
            || owner_in_words(&marked),
            |holder| format!("ManagedCluster {} has recorded it as its own", holder.name),
        );
        // It may be one that Mooring itself works by: nobody is told to delete it.
        let other = "choose another access.deployerRole.name in a new ManagedCluster";
        let next = match (holder, marked.is_another_hubs(memory.owner)) {
            (Some(holder), _) => one_too_many(desired, Some(holder)),
            (None, true) => format!("it has the name in another {differs}: have it removed there first, or {other}"),
            (None, false) => format!("it has the name in another {differs}: {other}"),
        };
        return Blocked::RoleNotOurs {
            arn: role.arn.clone(),
            owner: format!("{whose}; {why}"),
            next,
        };
    }
    Blocked::RoleNotOurs {
        arn: role.arn.clone(),
        owner: why,
        next: format!(
            "somebody else has the name in another {differs}. Choose another access.deployerRole.name in a new ManagedCluster, or delete the role if nothing uses it. To have it taken over, its owner opens it with `{}`, the platform team allows it in spec.allow[].deployerRoles and runs `mooring bootstrap` again, and a new ManagedCluster names it in access.deployerRole.arn, with adoptExisting",
            open_role(name_in(&role.arn), &memory.owner.hub)
        ),
    }
}

/// A role that is not taken over, and stands where one was recorded: that one is gone, and the access with it.
pub(super) fn replaced(role: &Role, memory: &Memory<'_>, blocked: Blocked) -> Blocked {
    let recorded = memory.recorded_role.filter(|recorded| *recorded != role.id);
    match (recorded, blocked) {
        (Some(recorded), Blocked::NotAdoptable { why, .. }) => Blocked::RoleReplaced {
            arn: role.arn.clone(),
            recorded: recorded.to_owned(),
            found: role.id.clone(),
            owner: owner_in_words(&memory.owner.judge(&role.tags)),
            kept_out: Some(why),
        },
        (_, blocked) => blocked,
    }
}

/// A role that was being taken over when the spec ceased to ask for that.
pub(super) fn begun(role: &Role) -> Blocked {
    Blocked::NotAdoptable {
        what: format!("role {}", role.arn),
        why: "it bears the mark of this object, which was taking it over when spec.adoptExisting was set to false: nothing more is written to it. Set that to true to go on, or delete this ManagedCluster, which takes out what Mooring wrote there".to_owned(),
        part: Part::DeployerRole,
    }
}

/// Another object of this hub that has recorded the role as its own.
pub(super) fn held<'a>(role: &Role, memory: &Memory<'a>) -> Option<&'a Lives> {
    memory.living.owner_of_role(&role.id, &memory.owner.uid)
}

/// A role that another object of this hub has recorded as its own, whatever tags it bears.
pub(super) fn held_by(desired: &Desired, role: &Role, marked: &Marked, memory: &Memory<'_>) -> Blocked {
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
pub(super) fn not_ours(
    desired: &Desired,
    role: &Role,
    marked: &Marked,
    theirs: Option<String>,
    memory: &Memory<'_>,
) -> Blocked {
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
