//! A pass's turn: what it may do at all, and when its account has room for it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tracing::debug;

use crate::{
    api::{
        CONFIRM_HUB, ManagedCluster, ManagedClusterStatus, ManagementRole,
        condition::{ConditionType, find, is_false},
    },
    aws::{self, Admission, Door, Lane, ShuttingDown},
    kubernetes::{KubernetesError, objects},
};

use super::{
    Context,
    beyond::Beside,
    blocked::Blocked,
    management::{Management, NoManagement, unparsable},
    request::{Identity, Request},
    status::{Pass, SUSPENDED},
    withheld::Withheld,
};

/// What the spec asks for and may have, as far as the `ManagementRole` tells.
#[allow(clippy::result_large_err, reason = "there is one for the length of a pass")]
pub(super) fn permitted(
    cluster: &ManagedCluster,
    old: &ManagedClusterStatus,
    context: &Context,
) -> Result<(Management, Request), Pass> {
    let management = management(context, &cluster.spec.management_role).map_err(Pass::Waiting)?;
    let request = Request::parse(cluster, &management).map_err(|refusal| Pass::Refused(refusal, Beside::new()))?;
    if !context.secrets.contains_key(&management.namespace) {
        return Err(Pass::Waiting(Blocked::NamespaceNotServed {
            namespace: management.namespace,
        }));
    }
    // Whoever came before it went is kept; nobody new stands on what is going.
    if management.going && old.deployer_role.is_none() {
        return Err(Pass::Waiting(Blocked::ManagementRoleGoing {
            name: management.hub.management_role.to_string(),
        }));
    }
    // The management role must be able to use the deployer role before anything is made for it. Where nothing is made,
    // its policy does not grow, and the plan says that this comes first. What stands already is kept all the same.
    let withheld = Withheld::of(&cluster.metadata, cluster.spec.mode, context.read_only);
    let makes = withheld.is_none() && old.deployer_role.is_none();
    match management.pending(&request.deployer).filter(|_| makes) {
        Some(pending) => Err(Pass::Waiting(pending)),
        None => Ok((management, request)),
    }
}

/// Waits for the object's turn in its account; `None` when it was changed meanwhile. The pass that follows then asks
/// for the turn of an edit, instead of standing in the queue with what nobody wants any more.
pub(super) async fn admitted(
    metadata: &ObjectMeta,
    identity: &Identity,
    lane: Lane,
    context: &Context,
) -> Option<Result<Admission, ShuttingDown>> {
    let uid = identity.uid.as_str();
    let edited = context.memory.edited_since_waiting(uid, metadata.generation);
    let lane = if edited { Lane::Edit } else { lane };
    let mut asks = context.memory.asks(uid);
    debug!(object = %identity.name, account = %identity.cluster.account, ?lane, "asking for its turn in the account");
    let mut turn = std::pin::pin!(context.aws.admit(&identity.cluster, lane));
    let turn = loop {
        if context.overtaken(metadata) {
            return None;
        }
        tokio::select! {
            biased;
            turn = &mut turn => break turn,
            asked = asks.changed() => if asked.is_err() { return None },
        }
    };
    context.memory.waited(uid);
    Some(turn)
}

/// A person's edit of an object that was looked at before goes ahead of the rest.
pub(super) fn lane(metadata: &ObjectMeta, old: &ManagedClusterStatus) -> Lane {
    let observed = old.observed_generation;
    let edited = observed.is_some() && observed != metadata.generation;
    if edited || metadata.deletion_timestamp.is_some() {
        Lane::Edit
    } else {
        Lane::Normal
    }
}

/// A suspension goes ahead of the rest until the access is known to be away.
pub(super) fn suspending(old: &ManagedClusterStatus) -> Lane {
    if is_suspended(old) { Lane::Normal } else { Lane::Edit }
}

/// Whether an earlier look found the access away.
pub(super) fn is_suspended(old: &ManagedClusterStatus) -> bool {
    find(&old.conditions, ConditionType::AccessEntryReady).is_some_and(|entry| entry.reason == SUSPENDED)
}

pub(super) fn management(context: &Context, name: &str) -> Result<Management, Blocked> {
    let object = context.management_role(name).ok_or_else(|| missing(name))?;
    match &object.0 {
        Err(broken) => Err(unreadable(name, &broken.error)),
        Ok(object) => {
            found_here(name, object, context)?;
            read_by(name, object, Management::read).map(|read| read.guarding(&context.guarded))
        }
    }
}

fn missing(name: &str) -> Blocked {
    Blocked::ManagementRoleMissing { name: name.to_owned() }
}

fn unreadable(name: &str, why: &str) -> Blocked {
    let why = unparsable::in_words(name, why);
    Blocked::ManagementRoleNotReady {
        why,
        stalled: true,
        copy: None,
    }
}

fn read_by(
    name: &str,
    object: &ManagementRole,
    read: impl FnOnce(&ManagementRole) -> Result<Management, NoManagement>,
) -> Result<Management, Blocked> {
    read(object).map_err(|none| match none {
        NoManagement::Missing(_) => missing(name),
        NoManagement::Unreadable(why) => Blocked::ManagementRoleNotReady {
            why,
            stalled: true,
            copy: None,
        },
        NoManagement::NotReady { why, stalled, copy } => Blocked::ManagementRoleNotReady { why, stalled, copy },
    })
}

/// What taking access away needs of the `ManagementRole`: the way into accounts. That never changes, and is read also of
/// one that does not parse.
pub(super) async fn way_in(context: &Context, name: &str) -> Result<Result<Management, Blocked>, KubernetesError> {
    let Some(object) = context.management_role(name) else {
        return Ok(Err(missing(name)));
    };
    let broken = match &object.0 {
        Ok(object) => return Ok(for_removal(name, object, context)),
        Err(broken) => broken,
    };
    let Some(stored) = objects::stored::<ManagementRole>(&context.client, name).await? else {
        return Ok(Err(missing(name)));
    };
    let value = serde_json::to_value(&stored).unwrap_or_default();
    Ok(match unparsable::read(&value) {
        Ok(object) => for_removal(name, &object, context),
        Err(why) => Err(unreadable(name, &format!("{}; {why}", broken.error))),
    })
}

fn for_removal(name: &str, object: &ManagementRole, context: &Context) -> Result<Management, Blocked> {
    found_here(name, object, context)?;
    read_by(name, object, Management::read_for_removal)
}

/// What a status says that was restored from another hub is not true here, unless a person has confirmed this one; the first
/// pass over the `ManagementRole` tells.
fn found_here(name: &str, object: &ManagementRole, context: &Context) -> Result<(), Blocked> {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice());
    if is_false(conditions.unwrap_or_default(), ConditionType::HubReady) {
        // It was looked at, nothing is given by it, and it says more itself.
        return Ok(());
    }
    let hub = object.status.as_ref().and_then(|status| status.hub.as_ref());
    let Some(recorded) = hub.and_then(|hub| hub.issuer.as_deref()) else {
        return Ok(());
    };
    let annotations = object.metadata.annotations.as_ref();
    let confirmed = annotations.and_then(|all| all.get(CONFIRM_HUB)).map(String::as_str);
    if !context.here.is_none_of(&[recorded, confirmed.unwrap_or_default()]) {
        return Ok(());
    }
    Err(Blocked::ManagementRoleNotReady {
        why: format!(
            "ManagementRole {name} was made ready on another hub, with the issuer {recorded}: nothing is done for it before its hub was looked at here; `kubectl describe mgr {name}` says what comes of that"
        ),
        stalled: false,
        copy: None,
    })
}

/// The way into a cluster's account: a session that can touch this one cluster and role only.
pub(super) fn door(identity: &Identity, management: &Management) -> Door {
    let deployer = identity.deployer(&management.hub);
    Door {
        provisioner: management
            .hub
            .provisioner(&identity.cluster.account, &management.provisioner),
        external_id: management.external_id.clone(),
        region: identity.cluster.region.clone(),
        session_name: aws::session_name(&management.hub, &identity.name),
        session_policy: aws::grants::session_policy_for_cluster(
            &management.hub,
            &identity.cluster,
            &deployer,
            identity.existing.is_none(),
        ),
        object: identity.uid.clone(),
    }
}
