//! The same while an operator starts: each of its first reads of the API server fails once, in every way but silence,
//! which ends after minutes (`kubernetes::connect`), and so does what it asks AWS for itself. An edit that was made meanwhile is acted on, and nothing is lost.

use std::collections::BTreeSet;

use mooring_sandbox::{
    aws::{Effect, Fault},
    control_plane::{About, ApiEffect, ApiFault, ApiProxy},
    stage::Signal,
};
use serde_json::json;
use tokio::time::Instant;

use super::{all, lines, never_met, say};
use crate::support::{Setting, World};

const WAYS: [ApiEffect; 5] = [
    ApiEffect::Refuse(429),
    ApiEffect::Refuse(500),
    ApiEffect::Refuse(403),
    ApiEffect::Close,
    ApiEffect::CloseAfter,
];

/// One of how many `make test` has time for.
const ONE_OF: usize = 7;

const CLUSTER: &str = "one";

/// The one call that needs no permission, and is made for no object.
const WHO: &str = "GetCallerIdentity";

/// Every request.
fn any() -> About {
    About::words([""])
}

fn proxy(world: &World) -> &ApiProxy {
    world.stage.proxied().unwrap()
}

/// Ends the operator, starts another, and waits until it has acted on an edit that was made meanwhile.
async fn start(world: &World, number: usize) {
    world.end_operator(Signal::Terminate).await;
    let labels = json!({"spec": {"argocd": {"labels": {"edit": format!("n{number}")}}}});
    world.patch("ManagedCluster", CLUSTER, labels).await;
    world.start_operator().await;
    world
        .eventually("the edit is acted on", async || {
            let labels = world.secret(CLUSTER).await?.metadata.labels?;
            (labels.get("edit") == Some(&format!("n{number}"))).then_some(())
        })
        .await;
    world.is_ready("ManagedCluster", CLUSTER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_read_of_a_start_fails_nothing_is_lost() {
    let started = Instant::now();
    let mut setting = Setting::of(&["222222222222/eu-west-1/one"]);
    setting.proxied = true;
    let world = World::ready(setting).await;
    world.moored(CLUSTER).await;
    let mark = proxy(&world).mark();
    start(&world, 0).await;
    let calls = proxy(&world).since(mark, &any());
    let reads: BTreeSet<String> = (calls.iter())
        .filter(|call| !call.request.is_write() || call.request.resource.starts_with("leases"))
        .map(|call| call.request.kind())
        .collect();
    let told = |kind: &str| reads.iter().any(|read| read == kind);
    for kind in ["watch managedclusters.mooring.dev", "watch secrets"] {
        assert!(told(kind), "{kind} is none of {reads:?}");
    }
    let trials: Vec<(&String, ApiEffect)> = (reads.iter())
        .flat_map(|kind| WAYS.into_iter().map(move |way| (kind, way)))
        .enumerate()
        .filter(|(number, _)| all() || number % ONE_OF == 0)
        .map(|(_, trial)| trial)
        .collect();
    let (mut calls, mut not_met) = (Vec::new(), Vec::new());
    for (kind, way) in trials {
        let mark = world.mark();
        let faults = proxy(&world).faults();
        let fault = faults.add(ApiFault::on(kind, way).about(&any()).nth(1));
        start(&world, calls.len() + 1).await;
        let met = faults.struck(fault) > 0;
        calls.push((kind.clone(), met));
        if !met {
            not_met.push(format!("{way:?} at {kind}"));
        }
        faults.remove(fault);
        let writes = world.writes(CLUSTER, mark);
        assert!(writes.is_empty(), "{way:?} at {kind}: {writes:?}");
    }
    // And who it is at AWS, which it asks before all else.
    let error = |status, code| Effect::Error {
        status,
        code,
        message: "It failed.".to_owned(),
    };
    let ways = [
        error(400, "Throttling"),
        error(500, "InternalFailure"),
        error(403, "ExpiredToken"),
        Effect::AccessDenied,
        Effect::CloseBefore,
        Effect::CloseAfter,
        Effect::Hang,
    ];
    let some = if all() { ways.len() } else { 1 };
    for way in ways.iter().take(some) {
        let faults = world.stage.aws.faults();
        // Silence lasts 20 s.
        let times = if matches!(way, Effect::Hang) { 1 } else { 2 };
        let fault = faults.add(Fault::on(WHO, way.clone()).first(times)).unwrap();
        let mark = world.mark();
        start(&world, calls.len() + 1).await;
        world.ask("ManagementRole", "default").await;
        world.is_ready("ManagementRole", "default").await;
        let met = faults.struck(fault) > 0;
        calls.push((WHO.to_owned(), met));
        if !met {
            not_met.push(format!("{way:?} at {WHO}"));
        }
        faults.remove(fault);
        for object in [CLUSTER, "default"] {
            let writes = world.writes(object, mark);
            assert!(writes.is_empty(), "{way:?} at {WHO}: {writes:?}");
        }
    }
    let log = world.log();
    assert!(!log.contains("panicked"), "{log}");
    let tried = calls.len();
    say(&format!(
        "fault sweep of a start: {tried} of {} points tried{} in {} s, {} of them not met{}",
        reads.len() * WAYS.len() + ways.len(),
        if all() { "" } else { " (make sweep tries all)" },
        started.elapsed().as_secs(),
        not_met.len(),
        lines(&not_met)
    ));
    assert!(not_met.len() * 5 <= tried, "too many calls were not made: {not_met:#?}");
    let never = never_met(calls);
    assert!(!all() || never.is_empty(), "in no way met: {never:#?}");
    world.never_denied();
}
