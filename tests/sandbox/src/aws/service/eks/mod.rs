//! Amazon EKS: clusters as a test sets them up, and their access entries.
//!
//! Sources: EKS user guide, "Grant IAM users access to Kubernetes with EKS access entries" and "Associate access
//! policies with access entries"; the API reference of 2017-11-01; the service authorization reference for condition
//! keys. Messages are AWS's own where one was found (aws.md 1.2 to 1.4); where AWS's wording is not known, `errors`
//! says so.

mod associations;
mod authorization;
mod cluster;
mod entries;
mod entry;
mod errors;
mod input;
mod mapping;
mod paging;
mod policies;
mod rules;
mod tags;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use cluster::{AuthenticationMode, ClusterSeed, ClusterStatus, HealthIssue};
pub use entry::{Access, AssociatedPolicy};
pub use mapping::{RoleMapping, Unmapped};

use self::entry::Entry;
use self::errors::no_cluster;
use super::super::contract::{Answer, ApiError, Caller, Request};
use super::super::eventual::Eventual;
use super::super::world::World;

/// Names a cluster: account, region, name.
pub(in crate::aws) type Key = (String, String, String);

/// A test names a cluster that was never added, or is gone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("account {account} has no cluster {name} in {region}: add it first")]
pub struct NoSuchCluster {
    account: String,
    region: String,
    name: String,
}

impl NoSuchCluster {
    fn new((account, region, name): &Key) -> Self {
        Self {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
        }
    }
}

/// The fake EKS.
pub(crate) struct Eks {
    state: Mutex<State>,
}

struct State {
    clusters: HashMap<Key, Cluster>,
    propagation: Duration,
    ahead: Duration,
}

struct Cluster {
    seed: ClusterSeed,
    created: Timestamp,
    entries: BTreeMap<String, Eventual<Entry>>,
}

/// One call, with what every operation needs.
struct Call<'a> {
    world: &'a World,
    request: &'a Request,
    caller: &'a Caller,
    now: Instant,
    time: Timestamp,
    propagation: Duration,
}

impl Eks {
    /// An EKS without clusters whose reads lag behind its writes by `propagation`.
    pub(crate) fn new(propagation: Duration) -> Self {
        let state = State {
            clusters: HashMap::new(),
            propagation,
            ahead: Duration::ZERO,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock forward: writes arrive everywhere.
    pub(crate) fn advance(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// Adds a cluster, or puts it in the place of one with the same name; access entries are those of a new cluster.
    pub(crate) fn add(&self, seed: ClusterSeed) {
        let cluster = Cluster {
            created: Timestamp::now(),
            entries: BTreeMap::new(),
            seed,
        };
        self.state().clusters.insert(cluster.seed.key(), cluster);
    }

    /// Changes a cluster as its owner would.
    pub(crate) fn update(&self, key: &Key, change: impl FnOnce(&mut ClusterSeed)) -> Result<(), NoSuchCluster> {
        let mut state = self.state();
        let mut cluster = state.clusters.remove(key).ok_or_else(|| NoSuchCluster::new(key))?;
        change(&mut cluster.seed);
        state.clusters.insert(cluster.seed.key(), cluster);
        Ok(())
    }

    /// Removes a cluster with its access entries.
    pub(crate) fn remove(&self, key: &Key) -> Result<(), NoSuchCluster> {
        self.state()
            .clusters
            .remove(key)
            .map(|_| ())
            .ok_or_else(|| NoSuchCluster::new(key))
    }

    /// Every cluster, in order of account, region and name.
    pub(crate) fn clusters(&self) -> Vec<ClusterSeed> {
        let mut clusters: Vec<ClusterSeed> = self
            .state()
            .clusters
            .values()
            .map(|cluster| cluster.seed.clone())
            .collect();
        clusters.sort_by_key(ClusterSeed::key);
        clusters
    }

    /// Answers a request whose input has been validated against its row.
    pub(crate) fn answer(&self, world: &World, request: &Request) -> Answer {
        let Some(caller) = &request.caller else {
            return Err(ApiError::new(
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ));
        };
        let mut state = self.state();
        let now = Instant::now() + state.ahead;
        let propagation = state.propagation;
        let call = Call {
            world,
            request,
            caller,
            now,
            time: world.now(),
            propagation,
        };
        match request.operation {
            "DescribeCluster" => state.describe_cluster(&call),
            "ListAccessEntries" => state.list_entries(&call),
            "CreateAccessEntry" => state.create_entry(&call),
            "DescribeAccessEntry" => state.describe_entry(&call),
            "UpdateAccessEntry" => state.update_entry(&call),
            "DeleteAccessEntry" => state.delete_entry(&call),
            "AssociateAccessPolicy" => state.associate(&call),
            "DisassociateAccessPolicy" => state.disassociate(&call),
            "ListAssociatedAccessPolicies" => state.list_associations(&call),
            "ListAccessPolicies" => policies::list(&call),
            "TagResource" => state.tag(&call),
            "UntagResource" => state.untag(&call),
            other => {
                let message = format!("{other} is not an operation of the fake EKS.");
                Err(ApiError::new(404, "UnknownOperationException", message))
            }
        }
    }
}

impl State {
    /// The cluster of a name in the caller's own account and the endpoint's region: EKS looks nowhere else.
    fn cluster(&self, call: &Call<'_>, name: &str) -> Result<&Cluster, ApiError> {
        self.clusters.get(&call.key(name)).ok_or_else(|| no_cluster(name))
    }

    fn cluster_mut(&mut self, call: &Call<'_>, name: &str) -> Result<&mut Cluster, ApiError> {
        self.clusters.get_mut(&call.key(name)).ok_or_else(|| no_cluster(name))
    }
}

impl Call<'_> {
    fn key(&self, name: &str) -> Key {
        (
            self.caller.account.clone(),
            self.request.region.clone(),
            name.to_owned(),
        )
    }
}

impl Cluster {
    /// An entry as the service itself knows it.
    fn entry(&self, principal: &str) -> Option<&Entry> {
        self.entries.get(principal).and_then(Eventual::latest)
    }

    /// An entry as a read sees it.
    fn seen(&self, principal: &str, call: &Call<'_>) -> Option<&Entry> {
        self.entries
            .get(principal)
            .and_then(|entry| entry.seen(call.now, call.propagation))
    }

    fn write(&mut self, principal: &str, entry: Option<Entry>, call: &Call<'_>) {
        self.entries
            .entry(principal.to_owned())
            .or_default()
            .write(call.now, entry);
    }

    /// Refuses everything about access entries on a cluster whose `aws-auth` `ConfigMap` alone gives access.
    fn must_have_entries(&self) -> Result<(), ApiError> {
        if self.seed.authentication_mode != AuthenticationMode::ConfigMap {
            return Ok(());
        }
        let message = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
        Err(errors::invalid_request(&self.seed.name, message))
    }
}
