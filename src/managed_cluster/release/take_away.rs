//! One pass of a removal: what stands is looked at, and taken away in order.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tracing::debug;

use crate::{
    aws::{Account, AwsError, Lane},
    domain::{
        arn::{PolicyArn, RoleArn},
        ownership::Marked,
    },
    managed_cluster::{
        Blocked, Context, Error, Plan, Step,
        apply::{self, Outcome, Site, Stop},
        census::living,
        living::Living,
        log_plan,
        management::Management,
        memory::SHOWN_LATE,
        observe::{self, Known, Secrets, Spoke},
        plan::is_recorded,
        removal::{TakenOver, plan_removal},
        status::{Pass, Releasing},
        step::Part,
        tell,
        turn::{self, door},
    },
};

use super::{
    Going, Turn,
    deleted::{gone, is_known, without},
    hold::{hold, stage},
    retain::retain,
    telling::{let_go, looking_once_more, needs_management, unreachable},
};

/// How long what was found to hold a removal up, or not to, may be taken for true.
const FRESH: Duration = Duration::from_secs(5);

/// One pass of a removal.
pub(super) async fn take_away(context: &Context, going: &Going<'_>) -> Result<Turn, Error> {
    let identity = going.identity;
    if let Some(unknown) = &going.unknown {
        return Err(Error::Unreadable(unknown.clone()));
    }
    // The object bears our finalizer, so something may have been made, recorded or not.
    // By an object that was restored from another hub, what lives on that one would be taken away.
    let known = context.here.know(&context.client).await;
    known.map_err(|error| Error::Step(Part::ManagementRole, error.into()))?;
    let management = match turn::way_in(context, &identity.management_role).await? {
        Ok(management) => management,
        Err(blocked) => {
            let releasing = Releasing {
                message: needs_management(going, &blocked),
                ..Releasing::blocked(blocked)
            };
            return Ok(Turn::Remains(Pass::Releasing(releasing)));
        }
    };
    let Some(secrets) = own_secrets(context, going, &management).await? else {
        return Ok(Turn::blocked(Blocked::NamespaceNotServed {
            namespace: management.namespace,
        }));
    };
    let mut looked = Instant::now();
    if let Some(turn) = hold(context, going, &management, &secrets).await? {
        return Ok(turn);
    }
    if identity.retain {
        return retain(context, going, &management, &secrets, looked).await;
    }
    debug!(object = %identity.name, account = %identity.cluster.account, "asking for its turn in the account");
    let Ok(_admission) = context.aws.admit(&identity.cluster, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    // The turn may have taken minutes to come. Who has paused the object since, or has it keep its role, is heard.
    if context.overtaken(going.metadata) {
        return Ok(Turn::Overtaken);
    }
    if looked.elapsed() > FRESH {
        looked = Instant::now();
        if let Some(turn) = hold(context, going, &management, &secrets).await? {
            return Ok(turn);
        }
    }
    in_account(context, going, &management, &secrets, looked).await
}

/// The cluster Secrets of the object; `None` when its namespace is not served.
pub(super) async fn own_secrets(
    context: &Context,
    going: &Going<'_>,
    management: &Management,
) -> Result<Option<Secrets>, Error> {
    let Some(store) = context.secrets.get(&management.namespace) else {
        return Ok(None);
    };
    let living = living(context).await?;
    // The status names it no longer once it is gone, and it may come back.
    let name = context.memory.going_secret(going.uid(), going.old.secret.as_deref());
    let known = Known {
        name: name.as_deref(),
        ..Known::recorded(going.uid(), going.old, &living)
    };
    let api = Api::namespaced(context.client.clone(), &management.namespace);
    Ok(Some(observe::own_secrets(store, &api, &known).await?))
}

async fn in_account(
    context: &Context,
    going: &Going<'_>,
    management: &Management,
    secrets: &Secrets,
    looked: Instant,
) -> Result<Turn, Error> {
    let (identity, uid) = (going.identity, going.uid());
    let deployer = identity.deployer(&management.hub);
    let account = context.aws.enter(&door(identity, management)).await;
    let recorded_entry = going.old.access_entry.as_ref();
    let observed: Result<Spoke, AwsError> = match &account {
        Ok(account) => Box::pin(observe::spoke_for_removal(account, identity, &deployer, recorded_entry)).await,
        Err(error) => Err(error.clone()),
    };
    let deleted = context.memory.all_deleted(uid, Some(SHOWN_LATE));
    let (observed, late) = match observed {
        Ok(spoke) => {
            let (spoke, late) = without(spoke, &deleted);
            (Ok(spoke), late)
        }
        Err(error) => (Err(error), false),
    };
    let living = living(context).await?;
    let plan = planned(going, management, observed.as_ref().ok(), secrets, &living);
    log_plan(&identity.name, &plan);
    if let Some(turn) = begin(context, going, (management, secrets), looked, &plan.steps).await? {
        return Ok(turn);
    }
    let outcome = carry_out(context, going, management, &plan.steps, account.as_ref().ok()).await;
    let away = away(observed.as_ref().ok(), secrets, &plan, &outcome);
    let handed_over = observed.as_ref().is_ok_and(|spoke| {
        TakenOver::of(identity, going.old, &living).is_handed_over(&deployer, &identity.owner(&management.hub), spoke)
    });
    let entry = observed.as_ref().ok().and_then(|spoke| spoke.entry.as_ref());
    let let_go = entry
        .filter(|entry| !handed_over && is_recorded(going.old.access_entry.as_ref(), entry))
        .and_then(|_| let_go(&plan, &outcome));
    let turn = concluded(context, going, (&deployer, observed, late), plan, outcome).await;
    Ok(turn
        .unwrap_or_else(|error| Turn::Remains(Pass::Releasing(Releasing::failed(error))))
        .with(|releasing| Releasing {
            gone: away,
            handed_over,
            let_go,
            ..releasing
        }))
}

/// What kept the steps of a removal, or what is behind them, from being done.
pub(super) fn stopped(outcome: Outcome, plan: &Plan) -> Result<Option<Turn>, Error> {
    Ok(match outcome.into_stop() {
        Some(Stop::Failed(part, failure)) => return Err(Error::Step(part, failure)),
        Some(Stop::Blocked(blocked)) => Some(Turn::blocked(blocked)),
        None => plan.blocked.first().cloned().map(Turn::blocked),
    })
}

/// What became of one pass of a removal.
async fn concluded(
    context: &Context,
    going: &Going<'_>,
    (deployer, observed, late): (&RoleArn, Result<Spoke, AwsError>, bool),
    plan: Plan,
    outcome: Outcome,
) -> Result<Turn, Error> {
    let uid = going.uid();
    let recorded = going.identity.recorded_role(going.old);
    let done = outcome.done().to_vec();
    tell::removed(context, going.metadata, &done, None).await;
    context.memory.want_secret(uid, None);
    if outcome.secret_deleted() {
        context.memory.deleted_secret(uid);
    }
    context.memory.deleted(uid, gone(observed.as_ref().ok(), &outcome));
    if let Some(turn) = stopped(outcome, &plan)? {
        return Ok(turn);
    }
    let spoke = match observed {
        Ok(spoke) => spoke,
        Err(error) => return unreachable(error, &deployer.to_string(), going.identity),
    };
    if late {
        return Ok(Turn::blocked(Blocked::Propagating {
            what: "the deletion".to_owned(),
        }));
    }
    let (clean, after) = (plan.steps.is_empty(), context.timing.confirm_after);
    let entry = going.old.access_entry.as_ref().and_then(|entry| entry.arn.as_deref());
    let role = (recorded, going.identity.existing.is_some());
    let known = is_known(&spoke, &context.memory.all_deleted(uid, None), role, entry);
    let wait = context.memory.unsure_for(uid, known, after, clean);
    if clean && wait.is_zero() {
        tell::left(context, going.metadata, &plan.beside).await;
        return Ok(Turn::Gone);
    }
    Ok(Turn::again(&looking_once_more(&done)).in_time(wait))
}

/// What is surely gone: what was looked at and was not there, and what this pass deleted.
fn away(spoke: Option<&Spoke>, secrets: &Secrets, plan: &Plan, outcome: &Outcome) -> BTreeSet<Part> {
    let of_secret = |step: &&Step| matches!(step, Step::DeleteSecret { .. });
    let deleted = plan.steps.iter().filter(of_secret).all(|step| outcome.did(step));
    let secret = deleted && secrets.own.iter().all(|secret| !secret.deleting);
    let entry = outcome.entry_deleted() || spoke.is_some_and(|spoke| spoke.entry.is_none());
    let role = outcome.role_deleted() || spoke.is_some_and(|spoke| spoke.role.is_none());
    [
        (secret, Part::Secret),
        (entry, Part::AccessEntry),
        (role, Part::DeployerRole),
    ]
    .into_iter()
    .filter_map(|(away, part)| away.then_some(part))
    .collect()
}

/// What there is to take away.
pub(super) fn planned(
    going: &Going<'_>,
    management: &Management,
    spoke: Option<&Spoke>,
    secrets: &Secrets,
    living: &Living,
) -> Plan {
    let (identity, hub) = (going.identity, &management.hub);
    let boundary = going.boundary.clone();
    let boundary = boundary.unwrap_or_else(|| PolicyArn::deny_all(hub.partition()));
    let (deployer, owner) = (identity.deployer(hub), identity.owner(hub));
    let recorded = identity.recorded_role(going.old);
    let taken_over = TakenOver::of(identity, going.old, living);
    let mut plan = plan_removal(&deployer, &boundary, &owner, recorded, spoke, secrets, taken_over);
    let role = spoke.and_then(|spoke| spoke.role.as_ref());
    if let Some(role) = role.filter(|role| identity.unsure && owner.judge(&role.tags) != Marked::Ours) {
        let left = format!(
            "role {}, which bears no mark of Mooring: spec.access cannot be read, so nobody can tell whether it was taken over",
            role.arn
        );
        plan.beside.entry(Part::DeployerRole).or_default().push(left);
    }
    plan
}

/// Asks a last time, right before something is taken away, and has it counted. Who uses the cluster was `looked` for before
/// the account was, which may have taken its time.
pub(super) async fn begin(
    context: &Context,
    going: &Going<'_>,
    (management, secrets): (&Management, &Secrets),
    looked: Instant,
    steps: &[Step],
) -> Result<Option<Turn>, Error> {
    let orphans = steps.iter().any(|step| matches!(step, Step::DeleteSecret { .. }));
    if orphans
        && looked.elapsed() > FRESH
        && let Some(turn) = hold(context, going, management, secrets).await?
    {
        return Ok(Some(turn));
    }
    let at = (going.metadata, stage(context, going, management, secrets));
    if !steps.is_empty()
        && let Some(blocked) = context.ledger.begin(context, at, going.identity).await?
    {
        return Ok(Some(Turn::blocked(blocked)));
    }
    if context.overtaken(going.metadata) {
        return Ok(Some(Turn::Overtaken));
    }
    // Before the Secret goes: its going wakes whoever waits for the server or the name.
    context.memory.unclaim(going.uid());
    Ok(None)
}

pub(super) async fn carry_out(
    context: &Context,
    going: &Going<'_>,
    management: &Management,
    steps: &[Step],
    account: Option<&Account>,
) -> Outcome {
    let deployer = going.identity.deployer(&management.hub);
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &management.namespace);
    let site = Site {
        account,
        cluster: &going.identity.cluster,
        deployer: &deployer,
        secrets: &secrets,
        deadline: Instant::now() + context.timing.pass_deadline,
        stopping: &|| context.aws.is_closed(),
        stood_back: &|| context.stood_back(going.metadata, going.identity.mode),
        metrics: &context.metrics,
    };
    apply::apply(steps, site).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argocd::ClusterSecret;

    /// Somebody's finalizer may keep a Secret for as long as he likes, and Argo CD goes by it meanwhile.
    #[test]
    fn a_secret_that_is_still_on_its_way_out_is_not_told_to_be_gone() {
        let secret: Secret = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "ours", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["their/own"]},
        }))
        .unwrap();
        let secrets = Secrets {
            own: vec![ClusterSecret::read(&secret)],
            ..Secrets::default()
        };
        let (plan, outcome) = (Plan::default(), Outcome::default());
        assert!(away(None, &secrets, &plan, &outcome).is_empty());
        assert_eq!(
            away(None, &Secrets::default(), &plan, &outcome),
            BTreeSet::from([Part::Secret])
        );
        let nothing = Spoke::default();
        let all = away(Some(&nothing), &Secrets::default(), &plan, &outcome);
        assert!(all.contains(&Part::AccessEntry) && all.contains(&Part::DeployerRole));
    }
}
