//! What holds a removal up before anything is taken away.

use crate::{
    api::{
        ManagedClusterStatus, WhileInUse,
        condition::{ConditionType, find},
    },
    domain::commands::while_in_use,
    kubernetes::{Failure, KubernetesError},
    managed_cluster::{
        Blocked, Context, Error, Plan,
        apply::Stop,
        in_use::{self, Earlier, Next, USED},
        ledger::Stage,
        management::Management,
        observe::{Secrets, is_anothers_name},
        status::{DRAINING, REMOVED},
    },
};

use super::{Going, Turn, take_away::carry_out};

/// Asks whether the cluster Secret may go. `None`: it may.
pub(super) async fn hold(
    context: &Context,
    going: &Going<'_>,
    management: &Management,
    secrets: &Secrets,
) -> Result<Option<Turn>, Error> {
    let at = (going.metadata, stage(context, going, management, secrets));
    if let Some(blocked) = context.ledger.held(context, at, going.identity).await {
        // Nobody looks meanwhile, and what an earlier look found is old by the time that it goes on.
        context.memory.looked_for_use(going.uid(), true);
        return Ok(Some(Turn::blocked(blocked)));
    }
    let policy = going.identity.while_in_use;
    let cluster = in_argocd(context, going, management, secrets);
    // It is the Secret whose going orphans: where there is none, nothing is left to wait for.
    if cluster.secrets.is_empty() || policy == WhileInUse::Proceed {
        return Ok(None);
    }
    let found = match context.applications.look(&context.client).await {
        Ok(found) => found,
        Err(error) => return Ok(Some(Turn::blocked(unseen(&error, &going.identity.name)))),
    };
    let next = cluster.next(policy, &found);
    let used = matches!(next, Next::Wait(_) | Next::Drain(_));
    context.memory.looked_for_use(going.uid(), used);
    match next {
        Next::Remove => Ok(None),
        Next::LookAgain(blocked) | Next::Wait(blocked) => Ok(Some(Turn::blocked(blocked))),
        Next::Drain(plan) => drain(context, going, management, &plan).await.map(Some),
    }
}

/// How far it is: the cluster Secret goes first, and one that Argo CD writes anew is none that stood.
pub(super) fn stage<'a>(
    context: &Context,
    going: &Going<'_>,
    management: &'a Management,
    secrets: &Secrets,
) -> Stage<'a> {
    let parting = is_removed(going.old, ConditionType::SecretReady) || context.memory.has_deleted_secret(going.uid());
    let secret = find(&going.old.conditions, ConditionType::SecretReady);
    let drained = secret.is_some_and(|secret| secret.reason == DRAINING);
    let stage = Stage::of(secrets, parting);
    if drained && stage == Stage::Whole {
        Stage::Drained {
            argocd: &management.namespace,
        }
    } else {
        stage
    }
}

/// What earlier looks of this process found, and what the status says of those of another.
fn earlier(context: &Context, going: &Going<'_>) -> Earlier {
    let earlier = context.memory.earlier_use(going.uid(), context.timing.confirm_after);
    let told = find(&going.old.conditions, ConditionType::Ready).map(|ready| ready.reason.as_str());
    Earlier {
        used: earlier.used || told.is_some_and(|reason| USED.contains(&reason)),
        ..earlier
    }
}

/// The same where nothing is written: what would come first, and what would be waited for.
pub(super) async fn foresee(context: &Context, going: &Going<'_>, management: &Management, secrets: &Secrets) -> Plan {
    let mut plan = Plan::default();
    let at = (going.metadata, stage(context, going, management, secrets));
    plan.blocked
        .extend(context.ledger.held(context, at, going.identity).await);
    let policy = going.identity.while_in_use;
    let cluster = in_argocd(context, going, management, secrets);
    if cluster.secrets.is_empty() || policy == WhileInUse::Proceed {
        return plan;
    }
    plan.followed_by(match context.applications.look(&context.client).await {
        Ok(found) => cluster.foresee(policy, &found),
        Err(error) => Plan::waiting(unseen(&error, &going.identity.name)),
    })
}

/// The cluster as Argo CD sees it.
fn in_argocd<'a>(
    context: &'a Context,
    going: &Going<'a>,
    management: &'a Management,
    secrets: &'a Secrets,
) -> in_use::Going<'a> {
    in_use::Going {
        object: &going.identity.name,
        secrets: secrets
            .own
            .iter()
            .filter(|secret| !secret.deleting && secret.is_cluster())
            .collect(),
        server: going
            .old
            .cluster
            .as_ref()
            .and_then(|cluster| cluster.endpoint.as_deref()),
        name: Some(going.identity.argocd_name.as_str()).filter(|name| {
            let store = context.secrets.get(&management.namespace);
            !store.is_some_and(|store| is_anothers_name(store, name, secrets))
        }),
        namespace: &management.namespace,
        others: (context.secrets.keys().map(String::as_str))
            .filter(|other| *other != management.namespace)
            .collect(),
        cut_off: in_use::cut_off(going.identity.mode, Some(going.old)),
        earlier: earlier(context, going),
    }
}

/// Whether an earlier pass of the removal told that a part is gone.
fn is_removed(old: &ManagedClusterStatus, kind: ConditionType) -> bool {
    find(&old.conditions, kind).is_some_and(|condition| condition.reason == REMOVED)
}

/// Drops the labels, by which ApplicationSets let go: they delete what they made, so this is the first step of the
/// removal.
async fn drain(context: &Context, going: &Going<'_>, management: &Management, plan: &Plan) -> Result<Turn, Error> {
    let at = (going.metadata, Stage::Whole);
    if let Some(blocked) = context.ledger.begin(context, at, going.identity).await? {
        return Ok(Turn::blocked(blocked));
    }
    if context.overtaken(going.metadata) {
        return Ok(Turn::Overtaken);
    }
    crate::managed_cluster::log_plan(&going.identity.name, plan);
    let outcome = carry_out(context, going, management, &plan.steps, None).await;
    match outcome.into_stop() {
        Some(Stop::Failed(part, failure)) => Err(Error::Step(part, failure)),
        Some(Stop::Blocked(blocked)) => Ok(Turn::blocked(blocked)),
        None => Ok(plan.in_the_way().cloned().map_or(Turn::Overtaken, Turn::blocked)),
    }
}

/// A look that failed says nothing about Applications, so the removal waits for one that does not.
fn unseen(error: &KubernetesError, object: &str) -> Blocked {
    let forbidden = error.failure() == Failure::Forbidden;
    let proceed = while_in_use(object, "Proceed");
    let advice = if forbidden {
        format!(
            ". Give the operator's ServiceAccount the right to list applications and applicationsets of argoproj.io in all \
             namespaces, as the ClusterRole of deploy/install/10-rbac.yaml does. `{proceed}` has it not look, and then \
             whatever Applications deployed is left running, with nothing to manage it"
        )
    } else {
        format!(
            ". It is tried again. `{proceed}` has it not look, and then whatever Applications deployed is left running, \
             with nothing to manage it"
        )
    };
    Blocked::ApplicationsUnseen {
        why: format!("whether Applications still deploy to this cluster cannot be seen: {error}{advice}"),
        stalled: forbidden,
    }
}
