//! 5. apply: carries a plan out, and makes no choices.
//!
//! Each write names the object as it was read, so that one that has changed since is looked at again, and none is ever
//! made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::ServiceAccount,
};
use kube::{Api, Client};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::{
    kubernetes::{KubernetesError, objects},
    telemetry::Metrics,
};

use super::{
    observe::{Kind, RESTARTED_FOR, ROLE_ANNOTATION, Target},
    request::Request,
    step::Step,
};

/// The annotation of a pod template by which `kubectl rollout restart` has pods made anew.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The steps that were done.
    pub done: Vec<Step>,
    /// The first step that was refused or not answered.
    pub failed: Option<KubernetesError>,
    /// Whether something had changed since it was read, so that it is to be looked at again.
    pub stale: bool,
    /// Service accounts of which other field managers hold what was to be written, by name, with the API server's words.
    pub held: BTreeMap<String, String>,
}

/// Carries out the steps in order. What changed meanwhile is passed over; what fails ends it.
pub async fn apply(steps: &[Step], request: &Request, client: &Client, now: Timestamp, metrics: &Metrics) -> Outcome {
    let mut outcome = Outcome::default();
    for step in steps {
        let result = match run(step, request, client, now).await {
            Ok(()) => {
                info!(object = request.object, step = step.name(), "{}", step.words());
                outcome.done.push(step.clone());
                "done"
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {
                outcome.stale = true;
                if let (Step::Bind { account, .. }, Some(held)) = (step, error.held_by_others()) {
                    outcome.held.insert(account.name.clone(), held);
                }
                "blocked"
            }
            Err(error) => {
                warn!(object = request.object, step = step.name(), %error, "a step failed");
                outcome.failed = Some(error);
                "failed"
            }
        };
        metrics.step_applied(step.name(), result);
        if outcome.failed.is_some() {
            break;
        }
    }
    outcome
}

async fn run(step: &Step, request: &Request, client: &Client, now: Timestamp) -> Result<(), KubernetesError> {
    let (namespace, manager) = (request.namespace.as_str(), request.manager());
    match step {
        Step::Bind { account, role } => {
            annotate(client, namespace, &manager, account, json!({ ROLE_ANNOTATION: role })).await
        }
        Step::Release { account } => release(client, namespace, &manager, account).await,
        Step::Restart { kind, workload, role } => {
            let patch = restart(workload, role, now);
            let name = &workload.name;
            match kind {
                Kind::Deployment => {
                    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
                    objects::merge(&api, name, &manager, &patch).await.map(drop)
                }
                Kind::StatefulSet => {
                    let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
                    objects::merge(&api, name, &manager, &patch).await.map(drop)
                }
                Kind::DaemonSet => {
                    let api: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
                    objects::merge(&api, name, &manager, &patch).await.map(drop)
                }
            }
        }
    }
}

/// Lets go of what we wrote to a service account: what others wrote too stays.
///
/// # Errors
/// When the API server refuses it, or the service account has changed since it was read.
pub async fn release(client: &Client, namespace: &str, manager: &str, account: &Target) -> Result<(), KubernetesError> {
    annotate(client, namespace, manager, account, json!({})).await
}

async fn annotate(
    client: &Client,
    namespace: &str,
    manager: &str,
    account: &Target,
    annotations: Value,
) -> Result<(), KubernetesError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": account.name, "uid": account.uid, "resourceVersion": account.version},
    });
    if annotations.as_object().is_some_and(|all| !all.is_empty()) {
        object["metadata"]["annotations"] = annotations;
    }
    objects::apply_gently(&api, &account.name, manager, &object)
        .await
        .map(drop)
}

fn restart(workload: &Target, role: &str, now: Timestamp) -> Value {
    let annotations = json!({ RESTARTED_AT: now.to_string(), RESTARTED_FOR: role });
    json!({
        "metadata": {"uid": workload.uid, "resourceVersion": workload.version},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    })
}
