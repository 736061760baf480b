//! Whose an access entry is.

use std::collections::BTreeSet;

use crate::{
    api::AccessEntryStatus,
    domain::{
        eks::AccessEntry,
        ownership::{ADOPT_TAG, ADOPTED_TAG, Marked, Owner, Tags, missing_tags},
    },
    managed_cluster::{blocked::Blocked, step::Step},
};

use super::owner_in_words;

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

/// What is told of an access entry that is not ours, with what to do about it. Where access is to go (`adopt` is false)
/// nobody is told to take it over.
pub(super) fn entry_not_ours(owner: &Owner, living: &BTreeSet<String>, entry: &AccessEntry, adopt: bool) -> Blocked {
    let marked = owner.judge(&entry.tags);
    let delete = deletion(entry);
    let or_adopt = if adopt {
        ", or set spec.adoptExisting to have it taken over"
    } else {
        ""
    };
    let next = match &marked {
        Marked::Another {
            hub, uid: Some(uid), ..
        } if *hub == owner.hub.to_string() && living.contains(uid) => {
            "that ManagedCluster is there and moors this cluster already, so leave the entry alone, and delete this one"
                .to_owned()
        }
        Marked::Another { hub, .. } if *hub == owner.hub.to_string() => {
            format!("that object is there no more, so it left the entry behind: {delete}{or_adopt}")
        }
        Marked::Another { hub, .. } => format!(
            "the cluster is moored by the Mooring of {hub}: have it removed there, or, where that hub is gone, {delete}"
        ),
        Marked::Ours | Marked::Unmarked if adopt => format!(
            "somebody made it by hand, or took its tags off: {delete}, or set spec.adoptExisting to have it taken over, once its owner has opened it"
        ),
        Marked::Ours | Marked::Unmarked => format!("somebody made it by hand, or took its tags off: {delete}"),
    };
    Blocked::EntryNotOurs {
        owner: owner_in_words(&marked),
        next,
    }
}

/// How an access entry is deleted. Its ARN is `arn:PARTITION:eks:REGION:ACCOUNT:access-entry/CLUSTER/...` (AWS,
/// "Actions, resources, and condition keys for Amazon EKS").
fn deletion(entry: &AccessEntry) -> String {
    let mut place = entry.arn.splitn(6, ':').skip(3);
    let (region, _, resource) = (place.next(), place.next(), place.next());
    let cluster = resource.and_then(|resource| resource.split('/').nth(1));
    match (region, cluster) {
        (Some(region), Some(cluster)) => format!(
            "delete it with `aws eks delete-access-entry --region {region} --cluster-name {cluster} --principal-arn {}`",
            entry.principal
        ),
        _ => "delete it in EKS".to_owned(),
    }
}

/// Puts our mark back on an entry that lacks some of it: the provisioner may do nothing else to it before.
pub(in crate::managed_cluster) fn mark(owner: &Owner, tags: &Tags, entry: &AccessEntry) -> Option<Step> {
    (owner.judge(&entry.tags) != Marked::Ours).then(|| Step::TagAccessEntry {
        arn: entry.arn.clone(),
        tags: tags.clone(),
        missing: missing_tags(tags, &entry.tags).into_keys().collect(),
    })
}
