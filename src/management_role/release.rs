//! Letting go of a management role: only when nobody stands on it any more.

mod foresee;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::DeserializeGuard, runtime::controller::Action};

use crate::{
    api::{
        FINALIZER, ManagedCluster, ManagementRole, ManagementRoleStatus,
        condition::{ConditionType, is_false},
    },
    aws::{self, AwsError, Door, Lane, Role},
    domain::{
        arn::{ClusterArn, RoleArn},
        name::ClusterName,
    },
    kubernetes::{finalizer, objects},
    managed_cluster::management::{closed_accounts, unparsable},
};

use super::{
    Context, Error,
    apply::Stop,
    binding, carry_out, conclude, enter,
    gather::{acting, live, members_of},
    members::Members,
    observe, parse,
    plan::{Left, not_its_hub, not_the_hub, plan_removal, replaced},
    remaining::{Kept, Naming, kept},
    request::{Request, RoleOwner},
    status::{self, Pass},
    step::{Blocked, Part},
};

/// Lets go of an object that cannot be read, by the names in it that never change and by what was recorded.
pub(super) async fn unparsable(metadata: &ObjectMeta, context: &Context) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let Some(stored) = objects::stored::<ManagementRole>(&context.client, name).await? else {
        return Ok(Action::await_change());
    };
    let value = serde_json::to_value(&stored).unwrap_or_default();
    let role = match unparsable::read(&value) {
        Ok(role) => role,
        Err(why) => {
            let error = Error::Unreadable(format!(
                "{why}. Without that nobody can tell what was made for it: let the release that wrote it remove it, or set it \
                 right with that release's CustomResourceDefinitions"
            ));
            return Err(super::untellable(metadata, error, context).await);
        }
    };
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let known = context.remember(uid, |remembered| remembered.status.clone());
    let old = status::own(known.or_else(|| role.status.clone()).unwrap_or_default());
    release(&role, &old, context).await
}

pub(super) async fn release(
    role: &ManagementRole,
    old: &ManagementRoleStatus,
    context: &Context,
) -> Result<Action, Error> {
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    if !finalizer::bears(&role.metadata, FINALIZER) {
        context.forget(uid);
        return Ok(Action::await_change());
    }
    let pass = if let Some(withheld) = context.withheld(&role.metadata) {
        let Some(foreseen) = Box::pin(foresee::foresee(role, old, context)).await else {
            return Ok(Action::requeue(Duration::ZERO));
        };
        Some(Pass::ReleaseWithheld(withheld, foreseen))
    } else {
        match take_away(role, old, context).await {
            Ok(blocked) => blocked,
            Err(error) => Some(Pass::RemovalFailed(error)),
        }
    };
    if let Some(pass) = pass {
        return conclude(context, &role.metadata, old, pass).await;
    }
    finalizer::remove(&context.api(), &role.metadata, FINALIZER).await?;
    context.forget(uid);
    Ok(Action::await_change())
}

/// Why the clusters that are left are not to go by this operator: it runs on another hub. EKS is asked where that was
/// `refused` before and a person may have settled it since, as those clusters wait for it; else once none of them is left.
async fn elsewhere(
    request: &Request,
    here: String,
    old: &ManagementRoleStatus,
    refused: bool,
    context: &Context,
) -> Result<Option<Blocked>, Error> {
    let replaced = replaced(request, &here, Left::by(old).issuer);
    if replaced.is_some() || !refused {
        return Ok(replaced);
    }
    let Ok(_admission) = context.aws.admit(&request.hub.cluster, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    let account = enter(request, context).await?;
    let observed = Box::pin(observe::observe_for_removal(&account, request, here)).await?;
    Ok(not_the_hub(request, &observed, Left::by(old).issuer))
}

/// One pass of a removal; `None` when nothing is left for sure.
async fn take_away(
    role: &ManagementRole,
    old: &ManagementRoleStatus,
    context: &Context,
) -> Result<Option<Pass>, Error> {
    let name = role.metadata.name.clone().unwrap_or_default();
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let clusters = live(context).await?;
    let here = context.here.read(&context.client).await?;
    if let Some(remain) = naming(&name, &clusters) {
        let recorded = old.retained.iter().cloned().collect();
        let (retained, settled) = match parse(role, context).await? {
            Ok(request) => {
                let refused = is_false(&old.conditions, ConditionType::HubReady);
                if let Some(hub) = elsewhere(&request, here, old, refused, context).await? {
                    return Ok(Some(releasing(not_its_hub(&request, hub))));
                }
                let members = members_of(&clusters);
                let members = Members::gather(&request, &members, &BTreeSet::new(), &recorded);
                (members.retained, refused)
            }
            Err(_) => (recorded, false),
        };
        return Ok(Some(releasing(remain.blocked(retained, settled))));
    }
    // The object bears our finalizer, so a role may have been made, recorded or not.
    let request = parse(role, context).await??;
    if request.role_owner == RoleOwner::Existing {
        binding::release(role, &context.binding).await?;
        return Ok(None);
    }
    let Ok(_admission) = context.aws.admit(&request.hub.cluster, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    // The turn may have taken minutes to come.
    if context.overtaken(&role.metadata) {
        return Ok(Some(releasing(Blocked::StoodBack)));
    }
    let account = enter(&request, context).await?;
    let observed = Box::pin(observe::observe_for_removal(&account, &request, here)).await?;
    let plan = plan_removal(&request, &observed, &Left::by(old));
    // Before anybody is asked for what would let it go on.
    let elsewhere = plan.blocked.iter().find(|blocked| blocked.part() == Some(Part::Hub));
    if let Some(blocked) = elsewhere {
        return Ok(Some(releasing(blocked.clone())));
    }
    let secrets = acting(&request, true, context).await?.unwrap_or_default();
    if !secrets.is_empty() {
        return Ok(Some(releasing(Blocked::SecretsRemain {
            namespace: request.namespace.to_string(),
            secrets,
        })));
    }
    if let Some(blocked) = still_there(role, &request, old, context)
        .await?
        .blocked(&name, closed_accounts(&role.metadata))
    {
        return Ok(Some(releasing(blocked)));
    }
    // Pods that start from here on are not to ask for a role that goes; one that stays they go on with.
    if plan.blocked.is_empty() {
        binding::release(role, &context.binding).await?;
    }
    super::log_plan(&name, &plan);
    let deadline = Instant::now() + context.timing.pass_deadline;
    let outcome = carry_out(&plan, &account, deadline, &role.metadata, context).await;
    if outcome.role_deleted() {
        context.remember(uid, |remembered| remembered.let_go = true);
    }
    match outcome.into_stop() {
        Some(Stop::Failed(part, failure)) => return Err(Error::Step(part, failure)),
        Some(Stop::Blocked(blocked)) => return Ok(Some(releasing(blocked))),
        None => {}
    }
    if let Some(blocked) = plan.blocked.into_iter().next() {
        return Ok(Some(releasing(blocked)));
    }
    let gone = plan.steps.is_empty()
        && context.remember(uid, |remembered| {
            let since = *remembered.clean_since.get_or_insert_with(std::time::Instant::now);
            remembered.let_go || since.elapsed() >= context.timing.confirm_after
        });
    Ok((!gone).then(|| {
        Pass::Releasing(
            "this ManagementRole is being removed: its role is deleted, and is looked for once more".to_owned(),
            None,
        )
    }))
}

fn releasing(blocked: Blocked) -> Pass {
    Pass::Releasing(status::going(&blocked.message()), Some(blocked))
}

/// The `ManagedCluster`s that name the object, as the API server has them now.
fn naming(name: &str, clusters: &[Arc<DeserializeGuard<ManagedCluster>>]) -> Option<Naming> {
    let each = clusters.iter().map(|object| {
        let read = object.0.as_ref().ok();
        let names = read.map(|cluster| cluster.spec.management_role.as_str());
        (object.meta(), names)
    });
    Naming::of(name, each)
}

/// What came of looking for the deployer roles that were kept.
async fn still_there(
    role: &ManagementRole,
    request: &Request,
    old: &ManagementRoleStatus,
    context: &Context,
) -> Result<Kept, Error> {
    let mut all = Kept::default();
    for deployer in kept(&role.metadata, &old.retained) {
        all.add(request, &deployer, look(context, request, &deployer).await)?;
    }
    Ok(all)
}

/// Looks for a deployer role that was kept.
pub(super) async fn look(context: &Context, request: &Request, deployer: &RoleArn) -> Result<Option<Role>, AwsError> {
    let account = context.aws.enter(&door_to(request, deployer)).await?;
    account.role(&deployer.name).await
}

/// A session that can touch one kept deployer role. No cluster is looked at: the hub's own name stands for one.
fn door_to(request: &Request, deployer: &RoleArn) -> Door {
    let name: ClusterName = request.hub.cluster.name.clone();
    let cluster = ClusterArn {
        region: request.hub.cluster.region.clone(),
        account: deployer.account.clone(),
        name,
    };
    Door {
        provisioner: request.hub.provisioner(&deployer.account, &request.provisioner),
        external_id: request.external_id.clone(),
        region: request.hub.cluster.region.clone(),
        session_name: aws::session_name(&request.hub, &request.name),
        session_policy: aws::grants::session_policy_for_cluster(&request.hub, &cluster, deployer, false),
        object: format!("{} {deployer}", request.owner.uid),
    }
}
