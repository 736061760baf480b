//! What the scenes wait for, look at and do by hand.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value, json};

use super::{
    argocd::CONTROLLER,
    repository::{CONFIG_MAP, KEY},
    world::World,
};
use crate::{aws::Call, control_plane::AuditMark, stage::StageError};

/// The namespace that the Applications deploy to.
pub(super) const TARGET: &str = "web";

/// The error of a thing that should hold and does not.
pub(super) fn expect(holds: bool, what: &str) -> Result<(), StageError> {
    if holds {
        Ok(())
    } else {
        Err(StageError::new(format!("this is not so: {what}")))
    }
}

/// Waits until the Applications have deployed a revision, and are healthy.
pub(super) async fn synced(world: &World<'_>, names: &[&str], revision: &str) -> Result<(), StageError> {
    let what = format!("{} Synced and Healthy at {revision}", names.join(" and "));
    world
        .until(&what, async |sight| {
            Ok(names.iter().all(|name| sight.well_at(name, revision)))
        })
        .await?;
    Ok(())
}

/// What the `ConfigMap` on a cluster says, if it is there.
pub(super) async fn greeting(world: &World<'_>, cluster: &str) -> Result<Option<String>, StageError> {
    let maps = Api::<ConfigMap>::namespaced(world.stage.server(cluster)?.admin()?, TARGET);
    let found = maps.get_opt(CONFIG_MAP).await?.and_then(|map| map.data);
    Ok(found.and_then(|data| data.get(KEY).cloned()))
}

/// Argo CD's writes on a cluster, by the cluster's own audit log, are those of the deployer role, and there are some.
pub(super) async fn came_as_deployer(world: &World<'_>, object: &str, cluster: &str) -> Result<(), StageError> {
    let role = deployer(world, object).await?;
    let session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
    // A session's ARN has the role's name without its path.
    let (account, name) = (session.split('/').next(), session.rsplit('/').next());
    let user = format!("{}/{}/", account.unwrap_or_default(), name.unwrap_or_default());
    let server = world.stage.server(cluster)?;
    let writes = server.writes_by(CONTROLLER, AuditMark::default()).await?;
    let strangers: Vec<&str> = writes
        .iter()
        .map(|call| call.user.as_str())
        .filter(|by| !by.starts_with(&user))
        .collect();
    expect(
        !writes.is_empty() && strangers.is_empty(),
        &format!("all that Argo CD wrote on {cluster} it wrote as {user}..., but: {strangers:?}"),
    )
}

pub(super) async fn deployer(world: &World<'_>, cluster: &str) -> Result<String, StageError> {
    let sight = world.look().await?;
    let object = sight.object("ManagedCluster", cluster);
    let arn = object.and_then(|object| object["status"]["deployerRole"]["arn"].as_str());
    arn.map(str::to_owned)
        .ok_or_else(|| StageError::new(format!("ManagedCluster {cluster} has no deployer role")))
}

/// Sets the annotation that has Mooring write nothing for prod-eu, or takes it away (`null`).
pub(super) async fn pause(world: &World<'_>, value: &Value) -> Result<(), StageError> {
    let patch = json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    world.stage.patch("ManagedCluster", "prod-eu", patch).await
}

/// No call was made with a key that outlives its session, and none was denied.
pub(super) fn sound(calls: &[Call]) -> Result<(), StageError> {
    let words = |call: &Call| format!("{} in {}", call.operation, call.account);
    let denied = |call: &&Call| call.error().is_some_and(|code| code.contains("AccessDenied"));
    let denied: Vec<String> = calls.iter().filter(denied).map(words).collect();
    expect(
        denied.is_empty(),
        &format!("AWS denied nothing, but: {}", denied.join(", ")),
    )?;
    let lasting = |call: &&Call| call.caller.as_ref().is_some_and(|caller| caller.session.is_none());
    let lasting: Vec<String> = calls.iter().filter(lasting).map(words).collect();
    expect(
        !calls.is_empty() && lasting.is_empty(),
        &format!("every call was a role session's, but: {}", lasting.join(", ")),
    )
}
