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
