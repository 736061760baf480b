//! Nobody uses a cluster at the moment at which it is to be let go, and somebody is about to: whoever made an Application
//! makes it anew when it is deleted, and takes its time.

use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::Signal,
};
use serde_json::json;

use crate::{
    letting_go::{application, argocd, gone, make, set, stands, unmake, waiting},
    support::{Setting, World, message},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_about_to_be_made_anew_is_waited_for() {
    let world = World::ready(
        Setting::of(&[
            "222222222222/eu-west-1/chosen",
            "222222222222/eu-west-1/child",
            "333333333333/eu-west-1/slow",
        ])
        .flag(&["--confirm-after", "10s"]),
    )
    .await;
    argocd(&world).await;
    tokio::join!(chosen(&world), slow(&world));
    child(&world).await;
    world.never_denied();
}

/// The Application was deleted a moment ago, and the ApplicationSet's controller has not made it anew yet.
async fn chosen(world: &World) {
    world
        .moor("chosen", json!({"argocd": {"labels": {"env": "chosen"}}}))
        .await;
    world.is_ready("ManagedCluster", "chosen").await;
    let selector = json!({"matchLabels": {"env": "chosen"}});
    set(world, "argocd/shops", json!([{"clusters": {"selector": selector}}])).await;
    let mark = world.mark();
    world.delete("ManagedCluster", "chosen").await;
    let told = world
        .until_reason("ManagedCluster", "chosen", "ApplicationsMayReturn")
        .await;
    for part in ["ApplicationSet argocd/shops chooses the cluster", "second look"] {
        assert!(message(&told).contains(part), "{part}: {}", message(&told));
    }
    let destination = json!({"destination": {"name": "chosen"}});
    make(world, "Application", "argocd/shop-chosen", destination, Some("shops")).await;
    // Nobody asks.
    waiting(world, "chosen", "(argocd/shop-chosen)").await;
    stands(world, "chosen").await;
    assert_eq!(world.calls("chosen", mark).len(), 0);
    unmake(world, "ApplicationSet", "argocd/shops").await;
    unmake(world, "Application", "argocd/shop-chosen").await;
    gone(world, "chosen").await;
}

/// Who uses the cluster is asked before the account is looked at, and that may take its time.
async fn slow(world: &World) {
    world.moored("slow").await;
    let faults = world.stage.aws.faults();
    let hang = Fault::on("DescribeAccessEntry", Effect::Hang).in_account("333333333333");
    faults.add(hang.nth(1)).unwrap();
    let mark = world.mark();
    world.delete("ManagedCluster", "slow").await;
    world
        .eventually("the account is looked at", async || {
            let calls = world.calls("slow", mark);
            calls.iter().any(|call| call.fault).then_some(())
        })
        .await;
    application(world, "team-a/late", json!({"name": "slow"})).await;
    waiting(world, "slow", "(team-a/late)").await;
    stands(world, "slow").await;
    unmake(world, "Application", "team-a/late").await;
    gone(world, "slow").await;
}

/// An Application of Applications makes its own anew, and no ApplicationSet says so. That there was one is remembered by an
/// operator that is started anew.
async fn child(world: &World) {
    world.moored("child").await;
    application(world, "team-a/child", json!({"name": "child"})).await;
    world.delete("ManagedCluster", "child").await;
    waiting(world, "child", "(team-a/child)").await;
    world.end_operator(Signal::Kill).await;
    unmake(world, "Application", "team-a/child").await;
    world.start_operator().await;
    world
        .until_reason("ManagedCluster", "child", "ApplicationsMayReturn")
        .await;
    stands(world, "child").await;
    gone(world, "child").await;
}
