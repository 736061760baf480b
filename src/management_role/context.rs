//! What every pass of a `ManagementRole` works with, and what is remembered between passes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};

use super::{binding, retained::Looks};
use crate::{
    api::{ManagedCluster, ManagementRole, ManagementRoleStatus, Mode},
    aws::Aws,
    kubernetes::{backoff::Backoff, events::Reporter, issuer::Here},
    managed_cluster::{Timing, Withheld, withheld},
    telemetry::Metrics,
};

/// What every pass of a `ManagementRole` works with.
pub struct Context {
    /// AWS.
    pub aws: Aws,
    /// The API server.
    pub client: Client,
    /// All `ManagedCluster`s.
    pub clusters: Store<DeserializeGuard<ManagedCluster>>,
    /// All `ManagementRole`s.
    pub roles: Store<DeserializeGuard<ManagementRole>>,
    /// The cluster Secrets of each of Argo CD's namespaces that is served.
    pub secrets: BTreeMap<String, Store<Secret>>,
    /// The binding of service accounts, which a removal lets go of.
    pub binding: Arc<binding::Context>,
    /// The namespaces of the hub that give more than themselves: those that are served, and the operator's own.
    pub guarded: BTreeSet<String>,
    /// Events.
    pub reporter: Reporter,
    /// The issuer of the API server that the operator runs on.
    pub here: Here,
    /// Counters.
    pub metrics: Metrics,
    /// Times.
    pub timing: Timing,
    /// Whether nothing but status and events is written, for any object.
    pub read_only: bool,
    /// Waits between tries.
    pub backoff: Backoff<String>,
    /// What is remembered of each object, by UID; a restart forgets it and arrives at the same state.
    pub remembered: Mutex<HashMap<String, Remembered>>,
}

/// What is remembered of one object.
#[derive(Default)]
pub struct Remembered {
    pub(super) suspicion: Option<(String, Instant)>,
    pub(super) deleted: Option<String>,
    pub(super) status: Option<ManagementRoleStatus>,
    pub(super) unwritten: bool,
    pub(super) clean_since: Option<Instant>,
    pub(super) let_go: bool,
    pub(super) retained: Looks,
}

impl Context {
    /// `ManagementRole`s.
    #[must_use]
    pub fn api(&self) -> Api<ManagementRole> {
        Api::all(self.client.clone())
    }

    pub(super) fn withheld(&self, metadata: &ObjectMeta) -> Option<Withheld> {
        Withheld::of(metadata, Mode::Enforce, self.read_only)
    }

    /// Whether a person has changed, paused or deleted the object since the watch brought it like this: what is written
    /// from then on is not what they want any more.
    pub(super) fn overtaken(&self, seen: &ObjectMeta) -> bool {
        let name = seen.name.as_deref().unwrap_or_default();
        let now = self.roles.get(&ObjectRef::new(name));
        withheld::overtaken(seen, now.as_ref().map(|now| now.meta()))
    }

    pub(super) fn remember<T>(&self, uid: &str, change: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(uid.to_owned()).or_default())
    }

    pub(super) fn forget(&self, uid: &str) {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
        self.backoff.clear(&uid.to_owned());
    }
}
