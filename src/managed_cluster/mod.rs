//! One `ManagedCluster`, top to bottom. Read the steps in this order:
//!
//! 1. [`request`]   the raw resource, parsed into names that cannot be wrong, and held against `allow` (pure)
//! 2. [`observe`]   what AWS and Argo CD's namespace hold (reads)
//! 3. [`desired`](mod@desired)   what should exist (pure, infallible)
//! 4. [`plan`](mod@plan)      the steps between them, or why we must wait (pure, infallible)
//! 5. [`apply`](mod@apply)     the steps, one after another (writes)
//! 6. [`status`]    what it means (one write)
//!
//! A removal is observe, [`removal`], apply, and needs only what never changes.

pub mod apply;
pub mod blocked;
mod context;
pub mod desired;
mod error;
pub mod findings;
pub mod management;
pub mod observe;
pub mod plan;
mod release;
pub mod removal;
pub mod request;
pub mod status;
pub mod step;
mod tell;
mod turn;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Api, Resource, ResourceExt, core::DeserializeGuard, runtime::controller::Action};
use tracing::{debug, info};

use crate::{
    api::{FINALIZER, ManagedCluster, ManagedClusterStatus},
    argocd::WantedSecret,
    domain::arn::PolicyArn,
    kubernetes::{finalizer, objects},
};

pub use blocked::Blocked;
pub use context::{Context, Memories, Timing, now, paused};
pub use error::Error;
pub(crate) use error::in_words;
pub use step::{Part, Plan, Step};

use self::{
    apply::{Outcome, Site, Stop},
    management::Management,
    observe::Secrets,
    plan::Memory,
    request::{Identity, Request},
    status::{Facts, Pass},
    turn::{admitted, door, permitted},
};

/// How long a wait that ends by a change elsewhere may last until it is looked at again all the same.
const WATCHED_WAIT: Duration = Duration::from_mins(1);

/// How long the step that is being taken when a pass runs out of time may take to end, so that what it made is known:
/// longer than the longest call.
pub(crate) const LAST_STEP: Duration = Duration::from_mins(2);

/// How long a new object may wait for the management role's policy before it is told: the first cluster of an account
/// always waits for it a moment, and would have its status written twice.
const GRACE: Duration = Duration::from_secs(5);

/// One pass.
///
/// # Errors
/// When the pass failed; the status says so already.
pub async fn reconcile(object: Arc<DeserializeGuard<ManagedCluster>>, context: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let result = match &object.0 {
        Err(unparsable) if object.meta().deletion_timestamp.is_some() => {
            debug!(error = %unparsable.error, "removing an object that does not parse");
            release::unparsable(object.meta(), &context).await
        }
        Err(unparsable) => {
            let error = Error::Unreadable(unparsable.error.clone());
            let name = object.meta().name.as_deref().unwrap_or_default();
            // What was recorded stays: a role whose ID we forgot would be made afresh.
            match objects::stored_status::<ManagedCluster, _>(&context.client, name).await? {
                Some(old) => conclude(&context, object.meta(), None, &old, Pass::Failed(error)).await,
                None => Err(error),
            }
        }
        Ok(cluster) if cluster.metadata.deletion_timestamp.is_some() => release::known(cluster, &context).await,
        Ok(cluster) => {
            let old = known_status(cluster, &context);
            let Some(pass) = Box::pin(moor(cluster, &old, &context)).await else {
                return Ok(Action::requeue(Duration::ZERO));
            };
            if untold(&pass, &old) && context.memory.just_pending(&cluster.uid().unwrap_or_default(), GRACE) {
                Ok(Action::requeue(GRACE))
            } else {
                let identity = Identity::of(cluster).ok();
                conclude(&context, &cluster.metadata, identity.as_ref(), &old, pass).await
            }
        }
    };
    context.metrics.pass_ended("ManagedCluster", started.elapsed());
    result
}

/// Whether a pass only found that the policy of the management role is still to come, of an object that says nothing yet.
fn untold(pass: &Pass, old: &ManagedClusterStatus) -> bool {
    matches!(pass, Pass::Waiting(Blocked::PolicyPending { .. })) && old.conditions.is_empty()
}

/// The status as we know it best: what we wrote last, or what the watch brought.
fn known_status(cluster: &ManagedCluster, context: &Context) -> ManagedClusterStatus {
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    context
        .memory
        .status(uid)
        .or_else(|| cluster.status.clone())
        .unwrap_or_default()
}

/// Makes the cluster true, as far as it can be; `None` when a person changed the object before its turn came.
async fn moor(cluster: &ManagedCluster, old: &ManagedClusterStatus, context: &Context) -> Option<Pass> {
    let asked = match permitted(cluster, old, context) {
        Ok((_, request)) => request,
        Err(pass) => return Some(pass),
    };
    let Ok(_admission) = admitted(cluster, old, &asked.identity, context).await? else {
        return Some(Pass::Failed(Error::ShuttingDown));
    };
    // The turn may have taken minutes to come: what counts is what is allowed now.
    let (management, request) = match permitted(cluster, old, context) {
        Ok(both) => both,
        Err(pass) => return Some(pass),
    };
    let Some(secrets) = context.secrets.get(&management.namespace) else {
        return Some(Pass::Waiting(Blocked::NamespaceNotServed {
            namespace: management.namespace.clone(),
        }));
    };
    let deadline = context.timing.pass_deadline + LAST_STEP;
    let work = in_account(cluster, old, &request, &management, secrets, context);
    Some(match Box::pin(tokio::time::timeout(deadline, work)).await {
        Ok(Ok(pass)) => pass,
        Ok(Err(error)) => Pass::Failed(error),
        Err(_) => Pass::Failed(Error::Deadline(deadline.as_secs())),
    })
}

async fn in_account(
    cluster: &ManagedCluster,
    old: &ManagedClusterStatus,
    request: &Request,
    management: &Management,
    secrets: &kube::runtime::reflector::Store<k8s_openapi::api::core::v1::Secret>,
    context: &Context,
) -> Result<Pass, Error> {
    let (identity, uid) = (&request.identity, request.identity.uid.as_str());
    let deadline = Instant::now() + context.timing.pass_deadline;
    let secret_api = Api::namespaced(context.client.clone(), &management.namespace);
    let recorded_role = old.deployer_role.as_ref().map(|role| role.id.as_str());
    let account = context.aws.enter(&door(identity, management)).await?;
    let denies_all = request.boundary == PolicyArn::deny_all(management.hub.partition());
    let deployer = &request.deployer;
    let spoke = Box::pin(observe::spoke(
        &account,
        &identity.cluster,
        deployer,
        recorded_role,
        denies_all,
    ))
    .await?;
    // Made again while it cannot be seen yet, the role would only be refused as there already.
    let unseen = spoke.role.is_none() && recorded_role.is_some();
    if unseen && context.memory.just_made_role(uid, context.timing.confirm_after) {
        return Ok(Pass::Waiting(Blocked::RolePropagating));
    }
    let desired = desired::desired(request, management, spoke.cluster.as_ref());
    let wanted_secret = desired.secret.as_ref().and_then(|secret| secret.as_ref().ok());
    let servers = [
        wanted_secret.and_then(|wanted| wanted.data.get("server")),
        old.cluster.as_ref().and_then(|cluster| cluster.endpoint.as_ref()),
    ];
    let known = observe::Known {
        name: old.secret.as_deref(),
        servers: servers.into_iter().flatten().map(String::as_str).collect(),
    };
    let mut found = observe::secrets(secrets, uid, wanted_secret, &known);
    // One that is going stands for nothing: the name may be somebody else's by now.
    if let Some(wanted) = wanted_secret.filter(|_| found.own.iter().all(|own| own.deleting)) {
        let Secrets { own, name_taken, .. } = observe::secret_under_name(&secret_api, &wanted.name, uid).await?;
        found.own.retain(|known| own.iter().all(|now| now.name != known.name));
        found.own.extend(own);
        found.name_taken = name_taken;
    }
    let free = found.others.iter().all(|other| other.deleting);
    if let Some(wanted) = wanted_secret.filter(|_| free && !paused(&cluster.metadata)) {
        let stands = found.own.iter().any(|own| !own.deleting);
        found.claimed = context.memory.claim(uid, wanted, stands);
    }
    let confirmed = context.memory.confirmed(uid, context.timing.confirm_after);
    let memory = Memory {
        owner: &request.owner,
        recorded_role,
        recorded_secret: old.secret.as_deref(),
        confirmed: confirmed.as_ref(),
    };
    let plan = plan::plan(&desired, &spoke, &found, &memory);
    context.memory.suspect(uid, plan.suspicion.as_ref());
    let wanted_name = wanted_secret.map(|wanted| wanted.name.as_str()).unwrap_or_default();
    let primary = plan::primary(&found, wanted_name, memory.recorded_secret);
    let named = |wanted: &WantedSecret| WantedSecret {
        name: primary.map_or(&wanted.name, |primary| &primary.name).clone(),
        ..wanted.clone()
    };
    context.memory.want_secret(uid, wanted_secret.map(named));
    let mut facts = Facts {
        secret: primary.map(|secret| secret.name.clone()),
        cluster: spoke.cluster,
    };
    log_plan(&identity.name, &plan);
    if paused(&cluster.metadata) {
        return Ok(Pass::Paused(plan, facts));
    }
    // What stands must be let go of in order, also when somebody took our finalizer off.
    let stands = recorded_role.is_some() || !found.own.is_empty();
    if plan.steps.is_empty() && !stands {
        return Ok(Pass::Applied(plan, Outcome::default(), facts));
    }
    if finalizer::add(&context.api(), &cluster.metadata, FINALIZER).await? == finalizer::Hold::TooLate {
        return Ok(Pass::Releasing("the object is being removed".to_owned(), None));
    }
    let site = Site {
        account: Some(&account),
        cluster: &identity.cluster,
        deployer: &request.deployer,
        secrets: &secret_api,
        deadline,
        stopping: &|| context.aws.is_closed(),
        metrics: &context.metrics,
    };
    let outcome = apply::apply(&plan.steps, site).await;
    if let Some(made) = outcome.made_role() {
        context.memory.made_role(uid, &made.id);
    }
    for step in plan.steps.iter().filter(|_| outcome.stop().is_none()) {
        if let Step::ApplySecret { secret, .. } = step {
            facts.secret = Some(secret.name.clone());
        }
    }
    Ok(Pass::Applied(plan, outcome, facts))
}

fn log_plan(object: &str, plan: &Plan) {
    if plan.is_clean() {
        debug!(object, "nothing to do");
        return;
    }
    let json = serde_json::to_string(plan).unwrap_or_default();
    info!(object, hash = %crate::telemetry::short_hash(&json), plan = %json, "planned");
}

/// Writes the status, tells what changed, and says when to look again.
async fn conclude(
    context: &Context,
    metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    identity: Option<&Identity>,
    old: &ManagedClusterStatus,
    pass: Pass,
) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let cluster = identity.map(|identity| &identity.cluster);
    let new = status::status(old, cluster, metadata.generation, &pass, now());
    let written = status::write(&Api::all(context.client.clone()), name, old, &new).await;
    if written.is_ok() {
        context.memory.wrote_status(uid, &new);
    }
    tell::tell(context, metadata, old, &new, &pass).await;
    written?;
    next(context, uid, pass)
}

/// When to look again.
fn next(context: &Context, uid: &str, pass: Pass) -> Result<Action, Error> {
    let key = || uid.to_owned();
    let resync = || {
        context.backoff.clear(&key());
        context.backoff.spread(context.timing.resync)
    };
    let blocked_wait = |blocked: &Blocked| {
        if blocked.part() == Part::ManagementRole {
            // Its watch wakes the object when that changes.
            WATCHED_WAIT
        } else if matches!(blocked, Blocked::Unconfirmed { .. }) {
            context.timing.confirm_after + Duration::from_millis(500)
        } else if blocked.stalled() {
            context.backoff.after_error(key()).max(Duration::from_secs(15))
        } else {
            context.backoff.after_wait(key())
        }
    };
    let wait = match pass {
        Pass::Refused(_) | Pass::Paused(..) => resync(),
        Pass::Waiting(blocked) => blocked_wait(&blocked),
        Pass::Releasing(_, blocked) => blocked
            .as_ref()
            .map_or_else(|| context.backoff.after_wait(key()), blocked_wait),
        Pass::Failed(error) => return Err(error),
        Pass::Applied(plan, outcome, _) => {
            // Whoever got further waits as briefly as at first.
            if !outcome.done().is_empty() {
                context.backoff.clear(&key());
            }
            match (outcome.into_stop(), plan.blocked.first()) {
                (Some(Stop::Failed(part, failure)), _) => return Err(Error::Step(part, failure)),
                (Some(Stop::Blocked(blocked)), _) => blocked_wait(&blocked),
                (None, Some(blocked)) => blocked_wait(blocked),
                (None, None) => resync(),
            }
        }
    };
    Ok(Action::requeue(wait))
}

/// When to try again after a failed pass.
#[must_use]
pub fn after_error(object: &DeserializeGuard<ManagedCluster>, error: &Error, context: &Context) -> Action {
    context.metrics.pass_failed("ManagedCluster", error.category());
    Action::requeue(
        context
            .backoff
            .after_error(object.meta().uid.clone().unwrap_or_default()),
    )
}
