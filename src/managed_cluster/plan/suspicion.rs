//! What only a deletion heals, and so is looked at twice.

use super::role::Standing;
use crate::{
    domain::{eks::AccessEntry, ownership::ROLE_ID_TAG},
    managed_cluster::step::Suspicion,
};

/// What only a deletion heals: a role of ours by its tags alone, or an entry that was made for another role than the
/// one that stands there. EKS pins an entry to the role's unique ID and never shows it (EKS API, `AccessEntry`).
pub(super) fn suspicion(standing: &Standing<'_>, entry: Option<&AccessEntry>) -> Option<Suspicion> {
    let (role_id, stranger) = match standing {
        Standing::Ours(role) | Standing::Existing(role) | Standing::Adopt(role) => (Some(role.id.as_str()), None),
        Standing::Stranger(role) => (None, Some(role.id.clone())),
        Standing::Absent | Standing::Foreign(_) => (None, None),
    };
    let made_for = |entry: &AccessEntry| entry.tags.get(ROLE_ID_TAG).cloned().unwrap_or_default();
    let entry_made_for = entry
        .map(made_for)
        .filter(|made_for| Some(made_for.as_str()) != role_id);
    (stranger.is_some() || entry_made_for.is_some()).then_some(Suspicion {
        role_id: stranger,
        entry_made_for,
    })
}

pub(super) fn suspicion_in_words(suspicion: Option<&Suspicion>) -> String {
    match suspicion {
        Some(Suspicion { role_id: Some(id), .. }) => {
            format!("a role of our name and tags with ID {id} was not recorded as made by us, and is never used")
        }
        Some(Suspicion {
            entry_made_for: Some(id),
            ..
        }) if id.is_empty() => "the access entry does not say for which role it was made".to_owned(),
        Some(Suspicion {
            entry_made_for: Some(id),
            ..
        }) => format!("the access entry was made for role ID {id}, which is not the deployer role's any more"),
        Some(Suspicion {
            role_id: None,
            entry_made_for: None,
        })
        | None => String::new(),
    }
}
