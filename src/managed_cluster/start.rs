//! The first looks after the operator was started: whoever waits for something goes first, and those for whom all was
//! well are looked at one after another, so that a fleet does not ask AWS for everything at once.

use std::time::Duration;

use crate::{
    api::{
        ManagedCluster, ManagedClusterStatus,
        condition::{ConditionType, Verdict, find},
    },
    kubernetes::backoff::Backoff,
};

/// How much later the first look at one more object may come: a thousand of them take a hundred seconds.
const APART: Duration = Duration::from_millis(100);

/// Whether nothing was left to do for the object: it was ready, and nobody has changed it since.
pub(super) fn settled(cluster: &ManagedCluster, status: &ManagedClusterStatus) -> bool {
    let ready = find(&status.conditions, ConditionType::Ready).is_some_and(|c| c.status == Verdict::True.as_str());
    let seen = status.observed_generation.is_some() && status.observed_generation == cluster.metadata.generation;
    ready && seen && cluster.metadata.deletion_timestamp.is_none()
}

/// When the first look at a settled object comes, of `count` objects in all: within half a resync in any case.
pub(super) fn first_look(backoff: &Backoff<String>, count: usize, resync: Duration) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    backoff.within(APART.saturating_mul(count).min(resync / 2))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn is_settled(change: &[(&str, Value)]) -> bool {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "a", "uid": "u", "generation": 2},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {"policies": [{"name": "AmazonEKSViewPolicy"}]}},
            "status": {"observedGeneration": 2, "conditions": [
                {"type": "Ready", "status": "True", "reason": "Moored", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        });
        for (path, value) in change {
            let (parent, key) = path.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let object: ManagedCluster = serde_json::from_value(object).unwrap();
        let status = object.status.clone().unwrap_or_default();
        settled(&object, &status)
    }

    #[test]
    fn only_what_was_ready_and_was_not_changed_since_waits() {
        assert!(is_settled(&[]));
        for change in [
            ("/status/conditions/0/status", json!("False")),
            ("/status/conditions/0/status", json!("Unknown")),
            ("/status/conditions", json!([])),
            ("/status/observedGeneration", json!(1)),
            ("/metadata/generation", json!(3)),
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ] {
            assert!(!is_settled(std::slice::from_ref(&change)), "{change:?}");
        }
        assert!(!is_settled(&[("/status/observedGeneration", Value::Null)]));
    }

    #[test]
    fn a_fleet_is_spread_over_a_time_that_grows_with_it_up_to_half_a_resync() {
        let latest = |count| first_look(&Backoff::with_jitter(|| 1.0), count, Duration::from_mins(10)).as_millis();
        assert_eq!([latest(1), latest(1_000), latest(100_000)], [100, 100_000, 300_000]);
        let earliest = first_look(&Backoff::with_jitter(|| 0.0), 1_000, Duration::from_mins(10));
        assert_eq!(earliest, Duration::ZERO);
    }
}
