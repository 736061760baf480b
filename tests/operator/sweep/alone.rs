//! What tells nobody for whom it is asked: lists, above all those of the Applications that a removal waits for, and the
//! entering of an account, which an operator that has just started does first. One cluster after another has its story, so
//! that whatever is asked meanwhile is asked for it, and an operator of its own.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt, future::join_all, stream};
use mooring_sandbox::{aws::contract::Service, control_plane::ApiCall};
use tokio::time::Instant;

use super::{
    BESIDE, Ended, Trial, Trouble, all,
    calls::{Clean, Point, destroys, left_out, points, quiet, untroubled},
    faults::Way,
    ground::Ground,
    note,
    scenarios::{End, SCENARIOS, Scenario},
    troubled,
};
use crate::support::make_room;

/// Worlds among which the stories are shared when all are told.
const WORLDS: usize = 5;

/// Those of which `make test` has time for a part: what they take away hangs on what a list holds.
const SOME: [&str; 1] = ["drain"];

/// What a clean run asked for without a name, and where it led.
async fn clean(ground: &Ground, scenario: &'static Scenario, name: &str) -> Clean {
    fresh(ground, name).await;
    let (aws, mut api, end) = untroubled(ground, scenario, name).await;
    // What is kept is not looked at, and its account not entered.
    let enters = !aws.is_empty();
    // What comes after the last write to the object is the management role's, which has stories of its own.
    let of_the_object = |call: &ApiCall| {
        let request = &call.request;
        request.is_write() && request.about == name && request.resource.starts_with("managedclusters.")
    };
    api.truncate(api.iter().rposition(of_the_object).unwrap_or_default() + 1);
    let nameless: Vec<String> = (api.iter())
        .filter(|call| call.request.about.is_empty())
        .map(|call| call.request.kind())
        .collect();
    let mut points = points(aws, api);
    let destroys = destroys(&points);
    points.retain(|point| nameless.contains(&point.kind));
    if enters {
        points.push(entering());
    }
    Clean { points, end, destroys }
}

/// An operator that has just started enters the account before it does anything for a cluster.
fn entering() -> Point {
    Point {
        service: Some(Service::Sts),
        kind: "AssumeRole".to_owned(),
        nth: 1,
        write: false,
        after_write: false,
    }
}

/// An operator that has just started, and has looked at all that was there: what a story asks for otherwise depends on how
/// long it waits behind that.
async fn fresh(ground: &Ground, name: &str) {
    ground.fresh_operator().await;
    quiet(ground, name).await;
}

/// All ways of each call, or one of them, which take turns.
fn ways(points: &[Point]) -> Vec<(Point, Way)> {
    let of = |(index, point): (usize, &Point)| {
        let ways = Way::of(point);
        let one = ways[index % ways.len()];
        let chosen = ways.into_iter().filter(move |way| all() || *way == one);
        chosen.map(|way| (point.clone(), way)).collect::<Vec<_>>()
    };
    points.iter().enumerate().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_without_a_name_fails_the_end_is_that_of_a_clean_run() {
    let started = Instant::now();
    let scenarios: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| all() || SOME.contains(&scenario.name))
        .collect();
    let worlds = if all() { WORLDS } else { 1 };
    make_room(worlds - 1);
    let twice = scenarios.iter().copied().flat_map(|scenario| [scenario; 2]);
    let names: Vec<String> = (twice.clone().enumerate())
        .map(|(number, scenario)| format!("{}-clean-{number}", scenario.name))
        .collect();
    let ground = Ground::alone(&with_beside(&names)).await;
    prepared(&ground, twice.zip(&names)).await;
    beside(&ground).await;
    let mut trials = Vec::new();
    for (scenario, names) in scenarios.iter().zip(names.chunks(2)) {
        // How often a list is asked for may depend on who was quicker.
        let mut both = clean(&ground, scenario, &names[0]).await;
        let again = clean(&ground, scenario, &names[1]).await;
        let (met, once) = both.points.drain(..).partition(|point| again.points.contains(point));
        both.points = met;
        left_out(scenario.name, &once);
        let clean: &'static Clean = Box::leak(Box::new(both));
        let kinds: Vec<String> = clean.points.iter().map(Point::to_string).collect();
        // Whoever lets go asks who still uses the cluster.
        let asks = kinds
            .iter()
            .any(|kind| kind.starts_with("list applications.argoproj.io"));
        assert!(asks || scenario.end != End::Gone, "{}: {kinds:?}", scenario.name);
        for (number, (point, way)) in ways(&clean.points).into_iter().enumerate() {
            trials.push(Trial {
                number,
                name: format!("{}-{number:04}", scenario.name),
                scenario,
                clean,
                trouble: Trouble::At(point, way),
            });
        }
    }
    ground.sound(&with_beside(&names));
    drop(ground);
    trials.retain(|trial| super::asked_for(&trial.told()));
    let share = trials.len().div_ceil(worlds).max(1);
    let ended = join_all(trials.chunks(share).map(|trials| Box::pin(in_turn(trials)))).await;
    let (mut failed, mut not_met) = (Vec::new(), Vec::new());
    for (trial, ended) in trials.iter().zip(ended.into_iter().flatten()) {
        note(trial, ended, &mut failed, &mut not_met);
    }
    super::told(
        "fault sweep of what names no object",
        &trials,
        started,
        &failed,
        &not_met,
        Trial::kind,
    );
}

/// Tells these stories one after another in a world of their own.
async fn in_turn(trials: &[Trial]) -> Vec<std::thread::Result<Ended>> {
    let names: Vec<String> = trials.iter().map(|trial| trial.name.clone()).collect();
    let ground = Ground::alone(&with_beside(&names)).await;
    let (born, _) = ground.mark();
    prepared(&ground, trials.iter().map(|trial| (trial.scenario, &trial.name))).await;
    beside(&ground).await;
    let mut ends = Vec::new();
    for trial in trials {
        let story = async {
            let enters = matches!(&trial.trouble, Trouble::At(point, _) if *point == entering());
            if !enters {
                fresh(&ground, &trial.name).await;
            }
            troubled(&ground, trial, born, enters).await
        };
        ends.push(AssertUnwindSafe(Box::pin(story)).catch_unwind().await);
        // What this one left unfinished is not to fall on the next.
        ground.world.stage.aws.faults().clear();
        ground.proxy().faults().clear();
    }
    ground.sound(&with_beside(&names));
    ends
}

/// A cluster to which an ApplicationSet deploys, in each world and for as long as it lasts: who lets go of another looks once
/// more where there is one.
const IN_USE: &str = "drain-beside";

fn with_beside(names: &[String]) -> Vec<String> {
    names.iter().cloned().chain([IN_USE.to_owned()]).collect()
}

async fn beside(ground: &Ground) {
    let drain = SCENARIOS.iter().find(|scenario| scenario.name == "drain").unwrap();
    ground.prepare(drain, IN_USE).await;
}

async fn prepared(ground: &Ground, clusters: impl Iterator<Item = (&'static Scenario, &String)>) {
    let prepared = clusters.map(|(scenario, name)| ground.prepare(scenario, name));
    stream::iter(prepared).buffer_unordered(BESIDE).collect::<()>().await;
}
