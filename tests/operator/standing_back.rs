//! Removals that stand back: what they would do is told, and what is suspended gives no access while it waits.

use mooring_sandbox::{
    aws::{Effect, Fault},
    stage,
};
use serde_json::{Value, json};

use crate::{
    letting_go::{application, argocd},
    support::{Setting, World, condition, message},
};

fn mode(mode: &str) -> Value {
    json!({"spec": {"mode": mode}})
}

fn pause(value: &Value) -> Value {
    json!({"metadata": {"annotations": {"mooring.dev/paused": value}}})
}

fn steps(object: &Value) -> Vec<&str> {
    let steps = object["status"]["plan"]["steps"].as_array().into_iter().flatten();
    steps.map(|step| step.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_stands_back_tells_what_is_left_and_one_that_is_suspended_gives_no_access() {
    let spokes = [
        "222222222222/eu-west-1/used",
        "333333333333/eu-west-1/kept",
        "444444444444/eu-west-1/uncut",
        "555555555555/eu-west-1/overtaken",
    ];
    let world = World::ready(Setting::of(&spokes).flag(&["--confirm-after", "2s"])).await;
    argocd(&world).await;
    tokio::join!(used(&world), kept(&world), overtaken(&world));
    world.never_denied();
    uncut(&world).await;
}

/// What is kept is let go of once its access is known to be away, and not before.
async fn uncut(world: &World) {
    let name = "uncut";
    world.moored(name).await;
    let faults = world.stage.aws.faults();
    let refused = Fault::on("DeleteAccessEntry", Effect::AccessDenied).in_account("444444444444");
    let refused = faults.add(refused).unwrap();
    let spec = json!({"spec": {"mode": "Suspended", "deletion": {"policy": "Retain"}}});
    world.patch("ManagedCluster", name, spec).await;
    world.until_reason("ManagedCluster", name, "AccessDenied").await;
    world.delete("ManagedCluster", name).await;
    let waits = |object: &Value| {
        message(object).starts_with("spec.mode is Suspended, and Argo CD's access still stands")
            && message(object).contains("there is no cluster Secret")
    };
    world.until("ManagedCluster", name, waits).await;
    // Longer than two looks are apart that must agree.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    // A second pass begins after the first has ended.
    for _ in 0..2 {
        let mark = world.mark();
        world.ask("ManagedCluster", name).await;
        world
            .eventually("a pass", async || {
                let calls = world.calls(name, mark);
                calls
                    .iter()
                    .any(|call| call.operation == "DeleteAccessEntry")
                    .then_some(())
            })
            .await;
    }
    let told = world.until("ManagedCluster", name, waits).await;
    assert!(message(&told).contains("eks:DeleteAccessEntry"), "{}", message(&told));
    assert_eq!(condition(&told, "Stalled").unwrap().1, "AccessDenied");
    assert_eq!(condition(&told, "AccessEntryReady").unwrap().1, "AccessDenied");
    assert!(world.seen_entry(name).is_some());
    faults.remove(refused);
    world.ask("ManagedCluster", name).await;
    world.until_gone("ManagedCluster", name).await;
    assert!(world.seen_entry(name).is_none() && world.seen_role(name).is_some());
}

async fn used(world: &World) {
    let name = "used";
    world.moored(name).await;
    application(world, "team-a/shop", json!({"name": name})).await;
    world.patch("ManagedCluster", name, mode("Observe")).await;
    world.until_reason("ManagedCluster", name, "Observe").await;
    let mark = world.mark();
    world.delete("ManagedCluster", name).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            stage::ready(object).1 == "Observe" && message(object).contains("the object is being removed")
        })
        .await;
    let (secret, role) = (world.secret(name).await.unwrap(), world.seen_role(name).unwrap());
    let left = [
        format!("delete cluster Secret {}", secret.metadata.name.clone().unwrap()),
        "delete the access entry".to_owned(),
        format!("delete role {}", world.deployer(name).name),
    ];
    assert_eq!(steps(&told), left);
    let blocked = told["status"]["plan"]["blocked"].to_string();
    for text in [&blocked, &message(&told)] {
        assert!(
            text.contains("1 Application still deploys to this cluster (team-a/shop)"),
            "{text}"
        );
    }
    assert_eq!(world.writes(name, mark), Vec::<String>::new());
    assert!(world.seen_entry(name).is_some());

    // Somebody has an emergency while the removal waits: the access goes at once, and nothing else.
    world.patch("ManagedCluster", name, mode("Suspended")).await;
    let told = world
        .until_reason("ManagedCluster", name, "ApplicationsStillTargeting")
        .await;
    assert_eq!(world.seen_entry(name), None);
    assert_eq!(world.writes(name, mark), ["DeleteAccessEntry"]);
    assert_eq!(condition(&told, "AccessEntryReady").unwrap().1, "Suspended");
    assert!(told["status"]["plan"].is_null());
    for part in [
        "(team-a/shop)",
        "Argo CD cannot reach the cluster",
        "kubectl patch mgc used --type merge",
        "whileInUse",
    ] {
        assert!(message(&told).contains(part), "{part}: {}", message(&told));
    }
    assert_eq!(condition(&told, "Stalled").unwrap().1, "ApplicationsStillTargeting");
    world.told(name, "AccessTakenAway: ").await;
    assert_eq!(world.seen_role(name).unwrap().id, role.id);
    assert_eq!(world.secret(name).await.unwrap().metadata.uid, secret.metadata.uid);

    // Nothing gives it back while the object is being removed, and what hangs then hangs on.
    world.patch("ManagedCluster", name, mode("Enforce")).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && message(object).contains("its access entry is gone already, and a removal gives no access back")
        })
        .await;
    assert!(
        message(&told).contains("Argo CD cannot reach the cluster") && !message(&told).contains("To take it down"),
        "{}",
        message(&told)
    );
    assert_eq!(condition(&told, "AccessEntryReady").unwrap().1, "Removed");
    assert_eq!(world.writes(name, mark), ["DeleteAccessEntry"]);

    world.patch("ManagedCluster", name, pause(&json!("true"))).await;
    let told = world.until_reason("ManagedCluster", name, "Paused").await;
    assert!(
        message(&told).contains(&format!("run `kubectl annotate mgc {name} mooring.dev/paused-`")),
        "{}",
        message(&told)
    );
    let proceed = json!({"spec": {"deletion": {"whileInUse": "Proceed"}}});
    world.patch("ManagedCluster", name, proceed).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && stage::ready(object).1 == "Paused"
        })
        .await;
    assert!(!message(&told).contains("team-a/shop"), "{}", message(&told));
    assert!(message(&told).contains("delete role used-"), "{}", message(&told));
    assert_eq!(world.writes(name, mark), ["DeleteAccessEntry"]);
    world.patch("ManagedCluster", name, pause(&Value::Null)).await;
    world.until_gone("ManagedCluster", name).await;
    assert!(world.secret(name).await.is_none() && world.seen_role(name).is_none());
}

/// A removal that keeps role and entry keeps no entry of what is suspended.
async fn kept(world: &World) {
    let name = "kept";
    world.moored(name).await;
    world.patch("ManagedCluster", name, pause(&json!("true"))).await;
    world.until_reason("ManagedCluster", name, "Paused").await;
    let spec = json!({"spec": {"mode": "Suspended", "deletion": {"policy": "Retain"}}});
    world.patch("ManagedCluster", name, spec).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            message(object).contains("delete the access entry")
        })
        .await;
    assert_eq!(stage::ready(&told), ("False".to_owned(), "Paused".to_owned()));
    world.delete("ManagedCluster", name).await;
    let told = world
        .until("ManagedCluster", name, |object| {
            message(object)
                .contains("so Mooring neither takes that away nor removes this object: run `kubectl annotate")
        })
        .await;
    assert!(!message(&told).contains("delete role"), "{}", message(&told));
    for says in [
        "spec.mode is Suspended, and Argo CD's access still stands: ",
        "What is then done: delete the access entry; delete cluster Secret ",
        "; keep the deployer role, since spec.deletion.policy is Retain",
    ] {
        assert!(message(&told).contains(says), "{}", message(&told));
    }
    let of_entry = condition(&told, "AccessEntryReady").unwrap();
    assert_eq!((of_entry.0.as_str(), of_entry.1.as_str()), ("False", "Paused"));
    assert!(world.seen_entry(name).is_some() && world.secret(name).await.is_some());
    world.patch("ManagedCluster", name, pause(&Value::Null)).await;
    world.until_gone("ManagedCluster", name).await;
    assert_eq!(world.seen_entry(name), None);
    assert!(world.secret(name).await.is_none() && world.seen_role(name).is_some());
}

/// What was done is told, also where somebody changes the object right then, so that the rest of the pass ends without a word.
async fn overtaken(world: &World) {
    let name = "overtaken";
    world.moored(name).await;
    world.patch("ManagedCluster", name, pause(&json!("true"))).await;
    world.until_reason("ManagedCluster", name, "Paused").await;
    world.patch("ManagedCluster", name, mode("Suspended")).await;
    world.delete("ManagedCluster", name).await;
    let faults = world.stage.aws.faults();
    let held = Fault::on("DeleteAccessEntry", Effect::Hang)
        .in_account(&world.cluster(name).account)
        .in_session(&format!("{name}@{}", world.stage.fleet.hub.name))
        .first(1);
    let held = faults.add(held).unwrap();
    world.patch("ManagedCluster", name, pause(&Value::Null)).await;
    world
        .eventually("the access entry is being deleted", async || {
            (faults.struck(held) > 0).then_some(())
        })
        .await;
    let proceed = json!({"spec": {"deletion": {"whileInUse": "Proceed"}}});
    world.patch("ManagedCluster", name, proceed).await;
    world.until_gone("ManagedCluster", name).await;
    assert_eq!(world.seen_entry(name), None);
    world.told(name, "AccessTakenAway: ").await;
    faults.remove(held);
}

/// AWS judges a deletion by the tags of the entry, and one that is gone has none: what a late read makes of that is no refusal.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_suspension_deleted_and_reads_still_show_is_no_refusal() {
    let spokes = ["222222222222/eu-west-1/going", "222222222222/eu-west-1/staying"];
    let mut setting = Setting::of(&spokes).flag(&["--confirm-after", "2s"]);
    setting.aws.eks_propagation = std::time::Duration::from_secs(4);
    let world = World::ready(setting).await;
    for name in ["going", "staying"] {
        world.moored(name).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let name = "going";
    world.patch("ManagedCluster", name, mode("Observe")).await;
    world.until_reason("ManagedCluster", name, "Observe").await;
    world.delete("ManagedCluster", name).await;
    world
        .until("ManagedCluster", name, |object| {
            message(object).contains("the object is being removed")
        })
        .await;
    for name in ["going", "staying"] {
        world.patch("ManagedCluster", name, mode("Suspended")).await;
    }
    world.until_gone("ManagedCluster", name).await;
    world.until_reason("ManagedCluster", "staying", "Suspended").await;
    for _ in 0..4 {
        world.ask("ManagedCluster", "staying").await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let told = world.get("ManagedCluster", "staying").await.unwrap();
        assert_eq!(stage::ready(&told).1, "Suspended", "{}", message(&told));
        assert!(!message(&told).contains("still stands"), "{}", message(&told));
    }
    for name in ["going", "staying"] {
        let told = world.events(name).await;
        let refused: Vec<&String> = told.iter().filter(|event| event.starts_with("AccessDenied")).collect();
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(world.seen_entry(name), None);
    }
    // `Ready` said it, and what is deleted once more is no news.
    let again = (world.events("staying").await.into_iter()).filter(|event| event.starts_with("AccessTakenAway"));
    assert_eq!(again.collect::<Vec<_>>(), [""; 0]);
}
