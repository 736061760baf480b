//! Which deployer roles the management role must be able to assume: a set, taken from all `ManagedCluster`s that name
//! it. The set grows at once and shrinks with care, since one that is too small cuts everybody off. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;

use crate::{
    api::ManagedCluster,
    argocd::ClusterSecret,
    domain::{arn::RoleArn, hub::Hub},
    managed_cluster::{
        management::{Management, account_pattern},
        request::{Identity, Request as ClusterRequest},
        withheld::stands_back,
    },
};

use super::request::Request;

/// What is known of one `ManagedCluster`.
pub enum Member<'a> {
    /// It could be read.
    Known(&'a ManagedCluster),
    /// It could not: nobody knows what it needs, so nothing is taken away.
    Unreadable,
}

/// The deployer roles that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// As resources of the policy.
    pub wanted: BTreeSet<String>,
    /// Deployer roles whose objects are being removed and which are kept.
    pub retained: BTreeSet<String>,
    /// Whether there is a member that could not be read.
    pub unreadable: bool,
    /// Cluster Secrets by which Argo CD assumes the management role itself: people wire some so. `None` where nobody has
    /// looked at them, and what stands for them is kept.
    pub acting: Option<BTreeSet<String>>,
}

/// The cluster Secrets by which Argo CD assumes this role, by name. One that is going needs nothing any more.
#[must_use]
pub fn acting<'a>(role: &RoleArn, secrets: impl Iterator<Item = &'a Secret>) -> BTreeSet<String> {
    let arn = role.to_string();
    secrets
        .map(ClusterSecret::read)
        .filter(|secret| !secret.deleting && secret.role.as_ref() == Some(&arn))
        .map(|secret| secret.name)
        .collect()
}

/// The resource by which a policy names a deployer role. One outside of the hub's path is always named itself.
#[must_use]
pub fn resource(hub: &Hub, deployer: &RoleArn, explicit: bool) -> String {
    if explicit || deployer.path != hub.path() {
        deployer.to_string()
    } else {
        account_pattern(hub, deployer)
    }
}

impl Members {
    /// Gathers the members of a `ManagementRole`. `assumable` is what stands already, `recorded` the deployer roles
    /// kept from earlier removals.
    ///
    /// A cluster that `allow` does not cover adds nothing, and neither does one for which nothing new is made; one that
    /// it no longer covers keeps what stands.
    #[must_use]
    pub fn gather(
        request: &Request,
        members: &[Member<'_>],
        assumable: &BTreeSet<String>,
        recorded: &BTreeSet<String>,
    ) -> Self {
        let mut gathered = Self {
            retained: recorded.clone(),
            ..Self::default()
        };
        let management = as_management(request);
        let mut kept = BTreeSet::new();
        for member in members {
            let Member::Known(cluster) = member else {
                gathered.unreadable = true;
                continue;
            };
            if cluster.spec.management_role != request.name {
                continue;
            }
            let Ok(identity) = Identity::of(cluster) else {
                gathered.unreadable = true;
                continue;
            };
            let deployer = identity.deployer(&request.hub);
            let resource = resource(&request.hub, &deployer, request.explicit);
            let made = cluster
                .status
                .as_ref()
                .is_some_and(|status| status.deployer_role.is_some());
            // Another object may name the same cluster; only the one that made the role takes it back. A role of somebody
            // else's may be in several objects: one that goes does not wait for those that stay, and what it keeps is not
            // theirs to give up when they go. So that one is kept for as long as anybody may have kept it.
            if made && cluster.metadata.deletion_timestamp.is_none() {
                if identity.existing.is_none() {
                    gathered.retained.remove(&deployer.to_string());
                }
            } else if made && identity.retain {
                kept.insert(deployer.to_string());
            }
            let stands = made || assumable.contains(&resource);
            let asks = || !stands_back(cluster) && ClusterRequest::parse(cluster, &management).is_ok();
            if stands || asks() {
                gathered.wanted.insert(resource);
            }
        }
        gathered.retained.append(&mut kept);
        for kept in &gathered.retained {
            if let Ok(deployer) = kept.parse::<RoleArn>() {
                gathered
                    .wanted
                    .insert(resource(&request.hub, &deployer, request.explicit));
            }
        }
        gathered
    }
}

/// The view that clusters have of a `ManagementRole`, as far as its spec alone gives it.
#[must_use]
pub fn as_management(request: &Request) -> Management {
    Management {
        hub: request.hub.clone(),
        role: request.role.clone(),
        provisioner: request.provisioner.clone(),
        reader: request.reader.clone(),
        external_id: request.external_id.clone(),
        namespace: request.namespace.to_string(),
        allow: request.allow.clone(),
        assumable: None,
        retained: BTreeSet::new(),
        guarded: request.guarded.clone(),
        closed: BTreeSet::new(),
        going: false,
        full: false,
    }
}
