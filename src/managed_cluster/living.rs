//! The `ManagedCluster`s that are there, with what each has recorded as its own: what is one's is no other's, whatever tags
//! it bears. Pure.

use std::collections::BTreeMap;

use kube::{Resource, core::DeserializeGuard};

use crate::{
    api::{DeployerRoleType, ManagedCluster, ManagedClusterStatus},
    domain::arn::ClusterArn,
};

/// All `ManagedCluster`s that are there, those that cannot be read among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Living(BTreeMap<String, Lives>);

/// What is known of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Its name.
    pub name: String,
    /// The EKS cluster that it moors; `None` where that cannot be read.
    pub cluster: Option<ClusterArn>,
    /// The unique ID of its deployer role, as it was recorded.
    pub role: Option<String>,
    /// Whether that role is somebody else's, which several objects may use.
    pub existing: bool,
    /// The ARN of its access entry, as it was recorded.
    pub entry: Option<String>,
    /// Whether it is being removed.
    pub going: bool,
}

impl Lives {
    fn read(
        object: &DeserializeGuard<ManagedCluster>,
        known: impl FnOnce(&str) -> Option<ManagedClusterStatus>,
    ) -> Self {
        let metadata = object.meta();
        let read = object.0.as_ref().ok();
        let remembered = if read.is_some() {
            None
        } else {
            metadata.uid.as_deref().and_then(known)
        };
        let status = read.map_or(remembered.as_ref(), |read| read.status.as_ref());
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            cluster: read.and_then(cluster),
            role: status
                .and_then(|status| status.deployer_role.as_ref())
                .map(|role| role.id.clone()),
            existing: read.is_some_and(|read| read.spec.access.deployer_role.kind == DeployerRoleType::Existing),
            entry: status
                .and_then(|status| status.access_entry.as_ref())
                .and_then(|entry| entry.arn.clone()),
            going: metadata.deletion_timestamp.is_some(),
        }
    }
}

fn cluster(object: &ManagedCluster) -> Option<ClusterArn> {
    let name = object.spec.cluster_name.as_ref().or(object.metadata.name.as_ref())?;
    Some(ClusterArn {
        account: object.spec.account_id.parse().ok()?,
        region: object.spec.region.parse().ok()?,
        name: name.parse().ok()?,
    })
}

impl Living {
    /// Adds an object. Of one that cannot be read counts what is `known` of the object with this UID.
    pub fn add(
        &mut self,
        object: &DeserializeGuard<ManagedCluster>,
        known: impl FnOnce(&str) -> Option<ManagedClusterStatus>,
    ) {
        if let Some(uid) = object.meta().uid.clone() {
            self.0.insert(uid, Lives::read(object, known));
        }
    }

    /// Adds what is known of an object, by its UID.
    pub fn insert(&mut self, uid: String, lives: Lives) {
        self.0.insert(uid, lives);
    }

    /// Whether an object with this UID is there.
    #[must_use]
    pub fn contains(&self, uid: &str) -> bool {
        self.0.contains_key(uid)
    }

    /// The object with this UID.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&Lives> {
        self.0.get(uid)
    }

    /// All of them, each with its UID.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Lives)> {
        self.0.iter().map(|(uid, lives)| (uid.as_str(), lives))
    }

    fn others(&self, uid: &str) -> impl Iterator<Item = &Lives> {
        self.0.iter().filter(move |(of, _)| *of != uid).map(|(_, lives)| lives)
    }

    /// Another object than this one that stands on the role with this unique ID, whoever owns that.
    #[must_use]
    pub fn stands_on(&self, role: &str, but: &str) -> Option<&Lives> {
        self.others(but).find(|lives| lives.role.as_deref() == Some(role))
    }

    /// Another object than this one that stays, and has recorded the role with this unique ID as its own.
    #[must_use]
    pub fn owner_of_role(&self, role: &str, but: &str) -> Option<&Lives> {
        let mut others = self.others(but).filter(|lives| !lives.going && !lives.existing);
        others.find(|lives| lives.role.as_deref() == Some(role))
    }

    /// Another object than this one that stays, and has recorded the access entry with this ARN as its own.
    #[must_use]
    pub fn owner_of_entry(&self, entry: &str, but: &str) -> Option<&Lives> {
        let mut others = self.others(but).filter(|lives| !lives.going);
        others.find(|lives| lives.entry.as_deref() == Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(name: &str, change: impl FnOnce(&mut Value)) -> DeserializeGuard<ManagedCluster> {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": name, "uid": format!("uid-{name}")},
            "spec": {
                "accountId": "222222222222", "region": "eu-west-1",
                "access": {"policies": [{"name": "AmazonEKSClusterAdminPolicy"}]},
            },
            "status": {
                "conditions": [], "deployerRole": {"arn": "arn:r", "id": format!("AROA{name}")},
                "accessEntry": {"arn": format!("arn:e/{name}")},
            },
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn living(objects: &[DeserializeGuard<ManagedCluster>]) -> Living {
        let mut living = Living::default();
        for object in objects {
            living.add(object, |uid| {
                serde_json::from_value(json!({
                    "conditions": [], "deployerRole": {"arn": "arn:r", "id": format!("AROA-known-of-{uid}")},
                }))
                .ok()
            });
        }
        living
    }

    #[test]
    fn what_an_object_recorded_is_its_own_and_no_others() {
        let all = living(&[
            object("a", |_| {}),
            object("b", |b| {
                b["spec"]["access"]["deployerRole"] =
                    json!({"type": "Existing", "arn": "arn:aws:iam::222222222222:role/x"});
            }),
            object("going", |c| {
                c["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }),
            object("unreadable", |d| d["spec"]["access"] = json!(7)),
        ]);
        let name = |lives: Option<&Lives>| lives.map(|lives| lives.name.clone());
        assert_eq!(name(all.owner_of_role("AROAa", "uid-b")).as_deref(), Some("a"));
        assert_eq!(name(all.owner_of_role("AROAa", "uid-a")), None, "its own");
        assert_eq!(name(all.owner_of_role("AROAb", "uid-a")), None, "somebody else's role");
        assert_eq!(name(all.stands_on("AROAb", "uid-a")).as_deref(), Some("b"));
        assert_eq!(name(all.owner_of_role("AROAgoing", "uid-a")), None, "it lets go");
        assert_eq!(name(all.stands_on("AROAgoing", "uid-a")).as_deref(), Some("going"));
        assert_eq!(name(all.owner_of_entry("arn:e/a", "uid-b")).as_deref(), Some("a"));
        assert_eq!(name(all.owner_of_entry("arn:e/a", "uid-a")), None);
        assert_eq!(name(all.owner_of_entry("arn:e/going", "uid-a")), None);
        let known = "AROA-known-of-uid-unreadable";
        assert_eq!(name(all.owner_of_role(known, "uid-a")).as_deref(), Some("unreadable"));
        assert!(all.contains("uid-unreadable") && !all.contains("uid-gone"));
        let cluster = all.get("uid-a").and_then(|lives| lives.cluster.clone()).unwrap();
        assert_eq!(cluster.to_string(), "arn:aws:eks:eu-west-1:222222222222:cluster/a");
    }
}
