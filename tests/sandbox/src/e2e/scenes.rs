//! What is shown, and checked.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use super::{
    argocd::NAMESPACE,
    checks::{TARGET, came_as_deployer, deployer, expect, greeting, pause, sound, synced},
    letting_go::{self, CASCADE},
    repository::{BRANCH, CONFIG_MAP, FOLDER, KEY},
    sight::Sight,
    world::World,
};
use crate::{
    aws::contract::Service as Aws,
    stage::{StageError, ready},
};

pub(super) const SERVICE: &str = "shop";

/// The first two clusters: both Applications, by their clusters' names in Argo CD.
const FIRST: [&str; 2] = ["prod-eu", "tools"];

pub(super) async fn all(world: &World<'_>) -> Result<(), StageError> {
    let revision = deploy(world).await?;
    heal(world, &revision).await?;
    let revision = break_and_mend(world).await?;
    pick_up(world, &revision).await?;
    let deployed = world.look().await?;
    letting_go::scenes(world).await?;
    last_word(world, &deployed).await
}

/// Where and how: the same for a person's Application and for those of the `ApplicationSet`.
fn spec(world: &World<'_>, project: &str, cluster: &str) -> Value {
    json!({
        "project": project,
        "source": {"repoURL": world.repository.url(), "path": FOLDER, "targetRevision": BRANCH},
        "destination": {"name": cluster, "namespace": TARGET},
        "syncPolicy": {
            "automated": {"prune": true, "selfHeal": true},
            // For ever, and often: what was refused once is to go through as soon as it can.
            "retry": {"limit": -1, "backoff": {"duration": "2s", "factor": 1, "maxDuration": "2s"}},
        },
    })
}

async fn deploy(world: &World<'_>) -> Result<String, StageError> {
    world
        .teller
        .scene("Two clusters in two accounts are moored, and an Application for each deploys");
    let revision = world.repository.commit("good morning").await?;
    for manifest in [
        include_str!("manifests/prod-eu.yaml"),
        include_str!("manifests/tools.yaml"),
    ] {
        world.stage.hub.apply_yaml(manifest).await?;
    }
    world
        .until("both clusters are moored", async |sight| {
            Ok(FIRST.iter().all(|name| sight.is_ready("ManagedCluster", name)))
        })
        .await?;
    for (cluster, project) in FIRST.into_iter().zip(["default", "tools"]) {
        let mut spec = spec(world, project, cluster);
        if cluster == "prod-eu" {
            spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true"]);
        }
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": cluster, "namespace": NAMESPACE}, "spec": spec,
        });
        world.stage.hub.apply_yaml(&application.to_string()).await?;
    }
    synced(world, &FIRST, &revision).await?;
    for cluster in FIRST {
        let greeting = greeting(world, cluster).await?;
        expect(
            greeting.as_deref() == Some("good morning"),
            "the ConfigMap is on the cluster",
        )?;
        let service = Api::<Service>::namespaced(world.stage.server(cluster)?.admin()?, TARGET);
        service.get(SERVICE).await?;
        came_as_deployer(world, cluster, cluster).await?;
    }
    world
        .teller
        .proved("the objects are on the clusters, each written by a session of that cluster's deployer role");
    Ok(revision)
}

async fn heal(world: &World<'_>, revision: &str) -> Result<(), StageError> {
    world
        .teller
        .scene("Somebody changes an object on prod-eu and deletes one on tools");
    let maps = Api::<ConfigMap>::namespaced(world.stage.server("prod-eu")?.admin()?, TARGET);
    let services = Api::<Service>::namespaced(world.stage.server("tools")?.admin()?, TARGET);
    let by_hand = Patch::Merge(json!({"data": {KEY: "changed by hand"}}));
    maps.patch(CONFIG_MAP, &PatchParams::default(), &by_hand).await?;
    services.delete(SERVICE, &DeleteParams::default()).await?;
    world
        .until("both are as they stand in Git", async |_| {
            let service = services.get_opt(SERVICE).await?;
            Ok(greeting(world, "prod-eu").await?.as_deref() == Some("good morning") && service.is_some())
        })
        .await?;
    synced(world, &FIRST, revision).await?;
    world.teller.proved("both are as they stand in Git again");
    Ok(())
}

async fn break_and_mend(world: &World<'_>) -> Result<String, StageError> {
    world
        .teller
        .scene("Mooring is paused on prod-eu, and somebody deletes the access entry there");
    pause(world, &json!("true")).await?;
    world
        .until("Mooring says that it is paused", async |sight| {
            Ok(sight
                .object("ManagedCluster", "prod-eu")
                .is_some_and(|object| ready(object).1 == "Paused"))
        })
        .await?;
    let role = deployer(world, "prod-eu").await?;
    let entry = |operation: &str| -> Result<Value, StageError> {
        let root = world.stage.aws.root("222222222222");
        let input = json!({"clusterName": "prod-eu", "principalArn": role});
        Ok(world.stage.aws.call(&root, Aws::Eks, operation, input)?)
    };
    entry("DeleteAccessEntry")?;
    world
        .until("the entry is gone everywhere", async |_| {
            Ok(entry("DescribeAccessEntry").is_err())
        })
        .await?;
    let revision = world.repository.commit("good afternoon").await?;
    let mut refused = false;
    let sight = world
        .until("Argo CD cannot deploy to prod-eu, and can to tools", async |sight| {
            // Between two attempts nothing is said of the last one.
            refused |= sight
                .application("prod-eu")
                .is_some_and(|found| found.trouble.is_some());
            Ok(refused && sight.well_at("tools", &revision))
        })
        .await?;
    expect(
        !sight.well_at("prod-eu", &revision),
        "prod-eu has not got the new revision",
    )?;
    let greeted = greeting(world, "prod-eu").await?;
    expect(
        greeted.as_deref() == Some("good morning") && entry("DescribeAccessEntry").is_err(),
        "prod-eu is as it was, and nothing has been mended while Mooring is paused",
    )?;
    world
        .teller
        .proved("Argo CD is refused on prod-eu, goes on as before on tools, and Mooring writes nothing while paused");

    world.teller.scene("Mooring goes on");
    pause(world, &Value::Null).await?;
    world
        .until("prod-eu is moored again", async |sight| {
            Ok(sight.is_ready("ManagedCluster", "prod-eu") && entry("DescribeAccessEntry").is_ok())
        })
        .await?;
    synced(world, &["prod-eu"], &revision).await?;
    world
        .teller
        .proved("the access entry is back, and what Argo CD could not deploy has gone through by itself");
    let revision = world.repository.commit("good evening").await?;
    synced(world, &FIRST, &revision).await?;
    world.teller.proved("the next commit is on both clusters");
    Ok(revision)
}

async fn pick_up(world: &World<'_>, revision: &str) -> Result<(), StageError> {
    world
        .teller
        .scene("An ApplicationSet waits for clusters with the label rollout=shop, and one is moored");
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"name": "shops", "namespace": NAMESPACE},
        "spec": {
            "goTemplate": true, "goTemplateOptions": ["missingkey=error"],
            "generators": [{"clusters": {"selector": {"matchLabels": {"rollout": "shop"}}}}],
            "template": {"metadata": {"name": "shop-{{.name}}", "finalizers": [CASCADE]}, "spec": spec(world, "default", "{{.name}}")},
        },
    });
    world.stage.hub.apply_yaml(&set.to_string()).await?;
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "ApplicationSet");
    let api: Api<DynamicObject> = Api::namespaced_with(world.stage.client()?, NAMESPACE, &ApiResource::from_gvk(&kind));
    world
        .until("the ApplicationSet has been read", async |_| {
            let set = api.get("shops").await?.data;
            let conditions = set["status"]["conditions"].as_array().cloned().unwrap_or_default();
            Ok(conditions
                .iter()
                .any(|condition| condition["type"] == "ResourcesUpToDate" && condition["status"] == "True"))
        })
        .await?;
    let sight = world.look().await?;
    expect(
        sight.applications.len() == FIRST.len(),
        "it has made no Application yet",
    )?;
    world
        .teller
        .say("no cluster has the label, and there is no Application of its");
    world
        .stage
        .hub
        .apply_yaml(include_str!("manifests/platform.yaml"))
        .await?;
    synced(world, &["shop-platform"], revision).await?;
    let greeted = greeting(world, "shared-platform").await?;
    expect(
        greeted.as_deref() == Some("good evening"),
        "the ConfigMap is on the cluster",
    )?;
    came_as_deployer(world, "platform", "shared-platform").await?;
    world
        .teller
        .proved("one manifest, and the Application was made, deployed and healthy without another hand");
    Ok(())
}

async fn last_word(world: &World<'_>, deployed: &Sight) -> Result<(), StageError> {
    world.teller.scene("What there is at the end");
    let sight = world.look().await?;
    let calls = world.stage.aws.log().all();
    sound(&calls)?;
    let mut said = world.argocd.logs()?;
    said.push(("operator", world.operator.log_text()));
    said.push(("status", serde_json::to_string(&sight.mooring)?));
    for (who, text) in &said {
        let told = text.contains("k8s-aws-v1.") || text.contains(world.argocd.token());
        expect(!told && !text.is_empty(), &format!("no token is in what {who} says"))?;
    }
    world.teller.proved(&format!(
        "{} AWS calls, each by a session of a role, and none denied; no token in any log or status",
        calls.len()
    ));
    world.teller.shows("Argo CD's Applications", &sight.table(deployed));
    Ok(())
}
