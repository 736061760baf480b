//! What must be right, however long it took.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{
    Setting,
    calls::{Work, by_object},
    ground::Ground,
    metrics::Metrics,
    report::{Edit, Resync},
    watch::Watch,
};
use crate::{
    aws::{Call, Outcome},
    control_plane::AuditedCall,
    stage::{ClusterSpec, StageError},
};

/// Calls to AWS and writes to Kubernetes that making one cluster may take, and calls that a resync may.
const CREATE_CALLS: usize = 8;
const CREATE_WRITES: usize = 4;
const RESYNC_CALLS: usize = 4;

/// Outcomes of calls, as the operator counts them, that AWS gives in the course of things: a role that is not there
/// yet, a write that is still on its way. Every other one is a call that was given up.
const EXPECTED: &[&str] = &[
    "ok",
    "not_found",
    "already_exists",
    "invalid_principal",
    "entry_not_visible",
    "conflict",
];

/// The checks that were made, and which failed.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<(bool, String)>);

impl Checks {
    pub(super) fn note(&mut self, holds: bool, what: impl Into<String>) {
        self.0.push((holds, what.into()));
    }

    pub(super) fn passed(&self) -> bool {
        self.0.iter().all(|(holds, _)| *holds)
    }

    pub(super) fn print(&self) {
        println!("  checks");
        for (holds, what) in &self.0 {
            println!("    {} {what}", if *holds { "ok    " } else { "FAILED" });
        }
    }

    pub(super) fn readiness(&mut self, setting: &Setting, watch: &Watch, spokes: &[ClusterSpec], ready: bool) {
        self.note(ready, "every cluster became Ready");
        let missing: Vec<&ClusterSpec> = spokes.iter().filter(|spoke| !watch.is_ready(&spoke.name)).collect();
        for spoke in missing.iter().take(5) {
            self.note(
                false,
                format!("{} in {}: {}", spoke.name, spoke.account, watch.last(&spoke.name)),
            );
        }
        let last = |slow: bool| {
            let mine = spokes.iter().filter(|spoke| setting.is_slow(&spoke.account) == slow);
            mine.filter_map(|spoke| watch.first(&spoke.name)).max()
        };
        if setting.slow.is_some() && setting.accounts > 1 {
            let (slow, others) = (last(true), last(false));
            self.note(
                others.is_some() && others < slow,
                "every other account was done before the slow one, which has ten times the wait",
            );
        }
    }

    pub(super) fn creation(
        &mut self,
        log: &[Call],
        writes: &[AuditedCall],
        edited: &BTreeSet<&str>,
        spokes: &[ClusterSpec],
    ) {
        let work = by_object(log);
        let plain = || spokes.iter().filter(|spoke| !edited.contains(spoke.name.as_str()));
        let most = plain()
            .filter_map(|spoke| work.get(spoke.name.as_str()))
            .map(|work| work.calls())
            .max()
            .unwrap_or_default();
        self.note(
            most <= CREATE_CALLS,
            format!("at most {CREATE_CALLS} AWS calls made a cluster (the most: {most}, throttled ones not counted)"),
        );
        let status = |name: &str| {
            let of = writes
                .iter()
                .filter(|call| call.resource.starts_with("managedclusters") && call.name == name);
            of.count()
        };
        let most = plain().map(|spoke| status(&spoke.name)).max().unwrap_or_default();
        let rest = writes
            .iter()
            .filter(|call| !call.resource.starts_with("manage"))
            .count();
        // Secrets and events, which a write does not attribute to an object: the same number for each.
        let each = most + rest.saturating_sub(2 * edited.len()) / spokes.len().max(1);
        self.note(
            each <= CREATE_WRITES,
            format!("at most {CREATE_WRITES} Kubernetes writes made a cluster (the most: {each})"),
        );
    }

    pub(super) async fn edits(&mut self, ground: &Ground, edits: &[Edit]) -> Result<(), StageError> {
        let api = ground.stage.mooring("ManagedCluster")?;
        let secrets: Api<Secret> = Api::namespaced(ground.stage.client()?, "argocd");
        for edit in edits {
            let object = api.get(&edit.name).await?;
            let name = object.data["status"]["secret"].as_str().unwrap_or_default().to_owned();
            let secret = secrets.get_opt(&name).await?;
            let label = secret.and_then(|secret| secret.metadata.labels?.get("env").cloned());
            self.note(
                edit.took.is_some() && label.as_deref() == Some("edited"),
                format!("the edit of {} ({}) reached its cluster Secret", edit.name, edit.what),
            );
        }
        Ok(())
    }

    pub(super) fn resync(&mut self, resync: &Resync, spokes: &[ClusterSpec]) {
        self.note(resync.took.is_some(), "every cluster was looked at again when asked");
        let work = by_object(&resync.calls);
        let of = |count: fn(&Work) -> usize| {
            let counts = spokes
                .iter()
                .filter_map(|spoke| work.get(spoke.name.as_str()))
                .map(count);
            counts.max().unwrap_or_default()
        };
        let looked = spokes
            .iter()
            .filter(|spoke| work.contains_key(spoke.name.as_str()))
            .count();
        self.note(
            looked == spokes.len(),
            format!(
                "the resync asked AWS about every cluster ({looked} of {})",
                spokes.len()
            ),
        );
        let (reads, writes) = (of(|work| work.reads), of(|work| work.writes));
        self.note(
            reads + writes <= RESYNC_CALLS,
            format!(
                "the resync took at most {RESYNC_CALLS} AWS calls a cluster (the most: {})",
                reads + writes
            ),
        );
        let kubernetes = resync.writes.len();
        self.note(
            writes == 0 && kubernetes == 0,
            format!("the resync wrote nothing ({writes} to AWS, {kubernetes} to Kubernetes)"),
        );
    }

    /// Over the whole run, which is shorter than the hour that a session lasts.
    pub(super) fn sessions(&mut self, log: &[Call]) {
        let most = by_object(log)
            .values()
            .map(|work| work.sessions)
            .max()
            .unwrap_or_default();
        self.note(most <= 1, format!("each object took one session (the most: {most})"));
    }

    /// A call is given up when the SDK's retries are used up: the operator counts it under its last error. A pass that
    /// failed for it counts too.
    pub(super) fn given_up(&mut self, metrics: &Metrics, log: &str) {
        let expected = |labels: &str| {
            EXPECTED
                .iter()
                .any(|outcome| labels.contains(&format!("outcome=\"{outcome}\"")))
        };
        let mut lost = metrics.counted("mooring_aws_requests_total");
        lost.retain(|(labels, _)| !expected(labels));
        lost.extend(metrics.counted("mooring_reconcile_errors_total"));
        let told: Vec<String> = lost
            .iter()
            .map(|(labels, count)| format!("{labels}: {count}"))
            .collect();
        self.note(
            lost.is_empty(),
            if told.is_empty() {
                "no call was given up, and no pass failed".to_owned()
            } else {
                format!("no call was given up, and no pass failed ({})", told.join("; "))
            },
        );
        let troubles: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\""))
            .collect();
        self.note(
            troubles.is_empty(),
            format!("the operator's log has no warning ({} lines)", troubles.len()),
        );
        for line in troubles.iter().take(3) {
            println!("    warned: {}", line.chars().take(600).collect::<String>());
        }
    }

    /// Every refusal but those for rate and for what is not there.
    pub(super) fn refusals(&mut self, log: &[Call]) {
        let refused = log
            .iter()
            .filter(|call| !call.throttled)
            .filter_map(|call| match &call.outcome {
                Outcome::Refused { code, .. } if code.starts_with("AccessDenied") => Some(call.operation.as_str()),
                Outcome::Done | Outcome::Refused { .. } | Outcome::Hung | Outcome::Closed | Outcome::Unanswered => None,
            });
        let refused: BTreeSet<&str> = refused.collect();
        self.note(refused.is_empty(), format!("AWS denied nothing {refused:?}"));
    }
}
