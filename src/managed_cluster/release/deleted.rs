//! What this process deleted, by the names that AWS never gives twice. Pure.

use std::collections::BTreeSet;

use crate::managed_cluster::{apply::Outcome, observe::Spoke};

/// What was seen, without what this process deleted already and AWS still shows; and whether there was any.
pub(super) fn without(mut spoke: Spoke, deleted: &BTreeSet<String>) -> (Spoke, bool) {
    let before = (spoke.entry.is_some(), spoke.role.is_some());
    spoke.entry = spoke.entry.filter(|entry| !deleted.contains(&entry.arn));
    spoke.role = spoke.role.filter(|role| !deleted.contains(&role.id));
    let late = before != (spoke.entry.is_some(), spoke.role.is_some());
    (spoke, late)
}

/// Whether it is known what became of the role and of the access entry, so that one look that finds nothing to do is enough:
/// each stands and is left, or this process `deleted` it. What an operator made right before may not show for minutes, and a
/// look that finds none of it, or a deletion of the other one, says nothing of it.
pub(super) fn is_known(
    spoke: &Spoke,
    deleted: &BTreeSet<String>,
    (recorded_role, existing): (Option<&str>, bool),
    recorded_entry: Option<&str>,
) -> bool {
    let is_entry = |name: &&String| name.starts_with("arn:");
    let entry = match recorded_entry {
        Some(arn) => deleted.contains(arn),
        None => deleted.iter().any(|name| is_entry(&name)),
    };
    let role = match recorded_role {
        Some(id) => deleted.contains(id),
        None => existing || deleted.iter().any(|name| !is_entry(&name)),
    };
    (entry || spoke.entry.is_some()) && (role || spoke.role.is_some())
}

/// What a pass deleted, by the names that AWS never gives twice.
pub(in crate::managed_cluster) fn gone(spoke: Option<&Spoke>, outcome: &Outcome) -> Vec<String> {
    let entry = spoke
        .and_then(|spoke| spoke.entry.as_ref())
        .filter(|_| outcome.entry_deleted());
    let role = spoke
        .and_then(|spoke| spoke.role.as_ref())
        .filter(|_| outcome.role_deleted());
    entry
        .map(|entry| entry.arn.clone())
        .into_iter()
        .chain(role.map(|role| role.id.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_role_and_entry_is_known_of_each_by_itself() {
        let (role, entry) = ("AROAONE", "arn:aws:eks:eu-west-1:1:access-entry/c/role/1/r/x");
        let known = |deleted: &[&str], recorded: (Option<&str>, bool), entry| {
            let deleted = deleted.iter().map(|name| (*name).to_owned()).collect();
            is_known(&Spoke::default(), &deleted, recorded, entry)
        };
        for recorded in [(Some(role), false), (None, false)] {
            for of_entry in [Some(entry), None] {
                assert!(known(&[role, entry], recorded, of_entry));
                // Right after it was made EKS may not show the entry, and IAM not the role.
                assert!(!known(&[role], recorded, of_entry), "the entry may stand");
                assert!(!known(&[entry], recorded, of_entry), "the role may stand");
                assert!(!known(&[], recorded, of_entry));
            }
        }
        assert!(!known(&[role, "arn:another"], (Some(role), false), Some(entry)));
        assert!(!known(&["AROATWO", entry], (Some(role), false), Some(entry)));
        // A role of somebody else's is not looked at, and stays.
        assert!(known(&[entry], (None, true), Some(entry)) && !known(&[], (None, true), Some(entry)));
    }
}
