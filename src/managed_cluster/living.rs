//! The `ManagedCluster`s that are there, with what each has recorded as its own: what is one's is no other's, whatever tags
//! it bears. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::Value;

use crate::{
    api::{AccessEntryStatus, DeployerRoleStatus, DeployerRoleType, ManagedCluster, ManagedClusterStatus, recorded},
    domain::arn::ClusterArn,
};

use super::request::Identity;

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
    fn read(object: &ManagedCluster) -> Self {
        let lives = Self {
            name: object.name_any(),
            cluster: cluster(object),
            existing: object.spec.access.deployer_role.kind == DeployerRoleType::Existing,
            going: object.metadata.deletion_timestamp.is_some(),
            ..Self::default()
        };
        match &object.status {
            Some(status) => lives.recorded(status.deployer_role.as_ref(), status.access_entry.as_ref()),
            None => lives,
        }
    }

    /// What is known of an object that cannot be read, from what is stored of it: each part that can be read counts.
    #[must_use]
    pub fn stored(object: &Value) -> Self {
        let status = object.get("status").cloned().unwrap_or_default();
        let role: Option<DeployerRoleStatus> = recorded::part(&status, "deployerRole").ok().flatten();
        let entry: Option<AccessEntryStatus> = recorded::part(&status, "accessEntry").ok().flatten();
        let status = ManagedClusterStatus {
            deployer_role: role.clone(),
            ..ManagedClusterStatus::default()
        };
        let identity = Identity::stored(object, &status).ok();
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        Self {
            name: name.unwrap_or_default().to_owned(),
            cluster: identity.as_ref().map(|identity| identity.cluster.clone()),
            existing: identity.is_some_and(|identity| identity.existing.is_some()),
            going: object.pointer("/metadata/deletionTimestamp").is_some(),
            ..Self::default()
        }
        .recorded(role.as_ref(), entry.as_ref())
    }

    /// The same with what was recorded last.
    #[must_use]
    pub fn recorded(self, role: Option<&DeployerRoleStatus>, entry: Option<&AccessEntryStatus>) -> Self {
        Self {
            role: role.map(|role| role.id.clone()),
            entry: entry.and_then(|entry| entry.arn.clone()),
            ..self
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
    /// Adds an object that can be read.
    pub fn add(&mut self, object: &ManagedCluster) {
        if let Some(uid) = object.uid() {
            self.0.insert(uid, Lives::read(object));
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

    fn object(name: &str, change: impl FnOnce(&mut Value)) -> Value {
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
        object
    }

    fn living(objects: &[Value]) -> Living {
        let mut living = Living::default();
        for object in objects {
            if let Ok(object) = serde_json::from_value(object.clone()) {
                living.add(&object);
            } else {
                let uid = object["metadata"]["uid"].as_str().unwrap();
                living.insert(uid.to_owned(), Lives::stored(object));
            }
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
            object("garbled", |e| {
                (e["spec"], e["status"]["conditions"]) = (json!(7), json!(7));
            }),
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
        for unread in ["unreadable", "garbled"] {
            let (role, entry) = (format!("AROA{unread}"), format!("arn:e/{unread}"));
            assert_eq!(name(all.owner_of_role(&role, "uid-a")).as_deref(), Some(unread));
            assert_eq!(name(all.owner_of_entry(&entry, "uid-a")).as_deref(), Some(unread));
        }
        let cluster = |uid: &str| all.get(uid).and_then(|lives| lives.cluster.clone());
        assert!(cluster("uid-unreadable").is_some() && cluster("uid-garbled").is_none());
        assert!(all.contains("uid-unreadable") && !all.contains("uid-gone"));
        let cluster = cluster("uid-a").unwrap();
        assert_eq!(cluster.to_string(), "arn:aws:eks:eu-west-1:222222222222:cluster/a");
    }
}
