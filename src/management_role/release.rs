//! Letting go of a management role: only when nobody stands on it any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{core::DeserializeGuard, runtime::controller::Action};

use crate::{
    api::{FINALIZER, ManagedCluster, ManagementRole, ManagementRoleStatus},
    aws::{self, Door, ErrorKind, Lane},
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
    plan::plan_removal,
    request::{Request, RoleOwner},
    status::{self, Pass},
    step::Blocked,
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
        let clusters = live(context).await?;
        let remain = naming(&role.metadata.name.clone().unwrap_or_default(), &clusters);
        let remain = remain.map(|remain| remain.blocked(BTreeSet::new()).message());
        let message = withheld.removal_waits_with(&[], remain.as_slice());
        Some(Pass::ReleaseWithheld(withheld, message))
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

/// One pass of a removal; `None` when nothing is left for sure.
async fn take_away(
    role: &ManagementRole,
    old: &ManagementRoleStatus,
    context: &Context,
) -> Result<Option<Pass>, Error> {
    let name = role.metadata.name.clone().unwrap_or_default();
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let clusters = live(context).await?;
    if let Some(remain) = naming(&name, &clusters) {
        let recorded = old.retained.iter().cloned().collect();
        let retained = match parse(role, context).await? {
            Ok(request) => Members::gather(&request, &members_of(&clusters), &BTreeSet::new(), &recorded).retained,
            Err(_) => recorded,
        };
        return Ok(Some(releasing(remain.blocked(retained))));
    }
    // The object bears our finalizer, so a role may have been made, recorded or not.
    let request = parse(role, context).await??;
    if request.role_owner == RoleOwner::Existing {
        binding::release(role, &context.binding).await?;
        return Ok(None);
    }
    let secrets = acting(&request, true, context).await?.unwrap_or_default();
    if !secrets.is_empty() {
        return Ok(Some(releasing(Blocked::SecretsRemain { secrets })));
    }
    let (arns, unseen) = still_there(role, &request, old, context).await?;
    if !arns.is_empty() || !unseen.is_empty() {
        return Ok(Some(releasing(Blocked::RetainedDeployers {
            object: name,
            arns,
            unseen,
            closed: closed_accounts(role),
        })));
    }
    // Pods that start from here on are not to ask for a role that goes.
    binding::release(role, &context.binding).await?;
    let Ok(_admission) = context.aws.admit(&request.hub.cluster, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    // The turn may have taken minutes to come.
    if context.overtaken(&role.metadata) {
        return Ok(Some(releasing(Blocked::StoodBack)));
    }
    let account = enter(&request, context).await?;
    let observed = observe::observe_for_removal(&account, &request).await?;
    let plan = plan_removal(&request, &observed, old.role.as_ref().map(|role| role.id.as_str()));
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

/// The `ManagedCluster`s that name an object, by name.
#[derive(Default)]
struct Naming {
    stay: BTreeSet<String>,
    unreadable: BTreeSet<String>,
    going: BTreeSet<String>,
}

impl Naming {
    fn blocked(self, retained: BTreeSet<String>) -> Blocked {
        let Self {
            stay,
            unreadable,
            going,
        } = self;
        Blocked::ClustersRemain {
            names: stay,
            unreadable,
            going,
            retained,
        }
    }
}

/// The `ManagedCluster`s that name the object, as the API server has them now; `None` where none does. One that cannot be
/// read counts.
fn naming(name: &str, clusters: &[Arc<DeserializeGuard<ManagedCluster>>]) -> Option<Naming> {
    let (mut naming, mut any) = (Naming::default(), false);
    for object in clusters {
        if object
            .0
            .as_ref()
            .is_ok_and(|cluster| cluster.spec.management_role != name)
        {
            continue;
        }
        let metadata = kube::Resource::meta(object.as_ref());
        let set = if metadata.deletion_timestamp.is_some() {
            &mut naming.going
        } else if object.0.is_err() {
            &mut naming.unreadable
        } else {
            &mut naming.stay
        };
        set.insert(metadata.name.clone().unwrap_or_default());
        any = true;
    }
    any.then_some(naming)
}

/// Of the deployer roles that were kept, those that are still there and may trust the role; and the accounts that cannot
/// be entered to look, with what AWS said, but for those that a person has said are closed.
async fn still_there(
    role: &ManagementRole,
    request: &Request,
    old: &ManagementRoleStatus,
    context: &Context,
) -> Result<(BTreeSet<String>, BTreeMap<String, String>), Error> {
    let (mut kept, mut unseen) = (BTreeSet::new(), BTreeMap::new());
    let closed = closed_accounts(role);
    for arn in &old.retained {
        let Ok(deployer) = arn.parse::<RoleArn>() else { continue };
        if closed.contains(deployer.account.as_str()) {
            continue;
        }
        let look = async {
            let account = context.aws.enter(&look(request, &deployer)).await?;
            account.role(&deployer.name).await
        };
        match look.await {
            Ok(found) => {
                // Only one that does not so much as name the hub's account, nor everybody, is surely nobody's to hold:
                // what Argo CD cannot fulfil, as an external ID, whoever made the role again might.
                let named =
                    |text: &str| text.is_empty() || text.contains('*') || text.contains(request.role.account.as_str());
                let trusts = |role: &aws::Role| role.arn == *arn && named(&role.trust);
                kept.extend(found.filter(trusts).map(|_| arn.clone()));
            }
            Err(error) if error.kind == ErrorKind::Denied => {
                let why = crate::managed_cluster::in_words(&error);
                unseen.insert(deployer.account.to_string(), why);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((kept, unseen))
}

/// A session that can touch one kept deployer role. No cluster is looked at: the hub's own name stands for one.
fn look(request: &Request, deployer: &RoleArn) -> Door {
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
