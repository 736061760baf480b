//! What only a deletion heals, and so is looked at twice.

use super::role::Standing;
use crate::{aws::Role, domain::eks::AccessEntry, managed_cluster::step::Suspicion};

/// How much older than its role an access entry must be before that says anything, in seconds: IAM and EKS date by clocks
/// of their own. EKS makes an entry only for a role that is there (EKS user guide, "Create access entries").
const CLOCKS_DIFFER: i64 = 60;

/// What only a deletion heals: a role of ours by its tags alone, or an entry that was made for another role than the
/// one that stands there. EKS pins an entry to the role's unique ID and never shows it (EKS API, `AccessEntry`): which role it
/// was `made_for` is known where Mooring made it, and otherwise its age tells. One that Mooring itself made for the very role,
/// and `recorded`, is its, whatever the clocks say.
pub(super) fn suspicion(
    standing: &Standing<'_>,
    entry: Option<&AccessEntry>,
    made_for: Option<String>,
    recorded: Option<&str>,
) -> Option<Suspicion> {
    let (role, stranger) = match standing {
        Standing::Ours(role) | Standing::Existing(role) | Standing::Adopt(role) => (Some(*role), None),
        Standing::Stranger(role) => (None, Some(role.id.clone())),
        Standing::Absent | Standing::Foreign(_) => (None, None),
    };
    let entry_made_for = made_for.filter(|made_for| role.is_none_or(|role| *made_for != role.id));
    let unproven = role.filter(|role| recorded != Some(role.id.as_str()));
    let older = unproven.filter(|role| entry.is_some_and(|entry| is_older(entry, role)));
    let entry_older_than = older.filter(|_| entry_made_for.is_none()).map(|role| role.id.clone());
    (stranger.is_some() || entry_made_for.is_some() || entry_older_than.is_some()).then_some(Suspicion {
        role_id: stranger,
        entry_made_for,
        entry_older_than,
    })
}

/// Whether an entry is older than its role, by more than clocks differ.
pub(super) fn is_older(entry: &AccessEntry, role: &Role) -> bool {
    let both = entry.created.zip(role.created);
    both.is_some_and(|(entry, role)| role.saturating_sub(entry) > CLOCKS_DIFFER)
}
