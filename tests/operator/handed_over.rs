//! What became of things of ours while nobody looked: the operator was down, or cannot read whose they are.

use kube::api::{DynamicObject, Patch, PatchParams};
use mooring_sandbox::stage::Signal;
use serde_json::{Value, json};

use crate::{
    adopt::{Wired, arn, by_hand_manager, make, ours, setting},
    removal::definition,
    support::{World, hands::iam_tags, manifest::VIEW, message},
};

const OTHER_HUB: &str = "arn:aws:eks:eu-west-1:999999999999:cluster/other";

/// The owner of the account opens role and entry to another hub, that takes them over, and both are closed again.
fn hand_over(world: &World, wired: &Wired) {
    let marks = json!({"mooring.dev/hub": OTHER_HUB, "mooring.dev/uid": "theirs", "mooring.dev/object": "theirs"});
    let role = wired.role.rsplit('/').next().unwrap();
    let tags = serde_json::from_value(marks.clone()).unwrap();
    world.iam(
        &wired.account,
        "TagRole",
        json!({"RoleName": role, "Tags": iam_tags(&tags)}),
    );
    let keys = json!(["mooring.dev/adopt"]);
    world.iam(&wired.account, "UntagRole", json!({"RoleName": role, "TagKeys": keys}));
    let entry = wired.entry(world).unwrap()["accessEntryArn"].clone();
    world.eks(&wired.name, "TagResource", json!({"resourceArn": entry, "tags": marks}));
    world.eks(
        &wired.name,
        "UntagResource",
        json!({"resourceArn": entry, "tagKeys": keys}),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_to_another_hub_while_the_operator_was_down_is_left_to_that_hub() {
    let names = ["stays", "suspended", "goes", "refused"];
    let spokes = names.map(|name| format!("222222222222/eu-west-1/{name}"));
    let spokes = spokes.each_ref().map(String::as_str);
    let world = World::ready(setting(&spokes).flag(&["--confirm-after", "2s"])).await;
    let manager = by_hand_manager(&world);
    let mut all = Vec::new();
    for name in names {
        let wired = Wired::by_hand(&world, name, &manager).await;
        wired.open(&world).await;
        world.moor(name, wired.spec()).await;
        let object = world.is_ready("ManagedCluster", name).await;
        assert!(object["status"]["accessEntry"]["arn"].is_string(), "{object}");
        all.push(wired);
    }
    world.end_operator(Signal::Terminate).await;
    let seen = |wired: &Wired| (wired.seen_role(&world), wired.entry(&world), wired.policies(&world));
    for wired in &all {
        hand_over(&world, wired);
    }
    let before: Vec<_> = all.iter().map(seen).collect();
    let suspended = json!({"spec": {"mode": "Suspended"}});
    world.patch("ManagedCluster", "suspended", suspended).await;
    world.delete("ManagedCluster", "goes").await;
    let beyond = json!({"policies": [{"name": VIEW, "namespaces": ["a"]}], "kubernetesGroups": ["others"]});
    world
        .patch("ManagedCluster", "refused", json!({"spec": {"access": beyond}}))
        .await;
    let mark = world.mark();
    world.start_operator().await;

    // What another hub gives is no matter of ours.
    let told = world.until_reason("ManagedCluster", "refused", "NotAllowed").await;
    assert!(!message(&told).contains("Besides"), "{}", message(&told));
    let told = world
        .until("ManagedCluster", "suspended", |object| {
            message(object).contains(OTHER_HUB)
        })
        .await;
    assert!(told["status"]["accessEntry"].is_null(), "{}", told["status"]);
    world.ask("ManagedCluster", "stays").await;
    let told = world
        .until("ManagedCluster", "stays", |object| message(object).contains(OTHER_HUB))
        .await;
    assert!(told["status"]["accessEntry"].is_null(), "{}", told["status"]);
    world.until_gone("ManagedCluster", "goes").await;
    let left = world.told("goes", "LeftToOthers: ").await;
    let entry = before[2].1.as_ref().unwrap()["accessEntryArn"].as_str().unwrap();
    assert!(left.contains(entry) && left.contains(&all[2].role), "{left}");
    for name in ["stays", "suspended"] {
        world.whole_pass("ManagedCluster", name).await;
    }
    for name in names {
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }
    assert_eq!(all.iter().map(seen).collect::<Vec<_>>(), before);
    world.never_denied();
}

/// An operator that starts remembers nothing, and this one cannot even read the whole status of the object that has the role.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_object_that_cannot_be_read_has_recorded_is_its_own_for_an_operator_that_starts() {
    let world = World::ready(setting(&[
        "222222222222/eu-west-1/first",
        "222222222222/eu-west-1/second",
    ]))
    .await;
    let hub = world.hub().cluster.to_string();
    make(&world, "argocd-both", &ours(&world), &[("mooring.dev/adopt", &hub)]);
    let spec = json!({"adoptExisting": true, "access": {"deployerRole": {"arn": arn("argocd-both")}}});
    world.moor("first", spec.clone()).await;
    world.is_ready("ManagedCluster", "first").await;
    world.end_operator(Signal::Terminate).await;

    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    definition(&world, ("ManagedCluster", "first"), &anything).await;
    let garbled = json!({"spec": {"access": "everything"}});
    world.patch("ManagedCluster", "first", garbled).await;
    status(&world, "first", json!({"conditions": 7})).await;
    let marks = json!(["mooring.dev/hub", "mooring.dev/uid", "mooring.dev/object"]);
    let untag = json!({"RoleName": "argocd-both", "TagKeys": marks});
    world.iam("222222222222", "UntagRole", untag);
    let mark = world.mark();
    world.moor("second", spec).await;
    world.start_operator().await;
    let told = world.until_reason("ManagedCluster", "second", "NotAdoptable").await;
    assert!(message(&told).contains("ManagedCluster first"), "{}", message(&told));
    assert_eq!(world.writes("second", mark), Vec::<String>::new());
}

/// Writes over a part of an object's status.
async fn status(world: &World, name: &str, status: Value) {
    let gvk = kube::core::GroupVersionKind::gvk("mooring.dev", "v1alpha1", "ManagedCluster");
    let resource = kube::core::ApiResource::from_gvk(&gvk);
    let api = kube::Api::<DynamicObject>::all_with(world.stage.client().unwrap(), &resource);
    let patch = json!({"status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}
