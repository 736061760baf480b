//! Who else has a role, whatever was recorded of it. Pure.

use crate::{
    aws::Role,
    domain::ownership::{Marked, Owner, Tags},
    managed_cluster::living::Living,
    policy::trust,
    text::on_one_line,
};

use super::is_opened;

/// Whose a thing is, for a message.
pub(crate) fn owner_in_words(marked: &Marked) -> String {
    match marked {
        Marked::Ours => "it bears our tags, and its ID is none that we recorded".to_owned(),
        Marked::Another { hub, uid: None, .. } => {
            format!(
                "it is one of the roles that the Mooring of {} itself works by",
                on_one_line(hub)
            )
        }
        Marked::Another { hub, object, .. } => {
            format!(
                "it bears the mark of hub {} for {}",
                on_one_line(hub),
                on_one_line(object)
            )
        }
        Marked::Unmarked => "it bears no tag of Mooring's".to_owned(),
    }
}

/// Whose a role outside of our path is that was ours once, in words: another object of this hub bears it or has recorded it,
/// or its owner has handed it to another hub.
pub(in crate::managed_cluster) fn anothers(owner: &Owner, living: &Living, role: &Role) -> Option<String> {
    let marked = owner.judge(&role.tags);
    match &marked {
        Marked::Ours => return None,
        Marked::Another {
            hub, uid: Some(uid), ..
        } if *hub == owner.hub.to_string() => {
            // A tag is what anybody writes who may tag: what that object and this one recorded is stronger.
            let stands_on = |uid: &str| {
                living
                    .get(uid)
                    .is_some_and(|lives| lives.role.as_ref() == Some(&role.id))
            };
            if living.contains(uid) && (stands_on(uid) || !stands_on(&owner.uid)) {
                return Some(owner_in_words(&marked));
            }
        }
        Marked::Another { .. } | Marked::Unmarked => {}
    }
    if let Some(whose) = marked_by_another_hub(owner, role) {
        return Some(whose);
    }
    if let Some(other) = living.owner_of_role(&role.id, &owner.uid) {
        return Some(format!("ManagedCluster {} has recorded it as its own", other.name));
    }
    of_another_management_role(owner, role)
}

/// Which other hub a role outside of our path was handed to, in words: it bears that hub's mark, or its trust policy lets
/// that in. While it is opened to this hub what was recorded is stronger than what anybody writes who may tag; while it is
/// not, nothing can be written to it anyway. What stands for such a role alone, as its access entry, goes with it.
pub(in crate::managed_cluster) fn another_hubs(owner: &Owner, role: &Role) -> Option<String> {
    if owner.judge(&role.tags) == Marked::Ours {
        return None;
    }
    marked_by_another_hub(owner, role).or_else(|| of_another_management_role(owner, role))
}

fn marked_by_another_hub(owner: &Owner, role: &Role) -> Option<String> {
    let marked = owner.judge(&role.tags);
    (marked.is_another_hubs(owner) && !is_opened(&role.tags, owner)).then(|| owner_in_words(&marked))
}

fn of_another_management_role(owner: &Owner, role: &Role) -> Option<String> {
    let theirs = trust::of_another_hub(&role.trust, &owner.hub).filter(|_| !is_opened(&role.tags, owner))?;
    Some(format!(
        "its trust policy lets in {theirs}, by which another Mooring works"
    ))
}

/// The same of a role that is let go of, wherever it stands: another object may live by it also where it bears our mark.
pub(in crate::managed_cluster) fn kept_for_another(
    owner: &Owner,
    living: &Living,
    role: &Role,
    shared: bool,
) -> Option<String> {
    if let Some(other) = living.owner_of_role(&role.id, &owner.uid) {
        return Some(format!("ManagedCluster {} has recorded it as its own", other.name));
    }
    anothers(owner, living, role).filter(|_| shared)
}

/// Who made a thing, in front of what else is told of whose it is; nothing where no mark says it.
pub(super) fn made_by(marked: &Marked) -> String {
    match marked {
        Marked::Another { .. } => format!("{}, and ", owner_in_words(marked)),
        Marked::Ours | Marked::Unmarked => String::new(),
    }
}

/// The tags of Mooring that a thing bears, as a command takes their keys.
pub(super) fn mooring_tags(tags: &Tags) -> String {
    let ours = tags.keys().filter(|key| key.starts_with("mooring.dev/"));
    ours.map(String::as_str).collect::<Vec<_>>().join(" ")
}
