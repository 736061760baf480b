//! One pass over a cluster that is suspended: the access entry first, and by itself, so that nothing that only matters
//! for giving access can hold it up. Then what else was made is kept, where that can be looked at.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;

use crate::{
    api::{ManagedCluster, ManagedClusterStatus},
    aws::Account,
    domain::{arn::RoleArn, eks::AccessEntry, ownership::ADOPTED_TAG},
    kubernetes::{KubernetesError, objects},
};

use super::{
    Context, Error, LAST_STEP,
    apply::{self, Outcome, Site, Stop},
    blocked::Blocked,
    log_plan,
    management::Management,
    moor::{Sight, Work, living},
    observe,
    plan::suspended,
    request::{Identity, Request},
    status::{Cut, Kept, Pass, Suspension},
    step::Plan,
    turn::{admitted, door, way_in},
    withheld::Withheld,
};

/// How long a suspension looks at what others gave to the entry that it deletes.
const LOOK_AT_OTHERS: Duration = Duration::from_secs(5);

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
    let identity = value.and_then(|value| Identity::read(&value).ok());
    Ok(identity.filter(|identity| identity.mode == crate::api::Mode::Suspended))
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
    Pass::Suspended(Box::new(Suspension {
        cut,
        kept: Kept::Not(None),
        lost: BTreeSet::new(),
    }))
}

async fn pass(subject: &Subject<'_>, management: &Management, context: &Context) -> Result<Pass, Error> {
    let Subject { metadata, identity, .. } = subject;
    let deadline = Instant::now() + context.timing.pass_deadline;
    let account = context.aws.enter(&door(identity, management)).await?;
    let deployer = identity.deployer(&management.hub);
    let entry = observe::access_entry(&account, &identity.cluster, &deployer).await?;
    let plan = suspended::cut(&identity.owner(&management.hub), entry.as_ref());
    log_plan(&identity.name, &plan);
    let withheld = Withheld::of(metadata, identity.mode, context.read_only);
    if let Some(withheld) = withheld {
        return Ok(told_only(subject, management, context, &account, withheld, plan).await);
    }
    let site = Site {
        account: Some(&account),
        cluster: &identity.cluster,
        deployer: &deployer,
        secrets: &Api::namespaced(context.client.clone(), &management.namespace),
        deadline,
        stopping: &|| context.aws.is_closed(),
        stood_back: &|| false,
        metrics: &context.metrics,
    };
    let others = match &entry {
        Some(entry) if !plan.steps.is_empty() => others(entry, subject, &account, &deployer).await,
        Some(_) | None => BTreeSet::new(),
    };
    if !others.is_empty() {
        // Told before it goes: an operator that is killed in between must not be the only one that knew.
        let told = super::tell::going_too(context, metadata, &others);
        let _ = tokio::time::timeout(LOOK_AT_OTHERS, told).await;
    }
    let outcome = apply::apply(&plan.steps, site).await;
    let given = subject.old.access_entry.as_ref();
    let mut lost = given.map(|entry| entry.lost.clone()).unwrap_or_default();
    if outcome.entry_deleted() {
        lost.extend(others);
    }
    // What was deleted before shows up in a read from before that. It is deleted once more, which harms nobody, and no news.
    let arn = entry.as_ref().map(|entry| &entry.arn);
    let news = outcome.entry_deleted() && !context.memory.was_healed(&identity.uid, arn);
    if outcome.entry_deleted() {
        context.memory.healed(&identity.uid, arn.cloned());
    }
    let cut = cut_of(&plan, outcome, news, subject.old);
    let kept = match moorable(subject, context) {
        Ok((management, request)) => Box::pin(keep(subject, &management, &request, context, &account, deadline)).await,
        Err(why) => Kept::Not(why),
    };
    Ok(Pass::Suspended(Box::new(Suspension { cut, kept, lost })))
}

/// What others gave to the entry that is about to go. It is looked at for a moment only: the access goes all the same.
async fn others(entry: &AccessEntry, subject: &Subject<'_>, account: &Account, deployer: &RoleArn) -> BTreeSet<String> {
    let given = subject.old.access_entry.as_ref();
    if !entry.tags.contains_key(ADOPTED_TAG) {
        return BTreeSet::new();
    }
    let look = Box::pin(account.associations(&subject.identity.cluster.name, deployer));
    match tokio::time::timeout(LOOK_AT_OTHERS, look).await {
        Ok(Ok(policies)) => suspended::lost(entry, Ok(&policies.unwrap_or_default()), given),
        Ok(Err(error)) => suspended::lost(entry, Err(&error.code), given),
        Err(_) => suspended::lost(entry, Err("EKS did not answer in time"), given),
    }
}

fn cut_of(plan: &Plan, outcome: Outcome, deleted: bool, old: &ManagedClusterStatus) -> Cut {
    // An entry that was made just now may not be seen yet: that there is none is believed when a second look agrees.
    let settled = !outcome.entry_deleted() && super::turn::is_suspended(old);
    match (outcome.into_stop(), plan.in_the_way()) {
        (Some(Stop::Failed(part, failure)), _) => Cut::Failed(Error::Step(part, failure)),
        (Some(Stop::Blocked(blocked)), _) => Cut::Blocked(blocked),
        (None, Some(blocked)) => Cut::Blocked(blocked.clone()),
        (None, None) => Cut::Away { deleted, settled },
    }
}

/// What the rest of the spec asks for, or in words why that cannot be kept now.
fn moorable(subject: &Subject<'_>, context: &Context) -> Result<(Management, Request), Option<String>> {
    let cluster = subject
        .cluster
        .ok_or_else(|| Some("the spec cannot be read".to_owned()))?;
    let management =
        super::turn::management(context, &cluster.spec.management_role).map_err(|blocked| Some(blocked.message()))?;
    let request = Request::parse(cluster, &management).map_err(|refusal| Some(refusal.to_string()))?;
    Ok((management, request))
}

fn work<'a>(
    subject: &Subject<'a>,
    management: &'a Management,
    request: &'a Request,
    withheld: Option<Withheld>,
    context: &'a Context,
) -> Result<Work<'a>, Blocked> {
    let namespace = &management.namespace;
    let store = context
        .secrets
        .get(namespace)
        .ok_or_else(|| Blocked::NamespaceNotServed {
            namespace: namespace.clone(),
        })?;
    Ok(Work {
        metadata: subject.metadata,
        old: subject.old,
        request,
        management,
        store,
        secrets: Api::namespaced(context.client.clone(), namespace),
        withheld,
        living: living(context),
        context,
    })
}

async fn keep(
    subject: &Subject<'_>,
    management: &Management,
    request: &Request,
    context: &Context,
    account: &Account,
    deadline: Instant,
) -> Kept {
    let work = match work(subject, management, request, None, context) {
        Ok(work) => work,
        Err(blocked) => return Kept::Not(Some(blocked.message())),
    };
    let kept = async {
        let sight = match work.look(account).await? {
            Ok(sight) => sight,
            Err(blocked) => return Ok(Kept::Not(Some(blocked.message()))),
        };
        log_plan(&request.identity.name, &sight.plan);
        Ok(match work.carry_out(sight, account, deadline).await? {
            Pass::Applied(plan, outcome, facts) => Kept::Applied(plan, outcome, facts),
            // The object is being removed.
            Pass::Refused(_)
            | Pass::Waiting(_)
            | Pass::Withheld(..)
            | Pass::Suspended(_)
            | Pass::Failed(_)
            | Pass::Releasing(..) => Kept::Not(None),
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
    let mut facts = super::status::Facts::default();
    if let Ok((_, request)) = moorable(subject, context)
        && let Ok(work) = work(subject, management, &request, Some(withheld), context)
        && let Ok(Ok(Sight {
            plan: rest,
            facts: seen,
            ..
        })) = work.look(account).await
    {
        plan.steps.extend(rest.steps);
        plan.blocked.extend(rest.blocked);
        plan.blocked.sort_by_key(Blocked::part);
        facts = seen;
    }
    Pass::Withheld(withheld, plan, facts)
}
