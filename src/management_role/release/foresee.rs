//! A removal for which nothing is written: everything that would hold it up is looked at and told.

use std::collections::BTreeSet;

use crate::{
    api::{ManagementRole, ManagementRoleStatus},
    aws::{Admission, Lane},
    domain::arn::RoleArn,
    managed_cluster::{in_words, management::closed_accounts},
    management_role::{
        Blocked, Context, Error,
        binding::{self, plan::let_go, request::manager},
        foreseen::Foreseen,
        gather::{acting, live},
        observe::observe_for_removal,
        parse,
        plan::{Left, not_its_hub, plan_removal, replaced},
        remaining::{Kept, kept, unseen},
        request::{Request, RoleOwner},
        retained,
    },
};

use super::{enter, naming};

/// Looks at what a removal would take away, and at what would hold it up; `None` when a person changed the object before
/// its turn came. A look that fails is told and hides nothing of the rest.
pub(super) async fn foresee(role: &ManagementRole, old: &ManagementRoleStatus, context: &Context) -> Option<Foreseen> {
    let mut foreseen = Foreseen::default();
    let name = role.metadata.name.clone().unwrap_or_default();
    match live(context).await {
        Ok(clusters) => {
            let remain = naming(&name, &clusters);
            foreseen
                .waits
                .extend(remain.map(|remain| remain.blocked(BTreeSet::new(), false)));
        }
        Err(error) => foreseen.unseen.push(error.message()),
    }
    let request = match parse(role, context).await {
        Ok(Ok(request)) => request,
        Ok(Err(refusal)) => {
            foreseen.unseen.push(refusal.to_string());
            return Some(foreseen);
        }
        Err(error) => {
            foreseen.unseen.push(error.message());
            return Some(foreseen);
        }
    };
    match binding::observe::accounts(&context.client, request.namespace.as_str(), &manager(&name)).await {
        Ok(accounts) => {
            let release = |account: &binding::observe::Target| binding::step::Step::Release {
                account: account.clone(),
            };
            let steps = let_go(&accounts).map(release);
            foreseen.steps.extend(steps.map(|step| step.words()));
        }
        Err(error) => foreseen.unseen.push(error.to_string()),
    }
    if request.role_owner == RoleOwner::Existing {
        return Some(foreseen);
    }
    match acting(&request, true, context).await {
        Ok(secrets) => {
            let secrets = secrets.filter(|secrets| !secrets.is_empty());
            foreseen.waits.extend(secrets.map(|secrets| Blocked::SecretsRemain {
                namespace: request.namespace.to_string(),
                secrets,
            }));
        }
        Err(error) => foreseen.unseen.push(error.message()),
    }
    let Ok(admission) = context.aws.admit(&request.hub.cluster, Lane::Normal).await else {
        foreseen.unseen.push(Error::ShuttingDown.message());
        return Some(foreseen);
    };
    if context.overtaken(&role.metadata) {
        return None;
    }
    if let Err(error) = Box::pin(in_account(&request, old, context, admission, &mut foreseen)).await {
        foreseen.unseen.push(error.message());
    }
    let mut all = Kept::default();
    let deployers: Vec<RoleArn> = kept(&role.metadata, &old.retained).collect();
    let mut silent = deployers.clone();
    let told = |deployer: RoleArn, found| {
        silent.retain(|other| *other != deployer);
        if let Err(error) = all.add(&request, &deployer, found) {
            foreseen.unseen.push(unseen(&deployer, &in_words(&error)));
        }
    };
    retained::each((&role.metadata, &request), deployers, context, (|_: &RoleArn| (), told)).await;
    if context.overtaken(&role.metadata) {
        return None;
    }
    let no_answer = |deployer| unseen(deployer, "its account has not answered so far");
    foreseen.unseen.extend(silent.iter().map(no_answer));
    foreseen
        .waits
        .extend(all.blocked(&name, closed_accounts(&role.metadata)));
    Some(foreseen)
}

/// Adds what is there in the hub's account.
async fn in_account(
    request: &Request,
    old: &ManagementRoleStatus,
    context: &Context,
    _admission: Admission,
    foreseen: &mut Foreseen,
) -> Result<(), Error> {
    let here = context.here.read(&context.client).await?;
    // This is known without AWS.
    if let Some(hub) = replaced(request, &here, Left::by(old).issuer) {
        foreseen.waits.push(not_its_hub(request, hub));
        return Ok(());
    }
    let account = enter(request, context).await?;
    let observed = Box::pin(observe_for_removal(&account, request, here)).await?;
    foreseen.add(plan_removal(request, &observed, &Left::by(old)));
    Ok(())
}
