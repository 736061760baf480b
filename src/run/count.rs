//! What the operator counts of its objects.

use std::{sync::Arc, time::Duration};

use super::Guarded;
use crate::{
    api::{
        ManagedCluster,
        condition::{ConditionType, find},
    },
    managed_cluster,
    telemetry::Metrics,
};

/// Counts objects by readiness, for the gauges.
pub(super) async fn count(clusters: Arc<managed_cluster::Context>, metrics: Metrics) {
    loop {
        let all = clusters.clusters.state();
        let verdict = |object: &Arc<Guarded<ManagedCluster>>| -> &'static str {
            let status = object.0.as_ref().ok().and_then(|cluster| cluster.status.as_ref());
            let ready = status.and_then(|status| find(&status.conditions, ConditionType::Ready));
            match ready.map(|ready| ready.status.as_str()) {
                Some("True") => "True",
                Some("False") => "False",
                _ => "Unknown",
            }
        };
        for value in ["True", "False", "Unknown"] {
            let number = all.iter().filter(|object| verdict(object) == value).count();
            metrics.set_objects("ManagedCluster", value, number);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}
