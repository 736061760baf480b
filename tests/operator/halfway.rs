//! A pause that is set while a pass is at work: the step that is under way is the last one, and what it made is known.

use mooring_sandbox::aws::{Effect, Fault};
use serde_json::{Value, json};

use crate::{
    edits::pause,
    management::{by_hand, role},
    support::{HUB_ACCOUNT, Setting, World, hands::loose_trust, manifest::managed_cluster},
};

/// Has the first try of a step in an account not be answered, so that there is time to set a pause.
fn slow(world: &World, step: &str, account: &str) {
    let hung = Fault::on(step, Effect::Hang).in_account(account).first(1);
    world.stage.aws.faults().add(hung).unwrap();
}

/// Waits until a step is asked for, and then sets a pause.
async fn paused_at(world: &World, (step, mark): (&str, u64), kind: &str, name: &str) {
    let asked = async || (world.writes(name, mark) == [step]).then_some(());
    world.eventually("the step to be asked for", asked).await;
    world.patch(kind, name, pause(json!("true"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cluster_that_is_paused_halfway_no_further_step_is_done() {
    let spokes = ["222222222222/eu-west-1/halfway", "333333333333/eu-west-1/after"];
    let world = World::ready(Setting::of(&spokes)).await;
    let step = "CreateRole";
    slow(&world, step, "222222222222");
    world.moor("halfway", json!({})).await;
    paused_at(&world, (step, 0), "ManagedCluster", "halfway").await;
    // A watch brings changes in their order: once the operator has seen this object, it has seen the pause.
    let refused = json!({"access": {"kubernetesGroups": ["not-allowed"]}});
    world.apply(&managed_cluster(world.cluster("after"), refused)).await;
    world.until_reason("ManagedCluster", "after", "NotAllowed").await;
    assert_eq!(world.writes("halfway", 0), [step], "it still waits for the answer");

    let told = world.until_reason("ManagedCluster", "halfway", "Paused").await;
    let tries = [step, step];
    assert_eq!(
        world.writes("halfway", 0),
        tries,
        "the one without an answer, and the next"
    );
    let role = world.seen_role("halfway").unwrap();
    assert_eq!(told["status"]["deployerRole"]["id"], *role.id);
    assert!(world.seen_entry("halfway").is_none() && world.secret("halfway").await.is_none());

    world.patch("ManagedCluster", "halfway", pause(Value::Null)).await;
    world.is_ready("ManagedCluster", "halfway").await;
    assert_eq!(world.seen_role("halfway").unwrap(), role);
    let writes = world.writes("halfway", 0);
    assert!(
        writes[..2] == tries && !writes[2..].contains(&step.to_owned()),
        "{writes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_management_role_that_is_paused_halfway_no_further_step_is_done() {
    let world = World::ready(Setting::of(&["222222222222/eu-west-1/one"])).await;
    let before = role(&world);
    by_hand(&world, "UpdateRole", json!({"MaxSessionDuration": 43_200}));
    let loose = json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)});
    by_hand(&world, "UpdateAssumeRolePolicy", loose);
    let (first, last) = ("UpdateAssumeRolePolicy", "UpdateRole");
    let mark = world.mark();
    slow(&world, first, HUB_ACCOUNT);
    world.ask("ManagementRole", "default").await;
    paused_at(&world, (first, mark), "ManagementRole", "default").await;
    let mut after = world.setting.management.clone();
    after["metadata"]["name"] = json!("after");
    after["spec"]["identity"] = json!({"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/not-there"});
    world.apply(&after).await;
    world.until_reason("ManagementRole", "after", "RoleMissing").await;
    assert_eq!(world.writes("default", mark), [first], "it still waits for the answer");

    world.until_reason("ManagementRole", "default", "Paused").await;
    assert_eq!(world.writes("default", mark), [first, first]);

    world.patch("ManagementRole", "default", pause(Value::Null)).await;
    let mended = async || (role(&world) == before).then_some(());
    world.eventually("the role to be as it was", mended).await;
    assert_eq!(world.writes("default", mark), [first, first, last]);
}
