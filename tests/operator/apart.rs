//! What is wrong with one object holds up no other: one that cannot be read, and one whose AWS does not answer.

use kube::{
    Api,
    api::{DynamicObject, PostParams},
};
use mooring_sandbox::{
    aws::{Effect, Fault},
    control_plane::{About, ApiEffect, ApiFault},
    stage::{Signal, is_ready, ready},
};
use serde_json::{Value, json};

use crate::support::{
    HUB_ACCOUNT, Setting, World, condition,
    manifest::{self, VIEW},
    message,
};

const ACCOUNT: &str = "222222222222";
/// Where only the one cluster is that something is wrong with.
const REGION: &str = "us-east-1";

fn spokes() -> Setting {
    Setting::of(&[
        "222222222222/us-east-1/wrong",
        "222222222222/eu-west-1/before",
        "222222222222/eu-west-1/after",
        "333333333333/eu-west-1/elsewhere",
        "333333333333/eu-west-1/claimed",
    ])
}

/// Lets the specs of a kind hold anything, as the definition of another release might.
pub(crate) async fn opened(world: &World, plural: &str, kind: &str, name: &str) {
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
    let mut setting = spokes();
    setting.proxied = true;
    let world = World::ready(setting).await;
    world.moored("wrong").await;
    world.moored("before").await;
    world.moored("claimed").await;
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
    unasked(&world).await;
}

/// Nor does one that cannot be asked for hold up what takes access away, which an operator knows nothing of that was started
/// just now. What bears its mark is its own all the same.
async fn unasked(world: &World) {
    world.end_operator(Signal::Terminate).await;
    // Another object for the same cluster: whoever moors another has no entry on this one, whatever its tags say.
    let mut twin = manifest::managed_cluster(world.cluster("claimed"), json!({"clusterName": "claimed"}));
    twin["metadata"]["name"] = json!("twin");
    twin["spec"]["access"] = json!("everything");
    world.apply(&twin).await;
    let theirs = world.get("ManagedCluster", "twin").await.unwrap()["metadata"]["uid"].clone();
    let principal = json!({"principalArn": world.deployer("claimed").to_string()});
    let entry = world.eks("claimed", "DescribeAccessEntry", principal)["accessEntry"]["accessEntryArn"].clone();
    let marks = json!({"mooring.dev/uid": theirs, "mooring.dev/object": "twin"});
    world.eks("claimed", "TagResource", json!({"resourceArn": entry, "tags": marks}));
    let claimed = world.seen_entry("claimed");
    // More of them than there is patience for, were they asked for one after another.
    let many: Vec<String> = (0..40).map(|number| format!("wrong-{number:02}")).collect();
    for name in &many {
        let mut object = manifest::managed_cluster(world.cluster("wrong"), json!({}));
        object["metadata"]["name"] = json!(name);
        object["spec"]["access"] = json!("everything");
        world.apply(&object).await;
    }
    let mark = world.mark();
    let proxy = world.stage.proxied().unwrap();
    let names = many.iter().map(String::as_str).chain(["wrong", "twin"]);
    let unanswered = ApiFault::on("get managedclusters.mooring.dev", ApiEffect::Hang).about(&About::words(names));
    let unanswered = proxy.faults().add(unanswered);
    world.start_operator().await;
    let suspended = json!({"spec": {"mode": "Suspended"}});
    for name in ["before", "claimed"] {
        world.patch("ManagedCluster", name, suspended.clone()).await;
    }
    world
        .eventually("the access to go", async || {
            world.seen_entry("before").is_none().then_some(())
        })
        .await;
    world
        .eventually("a look at the entry that bears the mark", async || {
            let calls = world.calls("claimed", mark);
            calls
                .iter()
                .any(|call| call.operation == "DescribeAccessEntry")
                .then_some(())
        })
        .await;
    assert!(proxy.faults().struck(unanswered) > 0);
    let wrong = world.seen_entry("wrong");
    assert!(wrong.is_some());
    proxy.faults().clear();
    let enforced = json!({"spec": {"mode": "Enforce"}});
    world.patch("ManagedCluster", "before", enforced).await;
    world.is_ready("ManagedCluster", "before").await;
    assert_eq!(world.seen_entry("wrong"), wrong);
    world
        .until_reason("ManagedCluster", "claimed", "AccessEntryNotOurs")
        .await;
    assert_eq!(world.seen_entry("claimed"), claimed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_aws_does_not_answer_holds_up_no_other() {
    let world = World::ready(spokes().flag(&["--passes-per-account", "1"])).await;
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

/// Taking away needs little of a `ManagementRole`, and that never changes: neither its own removal nor those of its clusters
/// wait until somebody sets the rest right.
#[tokio::test(flavor = "multi_thread")]
async fn a_management_role_that_cannot_be_read_is_removed_and_so_are_its_clusters() {
    let world = World::ready(
        Setting::of(&["222222222222/eu-west-1/leaving", "222222222222/eu-west-1/cut"]).flag(&["--confirm-after", "2s"]),
    )
    .await;
    world.moored("leaving").await;
    world.moored("cut").await;
    world.apply(&second(&world)).await;
    // Nobody has set the accounts up for it, so it has a finalizer and no role.
    world.until_reason("ManagementRole", "second", "AccessDenied").await;
    world.end_operator(Signal::Terminate).await;
    opened(&world, "managementroles", "ManagementRole", "second").await;
    let later = json!({"spec": {"allow": "everything", "assumePolicy": "Organization"}});
    world.patch("ManagementRole", "default", later).await;
    let other = json!({"spec": {"identity": {"type": "PodIdentity"}}});
    world.patch("ManagementRole", "second", other).await;
    world.start_operator().await;
    let told = world
        .until("ManagementRole", "default", |object| ready(object).1 == "InvalidSpec")
        .await;
    assert!(message(&told).contains("cannot be read"), "{}", message(&told));
    assert_ne!(
        condition(&told, "HubReady").unwrap().0,
        "False",
        "that would stop what takes away"
    );

    let suspended = json!({"spec": {"mode": "Suspended"}});
    world.patch("ManagedCluster", "cut", suspended).await;
    world.until_reason("ManagedCluster", "cut", "Suspended").await;
    assert_eq!(world.seen_entry("cut"), None);
    world.delete("ManagementRole", "default").await;
    let waits = world
        .until("ManagementRole", "default", |object| {
            message(object).contains("leaving")
        })
        .await;
    assert!(message(&waits).contains("cut"), "{}", message(&waits));
    for name in ["leaving", "cut"] {
        world.delete("ManagedCluster", name).await;
        world.until_gone("ManagedCluster", name).await;
        assert_eq!((world.seen_role(name), world.seen_entry(name)), (None, None), "{name}");
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    let role = world.hub().management_role_arn(None);
    let stands = || world.seen_role_named(HUB_ACCOUNT, role.name.as_str());
    assert!(stands().is_some());
    world.ask("ManagementRole", "default").await;
    world.until_gone("ManagementRole", "default").await;
    assert_eq!(stands(), None, "and its role is not left behind");

    // Of this one nobody can tell whose the role is: it is said, and nothing is touched.
    let mark = world.mark();
    world.delete("ManagementRole", "second").await;
    world
        .eventually("an event that says what cannot be read", async || {
            let events = world.events("second").await;
            let said =
                |event: &String| event.starts_with("InvalidSpec: ") && event.contains("nobody can tell what was made");
            events.iter().any(said).then_some(())
        })
        .await;
    assert!(world.get("ManagementRole", "second").await.is_some());
    assert_eq!(world.writes("second", mark), Vec::<String>::new());
    let again = json!({"spec": {"identity": {"type": "IRSA"}}});
    world.patch("ManagementRole", "second", again).await;
    world.until_gone("ManagementRole", "second").await;
    world.never_denied_but(|call| {
        call.operation == "CreateRole" && call.text("RoleName").is_some_and(|name| name.contains("second"))
    });
}
