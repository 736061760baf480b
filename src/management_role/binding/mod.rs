//! The service accounts of one Argo CD: [`request`], [`observe`], [`plan`](mod@plan), [`apply`](mod@apply), [`status`].
//!
//! It has a queue of its own beside that of the role: it calls no AWS, so that a changed service account costs AWS
//! nothing, and nothing that goes wrong here keeps a role or a cluster from being made. It writes one condition.

pub mod apply;
mod memory;
pub mod observe;
pub mod plan;
pub mod request;
pub mod status;
pub mod step;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Client, Resource,
    core::DeserializeGuard,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
    },
};
use tracing::{debug, info, warn};

use crate::{
    api::{ManagementRole, Mode, RECONCILE_REQUESTED_AT, condition::Finding},
    kubernetes::{
        Failure, KubernetesError,
        backoff::Backoff,
        drive::Panicked,
        events::{Reporter, Weight},
    },
    managed_cluster::{Withheld, now, withheld, words::done_in_words},
    telemetry::{Metrics, short_hash},
};

use self::{
    memory::Remembered,
    plan::Memory,
    request::Request,
    step::{Plan, Step},
};

/// How often a pass looks again after its own writes, or somebody else's, before it leaves the rest to the next.
const ROUNDS: usize = 4;

/// The wait before the next pass when objects changed under every round.
const RACE: Duration = Duration::from_secs(2);

/// The wait before the next pass when the API server refused or did not answer.
const REFUSED: Duration = Duration::from_mins(1);

/// A pass that could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The condition could not be written.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// A fault of ours.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// What every pass works with.
pub struct Context {
    client: Client,
    roles: Store<DeserializeGuard<ManagementRole>>,
    namespaces: BTreeSet<String>,
    reporter: Reporter,
    metrics: Metrics,
    resync: Duration,
    read_only: bool,
    backoff: Backoff<String>,
    /// One at a time, so that a binding never follows the release at the end of an object's life.
    turn: tokio::sync::Mutex<()>,
    remembered: Mutex<HashMap<String, Remembered>>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

impl Context {
    /// A context for the namespaces that the operator serves; everything is looked at again every `resync`. With
    /// `read_only`, nothing but the condition is written.
    #[must_use]
    pub fn new(
        client: Client,
        roles: Store<DeserializeGuard<ManagementRole>>,
        namespaces: impl IntoIterator<Item = String>,
        reporter: Reporter,
        metrics: Metrics,
        resync: Duration,
        read_only: bool,
    ) -> Self {
        Self {
            client,
            roles,
            namespaces: namespaces.into_iter().collect(),
            reporter,
            metrics,
            resync,
            read_only,
            backoff: Backoff::default(),
            turn: tokio::sync::Mutex::default(),
            remembered: Mutex::default(),
        }
    }

    /// Whether a person has changed, paused or deleted the object since the watch brought it like this.
    fn overtaken(&self, seen: &ObjectMeta) -> bool {
        let name = seen.name.as_deref().unwrap_or_default();
        let now = self.roles.get(&ObjectRef::new(name));
        withheld::overtaken(seen, now.as_ref().map(|now| now.meta()))
    }

    fn remember<T>(&self, uid: &str, change: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(uid.to_owned()).or_default())
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
        self.backoff.clear(&uid.to_owned());
    }
}

/// One pass.
///
/// # Errors
/// When the condition could not be written.
pub async fn reconcile(object: Arc<DeserializeGuard<ManagementRole>>, context: Arc<Context>) -> Result<Action, Error> {
    // An object that cannot be read is told of by its own pass.
    let Ok(role) = &object.0 else {
        return Ok(Action::await_change());
    };
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let requested = role.metadata.annotations.as_ref();
    let requested = requested.and_then(|all| all.get(RECONCILE_REQUESTED_AT));
    let asked = (role.metadata.generation, requested.cloned());
    let request = Request::of(role);
    let _turn = context.turn.lock().await;
    let released = context.remember(uid, |remembered| {
        let recorded = role.status.as_ref().map(|status| status.restarted.as_slice());
        remembered.hear(asked, recorded.unwrap_or_default());
        remembered.released
    });
    if released {
        return Ok(Action::await_change());
    }
    if role.metadata.deletion_timestamp.is_some() {
        return tell::removal(role, &context).await;
    }
    let (finding, wait) = if context.namespaces.contains(&request.namespace) {
        bind(role, &request, &context).await
    } else {
        (Some(status::not_served(&request)), None)
    };
    let finding = if request.role.is_some() {
        finding
    } else {
        tell::waits(role)
    };
    if let Some(finding) = finding {
        tell::tell(role, finding, &context).await?;
    }
    context.backoff.clear(&uid.to_owned());
    let resync = context.backoff.spread(context.resync);
    Ok(Action::requeue(wait.map_or(resync, |wait| wait.min(resync))))
}

/// Observes, plans and applies until nothing is left to do. What was found, nothing when everything changed under it;
/// and when to look again, nothing when that has time.
async fn bind(role: &ManagementRole, request: &Request, context: &Context) -> (Option<Finding>, Option<Duration>) {
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let mut held = BTreeMap::new();
    for _ in 0..ROUNDS {
        let observed = match observe::observe(&context.client, request).await {
            Ok(observed) => observed,
            Err(error) => return (Some(status::failed(&error)), Some(REFUSED)),
        };
        let (written, restarted) = context.remember(uid, |remembered| {
            remembered.forget_gone(&observed);
            (remembered.written(), remembered.restarted())
        });
        let memory = Memory {
            written: &written,
            restarted: &restarted,
            now: jiff::Timestamp::now(),
        };
        let mut plan = plan::plan(request, &observed, &memory);
        // Who was about to write the annotation when ours was refused is seen to have written it by now.
        plan.hold(&held);
        log_plan(&request.object, &plan);
        if plan.steps.is_empty() {
            return (Some(status::finding(request, &plan)), plan.look_again());
        }
        if let Some(withheld) = Withheld::of(&role.metadata, Mode::Enforce, context.read_only) {
            return (Some(status::not_done(withheld, &request.object, &plan)), None);
        }
        if context.overtaken(&role.metadata) {
            return (None, None);
        }
        let outcome = apply::apply(&plan.steps, request, &context.client, now(), &context.metrics).await;
        context.remember(uid, |remembered| {
            for step in &outcome.done {
                remembered.note(step);
            }
        });
        report(role, &outcome.done, context).await;
        if let Some(error) = outcome.failed {
            return (Some(status::failed(&error)), Some(REFUSED));
        }
        held = outcome.held;
    }
    (None, Some(RACE))
}

fn log_plan(object: &str, plan: &Plan) {
    if plan.steps.is_empty() {
        debug!(
            object,
            obstacles = plan.obstacles.len(),
            "no service account or workload to write to"
        );
        return;
    }
    let json = serde_json::to_string(plan).unwrap_or_default();
    info!(object, hash = %short_hash(&json), plan = %json, "planned");
}

/// An event for the service accounts, and one for the workloads.
async fn report(role: &ManagementRole, done: &[Step], context: &Context) {
    let about = super::tell::about(&role.metadata);
    for (reason, restarts) in [("ServiceAccountsChanged", false), ("Restarted", true)] {
        let of = done
            .iter()
            .filter(|step| matches!(step, Step::Restart { .. }) == restarts);
        let words: Vec<String> = of.map(Step::words).collect();
        if !words.is_empty() {
            let note = done_in_words(&words);
            context
                .reporter
                .report(&about, Weight::Normal, reason, "Bind", &note)
                .await;
        }
    }
}

/// When to try again after a failed pass.
#[must_use]
pub fn after_error(object: &DeserializeGuard<ManagementRole>, error: &Error, context: &Context) -> Action {
    let category = match error {
        Error::Kubernetes(error) => error.failure().label(),
        Error::Panicked(_) => "fault",
    };
    context.metrics.pass_failed("ServiceAccount", category);
    let key = object.meta().uid.clone().unwrap_or_default();
    Action::requeue(context.backoff.after_error(key))
}

/// Lets go of what was written for an object that is being removed, and writes nothing for it any more. Where the
/// operator may not look there is nothing that it wrote, or a person has taken that into his own hands.
///
/// # Errors
/// When the API server does not answer, or a service account changed meanwhile.
pub(super) async fn release(role: &ManagementRole, context: &Context) -> Result<(), KubernetesError> {
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let namespace = &role.spec.argocd_namespace;
    let manager = request::manager(role.metadata.name.as_deref().unwrap_or_default());
    let _turn = context.turn.lock().await;
    context.remember(uid, |remembered| remembered.released = true);
    let accounts = match observe::accounts(&context.client, namespace, &manager).await {
        Ok(accounts) => accounts,
        Err(error) if error.failure() == Failure::Forbidden => {
            warn!(object = role.metadata.name, %error, "the service accounts are left as they are");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for account in plan::let_go(&accounts) {
        match apply::release(&context.client, namespace, &manager, account).await {
            Err(error) if error.is_not_found() => {}
            Err(error) if error.failure() == Failure::Forbidden => {
                warn!(object = role.metadata.name, %error, "the annotation stays");
            }
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kube::runtime::{reflector::store::Writer, watcher::Event};
    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    /// An object whose role stands.
    fn object(metadata: &Value) -> ManagementRole {
        let holds = |kind: &str| json!({"type": kind, "status": "True", "reason": "AsSpecified", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut all = json!({"name": "default", "uid": "m", "generation": 1});
        all.as_object_mut()
            .unwrap()
            .extend(metadata.as_object().unwrap().clone());
        from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": all,
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
            "status": {
                "conditions": [holds("HubReady"), holds("RoleReady")],
                "role": {"arn": "arn:aws:iam::111111111111:role/argocd", "id": "A"},
            },
        }))
        .unwrap()
    }

    /// A round over an object as it was, while the watch has it as it is by now: what was asked of the API server.
    async fn round(now: Option<ManagementRole>) -> Vec<String> {
        let account =
            json!({"metadata": {"name": "argocd-server", "namespace": "argocd", "uid": "s", "resourceVersion": "1"}});
        let list = json!({"kind": "ServiceAccountList", "apiVersion": "v1", "metadata": {}, "items": [account]});
        let (client, asked) = answering([(200, list), refusal(403, "Forbidden")]);
        let mut writer = Writer::default();
        writer.apply_watcher_event(&Event::Init);
        if let Some(object) = now {
            writer.apply_watcher_event(&Event::InitApply(DeserializeGuard(Ok(object))));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let seen = object(&json!({}));
        let reporter = Reporter::new(client.clone(), "mooring.dev/test");
        let (resync, namespaces) = (Duration::from_mins(10), ["argocd".to_owned()]);
        let context = Context::new(
            client,
            writer.as_reader(),
            namespaces,
            reporter,
            Metrics::new(),
            resync,
            false,
        );
        Box::pin(bind(&seen, &Request::of(&seen), &context)).await;
        let asked = asked.lock().unwrap();
        asked
            .iter()
            .map(|(line, _)| line.split('?').next().unwrap_or_default().to_owned())
            .collect()
    }

    /// The list of the service accounts may take its time, and rounds follow each other.
    #[tokio::test]
    async fn what_a_person_does_while_a_round_looks_is_heard_before_it_writes() {
        const LOOK: &str = "GET /api/v1/namespaces/argocd/serviceaccounts";
        const WRITE: &str = "PATCH /api/v1/namespaces/argocd/serviceaccounts/argocd-server";
        let unchanged = object(&json!({"labels": {"a": "b"}}));
        assert_eq!(round(Some(unchanged)).await, [LOOK, WRITE]);
        for (metadata, case) in [
            (json!({"annotations": {"mooring.dev/paused": "INC-42"}}), "paused"),
            (json!({"generation": 2}), "edited"),
            (json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), "deleted"),
            (json!({"uid": "n"}), "made again"),
        ] {
            assert_eq!(round(Some(object(&metadata))).await, [LOOK], "{case}");
        }
        assert_eq!(round(None).await, [LOOK], "gone");
    }
}
