//! What is written of a walk, and of what cannot be walked.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Resource, ResourceExt, runtime::reflector::ObjectRef};
use serde_json::Value;
use tracing::info;

use super::{Context, Guarded, WalkError};
use crate::{
    access::{
        Subject,
        status::{self, not_walked},
    },
    api::{
        ManagedCluster,
        condition::{ConditionType, Finding, find},
    },
    kubernetes::objects,
    managed_cluster::now,
};

/// Writes the condition where it changed, with the generation of the spec that was walked. Of an object that was never
/// moored, nothing is said.
pub(super) async fn tell(
    context: &Context,
    walked: &Guarded<ManagedCluster>,
    generation: Option<i64>,
    finding: &Finding,
) -> Result<(), WalkError> {
    let name = walked.name_any();
    // The watch may have brought something since the walk began: an object made anew is not the one that was walked.
    let now_there = context.clusters.get(&ObjectRef::new(&name));
    let Some(cluster) = now_there.as_ref().and_then(|object| object.0.as_ref().ok()) else {
        return Ok(());
    };
    if cluster.metadata.uid.as_deref() != walked.meta().uid.as_deref() {
        return Ok(());
    }
    let old = cluster.status.as_ref().map_or(&[][..], |status| &status.conditions);
    if finding.reason == "NotMoored" && find(old, ConditionType::Connected).is_none() {
        return Ok(());
    }
    write(context, walked, old, finding, generation).await
}

/// Of an object that cannot be read nothing is known any more, so that what was said of it before does not stand. What it
/// says is read as far as that goes.
pub(super) async fn tell_unreadable(
    context: &Context,
    object: &Guarded<ManagedCluster>,
    error: &str,
) -> Result<(), WalkError> {
    let name = object.name_any();
    let Some(stored) = objects::stored::<ManagedCluster>(&context.client, &name).await? else {
        return Ok(());
    };
    // It may have been mended meanwhile, and is walked then.
    let readable = serde_json::to_value(&stored).and_then(serde_json::from_value::<ManagedCluster>);
    if readable.is_ok() {
        return Ok(());
    }
    let conditions = stored.data.pointer("/status/conditions").and_then(Value::as_array);
    let conditions: Vec<Condition> = conditions
        .into_iter()
        .flatten()
        .filter_map(|condition| serde_json::from_value(condition.clone()).ok())
        .collect();
    let same = stored.metadata.uid == object.meta().uid;
    if !same || find(&conditions, ConditionType::Connected).is_none() {
        return Ok(());
    }
    let trouble = if stored.metadata.deletion_timestamp.is_some() {
        Subject::going(&name)
    } else {
        Subject::unreadable("ManagedCluster", &name, error)
    };
    let generation = stored.metadata.generation;
    write(context, object, &conditions, &not_walked(&trouble), generation).await
}

/// Writes the condition where it is another than the one that is there.
async fn write(
    context: &Context,
    walked: &Guarded<ManagedCluster>,
    there: &[Condition],
    finding: &Finding,
    generation: Option<i64>,
) -> Result<(), WalkError> {
    let name = walked.name_any();
    let uid = walked.meta().uid.as_deref().unwrap_or_default();
    let written = context.turns.written(uid);
    let Some(condition) = status::changed(there, written.as_ref(), finding, generation, now()) else {
        return Ok(());
    };
    info!(
        object = name,
        connected = condition.status,
        reason = condition.reason,
        message = condition.message,
        "the chain was walked, and what is known of it changed"
    );
    match status::write(&Api::all(context.client.clone()), &name, &condition).await {
        // It was deleted meanwhile.
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    }
    context.turns.wrote(uid, condition);
    Ok(())
}
