//! The same for the management role, of which a hub has one: the stories of a hub come one after another, each with a
//! fault, or a kill, in every chapter.

use std::{sync::Mutex, time::Duration};

use futures::future::join_all;
use mooring_sandbox::{
    aws::{Call, Effect, Fault},
    control_plane::{ApiCall, ApiEffect, ApiFault},
    stage::{Signal, is_ready, ready},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ASK, all,
    calls::{Point, points},
    faults::{Armed, Way},
    ground::LOOK,
    say, story,
};
use crate::support::{
    HUB_ACCOUNT, NAMESPACE, PATIENCE, Setting, World,
    hands::{document, loose_trust},
    make_room,
    manifest::VIEW,
    tail,
};

/// How many stories `make test` has time for.
const SOME: usize = 2;

/// How many hubs share the stories when all are told: they wait for most of the time.
const HUBS: usize = 5;

/// How long nothing must have been called for a chapter to be over.
const QUIET: Duration = Duration::from_secs(4);

/// What happens, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chapter {
    Create,
    /// The first cluster of an account comes, and the policy has to name it.
    Grow,
    /// Somebody changes everything that can be changed.
    Heal,
    /// The last cluster of the account goes.
    Shrink,
    Delete,
}

const CHAPTERS: [Chapter; 5] = [
    Chapter::Create,
    Chapter::Grow,
    Chapter::Heal,
    Chapter::Shrink,
    Chapter::Delete,
];

const SESSION: &str = "default@hub";
const CLUSTER: &str = "one";

/// By what requests to the API server are known to be about the management role and the service accounts bound to it.
fn words() -> Vec<String> {
    ["default", "argocd-server"].map(str::to_owned).to_vec()
}

async fn begin(world: &World, chapter: Chapter) {
    match chapter {
        Chapter::Create => world.apply(&world.setting.management.clone()).await,
        Chapter::Grow => {
            let spec = json!({"access": {"policies": [{"name": VIEW}]}});
            world.moor(CLUSTER, spec).await;
        }
        Chapter::Heal => drift(world).await,
        Chapter::Shrink => world.delete("ManagedCluster", CLUSTER).await,
        Chapter::Delete => world.delete("ManagementRole", "default").await,
    }
}

async fn drift(world: &World) {
    let name = world.hub().management_role_arn(None).name.to_string();
    let by_hand = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(name);
        world.iam(HUB_ACCOUNT, operation, input);
    };
    by_hand(
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    by_hand("UntagRole", json!({"TagKeys": ["mooring.dev/uid"]}));
    by_hand("DeleteRolePermissionsBoundary", json!({}));
    by_hand("DeleteRolePolicy", json!({"PolicyName": "mooring-assume-deployers"}));
    world.ask("ManagementRole", "default").await;
}

/// What stands, without what differs from run to run; nothing while the chapter is not over.
async fn end(world: &World, chapter: Chapter) -> Option<Value> {
    let object = world.get("ManagementRole", "default").await;
    let cluster = world.get("ManagedCluster", CLUSTER).await;
    let over = match chapter {
        Chapter::Create | Chapter::Heal => object.as_ref().is_some_and(is_ready),
        Chapter::Grow => cluster.as_ref().is_some_and(is_ready),
        Chapter::Shrink => cluster.is_none() && object.as_ref().is_some_and(|object| ready(object).0 == "True"),
        Chapter::Delete => object.is_none(),
    };
    if !over {
        return None;
    }
    let arn = world.hub().management_role_arn(None);
    let role = world.seen_role_named(arn.account.as_str(), arn.name.as_str());
    let policy = role.as_ref().map(|_| {
        let name = json!({"RoleName": arn.name.as_str(), "PolicyName": "mooring-assume-deployers"});
        let policy = world.try_iam(arn.account.as_str(), "GetRolePolicy", name).ok();
        policy.map(|policy| document(&policy["PolicyDocument"]))
    });
    let status = object.as_ref().map(|object| story::timeless(&object["status"]));
    let end = json!({
        "status": status, "policy": policy,
        "finalizers": object.as_ref().map(|object| object["metadata"]["finalizers"].clone()),
        "role": role.as_ref().map(|role| {
            json!({"arn": role.arn, "trust": role.trust, "boundary": role.boundary, "tags": role.tags})
        }),
    });
    let uid = object
        .as_ref()
        .and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned));
    let mut text = end.to_string();
    for (word, instead) in [(uid, "UID"), (role.map(|role| role.id), "ROLE-ID")] {
        if let Some(word) = word {
            text = text.replace(&word, instead);
        }
    }
    Some(serde_json::from_str(&text).unwrap())
}

fn mark(world: &World) -> (u64, usize) {
    (world.mark(), world.stage.proxied().unwrap().mark())
}

fn called(world: &World, (aws, api): (u64, usize)) -> (Vec<Call>, Vec<ApiCall>) {
    let aws = world
        .stage
        .aws
        .log()
        .select(aws, |call| call.session() == Some(SESSION));
    (aws, world.stage.proxied().unwrap().since(api, &words()))
}

async fn quiet(world: &World) {
    let deadline = Instant::now() + PATIENCE;
    let mut since = (Instant::now(), mark(world));
    while since.0.elapsed() < QUIET {
        assert!(Instant::now() < deadline, "never quiet: {:?}", called(world, since.1));
        tokio::time::sleep(LOOK).await;
        let (aws, api) = called(world, since.1);
        if !aws.is_empty() || !api.is_empty() {
            since = (Instant::now(), mark(world));
        }
    }
}

/// A whole story in which nothing goes wrong: the calls of each chapter, and what stands at its end.
async fn clean(world: &World) -> Vec<(Vec<Point>, Value)> {
    let mut chapters = Vec::new();
    for chapter in CHAPTERS {
        let since = mark(world);
        begin(world, chapter).await;
        quiet(world).await;
        let end = world
            .eventually("a chapter is over", async || end(world, chapter).await)
            .await;
        let (aws, api) = called(world, since);
        chapters.push((points(aws, api), end));
    }
    chapters
}

/// What goes wrong in a chapter.
#[derive(Clone, Debug)]
enum Trouble {
    Fault(Point, Way),
    /// The operator is killed before the write (`TimedOut`) or after it (`TimedOutAfter`).
    Kill(Point, Way),
}

impl Trouble {
    fn arm(&self, world: &World) -> Armed {
        let (Self::Fault(point, way) | Self::Kill(point, way)) = self;
        Armed::arm(world, SESSION, &words(), point, *way)
    }
}

/// Waits until the operator is held at a write, kills it and starts another. Gives whether it came there before the
/// chapter was over.
async fn killed(world: &World, armed: &Armed, over: impl AsyncFn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !armed.struck(world) {
        assert!(Instant::now() < deadline, "never held\n{}", tail(&world.log()));
        tokio::time::sleep(LOOK).await;
        if over().await {
            return false;
        }
    }
    // Whoever is held goes no further, whatever else the operator tries meanwhile.
    let (aws, api) = (world.stage.aws.faults(), world.stage.proxied().unwrap().faults());
    aws.add(Fault::on_any(Effect::Hang).in_session(SESSION)).unwrap();
    api.add(ApiFault::on_any(ApiEffect::Hang).about(&words()));
    world.end_operator(Signal::Kill).await;
    aws.clear();
    api.clear();
    world.start_operator().await;
    true
}

/// A whole story with trouble in each chapter; gives how much of it came.
async fn troubled(world: &World, troubles: &[Option<Trouble>], ends: &[(Vec<Point>, Value)]) -> usize {
    let mut came = 0;
    for ((chapter, trouble), (_, clean)) in CHAPTERS.into_iter().zip(troubles).zip(ends) {
        let armed = trouble.as_ref().map(|trouble| trouble.arm(world)).unwrap_or_default();
        begin(world, chapter).await;
        let over = async || end(world, chapter).await.as_ref() == Some(clean);
        let kill = matches!(trouble, Some(Trouble::Kill(..)));
        let met = kill && killed(world, &armed, over).await;
        let (deadline, mut ask) = (Instant::now() + 5 * PATIENCE, Instant::now() + ASK);
        loop {
            let seen = end(world, chapter).await;
            if seen.as_ref() == Some(clean) {
                break;
            }
            let told = || {
                format!(
                    "{chapter:?} {trouble:?}: {}",
                    story::difference(clean, &seen.clone().unwrap_or_default())
                )
            };
            assert!(Instant::now() < deadline, "{}", told());
            world.keep_running().await;
            tokio::time::sleep(LOOK).await;
            if Instant::now() >= ask {
                let number = fastrand::u64(..).to_string();
                let patch = json!({"metadata": {"annotations": {"mooring.dev/reconcile-requested-at": number}}});
                let _ = world.stage.patch("ManagementRole", "default", patch).await;
                ask = Instant::now() + ASK;
            }
        }
        came += usize::from(trouble.is_some() && (met || armed.struck(world)));
        armed.lift(world);
        if chapter != Chapter::Delete {
            rests(world, &format!("{chapter:?} {trouble:?}")).await;
        }
    }
    came
}

/// A whole pass changes nothing any more.
async fn rests(world: &World, told: &str) {
    world.whole_pass("ManagementRole", "default").await;
    world.whole_pass("ManagementRole", "default").await;
    let since = mark(world);
    world.whole_pass("ManagementRole", "default").await;
    let (aws, api) = called(world, since);
    let writes: Vec<_> = aws
        .iter()
        .filter(|call| call.write)
        .map(|call| &call.operation)
        .collect();
    assert!(writes.is_empty(), "{told}: a second pass writes to AWS: {writes:?}");
    let writes: Vec<_> = api.iter().filter(|call| call.request.is_write()).collect();
    assert!(
        writes.is_empty(),
        "{told}: a second pass writes to Kubernetes: {writes:?}"
    );
}

/// The stories to tell, each with trouble in its chapters: all of them, or some.
fn stories(of: &[Vec<Trouble>], some: usize) -> Vec<Vec<Option<Trouble>>> {
    let longest = of.iter().map(Vec::len).max().unwrap_or_default();
    if all() {
        let nth = |story: usize| of.iter().map(|of| of.get(story).cloned()).collect();
        return (0..longest).map(nth).collect();
    }
    // A step that is prime to the number of ways, so that few stories have many ways and calls.
    let nth = |story: usize| of.iter().map(|of| of.get(story % of.len().max(1)).cloned()).collect();
    (0..some).map(|story| nth(7 + story * 11)).collect()
}

/// A hub of its own, with a service account that the role may be bound to.
async fn hub() -> World {
    let mut setting = Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"]);
    setting.proxied = true;
    let world = World::start(setting).await;
    let metadata = json!({"name": "argocd-server", "namespace": NAMESPACE});
    world
        .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_the_management_role_the_end_is_that_of_a_clean_run() {
    let hubs = if all() { HUBS } else { 1 };
    make_room(hubs - 1);
    let worlds = join_all((0..hubs).map(|_| hub())).await;
    let ends = clean(&worlds[0]).await;
    let faults = |point: &Point| -> Vec<Trouble> {
        let ways = Way::of(point).into_iter();
        ways.map(|way| Trouble::Fault(point.clone(), way)).collect()
    };
    let kills = |point: &Point| -> Vec<Trouble> {
        let ways = [Way::TimedOut, Way::TimedOutAfter].into_iter().filter(|_| point.write);
        ways.map(|way| Trouble::Kill(point.clone(), way)).collect()
    };
    let each = |of: &dyn Fn(&Point) -> Vec<Trouble>| -> Vec<Vec<Trouble>> {
        ends.iter()
            .map(|(points, _)| points.iter().flat_map(of).collect())
            .collect()
    };
    tried(&worlds, "fault", &each(&faults), SOME, &ends).await;
    tried(&worlds, "kill", &each(&kills), 1, &ends).await;
    for world in &worlds {
        let log = world.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// Tells the stories of one sweep, each in the hub that is free next.
async fn tried(worlds: &[World], what: &str, of: &[Vec<Trouble>], some: usize, ends: &[(Vec<Point>, Value)]) {
    let started = Instant::now();
    let stories = stories(of, some);
    let tried: usize = stories.iter().flatten().flatten().count();
    let left = Mutex::new(stories.into_iter());
    let came = join_all(worlds.iter().map(|world| async {
        let mut came = 0;
        loop {
            let Some(story) = left.lock().unwrap().next() else {
                return came;
            };
            came += Box::pin(troubled(world, &story, ends)).await;
        }
    }));
    let came: usize = came.await.into_iter().sum();
    say(&format!(
        "{what} sweep of the management role: {tried} of {} points tried{} in {} s, {} of them not met",
        of.iter().map(Vec::len).sum::<usize>(),
        if all() { "" } else { " (make sweep tries all)" },
        started.elapsed().as_secs(),
        tried - came
    ));
    assert!(
        tried - came <= 1.max(tried / 20),
        "too many calls were not made: {} of {tried}",
        tried - came
    );
}
