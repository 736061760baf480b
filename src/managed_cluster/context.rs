//! What passes share: the edges, the stores, and what is remembered between passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, Unit};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store},
};

use crate::{
    api::{ManagedCluster, ManagementRole, Mode},
    aws::Aws,
    kubernetes::{backoff::Backoff, events::Reporter},
    telemetry::Metrics,
};

use super::{
    applications::Looks,
    ledger::Ledger,
    memory::Memories,
    withheld::{self, Withheld},
};

/// How passes are timed, and removals counted.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often everything is looked at again.
    pub resync: Duration,
    /// How long a pass may take once its account has admitted it.
    pub pass_deadline: Duration,
    /// How far apart two looks must be that agree on something only a deletion heals.
    pub confirm_after: Duration,
    /// How many removals may be asked for within an hour before all of them wait for a person; 0 for any number.
    pub removals_per_hour: u32,
}

/// What every pass of a `ManagedCluster` works with.
pub struct Context {
    /// AWS.
    pub aws: Aws,
    /// The API server.
    pub client: Client,
    /// All `ManagedCluster`s.
    pub clusters: Store<DeserializeGuard<ManagedCluster>>,
    /// All `ManagementRole`s.
    pub management_roles: Store<DeserializeGuard<ManagementRole>>,
    /// The cluster Secrets of each namespace that the operator serves.
    pub secrets: BTreeMap<String, Store<Secret>>,
    /// The namespaces of the hub that give more than themselves: those that are served, and the operator's own.
    pub guarded: BTreeSet<String>,
    /// Events.
    pub reporter: Reporter,
    /// Counters.
    pub metrics: Metrics,
    /// Times.
    pub timing: Timing,
    /// Whether nothing but status and events is written, for any object.
    pub read_only: bool,
    /// Waits between tries.
    pub backoff: Backoff<String>,
    /// What is remembered between passes.
    pub memory: Memories,
    /// Which removals have begun, and whether more may.
    pub ledger: Ledger,
    /// Looks at who uses a cluster.
    pub applications: Looks,
}

impl Context {
    /// `ManagedCluster`s.
    #[must_use]
    pub fn api(&self) -> Api<ManagedCluster> {
        Api::all(self.client.clone())
    }

    /// Whether a person has changed the object since the watch brought it like this.
    #[must_use]
    pub fn overtaken(&self, seen: &ObjectMeta) -> bool {
        let name = seen.name.as_deref().unwrap_or_default();
        let now = self.clusters.get(&ObjectRef::new(name));
        withheld::overtaken(seen, now.as_ref().map(|now| now.meta()))
    }

    /// Whether a person has had the object stand back since a pass in this mode began: it writes nothing more then. A
    /// removal goes on in every mode but Observe.
    #[must_use]
    pub fn stood_back(&self, seen: &ObjectMeta, mode: Mode) -> bool {
        self.now(seen, mode).is_some_and(|(now, is)| {
            let going = seen.deletion_timestamp.is_some();
            let suspended = is == Mode::Suspended && mode != Mode::Suspended && !going;
            suspended || Withheld::of(&now, is, self.read_only).is_some()
        })
    }

    /// Whether a person has taken a suspension back, or had everything stand back, since a pass over it began: the access
    /// entry is not taken away then. Of an object that cannot be read the annotation alone is known.
    #[must_use]
    pub fn withdrawn(&self, seen: &ObjectMeta) -> bool {
        self.now(seen, Mode::Suspended)
            .is_some_and(|(now, mode)| mode != Mode::Suspended || Withheld::of(&now, mode, self.read_only).is_some())
    }

    /// The object and its mode as the watch has them by now; `unread` is the mode of one that cannot be read.
    fn now(&self, seen: &ObjectMeta, unread: Mode) -> Option<(ObjectMeta, Mode)> {
        let name = seen.name.as_deref().unwrap_or_default();
        let now = self.clusters.get(&ObjectRef::new(name))?;
        let mode = now.0.as_ref().map_or(unread, |object| object.spec.mode);
        (now.meta().uid == seen.uid).then(|| (now.meta().clone(), mode))
    }

    /// The `ManagementRole` of a name, as far as the watch has it.
    #[must_use]
    pub fn management_role(&self, name: &str) -> Option<Arc<DeserializeGuard<ManagementRole>>> {
        self.management_roles.get(&ObjectRef::new(name))
    }
}

/// The time, in whole seconds as Kubernetes keeps it.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}
