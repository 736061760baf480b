//! Letting go: Secret, access entry, deployer role, and then the finalizer, once a later look is clean.

use std::{collections::BTreeSet, time::Instant};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, runtime::controller::Action};

use crate::{
    api::{FINALIZER, ManagedCluster, ManagedClusterStatus},
    aws::{AwsError, Lane},
    domain::arn::PolicyArn,
    kubernetes::{finalizer, objects},
};

use super::{
    Context, Error,
    apply::{Outcome, Site, Stop},
    conclude, door, known_status,
    management::Management,
    observe::{self, Secrets, Spoke},
    paused,
    removal::plan_removal,
    request::Identity,
    status::Pass,
    step::Blocked,
};

/// Lets go of an object that could be read.
pub(super) async fn known(cluster: &ManagedCluster, context: &Context) -> Result<Action, Error> {
    let identity = Identity::of(cluster).map_err(|error| Error::Unreadable(error.to_string()))?;
    let boundary = cluster
        .spec
        .access
        .deployer_role
        .permissions_boundary
        .as_deref()
        .and_then(|arn| arn.parse().ok());
    let old = known_status(cluster, context);
    Box::pin(release(context, &cluster.metadata, &identity, boundary, &old)).await
}

/// Lets go of an object that cannot be read, by the names in it that never change.
pub(super) async fn unparsable(metadata: &ObjectMeta, context: &Context) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let read = objects::stored::<ManagedCluster>(&context.client, name).await?;
    let Some(object) = read else {
        return Ok(Action::await_change());
    };
    let value = serde_json::to_value(&object).unwrap_or_default();
    let identity = Identity::read(&value).map_err(|error| Error::Unreadable(error.to_string()))?;
    let status = object
        .data
        .get("status")
        .cloned()
        .and_then(|status| serde_json::from_value(status).ok());
    Box::pin(release(
        context,
        &object.metadata,
        &identity,
        None,
        &status.unwrap_or_default(),
    ))
    .await
}

async fn release(
    context: &Context,
    metadata: &ObjectMeta,
    identity: &Identity,
    boundary: Option<PolicyArn>,
    old: &ManagedClusterStatus,
) -> Result<Action, Error> {
    let uid = identity.uid.as_str();
    if !finalizer::bears(metadata, FINALIZER) {
        context.memory.forget(uid);
        context.backoff.clear(&identity.uid);
        return Ok(Action::await_change());
    }
    let pass = if paused(metadata) {
        Some(Pass::Releasing(
            "mooring.dev/paused is set: take the annotation away to let the removal go on".into(),
            None,
        ))
    } else {
        match Box::pin(take_away(context, identity, boundary, old)).await {
            Ok(pass) => pass,
            Err(error) => Some(Pass::Failed(error)),
        }
    };
    if let Some(pass) = pass {
        return conclude(context, metadata, Some(identity), old, pass).await;
    }
    finalizer::remove(&context.api(), metadata, FINALIZER).await?;
    context.memory.forget(uid);
    context.backoff.clear(&identity.uid);
    Ok(Action::await_change())
}

/// One pass of a removal; `None` when nothing is left for sure.
async fn take_away(
    context: &Context,
    identity: &Identity,
    boundary: Option<PolicyArn>,
    old: &ManagedClusterStatus,
) -> Result<Option<Pass>, Error> {
    let uid = identity.uid.as_str();
    let management = match super::management(context, &identity.management_role) {
        Ok(management) => management,
        // Nothing is ever made before the ManagementRole was ready, so nothing was when nothing is recorded.
        Err(_) if old.deployer_role.is_none() && old.secret.is_none() && surely_gone(context, uid, old) => {
            return Ok(None);
        }
        Err(blocked) => {
            let message = format!(
                "the removal needs ManagementRole {} to enter the account: {}",
                identity.management_role,
                blocked.message()
            );
            return Ok(Some(Pass::Releasing(message, Some(blocked))));
        }
    };
    let Some(store) = context.secrets.get(&management.namespace) else {
        let blocked = Blocked::NamespaceNotServed {
            namespace: management.namespace.clone(),
        };
        return Ok(Some(Pass::Releasing(blocked.message(), Some(blocked))));
    };
    let mut secrets = observe::secrets(store, uid, None);
    if let Some(name) = old.secret.as_deref().filter(|_| secrets.own.is_empty()) {
        // The watch may lag, and does not bring a Secret whose label somebody took off.
        let api = Api::namespaced(context.client.clone(), &management.namespace);
        secrets.own = observe::secret_under_name(&api, name, uid).await?.own;
    }
    if identity.retain {
        return retain(context, identity, &management, &secrets, old).await;
    }
    let Ok(_admission) = context.aws.admit(&identity.cluster.account, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    let deployer = identity.deployer(&management.hub);
    let account = context.aws.enter(&door(identity, &management)).await;
    let observed: Result<Spoke, AwsError> = match &account {
        Ok(account) => Box::pin(observe::spoke_for_removal(account, &identity.cluster, &deployer)).await,
        Err(error) => Err(error.clone()),
    };
    let deleted = context.memory.all_deleted(uid);
    let (observed, late) = match observed {
        Ok(spoke) => {
            let (spoke, late) = without(spoke, &deleted);
            (Ok(spoke), late)
        }
        Err(error) => (Err(error), false),
    };
    let owner = identity.owner(&management.hub);
    let recorded = old.deployer_role.as_ref().map(|role| role.id.as_str());
    let boundary = boundary.unwrap_or_else(|| PolicyArn::deny_all(management.hub.partition()));
    let plan = plan_removal(&deployer, &boundary, &owner, recorded, observed.as_ref().ok(), &secrets);
    super::log_plan(&identity.name, &plan);
    let outcome = carry_out(context, identity, &management, &plan.steps, account.as_ref().ok()).await;
    context.memory.want_secret(uid, None);
    context.memory.deleted(uid, gone(observed.as_ref().ok(), &outcome));
    if let Err(error) = observed {
        return Ok(Some(unreachable(&error, &deployer.to_string())));
    }
    match outcome.into_stop() {
        Some(Stop::Failed(part, failure)) => return Err(Error::Step(part, failure)),
        Some(Stop::Blocked(blocked)) => return Ok(Some(Pass::Releasing(blocked.message(), Some(blocked)))),
        None => {}
    }
    if let Some(blocked) = plan.blocked.into_iter().next() {
        return Ok(Some(Pass::Releasing(blocked.message(), Some(blocked))));
    }
    if late {
        let blocked = Blocked::Propagating {
            what: "the deletion".to_owned(),
        };
        return Ok(Some(Pass::Releasing(blocked.message(), Some(blocked))));
    }
    if plan.steps.is_empty() && surely_gone(context, uid, old) {
        return Ok(None);
    }
    Ok(Some(Pass::Releasing(
        "removed the cluster Secret, the access entry and the deployer role; looking once more".into(),
        None,
    )))
}

/// What was seen, without what this process deleted already and AWS still shows; and whether there was any.
fn without(mut spoke: Spoke, deleted: &BTreeSet<String>) -> (Spoke, bool) {
    let before = (spoke.entry.is_some(), spoke.role.is_some());
    spoke.entry = spoke.entry.filter(|entry| !deleted.contains(&entry.arn));
    spoke.role = spoke.role.filter(|role| !deleted.contains(&role.id));
    let late = before != (spoke.entry.is_some(), spoke.role.is_some());
    (spoke, late)
}

/// What a pass deleted, by the names that AWS never gives twice.
fn gone(spoke: Option<&Spoke>, outcome: &Outcome) -> Vec<String> {
    let entry = spoke
        .and_then(|spoke| spoke.entry.as_ref())
        .filter(|_| outcome.entry_deleted());
    let role = spoke
        .and_then(|spoke| spoke.role.as_ref())
        .filter(|_| outcome.role_deleted());
    entry
        .map(|entry| entry.arn.clone())
        .into_iter()
        .chain(role.map(|role| role.id.clone()))
        .collect()
}

/// Nothing was ever recorded, or this process removed it, or two looks agree.
fn surely_gone(context: &Context, uid: &str, old: &ManagedClusterStatus) -> bool {
    let recorded = old.deployer_role.is_some() || old.secret.is_some();
    !recorded && old.conditions.is_empty() || context.memory.surely_gone(uid, context.timing.confirm_after)
}

/// `Retain`: only the Secret goes. The management role keeps its way to the deployer role, which still trusts it, so
/// the `ManagementRole` records that first.
async fn retain(
    context: &Context,
    identity: &Identity,
    management: &Management,
    secrets: &Secrets,
    old: &ManagedClusterStatus,
) -> Result<Option<Pass>, Error> {
    let deployer = identity.deployer(&management.hub).to_string();
    let plan = plan_removal(
        &identity.deployer(&management.hub),
        &PolicyArn::deny_all(management.hub.partition()),
        &identity.owner(&management.hub),
        None,
        None,
        secrets,
    );
    let outcome = carry_out(context, identity, management, &plan.steps, None).await;
    if let Some(Stop::Failed(part, failure)) = outcome.into_stop() {
        return Err(Error::Step(part, failure));
    }
    let kept = old.deployer_role.is_some() && management.assumable.is_some();
    if kept && !management.retained.contains(&deployer) {
        let blocked = Blocked::RetentionPending {
            name: identity.management_role.clone(),
        };
        return Ok(Some(Pass::Releasing(blocked.message(), Some(blocked))));
    }
    if plan.steps.is_empty() {
        return Ok(None);
    }
    Ok(Some(Pass::Releasing(
        "removed the cluster Secret; looking once more".into(),
        None,
    )))
}

async fn carry_out(
    context: &Context,
    identity: &Identity,
    management: &Management,
    steps: &[super::Step],
    account: Option<&crate::aws::Account>,
) -> Outcome {
    let deployer = identity.deployer(&management.hub);
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &management.namespace);
    let site = Site {
        account,
        cluster: &identity.cluster,
        deployer: &deployer,
        secrets: &secrets,
        deadline: Instant::now() + context.timing.pass_deadline,
        metrics: &context.metrics,
    };
    super::apply::apply(steps, site).await
}

/// An account that cannot be entered is never abandoned by itself.
fn unreachable(error: &AwsError, deployer: &str) -> Pass {
    let message = format!(
        "the cluster Secret is removed, and the account cannot be entered to remove the rest: {}. \
         Should the account be closed for good, set spec.deletion.policy to Retain: role {deployer} and its access \
         entry are then yours to delete",
        super::in_words(error)
    );
    Pass::Releasing(message, None)
}
