//! Who still uses a cluster that is to be let go, and how many may be let go at once.

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::Signal,
};
use serde_json::{Value, json};

use crate::{
    removal::definition,
    support::{NAMESPACE, Setting, World, folder, message},
};

/// Argo CD's two definitions, as far as they are asked for: what is in a spec may be anything.
pub(crate) async fn argocd(world: &World) {
    for (kind, plural) in [("Application", "applications"), ("ApplicationSet", "applicationsets")] {
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.argoproj.io")},
            "spec": {
                "group": "argoproj.io", "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": plural.trim_end_matches('s')},
                "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": anything}}],
            },
        });
        world.apply(&definition).await;
        world
            .eventually("Argo CD's kinds are served", async || {
                let api = of_argocd(world, kind, NAMESPACE);
                api.list(&kube::api::ListParams::default()).await.ok()
            })
            .await;
    }
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}});
    world.apply(&team).await;
}

pub(crate) fn of_argocd(world: &World, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind));
    Api::namespaced_with(world.stage.client().unwrap(), namespace, &resource)
}

/// Makes an object of Argo CD's; `id` is namespace and name.
pub(crate) async fn make(world: &World, kind: &str, id: &str, spec: Value, owner: Option<&str>) {
    let (namespace, name) = id.split_once('/').unwrap();
    let owners: Vec<Value> = owner
        .map(|owner| json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": owner, "uid": "1"}))
        .into_iter()
        .collect();
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners}, "spec": spec,
    });
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    of_argocd(world, kind, namespace)
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
}

pub(crate) async fn application(world: &World, id: &str, destination: Value) {
    make(world, "Application", id, json!({"destination": destination}), None).await;
}

pub(crate) async fn set(world: &World, id: &str, generators: Value) {
    make(world, "ApplicationSet", id, json!({"generators": generators}), None).await;
}

pub(crate) async fn unmake(world: &World, kind: &str, id: &str) {
    let (namespace, name) = id.split_once('/').unwrap();
    of_argocd(world, kind, namespace)
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
}

pub(crate) async fn waiting(world: &World, name: &str, says: &str) -> String {
    let told = world
        .until("ManagedCluster", name, |object| {
            crate::support::condition(object, "Ready")
                .is_some_and(|(_, reason, message)| reason == "ApplicationsStillTargeting" && message.contains(says))
        })
        .await;
    message(&told)
}

/// Everything stands as before the removal.
pub(crate) async fn stands(world: &World, name: &str) {
    assert!(world.secret(name).await.is_some(), "{name}");
    assert!(
        world.seen_role(name).is_some() && world.seen_entry(name).is_some(),
        "{name}"
    );
}

async fn untouched(world: &World, name: &str, mark: u64) {
    stands(world, name).await;
    assert_eq!(
        world.calls(name, mark).len(),
        0,
        "AWS is not asked while Applications are in the way"
    );
}

pub(crate) async fn gone(world: &World, name: &str) {
    world.until_gone("ManagedCluster", name).await;
    assert!(world.secret(name).await.is_none(), "{name}");
}

async fn server(world: &World, name: &str) -> String {
    let secret = world.secret(name).await.unwrap();
    String::from_utf8(secret.data.unwrap()["server"].0.clone()).unwrap()
}

fn edit(policy: &str) -> Value {
    json!({"spec": {"deletion": {"whileInUse": policy}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_applications_deploy_to_is_let_go_as_its_spec_says() {
    let world = World::ready(
        Setting::of(&[
            "222222222222/eu-west-1/blocked",
            "222222222222/eu-west-1/drained",
            "333333333333/eu-west-1/retained",
            "333333333333/eu-west-1/bare",
            "333333333333/eu-west-1/disowned",
            "444444444444/eu-west-1/odd",
            "444444444444/eu-west-1/unseen",
        ])
        .flag(&["--confirm-after", "2s"]),
    )
    .await;
    argocd(&world).await;
    // What RBAC cannot say holds the operator, too.
    let admission = folder("deploy/install").join("11-controller-admission.yaml");
    world.stage.apply_file(&admission).await.unwrap();
    tokio::join!(
        blocked(&world),
        drained(&world),
        retained(&world),
        bare(&world),
        disowned(&world),
        hub(&world)
    );
    odd(&world).await;
    unseen(&world).await;
    world.never_denied();
}

async fn blocked(world: &World) {
    world
        .moor("blocked", json!({"argocd": {"labels": {"env": "blocked"}}}))
        .await;
    world.is_ready("ManagedCluster", "blocked").await;
    let by_server = format!("{}/", server(world, "blocked").await);
    make(
        world,
        "Application",
        "argocd/shop-blocked",
        json!({"destination": {"server": by_server}}),
        Some("shops"),
    )
    .await;
    application(world, "team-a/by-name", json!({"name": "blocked"})).await;
    application(world, "team-a/elsewhere", json!({"name": "block"})).await;
    let labelled = json!({"clusters": {"selector": {"matchLabels": {"env": "blocked"}}}});
    set(
        world,
        "argocd/shops",
        json!([{"matrix": {"generators": [{"git": {}}, labelled]}}]),
    )
    .await;
    set(world, "argocd/everywhere", json!([{"clusters": {}}])).await;
    let mark = world.mark();
    world.delete("ManagedCluster", "blocked").await;
    let told = waiting(world, "blocked", "2 Applications").await;
    for part in [
        "(argocd/shop-blocked, team-a/by-name)",
        "ApplicationSet argocd/shops chooses",
        "ApplicationSet argocd/everywhere would go on without the labels",
        "cannot be drained",
        "values: [blocked]",
        "Proceed",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("elsewhere"), "{told}");
    untouched(world, "blocked", mark).await;
    world.told("blocked", "ApplicationsStillTargeting: ").await;
    // A hang-up that Argo CD says nothing of.
    let secret = world.secret("blocked").await.unwrap().metadata.name.unwrap();
    let skip = json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}});
    world
        .secrets()
        .patch(&secret, &PatchParams::default(), &Patch::Merge(skip))
        .await
        .unwrap();
    world.ask("ManagedCluster", "blocked").await;
    let told = waiting(world, "blocked", "skip-reconcile").await;
    assert!(
        told.contains(&format!("kubectl annotate secret -n argocd {secret}")),
        "{told}"
    );
    unmake(world, "Application", "team-a/by-name").await;
    // Nobody asks: it looks by itself.
    waiting(
        world,
        "blocked",
        "1 Application still deploys to this cluster (argocd/shop-blocked)",
    )
    .await;
    world.patch("ManagedCluster", "blocked", edit("Proceed")).await;
    gone(world, "blocked").await;
    assert_eq!((world.seen_role("blocked"), world.seen_entry("blocked")), (None, None));
    unmake(world, "ApplicationSet", "argocd/everywhere").await;
}

/// ApplicationSets let go first, by one write that leaves everything but the labels alone.
async fn drained(world: &World) {
    world
        .moor(
            "drained",
            json!({"argocd": {"labels": {"env": "drained"}}, "deletion": {"whileInUse": "Drain"}}),
        )
        .await;
    world.is_ready("ManagedCluster", "drained").await;
    let before = world.secret("drained").await.unwrap();
    let name = before.metadata.name.clone().unwrap();
    // A label that somebody else set may be what a generator goes by.
    let theirs = json!({"metadata": {"labels": {"theirs": "x"}}});
    world
        .secrets()
        .patch(&name, &PatchParams::default(), &Patch::Merge(theirs))
        .await
        .unwrap();
    let destination = json!({"destination": {"name": "drained"}});
    make(world, "Application", "argocd/drained", destination, Some("drains")).await;
    let selector = json!({"matchExpressions": [{"key": "env", "operator": "In", "values": ["drained"]}]});
    set(world, "argocd/drains", json!([{"clusters": {"selector": selector}}])).await;
    let without = json!({"matchExpressions": [
        {"key": "env", "operator": "DoesNotExist"}, {"key": "theirs", "operator": "NotIn", "values": ["x"]},
    ]});
    let invited = json!([{"clusters": {"selector": without}, "selector": {"matchLabels": {"name": "drained"}}}]);
    set(world, "argocd/unlabelled", invited).await;
    let mark = world.mark();
    world.delete("ManagedCluster", "drained").await;
    let told = waiting(world, "drained", "are not dropped").await;
    assert!(
        told.contains("ApplicationSet argocd/unlabelled would choose the cluster"),
        "{told}"
    );
    let labels = world.secret("drained").await.unwrap().metadata.labels.unwrap();
    assert_eq!(labels.len(), 3, "{labels:?}");
    unmake(world, "ApplicationSet", "argocd/unlabelled").await;
    world.ask("ManagedCluster", "drained").await;
    waiting(world, "drained", "are dropped").await;
    let after = world.secret("drained").await.unwrap();
    let labels = after.metadata.labels.unwrap();
    let kept: Vec<(&str, &str)> = labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(kept, [("argocd.argoproj.io/secret-type", "cluster")]);
    assert_eq!(
        (after.data, after.metadata.annotations),
        (before.data, before.metadata.annotations)
    );
    untouched(world, "drained", mark).await;
    // Argo CD needs it still, to delete what it deployed there.
    let role = world.deployer("drained").to_string();
    assert_eq!(
        world.argo_cd_reads().await["drained"]["awsAuthConfig"]["roleARN"],
        json!(role)
    );
    // What Argo CD does then.
    unmake(world, "Application", "argocd/drained").await;
    gone(world, "drained").await;
    assert_eq!(world.seen_role("drained"), None);
}

/// It is the Secret whose going orphans, so `Retain` waits as well.
async fn retained(world: &World) {
    let spec = json!({"deletion": {"policy": "Retain"}});
    world.moor("retained", spec).await;
    world.is_ready("ManagedCluster", "retained").await;
    application(world, "team-a/kept", json!({"name": "retained"})).await;
    let mark = world.mark();
    world.delete("ManagedCluster", "retained").await;
    waiting(world, "retained", "(team-a/kept)").await;
    untouched(world, "retained", mark).await;
    world.patch("ManagedCluster", "retained", edit("Proceed")).await;
    gone(world, "retained").await;
    assert!(world.seen_role("retained").is_some() && world.seen_entry("retained").is_some());
}

/// Where the Secret is gone, nothing is left to wait for; and one that Argo CD brings back is found.
async fn bare(world: &World) {
    world.moored("bare").await;
    application(world, "team-a/bare", json!({"name": "bare"})).await;
    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    world.patch("ManagedCluster", "bare", pause(json!("true"))).await;
    world.until_reason("ManagedCluster", "bare", "Paused").await;
    let mut copy = world.secret("bare").await.unwrap();
    let name = copy.metadata.name.take().unwrap();
    world.secrets().delete(&name, &DeleteParams::default()).await.unwrap();
    let faults = world.stage.aws.faults();
    let stop = Fault::on("DeleteRole", Effect::AccessDenied).in_account("333333333333");
    let stop = faults.add(stop).unwrap();
    world.delete("ManagedCluster", "bare").await;
    world.patch("ManagedCluster", "bare", pause(Value::Null)).await;
    world
        .until("ManagedCluster", "bare", |object| {
            message(object).contains("iam:DeleteRole")
        })
        .await;
    assert!(
        world.seen_entry("bare").is_none(),
        "no Application holds up what has no Secret"
    );
    // As Argo CD writes it: every label and annotation, no finalizer, and a name of its own.
    copy.metadata = kube::api::ObjectMeta {
        name: Some(format!("{name}-again")),
        labels: copy.metadata.labels,
        annotations: copy.metadata.annotations,
        ..kube::api::ObjectMeta::default()
    };
    world.secrets().create(&PostParams::default(), &copy).await.unwrap();
    faults.remove(stop);
    world.ask("ManagedCluster", "bare").await;
    waiting(world, "bare", "(team-a/bare)").await;
    assert!(world.secret("bare").await.is_some() && world.seen_role("bare").is_some());
    unmake(world, "Application", "team-a/bare").await;
    gone(world, "bare").await;
    assert_eq!(world.seen_role("bare"), None);
}

/// A Secret on which nothing tells any more whose it is, and under another name in Argo CD, is ours all the same; and as long
/// as somebody's finalizer holds it, nothing behind it goes.
async fn disowned(world: &World) {
    world.moored("disowned").await;
    application(world, "team-a/disowned", json!({"name": "disowned"})).await;
    let pause = |value: Value| json!({"metadata": {"annotations": {"mooring.dev/paused": value}}});
    world.patch("ManagedCluster", "disowned", pause(json!("true"))).await;
    world.until_reason("ManagedCluster", "disowned", "Paused").await;
    let own = world.secret("disowned").await.unwrap().metadata.name.unwrap();
    let change = async |change: Value| {
        let patch = Patch::Merge(change);
        let params = PatchParams::default();
        world.secrets().patch(&own, &params, &patch).await.unwrap();
    };
    let metadata = json!({"annotations": null, "finalizers": ["example.com/theirs"]});
    change(json!({"metadata": metadata, "stringData": {"name": "renamed"}})).await;
    world.delete("ManagedCluster", "disowned").await;
    world.patch("ManagedCluster", "disowned", pause(Value::Null)).await;
    waiting(world, "disowned", "(team-a/disowned)").await;
    let standing = async || {
        let secret = world.secrets().get_opt(&own).await.unwrap();
        secret.is_some() && world.seen_role("disowned").is_some() && world.seen_entry("disowned").is_some()
    };
    assert!(standing().await);
    unmake(world, "Application", "team-a/disowned").await;
    let held = world.until_reason("ManagedCluster", "disowned", "SecretGoing").await;
    assert!(message(&held).contains("(example.com/theirs)"), "{}", message(&held));
    world.ask("ManagedCluster", "disowned").await;
    assert!(standing().await, "the order is Secret, access entry, role");
    change(json!({"metadata": {"finalizers": null}})).await;
    gone(world, "disowned").await;
    assert!(world.secrets().get_opt(&own).await.unwrap().is_none());
    assert!(world.seen_role("disowned").is_none() && world.seen_entry("disowned").is_none());
}

/// Argo CD reads a cluster's Secret, and writes what it read of it a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_argo_cd_makes_anew_is_found_also_where_the_role_is_kept() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/again"]).flag(&["--confirm-after", "20s"])).await;
    world.moor("again", json!({"deletion": {"policy": "Retain"}})).await;
    world.is_ready("ManagedCluster", "again").await;
    let mut copy = world.secret("again").await.unwrap();
    copy.metadata = kube::api::ObjectMeta {
        name: Some("made-anew".to_owned()),
        labels: copy.metadata.labels,
        annotations: copy.metadata.annotations,
        ..kube::api::ObjectMeta::default()
    };
    world.delete("ManagedCluster", "again").await;
    world
        .eventually("the Secret goes", async || {
            world.secret("again").await.is_none().then_some(())
        })
        .await;
    world.secrets().create(&PostParams::default(), &copy).await.unwrap();
    gone(&world, "again").await;
    assert!(world.seen_role("again").is_some() && world.seen_entry("again").is_some());
}

/// What is deployed to the cluster that Argo CD runs on is not deployed by the Secret of the hub that was moored.
async fn hub(world: &World) {
    world.moored("hub").await;
    application(
        world,
        "argocd/itself",
        json!({"server": "https://kubernetes.default.svc"}),
    )
    .await;
    application(world, "argocd/by-name", json!({"name": "in-cluster"})).await;
    world.delete("ManagedCluster", "hub").await;
    gone(world, "hub").await;
}

/// An Application that cannot be read lets nothing through, and one that can be read in part is read.
async fn odd(world: &World) {
    world.moored("odd").await;
    application(world, "team-a/half", json!({"name": "odd", "server": {"of": 7}})).await;
    application(world, "team-a/none", json!(["odd"])).await;
    world.delete("ManagedCluster", "odd").await;
    let told = waiting(world, "odd", "(team-a/half)").await;
    assert!(
        told.contains("Nobody can tell where Application team-a/none deploys"),
        "{told}"
    );
    unmake(world, "Application", "team-a/half").await;
    let told = waiting(world, "odd", "Nobody can tell").await;
    assert!(world.secret("odd").await.is_some(), "{told}");
    unmake(world, "Application", "team-a/none").await;
    gone(world, "odd").await;
}

/// A look that is refused is never taken for there being nobody.
async fn unseen(world: &World) {
    world.moored("unseen").await;
    let roles: Api<ClusterRole> = Api::all(world.stage.client().unwrap());
    let mut role = roles.get("mooring-controller").await.unwrap();
    let whole = role.rules.clone();
    let of_argocd = |group: &String| group == "argoproj.io";
    role.rules
        .as_mut()
        .unwrap()
        .retain(|rule| !rule.api_groups.iter().flatten().any(of_argocd));
    assert_ne!(role.rules, whole);
    roles
        .replace("mooring-controller", &PostParams::default(), &role)
        .await
        .unwrap();
    let user = "system:serviceaccount:mooring-system:mooring-controller";
    let groups = ["system:serviceaccounts", "system:authenticated"];
    let operator = world.stage.hub.client_of_user(user, &groups).unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    let applications: Api<DynamicObject> = Api::all_with(operator, &resource);
    world
        .eventually("the right is gone", async || {
            applications.list(&kube::api::ListParams::default()).await.err()
        })
        .await;
    let mark = world.mark();
    world.delete("ManagedCluster", "unseen").await;
    let told = world
        .until_reason("ManagedCluster", "unseen", "ApplicationsUnseen")
        .await;
    for part in ["applications.argoproj.io", "10-rbac.yaml", "Proceed"] {
        assert!(message(&told).contains(part), "{part}: {}", message(&told));
    }
    untouched(world, "unseen", mark).await;
    role.rules = whole;
    role.metadata.resource_version = None;
    roles
        .replace("mooring-controller", &PostParams::default(), &role)
        .await
        .unwrap();
    gone(world, "unseen").await;
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn confirm(time: &str) -> Value {
    json!({"metadata": {"annotations": {"mooring.dev/removals-confirmed-at": time}}})
}

async fn paused(world: &World, name: &str) -> String {
    let told = world
        .until("ManagedCluster", name, |object| {
            let ready = crate::support::condition(object, "Ready");
            ready.is_some_and(|(_, reason, _)| reason == "RemovalsPaused")
                && !object["metadata"]["deletionTimestamp"].is_null()
        })
        .await;
    message(&told)
}

#[tokio::test(flavor = "multi_thread")]
async fn more_removals_in_an_hour_than_allowed_wait_for_a_person_also_after_a_restart() {
    let names = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let spokes = names.map(|name| format!("222222222222/eu-west-1/{name}"));
    let flags = ["--confirm-after", "2s", "--removals-per-hour", "2"];
    let world = World::ready(Setting::of(&spokes.each_ref().map(String::as_str)).flag(&flags)).await;
    for name in names {
        world.moor(name, json!({})).await;
    }
    for name in names {
        world.is_ready("ManagedCluster", name).await;
    }
    // As many as allowed go, one after another, and are remembered though they are gone.
    for name in ["one", "two"] {
        world.delete("ManagedCluster", name).await;
        gone(&world, name).await;
    }
    let management = world.get("ManagementRole", "default").await.unwrap();
    let recorded: Vec<&Value> = management["status"]["removals"].as_array().unwrap().iter().collect();
    assert_eq!(
        recorded.iter().map(|one| &one["name"]).collect::<Vec<_>>(),
        ["one", "two"]
    );
    world.end_operator(Signal::Kill).await;
    world.start_operator().await;
    let mark = world.mark();
    world.delete("ManagedCluster", "three").await;
    let told = paused(&world, "three").await;
    assert!(
        told.starts_with("3 removals of ManagedClusters") && told.contains("(three)"),
        "{told}"
    );
    assert!(
        told.contains("kubectl annotate mgr default --overwrite mooring.dev/removals-confirmed-at="),
        "{told}"
    );
    world.told("three", "RemovalsPaused: ").await;
    // A whole folder goes from Git while nobody looks; each says so, and each operator that starts says the same.
    world.end_operator(Signal::Kill).await;
    for name in ["four", "five", "six"] {
        world.delete("ManagedCluster", name).await;
    }
    world.start_operator().await;
    for name in ["three", "four", "five", "six"] {
        world
            .until("ManagedCluster", name, |object| message(object).contains("six, three)"))
            .await;
        world.told(name, "RemovalsPaused: ").await;
        stands(&world, name).await;
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }
    // What has not come yet is no word of anybody's.
    world
        .patch("ManagementRole", "default", confirm("2999-01-01T00:00:00Z"))
        .await;
    world
        .until("ManagedCluster", "four", |object| {
            message(object).contains("has not come yet")
        })
        .await;
    world.patch("ManagedCluster", "five", confirm(&now())).await;
    // Nobody looked for Applications meanwhile, so that one look alone says nothing.
    world
        .until_reason("ManagedCluster", "five", "ApplicationsMayReturn")
        .await;
    gone(&world, "five").await;
    world.ask("ManagedCluster", "six").await;
    world
        .until("ManagedCluster", "six", |object| {
            message(object).contains("(four, six, three)")
        })
        .await;
    for name in ["three", "four", "six"] {
        stands(&world, name).await;
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }
    world.patch("ManagementRole", "default", confirm(&now())).await;
    for name in ["three", "four", "six"] {
        gone(&world, name).await;
        assert_eq!(world.seen_role(name), None, "{name}");
    }
    // The word is spoken of what was asked for until then, and what was meant counts no more.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for name in ["seven", "eight"] {
        world.delete("ManagedCluster", name).await;
        gone(&world, name).await;
    }
    // Nor does an old word let through what is asked for later.
    world.delete("ManagedCluster", "nine").await;
    let told = paused(&world, "nine").await;
    assert!(told.contains("(nine)"), "{told}");
    stands(&world, "nine").await;
    let management = world.get("ManagementRole", "default").await.unwrap();
    assert!(
        management["status"]["role"]["id"].is_string(),
        "the record stands beside the rest of the status"
    );
    recorded_unread(&world).await;
    world.never_denied();
}

/// Nor is the record lost on an operator that starts anew where the `ManagementRole` cannot be read.
async fn recorded_unread(world: &World) {
    world.end_operator(Signal::Kill).await;
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    definition(world, ("ManagementRole", "default"), &any).await;
    world
        .patch("ManagementRole", "default", json!({"spec": {"allow": "everything"}}))
        .await;
    let mark = world.mark();
    world.start_operator().await;
    world
        .eventually("a pass that looks at what is to go", async || {
            let calls = world.calls("nine", mark);
            calls.iter().any(|call| call.operation == "GetRole").then_some(())
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let told = paused(world, "nine").await;
    assert!(told.contains("(nine)"), "{told}");
    stands(world, "nine").await;
    world.patch("ManagedCluster", "nine", confirm(&now())).await;
    gone(world, "nine").await;
}

/// A removal that only drains has begun, and can still be stopped: its labels are off, and Argo CD's way stands.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_drains_is_held_up_with_the_others_once_there_are_too_many() {
    let spokes = ["222222222222/eu-west-1/drains", "333333333333/eu-west-1/other"];
    let flags = ["--confirm-after", "2s", "--removals-per-hour", "1"];
    let world = World::ready(Setting::of(&spokes).flag(&flags)).await;
    argocd(&world).await;
    let spec = json!({"argocd": {"labels": {"env": "drains"}}, "deletion": {"whileInUse": "Drain"}});
    world.moor("drains", spec).await;
    world.is_ready("ManagedCluster", "drains").await;
    world.moored("other").await;
    let chosen = json!([{"clusters": {"selector": {"matchLabels": {"env": "drains"}}}}]);
    set(&world, "argocd/drains", chosen).await;
    let destination = json!({"destination": {"name": "drains"}});
    make(&world, "Application", "argocd/drains", destination, Some("drains")).await;
    let mark = world.mark();
    world.delete("ManagedCluster", "drains").await;
    waiting(&world, "drains", "are dropped").await;
    world.delete("ManagedCluster", "other").await;
    paused(&world, "other").await;
    unmake(&world, "Application", "argocd/drains").await;
    let told = paused(&world, "drains").await;
    let already = "the labels of this one's cluster Secret are off already";
    assert!(told.starts_with(already), "what goes on meanwhile comes first: {told}");
    assert!(
        told.contains("2 removals of ManagedClusters") && told.contains("(drains, other)"),
        "{told}"
    );
    // Longer than two looks are apart that must agree.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    for name in ["drains", "other"] {
        stands(&world, name).await;
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }
    world.patch("ManagedCluster", "drains", confirm(&now())).await;
    gone(&world, "drains").await;
    stands(&world, "other").await;
    world.patch("ManagementRole", "default", confirm(&now())).await;
    gone(&world, "other").await;
    world.never_denied();
}
