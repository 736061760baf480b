//! One `ManagementRole`, top to bottom: [`request`], [`members`], [`observe`], [`plan`](mod@plan), [`apply`](mod@apply),
//! [`status`]. It is reconciled from the whole set of `ManagedCluster`s that name it, so that the permission policy
//! of the role has exactly one writer.

pub mod apply;
pub mod binding;
pub mod blocked;
mod context;
mod despite;
mod error;
pub mod foreseen;
mod gather;
pub mod members;
pub mod observe;
pub mod plan;
pub mod preview;
mod release;
pub mod remaining;
pub mod request;
mod retained;
pub mod status;
pub mod step;
mod tell;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Resource, core::DeserializeGuard, runtime::controller::Action};
use tracing::{debug, info};

use crate::{
    api::{FINALIZER, ManagementRole, ManagementRoleStatus},
    aws::{self, Account, Door, Lane},
    domain::name::Partition,
    kubernetes::{backoff::Backoff, events::Weight, finalizer, objects},
    managed_cluster::{LAST_STEP, Timing, now},
};

pub use context::{Context, Remembered};
pub use error::Error;
pub use step::{Blocked, Plan, Step};

use self::{
    apply::{Outcome, Site, Stop},
    plan::Memory,
    request::{Request, RoleOwner},
    status::{Applied, Pass},
};

/// One pass.
///
/// # Errors
/// When the pass failed; the status says so already.
pub async fn reconcile(object: Arc<DeserializeGuard<ManagementRole>>, context: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let result = match &object.0 {
        Err(broken) if object.meta().deletion_timestamp.is_some() => {
            debug!(error = %broken.error, "removing an object that does not parse");
            release::unparsable(object.meta(), &context).await
        }
        Err(broken) => {
            let name = object.meta().name.as_deref().unwrap_or_default();
            let field = objects::misfit_of_stored::<ManagementRole>(&context.client, name).await?;
            let why = field.unwrap_or_else(|| broken.error.clone());
            let error = Error::Invalid { name: name.into(), why };
            // What was recorded stays: a role whose ID we forgot would be made afresh.
            match objects::stored_status::<ManagementRole, _>(&context.client, name).await? {
                Some(old) => conclude(&context, object.meta(), &status::own(old), Pass::Failed(error)).await,
                None => Err(untellable(object.meta(), error, &context).await),
            }
        }
        Ok(role) => {
            let uid = role.metadata.uid.as_deref().unwrap_or_default();
            let known = context.remember(uid, |remembered| remembered.status.clone());
            let old = status::own(known.or_else(|| role.status.clone()).unwrap_or_default());
            if role.metadata.deletion_timestamp.is_some() {
                release::release(role, &old, &context).await
            } else {
                let kept = Box::pin(keep(role, &old, &context)).await;
                let Some(pass) = kept.unwrap_or_else(|error| Some(Pass::Failed(error))) else {
                    return Ok(Action::requeue(Duration::ZERO));
                };
                conclude(&context, &role.metadata, &old, pass).await
            }
        }
    };
    context.metrics.pass_ended("ManagementRole", started.elapsed());
    result
}

/// Tells of an object whose status cannot be read, and so is not written to either.
async fn untellable(metadata: &ObjectMeta, error: Error, context: &Context) -> Error {
    let (about, reason) = (tell::about(metadata), error.telling().reason);
    let note = error.message();
    let report = context.reporter.report(&about, Weight::Warning, reason, "Keep", &note);
    report.await;
    error
}

/// Parses the object against the account that the operator itself lives in.
async fn parse(role: &ManagementRole, context: &Context) -> Result<Result<Request, request::Refusal>, Error> {
    let caller = context.aws.caller().await?;
    let partition = caller.arn.split(':').nth(1).and_then(Partition::from_name);
    let request = Request::parse(role, &caller.account).map(|request| request.guarding(&context.guarded));
    Ok(request.and_then(|request| request.check_partition(partition).map(|()| request)))
}

/// Makes the management role true, as far as it can be; `None` when a person changed the object before its turn came.
async fn keep(role: &ManagementRole, old: &ManagementRoleStatus, context: &Context) -> Result<Option<Pass>, Error> {
    let request = match parse(role, context).await? {
        Ok(request) => request,
        Err(refusal) => return Ok(Some(Pass::Refused(refusal))),
    };
    let Ok(_admission) = context.aws.admit(&request.hub.cluster, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    // A removal needs no such role, so that only what is kept is held against it.
    if let Err(refusal) = request.check_role(&context.aws.caller().await?.arn) {
        return Ok(Some(Pass::Refused(refusal)));
    }
    // The turn may have taken minutes to come.
    if context.overtaken(&role.metadata) {
        return Ok(None);
    }
    let deadline = context.timing.pass_deadline + LAST_STEP;
    match Box::pin(tokio::time::timeout(deadline, in_account(role, old, request, context))).await {
        Ok(result) => result.map(Some),
        Err(_) => Err(Error::Deadline(deadline.as_secs())),
    }
}

async fn in_account(
    role: &ManagementRole,
    old: &ManagementRoleStatus,
    request: Request,
    context: &Context,
) -> Result<Pass, Error> {
    let uid = request.owner.uid.clone();
    let deadline = Instant::now() + context.timing.pass_deadline;
    let issuer_here = context.here.read(&context.client).await?;
    let account = context.aws.enter(&door(&request)).await?;
    let observed = match request.role_owner {
        RoleOwner::Mooring => Box::pin(observe::observe(&account, &request, issuer_here)).await?,
        RoleOwner::Existing => Box::pin(observe::observe_existing(&account, &request, issuer_here)).await?,
    };
    let let_go = context.remember(&uid, |remembered| remembered.retained.let_go(&old.retained));
    let members = gather::members(&request, &observed, (old, &let_go), context).await?;
    let confirmed = context.remember(&uid, |remembered| {
        let due = |since: &Instant| since.elapsed() >= context.timing.confirm_after;
        remembered
            .suspicion
            .as_ref()
            .filter(|(_, since)| due(since))
            .map(|(id, _)| id.clone())
    });
    let deleted = context.remember(&uid, |remembered| remembered.deleted.clone());
    let memory = Memory {
        recorded_role: old.role.as_ref().map(|role| role.id.as_str()),
        recorded_issuer: old.hub.as_ref().and_then(|hub| hub.issuer.as_deref()),
        recorded_ways: old.assumable.iter().cloned().collect(),
        confirmed: confirmed.as_deref(),
        deleted: deleted.as_deref(),
    };
    let mut plan = plan::plan(&request, &observed, &members, &memory);
    let namespace = request.namespace.to_string();
    if !context.secrets.contains_key(&namespace) {
        plan.blocked.push(Blocked::NamespaceNotServed { namespace });
    }
    remember_suspicion(context, &uid, &plan);
    log_plan(&request.name, &plan);
    if let Some(withheld) = context.withheld(&role.metadata) {
        return Ok(Pass::Withheld(withheld, plan, members.retained));
    }
    if finalizer::add(&context.api(), &role.metadata, FINALIZER).await? == finalizer::Hold::TooLate {
        return Ok(Pass::Releasing("the object is being removed".to_owned(), None));
    }
    let outcome = carry_out(&plan, &account, deadline, &role.metadata, context).await;
    if outcome.role_deleted() {
        let id = observed.role.as_ref().map(|role| role.id.clone());
        context.remember(&uid, |remembered| remembered.deleted = id);
    }
    Ok(Pass::Applied(Box::new(Applied {
        request,
        observed,
        members,
        plan,
        outcome,
        let_go,
    })))
}

fn remember_suspicion(context: &Context, uid: &str, plan: &Plan) {
    let suspected = plan.blocked.iter().find_map(|blocked| {
        if let Blocked::Unconfirmed { id } = blocked {
            Some(id.clone())
        } else {
            None
        }
    });
    context.remember(uid, |remembered| match (&suspected, &remembered.suspicion) {
        (Some(id), Some((before, _))) if id == before => {}
        _ => remembered.suspicion = suspected.map(|id| (id, Instant::now())),
    });
}

fn log_plan(object: &str, plan: &Plan) {
    if plan.steps.is_empty() && plan.blocked.is_empty() {
        debug!(object, "nothing to do");
        return;
    }
    let json = serde_json::to_string(plan).unwrap_or_default();
    info!(object, hash = %crate::telemetry::short_hash(&json), plan = %json, "planned");
}

/// The way into the hub's account: a session that can touch the management role and the OIDC provider only.
fn door(request: &Request) -> Door {
    Door {
        provisioner: request
            .hub
            .provisioner(&request.hub.cluster.account, &request.provisioner),
        external_id: request.external_id.clone(),
        region: request.hub.cluster.region.clone(),
        session_name: aws::session_name(&request.hub, &request.name),
        session_policy: aws::grants::session_policy_for_management(&request.hub, &request.role),
        object: request.owner.uid.clone(),
    }
}

/// Writes the status, tells what changed, and says when to look again.
async fn conclude(
    context: &Context,
    metadata: &ObjectMeta,
    old: &ManagementRoleStatus,
    pass: Pass,
) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let new = status::status(old, name, metadata.generation, &pass, now());
    let nothing = ManagementRoleStatus::default();
    let stored = if context.remember(uid, |remembered| remembered.unwritten) {
        &nothing
    } else {
        old
    };
    let written = status::write(&Api::all(context.client.clone()), name, stored, &new).await;
    // A role that was made is ours also where that could not be written down, and is not to be made afresh.
    context.remember(uid, |remembered| {
        remembered.status = Some(new.clone());
        remembered.unwritten = written.is_err();
    });
    tell::tell(context, metadata, old, &new, &pass).await;
    written?;
    let after = context.timing.confirm_after;
    let kept = if let Pass::Applied(applied) = &pass {
        retained::look_at(metadata, applied, &old.retained, context).await;
        context.remember(uid, |remembered| remembered.retained.next(&applied.let_go, after))
    } else {
        None
    };
    next(&context.backoff, context.timing, kept, (uid, pass))
}

/// When to look again; at those that are `kept` it may be worth it sooner.
fn next(
    backoff: &Backoff<String>,
    timing: Timing,
    kept: Option<Duration>,
    (uid, pass): (&str, Pass),
) -> Result<Action, Error> {
    let key = || uid.to_owned();
    let resync = || {
        backoff.clear(&key());
        backoff.spread(timing.resync)
    };
    let blocked_wait = |blocked: &Blocked| {
        if *blocked == Blocked::JustMade {
            Duration::from_millis(100)
        } else if matches!(blocked, Blocked::Unconfirmed { .. }) {
            timing.confirm_after + Duration::from_millis(500)
        } else if blocked.stalled() && !matches!(blocked, Blocked::ClustersRemain { .. }) {
            backoff.after_error(key()).max(Duration::from_secs(15))
        } else {
            backoff.after_wait(key())
        }
    };
    let wait = match pass {
        // A person ends it, but what was not seen is worth another look.
        Pass::ReleaseWithheld(_, foreseen) if !foreseen.unseen.is_empty() => {
            backoff.after_error(key()).max(Duration::from_secs(15))
        }
        Pass::Refused(_) | Pass::Withheld(..) | Pass::ReleaseWithheld(..) => resync(),
        Pass::Failed(error) | Pass::RemovalFailed(error) => return Err(error),
        Pass::Releasing(_, blocked) => blocked.as_ref().map_or_else(|| backoff.after_wait(key()), blocked_wait),
        Pass::Applied(applied) => match (applied.outcome.into_stop(), applied.plan.in_the_way()) {
            (Some(Stop::Failed(part, failure)), _) => return Err(Error::Step(part, failure)),
            (Some(Stop::Blocked(blocked)), _) => blocked_wait(&blocked),
            (None, Some(blocked)) => blocked_wait(blocked),
            (None, None) => resync(),
        },
    };
    Ok(Action::requeue(kept.map_or(wait, |kept| kept.min(wait))))
}

/// When to try again after a failed pass.
#[must_use]
pub fn after_error(object: &DeserializeGuard<ManagementRole>, error: &Error, context: &Context) -> Action {
    context.metrics.pass_failed("ManagementRole", error.category());
    Action::requeue(
        context
            .backoff
            .after_error(object.meta().uid.clone().unwrap_or_default()),
    )
}

/// One pass of a removal works in the hub's account too.
async fn enter(request: &Request, context: &Context) -> Result<Account, Error> {
    Ok(context.aws.enter(&door(request)).await?)
}

async fn carry_out(
    plan: &Plan,
    account: &Account,
    deadline: Instant,
    metadata: &ObjectMeta,
    context: &Context,
) -> Outcome {
    let site = Site {
        account,
        deadline,
        stopping: &|| context.aws.is_closed(),
        overtaken: &|| context.overtaken(metadata),
        metrics: &context.metrics,
    };
    apply::apply(&plan.steps, site).await
}

#[cfg(test)]
mod tests {
    use super::{foreseen::Foreseen, *};
    use crate::managed_cluster::Withheld;

    fn applied() -> Pass {
        let role = serde_json::json!({
            "metadata": {"name": "default", "uid": "u"},
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
        });
        let role: ManagementRole = serde_json::from_value(role).unwrap();
        Pass::Applied(Box::new(Applied {
            request: Request::parse(&role, &"111111111111".parse().unwrap()).unwrap(),
            observed: observe::Observed::default(),
            members: members::Members::default(),
            plan: Plan::default(),
            outcome: Outcome::default(),
            let_go: std::collections::BTreeSet::new(),
        }))
    }

    #[test]
    fn what_is_looked_at_again_after_a_while_is_so_at_a_time_of_its_own() {
        let resync = Duration::from_mins(10);
        let timing = Timing {
            resync,
            pass_deadline: resync,
            confirm_after: resync,
            removals_per_hour: 0,
        };
        let passes: [fn() -> Pass; 3] = [
            applied,
            || Pass::Withheld(Withheld::Paused, Plan::default(), std::collections::BTreeSet::new()),
            || Pass::ReleaseWithheld(Withheld::Paused, Foreseen::default()),
        ];
        for pass in passes {
            let wait = |jitter: f64, kept| {
                let backoff = Backoff::with_jitter(move || jitter);
                next(&backoff, timing, kept, ("uid", pass())).unwrap()
            };
            assert_eq!(wait(0.0, None), Action::requeue(resync));
            assert_eq!(wait(1.0, None), Action::requeue(resync + resync / 10));
            let soon = Duration::from_secs(9);
            assert_eq!(wait(1.0, Some(soon)), Action::requeue(soon));
            assert_eq!(wait(0.0, Some(resync * 2)), Action::requeue(resync));
        }
    }
}
