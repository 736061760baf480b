//! What is done to the operator: objects applied, edited, and looked at again.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{
    Setting,
    ground::{self, Ground},
    metrics::Metrics,
    report::{Edit, Resync, Usage},
    watch::Watch,
};
use crate::stage::{ClusterSpec, StageError};

/// How many objects are created beside each other.
const CREATES: usize = 64;

/// Creates every object, many at a time, as `kubectl apply` of a folder does.
pub(super) async fn create(ground: &Ground, spokes: &[ClusterSpec]) -> Result<(), StageError> {
    let api = ground.stage.mooring("ManagedCluster")?;
    let begun = Instant::now();
    let created = stream::iter(spokes.iter().map(|spoke| {
        let api = api.clone();
        async move {
            let object: DynamicObject = serde_json::from_value(manifest(spoke))?;
            api.create(&PostParams::default(), &object).await?;
            Ok::<(), StageError>(())
        }
    }))
    .buffer_unordered(CREATES);
    let failures: Vec<StageError> = created.filter_map(|done| async { done.err() }).collect().await;
    println!(
        "  {} objects applied in {:.1} s",
        spokes.len(),
        begun.elapsed().as_secs_f64()
    );
    failures.into_iter().next().map_or(Ok(()), Err)
}

fn manifest(spoke: &ClusterSpec) -> Value {
    json!({
        "apiVersion": "mooring.dev/v1alpha1",
        "kind": "ManagedCluster",
        "metadata": {"name": spoke.name},
        "spec": {
            "accountId": spoke.account,
            "region": spoke.region,
            "access": {"policies": [{"name": ground::POLICY}]},
            "argocd": {"labels": {"env": "bench"}},
        },
    })
}

/// When half are Ready, edits one that is Ready and one that is not, both in accounts that are not the slow one, and
/// one Ready one in the slow account.
pub(super) async fn middle(ground: &Ground, setting: &Setting, watch: &Watch) -> Result<Vec<Edit>, StageError> {
    if setting.slow.is_none() {
        return Ok(Vec::new());
    }
    let spokes = &ground.stage.fleet.spokes;
    if !watch.reach(spokes.len() / 2, setting.limit).await {
        return Ok(Vec::new());
    }
    let pick = |slow: bool, ready: bool| {
        let fits =
            |spoke: &&ClusterSpec| setting.is_slow(&spoke.account) == slow && watch.is_ready(&spoke.name) == ready;
        spokes.iter().rev().find(fits).map(|spoke| spoke.name.clone())
    };
    let wanted = [
        ("Ready", pick(false, true)),
        ("not yet Ready", pick(false, false)),
        ("Ready, in the slow account", pick(true, true)),
    ];
    let edits = wanted.into_iter().filter_map(|(what, name)| Some((what, name?)));
    let edits = edits.map(|(what, name)| edit(ground, setting, watch, what, name));
    futures::future::try_join_all(edits).await
}

async fn edit(
    ground: &Ground,
    setting: &Setting,
    watch: &Watch,
    what: &'static str,
    name: String,
) -> Result<Edit, StageError> {
    let patch = Patch::Merge(json!({"spec": {"argocd": {"labels": {"env": "edited"}}}}));
    let api = ground.stage.mooring("ManagedCluster")?;
    let begun = Instant::now();
    let object = api.patch(&name, &PatchParams::default(), &patch).await?;
    let generation = object.metadata.generation.unwrap_or_default();
    let acted = watch.acted(&name, generation, setting.limit).await;
    Ok(Edit {
        what,
        name,
        took: acted.map(|at| at.saturating_duration_since(begun)),
    })
}

/// Asks for a pass of every object, and waits until the operator has counted that many.
pub(super) async fn resync(ground: &Ground, setting: &Setting) -> Result<Resync, StageError> {
    let passes = Metrics::scrape(&ground.address).await?.passes();
    let (calls, audit) = (ground.stage.aws.log().mark(), ground.stage.hub.audit_mark().await?);
    let before = Usage::of(ground)?;
    let api = ground.stage.mooring("ManagedCluster")?;
    let begun = Instant::now();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"mooring.dev/reconcile-requested-at": "bench"}}}));
    let asked = stream::iter(ground.stage.fleet.spokes.iter().map(|spoke| {
        let (api, patch) = (api.clone(), patch.clone());
        async move {
            api.patch(&spoke.name, &PatchParams::default(), &patch)
                .await
                .map(|_| ())
        }
    }))
    .buffer_unordered(CREATES);
    let failures: Vec<kube::Error> = asked.filter_map(|done| async { done.err() }).collect().await;
    if let Some(error) = failures.into_iter().next() {
        return Err(error.into());
    }
    let wanted = passes + ground.stage.fleet.spokes.len() as u64;
    let mut done = false;
    while !done && begun.elapsed() < setting.limit {
        tokio::time::sleep(Duration::from_millis(100)).await;
        done = Metrics::scrape(&ground.address).await?.passes() >= wanted;
    }
    Ok(Resync {
        took: done.then(|| begun.elapsed()),
        calls: ground.stage.aws.log().since(calls),
        writes: ground.stage.hub.writes_by(ground::AGENT, audit).await?,
        before,
        after: Usage::of(ground)?,
    })
}
