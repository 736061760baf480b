//! Whose something is. The whole scheme stands here.
//!
//! | what carries it | where | value |
//! |---|---|---|
//! | hub | AWS tag `mooring.dev/hub` | the ARN of the hub's EKS cluster |
//! | object | AWS tag `mooring.dev/uid` | the UID of the `ManagedCluster` or `ManagementRole` |
//! | object, for people | AWS tag `mooring.dev/object` | its name; never compared |
//! | role in an entry | AWS tag `mooring.dev/role-id` on an access entry | the unique ID of the role it was made for |
//! | opened to a hub | AWS tag `mooring.dev/adopt`, set by the account's owner | the ARN of the hub that may take the thing over |
//! | taken over | AWS tag `mooring.dev/adopted`, and annotation of a cluster Secret | `true`: what stands beside ours is somebody's |
//! | an owner's hold | AWS tag `mooring.dev/hold` on a role or access entry | anything; never written by us |
//! | object | annotation `mooring.dev/uid` on a cluster Secret | the UID |
//! | opened to an object | annotation `mooring.dev/adopt` on a cluster Secret, set by Argo CD's owner | the name of the `ManagedCluster` |
//! | object, for people | annotation `mooring.dev/managed-cluster` on a cluster Secret | its name |
//!
//! Tags can be written by anybody who may tag. A role is ours only when it also bears the unique ID that we recorded
//! when we made it (`AROA...`, which AWS never gives twice: IAM user guide, "Unique identifiers").

use std::collections::BTreeMap;

use serde::Serialize;

use super::arn::ClusterArn;

/// The tag that holds the hub cluster's ARN.
pub const HUB_TAG: &str = "mooring.dev/hub";
/// The tag, and the Secret's annotation, that holds the object's UID.
pub const UID_TAG: &str = "mooring.dev/uid";
/// The tag that holds the object's name, for people.
pub const OBJECT_TAG: &str = "mooring.dev/object";
/// The tag on an access entry that holds the unique ID of the role it was made for.
pub const ROLE_ID_TAG: &str = "mooring.dev/role-id";

/// The name under which the API server records which fields of an object are ours (Kubernetes, "Server-Side Apply").
pub const FIELD_MANAGER: &str = "mooring";

/// The tag by which the owner of an account opens a role or an access entry to a hub, and the annotation by which the
/// owner of Argo CD opens a cluster Secret to a `ManagedCluster`. Mooring never sets it.
pub const ADOPT_TAG: &str = "mooring.dev/adopt";
/// The tag, and the Secret's annotation, of what was taken over: what stands beside ours on it stays.
pub const ADOPTED_TAG: &str = "mooring.dev/adopted";
/// The tag, with any value, by which the owner of an account keeps Mooring from writing to a role or an access entry.
pub const HOLD_TAG: &str = "mooring.dev/hold";

/// AWS tags.
pub type Tags = BTreeMap<String, String>;

/// Who makes a thing: one object of one hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The hub cluster.
    pub hub: ClusterArn,
    /// The object's UID.
    pub uid: String,
    /// The object's name, for people.
    pub object: String,
}

/// Whose tags a thing bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Marked {
    /// Our hub and our object.
    Ours,
    /// Another object of a hub that Mooring runs on.
    Another {
        /// The hub's ARN.
        hub: String,
        /// The object's name and UID.
        object: String,
        /// The object's UID; `None` on what a hub works by and made for no object.
        uid: Option<String>,
    },
    /// None of our tags: a person, Terraform, or another tool.
    Unmarked,
}

impl Marked {
    /// Whether it is the mark of another hub than this owner's.
    #[must_use]
    pub fn is_another_hubs(&self, owner: &Owner) -> bool {
        match self {
            Self::Another { hub, .. } => !hub.is_empty() && *hub != owner.hub.to_string(),
            Self::Ours | Self::Unmarked => false,
        }
    }
}

impl Owner {
    /// The tags that mark a role as this owner's.
    #[must_use]
    pub fn tags(&self) -> Tags {
        [
            (HUB_TAG.to_owned(), self.hub.to_string()),
            (UID_TAG.to_owned(), self.uid.clone()),
            (OBJECT_TAG.to_owned(), self.object.clone()),
        ]
        .into()
    }

    /// Whose a thing with these tags is.
    #[must_use]
    pub fn judge(&self, tags: &Tags) -> Marked {
        let hub = tags.get(HUB_TAG);
        let uid = tags.get(UID_TAG);
        match (hub, uid) {
            (None, None) => Marked::Unmarked,
            (Some(hub), Some(uid)) if *hub == self.hub.to_string() && *uid == self.uid => Marked::Ours,
            (hub, uid) => Marked::Another {
                hub: hub.cloned().unwrap_or_default(),
                object: format!(
                    "{} (UID {})",
                    tags.get(OBJECT_TAG).map_or("an unnamed object", String::as_str),
                    uid.map_or("unknown", String::as_str)
                ),
                uid: uid.cloned(),
            },
        }
    }
}

/// Tags that are wanted and not there, or there with another value. Tags that others set beside them are left alone.
#[must_use]
pub fn missing_tags(wanted: &Tags, found: &Tags) -> Tags {
    wanted
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, uid: &str) -> Owner {
        Owner {
            hub: ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: name.parse().unwrap(),
            },
            uid: uid.to_owned(),
            object: "prod".to_owned(),
        }
    }

    #[test]
    fn only_hub_and_uid_together_are_ours() {
        let ours = owner("hub", "1");
        assert_eq!(ours.judge(&ours.tags()), Marked::Ours);
        assert_eq!(ours.judge(&Tags::new()), Marked::Unmarked);
        for other in [owner("hub", "2"), owner("other", "1")] {
            assert!(matches!(ours.judge(&other.tags()), Marked::Another { .. }));
        }
        let mut half = ours.tags();
        half.remove(HUB_TAG);
        assert!(matches!(ours.judge(&half), Marked::Another { .. }));
    }

    #[test]
    fn a_changed_tag_is_missing_and_a_foreign_one_is_not_ours_to_judge() {
        let wanted = owner("hub", "1").tags();
        let mut found = wanted.clone();
        found.insert("cost-centre".into(), "7".into());
        assert!(missing_tags(&wanted, &found).is_empty());
        found.insert(UID_TAG.into(), "2".into());
        assert_eq!(
            missing_tags(&wanted, &found),
            Tags::from([(UID_TAG.to_owned(), "1".to_owned())])
        );
    }
}
