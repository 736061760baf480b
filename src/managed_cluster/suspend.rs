//! One pass over a cluster that is suspended: the access entry first, and by itself, so that nothing that only matters
//! for giving access can hold it up. Then what else was made is kept, where that can be looked at.

mod knife;

use std::{collections::BTreeSet, time::Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;

use crate::{
    api::{ManagedCluster, ManagedClusterStatus, Mode},
    aws::{Account, Lane},
    kubernetes::{KubernetesError, objects},
};

use self::knife::Knife;
use super::{
    Context, Error, LAST_STEP,
    blocked::Blocked,
    census::living,
    log_plan,
    management::Management,
    moor::{Sight, Work},
    release::recorded,
    request::{Identity, Request},
    status::{Cut, Facts, Kept, Pass, Suspension},
    step::Plan,
    tell,
    turn::{admitted, door, way_in},
    withheld::Withheld,
};

/// What is suspended. The spec may be beyond reading, or ask for what it may not have.
pub(super) struct Subject<'a> {
    pub(super) metadata: &'a ObjectMeta,
    pub(super) identity: &'a Identity,
    pub(super) cluster: Option<&'a ManagedCluster>,
    pub(super) old: &'a ManagedClusterStatus,
}

/// The identity of an object that does not parse, if it asks for being suspended.
pub(super) async fn unparsable(metadata: &ObjectMeta, context: &Context) -> Result<Option<Identity>, KubernetesError> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let object = objects::stored::<ManagedCluster>(&context.client, name).await?;
    let value = object.and_then(|object| serde_json::to_value(object).ok());
    let identity = value.and_then(|value| {
        let status = recorded(value.get("status")).unwrap_or_default();
        Identity::stored(&value, &status).ok()
    });
    Ok(identity.filter(|identity| identity.mode == Mode::Suspended))
}

/// Takes the access away, and keeps the rest; `None` when a person changed the object before its turn came.
pub(super) async fn suspend(subject: Subject<'_>, context: &Context) -> Option<Pass> {
    let name = &subject.identity.management_role;
    // What enters the account, and no more: neither the role nor its policy matters for taking access away.
    let management = match way_in(context, name).await {
        Ok(Ok(management)) => management,
        Ok(Err(blocked)) => return Some(not_cut(Cut::Blocked(blocked))),
        Err(error) => return Some(not_cut(Cut::Failed(error.into()))),
    };
    let lane = super::turn::suspending(subject.old);
    let Ok(_admission) = admitted(subject.metadata, subject.identity, lane, context).await? else {
        return Some(Pass::Failed(Error::ShuttingDown));
    };
    let deadline = context.timing.pass_deadline + LAST_STEP;
    let work = Box::pin(pass(&subject, &management, context));
    Some(match tokio::time::timeout(deadline, work).await {
        Ok(Ok(pass)) => pass,
        Ok(Err(error)) => not_cut(Cut::Failed(error)),
        Err(_) => not_cut(Cut::Failed(Error::Deadline(deadline.as_secs()))),
    })
}

fn not_cut(cut: Cut) -> Pass {
    Pass::Suspended(Box::new(uncut(cut)))
}

fn uncut(cut: Cut) -> Suspension {
    Suspension {
        cut,
        kept: Kept::Not(None),
        lost: BTreeSet::new(),
        handed_over: false,
    }
}

async fn pass(subject: &Subject<'_>, management: &Management, context: &Context) -> Result<Pass, Error> {
    let Subject { metadata, identity, .. } = subject;
    let deadline = Instant::now() + context.timing.pass_deadline;
    let account = context.aws.enter(&door(identity, management)).await?;
    let knife = Knife {
        metadata,
        identity,
        old: subject.old,
        management,
        context,
        account: &account,
        deadline,
    };
    if let Some(withheld) = Withheld::of(metadata, identity.mode, context.read_only) {
        let (plan, ..) = knife.look().await?;
        return Ok(told_only(subject, management, context, &account, withheld, plan).await);
    }
    let cut = knife.cut().await?;
    let kept = match moorable(subject, context) {
        Ok((management, request)) => Box::pin(keep(subject, &management, &request, context, &account, deadline)).await,
        Err(kept) => *kept,
    };
    Ok(Pass::Suspended(Box::new(Suspension { kept, ..cut })))
}

/// Takes the access entry of an object away that is suspended, and of which nothing else is kept: it is being removed, or
/// nobody can read what was made. `None` for one that is not suspended, or for which nothing is written.
pub(super) async fn cut_off(
    metadata: &ObjectMeta,
    identity: &Identity,
    old: &ManagedClusterStatus,
    context: &Context,
) -> Option<Suspension> {
    if identity.mode != Mode::Suspended || Withheld::of(metadata, identity.mode, context.read_only).is_some() {
        return None;
    }
    let management = match way_in(context, &identity.management_role).await {
        Ok(Ok(management)) => management,
        Ok(Err(blocked)) => return Some(uncut(Cut::Blocked(blocked))),
        Err(error) => return Some(uncut(Cut::Failed(error.into()))),
    };
    let Ok(_admission) = context.aws.admit(&identity.cluster, Lane::Edit).await else {
        return Some(uncut(Cut::Failed(Error::ShuttingDown)));
    };
    // A person who has taken it back meanwhile, or paused it, is heard by the pass that follows.
    if context.overtaken(metadata) {
        return None;
    }
    let deadline = Instant::now() + context.timing.pass_deadline;
    let cut = async {
        let account = context.aws.enter(&door(identity, &management)).await?;
        let knife = Knife {
            metadata,
            identity,
            old,
            management: &management,
            context,
            account: &account,
            deadline,
        };
        knife.cut().await
    };
    let closed = management.closed.contains(identity.cluster.account.as_str());
    match Box::pin(cut).await {
        // Nobody can look into an account that its owner has said is closed for good.
        Err(Error::Aws(error)) if closed && error.shuts_out() => None,
        Err(error) => Some(uncut(Cut::Failed(error))),
        Ok(suspension) => {
            if matches!(suspension.cut, Cut::Away { deleted: true, .. }) {
                tell::cut_off(context, metadata).await;
            }
            Some(suspension)
        }
    }
}

/// What the rest of the spec asks for, or why that cannot be kept now.
fn moorable(subject: &Subject<'_>, context: &Context) -> Result<(Management, Request), Box<Kept>> {
    let unreadable = || Box::new(Kept::Not(Some("the spec cannot be read".to_owned())));
    let cluster = subject.cluster.ok_or_else(unreadable)?;
    let management = super::turn::management(context, &cluster.spec.management_role)
        .map_err(|blocked| Box::new(Kept::Waiting(blocked)))?;
    let request = Request::parse(cluster, &management).map_err(|refusal| Box::new(Kept::Refused(refusal)))?;
    Ok((management, request))
}

async fn work<'a>(
    subject: &Subject<'a>,
    management: &'a Management,
    request: &'a Request,
    withheld: Option<Withheld>,
    context: &'a Context,
) -> Result<Result<Work<'a>, Blocked>, Error> {
    let namespace = &management.namespace;
    let Some(store) = context.secrets.get(namespace) else {
        return Ok(Err(Blocked::NamespaceNotServed {
            namespace: namespace.clone(),
        }));
    };
    Ok(Ok(Work {
        metadata: subject.metadata,
        old: subject.old,
        request,
        management,
        store,
        secrets: Api::namespaced(context.client.clone(), namespace),
        withheld,
        living: living(context).await?,
        context,
    }))
}

async fn keep(
    subject: &Subject<'_>,
    management: &Management,
    request: &Request,
    context: &Context,
    account: &Account,
    deadline: Instant,
) -> Kept {
    let kept = async {
        let work = match work(subject, management, request, None, context).await? {
            Ok(work) => work,
            Err(blocked) => return Ok(Kept::Waiting(blocked)),
        };
        let sight = match work.look(account).await? {
            Ok(sight) => sight,
            Err(blocked) => return Ok(Kept::Waiting(blocked)),
        };
        log_plan(&request.identity.name, &sight.plan);
        Ok(match work.carry_out(sight, account, deadline).await? {
            Pass::Applied(plan, outcome, facts) => Kept::Applied(plan, outcome, facts),
            // The object is being removed.
            Pass::Refused(..)
            | Pass::Waiting(_)
            | Pass::Withheld(..)
            | Pass::Suspended(_)
            | Pass::Failed(_)
            | Pass::Releasing(_)
            | Pass::ReleaseWithheld(..) => Kept::Not(None),
        })
    };
    Box::pin(kept)
        .await
        .unwrap_or_else(|error: Error| Kept::Not(Some(error.message())))
}

/// Nothing is written: what would be is told, the access entry first.
async fn told_only(
    subject: &Subject<'_>,
    management: &Management,
    context: &Context,
    account: &Account,
    withheld: Withheld,
    mut plan: Plan,
) -> Pass {
    let mut facts = Facts::default();
    match look_at_rest(subject, management, context, account, withheld).await {
        Ok(Sight {
            plan: rest,
            facts: seen,
            ..
        }) => {
            plan = plan.followed_by(rest);
            plan.blocked.sort_by_key(Blocked::part);
            facts = seen;
        }
        Err(kept) => match *kept {
            Kept::Refused(refusal) => facts.refused = Some(refusal),
            kept @ (Kept::Waiting(_) | Kept::Not(_) | Kept::Applied(..)) => facts.unseen = kept.why_not(),
        },
    }
    facts.suspended = true;
    Pass::Withheld(withheld, plan, facts)
}

/// What else was made, or why that cannot be looked at.
async fn look_at_rest(
    subject: &Subject<'_>,
    management: &Management,
    context: &Context,
    account: &Account,
    withheld: Withheld,
) -> Result<Sight, Box<Kept>> {
    let (_, request) = moorable(subject, context)?;
    let unseen = |error: Error| Box::new(Kept::Not(Some(error.message())));
    let waits = |blocked: Blocked| Box::new(Kept::Waiting(blocked));
    let work = work(subject, management, &request, Some(withheld), context).await;
    let work = work.map_err(unseen)?.map_err(waits)?;
    let sight = work.look(account).await.map_err(unseen)?;
    sight.map_err(waits)
}
