//! Whose an access entry is.

use std::collections::BTreeSet;

use crate::{
    api::AccessEntryStatus,
    domain::{
        eks::AccessEntry,
        ownership::{ADOPT_TAG, ADOPTED_TAG, Marked, Owner, Tags, missing_tags},
    },
    managed_cluster::step::Step,
};

/// What is known of access entries beside their tags.
#[derive(Clone, Copy, Debug)]
pub struct KnownEntry<'a> {
    /// What was recorded of ours.
    pub recorded: Option<&'a AccessEntryStatus>,
    /// The UIDs of all `ManagedCluster`s that are there.
    pub living: &'a BTreeSet<String>,
}

/// Whether an access entry is ours: by its tags, or by the ARN that was recorded, which EKS gives to no other. So whoever
/// takes tags off does not take the entry away. What another object that is there has taken over is that object's, and
/// what the account's owner has opened to another hub that took it is that hub's.
pub(in crate::managed_cluster) fn owns(owner: &Owner, known: KnownEntry<'_>, entry: &AccessEntry) -> bool {
    match owner.judge(&entry.tags) {
        Marked::Ours => true,
        Marked::Another {
            hub, uid: Some(uid), ..
        } if (hub == owner.hub.to_string() && known.living.contains(&uid))
            || (hub != owner.hub.to_string() && entry.tags.get(ADOPT_TAG) == Some(&hub)) =>
        {
            false
        }
        Marked::Unmarked | Marked::Another { .. } => is_recorded(known.recorded, entry),
    }
}

fn is_recorded(recorded: Option<&AccessEntryStatus>, entry: &AccessEntry) -> bool {
    let recorded = recorded.and_then(|recorded| recorded.arn.as_ref());
    recorded == Some(&entry.arn) && !entry.arn.is_empty()
}

/// Whether an entry was taken over: what stands beside ours on it is somebody's. What was recorded of it decides, since the
/// tag can be set by anybody who may tag, and what he adds would stay by it. The tag counts where nothing is recorded of
/// this very entry, as when the status was lost.
pub(in crate::managed_cluster) fn taken_over(recorded: Option<&AccessEntryStatus>, entry: &AccessEntry) -> bool {
    let recorded = recorded.filter(|recorded| is_recorded(Some(recorded), entry));
    recorded
        .and_then(|recorded| recorded.adopted)
        .unwrap_or_else(|| entry.tags.contains_key(ADOPTED_TAG))
}

/// Puts our mark back on an entry that lacks some of it: the provisioner may do nothing else to it before.
pub(in crate::managed_cluster) fn mark(owner: &Owner, tags: &Tags, entry: &AccessEntry) -> Option<Step> {
    (owner.judge(&entry.tags) != Marked::Ours).then(|| Step::TagAccessEntry {
        arn: entry.arn.clone(),
        tags: tags.clone(),
        missing: missing_tags(tags, &entry.tags).into_keys().collect(),
    })
}
