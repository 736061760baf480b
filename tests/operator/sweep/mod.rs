//! Whatever goes wrong, and wherever the operator ends: once it does not any more, the same state stands as if nothing
//! had, and nothing was given on the way that no spec gives.
//!
//! The calls are found from the logs of a clean run (`calls`), and each is swept in every way in which it can go wrong
//! (`faults`). The clusters stand side by side in one world (`ground`), one for each point, so that no fault falls on
//! another. `MOORING_SWEEP=all` (`make sweep`) tries every point, and other words there those whose
//! description holds them (`create (create-0013)`, `Lost at CreateRole`); without it each call is tried in one way, and the
//! ways take turns: the first call of a scenario in the first way, the second in the second, and so on, each scenario
//! one further on than the one before it.

mod alone;
mod applications;
mod calls;
mod chapters;
mod deeds;
mod faults;
mod ground;
mod kill;
mod management;
mod scenarios;
mod start;
mod story;
mod workload;

use std::{collections::BTreeSet, io::Write, panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, StreamExt, stream};
use mooring_sandbox::stage::Signal;
use tokio::time::Instant;

use self::{
    calls::{Clean, DESTROYING, Point, clean},
    faults::{Armed, Way},
    ground::{Ground, LOOK},
    scenarios::{SCENARIOS, Scenario},
};
use crate::support::PATIENCE;

/// How many clusters have their story at the same time.
const BESIDE: usize = 80;

/// How many clusters stand in one world: the policy of a management role has no room for more roles that are named one by
/// one.
const WORLD: usize = 240;

/// How late watches are in the story of a watch that lags.
const LAG: Duration = Duration::from_secs(3);

/// How long the story of one cluster may take before a pass is asked for; whoever was refused waits longer by itself.
const ASK: Duration = Duration::from_secs(4);

fn all() -> bool {
    std::env::var("MOORING_SWEEP").is_ok()
}

/// Whether a trial is asked for, by the words in which it is told.
fn asked_for(told: &str) -> bool {
    std::env::var("MOORING_SWEEP").map_or(true, |only| only == "all" || told.contains(&only))
}

/// Prints a line past the test harness, which shows what a test prints only when it fails.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What goes wrong in one story.
#[derive(Clone)]
enum Trouble {
    At(Point, Way),
    Lag,
}

struct Trial {
    /// Counted from zero among those of its scenario.
    number: usize,
    name: String,
    scenario: &'static Scenario,
    clean: &'static Clean,
    trouble: Trouble,
}

impl Trial {
    fn told(&self) -> String {
        match &self.trouble {
            Trouble::At(point, way) => format!("{} ({}), {way:?} at {point}", self.scenario.name, self.name),
            Trouble::Lag => format!("{} ({}), watches lag", self.scenario.name, self.name),
        }
    }
}

impl Trial {
    /// The kind of the call that it is about, whichever of its kind.
    fn kind(&self) -> String {
        match &self.trouble {
            Trouble::At(point, _) => format!("{}: {}", self.scenario.name, point.kind),
            Trouble::Lag => self.call(),
        }
    }

    /// The call that it is about, however it goes wrong.
    fn call(&self) -> String {
        match &self.trouble {
            Trouble::At(point, _) => format!("{}: {point}", self.scenario.name),
            Trouble::Lag => format!("{}: watches", self.scenario.name),
        }
    }
}

fn troubles(number: usize, clean: &Clean, all: bool) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (index, point) in clean.points.iter().enumerate() {
        let ways = Way::of(point);
        let one = ways[(number + index) % ways.len()];
        let chosen = ways.into_iter().filter(|way| all || *way == one);
        troubles.extend(chosen.map(|way| Trouble::At(point.clone(), way)));
    }
    troubles.push(Trouble::Lag);
    troubles
}

/// How one story ended.
enum Ended {
    /// The fault fell, and the end was that of a clean run.
    Held,
    /// The end was that of a clean run, but the call was not made this time.
    NotMet,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_call_fails_the_end_is_that_of_a_clean_run() {
    let started = Instant::now();
    let mut trials = Vec::new();
    for ((number, scenario), clean) in SCENARIOS.iter().enumerate().zip(clean().await) {
        for (index, trouble) in troubles(number, clean, all()).into_iter().enumerate() {
            trials.push(Trial {
                number: index,
                name: format!("{}-{index:04}", scenario.name),
                scenario,
                clean,
                trouble,
            });
        }
    }
    trials.retain(|trial| asked_for(&trial.told()));
    // By number, so that those of one scenario are spread over the worlds.
    trials.sort_by_key(|trial| trial.number);
    let (mut failed, mut not_met) = (Vec::new(), Vec::new());
    for trials in trials.chunks(WORLD) {
        Box::pin(side_by_side(trials, &mut failed, &mut not_met)).await;
    }
    told("fault sweep", &trials, started, &failed, &not_met, Trial::call);
}

/// Prints how it went, and fails where a story did, or a call, as it is told from others, was made in none.
fn told(
    what: &str,
    trials: &[Trial],
    started: Instant,
    failed: &[String],
    not_met: &[&Trial],
    call: fn(&Trial) -> String,
) {
    let missing: Vec<String> = not_met.iter().map(|trial| trial.told()).collect();
    say(&format!(
        "{what}: {} points tried{} in {} s, {} of them not met{}",
        trials.len(),
        if all() { "" } else { " (make sweep tries all)" },
        started.elapsed().as_secs(),
        missing.len(),
        lines(&missing)
    ));
    assert!(
        failed.is_empty(),
        "{} of {} failed:\n{}",
        failed.len(),
        trials.len(),
        failed.join("\n\n")
    );
    assert!(
        missing.len() * 20 <= trials.len().max(20),
        "too many calls were not made: {missing:#?}"
    );
    if !all() {
        return;
    }
    let met = |trial: &Trial| !not_met.iter().any(|missing| missing.told() == trial.told());
    let never = never_met(trials.iter().map(|trial| (call(trial), met(trial))));
    assert!(never.is_empty(), "in no way met: {never:#?}");
}

/// The calls that were not made however they were to go wrong: each trial by its call, and whether that was made. How often a
/// call is made in a story hangs on how many passes come by, so that it was made once is enough.
fn never_met(trials: impl IntoIterator<Item = (String, bool)>) -> BTreeSet<String> {
    let (mut all, mut met) = (BTreeSet::new(), BTreeSet::new());
    for (call, made) in trials {
        let call = call
            .rsplit_once(" #")
            .map_or_else(|| call.clone(), |(kind, _)| kind.to_owned());
        if made {
            met.insert(call.clone());
        }
        all.insert(call);
    }
    all.retain(|call| !met.contains(call));
    all
}

#[test]
fn a_call_that_is_made_in_no_trial_of_it_is_named() {
    let trials = [
        ("a #1", false),
        ("b #1", false),
        ("a #1", true),
        ("c", true),
        ("b #2", false),
        ("a #2", false),
    ];
    let never = never_met(trials.map(|(call, made)| (call.to_owned(), made)));
    assert_eq!(never, BTreeSet::from(["b".to_owned()]));
}

/// A list to stand at the end of a line.
fn lines(all: &[String]) -> String {
    if all.is_empty() {
        return String::new();
    }
    format!("\n  {}", all.join("\n  "))
}

/// Tries these in a world of their own, and tells which failed, and whose call was not made.
async fn side_by_side<'a>(trials: &'a [Trial], failed: &mut Vec<String>, not_met: &mut Vec<&'a Trial>) {
    let names: Vec<String> = trials.iter().map(|trial| trial.name.clone()).collect();
    let ground = Ground::of(&names).await;
    let stories = trials.iter().map(|trial| {
        let story = AssertUnwindSafe(Box::pin(story(&ground, trial))).catch_unwind();
        async move { (trial, story.await) }
    });
    let mut stories = stream::iter(stories).buffer_unordered(BESIDE);
    while let Some((trial, ended)) = stories.next().await {
        note(trial, ended, failed, not_met);
    }
    ground.sound(&names);
}

/// Notes how a story ended.
fn note<'a>(
    trial: &'a Trial,
    ended: std::thread::Result<Ended>,
    failed: &mut Vec<String>,
    not_met: &mut Vec<&'a Trial>,
) {
    match ended {
        Ok(Ended::Held) => {}
        Ok(Ended::NotMet) => not_met.push(trial),
        Err(why) => {
            let why = why.downcast_ref::<String>().cloned();
            let told = format!("{}: {}", trial.told(), why.unwrap_or_default());
            // A sweep of everything takes long: what fails is told at once.
            if all() {
                say(&told);
            }
            failed.push(told);
        }
    }
}

async fn story(ground: &Ground, trial: &Trial) -> Ended {
    let Trial { name, scenario, .. } = trial;
    let (born, _) = ground.mark();
    ground.prepare(scenario, name).await;
    troubled(ground, trial, born, false).await
}

/// The story of a cluster that was brought to its beginning; it was born at a mark of the log of AWS. It may begin while no
/// operator runs, so that one that starts finds it begun.
async fn troubled(ground: &Ground, trial: &Trial, born: u64, before_the_operator: bool) -> Ended {
    let Trial { name, scenario, .. } = trial;
    let (world, about) = (&ground.world, ground.about(name));
    let armed = match &trial.trouble {
        Trouble::At(point, way) => Armed::arm(world, &ground.session(name), &about, point, *way),
        Trouble::Lag => Armed::lag(world, &about, LAG),
    };
    let began = ground.mark();
    if before_the_operator {
        world.end_operator(Signal::Terminate).await;
        ground.begin(scenario, name).await;
        world.start_operator().await;
    } else {
        ground.begin(scenario, name).await;
    }
    let (deadline, mut ask) = (Instant::now() + 5 * PATIENCE, Instant::now() + ASK);
    let mut asked = 0;
    // At its end, and the fault has fallen; or it does not fall, though a few passes more were made. One that has fallen
    // once falls again only when the try that it fell on has been given up.
    let waited = |asked| asked > if armed.began(world) { 14 } else { 4 };
    while !at_end(ground, trial) || !(armed.struck(world) || waited(asked) || ground.object(name).is_null()) {
        let why = || story::difference(&trial.clean.end, &story::end(ground, scenario, name));
        assert!(
            Instant::now() < deadline,
            "not at its end:\n{}\n{}",
            why(),
            ground.log_of(name)
        );
        world.keep_running().await;
        tokio::time::sleep(LOOK).await;
        if Instant::now() >= ask && !ground.object(name).is_null() {
            ground.try_to_ask(name).await;
            ask = Instant::now() + ASK;
            asked += 1;
        }
    }
    let struck = armed.struck(world);
    armed.lift(world);
    if matches!(trial.trouble, Trouble::Lag) {
        // What was held back is still on its way.
        tokio::time::sleep(2 * LAG).await;
    }
    rests(ground, trial).await;
    not_remade(ground, trial, began.0);
    story::gave_no_more(
        ground,
        scenario,
        name,
        if scenario.takes_away() { began.0 } else { born },
    );
    if struck { Ended::Held } else { Ended::NotMet }
}

/// Whether what stands is what stands after a clean run.
fn at_end(ground: &Ground, trial: &Trial) -> bool {
    ground.ended(trial.scenario, &trial.name) && story::end(ground, trial.scenario, &trial.name) == trial.clean.end
}

/// The role is made afresh only where its making itself was not answered: whatever else fails, what stands stays.
fn not_remade(ground: &Ground, trial: &Trial, since: u64) {
    let unanswered = matches!(&trial.trouble, Trouble::At(point, _) if point.kind == "CreateRole");
    if trial.clean.destroys || unanswered {
        return;
    }
    let calls = ground.aws_calls(&trial.name, since);
    let destroyed: Vec<&String> = (calls.iter().map(|call| &call.operation))
        .filter(|operation| DESTROYING.contains(&operation.as_str()))
        .collect();
    assert!(
        destroyed.is_empty(),
        "{destroyed:?} for no reason\n{}",
        ground.log_of(&trial.name)
    );
}

/// A whole pass changes nothing any more. What failed last may be tried once more before that.
async fn rests(ground: &Ground, trial: &Trial) {
    let name = &trial.name;
    if ground.object(name).is_null() {
        return;
    }
    let mut writes = Vec::new();
    for _ in 0..8 {
        ground.pass(name).await;
        let (aws, api) = ground.mark();
        for _ in 0..2 {
            ground.pass(name).await;
        }
        let calls = ground.aws_calls(name, aws).into_iter().filter(|call| call.write);
        writes = calls.map(|call| call.operation).collect();
        let calls = ground
            .api_calls(name, api)
            .into_iter()
            .filter(|call| call.request.is_write());
        writes.extend(calls.map(|call| call.request.kind()));
        // One that still runs may have been seen for those that were asked for.
        if writes.is_empty() && at_end(ground, trial) {
            break;
        }
    }
    assert!(
        writes.is_empty(),
        "passes do not come to rest: {writes:?}\n{}",
        ground.log_of(name)
    );
    assert!(
        at_end(ground, trial),
        "{}",
        story::difference(&trial.clean.end, &story::end(ground, trial.scenario, name))
    );
}
