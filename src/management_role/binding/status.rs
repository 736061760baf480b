//! 6. status: the one condition that the binding writes. Pure but for the write.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, core::DeserializeGuard};
use serde_json::json;

use crate::{
    api::{
        ManagementRole, RestartedWorkload,
        condition::{ConditionType, Finding, Verdict, conditions},
    },
    kubernetes::{Failure, KubernetesError, objects},
    managed_cluster::{
        Withheld,
        words::{serve, some},
    },
};

use super::{
    request::{MANAGER, Request},
    step::{Obstacle, Plan, Step},
};

const CONDITION: ConditionType = ConditionType::ServiceAccountsBound;

/// The reason while nobody looks.
const NOT_LOOKED_AT: &str = "NotLookedAt";

/// What holds after a pass that had nothing left to do.
#[must_use]
pub fn finding(request: &Request, plan: &Plan) -> Finding {
    let messages: Vec<String> = plan
        .obstacles
        .iter()
        .map(|obstacle| obstacle.message(request))
        .collect();
    let Some(first) = plan.obstacles.first() else {
        return held(request);
    };
    let verdict = if matches!(first, Obstacle::Unseen { .. } | Obstacle::ByPodIdentity { .. }) {
        Verdict::Unknown
    } else {
        Verdict::False
    };
    Finding::new(CONDITION, verdict, first.reason(), messages.join("; "))
}

/// What is not done while nothing is written.
#[must_use]
pub fn not_done(withheld: Withheld, object: &str, plan: &Plan) -> Finding {
    let words: Vec<String> = plan.steps.iter().map(Step::words).collect();
    Finding::new(
        CONDITION,
        Verdict::False,
        withheld.reason(),
        withheld.not_done(&format!("mgr {object}"), &words, &[]),
    )
}

fn held(request: &Request) -> Finding {
    let (reason, message) = if request.bind {
        (
            "Bound",
            "Argo CD's service accounts name the role, and its pods run with it",
        )
    } else {
        (
            "NotManaged",
            "Argo CD's service accounts name the role, which Mooring leaves to others since bindServiceAccounts is false, and its pods run with it",
        )
    };
    Finding::new(CONDITION, Verdict::True, reason, message)
}

/// What is known after a call to the API server failed.
#[must_use]
pub fn failed(error: &KubernetesError) -> Finding {
    let (reason, advice) = match error.failure() {
        Failure::Forbidden => (
            "NotPermitted",
            ". The Role in deploy/install/10-rbac.yaml gives what is needed in Argo CD's namespace; what 11-controller-admission.yaml refuses is never needed",
        ),
        Failure::Conflict
        | Failure::NotFound
        | Failure::Invalid
        | Failure::Throttled
        | Failure::Unreachable
        | Failure::NotLeading
        | Failure::Other => ("KubernetesError", ""),
    };
    Finding::new(CONDITION, Verdict::Unknown, reason, format!("{error}{advice}"))
}

/// The operator was not started for the namespace. What was seen of the role's trust policy is told besides.
#[must_use]
pub fn not_served(request: &Request) -> Finding {
    let namespace = &request.namespace;
    let mut message = format!(
        "the operator does not serve namespace {namespace}, and sees no service account there: {}",
        serve(namespace)
    );
    if !request.untrusted.is_empty() {
        message.push_str("; besides, the trust policy of the role does not let in the web identities of ");
        message.push_str(&some(&request.untrusted));
        message.push_str(", to whom only EKS Pod Identity can give it");
    }
    Finding::new(CONDITION, Verdict::Unknown, "NamespaceNotServed", message)
}

/// The service accounts are nobody's to mend while the object is being removed.
#[must_use]
pub fn going() -> Finding {
    Finding::new(
        CONDITION,
        Verdict::Unknown,
        NOT_LOOKED_AT,
        "not looked at since the object is being removed",
    )
}

/// The service accounts are not looked at while the role is not known to stand on this hub.
#[must_use]
pub fn waits(for_what: ConditionType) -> Finding {
    let message = format!("not looked at while {} does not hold", for_what.as_str());
    Finding::new(CONDITION, Verdict::Unknown, NOT_LOOKED_AT, message)
}

/// The condition that follows from a finding; `old` is the one that stands.
#[must_use]
pub fn condition(
    old: Option<&Condition>,
    finding: Finding,
    generation: Option<i64>,
    now: Timestamp,
) -> Option<Condition> {
    let old: Vec<Condition> = old.cloned().into_iter().collect();
    conditions(&old, &[finding], generation, now).pop()
}

/// Writes the condition and the restarts, and nothing beside them.
///
/// # Errors
/// When the API server refuses it.
pub async fn write(
    api: &Api<DeserializeGuard<ManagementRole>>,
    object: &str,
    condition: &Condition,
    restarted: &[RestartedWorkload],
) -> Result<(), KubernetesError> {
    let mut status = json!({ "conditions": [condition] });
    if !restarted.is_empty() {
        status["restarted"] = json!(restarted);
    }
    objects::apply_status(api, object, MANAGER, &status).await.map(drop)
}
