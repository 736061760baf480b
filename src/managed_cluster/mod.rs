//! One `ManagedCluster`, top to bottom. Read the steps in this order:
//!
//! 1. [`request`]   the raw resource, parsed into names that cannot be wrong, and held against `allow` (pure)
//! 2. [`observe`]   what AWS and Argo CD's namespace hold (reads)
//! 3. [`desired`](mod@desired)   what should exist (pure, infallible)
//! 4. [`plan`](mod@plan)      the steps between them, or why we must wait (pure, infallible)
//! 5. [`apply`](mod@apply)     the steps, one after another (writes)
//! 6. [`status`]    what it means (one write)
//!
//! `moor` strings them together, and [`withheld`] says when nothing is written. A removal is observe, [`removal`],
//! apply, and needs only what never changes.

pub mod applications;
pub mod apply;
mod bare;
pub mod beyond;
pub mod blocked;
pub mod breaker;
pub mod by_hand;
pub mod census;
pub(crate) mod chain;
mod claim;
mod context;
pub mod desired;
mod despite;
mod error;
mod failure;
pub mod findings;
pub mod foreseen;
mod forget;
pub mod in_use;
pub mod ledger;
pub mod living;
pub mod management;
mod memory;
mod moor;
pub mod observe;
mod part;
pub mod plan;
mod planned;
pub mod preview;
mod record_first;
mod release;
pub mod removal;
pub mod request;
mod secret_write;
pub mod server;
mod start;
pub mod status;
pub mod step;
pub mod survey;
mod suspend;
mod tell;
mod turn;
pub mod unmoved;
pub mod withheld;
pub(crate) mod words;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Resource, ResourceExt, core::DeserializeGuard, runtime::controller::Action};
use tracing::{debug, info};

use crate::{
    api::{ManagedCluster, ManagedClusterStatus, Mode},
    kubernetes::{backoff::Backoff, objects},
};

pub use blocked::Blocked;
pub(crate) use blocked::{detach_commands, held_in_words, no_cluster};
pub use context::{Context, Timing, now};
pub use error::Error;
pub(crate) use error::{OPERATOR_STOPPING, in_words};
pub use memory::Memories;
pub use release::recorded;
pub use step::{Part, Plan, Step};
pub use withheld::{Withheld, paused};

use self::{
    apply::Stop,
    moor::moor,
    request::Identity,
    status::{Cut, Kept, Pass, Releasing},
    suspend::suspend,
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
        Err(broken) => unparsable(object.meta(), &broken.error, &context).await,
        Ok(cluster) if cluster.metadata.deletion_timestamp.is_some() => release::known(cluster, &context).await,
        Ok(cluster) => {
            let old = known_status(cluster, &context);
            let first = context
                .memory
                .first_look(cluster.metadata.uid.as_deref().unwrap_or_default());
            if first && start::settled(cluster, &old) {
                let wait = start::first_look(&context.backoff, context.clusters.len(), context.timing.resync);
                return Ok(Action::requeue(wait));
            }
            let identity = Identity::of(cluster).ok();
            let pass = match identity.as_ref().filter(|identity| identity.mode == Mode::Suspended) {
                Some(identity) => {
                    let subject = subject(&cluster.metadata, identity, Some(cluster), &old);
                    Box::pin(suspend(subject, &context)).await
                }
                None => Box::pin(moor(cluster, &old, &context)).await,
            };
            let Some(pass) = pass else {
                return Ok(Action::requeue(Duration::ZERO));
            };
            // A pass that broke off may have recorded something before it did.
            let old = if matches!(pass, Pass::Failed(_)) {
                known_status(cluster, &context)
            } else {
                old
            };
            if untold(&pass, &old) && context.memory.just_pending(&cluster.uid().unwrap_or_default(), GRACE) {
                Ok(Action::requeue(GRACE))
            } else {
                conclude(&context, &cluster.metadata, identity.as_ref(), &old, pass).await
            }
        }
    };
    context.metrics.pass_ended("ManagedCluster", started.elapsed());
    result
}

/// A pass over an object that does not parse.
async fn unparsable(metadata: &ObjectMeta, broken: &str, context: &Context) -> Result<Action, Error> {
    if metadata.deletion_timestamp.is_some() {
        debug!(error = %broken, "removing an object that does not parse");
        let released = release::unparsable(metadata, context).await;
        if let Err(error @ Error::Unreadable(_)) = &released {
            tell::unreadable(context, metadata, error).await;
        }
        return released;
    }
    let name = metadata.name.as_deref().unwrap_or_default();
    let field = objects::misfit_of_stored::<ManagedCluster>(&context.client, name).await?;
    let error = Error::Invalid {
        name: name.to_owned(),
        why: field.unwrap_or_else(|| broken.to_owned()),
    };
    // What was recorded stays: a role whose ID we forgot would be made afresh.
    let Some(old) = objects::stored_status::<ManagedCluster, _>(&context.client, name).await? else {
        // What was recorded cannot be read and must not be written over, and the access goes all the same.
        if let Some(identity) = suspend::unparsable(metadata, context).await? {
            let object = objects::stored::<ManagedCluster>(&context.client, name).await?;
            let status = object.as_ref().and_then(|object| object.data.get("status"));
            let known = recorded(status).unwrap_or_default();
            Box::pin(suspend::cut_off(metadata, &identity, &known, context)).await;
        }
        tell::unreadable(context, metadata, &error).await;
        return Err(error);
    };
    let suspended = suspend::unparsable(metadata, context).await?;
    let pass = match &suspended {
        Some(identity) => Box::pin(suspend(subject(metadata, identity, None, &old), context)).await,
        None => Some(Pass::Failed(error)),
    };
    match pass {
        Some(pass) => conclude(context, metadata, suspended.as_ref(), &old, pass).await,
        None => Ok(Action::requeue(Duration::ZERO)),
    }
}

fn subject<'a>(
    metadata: &'a ObjectMeta,
    identity: &'a Identity,
    cluster: Option<&'a ManagedCluster>,
    old: &'a ManagedClusterStatus,
) -> suspend::Subject<'a> {
    suspend::Subject {
        metadata,
        identity,
        cluster,
        old,
    }
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
    metadata: &ObjectMeta,
    identity: Option<&Identity>,
    old: &ManagedClusterStatus,
    pass: Pass,
) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let cluster = identity.map(|identity| &identity.cluster);
    let new = status::status(old, name, cluster, metadata.generation, &pass, now());
    let nothing = ManagedClusterStatus::default();
    let stored = if context.memory.status_unwritten(uid) {
        &nothing
    } else {
        old
    };
    let written = status::write(&Api::all(context.client.clone()), name, stored, &new).await;
    context.memory.told_status(uid, &new, written.is_ok());
    tell::tell(context, metadata, old, &new, &pass).await;
    written?;
    next(&context.backoff, context.timing, uid, pass)
}

/// When to look again.
fn next(backoff: &Backoff<String>, timing: Timing, uid: &str, pass: Pass) -> Result<Action, Error> {
    let key = || uid.to_owned();
    let resync = || {
        backoff.clear(&key());
        backoff.spread(timing.resync)
    };
    let blocked_wait = |blocked: &Blocked| {
        if blocked.part() == Part::ManagementRole {
            // Its watch wakes the object when that changes.
            WATCHED_WAIT
        } else if blocked.second_look() {
            timing.confirm_after + Duration::from_millis(500)
        } else if blocked.polled() {
            backoff.after_wait(key())
        } else if blocked.stalled() {
            backoff.after_error(key()).max(Duration::from_secs(15))
        } else {
            backoff.after_wait(key())
        }
    };
    let wait = match pass {
        // What only a person ends is looked at again with everything else.
        Pass::Withheld(_, plan, _) => match plan.in_the_way().filter(|blocked| !blocked.stalled()) {
            Some(blocked) => blocked_wait(blocked),
            None => resync(),
        },
        Pass::Waiting(blocked) => blocked_wait(&blocked),
        Pass::Failed(error)
        | Pass::Releasing(
            Releasing {
                failed: Some(error), ..
            }
            | Releasing {
                blocked: None,
                cut: Some(Cut::Failed(error)),
                ..
            },
        ) => return Err(error),
        Pass::Releasing(Releasing {
            blocked, cut, look_in, ..
        }) => {
            let of_cut = match &cut {
                Some(Cut::Blocked(blocked)) => Some(blocked),
                Some(Cut::Away { .. } | Cut::Failed(_)) | None => None,
            };
            let blocked = blocked.as_ref().or(of_cut);
            let of_itself = || look_in.unwrap_or_else(|| backoff.after_wait(key()));
            blocked.map_or_else(of_itself, blocked_wait)
        }
        // A person ends it, but what was not seen is worth another look.
        Pass::ReleaseWithheld(_, foreseen) if foreseen.unseen.is_some() => {
            backoff.after_error(key()).max(Duration::from_secs(15))
        }
        Pass::Refused(..) | Pass::ReleaseWithheld(..) => resync(),
        Pass::Suspended(suspension) => match (suspension.cut, suspension.kept) {
            (Cut::Failed(error), _) => return Err(error),
            (Cut::Blocked(blocked), _) => blocked_wait(&blocked),
            // A read may be from before the entry was made: once more, before it is left alone until the next resync.
            (Cut::Away { settled: false, .. }, _) => timing.confirm_after,
            (Cut::Away { settled: true, .. }, Kept::Applied(plan, outcome, _)) => {
                match (outcome.into_stop(), plan.in_the_way()) {
                    (Some(Stop::Failed(part, failure)), _) => return Err(Error::Step(part, failure)),
                    (Some(Stop::Blocked(blocked)), _) => blocked_wait(&blocked),
                    (None, Some(blocked)) if blocked.reason() != status::SUSPENDED => blocked_wait(blocked),
                    (None, _) => resync(),
                }
            }
            (Cut::Away { settled: true, .. }, Kept::Refused(_) | Kept::Waiting(_) | Kept::Not(_)) => resync(),
        },
        Pass::Applied(plan, outcome, _) => {
            // Whoever got further waits as briefly as at first.
            if !outcome.done().is_empty() {
                backoff.clear(&key());
            }
            match (outcome.into_stop(), plan.in_the_way()) {
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

#[cfg(test)]
mod tests {
    use super::{apply::Outcome, foreseen::Foreseen, status::Facts, *};

    /// A thousand clusters that were looked at together are not looked at together for ever.
    #[test]
    fn what_is_looked_at_again_after_a_while_is_so_at_times_of_its_own() {
        let resync = Duration::from_mins(10);
        let timing = Timing {
            resync,
            pass_deadline: resync,
            confirm_after: resync,
            removals_per_hour: 0,
        };
        let passes: [fn() -> Pass; 3] = [
            || Pass::Applied(Plan::default(), Outcome::default(), Facts::default()),
            || Pass::Withheld(Withheld::Paused, Plan::default(), Facts::default()),
            || Pass::ReleaseWithheld(Withheld::Paused, Foreseen::default()),
        ];
        for pass in passes {
            let wait = |jitter: f64| next(&Backoff::with_jitter(move || jitter), timing, "uid", pass()).unwrap();
            assert_eq!(wait(0.0), Action::requeue(resync));
            assert_eq!(wait(1.0), Action::requeue(resync + resync / 10));
        }
    }
}
