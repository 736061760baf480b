//! Letting go: Secret, access entry, deployer role, and then the finalizer, once a later look is clean.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, runtime::controller::Action};
use serde_json::Value;
use tracing::debug;

use crate::{
    api::{FINALIZER, ManagedCluster, ManagedClusterStatus},
    aws::{AwsError, Call, ErrorKind, Lane},
    domain::arn::PolicyArn,
    kubernetes::{finalizer, objects},
};

use super::{
    Context, Error,
    apply::{Outcome, Site, Stop},
    blocked::Blocked,
    conclude, known_status,
    management::Management,
    observe::{self, Secrets, Spoke},
    removal::plan_removal,
    request::Identity,
    status::Pass,
    turn::door,
    withheld::Withheld,
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

/// Lets go of an object that cannot be read, by the names in it that never change and by what was recorded.
pub(super) async fn unparsable(metadata: &ObjectMeta, context: &Context) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let read = objects::stored::<ManagedCluster>(&context.client, name).await?;
    let Some(object) = read else {
        return Ok(Action::await_change());
    };
    let value = serde_json::to_value(&object).unwrap_or_default();
    let identity = Identity::read(&value).map_err(|error| Error::Unreadable(error.to_string()))?;
    let status = recorded(value.get("status")).map_err(Error::Unreadable)?;
    Box::pin(release(context, &object.metadata, &identity, None, &status)).await
}

/// What a status of any release recorded. What it made is never taken for nothing because another part of it cannot be
/// read.
fn recorded(status: Option<&Value>) -> Result<ManagedClusterStatus, String> {
    let Some(status) = status.filter(|status| !status.is_null()) else {
        return Ok(ManagedClusterStatus::default());
    };
    if let Ok(status) = serde_json::from_value(status.clone()) {
        return Ok(status);
    }
    let part = |key: &str| status.get(key).cloned().unwrap_or_default();
    let unreadable = |key: &str, error: serde_json::Error| format!("status.{key}: {error}");
    Ok(ManagedClusterStatus {
        deployer_role: serde_json::from_value(part("deployerRole")).map_err(|e| unreadable("deployerRole", e))?,
        secret: serde_json::from_value(part("secret")).map_err(|e| unreadable("secret", e))?,
        ..ManagedClusterStatus::default()
    })
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
    let pass = if let Some(withheld) = Withheld::of(metadata, identity.mode, context.read_only) {
        Some(Pass::Releasing(withheld.removal_waits(), None))
    } else {
        match Box::pin(take_away(context, metadata, identity, boundary, old)).await {
            Ok(Turn::Overtaken) => return Ok(Action::requeue(Duration::ZERO)),
            Ok(Turn::Gone) => None,
            Ok(Turn::Remains(pass)) => Some(pass),
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

/// How one pass of a removal ended.
#[allow(clippy::large_enum_variant, reason = "there is one for the length of a pass")]
enum Turn {
    /// A person changed the object while it waited.
    Overtaken,
    /// Something is left, or may be.
    Remains(Pass),
    /// Nothing is left for sure.
    Gone,
}

/// One pass of a removal.
async fn take_away(
    context: &Context,
    metadata: &ObjectMeta,
    identity: &Identity,
    boundary: Option<PolicyArn>,
    old: &ManagedClusterStatus,
) -> Result<Turn, Error> {
    let uid = identity.uid.as_str();
    // The object bears our finalizer, so something may have been made, recorded or not.
    let read = Management::read_for_removal;
    let management = match super::turn::management_by(context, &identity.management_role, read) {
        Ok(management) => management,
        Err(blocked) => {
            let message = format!(
                "the removal needs ManagementRole {} to enter the account: {}",
                identity.management_role,
                blocked.message()
            );
            return Ok(Turn::Remains(Pass::Releasing(message, Some(blocked))));
        }
    };
    let Some(store) = context.secrets.get(&management.namespace) else {
        let blocked = Blocked::NamespaceNotServed {
            namespace: management.namespace.clone(),
        };
        return Ok(Turn::Remains(Pass::Releasing(blocked.message(), Some(blocked))));
    };
    let server = old.cluster.as_ref().and_then(|cluster| cluster.endpoint.as_deref());
    let known = observe::Known {
        name: old.secret.as_deref(),
        servers: server.into_iter().collect(),
    };
    let mut secrets = observe::secrets(store, uid, None, &known);
    if let Some(name) = old.secret.as_deref().filter(|_| secrets.own.is_empty()) {
        // The watch may lag, and does not bring a Secret whose label somebody took off.
        let api = Api::namespaced(context.client.clone(), &management.namespace);
        secrets.own = observe::secret_under_name(&api, name, uid).await?.own;
    }
    if identity.retain {
        return retain(context, metadata, identity, &management, &secrets, old).await;
    }
    debug!(object = %identity.name, account = %identity.cluster.account, "asking for its turn in the account");
    let Ok(_admission) = context.aws.admit(&identity.cluster.account, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    // The turn may have taken minutes to come. Who has paused the object since, or has it keep its role, is heard.
    if context.overtaken(metadata) {
        return Ok(Turn::Overtaken);
    }
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
    if context.overtaken(metadata) {
        return Ok(Turn::Overtaken);
    }
    // Before the Secret goes: its going wakes whoever waits for the server or the name.
    context.memory.unclaim(uid);
    let outcome = carry_out(
        context,
        metadata,
        identity,
        &management,
        &plan.steps,
        account.as_ref().ok(),
    )
    .await;
    context.memory.want_secret(uid, None);
    context.memory.deleted(uid, gone(observed.as_ref().ok(), &outcome));
    match outcome.into_stop() {
        Some(Stop::Failed(part, failure)) => return Err(Error::Step(part, failure)),
        Some(Stop::Blocked(blocked)) => return Ok(releasing(blocked)),
        None => {}
    }
    if let Err(error) = observed {
        return unreachable(error, &deployer.to_string());
    }
    if let Some(blocked) = plan.blocked.into_iter().next() {
        return Ok(releasing(blocked));
    }
    if late {
        return Ok(releasing(Blocked::Propagating {
            what: "the deletion".to_owned(),
        }));
    }
    if !plan.steps.is_empty() {
        context.memory.not_clean(uid);
    } else if context.memory.surely_gone(uid, recorded, context.timing.confirm_after) {
        return Ok(Turn::Gone);
    }
    Ok(Turn::Remains(Pass::Releasing(
        "removed the cluster Secret, the access entry and the deployer role; looking once more".into(),
        None,
    )))
}

fn releasing(blocked: Blocked) -> Turn {
    Turn::Remains(Pass::Releasing(blocked.message(), Some(blocked)))
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
pub(super) fn gone(spoke: Option<&Spoke>, outcome: &Outcome) -> Vec<String> {
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

/// `Retain`: only the Secret goes. The management role keeps its way to the deployer role, which still trusts it, so
/// the `ManagementRole` records that first.
async fn retain(
    context: &Context,
    metadata: &ObjectMeta,
    identity: &Identity,
    management: &Management,
    secrets: &Secrets,
    old: &ManagedClusterStatus,
) -> Result<Turn, Error> {
    let deployer = identity.deployer(&management.hub).to_string();
    let plan = plan_removal(
        &identity.deployer(&management.hub),
        &PolicyArn::deny_all(management.hub.partition()),
        &identity.owner(&management.hub),
        None,
        None,
        secrets,
    );
    if context.overtaken(metadata) {
        return Ok(Turn::Overtaken);
    }
    context.memory.unclaim(&identity.uid);
    let outcome = carry_out(context, metadata, identity, management, &plan.steps, None).await;
    if let Some(Stop::Failed(part, failure)) = outcome.into_stop() {
        return Err(Error::Step(part, failure));
    }
    let kept = old.deployer_role.is_some() && management.assumable.is_some();
    if kept && !management.retained.contains(&deployer) {
        return Ok(releasing(Blocked::RetentionPending {
            name: identity.management_role.clone(),
        }));
    }
    if plan.steps.is_empty() {
        return Ok(Turn::Gone);
    }
    Ok(Turn::Remains(Pass::Releasing(
        "removed the cluster Secret; looking once more".into(),
        None,
    )))
}

async fn carry_out(
    context: &Context,
    metadata: &ObjectMeta,
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
        stopping: &|| context.aws.is_closed(),
        stood_back: &|| context.stood_back(metadata, identity.mode),
        metrics: &context.metrics,
    };
    super::apply::apply(steps, site).await
}

/// An account that cannot be entered is never abandoned by itself. Any other failed look is told as what it is.
fn unreachable(error: AwsError, deployer: &str) -> Result<Turn, Error> {
    if error.call != Call::AssumeRole || error.kind != ErrorKind::Denied {
        return Err(error.into());
    }
    let why = format!(
        "the cluster Secret is removed, and the account cannot be entered to remove the rest: {}. \
         Should the account be closed for good, set spec.deletion.policy to Retain: role {deployer} and its access \
         entry are then yours to delete",
        super::in_words(&error)
    );
    Ok(releasing(Blocked::AccountNotEntered { why }))
}
