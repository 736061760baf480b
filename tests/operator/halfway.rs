//! A pause that is set while a pass is at work: the step that is under way is the last one, and what it made is known.

use mooring_sandbox::aws::{Effect, Fault};
use serde_json::{Value, json};

use crate::support::{HUB_ACCOUNT, Setting, World, manifest::managed_cluster};

const MADE: [&str; 2] = ["CreateRole", "CreateRole"];

fn pause(value: &Value) -> Value {
    json!({"metadata": {"annotations": {"mooring.dev/paused": value}}})
}

/// Has the first try of a role's creation in an account not be answered, so that there is time to set a pause.
fn slow_creation(world: &World, account: &str) {
    let hung = Fault::on("CreateRole", Effect::Hang).in_account(account).first(1);
    world.stage.aws.faults().add(hung).unwrap();
}

/// Waits until the role of an object is asked for, and then sets a pause.
async fn paused_halfway(world: &World, kind: &str, name: &str) {
    let asked = async || {
        let calls = world.calls(name, 0);
        calls.iter().any(|call| call.operation == "CreateRole").then_some(())
    };
    world.eventually("the role to be asked for", asked).await;
    world.patch(kind, name, pause(&json!("true"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cluster_that_is_paused_halfway_no_further_step_is_done() {
    let spokes = ["222222222222/eu-west-1/halfway", "333333333333/eu-west-1/after"];
    let world = World::ready(Setting::of(&spokes)).await;
    slow_creation(&world, "222222222222");
    world.moor("halfway", json!({})).await;
    paused_halfway(&world, "ManagedCluster", "halfway").await;
    // A watch brings changes in their order: once the operator has seen this object, it has seen the pause.
    let refused = json!({"access": {"kubernetesGroups": ["not-allowed"]}});
    world.apply(&managed_cluster(world.cluster("after"), refused)).await;
    world.until_reason("ManagedCluster", "after", "NotAllowed").await;
    assert_eq!(world.writes("halfway", 0), MADE[..1], "it still waits for the answer");

    let told = world.until_reason("ManagedCluster", "halfway", "Paused").await;
    assert_eq!(
        world.writes("halfway", 0),
        MADE,
        "the try that was not answered, and the next"
    );
    let role = world.seen_role("halfway").unwrap();
    assert_eq!(told["status"]["deployerRole"]["id"], *role.id);
    assert!(world.seen_entry("halfway").is_none() && world.secret("halfway").await.is_none());

    world.patch("ManagedCluster", "halfway", pause(&Value::Null)).await;
    world.is_ready("ManagedCluster", "halfway").await;
    assert_eq!(world.seen_role("halfway").unwrap(), role);
    assert_eq!(world.writes("halfway", 0)[..2], MADE);
    assert!(
        world.writes("halfway", 0)[2..]
            .iter()
            .all(|write| write != "CreateRole")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_management_role_that_is_paused_halfway_no_further_step_is_done() {
    let world = World::start(Setting::of(&["222222222222/eu-west-1/one"])).await;
    slow_creation(&world, HUB_ACCOUNT);
    let management = world.setting.management.clone();
    world.apply(&management).await;
    paused_halfway(&world, "ManagementRole", "default").await;
    let mut after = management;
    after["metadata"]["name"] = json!("after");
    after["spec"]["identity"] = json!({"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/not-there"});
    world.apply(&after).await;
    world.until_reason("ManagementRole", "after", "RoleMissing").await;

    let told = world.until_reason("ManagementRole", "default", "Paused").await;
    let writes = world.writes("default", 0);
    assert!(writes.ends_with(&MADE.map(str::to_owned)), "{writes:?}");
    let id = told["status"]["role"]["id"].as_str().unwrap().to_owned();

    world.patch("ManagementRole", "default", pause(&Value::Null)).await;
    let ready = world.is_ready("ManagementRole", "default").await;
    assert_eq!(ready["status"]["role"]["id"], *id, "it was not made anew");
    world.moored("one").await;
}
