//! The objects that a plan is about: those of the hub, with those of files laid over them.

mod lay;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;

use crate::{
    api::{ManagedCluster, ManagementRole, RemovalStatus},
    cli::Removal,
    kubernetes::objects,
    managed_cluster::{
        self,
        ledger::Hub,
        living::{Lives, Living},
        preview::{Planned, Unplanned},
    },
    management_role::{members::Member, remaining::Naming},
    run::{Error, Guarded},
};

use super::{Files, unread::Unread};

/// Stands for the UID of an object that is not there yet.
const NEW: &str = "(given by the API server)";

/// The kinds, as they are told.
const ROLE: &str = "ManagementRole";
const CLUSTER: &str = "ManagedCluster";

/// All of our objects as they would be once the files are applied, and which of them are asked for.
pub(super) struct Fleet {
    roles: Vec<ManagementRole>,
    clusters: Vec<ManagedCluster>,
    unreadable: Vec<Unread>,
    /// The objects of files that the API server would refuse: what stands under their names stays as it is.
    refused: Vec<Planned>,
    /// The UIDs of the `ManagedCluster`s on the hub, those that cannot be read among them.
    living: Living,
    /// Every `ManagedCluster` on the hub, and the `ManagementRole` that it names where it can be read.
    stored: Vec<(ObjectMeta, Option<String>)>,
    /// What the files hold; `None`: everything is asked for.
    files: Option<Asked>,
}

#[derive(Default)]
struct Asked {
    roles: BTreeSet<String>,
    clusters: BTreeSet<String>,
    /// The `ManagementRole`s that are taken for deleted: their clusters are not asked for with them.
    removed: BTreeSet<String>,
}

impl Asked {
    fn role(&self, name: &str) -> bool {
        self.roles.contains(name) || self.removed.contains(name)
    }
}

/// The removals that a `ManagementRole` records.
fn recorded(role: &ManagementRole) -> &[RemovalStatus] {
    role.status
        .as_ref()
        .map(|status| status.removals.as_slice())
        .unwrap_or_default()
}

impl Fleet {
    /// Lists what is on the hub, and lays the files over it.
    pub(super) async fn gather(client: &Client, all: bool, removals: &[Removal], files: Files) -> Result<Self, Error> {
        if !all && removals.is_empty() && files.roles.is_empty() && files.clusters.is_empty() {
            return Err(Error::NothingToPlan);
        }
        let mut fleet = Self {
            roles: Vec::new(),
            clusters: Vec::new(),
            unreadable: Vec::new(),
            refused: Vec::new(),
            living: Living::default(),
            stored: Vec::new(),
            files: (!all).then(Asked::default),
        };
        for role in objects::list(&Api::<Guarded<ManagementRole>>::all(client.clone())).await? {
            let name = role.name_any();
            match role.0 {
                Ok(role) => fleet.roles.push(role),
                Err(broken) => {
                    let unread = Unread::ask::<ManagementRole>(client, ROLE, name, broken.error).await?;
                    fleet.unreadable.extend(unread);
                }
            }
        }
        for cluster in objects::list(&Api::<Guarded<ManagedCluster>>::all(client.clone())).await? {
            let name = cluster.name_any();
            let names = cluster
                .0
                .as_ref()
                .ok()
                .map(|cluster| cluster.spec.management_role.clone());
            fleet.stored.push((cluster.meta().clone(), names));
            match cluster.0 {
                Ok(cluster) => {
                    fleet.living.add(&cluster);
                    fleet.clusters.push(cluster);
                }
                Err(broken) => {
                    let unread = Unread::ask::<ManagedCluster>(client, CLUSTER, name, broken.error).await?;
                    if let Some(unread) = &unread {
                        let uid = unread.stored.pointer("/metadata/uid").and_then(Value::as_str);
                        let uid = uid.unwrap_or_default().to_owned();
                        fleet.living.insert(uid, Lives::stored(&unread.stored));
                    }
                    fleet.unreadable.extend(unread);
                }
            }
        }
        for role in files.roles {
            fleet.lay_role(role);
        }
        for cluster in files.clusters {
            fleet.lay_cluster(cluster);
        }
        for removal in removals {
            match removal {
                Removal::Cluster(name) => fleet.remove(name)?,
                Removal::Role(name) => fleet.remove_role(name)?,
            }
        }
        fleet.roles.sort_by_key(ResourceExt::name_any);
        fleet.clusters.sort_by_key(ResourceExt::name_any);
        Ok(fleet)
    }

    /// Takes a cluster for deleted as of now.
    fn remove(&mut self, name: &str) -> Result<(), Error> {
        let missing = || Error::NoSuchCluster(name.to_owned());
        let is_it = |metadata: &ObjectMeta| metadata.name.as_deref() == Some(name);
        let stored = self
            .stored
            .iter_mut()
            .map(|(metadata, _)| metadata)
            .find(|one| is_it(one));
        let stored = stored.ok_or_else(missing)?;
        stored
            .deletion_timestamp
            .get_or_insert_with(|| Time(managed_cluster::now()));
        if let Some(cluster) = self.clusters.iter_mut().find(|cluster| is_it(&cluster.metadata)) {
            cluster
                .metadata
                .deletion_timestamp
                .clone_from(&stored.deletion_timestamp);
        }
        if let Some(files) = &mut self.files {
            files.clusters.insert(name.to_owned());
        }
        Ok(())
    }

    /// Takes a `ManagementRole` for deleted as of now.
    fn remove_role(&mut self, name: &str) -> Result<(), Error> {
        let is_it = |metadata: &ObjectMeta| metadata.name.as_deref() == Some(name);
        let is_new = |metadata: &ObjectMeta| metadata.uid.as_deref() == Some(NEW);
        let unread = self.unread_roles().any(|unread| unread.name == name);
        let mut roles = self.roles.iter_mut().map(|role| &mut role.metadata);
        match roles.find(|one| is_it(one) && !is_new(one)) {
            Some(metadata) => {
                let now = || Time(managed_cluster::now());
                metadata.deletion_timestamp.get_or_insert_with(now);
            }
            // One that cannot be read is told of as that.
            None if unread => {}
            None => return Err(Error::NoSuchManagementRole(name.to_owned())),
        }
        if let Some(files) = &mut self.files {
            files.removed.insert(name.to_owned());
        }
        Ok(())
    }

    /// The clusters that name a `ManagementRole`, or may.
    pub(super) fn naming(&self, name: &str) -> Option<Naming> {
        let read = self.clusters.iter();
        let read = read.map(|cluster| (&cluster.metadata, Some(cluster.spec.management_role.as_str())));
        // What a file gives in place of one that cannot be read is among those that can.
        let is_read = |metadata: &ObjectMeta| self.clusters.iter().any(|one| one.metadata.name == metadata.name);
        let stored = self.stored.iter().map(|(metadata, names)| (metadata, names.as_deref()));
        let unreadable = stored.filter(|(metadata, names)| names.is_none() && !is_read(metadata));
        Naming::of(name, read.chain(unreadable))
    }

    /// What tells how many removals were asked for.
    pub(super) fn hub(&self) -> Hub<'_> {
        let read = self.roles.iter().map(|role| (&role.metadata, recorded(role)));
        let unread = self.unread_roles();
        let unread = unread.map(|unread| (&unread.metadata, unread.removals.as_slice()));
        Hub {
            clusters: self
                .stored
                .iter()
                .map(|(metadata, role)| (metadata, role.as_deref()))
                .collect(),
            roles: read.chain(unread).collect(),
        }
    }

    /// The namespaces of every Argo CD.
    pub(super) fn namespaces(&self) -> BTreeSet<String> {
        let read = self.roles.iter().map(|role| role.spec.argocd_namespace.clone());
        read.chain(self.unread_roles().filter_map(Unread::namespace)).collect()
    }

    /// The UIDs of all `ManagedCluster`s that are there.
    pub(super) fn living(&self) -> Living {
        self.living.clone()
    }

    /// The clusters that are asked for: those of the files, and all of a `ManagementRole` of the files, whose `allow`
    /// may hold them back.
    pub(super) fn wanted_clusters(&self) -> Vec<&ManagedCluster> {
        let wanted = |cluster: &&ManagedCluster| {
            self.files.as_ref().is_none_or(|files| {
                files.clusters.contains(&cluster.name_any()) || files.roles.contains(&cluster.spec.management_role)
            })
        };
        self.clusters.iter().filter(wanted).collect()
    }

    /// The `ManagementRole`s that are asked for, and those that clusters that are asked for stand on.
    pub(super) fn wanted_roles(&self) -> Vec<&ManagementRole> {
        let named: BTreeSet<&str> = self
            .wanted_clusters()
            .into_iter()
            .map(|cluster| cluster.spec.management_role.as_str())
            .collect();
        let wanted = |role: &&ManagementRole| {
            let name = role.name_any();
            self.files
                .as_ref()
                .is_none_or(|files| files.role(&name) || named.contains(name.as_str()))
        };
        self.roles.iter().filter(wanted).collect()
    }

    /// Whether a `ManagementRole` is told of: one that nobody asked for is when something becomes of it.
    pub(super) fn is_shown(&self, planned: &Planned) -> bool {
        let asked = self.files.as_ref().is_none_or(|files| files.role(&planned.name));
        asked || !planned.is_unchanged()
    }

    /// The `ManagementRole`s that cannot be read.
    pub(super) fn unread_roles(&self) -> impl Iterator<Item = &Unread> {
        self.unreadable.iter().filter(|unread| unread.kind == ROLE)
    }

    /// What there is no plan for: files that would be refused, and what cannot be read, where it is asked for.
    pub(super) fn unplanned(&self) -> Vec<Planned> {
        let asked = |kind: &str, name: &String| {
            self.files.as_ref().is_none_or(|files| match kind {
                ROLE => files.role(name),
                _ => files.clusters.contains(name),
            })
        };
        let shown = self.unreadable.iter().filter(|unread| asked(unread.kind, &unread.name));
        let planned = |unread: &Unread| Planned {
            kind: unread.kind,
            name: unread.name.clone(),
            of: None,
            looked: Err(Unplanned::Refused(format!("it cannot be read: {}", unread.why))),
        };
        self.refused.iter().cloned().chain(shown.map(planned)).collect()
    }

    /// All clusters, for the permission policy of a management role: one that cannot be read counts as present.
    pub(super) fn members(&self) -> Vec<Member<'_>> {
        let unreadable = self.unreadable.iter().filter(|unread| unread.kind == CLUSTER);
        let known = self.clusters.iter().map(Member::Known);
        known.chain(unreadable.map(|_| Member::Unreadable)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What an operator that runs counts though the `ManagementRole` cannot be read, and keeps for itself.
    #[test]
    fn what_a_management_role_that_cannot_be_read_records_counts_and_its_namespace_is_one_of_argo_cd() {
        let recorded = json!([{"name": "over", "uid": "uid-over", "requestedAt": "2026-01-01T00:00:00Z"}]);
        let unread = |change: Value| {
            let mut stored = json!({
                "apiVersion": "mooring.dev/v1alpha1", "kind": ROLE,
                "metadata": {"name": "default", "uid": "u"},
                "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "argocdNamespace": "cd", "allow": 7},
                "status": {"conditions": [], "removals": recorded},
            });
            for (key, value) in change.as_object().into_iter().flatten() {
                stored[key] = value.clone();
            }
            let fleet = Fleet {
                roles: Vec::new(),
                clusters: Vec::new(),
                unreadable: vec![Unread::stored(ROLE, "default", "spec.allow: no list", stored)],
                refused: Vec::new(),
                living: Living::default(),
                stored: Vec::new(),
                files: None,
            };
            let names = |(metadata, removals): &(&ObjectMeta, &[RemovalStatus])| {
                let removals: Vec<String> = removals.iter().map(|one| one.name.clone()).collect();
                (metadata.name.clone().unwrap_or_default(), removals)
            };
            let roles: Vec<_> = fleet.hub().roles.iter().map(names).collect();
            (roles, Vec::from_iter(fleet.namespaces()))
        };
        let named = || "default".to_owned();
        assert_eq!(
            unread(json!({})),
            (vec![(named(), vec!["over".to_owned()])], vec!["cd".to_owned()])
        );
        // What tells nothing counts as far as it is there.
        assert_eq!(
            unread(json!({"spec": 7, "status": {"removals": "none"}})),
            (vec![(named(), Vec::new())], Vec::new())
        );
    }
}
