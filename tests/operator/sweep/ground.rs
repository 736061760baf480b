//! Many clusters side by side in one world, each with a story of its own: one API server, one operator, one look at all.

use std::{fmt::Debug, hash::Hash, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Resource,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use mooring_sandbox::{
    aws::{Call, contract::Service},
    control_plane::{About, ApiCall, ApiProxy},
    stage::{Signal, ready},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    applications::Sets,
    deeds,
    faults::ATTEMPTS,
    scenarios::{Act, Before, End, Scenario, of},
};
use crate::{
    letting_go,
    support::{NAMESPACE, Setting, World, get},
};

/// Accounts that the clusters are spread over. The policy of a management role has room for some ninety.
const ACCOUNTS: usize = 40;

/// More than are made: what has begun is recorded, and none is held up.
pub(super) const REMOVALS: [&str; 2] = ["--removals-per-hour", "1000"];

/// How often something is looked at that is waited for.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// A world, and what its API server holds at every moment.
pub(super) struct Ground {
    pub(super) world: World,
    /// Whether one cluster after another has its story, so that what names no object is about it.
    alone: bool,
    objects: Store<DynamicObject>,
    roles: Store<DynamicObject>,
    secrets: Store<Secret>,
    kind: ApiResource,
    watching: [JoinHandle<()>; 3],
    sets: Sets,
}

impl Drop for Ground {
    fn drop(&mut self) {
        for task in &self.watching {
            task.abort();
        }
    }
}

impl Ground {
    /// A hub, a cluster for each name, and an operator that goes through the faulting proxy.
    pub(super) async fn of(names: &[String]) -> Self {
        Self::made(names, false).await
    }

    /// The same for stories that are told one after another.
    pub(super) async fn alone(names: &[String]) -> Self {
        Self::made(names, true).await
    }

    async fn made(names: &[String], alone: bool) -> Self {
        let spokes: Vec<String> = (names.iter().enumerate())
            .map(|(number, name)| format!("{}/eu-west-1/{name}", 200_000_000_000 + number % ACCOUNTS))
            .collect();
        let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
        // So many stories at once may keep an operator waiting for longer than its lease lasts by default.
        let lasting = ["--lease-duration", "60s"];
        let flags = ["--confirm-after", "2s", "--passes-per-account", "64"];
        let mut setting = Setting::of(&spokes).flag(&flags).flag(&lasting);
        setting = setting.flag(&ATTEMPTS).flag(&REMOVALS);
        setting.proxied = true;
        setting.management["spec"]["allow"][0]["deployerRoles"] = json!(["arn:aws:iam::*:role/argocd-*"]);
        let world = World::ready(setting).await;
        letting_go::argocd(&world).await;
        world.apply(&foreign_secret()).await;
        let client = world.stage.client().unwrap();
        let kind = kind_of("ManagedCluster");
        let role = kind_of("ManagementRole");
        let (objects, watch_objects) = watched(Api::all_with(client.clone(), &kind), kind.clone());
        let (roles, watch_roles) = watched(Api::all_with(client.clone(), &role), role);
        let (secrets, watch_secrets) = watched::<Secret>(Api::namespaced(client, NAMESPACE), ());
        let watching = [watch_objects, watch_roles, watch_secrets];
        roles.wait_until_ready().await.unwrap();
        objects.wait_until_ready().await.unwrap();
        secrets.wait_until_ready().await.unwrap();
        let sets = Sets::reconcile(letting_go::of_argocd(&world, "Application", NAMESPACE), secrets.clone());
        Self {
            world,
            alone,
            objects,
            roles,
            secrets,
            kind,
            watching,
            sets,
        }
    }

    pub(super) fn proxy(&self) -> &ApiProxy {
        self.world.stage.proxied().unwrap()
    }

    /// The object as the API server has it.
    pub(super) fn object(&self, name: &str) -> Value {
        let found = self.objects.get(&ObjectRef::new_with(name, self.kind.clone()));
        found.map_or(Value::Null, |object| serde_json::to_value(object.as_ref()).unwrap())
    }

    /// The cluster Secrets of a cluster: those that say so, and those that bear its name or its server's.
    pub(super) fn secrets_of(&self, name: &str) -> Vec<Value> {
        let words = self.words(name);
        let of = |secret: &&std::sync::Arc<Secret>| {
            let annotations = secret.metadata.annotations.as_ref();
            let named = secret.metadata.name.as_deref().unwrap_or_default();
            annotations.is_some_and(|all| all.get("mooring.dev/managed-cluster").is_some_and(|of| of == name))
                || words.iter().any(|word| named.contains(word.as_str()))
        };
        let all = self.secrets.state();
        let of = all.iter().filter(of);
        of.map(|secret| serde_json::to_value(secret.as_ref()).unwrap())
            .collect()
    }

    /// Words by which requests to the API server about a cluster are known: its name, and the host in its Secret's.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let endpoint = self.world.cluster(name).endpoint().to_lowercase();
        let host = endpoint.trim_start_matches("https://").split('.').next().unwrap();
        vec![name.to_owned(), host.to_owned()]
    }

    /// The requests to the API server that are about a cluster.
    pub(super) fn about(&self, name: &str) -> About {
        let about = About::words(self.words(name));
        if self.alone { about.or_nameless() } else { about }
    }

    /// Whether the removal of a cluster was recorded before anything of it was taken away.
    pub(super) fn recorded(&self, name: &str) -> bool {
        let roles = self.roles.state();
        let recorded = |role: &std::sync::Arc<DynamicObject>| {
            let removals = role.data["status"]["removals"].as_array();
            removals.is_some_and(|all| all.iter().any(|removal| removal["name"] == name))
        };
        roles.iter().any(recorded)
    }

    /// Another operator takes over, which remembers nothing and is busy with nothing.
    pub(super) async fn fresh_operator(&self) {
        self.world.end_operator(Signal::Terminate).await;
        self.world.start_operator().await;
        let lists = About::default().or_nameless();
        let (deadline, mut still) = (tokio::time::Instant::now() + crate::support::PATIENCE, 0);
        let mut mark = self.proxy().mark();
        while still < 6 {
            assert!(tokio::time::Instant::now() < deadline, "the operator is never at rest");
            tokio::time::sleep(LOOK).await;
            let ready = self
                .world
                .operator()
                .as_ref()
                .and_then(|operator| get(operator, "/readyz"));
            let busy = !self.proxy().since(mark, &lists).is_empty() || ready.is_none_or(|(code, _)| code != 200);
            still = if busy { 0 } else { still + 1 };
            mark = self.proxy().mark();
        }
    }

    /// The name of the sessions that the operator has for a cluster.
    pub(super) fn session(&self, name: &str) -> String {
        format!("{name}@{}", self.world.stage.fleet.hub.name)
    }

    /// The calls to AWS for a cluster, from a mark on.
    pub(super) fn aws_calls(&self, name: &str, mark: u64) -> Vec<Call> {
        let session = self.session(name);
        let log = self.world.stage.aws.log();
        log.select(mark, |call| call.session() == Some(session.as_str()))
    }

    /// The requests to the API server about a cluster, from a mark on.
    pub(super) fn api_calls(&self, name: &str, mark: usize) -> Vec<ApiCall> {
        self.proxy().since(mark, &self.about(name))
    }

    /// A moment in both logs.
    pub(super) fn mark(&self) -> (u64, usize) {
        (self.world.mark(), self.proxy().mark())
    }

    /// Brings a cluster to where its scenario begins.
    pub(super) async fn prepare(&self, scenario: &Scenario, name: &str) {
        for before in &scenario.before {
            match before {
                Before::Wired => deeds::wired(&self.world, name).await,
                Before::ByHand(deed) => deed(&self.world, name).await,
                Before::Apply(spec, reason) => {
                    self.world.moor(name, of(&self.world, name, spec)).await;
                    self.until(name, reason, || self.tells(name, reason)).await;
                }
            }
        }
    }

    pub(super) async fn begin(&self, scenario: &Scenario, name: &str) {
        match &scenario.act {
            Act::Apply(spec) => self.world.moor(name, of(&self.world, name, spec)).await,
            Act::ByHand(deed) => {
                deed(&self.world, name).await;
                self.world.ask("ManagedCluster", name).await;
            }
            Act::Delete => self.world.delete("ManagedCluster", name).await,
        }
    }

    /// Whether `Ready` has a reason for the object's generation.
    fn tells(&self, name: &str, reason: &str) -> bool {
        let object = self.object(name);
        object["status"]["observedGeneration"] == object["metadata"]["generation"] && ready(&object).1 == reason
    }

    /// Whether the object says that the scenario is at its end.
    pub(super) fn ended(&self, scenario: &Scenario, name: &str) -> bool {
        match scenario.end {
            End::Gone => self.object(name).is_null(),
            End::Reason(reason) => self.tells(name, reason),
        }
    }

    /// Waits for something that is cheap to look at.
    pub(super) async fn until(&self, name: &str, what: &str, look: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + 2 * crate::support::PATIENCE;
        while !look() {
            let object = || serde_json::to_string_pretty(&self.object(name)["status"]).unwrap();
            assert!(
                tokio::time::Instant::now() < deadline,
                "{name}: still not: {what}; its status: {}\n{}",
                object(),
                self.log_of(name)
            );
            self.world.keep_running().await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks for a pass, if the object is there, and waits until it has begun to look at AWS.
    pub(super) async fn pass(&self, name: &str) {
        let (mark, _) = self.mark();
        self.world.ask("ManagedCluster", name).await;
        self.until(name, "a pass", || !self.aws_calls(name, mark).is_empty())
            .await;
    }

    /// Asks for a pass; the object may go meanwhile.
    pub(super) async fn try_to_ask(&self, name: &str) {
        let number = fastrand::u64(..).to_string();
        let patch = json!({"metadata": {"annotations": {"mooring.dev/reconcile-requested-at": number}}});
        let _ = self.world.stage.patch("ManagedCluster", name, patch).await;
    }

    /// What the operator logged about a cluster last.
    pub(super) fn log_of(&self, name: &str) -> String {
        let log = self.world.log();
        let about = log.lines().filter(|line| line.contains(name));
        let lines: Vec<String> = about.map(|line| line.chars().skip(14).take(420).collect()).collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// What holds of the whole world in the end: the operator never panicked, nobody else's Secret was touched, every
    /// Secret of ours is of an object that is there, no Application lost its cluster, and nothing was written to AWS but in
    /// the session of an object.
    pub(super) fn sound(&self, names: &[String]) {
        let log = self.world.log();
        assert!(!log.contains("panicked"), "{log}");
        let alive = self
            .world
            .operator()
            .as_ref()
            .is_some_and(|operator| operator.exited().is_none());
        assert!(alive, "the operator ended by itself");
        for secret in self.secrets.state() {
            let annotations = secret.metadata.annotations.clone().unwrap_or_default();
            let fields = secret.metadata.managed_fields.iter().flatten();
            let ours = fields.map(|entry| entry.manager.clone().unwrap_or_default());
            let ours = ours.filter(|manager| manager.starts_with("mooring") && manager != "mooring-sandbox");
            match annotations.get("mooring.dev/managed-cluster") {
                None => assert_eq!(ours.count(), 0, "{:?}", secret.metadata),
                Some(of) => assert!(!self.object(of).is_null(), "an orphan: {:?}", secret.metadata),
            }
        }
        self.sets.none_orphaned();
        let sessions: Vec<String> = names.iter().map(|name| self.session(name)).collect();
        let hub = self.session("default");
        let known = |call: &Call| {
            call.session()
                .is_none_or(|by| by == hub || sessions.iter().any(|session| session == by))
        };
        let others = self.world.stage.aws.log();
        let others = others.select(0, |call| call.write && call.service != Service::Sts && !known(call));
        assert!(others.is_empty(), "{others:?}");
    }
}

fn kind_of(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("mooring.dev", "v1alpha1", kind))
}

/// All objects that an API has, as long as the task runs. A watch that fails waits before it tries again: one that does
/// not never lets go of its thread once the runtime ends and every try fails at once, and the runtime waits for it.
pub(super) fn watched<K>(api: Api<K>, kind: K::DynamicType) -> (Store<K>, JoinHandle<()>)
where
    K: Resource<DynamicType: Clone + Eq + Hash + Send + Sync>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let writer = reflector::store::Writer::new(kind);
    let store = writer.as_reader();
    let changes = watcher(api, watcher::Config::default()).default_backoff();
    let watching = reflector::reflector(writer, changes).for_each(|_| std::future::ready(()));
    (store, tokio::spawn(watching))
}

/// A cluster Secret that somebody wired by hand, for a cluster that is not ours.
fn foreign_secret() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "by-hand", "namespace": NAMESPACE, "labels": {"argocd.argoproj.io/secret-type": "cluster"},
        },
        "stringData": {"name": "by-hand", "server": "https://by-hand.example.com", "config": "{}"},
    })
}
