//! Whose an access entry is.

use crate::{
    api::AccessEntryStatus,
    aws::Role,
    domain::{
        arn::{ClusterArn, account_in, region_in},
        commands,
        eks::AccessEntry,
        ownership::{ADOPT_TAG, ADOPTED_TAG, Marked, Owner, Tags, missing_tags},
    },
    managed_cluster::{
        blocked::{Blocked, ONE_TOO_MANY},
        living::{Lives, Living},
        step::Step,
    },
};

use super::{owner_in_words, theirs::another_hubs};

/// What is known of access entries beside their tags.
#[derive(Clone, Copy, Debug)]
pub struct KnownEntry<'a> {
    /// What was recorded of ours.
    pub recorded: Option<&'a AccessEntryStatus>,
    /// All `ManagedCluster`s that are there.
    pub living: &'a Living,
    /// The deployer role, where it stands outside of our path and was looked at: its entry goes with it.
    pub role: Option<&'a Role>,
}

/// Whether an access entry is ours: by its tags, or by the ARN that was recorded, which EKS gives to no other. So whoever
/// takes tags off, or writes others, does not take the entry away. What another object that is there has taken over, or
/// recorded as its own, is that object's, and what was handed to another hub is that hub's.
pub(in crate::managed_cluster) fn owns(owner: &Owner, known: KnownEntry<'_>, entry: &AccessEntry) -> bool {
    let marked = owner.judge(&entry.tags);
    let of_living = match &marked {
        Marked::Ours => return true,
        Marked::Another {
            hub, uid: Some(uid), ..
        } => *hub == owner.hub.to_string() && known.living.get(uid).is_some_and(|one| may_hold(one, entry)),
        Marked::Another { .. } | Marked::Unmarked => false,
    };
    is_recorded(known.recorded, entry)
        && !of_living
        && !is_another_hubs(owner, &marked, known.role, entry)
        && known.living.owner_of_entry(&entry.arn, &owner.uid).is_none()
}

/// Whether an entry may be the one of this object: an entry is of one EKS cluster, and so is an object. A mark of one that moors
/// another cluster was copied.
fn may_hold(holder: &Lives, entry: &AccessEntry) -> bool {
    let of = cluster_of(entry);
    (holder.cluster.as_ref().zip(of)).is_none_or(|(moored, of)| *moored == of)
}

/// What to do about an entry that bears the mark of another object that is there.
pub(super) fn marked_by(holder: Option<&Lives>, entry: &AccessEntry) -> String {
    let Some(holder) = holder else {
        return ONE_TOO_MANY.to_owned();
    };
    let name = &holder.name;
    match &holder.cluster {
        Some(cluster) if !may_hold(holder, entry) => format!(
            "ManagedCluster {name} moors {cluster}, and this entry is of another cluster, so somebody copied that mark: {}",
            deletion(entry)
        ),
        Some(_) | None => format!(
            "{ONE_TOO_MANY}. What that one gives, `{}` takes away",
            commands::suspend(name)
        ),
    }
}

/// Whether an entry was handed to the hub whose mark it bears: its owner has opened it to that hub, or has handed that hub
/// the role, unless he opened the entry to us. The mark alone says nothing, since anybody writes it who may tag.
fn is_another_hubs(owner: &Owner, marked: &Marked, role: Option<&Role>, entry: &AccessEntry) -> bool {
    let Marked::Another { hub, .. } = marked else {
        return false;
    };
    let of_its_role = || role.is_some_and(|role| another_hubs(owner, role).is_some());
    marked.is_another_hubs(owner)
        && match entry.tags.get(ADOPT_TAG) {
            Some(opened) if opened == hub => true,
            Some(opened) if *opened == owner.hub.to_string() => false,
            Some(_) | None => of_its_role(),
        }
}

/// Whether it takes a look at the role to tell whose an entry is.
pub(in crate::managed_cluster) fn hangs_on_its_role(owner: &Owner, known: KnownEntry<'_>, entry: &AccessEntry) -> bool {
    owner.judge(&entry.tags).is_another_hubs(owner) && owns(owner, known, entry)
}

/// Whether an entry that was ours is another's by now: it is to be forgotten, so that it stays that one's also when
/// somebody takes tags off again.
pub(in crate::managed_cluster) fn is_handed_over(owner: &Owner, known: KnownEntry<'_>, entry: &AccessEntry) -> bool {
    is_recorded(known.recorded, entry) && !owns(owner, known, entry)
}

pub(in crate::managed_cluster) fn is_recorded(recorded: Option<&AccessEntryStatus>, entry: &AccessEntry) -> bool {
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
pub(super) fn entry_not_ours(owner: &Owner, living: &Living, entry: &AccessEntry, adopt: bool) -> Blocked {
    let marked = owner.judge(&entry.tags);
    let delete = deletion(entry);
    let or_adopt = if adopt {
        format!(", or take it over with `{}`", commands::adopt_existing(&owner.object))
    } else {
        String::new()
    };
    if marked == Marked::Unmarked
        && let Some(other) = living.owner_of_entry(&entry.arn, &owner.uid)
    {
        let name = &other.name;
        return Blocked::EntryNotOurs {
            owner: format!("ManagedCluster {name} has recorded it as its own"),
            next: format!(
                "that ManagedCluster is there and moors this cluster already, so leave the entry alone, and delete one of the two; {name} keeps it, or else this one does"
            ),
        };
    }
    let next = match &marked {
        Marked::Another {
            hub, uid: Some(uid), ..
        } if *hub == owner.hub.to_string() && living.contains(uid) => marked_by(living.get(uid), entry),
        Marked::Another { hub, .. } if *hub == owner.hub.to_string() => {
            format!("that object is there no more, so it left the entry behind: {delete}{or_adopt}")
        }
        Marked::Another { hub, .. } => format!(
            "the cluster is moored by the Mooring of {hub}: have it removed there, or, where that hub is gone, {delete}"
        ),
        Marked::Ours | Marked::Unmarked if adopt => format!(
            "Argo CD may get in by it now. To keep it, its owner opens it to this hub, in account {}, with `{}`, and then `{}`; or {delete}, which takes that access away until Mooring has made its own",
            account_in(&entry.arn),
            open_command(entry, owner),
            commands::adopt_existing(&owner.object)
        ),
        Marked::Ours | Marked::Unmarked => format!("somebody made it, and it still lets Argo CD in: {delete}"),
    };
    Blocked::EntryNotOurs {
        owner: owner_in_words(&marked),
        next,
    }
}

/// The command by which the owner of the account has an access entry taken over.
pub(super) fn open_command(entry: &AccessEntry, owner: &Owner) -> String {
    commands::open_access_entry(region_in(&entry.arn), &entry.arn, &owner.hub)
}

/// How an access entry is deleted.
fn deletion(entry: &AccessEntry) -> String {
    cluster_of(entry).map_or_else(
        || "delete it in EKS".to_owned(),
        |ClusterArn { region, account, name }| {
            let command = commands::delete_access_entry(region, name, &entry.principal);
            format!("delete it, in account {account}, with `{command}`")
        },
    )
}

/// The cluster of an access entry. The entry's ARN is `arn:PARTITION:eks:REGION:ACCOUNT:access-entry/CLUSTER/...` (AWS,
/// "Actions, resources, and condition keys for Amazon EKS").
fn cluster_of(entry: &AccessEntry) -> Option<ClusterArn> {
    let mut place = entry.arn.splitn(6, ':').skip(3);
    let (region, account, resource) = (place.next()?, place.next()?, place.next()?);
    Some(ClusterArn {
        region: region.parse().ok()?,
        account: account.parse().ok()?,
        name: resource
            .strip_prefix("access-entry/")?
            .split('/')
            .next()?
            .parse()
            .ok()?,
    })
}

/// Puts our mark back on an entry that lacks some of it: the provisioner may do nothing else to it before.
pub(in crate::managed_cluster) fn mark(owner: &Owner, tags: &Tags, entry: &AccessEntry) -> Option<Step> {
    (owner.judge(&entry.tags) != Marked::Ours).then(|| Step::TagAccessEntry {
        arn: entry.arn.clone(),
        tags: tags.clone(),
        missing: missing_tags(tags, &entry.tags).into_keys().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ownership::{HUB_TAG, UID_TAG};

    const OTHER_HUB: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";
    const ARN: &str = "arn:aws:eks:eu-west-1:222222222222:access-entry/prod/role/222222222222/x/1";

    fn owner() -> Owner {
        Owner {
            hub: ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: "hub".parse().unwrap(),
            },
            uid: "ours".into(),
            object: "prod".into(),
        }
    }

    fn entry(arn: &str, tags: &[(&str, &str)]) -> AccessEntry {
        AccessEntry {
            arn: arn.to_owned(),
            tags: tags
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            ..AccessEntry::default()
        }
    }

    fn recorded(arn: &str, adopted: Option<bool>) -> AccessEntryStatus {
        AccessEntryStatus {
            arn: Some(arn.to_owned()),
            adopted,
            ..AccessEntryStatus::default()
        }
    }

    #[test]
    fn an_entry_that_was_recorded_is_ours_until_somebody_else_has_it() {
        let hub = &*owner().hub.to_string();
        let mut living = Living::default();
        for uid in ["ours", "living"] {
            living.insert(uid.to_owned(), Lives::default());
        }
        let opened = [(HUB_TAG, OTHER_HUB), (UID_TAG, "x"), (ADOPT_TAG, OTHER_HUB)];
        let opened_to_us = [(HUB_TAG, OTHER_HUB), (UID_TAG, "x"), (ADOPT_TAG, hub)];
        for (tags, expected, case) in [
            (&[][..], true, "its tags were taken off"),
            (
                &[(HUB_TAG, hub), (UID_TAG, "living")],
                false,
                "another object has taken it over",
            ),
            (&[(HUB_TAG, hub), (UID_TAG, "gone")], true, "an object that is no more"),
            (
                &[(HUB_TAG, OTHER_HUB), (UID_TAG, "living")],
                true,
                "anybody can write tags",
            ),
            (&opened, false, "opened to the hub that took it"),
            (&opened_to_us, true, "opened to us and to no other"),
        ] {
            let known = |recorded| KnownEntry {
                recorded,
                living: &living,
                role: None,
            };
            let (ours, another) = (recorded(ARN, None), recorded("arn:another", None));
            assert_eq!(
                owns(&owner(), known(Some(&ours)), &entry(ARN, tags)),
                expected,
                "{case}"
            );
            assert!(!owns(&owner(), known(Some(&another)), &entry(ARN, tags)), "{case}");
            assert!(!owns(&owner(), known(None), &entry(ARN, tags)), "{case}");
            let nameless = recorded("", None);
            assert!(
                !owns(&owner(), known(Some(&nameless)), &entry("", tags)),
                "{case}: no ARN"
            );
        }
        let marked: Vec<(String, String)> = owner().tags().into_iter().collect();
        let marked: Vec<(&str, &str)> = marked
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let known = KnownEntry {
            recorded: None,
            living: &living,
            role: None,
        };
        assert!(owns(&owner(), known, &entry(ARN, &marked)));
    }

    #[test]
    fn a_mark_of_an_object_that_moors_another_cluster_was_copied() {
        let hub = &*owner().hub.to_string();
        let moors = |name: &str| Lives {
            name: "other".into(),
            cluster: Some(ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "222222222222".parse().unwrap(),
                name: name.parse().unwrap(),
            }),
            ..Lives::default()
        };
        for (cluster, copied) in [("prod", false), ("prod-2", true)] {
            let mut living = Living::default();
            living.insert("living".to_owned(), moors(cluster));
            let marked = AccessEntry {
                principal: "arn:aws:iam::222222222222:role/x".into(),
                ..entry(ARN, &[(HUB_TAG, hub), (UID_TAG, "living")])
            };
            let ours = recorded(ARN, None);
            let known = |recorded| KnownEntry {
                recorded,
                living: &living,
                role: None,
            };
            assert_eq!(owns(&owner(), known(Some(&ours)), &marked), copied, "{cluster}");
            assert!(!owns(&owner(), known(None), &marked));
            let told = entry_not_ours(&owner(), &living, &marked, false);
            let delete = "in account 222222222222, with `aws eks delete-access-entry --region eu-west-1 --cluster-name prod --principal-arn arn:aws:iam::222222222222:role/x`";
            assert_eq!(told.message().contains(delete), copied, "{}", told.message());
            assert_eq!(told.is_one_too_many(), !copied);
            assert_eq!(told.message().contains("kubectl patch mgc other"), !copied);
        }
    }

    #[test]
    fn an_entry_goes_with_its_role_unless_its_owner_has_said_whose_it_is() {
        let hub = &*owner().hub.to_string();
        let living = Living::default();
        let handed_over = Role {
            tags: entry(ARN, &[(HUB_TAG, OTHER_HUB), (UID_TAG, "x")]).tags,
            ..Role::default()
        };
        let theirs = [(HUB_TAG, OTHER_HUB), (UID_TAG, "x")];
        let with = |opened: &'static str| [theirs[0], theirs[1], (ADOPT_TAG, opened)];
        for (tags, role, expected, case) in [
            (
                &theirs[..],
                Some(&handed_over),
                false,
                "it was handed over with its role",
            ),
            (&theirs[..], Some(&Role::default()), true, "the role is nobody's"),
            (&theirs[..], None, true, "no role"),
            (&with("another")[..], Some(&handed_over), false, "opened to a third hub"),
            (&with(OTHER_HUB)[..], None, false, "opened to that hub"),
            (&[][..], Some(&handed_over), true, "nobody has marked it"),
        ] {
            let ours = recorded(ARN, None);
            let known = KnownEntry {
                recorded: Some(&ours),
                living: &living,
                role,
            };
            assert_eq!(owns(&owner(), known, &entry(ARN, tags)), expected, "{case}");
        }
        let ours = recorded(ARN, None);
        let known = KnownEntry {
            recorded: Some(&ours),
            living: &living,
            role: Some(&handed_over),
        };
        let opened_to_us = [theirs[0], theirs[1], (ADOPT_TAG, hub)];
        assert!(owns(&owner(), known, &entry(ARN, &opened_to_us)), "opened to us");
    }

    #[test]
    fn what_was_recorded_of_an_entry_decides_and_its_tag_where_nothing_was() {
        for (record, tagged, expected) in [
            (Some(recorded(ARN, Some(false))), true, false),
            (Some(recorded(ARN, Some(true))), false, true),
            (Some(recorded(ARN, None)), true, true),
            (Some(recorded(ARN, None)), false, false),
            (Some(recorded("arn:former", Some(true))), false, false),
            (Some(recorded("arn:former", Some(false))), true, true),
            (None, true, true),
            (None, false, false),
        ] {
            let tags = [(ADOPTED_TAG, "true")];
            let entry = entry(ARN, if tagged { &tags } else { &[] });
            assert_eq!(taken_over(record.as_ref(), &entry), expected, "{record:?} {tagged}");
        }
    }
}
