//! The operator may end at any moment, and asks for nothing when it starts. The writes for a cluster are swept in `sweep`.

use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use mooring_sandbox::{
    aws::{Effect, Fault},
    demo::unless_ended,
    stage::{Fleet, Signal, StageError, is_ready},
};
use serde_json::json;

use crate::support::{PATIENCE, Setting, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_management_role_is_made_by_a_killed_operator_too() {
    let world = World::start(Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"])).await;
    for (number, operation) in ["CreateRole", "PutRolePolicy"].into_iter().enumerate() {
        let faults = world.stage.aws.faults();
        let fault = |effect, nth| Fault::on(operation, effect).in_account("111111111111").nth(nth);
        faults.add(fault(Effect::CloseAfter, 1)).unwrap();
        faults.add(fault(Effect::Hang, 2)).unwrap();
        if number == 0 {
            world.apply(&world.setting.management.clone()).await;
        } else {
            world.moor("one", json!({})).await;
        }
        world
            .eventually("the pass is held", async || {
                let calls = world.stage.aws.log().all();
                let struck = calls
                    .iter()
                    .filter(|call| call.fault && call.operation == operation)
                    .count();
                (struck >= 2).then_some(())
            })
            .await;
        world.end_operator(Signal::Kill).await;
        faults.clear();
        world.start_operator().await;
        let object = world.is_ready("ManagementRole", "default").await;
        let role = world.hub().management_role_arn(None);
        let seen = world.seen_role_named("111111111111", role.name.as_str()).unwrap();
        assert_eq!(object["status"]["role"]["id"], json!(seen.id));
    }
    world.is_ready("ManagedCluster", "one").await;
    world.never_denied();
    demo_ends_with_its_operator(&world).await;
}

/// The demo does not wait in vain for what an operator that has ended would do.
async fn demo_ends_with_its_operator(world: &World) {
    let operator = world.operator().take().unwrap();
    let processes = [("operator", &operator)];
    let done = unless_ended(&processes, std::future::ready(Ok("done"))).await;
    assert_eq!(done.unwrap(), "done");
    operator.signal(Signal::Kill).unwrap();
    let in_vain = std::future::pending::<Result<(), StageError>>();
    let ended = tokio::time::timeout(PATIENCE, unless_ended(&processes, in_vain)).await;
    let told = ended.unwrap().unwrap_err().to_string();
    assert!(told.contains("the operator has ended, exit code 137"), "{told}");
}

/// A GET of the operator's own address: status and body.
pub(crate) fn get(world: &World, path: &str) -> Option<(u16, String)> {
    crate::support::get(world.operator().as_ref()?, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_waits_for_and_stops_when_it_is_told_to() {
    let mut setting = Setting::of(&[]);
    setting.fleet = Fleet::of(4, 200);
    setting.management = crate::support::manifest::management_role(&setting.fleet);
    setting.aws.latency = Duration::from_millis(250).into();
    let world = World::without_operator(setting).await;
    world.start_operator().await;
    let (status, body) = world
        .eventually("it says that it is not ready", async || {
            get(&world, "/readyz").filter(|(_, body)| body.contains("is not installed"))
        })
        .await;
    assert_eq!(status, 503);
    assert!(
        body.contains("managementroles.mooring.dev") && body.contains("crds/"),
        "{body}"
    );
    assert_eq!(get(&world, "/healthz").unwrap().0, 200, "it lives");
    world.install().await;
    world
        .eventually("it is ready", async || {
            get(&world, "/readyz").filter(|(status, _)| *status == 200)
        })
        .await;
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;

    // Four passes an account are under way, and dozens wait in each.
    let names: Vec<String> = world
        .stage
        .fleet
        .spokes
        .iter()
        .map(|spoke| spoke.name.clone())
        .collect();
    join_all(names.iter().map(|name| world.moor(name, json!({})))).await;
    world
        .eventually("passes are under way", async || {
            let entered = world.stage.aws.log().counts(0).get("CreateAccessEntry").copied();
            (entered >= Some(4)).then_some(())
        })
        .await;
    let started = Instant::now();
    let code = world.end_operator(Signal::Terminate).await;
    assert_eq!(code, "0");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert!(world.log().contains("\"stopped\""));
    let made = world.stage.aws.log().counts(0)["CreateRole"];
    assert!(made < 150, "most still waited: {made}");
    let events: Api<Event> = Api::namespaced(world.stage.client().unwrap(), "default");
    let events = events.list(&ListParams::default()).await.unwrap();
    let alarms = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("OperatorStopping"));
    assert_eq!(alarms.count(), 0, "the next one goes on, and nobody need know");

    world.start_operator().await;
    join_all(names.iter().map(|name| world.until("ManagedCluster", name, is_ready))).await;
    world.never_denied();
}
