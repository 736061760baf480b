//! `Retain`: only the cluster Secret is taken away. The management role keeps its way to the deployer role, which still
//! trusts it, so the `ManagementRole` records that first.

use std::{collections::BTreeSet, time::Instant};

use crate::{
    api::{DeployerRoleStatus, Mode},
    aws::{AwsError, Lane, Role},
    domain::{arn::RoleArn, commands::delete_role_too},
    managed_cluster::{
        Blocked, Context, Error,
        census::living,
        in_words,
        management::Management,
        observe::Secrets,
        removal::bears_our_mark,
        status::{Pass, Releasing},
        step::Part,
        tell,
        turn::door,
        words::say_closed,
    },
};

use super::{
    Going, Turn,
    take_away::{begin, carry_out, planned, stopped},
};

/// One pass of a removal that keeps role and entry. Who uses the cluster was `looked` for.
pub(super) async fn retain(
    context: &Context,
    going: &Going<'_>,
    management: &Management,
    secrets: &Secrets,
    looked: Instant,
) -> Result<Turn, Error> {
    let identity = going.identity;
    let deployer = identity.deployer(&management.hub);
    let plan = planned(going, management, None, secrets, &living(context).await?);
    let unlisted = going.old.deployer_role.is_some()
        && is_listed(management)
        && !management.retained.contains(&deployer.to_string());
    if let Some(misfit) = going.misfit.as_ref().filter(|_| unlisted) {
        let name = &identity.name;
        return Err(Error::Unreadable(format!(
            "{misfit}. Correct that (`kubectl edit mgc {name}`), so that ManagementRole {} can record that its role is kept, as spec.deletion.policy Retain says. Or, to have role {deployer} deleted, `{}`",
            identity.management_role,
            delete_role_too(name)
        )));
    }
    if let Some(turn) = begin(context, going, (management, secrets), looked, &plan.steps).await? {
        return Ok(turn);
    }
    let outcome = carry_out(context, going, management, &plan.steps, None).await;
    let kept = if identity.mode == Mode::Suspended {
        format!("role {deployer} is kept, since spec.deletion.policy is Retain")
    } else {
        format!("role {deployer} and its access entry are kept, since spec.deletion.policy is Retain")
    };
    tell::removed(context, going.metadata, outcome.done(), Some(kept)).await;
    if outcome.secret_deleted() {
        context.memory.deleted_secret(going.uid());
    }
    if let Some(turn) = stopped(outcome, &plan)? {
        return Ok(turn);
    }
    let gone = BTreeSet::from([Part::Secret]);
    if identity.existing.is_none() && identity.recorded_role(going.old).is_none() {
        if let Some(turn) = unrecorded(context, going, management, &deployer).await? {
            return Ok(turn.knowing(gone));
        }
    } else if unlisted {
        return Ok(Turn::blocked(pending(going)).knowing(gone));
    }
    let (clean, after) = (plan.steps.is_empty(), context.timing.confirm_after);
    let wait = context.memory.unsure_for(going.uid(), false, after, clean);
    if clean && wait.is_zero() {
        return Ok(Turn::Gone);
    }
    let turn = Turn::again("looking once more, since Argo CD may write the cluster Secret anew");
    Ok(turn.in_time(wait).knowing(gone))
}

/// Whether the `ManagementRole` lists what is kept. It does not where the management role is somebody else's: nobody keeps
/// that from going, and its policy is not ours.
fn is_listed(management: &Management) -> bool {
    management.assumable.is_some()
}

fn pending(going: &Going<'_>) -> Blocked {
    Blocked::RetentionPending {
        name: going.identity.management_role.clone(),
    }
}

/// Looks for a role that was made, or taken over, and never recorded: an operator that ended right after that could not
/// write it down. It is recorded now, and so kept by the `ManagementRole` as any other. `None` where nothing is left to do.
async fn unrecorded(
    context: &Context,
    going: &Going<'_>,
    management: &Management,
    deployer: &RoleArn,
) -> Result<Option<Turn>, Error> {
    let identity = going.identity;
    if management.closed.contains(deployer.account.as_str()) {
        return Ok(None);
    }
    let Ok(_admission) = context.aws.admit(&identity.cluster, Lane::Edit).await else {
        return Err(Error::ShuttingDown);
    };
    if context.overtaken(going.metadata) {
        return Ok(Some(Turn::Overtaken));
    }
    let look = async {
        let account = context.aws.enter(&door(identity, management)).await?;
        account.role(&deployer.name).await
    };
    let role = match look.await {
        Ok(role) => role,
        Err(error) if error.shuts_out() => {
            return Ok(Some(Turn::blocked(unseen(&error, deployer, going, management))));
        }
        Err(error) => return Err(error.into()),
    };
    let owner = identity.owner(&management.hub);
    let ours = |role: &Role| bears_our_mark(deployer, &owner, identity.adopted.is_some(), role);
    if let Some(Role { arn, id, .. }) = role.filter(ours) {
        let list = is_listed(management).then_some(identity.management_role.as_str());
        tell::retained(context, going.metadata, &arn, list).await;
        if list.is_none() {
            return Ok(None);
        }
        let releasing = Releasing {
            found: Some(DeployerRoleStatus { arn, id }),
            ..Releasing::blocked(pending(going))
        };
        return Ok(Some(Turn::Remains(Pass::Releasing(releasing))));
    }
    let after = context.timing.confirm_after;
    let wait = context.memory.unsure_for(going.uid(), false, after, true);
    Ok((!wait.is_zero()).then(|| {
        Turn::again(
            "no role was recorded, and none is seen that would be kept; looking once more, since AWS may show it late",
        )
        .in_time(wait)
    }))
}

/// What is told of an account that cannot be entered to look.
fn unseen(error: &AwsError, deployer: &RoleArn, going: &Going<'_>, management: &Management) -> Blocked {
    let name = &going.identity.management_role;
    let closed = management.closed.iter().map(String::as_str);
    let closed = say_closed(name, closed.chain([deployer.account.as_str()]));
    Blocked::AccountNotEntered {
        why: format!(
            "there is no cluster Secret, and whether role {deployer} was made, which spec.deletion.policy Retain would keep, \
             cannot be seen: {}. Should the account be closed for good, whoever keeps ManagementRole {name} says so, and every ManagedCluster of \
             account {} that keeps its role goes without a look, and a role that was made there stays: `{closed}`",
            in_words(error),
            deployer.account
        ),
    }
}
