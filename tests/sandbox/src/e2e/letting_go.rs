//! Clusters that are removed while Argo CD deploys to them.

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use super::{
    argocd::NAMESPACE,
    checks::{TARGET, deployer, expect, greeting, synced},
    repository::CONFIG_MAP,
    scenes::SERVICE,
    world::World,
};
use crate::{
    aws::contract::Service as Aws,
    stage::{StageError, ready},
};

/// What makes Argo CD delete what an Application has deployed, before the Application goes. In the background: deletion
/// in the foreground waits for Kubernetes' garbage collector, and the clusters here are API servers alone (Argo CD, "App
/// Deletion", "About The Deletion Finalizer").
pub(super) const CASCADE: &str = "resources-finalizer.argocd.argoproj.io/background";

/// What Mooring keeps for a cluster, and the region's account that it is in.
struct Kept<'a> {
    world: &'a World<'a>,
    object: &'static str,
    cluster: &'static str,
    account: &'static str,
    role: String,
}

impl<'a> Kept<'a> {
    async fn of(
        world: &'a World<'a>,
        object: &'static str,
        cluster: &'static str,
        account: &'static str,
    ) -> Result<Self, StageError> {
        let role = deployer(world, object).await?;
        Ok(Self {
            world,
            object,
            cluster,
            account,
            role,
        })
    }

    async fn secret(&self) -> Result<Option<Secret>, StageError> {
        self.world.stage.cluster_secret(NAMESPACE, self.object).await
    }

    fn entry(&self) -> bool {
        let input = json!({"clusterName": self.cluster, "principalArn": self.role});
        let root = self.world.stage.aws.root(self.account);
        let found = self.world.stage.aws.call(&root, Aws::Eks, "DescribeAccessEntry", input);
        found.is_ok()
    }

    fn role(&self) -> bool {
        let name = self.role.rsplit('/').next().unwrap_or_default();
        let root = self.world.stage.aws.root(self.account);
        let found = self
            .world
            .stage
            .aws
            .call(&root, Aws::Iam, "GetRole", json!({"RoleName": name}));
        found.is_ok()
    }

    /// Whether what goes first is there when what goes later is gone: read in the opposite order, so that nothing that
    /// goes between two reads looks like it.
    async fn out_of_order(&self, application: &str) -> Result<Option<&'static str>, StageError> {
        let role = self.role();
        let entry = self.entry();
        let secret = self.secret().await?.is_some();
        let deployed = greeting(self.world, self.cluster).await?.is_some();
        let deploys = self.world.look().await?.application(application).is_some();
        Ok(match () {
            () if !role && entry => Some("the role went before the access entry"),
            () if !entry && secret => Some("the access entry went before the cluster Secret"),
            () if !secret && deployed => Some("the cluster Secret went before what was deployed"),
            () if !secret && deploys => Some("the cluster Secret went before the Application"),
            () => None,
        })
    }

    /// Waits until the `ManagedCluster` is gone, and everything has gone in order.
    async fn gone(&self, application: &str) -> Result<(), StageError> {
        let what = format!("ManagedCluster {} is gone", self.object);
        self.world
            .until(&what, async |sight| {
                let wrong = self.out_of_order(application).await?;
                expect(
                    wrong.is_none(),
                    &format!("in order, but: {}", wrong.unwrap_or_default()),
                )?;
                Ok(sight.object("ManagedCluster", self.object).is_none())
            })
            .await?;
        let left = self.secret().await?.is_some() || self.entry() || self.role();
        expect(!left, "neither cluster Secret nor access entry nor role is left")
    }
}

/// One that waits for its Application, and one that has ApplicationSets let go of it.
pub(super) async fn scenes(world: &World<'_>) -> Result<(), StageError> {
    block(world).await?;
    drain(world).await
}

async fn delete(world: &World<'_>, name: &str) -> Result<(), StageError> {
    let api = world.stage.mooring("ManagedCluster")?;
    api.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

fn waits(object: Option<&Value>) -> bool {
    object.is_some_and(|object| ready(object).1 == "ApplicationsStillTargeting")
}

async fn block(world: &World<'_>) -> Result<(), StageError> {
    world
        .teller
        .scene("ManagedCluster prod-eu is deleted, and an Application still deploys there (whileInUse: Block)");
    let kept = Kept::of(world, "prod-eu", "prod-eu", "222222222222").await?;
    delete(world, "prod-eu").await?;
    let sight = world
        .until("the removal waits", async |sight| {
            Ok(waits(sight.object("ManagedCluster", "prod-eu")))
        })
        .await?;
    let object = serde_json::to_string(&sight.object("ManagedCluster", "prod-eu"))?;
    expect(
        object.contains("argocd/prod-eu"),
        "the message names the Application that it waits for",
    )?;
    // As long as it waits, everything works.
    let revision = world.repository.commit("good night").await?;
    synced(world, &["prod-eu", "tools"], &revision).await?;
    let stands = kept.secret().await?.is_some() && kept.entry() && kept.role();
    expect(stands, "cluster Secret, access entry and role stand")?;
    world
        .teller
        .proved("it waits and names the Application, nothing is taken away, and the next commit is deployed");
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    let applications: Api<DynamicObject> = Api::namespaced_with(world.stage.client()?, NAMESPACE, &kind);
    let cascade = Patch::Merge(json!({"metadata": {"finalizers": [CASCADE]}}));
    applications.patch("prod-eu", &PatchParams::default(), &cascade).await?;
    applications.delete("prod-eu", &DeleteParams::default()).await?;
    world
        .teller
        .say("somebody deletes the Application, with what it has deployed");
    kept.gone("prod-eu").await?;
    emptied(world, "prod-eu").await?;
    world
        .teller
        .proved("what it had deployed went, then the Secret, the access entry and the role, in this order");
    Ok(())
}

async fn drain(world: &World<'_>) -> Result<(), StageError> {
    world.teller.scene(
        "ManagedCluster platform is deleted, and the ApplicationSet chooses it by its label (whileInUse: Drain)",
    );
    let kept = Kept::of(world, "platform", "shared-platform", "333333333333").await?;
    let sight = world.look().await?;
    expect(
        sight.application("shop-platform").is_some() && greeting(world, "shared-platform").await?.is_some(),
        "its Application is there, and what it has deployed",
    )?;
    let policy = json!({"spec": {"deletion": {"whileInUse": "Drain"}}});
    world.stage.patch("ManagedCluster", "platform", policy).await?;
    delete(world, "platform").await?;
    let mut drained = false;
    world
        .until("the ApplicationSet has let go", async |sight| {
            let labels = kept.secret().await?.and_then(|secret| secret.metadata.labels);
            let labels = labels.unwrap_or_default();
            // Read after the Secret: nobody but the ApplicationSet's controller has deleted anything.
            drained |= !labels.is_empty() && !labels.contains_key("rollout");
            Ok(sight.application("shop-platform").is_none())
        })
        .await?;
    expect(drained, "the Secret was there without the label")?;
    kept.gone("shop-platform").await?;
    emptied(world, "shared-platform").await?;
    let sight = world.look().await?;
    expect(
        sight.well_at("tools", &world.repository.head().await?),
        "tools is as it was",
    )?;
    world.teller.proved(
        "Mooring took the labels off the Secret; Argo CD's own ApplicationSet controller deleted the Application, and its \
         application controller what that had deployed; then the Secret went, the access entry and the role, in this order",
    );
    Ok(())
}

/// Nothing that Argo CD deployed is left on a cluster.
async fn emptied(world: &World<'_>, cluster: &str) -> Result<(), StageError> {
    let client = world.stage.server(cluster)?.admin()?;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), TARGET);
    let services = Api::<Service>::namespaced(client, TARGET);
    let left = maps.get_opt(CONFIG_MAP).await?.is_some() || services.get_opt(SERVICE).await?.is_some();
    expect(!left, &format!("nothing that was deployed is left on {cluster}"))
}
