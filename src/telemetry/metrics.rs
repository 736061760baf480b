//! Metrics. Labels are words of the code's own, so that the number of series is bounded: no object, account or cluster
//! is ever a label.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tracing::warn;

/// Of passes, in seconds: from a look at what is in order to the deadline of a pass.
const PASS_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Of AWS requests, in seconds, retries of the SDK included.
const REQUEST_BUCKETS: [f64; 8] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0];

type Label = &'static str;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindCategory {
    kind: Label,
    category: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepResult {
    step: Label,
    result: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    service: Label,
    operation: Label,
    outcome: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    service: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindReady {
    kind: Label,
    ready: Label,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictReason {
    connected: Label,
    reason: Label,
}

/// The metrics of the operator and of the verifier; each serves both, and fills its own. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconcile_duration: Family<Kind, Histogram>,
    reconcile_errors: Family<KindCategory, Counter>,
    plan_steps: Family<StepResult, Counter>,
    aws_requests: Family<Request, Counter>,
    aws_request_duration: Family<Service, Histogram>,
    objects: Family<KindReady, Gauge>,
    read_only: Gauge,
    leader: Gauge,
    walks: Family<VerdictReason, Counter>,
    walk_duration: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let reconcile_duration = Family::new_with_constructor((|| Histogram::new(PASS_BUCKETS)) as fn() -> Histogram);
        let aws_request_duration =
            Family::new_with_constructor((|| Histogram::new(REQUEST_BUCKETS)) as fn() -> Histogram);
        let mut metrics = Self {
            registry: Arc::default(),
            reconcile_duration,
            reconcile_errors: Family::default(),
            plan_steps: Family::default(),
            aws_requests: Family::default(),
            aws_request_duration,
            objects: Family::default(),
            read_only: Gauge::default(),
            leader: Gauge::default(),
            walks: Family::default(),
            walk_duration: Histogram::new(PASS_BUCKETS),
        };
        metrics.registry = Arc::new(metrics.registered());
        metrics
    }

    // The encoder adds `_total` to counters and the full stop to each help.
    fn registered(&self) -> Registry {
        let Self {
            registry: _,
            reconcile_duration,
            reconcile_errors,
            plan_steps,
            aws_requests,
            aws_request_duration,
            objects,
            read_only,
            leader,
            walks,
            walk_duration,
        } = self.clone();
        let mut registry = Registry::with_prefix("mooring");
        registry.register(
            "reconcile_duration_seconds",
            "How long passes took, by kind of object",
            reconcile_duration,
        );
        registry.register(
            "reconcile_errors",
            "Passes that failed, by kind of object and category of error",
            reconcile_errors,
        );
        registry.register(
            "plan_steps",
            "Steps of plans that were applied, by step and result",
            plan_steps,
        );
        registry.register(
            "aws_requests",
            "Calls to AWS, by service, operation and outcome; the SDK's retries count as one call",
            aws_requests,
        );
        registry.register(
            "aws_request_duration_seconds",
            "How long calls to AWS took, the SDK's retries included",
            aws_request_duration,
        );
        registry.register(
            "objects",
            "Objects in the store, by kind and by the status of their condition Ready",
            objects,
        );
        registry.register(
            "read_only",
            "1 while the operator runs with --read-only and writes nothing but status and events",
            read_only,
        );
        registry.register(
            "leader",
            "Whether this process holds its lease and works (1), or stands by (0)",
            leader,
        );
        registry.register(
            "walks",
            "Walks of the chain to a cluster, by what the condition Connected then said and why",
            walks,
        );
        registry.register(
            "walk_duration_seconds",
            "How long walks of the chain took",
            walk_duration,
        );
        registry
    }

    /// A pass ended, well or not.
    pub fn pass_ended(&self, kind: &'static str, took: Duration) {
        self.reconcile_duration
            .get_or_create(&Kind { kind })
            .observe(took.as_secs_f64());
    }

    /// A pass failed, with an error of this category.
    pub fn pass_failed(&self, kind: &'static str, category: &'static str) {
        self.reconcile_errors
            .get_or_create(&KindCategory { kind, category })
            .inc();
    }

    /// A step of a plan was applied, with this result.
    pub fn step_applied(&self, step: &'static str, result: &'static str) {
        self.plan_steps.get_or_create(&StepResult { step, result }).inc();
    }

    /// A step of a plan failed, which is logged as well.
    pub fn step_failed(&self, step: &'static str, error: &impl fmt::Display) {
        warn!(step, %error, "a step failed");
        self.step_applied(step, "failed");
    }

    /// A call to AWS ended.
    pub fn aws_answered(&self, service: &'static str, operation: &'static str, outcome: &'static str, took: Duration) {
        let request = Request {
            service,
            operation,
            outcome,
        };
        self.aws_requests.get_or_create(&request).inc();
        self.aws_request_duration
            .get_or_create(&Service { service })
            .observe(took.as_secs_f64());
    }

    /// How many objects of the kind have this status of `Ready` (`True`, `False`, `Unknown`) now.
    pub fn set_objects(&self, kind: &'static str, ready: &'static str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.objects.get_or_create(&KindReady { kind, ready }).set(count);
    }

    /// Whether the operator writes nothing but status and events.
    pub fn set_read_only(&self, read_only: bool) {
        self.read_only.set(i64::from(read_only));
    }

    /// Whether this process works, or stands by.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// A walk of the chain ended, with this verdict (`True`, `False`, `Unknown`) and this reason of `Connected`.
    pub fn walk_ended(&self, connected: &'static str, reason: &'static str, took: Duration) {
        self.walks.get_or_create(&VerdictReason { connected, reason }).inc();
        self.walk_duration.observe(took.as_secs_f64());
    }

    /// All metrics as `OpenMetrics` text.
    ///
    /// # Errors
    /// When the encoder fails, which it does for no metric of ours.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_dashboards_and_alerts_are_written_against() {
        let metrics = Metrics::new();
        metrics.pass_ended("ManagedCluster", Duration::from_millis(300));
        metrics.pass_failed("ManagedCluster", "denied");
        metrics.step_applied("CreateRole", "done");
        metrics.step_applied("CreateRole", "done");
        metrics.aws_answered("iam", "GetRole", "ok", Duration::from_millis(40));
        metrics.set_objects("ManagedCluster", "True", 3);
        metrics.set_objects("ManagedCluster", "True", 2);
        metrics.set_read_only(true);
        metrics.set_leader(true);
        metrics.walk_ended("False", "RefusedByTrustPolicy", Duration::from_secs(2));
        assert_eq!(metrics.text().unwrap(), include_str!("metrics.golden.txt"));
    }

    #[test]
    fn clones_count_together() {
        let metrics = Metrics::new();
        metrics.clone().pass_failed("ManagementRole", "throttled");
        let text = metrics.text().unwrap();
        assert!(
            text.contains("mooring_reconcile_errors_total{kind=\"ManagementRole\",category=\"throttled\"} 1"),
            "{text}"
        );
    }
}
