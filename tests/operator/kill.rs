//! The operator may end at any moment, and asks for nothing when it starts.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mooring_sandbox::{
    aws::{Effect, Fault},
    stage::{Fleet, Signal, is_ready},
};
use serde_json::json;

use crate::support::{Setting, World, manifest::VIEW};

/// Where a cluster's pass is held: a call that never ends, or one that was carried out and whose second try never ends.
#[derive(Clone, Copy)]
enum Held {
    Before(&'static str),
    After(&'static str),
}

impl Held {
    fn operation(self) -> &'static str {
        match self {
            Self::Before(operation) | Self::After(operation) => operation,
        }
    }

    fn put(self, world: &World, account: &str) {
        let fault = |effect: Effect, number: u64| {
            let fault = Fault::on(self.operation(), effect).in_account(account).nth(number);
            world.stage.aws.faults().add(fault).unwrap();
        };
        match self {
            Self::Before(_) => fault(Effect::Hang, 1),
            Self::After(_) => {
                fault(Effect::CloseAfter, 1);
                fault(Effect::Hang, 2);
            }
        }
    }

    /// How many calls of the operation are begun when the pass is held.
    fn calls(self) -> usize {
        match self {
            Self::Before(_) => 1,
            Self::After(_) => 2,
        }
    }
}

const CREATE: [Held; 6] = [
    Held::Before("CreateRole"),
    Held::After("CreateRole"),
    Held::Before("CreateAccessEntry"),
    Held::After("CreateAccessEntry"),
    Held::Before("AssociateAccessPolicy"),
    Held::After("AssociateAccessPolicy"),
];

const DELETE: [Held; 4] = [
    Held::Before("DeleteAccessEntry"),
    Held::After("DeleteAccessEntry"),
    Held::Before("DeleteRole"),
    Held::After("DeleteRole"),
];

fn account(number: usize) -> String {
    format!("{}", 200_000_000_000_u64 + number as u64)
}

/// Waits until each pass is held where it should be: the faults fell as often as they should.
async fn held(world: &World, held: &[Held], mark: u64) {
    world
        .eventually("every pass is held", async || {
            let calls = world.stage.aws.log().since(mark);
            let all = held.iter().enumerate().all(|(number, held)| {
                let struck = calls
                    .iter()
                    .filter(|call| call.fault && call.account == account(number) && call.operation == held.operation());
                struck.count() >= held.calls()
            });
            all.then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_ends_in_the_same_state() {
    let spokes: Vec<String> = (0..CREATE.len())
        .map(|number| format!("{}/eu-west-1/c{number}", account(number)))
        .collect();
    let names: Vec<String> = (0..CREATE.len()).map(|number| format!("c{number}")).collect();
    let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
    let world = World::ready(Setting::of(&spokes).flag(&["--confirm-after", "2s"])).await;
    let mark = world.mark();
    for (number, held) in CREATE.into_iter().enumerate() {
        held.put(&world, &account(number));
    }
    for name in &names {
        world
            .moor(name, json!({"access": {"policies": [{"name": VIEW}]}}))
            .await;
    }
    held(&world, &CREATE, mark).await;
    world.end_operator(Signal::Kill).await;
    world.stage.aws.faults().clear();
    world.start_operator().await;
    for name in &names {
        let object = world.is_ready("ManagedCluster", name).await;
        let role = world.seen_role(name).unwrap();
        let entry = world.seen_entry(name).unwrap();
        assert_eq!(object["status"]["deployerRole"]["id"], json!(role.id), "{name}");
        assert_eq!(entry.tags["mooring.dev/role-id"], role.id, "{name}");
        assert_eq!(entry.policies, [(VIEW.to_owned(), "*".to_owned())].into(), "{name}");
        assert!(world.secret(name).await.is_some(), "{name}");
    }
    let mark = world.mark();
    for name in &names {
        world.whole_pass("ManagedCluster", name).await;
        assert_eq!(world.writes(name, mark), Vec::<String>::new(), "{name}");
    }

    let mark = world.mark();
    for (number, held) in DELETE.into_iter().enumerate() {
        held.put(&world, &account(number));
    }
    for name in &names {
        world.delete("ManagedCluster", name).await;
    }
    held(&world, &DELETE, mark).await;
    world.end_operator(Signal::Kill).await;
    world.stage.aws.faults().clear();
    world.start_operator().await;
    for name in &names {
        world.until_gone("ManagedCluster", name).await;
        assert_eq!((world.seen_role(name), world.seen_entry(name)), (None, None), "{name}");
        assert!(world.secret(name).await.is_none(), "{name}");
    }
    world
        .eventually("nothing may be assumed", async || {
            world.assumable().is_empty().then_some(())
        })
        .await;
    world.never_denied();
}

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

    world.start_operator().await;
    join_all(names.iter().map(|name| world.until("ManagedCluster", name, is_ready))).await;
    world.never_denied();
}
