//! A spec that is edited, and one that is paused.

use kube::api::{Patch, PatchParams};
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage,
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, Setting, World,
    hands::loose_trust,
    manifest::{ADMIN, EDIT, VIEW},
    message,
};

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_made_true_in_place_and_a_pause_stops_every_write() {
    let world = World::ready(Setting::of(&[
        "222222222222/eu-west-1/narrowed",
        "222222222222/eu-west-1/rescoped",
        "222222222222/eu-west-1/grouped",
        "333333333333/eu-west-1/labelled",
        "333333333333/eu-west-1/tagged",
        "333333333333/eu-west-1/paused",
        "333333333333/eu-west-1/unborn",
        "444444444444/eu-west-1/refused",
    ]))
    .await;
    tokio::join!(
        narrowed(&world),
        rescoped(&world),
        grouped(&world),
        labelled(&world),
        tagged(&world),
        paused(&world),
        unborn(&world),
    );
    world.never_denied();
    taken_away_though_what_comes_instead_is_refused(&world).await;
}

/// A spec that was narrowed does not leave the wider access standing because AWS refuses the narrower one.
async fn taken_away_though_what_comes_instead_is_refused(world: &World) {
    world.moored("refused").await;
    let faults = world.stage.aws.faults();
    let denied = Fault::on("AssociateAccessPolicy", Effect::AccessDenied).in_account("444444444444");
    let denied = faults.add(denied).unwrap();
    let narrower = json!({"spec": {"access": {"policies": [{"name": VIEW}]}}});
    world.patch("ManagedCluster", "refused", narrower).await;
    let told = world.until_reason("ManagedCluster", "refused", "AccessDenied").await;
    assert!(
        message(&told).starts_with("Argo CD has no access policy and no group on this cluster now: "),
        "{}",
        message(&told)
    );
    assert_eq!(
        world.seen_entry("refused").unwrap().policies,
        pairs(&[]),
        "not the wider one"
    );
    faults.remove(denied);
    world.ask("ManagedCluster", "refused").await;
    world.is_ready("ManagedCluster", "refused").await;
    assert_eq!(world.seen_entry("refused").unwrap().policies, pairs(&[(VIEW, "*")]));
}

/// Where another cluster takes up all of an account's turns, an object is looked at all the same once a person changes it:
/// one that waits for its own turn does not stand in the queue with a spec that nobody wants any more, and neither does one
/// that was made long ago.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_overtakes_the_queue_of_its_account_though_the_object_was_never_looked_at() {
    let spokes = ["busy", "queued", "known"].map(|name| format!("222222222222/eu-west-1/{name}"));
    let setting = Setting::of(&spokes.each_ref().map(String::as_str));
    let world = World::ready(setting.flag(&["--passes-per-account", "1"])).await;
    world.moored("known").await;
    let faults = world.stage.aws.faults();
    let hung = faults.add(Fault::on("CreateRole", Effect::Hang).first(1)).unwrap();
    world.moor("busy", json!({})).await;
    world
        .eventually("the role to be asked for", async || {
            let calls = world.calls("busy", 0);
            calls.iter().any(|call| call.operation == "CreateRole").then_some(())
        })
        .await;
    world.moor("queued", json!({})).await;
    world
        .eventually("the object to wait", async || {
            let waits = |line: &str| line.contains("asking for its turn") && line.contains("queued");
            world.log().lines().any(waits).then_some(())
        })
        .await;
    assert!(world.calls("queued", 0).is_empty(), "its turn has not come");
    let narrower = json!({"spec": {"access": {"policies": [{"name": VIEW}]}}});
    for name in ["queued", "known"] {
        world.patch("ManagedCluster", name, narrower.clone()).await;
        world.is_ready("ManagedCluster", name).await;
        assert_eq!(
            world.seen_entry(name).unwrap().policies,
            pairs(&[(VIEW, "*")]),
            "{name}"
        );
    }
    assert_eq!(world.writes("busy", 0), ["CreateRole"], "it still waits for its answer");
    faults.remove(hung);
}

/// Edits the spec and waits until that is what Argo CD has; gives the writes that it took.
async fn edited(world: &World, name: &str, spec: Value) -> Vec<String> {
    let before = world.get("ManagedCluster", name).await.unwrap();
    let mark = world.mark();
    world.patch("ManagedCluster", name, json!({"spec": spec})).await;
    let after = world.is_ready("ManagedCluster", name).await;
    assert_ne!(
        after["metadata"]["generation"], before["metadata"]["generation"],
        "{name}"
    );
    let writes = world.writes(name, mark);
    let (mark, audit) = (world.mark(), world.audit_mark().await);
    world.whole_pass("ManagedCluster", name).await;
    assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    let own = world.kubernetes_writes(audit).await;
    let own: Vec<_> = own.iter().filter(|write| write.name == name).collect();
    assert!(own.is_empty(), "{name}: {own:#?}");
    writes
}

fn pairs(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The narrower policy comes first, so that there is no moment without access, and then the wider one goes.
async fn narrowed(world: &World) {
    world.moored("narrowed").await;
    let role = world.seen_role("narrowed").unwrap();
    let narrower = json!({"access": {"policies": [{"name": VIEW, "namespaces": ["team-a"]}]}});
    let writes = edited(world, "narrowed", narrower).await;
    assert_eq!(writes, ["AssociateAccessPolicy", "DisassociateAccessPolicy"]);
    assert_eq!(
        world.seen_entry("narrowed").unwrap().policies,
        pairs(&[(VIEW, "team-a")])
    );
    assert_eq!(world.seen_role("narrowed").unwrap(), role);
    let data = world.secret("narrowed").await.unwrap().data.unwrap();
    assert_eq!(
        data["namespaces"].0, b"team-a",
        "Argo CD is held to what the policies give"
    );
    let writes = edited(world, "narrowed", json!({"access": {"policies": [{"name": ADMIN}]}})).await;
    assert_eq!(writes, ["AssociateAccessPolicy", "DisassociateAccessPolicy"]);
    let data = world.secret("narrowed").await.unwrap().data.unwrap();
    assert!(!data.contains_key("namespaces"));
}

async fn rescoped(world: &World) {
    world
        .moor("rescoped", json!({"access": {"policies": [{"name": EDIT}]}}))
        .await;
    world.is_ready("ManagedCluster", "rescoped").await;
    let held = json!({"access": {"policies": [{"name": EDIT, "namespaces": ["a", "b"]}]}});
    assert_eq!(edited(world, "rescoped", held).await, ["AssociateAccessPolicy"]);
    assert_eq!(world.seen_entry("rescoped").unwrap().policies, pairs(&[(EDIT, "a,b")]));
    let fewer = json!({"access": {"policies": [{"name": EDIT, "namespaces": ["b"]}]}});
    assert_eq!(edited(world, "rescoped", fewer).await, ["AssociateAccessPolicy"]);
    assert_eq!(world.seen_entry("rescoped").unwrap().policies, pairs(&[(EDIT, "b")]));
}

async fn grouped(world: &World) {
    let groups = |groups: &[&str]| json!({"access": {"kubernetesGroups": groups}});
    world.moored("grouped").await;
    for wanted in [&["team-a", "team-b"][..], &["team-b"], &[]] {
        assert_eq!(edited(world, "grouped", groups(wanted)).await, ["UpdateAccessEntry"]);
        let seen = world.seen_entry("grouped").unwrap().groups;
        assert_eq!(seen, wanted.iter().map(|group| (*group).to_owned()).collect());
    }
    // Groups alone are access too.
    let only = json!({"access": {"kubernetesGroups": ["team-a"], "policies": []}});
    assert_eq!(
        edited(world, "grouped", only).await,
        ["UpdateAccessEntry", "DisassociateAccessPolicy"]
    );
    // The policy that comes instead of the group is there before the group goes.
    let exchanged = json!({"access": {"kubernetesGroups": [], "policies": [{"name": VIEW}]}});
    assert_eq!(
        edited(world, "grouped", exchanged).await,
        ["AssociateAccessPolicy", "UpdateAccessEntry"]
    );
}

async fn labelled(world: &World) {
    world.moored("labelled").await;
    let before = world.secret("labelled").await.unwrap();
    let full = json!({"argocd": {
        "labels": {"env": "prod", "tier": "1"}, "annotations": {"example.com/vpc": "v"}, "project": "team", "shard": 2,
        "namespaces": ["a"], "clusterResources": true,
    }});
    assert_eq!(edited(world, "labelled", full).await, Vec::<String>::new());
    let secret = world.secret("labelled").await.unwrap();
    let labels = secret.metadata.labels.unwrap();
    assert_eq!((labels["env"].as_str(), labels["tier"].as_str()), ("prod", "1"));
    assert_eq!(secret.data.unwrap()["project"].0, b"team");
    let less = json!({"argocd": {
        "labels": {"env": "test", "tier": null}, "annotations": null, "project": null, "shard": null, "namespaces": null,
        "clusterResources": null,
    }});
    assert_eq!(edited(world, "labelled", less).await, Vec::<String>::new());
    let after = world.secret("labelled").await.unwrap();
    let labels = after.metadata.labels.unwrap();
    assert_eq!((labels["env"].as_str(), labels.contains_key("tier")), ("test", false));
    assert!(!after.metadata.annotations.unwrap().contains_key("example.com/vpc"));
    assert_eq!(after.data, before.data, "keys that the spec no longer sets are gone");
    assert_eq!(
        after.metadata.uid, before.metadata.uid,
        "Argo CD shards by the Secret's UID"
    );
}

async fn tagged(world: &World) {
    world.moored("tagged").await;
    let tags = json!({"access": {"deployerRole": {"tags": {"owner": "finance"}}}});
    assert_eq!(edited(world, "tagged", tags).await, ["TagRole", "TagResource"]);
    assert_eq!(world.seen_role("tagged").unwrap().tags["owner"], "finance");
    assert_eq!(world.seen_entry("tagged").unwrap().tags["owner"], "finance");
}

/// The patch that sets a pause, or takes it off with null.
pub(crate) fn pause(value: Value) -> Value {
    let mut patch = json!({"metadata": {"annotations": {}}});
    patch["metadata"]["annotations"]["mooring.dev/paused"] = value;
    patch
}

async fn paused(world: &World) {
    world.moored("paused").await;
    let role = world.seen_role("paused").unwrap();
    world.patch("ManagedCluster", "paused", pause(json!("true"))).await;
    let ready = world.until_reason("ManagedCluster", "paused", "Paused").await;
    assert!(stage::is_ready(&ready), "nothing is to be done: {}", message(&ready));
    let (mark, audit) = (world.mark(), world.audit_mark().await);
    let secret = world.secret("paused").await.unwrap().metadata;
    let torn = json!({"metadata": {"labels": {"argocd.argoproj.io/secret-type": null}}});
    let params = PatchParams::default();
    let own = secret.name.as_deref().unwrap();
    world.secrets().patch(own, &params, &Patch::Merge(torn)).await.unwrap();
    let told = opened_by_hand(world, "paused").await;
    assert!(
        message(&told).contains("restore the trust policy of paused-"),
        "{}",
        message(&told)
    );
    // An edit is not made true either, and neither is a removal.
    world
        .patch(
            "ManagedCluster",
            "paused",
            json!({"spec": {"access": {"kubernetesGroups": ["team-a"]}}}),
        )
        .await;
    let told = world
        .until("ManagedCluster", "paused", |object| {
            message(object).contains("set the Kubernetes groups")
        })
        .await;
    assert_eq!(told["status"]["observedGeneration"], told["metadata"]["generation"]);
    assert_eq!(world.writes("paused", mark), Vec::<String>::new());
    let written = world.kubernetes_writes(audit).await.into_iter();
    let of_the_secret: Vec<_> = written.filter(|call| call.name == own).collect();
    assert!(of_the_secret.is_empty(), "{of_the_secret:?}");
    assert!(message(&told).contains("cluster Secret"), "{}", message(&told));
    world.patch("ManagedCluster", "paused", pause(Value::Null)).await;
    world.until_reason("ManagedCluster", "paused", "Moored").await;
    assert_eq!(
        world.writes("paused", mark),
        ["UpdateAssumeRolePolicy", "UpdateAccessEntry"]
    );
    assert_eq!(world.seen_role("paused").unwrap(), role);

    // What somebody changes during a pause is drift, once there is no edit beside it.
    world.patch("ManagedCluster", "paused", pause(json!("true"))).await;
    world.until_reason("ManagedCluster", "paused", "Paused").await;
    opened_by_hand(world, "paused").await;
    world.patch("ManagedCluster", "paused", pause(Value::Null)).await;
    world
        .told("paused", "DriftMended: done: restore the trust policy of paused-")
        .await;
    assert_eq!(world.seen_role("paused").unwrap(), role);

    world.patch("ManagedCluster", "paused", pause(json!("true"))).await;
    world.until_reason("ManagedCluster", "paused", "Paused").await;
    world.delete("ManagedCluster", "paused").await;
    let kept = world
        .until("ManagedCluster", "paused", |object| {
            message(object).contains("let the removal go on")
        })
        .await;
    assert!(kept["metadata"]["deletionTimestamp"].is_string());
    assert!(world.seen_role("paused").is_some() && world.secret("paused").await.is_some());
    world.patch("ManagedCluster", "paused", pause(Value::Null)).await;
    world.until_gone("ManagedCluster", "paused").await;
    assert_eq!(world.seen_role("paused"), None);
}

/// Has the role of a paused cluster let more in than ours, and gives what is told of it.
async fn opened_by_hand(world: &World, name: &str) -> Value {
    let loose = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    world.role(name, "UpdateAssumeRolePolicy", loose);
    world.ask("ManagedCluster", name).await;
    let waits = |object: &Value| stage::ready(object) == ("False".to_owned(), "Paused".to_owned());
    world.until("ManagedCluster", name, waits).await
}

/// A cluster that is paused from the start says what would be made.
async fn unborn(world: &World) {
    // Another cluster of the account, so that only the pause stands in the way.
    world.is_ready("ManagedCluster", "tagged").await;
    let spoke = world.cluster("unborn").clone();
    let mut manifest = crate::support::manifest::managed_cluster(&spoke, json!({}));
    manifest["metadata"]["annotations"] = json!({"mooring.dev/paused": "true"});
    world.apply(&manifest).await;
    let told = world.until_reason("ManagedCluster", "unborn", "Paused").await;
    for words in [
        "create role arn:aws:iam::333333333333:role/mooring/",
        "create the access entry",
        "create cluster Secret",
    ] {
        assert!(message(&told).contains(words), "{}", message(&told));
    }
    assert_eq!((world.seen_role("unborn"), world.seen_entry("unborn")), (None, None));
    assert!(world.secret("unborn").await.is_none());
    assert_eq!(world.writes("unborn", 0), Vec::<String>::new());
    // Nothing was made, so nothing holds it.
    world
        .patch(
            "ManagedCluster",
            "unborn",
            json!({"metadata": {"annotations": {"mooring.dev/paused": null}}}),
        )
        .await;
    world.is_ready("ManagedCluster", "unborn").await;
}
