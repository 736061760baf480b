//! What is wrong with one object holds up no other: one that cannot be read, and one whose AWS does not answer.

use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::{Signal, is_ready, ready},
};
use serde_json::{Value, json};

use crate::support::{HUB_ACCOUNT, Setting, World, manifest::VIEW};

const ACCOUNT: &str = "222222222222";
/// Where only the one cluster is that something is wrong with.
const REGION: &str = "us-east-1";

fn spokes() -> Setting {
    Setting::of(&[
        "222222222222/us-east-1/wrong",
        "222222222222/eu-west-1/before",
        "222222222222/eu-west-1/after",
        "333333333333/eu-west-1/elsewhere",
    ])
}

/// Lets the specs of a kind hold anything, as the definition of another release might.
async fn opened(world: &World, plural: &str, kind: &str, name: &str) {
    let gvk = kube::core::GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = kube::core::ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = Api::all_with(world.stage.client().unwrap(), &resource);
    let definition = format!("{plural}.mooring.dev");
    let mut found = api.get(&definition).await.unwrap();
    let version = &mut found.data["spec"]["versions"][0];
    let schema = &mut version["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
    version.as_object_mut().unwrap().remove("selectableFields");
    api.replace(&definition, &PostParams::default(), &found).await.unwrap();
    world
        .eventually("the other definition to be served", async || {
            world.patch(kind, name, json!({"spec": {"unknown": "kept"}})).await;
            let object = world.get(kind, name).await?;
            (object["spec"]["unknown"] == "kept").then_some(())
        })
        .await;
}

/// A new cluster is moored, one that stands is edited, and both are told.
async fn the_others_go_on(world: &World) {
    world.moor("after", json!({})).await;
    world.moor("elsewhere", json!({})).await;
    let narrower = json!({"spec": {"access": {"policies": [{"name": VIEW}]}}});
    world.patch("ManagedCluster", "before", narrower).await;
    for name in ["after", "elsewhere"] {
        world.is_ready("ManagedCluster", name).await;
        assert!(world.secret(name).await.is_some(), "{name}");
    }
    world
        .until("ManagedCluster", "before", |object| {
            is_ready(object) && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await;
    assert_eq!(
        world.seen_entry("before").unwrap().policies,
        [(VIEW.to_owned(), "*".to_owned())].into()
    );
}

/// A second `ManagementRole` on the same hub.
fn second(world: &World) -> Value {
    let mut object = world.setting.management.clone();
    object["metadata"]["name"] = json!("second");
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_cannot_be_read_hold_up_no_other() {
    let world = World::ready(spokes()).await;
    world.moored("wrong").await;
    world.moored("before").await;
    world.apply(&second(&world)).await;
    world.end_operator(Signal::Terminate).await;
    opened(&world, "managedclusters", "ManagedCluster", "wrong").await;
    opened(&world, "managementroles", "ManagementRole", "second").await;
    world
        .patch("ManagedCluster", "wrong", json!({"spec": {"access": "everything"}}))
        .await;
    world
        .patch("ManagementRole", "second", json!({"spec": {"allow": "everything"}}))
        .await;
    world.start_operator().await;
    let unreadable = |object: &Value| ready(object).1 == "InvalidSpec";
    world.until("ManagedCluster", "wrong", unreadable).await;
    world.until("ManagementRole", "second", unreadable).await;
    the_others_go_on(&world).await;
    world.whole_pass("ManagementRole", "default").await;
    world.is_ready("ManagementRole", "default").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_aws_does_not_answer_holds_up_no_other() {
    let world = World::ready(spokes()).await;
    world.moored("before").await;
    let faults = world.stage.aws.faults();
    let struck = async |account: &str| {
        world
            .eventually("a call that is not answered", async || {
                let calls = world.stage.aws.log().all();
                calls
                    .iter()
                    .find(|call| call.fault && call.account == account)
                    .map(|_| ())
            })
            .await;
    };
    // A cluster in the same account as others, for as long as it takes; and a ManagementRole in the hub's.
    let hung = Fault::on("DescribeCluster", Effect::Hang)
        .in_account(ACCOUNT)
        .in_region(REGION);
    faults.add(hung).unwrap();
    world.moor("wrong", json!({})).await;
    struck(ACCOUNT).await;
    let hung = Fault::on("DescribeCluster", Effect::Hang)
        .in_account(HUB_ACCOUNT)
        .first(1);
    faults.add(hung).unwrap();
    world.apply(&second(&world)).await;
    struck(HUB_ACCOUNT).await;
    // The management role must let a new account in: a pass of its own in the hub's.
    the_others_go_on(&world).await;
    assert!(!is_ready(&world.get("ManagedCluster", "wrong").await.unwrap()));
    faults.clear();
    // What is tried again by itself gets through; nobody has to ask.
    world.is_ready("ManagedCluster", "wrong").await;
}
