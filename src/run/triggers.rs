//! What a change means: which objects are looked at again. Our own writes come back through the watches too, and must
//! not cause passes that cost AWS calls and change nothing. Decides only; the queues are fed by the caller.

use std::collections::{HashMap, HashSet};

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt, core::DeserializeGuard};

use crate::{
    api::{ManagedCluster, ManagementRole, PAUSED, RECONCILE_REQUESTED_AT},
    argocd::ClusterSecret,
    kubernetes::reflect::Touched,
    managed_cluster::{
        Memories,
        management::Management,
        request::{Identity, Request},
    },
};

type Cluster = DeserializeGuard<ManagedCluster>;
type Role = DeserializeGuard<ManagementRole>;

/// What to look at again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// `ManagedCluster`s, by name.
    pub(super) clusters: Vec<String>,
    /// `ManagementRole`s at once, by name.
    pub(super) roles: Vec<String>,
    /// `ManagementRole`s whose set of clusters may have changed, by name.
    pub(super) sets: Vec<String>,
}

/// What a person can change about an object. A change of anything else, its status above all, is no reason for a pass.
#[derive(PartialEq, Eq)]
struct Asked {
    uid: Option<String>,
    generation: Option<i64>,
    deleting: bool,
    requested: Option<String>,
    paused: Option<String>,
}

impl Asked {
    fn of(object: &impl Resource<DynamicType = ()>) -> Self {
        let annotation = |key: &str| object.meta().annotations.as_ref().and_then(|all| all.get(key)).cloned();
        Self {
            uid: object.meta().uid.clone(),
            generation: object.meta().generation,
            deleting: object.meta().deletion_timestamp.is_some(),
            requested: annotation(RECONCILE_REQUESTED_AT),
            paused: annotation(PAUSED),
        }
    }
}

/// What was seen last of each object.
#[derive(Default)]
pub(super) struct Triggers {
    clusters: HashMap<String, Asked>,
    gates: HashMap<String, String>,
    roles: HashMap<String, Asked>,
    names: HashMap<String, String>,
    secrets: HashMap<String, (String, String)>,
}

impl Triggers {
    /// A `ManagedCluster` came, changed or went. `role` gives the `ManagementRole` of a name.
    pub(super) fn cluster(
        &mut self,
        touched: &Touched<Cluster>,
        role: impl Fn(&str) -> Option<std::sync::Arc<Role>>,
    ) -> Due {
        let object = touched.object();
        let name = object.name_any();
        let mut due = Due::default();
        let parsed = object.0.as_ref().ok();
        if matches!(touched, Touched::Deleted(_)) {
            self.clusters.remove(&name);
            self.gates.remove(&name);
            self.names.retain(|_, known| *known != name);
            due.sets
                .extend(parsed.map(|cluster| cluster.spec.management_role.clone()));
            return due;
        }
        if let Some(uid) = &object.meta().uid {
            self.names.insert(uid.clone(), name.clone());
        }
        let asked = Asked::of(object.as_ref());
        let mut changed = self.clusters.get(&name) != Some(&asked);
        if changed {
            self.clusters.insert(name.clone(), asked);
        }
        if let Some(cluster) = parsed {
            let role = role(&cluster.spec.management_role);
            let gate = gate(cluster, role.as_deref());
            // The store may be ahead of what was told of the ManagementRole; what is told later finds nothing new.
            let known = self.gates.insert(name.clone(), gate.clone());
            changed |= known.is_some_and(|known| known != gate);
            // A role to keep is known by the status alone; everything else by what a person or the ManagementRole did.
            let kept = cluster.metadata.deletion_timestamp.is_some();
            if (changed || kept) && widens(cluster, role.as_deref()) {
                due.sets.push(cluster.spec.management_role.clone());
            }
        }
        if changed {
            due.clusters.push(name);
        }
        due
    }

    /// A `ManagementRole` came, changed or went; `clusters` are all `ManagedCluster`s.
    pub(super) fn role(&mut self, touched: &Touched<Role>, clusters: &[std::sync::Arc<Cluster>]) -> Due {
        let object = touched.object();
        let name = object.name_any();
        let mut due = Due::default();
        let standing = match touched {
            Touched::Applied(_) => {
                let asked = Asked::of(object.as_ref());
                if self.roles.get(&name) != Some(&asked) {
                    due.roles.push(name.clone());
                    self.roles.insert(name.clone(), asked);
                }
                Some(object.as_ref())
            }
            Touched::Deleted(_) => {
                self.roles.remove(&name);
                None
            }
        };
        for cluster in clusters.iter().filter_map(|cluster| cluster.0.as_ref().ok()) {
            if cluster.spec.management_role != name {
                continue;
            }
            let gate = gate(cluster, standing);
            let known = self.gates.get(&cluster.name_any());
            if known.is_none() || known == Some(&gate) {
                continue;
            }
            due.clusters.push(cluster.name_any());
            self.gates.insert(cluster.name_any(), gate);
            // A ManagementRole that is not ready gathers the whole set by itself, at its own pace: were it marked at
            // each change of what it says, a message that differs from try to try would drive it round and round.
            if standing.is_some_and(usable) && widens(cluster, standing) {
                due.sets.push(name.clone());
            }
        }
        due.sets.dedup();
        due
    }

    /// A cluster Secret came, changed or went.
    pub(super) fn secret(&mut self, touched: &Touched<Secret>, memories: &Memories) -> Due {
        let secret = ClusterSecret::read(touched.object());
        let now = (secret.server.clone(), secret.cluster_name.clone());
        let before = match touched {
            Touched::Applied(_) => self.secrets.insert(secret.uid.clone(), now.clone()),
            Touched::Deleted(_) => self.secrets.remove(&secret.uid),
        };
        // Who was in the way of somebody before it was changed is out of it now.
        let claims = before.into_iter().filter(|before| *before != now).chain([now.clone()]);
        let mut uids: HashSet<String> = claims
            .flat_map(|(server, name)| memories.claiming(&server, &name))
            .collect();
        if let Some(owner) = &secret.owner {
            let as_wanted = matches!(touched, Touched::Applied(_))
                && memories.secret_name(owner).is_some_and(|name| name == secret.name)
                && memories
                    .wanted_secret(owner)
                    .is_some_and(|wanted| secret.name == wanted.name && secret.difference(&wanted).is_none());
            // Our own write comes back as what is wanted: it concerns nobody. A copy of it has another name.
            if as_wanted {
                uids.remove(owner);
            } else if memories.wanted_secret(owner).is_some() {
                uids.insert(owner.clone());
            }
        }
        let mut clusters: Vec<String> = uids.iter().filter_map(|uid| self.names.get(uid).cloned()).collect();
        clusters.sort();
        Due {
            clusters,
            ..Due::default()
        }
    }
}

/// Everything about a `ManagementRole` that a cluster's pass depends on.
fn gate(cluster: &ManagedCluster, role: Option<&Role>) -> String {
    let Some(role) = role else { return "missing".to_owned() };
    let management = match &role.0 {
        Ok(role) => Management::read(role),
        Err(unparsable) => return unparsable.error.clone(),
    };
    let management = match management {
        Ok(management) => management,
        Err(none) => return format!("{none:?}"),
    };
    let identity = Identity::of(cluster);
    let deployer = identity.map(|identity| identity.deployer(&management.hub));
    let (admitted, retained) = deployer.map_or((false, false), |deployer| {
        (
            management.admits(&deployer),
            management.retained.contains(&deployer.to_string()),
        )
    });
    format!(
        "{} {} {:?} {} {admitted} {retained} {:?}",
        management.role,
        management.provisioner,
        management.external_id,
        management.namespace,
        Request::parse(cluster, &management).map(|_| ())
    )
}

fn usable(role: &Role) -> bool {
    role.0.as_ref().is_ok_and(|role| Management::read(role).is_ok())
}

/// Whether the management role must come to know something about a cluster: a deployer role to assume, or one to keep.
fn widens(cluster: &ManagedCluster, role: Option<&Role>) -> bool {
    let Some(Ok(management)) = role.and_then(|role| role.0.as_ref().ok()).map(Management::read) else {
        return true;
    };
    let Ok(identity) = Identity::of(cluster) else {
        return false;
    };
    let deployer = identity.deployer(&management.hub);
    if cluster.metadata.deletion_timestamp.is_some() {
        return identity.retain && !management.retained.contains(&deployer.to_string());
    }
    let allowed = Request::parse(cluster, &management).is_ok();
    (allowed && !management.admits(&deployer)) || management.retained.contains(&deployer.to_string())
}
