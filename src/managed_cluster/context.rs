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
    kubernetes::{backoff::Backoff, events::Reporter, issuer::Here},
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
    /// The issuer of the API server that the operator runs on.
    pub here: Here,
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
        self.now(seen)
            .is_some_and(|now| stood_back(seen, mode, &now, self.read_only))
    }

    /// Whether a person has taken a suspension back, or had everything stand back, since a pass over it began: the access
    /// entry is not taken away then. Of an object that cannot be read the annotation alone is known.
    #[must_use]
    pub fn withdrawn(&self, seen: &ObjectMeta) -> bool {
        self.now(seen).is_some_and(|now| withdrawn(&now, self.read_only))
    }

    /// The object as the watch has it by now.
    fn now(&self, seen: &ObjectMeta) -> Option<Arc<DeserializeGuard<ManagedCluster>>> {
        let name = seen.name.as_deref().unwrap_or_default();
        let now = self.clusters.get(&ObjectRef::new(name))?;
        (now.meta().uid == seen.uid).then_some(now)
    }

    /// The `ManagementRole` of a name, as far as the watch has it.
    #[must_use]
    pub fn management_role(&self, name: &str) -> Option<Arc<DeserializeGuard<ManagementRole>>> {
        self.management_roles.get(&ObjectRef::new(name))
    }

    /// The UIDs of all `ManagedCluster`s that are there at this moment, those that cannot be read among them.
    #[must_use]
    pub fn present(&self) -> BTreeSet<String> {
        let all = self.clusters.state();
        all.iter().filter_map(|object| object.meta().uid.clone()).collect()
    }
}

fn stood_back(seen: &ObjectMeta, mode: Mode, now: &DeserializeGuard<ManagedCluster>, read_only: bool) -> bool {
    let is = mode_of(now, mode);
    let going = seen.deletion_timestamp.is_some();
    let suspended = is == Mode::Suspended && mode != Mode::Suspended && !going;
    suspended || Withheld::of(now.meta(), is, read_only).is_some()
}

fn withdrawn(now: &DeserializeGuard<ManagedCluster>, read_only: bool) -> bool {
    let is = mode_of(now, Mode::Suspended);
    is != Mode::Suspended || Withheld::of(now.meta(), is, read_only).is_some()
}

/// The mode of an object; `unread` is that of one that cannot be read.
fn mode_of(object: &DeserializeGuard<ManagedCluster>, unread: Mode) -> Mode {
    object.0.as_ref().map_or(unread, |object| object.spec.mode)
}

/// The time, in whole seconds as Kubernetes keeps it.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(mode: &str, paused: bool, going: bool) -> DeserializeGuard<ManagedCluster> {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "prod", "uid": "1", "generation": 1},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "mode": mode, "access": {}},
        });
        if paused {
            object["metadata"]["annotations"] = json!({"mooring.dev/paused": "INC-42"});
        }
        if going {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if mode.is_empty() {
            object["spec"] = Value::from("of another release");
        }
        let object: DeserializeGuard<ManagedCluster> = serde_json::from_value(object).unwrap();
        assert_eq!(object.0.is_err(), mode.is_empty());
        object
    }

    #[test]
    fn a_pass_hears_what_a_person_has_said_since_it_began() {
        use Mode::{Enforce, Observe, Suspended};
        // What the object is by now, in which mode the pass began, and whether that stands back.
        for (now, paused, began, expected) in [
            ("Enforce", false, Enforce, false),
            ("Enforce", true, Enforce, true),
            ("Observe", false, Enforce, true),
            ("Suspended", false, Enforce, true),
            ("Suspended", false, Suspended, false),
            ("Suspended", true, Suspended, true),
            ("Enforce", false, Suspended, false),
            // Of one that cannot be read the annotation is known all the same.
            ("", false, Enforce, false),
            ("", false, Suspended, false),
            ("", false, Observe, true),
            ("", true, Enforce, true),
            ("", true, Suspended, true),
        ] {
            let (seen, now) = (object("Enforce", false, false), object(now, paused, false));
            let case = format!("{:?} {paused} {began:?}", now.0);
            assert_eq!(stood_back(seen.meta(), began, &now, false), expected, "{case}");
            assert!(stood_back(seen.meta(), began, &now, true), "{case}: --read-only");
        }
        // A removal goes on in every mode but Observe.
        let seen = object("Enforce", false, true);
        for (now, paused, expected) in [
            ("Suspended", false, false),
            ("Observe", false, true),
            ("", false, false),
            ("", true, true),
        ] {
            let now = object(now, paused, true);
            assert_eq!(stood_back(seen.meta(), Enforce, &now, false), expected, "{:?}", now.0);
        }
    }

    #[test]
    fn a_suspension_that_is_taken_back_or_paused_takes_nothing_away() {
        for (now, paused, expected) in [
            ("Suspended", false, false),
            ("Suspended", true, true),
            ("Enforce", false, true),
            ("Observe", false, true),
            ("", false, false),
            ("", true, true),
        ] {
            let now = object(now, paused, false);
            assert_eq!(withdrawn(&now, false), expected, "{:?} {paused}", now.0);
            assert!(withdrawn(&now, true), "--read-only");
        }
    }
}
