//! What people see of a pass: the condition, and an event when it holds no longer.

use kube::{Api, runtime::controller::Action};

use super::{Context, Error, status};
use crate::{
    api::{
        IdentityType, ManagementRole,
        condition::{ConditionType, Finding, Verdict, find},
    },
    kubernetes::events::Weight,
    managed_cluster::{Withheld, now},
    management_role::tell::about,
};

/// What stands of the condition, if anything does.
fn stands(role: &ManagementRole) -> bool {
    let status = role.status.as_ref();
    status.is_some_and(|status| find(&status.conditions, ConditionType::ServiceAccountsBound).is_some())
}

/// What an earlier pass has told is no order to anybody any more, once the object is being removed.
pub(super) async fn removal(role: &ManagementRole, context: &Context) -> Result<Action, Error> {
    if stands(role) {
        match tell(role, status::going(), context).await {
            // The removal has just come to its end.
            Err(Error::Kubernetes(error)) if error.is_not_found() => {}
            other => other?,
        }
    }
    Ok(Action::await_change())
}

/// What is told in the place of what an earlier pass found, where the hub or the role is not what it should be since.
pub(super) fn waits(role: &ManagementRole) -> Option<Finding> {
    let status = role.status.as_ref().filter(|_| stands(role))?;
    // What a person withholds there he withholds here, and that is told.
    let withheld = [Withheld::ReadOnly.reason(), Withheld::Paused.reason()];
    let broken = |kind: &ConditionType| {
        find(&status.conditions, *kind).is_some_and(|condition| {
            condition.status == Verdict::False.as_str() && !withheld.contains(&condition.reason.as_str())
        })
    };
    let broken = [ConditionType::HubReady, ConditionType::RoleReady]
        .into_iter()
        .find(broken)?;
    Some(status::waits(broken))
}

/// Writes the condition when it is another than before, with an event when it holds no longer.
pub(super) async fn tell(role: &ManagementRole, finding: Finding, context: &Context) -> Result<(), Error> {
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let name = role.metadata.name.as_deref().unwrap_or_default();
    let stored = role.status.as_ref().map(|status| status.conditions.as_slice());
    let stored = stored.and_then(|all| find(all, ConditionType::ServiceAccountsBound));
    let old = context.remember(uid, |remembered| remembered.told.clone());
    let old = old.or_else(|| stored.cloned());
    let generation = role.metadata.generation;
    let Some(new) = status::condition(old.as_ref(), finding, generation, now()) else {
        return Ok(());
    };
    let (restarted, recorded) = context.remember(uid, |remembered| remembered.records());
    let recorded = recorded.or_else(|| role.status.as_ref().map(|status| status.restarted.clone()));
    if old.as_ref() == Some(&new) && recorded.unwrap_or_default() == restarted {
        return Ok(());
    }
    status::write(&Api::all(context.client.clone()), name, &new, &restarted).await?;
    context.remember(uid, |remembered| {
        remembered.told = Some(new.clone());
        remembered.recorded = Some(restarted);
    });
    let same = old.is_some_and(|old| old.reason == new.reason && old.status == new.status);
    let intended = ["Restarting", "ReadOnly", "Paused"].contains(&new.reason.as_str())
        || role.metadata.deletion_timestamp.is_some()
        || waits(role).is_some()
        || (new.reason == "PodIdentity" && role.spec.identity.kind == IdentityType::Existing);
    if !same && new.status != Verdict::True.as_str() && !intended {
        let about = about(&role.metadata);
        context
            .reporter
            .report(&about, Weight::Warning, &new.reason, "Bind", &new.message)
            .await;
    }
    Ok(())
}
