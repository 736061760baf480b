//! What is to be recorded of what was looked at.

use std::collections::BTreeSet;

use super::{Memory, adopt, entry, suspicion::is_older};
use crate::{
    api::{AccessEntryStatus, DeployerRoleStatus},
    aws::Role,
    managed_cluster::{desired::Desired, observe::Spoke},
};

/// What is to be recorded of the access entry: its ARN, where it is ours; and of one that was taken over, or is now, what
/// the spec gives to it, and what it gave and still stands there.
#[must_use]
pub fn given(desired: &Desired, spoke: &Spoke, memory: &Memory<'_>) -> Option<AccessEntryStatus> {
    // An entry that stands has lost nothing, and one that is made anew neither.
    let recorded = memory.given.filter(|given| given.arn.is_some());
    let recorded = recorded.map(|given| AccessEntryStatus {
        lost: BTreeSet::new(),
        ..given.clone()
    });
    // A read may not show it yet, and its ARN is never another's.
    let Some(entry) = spoke.entry.as_ref() else {
        return recorded;
    };
    let ours = memory.owns(entry);
    let taken = ours || (desired.adopt && adopt::entry(desired, entry, memory).is_ok());
    // One that is being taken over is recorded as ours once it bears our mark.
    // There is one entry for a role: where another one stands, the one that was recorded is gone.
    let recorded = recorded.filter(|recorded| recorded.arn.as_ref() == Some(&entry.arn));
    let arn = if ours {
        Some(entry.arn.clone())
    } else {
        recorded.as_ref().and_then(|recorded| recorded.arn.clone())
    };
    if !taken {
        // What is another's by now stays that one's also when somebody takes tags off again.
        return recorded.filter(|_| !memory.handed_over(entry));
    }
    // What its tags alone say is recorded once nothing speaks against it: anybody may write them who may tag, and what is
    // recorded is believed from then on, so that no second look would agree with the first.
    let known = recorded.as_ref().is_some_and(|recorded| recorded.role_id.is_some());
    let doubted = !known && spoke.role.as_ref().is_some_and(|role| is_older(entry, role));
    let role_id = memory.made_for(entry).filter(|_| ours && !doubted);
    if !entry::shared(entry, memory) {
        return arn.map(|arn| AccessEntryStatus {
            arn: Some(arn),
            role_id,
            adopted: Some(false),
            ..AccessEntryStatus::default()
        });
    }
    let mut given = memory.given.cloned().unwrap_or_default();
    given.arn = arn;
    given.role_id = role_id;
    given.adopted = Some(true);
    given.lost.clear();
    let found = spoke.associations.as_ref();
    given
        .policies
        .retain(|arn| found.is_some_and(|found| found.keys().any(|policy| policy.as_str() == arn)));
    given.kubernetes_groups.retain(|group| entry.groups.contains(group));
    given
        .policies
        .extend(desired.associations.keys().map(|policy| policy.as_str().to_owned()));
    given.kubernetes_groups.extend(desired.entry.groups.iter().cloned());
    Some(given)
}

/// The deployer role that somebody else owns, where it is the one that the spec names: what is recorded of it.
#[must_use]
pub fn existing_role(desired: &Desired, role: Option<&Role>) -> Option<DeployerRoleStatus> {
    let named = role.filter(|role| desired.existing && role.arn == desired.role.arn.to_string())?;
    Some(DeployerRoleStatus {
        arn: named.arn.clone(),
        id: named.id.clone(),
    })
}
