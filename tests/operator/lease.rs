//! Two operators: one works and the other stands by, whatever happens to the first. Two processes of one service account
//! are told apart by what each calls itself (audit log) and by the access keys that only it has (call log).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::api::DeleteParams;
use mooring_sandbox::{
    aws::{Effect, Fault},
    control_plane::{AuditMark, AuditedCall},
    stage::{Operator, Signal},
};
use serde_json::json;

use crate::support::{LEASE, PATIENCE, Setting, World, get, relay::Relay, verifier::Verifier};

const ACCOUNT: &str = "222222222222";
const SPOKES: [&str; 2] = ["222222222222/eu-west-1/one", "222222222222/eu-west-1/two"];

/// For how long the default Lease is taken, and how soon another must have taken over.
const DURATION: SignedDuration = SignedDuration::from_secs(15);
const BOUND: SignedDuration = SignedDuration::from_secs(20);
/// How soon after SIGTERM, whatever its passes wait for: less than the Lease's duration.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(14);

/// Starts another operator beside the first.
async fn second(world: &World) -> Operator {
    let operator = Operator::start(&world.stage, &world.operator_options()).await.unwrap();
    world
        .eventually("the second stands by and is ready", async || {
            let (status, body) = get(&operator, "/readyz")?;
            (status == 200 && body.contains("[+]lease: standing by; ")).then_some(())
        })
        .await;
    operator
}

fn holder(lease: &LeaseSpec) -> &str {
    lease.holder_identity.as_deref().unwrap_or_default()
}

fn is_of(operator: &Operator, lease: &LeaseSpec) -> bool {
    holder(lease).starts_with(&format!("{}_", operator.pod()))
}

async fn until_led_by(world: &World, operator: &Operator) -> LeaseSpec {
    world
        .eventually(&format!("{} to lead", operator.pod()), async || {
            let lease = world.leases().get_opt(LEASE).await.unwrap()?.spec?;
            is_of(operator, &lease).then_some(lease)
        })
        .await
}

fn renewed(lease: &LeaseSpec) -> Timestamp {
    lease.renew_time.as_ref().unwrap().0
}

fn acquired(lease: &LeaseSpec) -> Timestamp {
    lease.acquire_time.as_ref().unwrap().0
}

fn leads(operator: &Operator) -> bool {
    let (_, metrics) = get(operator, "/metrics").unwrap();
    let value = |line: &str| line.strip_prefix("mooring_leader ").map(str::to_owned);
    metrics.lines().find_map(value).unwrap() == "1"
}

/// What one process asked of the API server.
async fn asked(world: &World, operator: &Operator, since: AuditMark) -> Vec<AuditedCall> {
    let named = format!("({}_", operator.pod());
    let mut calls = world.stage.hub.calls_by("mooring", since).await.unwrap();
    calls.retain(|call| call.user_agent.contains(&named));
    calls
}

async fn written(world: &World, operator: &Operator, since: AuditMark) -> Vec<AuditedCall> {
    let mut calls = asked(world, operator, since).await;
    calls.retain(AuditedCall::is_write);
    calls
}

/// The access keys in use up to now: those of whoever led so far.
fn access_keys(world: &World) -> BTreeSet<String> {
    let calls = world.stage.aws.log().all();
    calls
        .into_iter()
        .map(|call| call.access_key)
        .filter(|key| !key.is_empty())
        .collect()
}

/// What was asked of AWS with one of these keys.
fn called(world: &World, keys: &BTreeSet<String>, since: u64) -> Vec<String> {
    let calls = world.stage.aws.log().since(since).into_iter();
    let by_them = calls.filter(|call| keys.contains(&call.access_key));
    by_them.map(|call| call.operation).collect()
}

/// An operator of its own, which the world does not know.
fn take(world: &World) -> Operator {
    world.operator().take().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_one_writes_and_a_clean_stop_hands_over_at_once() {
    let world = World::ready(Setting::of(&SPOKES)).await;
    let first = take(&world);
    let second = second(&world).await;
    let start = AuditMark::default();
    assert!(is_of(&first, &world.lease().await));
    assert!(leads(&first) && !leads(&second));
    let (_, ready) = get(&first, "/readyz").unwrap();
    assert!(ready.contains(&format!("[+]lease: {}_", first.pod())), "{ready}");
    let (_, ready) = get(&second, "/readyz").unwrap();
    assert!(ready.contains(&format!("standing by; {}_", first.pod())), "{ready}");
    world.moored("one").await;
    assert_eq!(written(&world, &second, start).await, []);
    let kinds_asked: BTreeSet<String> = asked(&world, &second, start)
        .await
        .into_iter()
        .map(|call| call.resource)
        .collect();
    let kinds = ["leases", "managedclusters", "managementroles"].map(str::to_owned);
    assert_eq!(
        kinds_asked,
        kinds.into(),
        "it asks whether the kinds are served, and watches nothing"
    );
    let keys = access_keys(&world);

    let asked = Timestamp::now();
    first.signal(Signal::Terminate).unwrap();
    assert_eq!(first.wait_for_exit(PATIENCE).await.unwrap(), "0");
    let given_up = world.stage.aws.log().mark();
    let lease = until_led_by(&world, &second).await;
    assert!(first.log_text().contains("gave the lease up"));
    assert_eq!(lease.lease_transitions, Some(1));
    world.moored("two").await;
    assert!(leads(&second));
    let (status, ready) = get(&second, "/readyz").unwrap();
    assert!(status == 200 && ready.contains("which is this process"), "{ready}");
    let later = world.stage.aws.log().since(given_up);
    assert!(later.iter().all(|call| !keys.contains(&call.access_key)));
    // No duration had to pass.
    let took = acquired(&lease).duration_since(asked);
    assert!(took < AT_ONCE, "{took}");
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_waits_for_no_call_that_is_not_answered() {
    let world = World::ready(Setting::of(&SPOKES)).await;
    let first = take(&world);
    let second = second(&world).await;
    let held = Fault::on("CreateRole", Effect::Hang).in_account(ACCOUNT).first(1);
    world.stage.aws.faults().add(held).unwrap();
    world.moor("one", json!({})).await;
    world
        .eventually("a write that is not answered", async || {
            let calls = world.stage.aws.log().all();
            calls.iter().any(|call| call.fault).then_some(())
        })
        .await;
    let asked = Timestamp::now();
    first.signal(Signal::Terminate).unwrap();
    assert_eq!(first.wait_for_exit(PATIENCE).await.unwrap(), "0");
    let lease = until_led_by(&world, &second).await;
    assert!(first.log_text().contains("gave the lease up"));
    let took = acquired(&lease).duration_since(asked);
    assert!(took < AT_ONCE, "{took}");
    world.is_ready("ManagedCluster", "one").await;
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_within_twenty_seconds_and_an_edited_lease_is_given_up() {
    let world = World::ready(Setting::of(&SPOKES)).await;
    let first = take(&world);
    let next = second(&world).await;
    first.signal(Signal::Kill).unwrap();
    first.wait_for_exit(PATIENCE).await.unwrap();
    let last = world.lease().await;
    assert!(is_of(&first, &last));
    let lease = until_led_by(&world, &next).await;
    let took = acquired(&lease).duration_since(renewed(&last));
    assert!(took >= DURATION, "its time was waited out: {took}");
    assert!(took <= BOUND, "{took}");
    eprintln!("taken over {took} after the last renewal");
    world.moored("one").await;

    // Deleted, it is made anew by its holder; nobody takes it meanwhile.
    let third = second(&world).await;
    let uid = world.leases().get(LEASE).await.unwrap().metadata.uid;
    world.leases().delete(LEASE, &DeleteParams::default()).await.unwrap();
    world
        .eventually("the lease to be made anew", async || {
            let lease = world.leases().get_opt(LEASE).await.unwrap()?;
            assert_ne!(lease.metadata.uid, uid);
            is_of(&next, &lease.spec?).then_some(())
        })
        .await;
    // It goes on as before.
    let renewed_last = renewed(&world.lease().await);
    world
        .eventually("another renewal", async || {
            let lease = world.lease().await;
            assert!(is_of(&next, &lease));
            (renewed(&lease) > renewed_last).then_some(())
        })
        .await;
    assert!(leads(&next) && !leads(&third));
    assert_eq!(next.exited(), None);

    // A person takes the holder's name off: it ends, and another begins when it must have noticed.
    let before = world.lease().await;
    world.patch_lease(&json!({"spec": {"holderIdentity": null}})).await;
    assert_eq!(next.wait_for_exit(PATIENCE).await.unwrap(), "1");
    assert!(
        next.log_text().contains("somebody took its name off"),
        "{}",
        next.log_text()
    );
    let lease = until_led_by(&world, &third).await;
    assert!(acquired(&lease).duration_since(renewed(&before)) >= DURATION);
    world.moored("two").await;
    third.signal(Signal::Terminate).unwrap();
    assert_eq!(third.wait_for_exit(PATIENCE).await.unwrap(), "0");
    world.never_denied();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_stopped_in_a_pass_starts_no_write_when_it_goes_on() {
    let world = World::ready(Setting::of(&SPOKES).flag(&["--confirm-after", "2s"])).await;
    let first = take(&world);
    let second = second(&world).await;
    let held = Fault::on("CreateAccessEntry", Effect::Hang).in_account(ACCOUNT).nth(1);
    world.stage.aws.faults().add(held).unwrap();
    world.moor("one", json!({})).await;
    world
        .eventually("the pass to be held", async || {
            let calls = world.stage.aws.log().all();
            calls.iter().any(|call| call.fault).then_some(())
        })
        .await;
    first.signal(Signal::Stop).unwrap();
    let (stopped, keys) = (world.mark(), access_keys(&world));
    until_led_by(&world, &second).await;
    let audit = world.audit_mark().await;
    world.is_ready("ManagedCluster", "one").await;
    assert_eq!(first.exited(), None);

    first.signal(Signal::Continue).unwrap();
    let code = first.wait_for_exit(PATIENCE).await.unwrap();
    assert_eq!(code, "1", "{}", first.log_text());
    assert!(first.log_text().contains("the lease is lost"), "{}", first.log_text());
    world.moored("two").await;
    assert_eq!(called(&world, &keys, stopped), [""; 0], "calls of the first");
    assert_eq!(written(&world, &first, audit).await, []);
    let role = world.seen_role("one").unwrap();
    assert_eq!(world.seen_entry("one").unwrap().tags["mooring.dev/role-id"], role.id);
    let mark = world.mark();
    world.whole_pass("ManagedCluster", "one").await;
    assert_eq!(world.writes("one", mark), Vec::<String>::new());
}

/// Of many passes the time of the next try has come when the process goes on, and each may be at work before it is known that
/// the lease is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_stopped_among_many_tries_makes_none_of_them_when_it_goes_on() {
    const PASSES: usize = 32;
    let spokes: Vec<String> = (0..PASSES)
        .map(|number| format!("2222222222{:02}/eu-west-1/c{number}", number / 4))
        .collect();
    let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
    let world = World::ready(Setting::of(&spokes)).await;
    let first = take(&world);
    let second = second(&world).await;
    world
        .stage
        .aws
        .faults()
        .add(Fault::on("CreateRole", throttled()))
        .unwrap();
    for number in 0..PASSES {
        world.moor(&format!("c{number}"), json!({})).await;
    }
    world
        .eventually("all passes to be held up", async || {
            let calls = world.stage.aws.log().all();
            let struck: BTreeSet<_> = calls
                .iter()
                .filter(|call| call.fault)
                .map(|call| &call.access_key)
                .collect();
            (struck.len() == PASSES).then_some(())
        })
        .await;
    first.signal(Signal::Stop).unwrap();
    let keys = access_keys(&world);
    until_led_by(&world, &second).await;
    let (stopped, audit) = (world.mark(), world.audit_mark().await);
    first.signal(Signal::Continue).unwrap();
    assert_eq!(
        first.wait_for_exit(PATIENCE).await.unwrap(),
        "1",
        "{}",
        first.log_text()
    );
    assert_eq!(called(&world, &keys, stopped), [""; 0], "calls of the first");
    assert_eq!(written(&world, &first, audit).await, []);
    world.stage.aws.faults().clear();
    world.is_ready("ManagedCluster", "c0").await;
}

/// AWS has no room: the SDK goes on trying for minutes, and each try is a write that has not been begun yet.
fn throttled() -> Effect {
    Effect::Error {
        status: 400,
        code: "Throttling",
        message: "Rate exceeded".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_renewals_are_not_answered_stops_in_time_with_all_its_tries() {
    let spokes: Vec<String> = (0..4).map(|number| format!("{ACCOUNT}/eu-west-1/c{number}")).collect();
    let spokes: Vec<&str> = spokes.iter().map(String::as_str).collect();
    let world = World::without_operator(Setting::of(&spokes).flag(&["--confirm-after", "2s"])).await;
    world.install().await;
    let relay = Relay::to(&world.stage.hub.url()).await;
    let options = world.operator_options();
    let first = Operator::start_by(&world.stage, &options, Some(&relay.url()))
        .await
        .unwrap();
    world.apply(&world.setting.management.clone()).await;
    world.is_ready("ManagementRole", "default").await;
    let second = second(&world).await;
    let fault = Fault::on("CreateRole", throttled()).in_account(ACCOUNT);
    world.stage.aws.faults().add(fault).unwrap();
    for number in 0..4 {
        world.moor(&format!("c{number}"), json!({})).await;
    }
    world
        .eventually("all passes to be held up", async || {
            let struck = world.stage.aws.log().all().iter().filter(|call| call.fault).count();
            (struck >= 8).then_some(())
        })
        .await;
    relay.cut();
    let (cut, keys) = (world.mark(), access_keys(&world));
    let code = first.wait_for_exit(PATIENCE).await.unwrap();
    assert_eq!(code, "1");
    assert!(first.log_text().contains("could not renew"), "{}", first.log_text());
    // Nobody has written to it since: what is there is its last renewal that went through.
    let lease = until_led_by(&world, &second).await;
    let begun = acquired(&lease);
    let tries: Vec<Timestamp> = (world.stage.aws.log().since(cut).into_iter())
        .filter(|call| keys.contains(&call.access_key) && call.write)
        .map(|call| call.at)
        .collect();
    assert!(
        !tries.is_empty(),
        "it went on trying for a while, or this shows nothing"
    );
    let last = tries.iter().max().unwrap();
    // It ends when two thirds of the time are over, so that a third is left for what was under way.
    let gap = begun.duration_since(*last);
    assert!(gap >= SignedDuration::from_secs(4), "{gap} before the second began");
    world.stage.aws.faults().clear();
    for number in 0..4 {
        world.is_ready("ManagedCluster", &format!("c{number}")).await;
    }
    let after = world.stage.aws.log().all();
    let after: Vec<_> = after
        .iter()
        .filter(|call| call.at > begun && keys.contains(&call.access_key))
        .collect();
    assert!(after.is_empty(), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_verifiers_one_walks() {
    let world = World::ready(Setting::of(&SPOKES)).await;
    world.with_verifier().await;
    let mut first = world.verifier(&[]).await;
    world
        .eventually("the first to lead", async || {
            first.log().contains("leading: ").then_some(())
        })
        .await;
    let mut second = world.verifier(&[]).await;
    world
        .eventually("the second to stand by", async || {
            second.log().contains("standing by: ").then_some(())
        })
        .await;
    world.moored("one").await;
    let walked = |verifier: &Verifier| verifier.log().contains("\"walked\"");
    world.eventually("a walk", async || walked(&first).then_some(())).await;
    assert!(!walked(&second) && !second.log().contains("watching"));
    assert!(first.terminate().await.success());
    world
        .eventually("a walk of the second", async || walked(&second).then_some(()))
        .await;
    assert!(second.terminate().await.success());
}
