//! The same for the management role, of which a hub has one: the stories of a hub come one after another, each with a
//! fault, or a kill, in every chapter.

use std::{collections::BTreeSet, fmt, sync::Mutex, time::Duration};

use futures::future::join_all;
use mooring::aws::{CALLS, Target};
use mooring_sandbox::{
    aws::{Call, Effect, Fault},
    control_plane::{About, ApiCall, ApiEffect, ApiFault},
    stage::Signal,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ASK, all,
    calls::{self, Point, points},
    chapters::{CHAPTERS, CLUSTER, Chapter, begin, end},
    faults::{ATTEMPTS, Armed, Way},
    ground::{LOOK, REMOVALS},
    lines, never_met, say, story, workload,
};
use crate::{
    binding::SERVER,
    support::{PATIENCE, Setting, World, make_room, tail},
};

/// How many stories `make test` has time for.
const SOME: usize = 2;

/// How many hubs share the stories when all are told: they wait for most of the time.
const HUBS: usize = 5;

/// How long nothing must have been called for a chapter to be over.
const QUIET: Duration = Duration::from_secs(4);

const SESSION: &str = "default@hub";

/// The requests to the API server about the management role and what is bound to it, and those that name nothing: a hub has
/// one management role and one cluster.
fn about() -> About {
    About::words(["default", SERVER]).or_nameless()
}

/// A chapter in which nothing went wrong.
struct Clean {
    points: Vec<Point>,
    /// What stood at the end.
    end: Value,
    /// What was written to AWS.
    writes: BTreeSet<String>,
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
    (aws, world.stage.proxied().unwrap().since(api, &about()))
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
async fn clean(world: &World) -> Vec<Clean> {
    let (mut chapters, mut uid) = (Vec::new(), String::new());
    for chapter in CHAPTERS {
        let since = mark(world);
        begin(world, chapter).await;
        uid = uid_of(world).await.unwrap_or(uid);
        let over = async || end(world, chapter).await;
        world.eventually("a chapter is over", over).await;
        // What follows from it for the management role comes after it.
        quiet(world).await;
        let end = world.eventually("a chapter is over", over).await;
        let (aws, api) = called(world, since);
        let standing = chapter != Chapter::Delete;
        assert_eq!(end["bound"].is_string(), standing, "{chapter:?}: {end}");
        let recorded = end["status"]["removals"] == json!([CLUSTER]);
        assert_eq!(recorded, chapter == Chapter::Shrink, "{chapter:?}: {end}");
        let writes = written(&aws, &uid);
        chapters.push(Clean {
            points: points(aws, api),
            end,
            writes,
        });
    }
    chapters
}

async fn uid_of(world: &World) -> Option<String> {
    let object = world.get("ManagementRole", "default").await?;
    object["metadata"]["uid"].as_str().map(str::to_owned)
}

/// Every write to AWS with its input, in words that are the same for every object.
fn written(calls: &[Call], uid: &str) -> BTreeSet<String> {
    let writes = calls.iter().filter(|call| call.write);
    let words = writes.map(|call| format!("{} {}", call.operation, Value::from(call.input.clone())));
    words.map(|words| words.replace(uid, "UID")).collect()
}

/// Nothing is written on the way to AWS that a clean run does not write: no wider trust or policy, and no other boundary.
/// What a chapter before this one wrote may be written again, but where access is taken away.
fn gave_no_more(calls: &[Call], uid: &str, chapter: Chapter, ends: &[Clean]) {
    let takes_away = matches!(chapter, Chapter::Shrink | Chapter::Delete);
    let known = CHAPTERS.iter().zip(ends).filter(|(other, _)| {
        let before = CHAPTERS
            .iter()
            .take_while(|one| **one != chapter)
            .any(|one| one == *other);
        **other == chapter || before && !takes_away
    });
    let known: BTreeSet<&String> = known.flat_map(|(_, clean)| &clean.writes).collect();
    for write in written(calls, uid) {
        // One whose making was not answered is deleted and made again.
        let taken = write.starts_with("DeleteRole ") || write.starts_with("DeleteRolePolicy ");
        assert!(
            known.contains(&write) || taken,
            "{chapter:?} writes {write}, a clean run {known:#?}"
        );
    }
}

/// What goes wrong in a chapter.
#[derive(Clone, Debug)]
enum Trouble {
    Fault(Point, Way),
    /// The operator is killed before the write (`TimedOut`) or after it (`TimedOutAfter`).
    Kill(Point, Way),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(point, way) => write!(f, "{way:?} at {point}"),
            Self::Kill(point, way) => write!(f, "killed, {way:?} at {point}"),
        }
    }
}

impl Trouble {
    fn point(&self) -> &Point {
        let (Self::Fault(point, _) | Self::Kill(point, _)) = self;
        point
    }

    fn arm(&self, world: &World) -> Armed {
        let (Self::Fault(point, way) | Self::Kill(point, way)) = self;
        Armed::arm(world, SESSION, &about(), point, *way)
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
    api.add(ApiFault::on_any(ApiEffect::Hang).about(&about()));
    world.end_operator(Signal::Kill).await;
    aws.clear();
    api.clear();
    world.start_operator().await;
    true
}

/// A whole story with trouble in each chapter; gives what of it did not come.
async fn troubled(world: &World, troubles: &[Option<Trouble>], ends: &[Clean]) -> Vec<(Chapter, Trouble)> {
    let (mut missing, mut uid) = (Vec::new(), String::new());
    for ((chapter, trouble), clean) in CHAPTERS.into_iter().zip(troubles).zip(ends) {
        let since = mark(world);
        let clean = &clean.end;
        let armed = trouble.as_ref().map(|trouble| trouble.arm(world)).unwrap_or_default();
        begin(world, chapter).await;
        uid = uid_of(world).await.unwrap_or(uid);
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
        if let Some(trouble) = trouble.as_ref().filter(|_| !met && !armed.struck(world)) {
            missing.push((chapter, trouble.clone()));
        }
        armed.lift(world);
        rests(world, chapter, &format!("{chapter:?} {trouble:?}")).await;
        gave_no_more(&called(world, since).0, &uid, chapter, ends);
    }
    missing
}

/// A whole pass changes nothing any more, and where no object is left, nobody goes on.
async fn rests(world: &World, chapter: Chapter, told: &str) {
    let gone = chapter == Chapter::Delete;
    if !gone {
        world.whole_pass("ManagementRole", "default").await;
        world.whole_pass("ManagementRole", "default").await;
    }
    let since = mark(world);
    if gone {
        tokio::time::sleep(4 * LOOK).await;
    } else {
        world.whole_pass("ManagementRole", "default").await;
    }
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
async fn hub() -> (World, workload::Rollouts) {
    let setting = Setting::of(&["222222222222/eu-west-1/one"]).flag(&["--confirm-after", "2s"]);
    let mut setting = setting.flag(&ATTEMPTS).flag(&REMOVALS);
    setting.proxied = true;
    setting.management["spec"]["restartWorkloads"] = json!(true);
    setting.management["spec"]["serviceAccounts"] = json!([SERVER]);
    let world = World::start(setting).await;
    let rollouts = workload::watched(&world).await;
    (world, rollouts)
}

/// Every call of the operator's own to AWS is made in a scenario or a chapter, and so swept; what only a walk of the chain
/// or a start makes is none of them.
async fn every_call_is_swept(ends: &[Clean]) {
    let clusters = calls::clean().await.iter().flat_map(|clean| &clean.points);
    let points = clusters.chain(ends.iter().flat_map(|clean| &clean.points));
    let swept: BTreeSet<&str> = points
        .filter(|point| point.service.is_some())
        .map(|point| point.kind.as_str())
        .collect();
    let walks = |target: &Target| matches!(target, Target::Walk | Target::Nothing);
    let made: BTreeSet<&str> = (CALLS.iter())
        .filter(|row| !row.needs.iter().all(|need| walks(&need.on)))
        .map(|row| row.operation)
        .collect();
    assert_eq!(swept, made, "calls of the sweeps, and all calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_the_management_role_the_end_is_that_of_a_clean_run() {
    let hubs = if all() { HUBS } else { 1 };
    make_room(hubs - 1);
    let (worlds, _rollouts): (Vec<World>, Vec<_>) = join_all((0..hubs).map(|_| hub())).await.into_iter().unzip();
    let ends = clean(&worlds[0]).await;
    every_call_is_swept(&ends).await;
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
            .map(|clean| clean.points.iter().flat_map(of).collect())
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
async fn tried(worlds: &[World], what: &str, of: &[Vec<Trouble>], some: usize, ends: &[Clean]) {
    let started = Instant::now();
    let stories = stories(of, some);
    let troubles = stories.iter().flat_map(|story| CHAPTERS.iter().zip(story));
    let troubles: Vec<(Chapter, Trouble)> = troubles
        .filter_map(|(chapter, trouble)| Some((*chapter, trouble.clone()?)))
        .collect();
    let tried = troubles.len();
    let left = Mutex::new(stories.into_iter());
    let missing = join_all(worlds.iter().map(|world| async {
        let mut missing = Vec::new();
        loop {
            let Some(story) = left.lock().unwrap().next() else {
                return missing;
            };
            missing.extend(Box::pin(troubled(world, &story, ends)).await);
        }
    }));
    let missing: Vec<(Chapter, Trouble)> = missing.await.into_iter().flatten().collect();
    let tell = |(chapter, trouble): &(Chapter, Trouble)| format!("{chapter:?}: {trouble}");
    let told: Vec<String> = missing.iter().map(tell).collect();
    let made = troubles.iter().map(|of| {
        let call = format!("{:?}: {}", of.0, of.1.point());
        (call, !told.contains(&tell(of)))
    });
    say(&format!(
        "{what} sweep of the management role: {tried} of {} points tried{} in {} s, {} of them not met{}",
        of.iter().map(Vec::len).sum::<usize>(),
        if all() { "" } else { " (make sweep tries all)" },
        started.elapsed().as_secs(),
        missing.len(),
        lines(&told)
    ));
    assert!(
        missing.len() <= 1.max(tried / 20),
        "too many calls were not made: {} of {tried}",
        missing.len()
    );
    let never = never_met(made);
    assert!(!all() || never.is_empty(), "in no way met: {never:#?}");
}
