//! An EKS that takes another scope for an access policy and does not change it, as nobody outside of AWS knows whether it
//! does: the association is made anew, and only when two looks agree.

use jiff::SignedDuration;
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage,
};
use serde_json::{Value, json};

use crate::support::{
    Setting, World, condition,
    hands::policy_arn,
    manifest::{EDIT, VIEW},
    message,
};

/// How far apart two looks are.
const APART: &str = "4s";

fn scopes_stay(world: &World, name: &str, stay: bool) {
    let spec = world.cluster(name);
    world
        .stage
        .aws
        .update_cluster(&spec.account, &spec.region, name, |seed| seed.scopes_stay = stay)
        .unwrap();
}

fn access(namespace: &str) -> Value {
    json!({"access": {"policies": [{"name": VIEW}, {"name": EDIT, "namespaces": [namespace]}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_association_is_made_anew_only_when_two_looks_agree_that_its_scope_does_not_change() {
    let spokes = [
        "222222222222/eu-west-1/stays",
        "333333333333/eu-west-1/late",
        "444444444444/eu-west-1/torn",
    ];
    let world = World::ready(Setting::of(&spokes).flag(&["--confirm-after", APART])).await;
    tokio::join!(stays(&world), late(&world), torn(&world));
    world.never_denied();
}

/// Gives the policy another scope, and waits until the operator has said that this does not show.
async fn given(world: &World, name: &str) -> u64 {
    world.moor(name, access("a")).await;
    world.is_ready("ManagedCluster", name).await;
    scopes_stay(world, name, true);
    let mark = world.mark();
    world.patch("ManagedCluster", name, json!({"spec": access("b")})).await;
    let told = world.until_reason("ManagedCluster", name, "Propagating").await;
    for words in [
        "hold AmazonEKSEditPolicy to namespaces b",
        "a second look",
        "makes it anew",
    ] {
        assert!(message(&told).contains(words), "{}", message(&told));
    }
    assert_eq!(condition(&told, "AccessEntryReady").unwrap().1, "Propagating");
    assert_eq!(
        world.writes(name, mark),
        ["AssociateAccessPolicy"],
        "nothing is taken away yet"
    );
    mark
}

async fn stays(world: &World) {
    let mark = given(world, "stays").await;
    let shown = |scope: &str| [(VIEW.to_owned(), "*".to_owned()), (EDIT.to_owned(), scope.to_owned())].into();
    assert_eq!(world.seen_entry("stays").unwrap().policies, shown("a"));
    world
        .until("ManagedCluster", "stays", |object| {
            stage::is_ready(object) && world.seen_entry("stays").unwrap().policies == shown("b")
        })
        .await;
    let writes: Vec<_> = world
        .calls("stays", mark)
        .into_iter()
        .filter(|call| call.write)
        .collect();
    let names: Vec<&str> = writes.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(
        names,
        [
            "AssociateAccessPolicy",
            "DisassociateAccessPolicy",
            "AssociateAccessPolicy"
        ]
    );
    let apart = writes[1].at.duration_since(writes[0].at);
    assert!(apart >= SignedDuration::from_secs(4), "{apart}");
    for write in &writes {
        assert_eq!(write.text("policyArn"), Some(policy_arn(EDIT).as_str()), "and no other");
    }
    for _ in 0..2 {
        world.whole_pass("ManagedCluster", "stays").await;
    }
    assert_eq!(world.writes("stays", mark).len(), 3);
}

/// It shows between the two looks.
async fn late(world: &World) {
    let mark = given(world, "late").await;
    scopes_stay(world, "late", false);
    let scope = json!({"type": "namespace", "namespaces": ["b"]});
    world.entry(
        "late",
        "AssociateAccessPolicy",
        json!({"policyArn": policy_arn(EDIT), "accessScope": scope}),
    );
    world.is_ready("ManagedCluster", "late").await;
    world.whole_pass("ManagedCluster", "late").await;
    assert_eq!(world.writes("late", mark), ["AssociateAccessPolicy"]);
}

/// The association is taken away to be made anew, and is refused then: nothing is left, and that is what is told first.
async fn torn(world: &World) {
    let only = |namespace: &str| json!({"access": {"policies": [{"name": EDIT, "namespaces": [namespace]}]}});
    world.moor("torn", only("a")).await;
    world.is_ready("ManagedCluster", "torn").await;
    scopes_stay(world, "torn", true);
    let faults = world.stage.aws.faults();
    let second = Fault::on("AssociateAccessPolicy", Effect::AccessDenied).in_account("444444444444");
    let denied = faults.add(second.from(2)).unwrap();
    world.patch("ManagedCluster", "torn", json!({"spec": only("b")})).await;
    let told = world.until_reason("ManagedCluster", "torn", "AccessDenied").await;
    assert!(
        message(&told).starts_with("Argo CD has no access policy and no group on this cluster now: "),
        "{}",
        message(&told)
    );
    assert_eq!(world.seen_entry("torn").unwrap().policies, [].into());
    faults.remove(denied);
    scopes_stay(world, "torn", false);
    world.ask("ManagedCluster", "torn").await;
    world.is_ready("ManagedCluster", "torn").await;
    let given = [(EDIT.to_owned(), "b".to_owned())].into();
    assert_eq!(world.seen_entry("torn").unwrap().policies, given);
}
