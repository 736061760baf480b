//! What the operator calls in a scenario, found from the logs of a clean run: where faults fall and kills happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use futures::future::join_all;
use mooring_sandbox::{
    aws::{Call, contract::Service},
    control_plane::ApiCall,
};
use serde_json::Value;
use tokio::{sync::OnceCell, time::Instant};

use super::{
    ground::{Ground, LOOK},
    say,
    scenarios::{End, SCENARIOS, Scenario},
    story,
};
use crate::support::PATIENCE;

/// Clean runs of each scenario beside each other: only calls that all of them make count, since a call more may depend
/// on who was quicker.
const RUNS: usize = 3;

/// What makes a role or an access entry go.
pub(super) const DESTROYING: [&str; 2] = ["DeleteRole", "DeleteAccessEntry"];

/// One call: the nth of its kind in its scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// The service of AWS; `None`: the Kubernetes API.
    pub(super) service: Option<Service>,
    /// The operation of AWS, or verb and resource.
    pub(super) kind: String,
    pub(super) nth: u64,
    pub(super) write: bool,
    /// Whether the same session has written before it.
    pub(super) after_write: bool,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.kind, self.nth)
    }
}

/// A scenario in which nothing went wrong.
#[derive(Debug)]
pub(super) struct Clean {
    pub(super) points: Vec<Point>,
    /// What stood at the end.
    pub(super) end: Value,
    /// Whether a role or an access entry is deleted in it.
    pub(super) destroys: bool,
}

impl Clean {
    pub(super) fn writes(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.write)
    }
}

/// The clean run of every scenario, in the order of the table; made once.
pub(super) async fn clean() -> &'static [Clean] {
    static CLEAN: OnceCell<Vec<Clean>> = OnceCell::const_new();
    CLEAN.get_or_init(|| Box::pin(run())).await
}

async fn run() -> Vec<Clean> {
    let name = |scenario: &Scenario, run: usize| format!("{}-{run:04}", scenario.name);
    let names: Vec<String> = SCENARIOS
        .iter()
        .flat_map(|scenario| (0..RUNS).map(move |run| name(scenario, run)))
        .collect();
    let ground = Ground::of(&names).await;
    let stories = SCENARIOS.iter().map(|scenario| {
        let ground = &ground;
        async move {
            let runs: Vec<(Vec<Point>, Value)> =
                join_all((0..RUNS).map(|run| one(ground, scenario, name(scenario, run)))).await;
            let mut points = runs[0].0.clone();
            points.retain(|point| runs.iter().all(|(points, _)| points.contains(point)));
            let all: BTreeSet<&Point> = runs.iter().flat_map(|(points, _)| points).collect();
            let once: Vec<Point> = (all.into_iter())
                .filter(|point| !points.contains(point))
                .cloned()
                .collect();
            left_out(scenario.name, &once);
            for (_, end) in &runs {
                let difference = story::difference(&runs[0].1, end);
                assert!(
                    difference.is_empty(),
                    "{}: clean runs end unlike:\n{difference}",
                    scenario.name
                );
            }
            let removed = scenario.end == End::Gone;
            let recorded = &runs[0].1["removal recorded"];
            assert_eq!(*recorded, removed, "{}: what the breaker counts by", scenario.name);
            let asks = points.iter().any(|point| point.service.is_none());
            assert!(asks, "{} calls nobody", scenario.name);
            Clean {
                destroys: destroys(&points),
                points,
                end: runs[0].1.clone(),
            }
        }
    });
    let clean = join_all(stories).await;
    ground.sound(&names);
    // Later, a stale read may hide that a person took a boundary away, without which AWS refuses what it allows else.
    ground.world.never_denied();
    clean
}

/// Says which calls were made in some clean runs alone, and so are not tried.
pub(super) fn left_out(story: &str, once: &[Point]) {
    let once: Vec<String> = once.iter().map(Point::to_string).collect();
    if !once.is_empty() {
        say(&format!(
            "{story}: not in every clean run, and left out: {}",
            once.join(", ")
        ));
    }
}

async fn one(ground: &Ground, scenario: &Scenario, name: String) -> (Vec<Point>, Value) {
    ground.prepare(scenario, &name).await;
    quiet(ground, &name).await;
    let (aws, api, end) = untroubled(ground, scenario, &name).await;
    (points(aws, api), end)
}

/// A story in which nothing goes wrong: what was called in it, and what stands at its end.
pub(super) async fn untroubled(ground: &Ground, scenario: &Scenario, name: &str) -> (Vec<Call>, Vec<ApiCall>, Value) {
    let (aws, api) = ground.mark();
    ground.begin(scenario, name).await;
    // What was done by hand is not at once seen.
    let wrote = || ground.aws_calls(name, aws).iter().any(|call| call.write);
    let began = || wrote() || scenario.end == End::Gone && ground.object(name).is_null();
    ground
        .until(name, "the clean run writes to AWS, or is over", began)
        .await;
    quiet(ground, name).await;
    ground
        .until(name, "the clean run is at its end", || ground.ended(scenario, name))
        .await;
    let end = story::end(ground, scenario, name);
    (ground.aws_calls(name, aws), ground.api_calls(name, api), end)
}

/// Whether a role or an access entry is deleted by one of these calls.
pub(super) fn destroys(points: &[Point]) -> bool {
    points.iter().any(|point| DESTROYING.contains(&point.kind.as_str()))
}

/// The calls in the order in which they came to their end, each with its number among those of its kind.
pub(super) fn points(aws: Vec<Call>, api: Vec<ApiCall>) -> Vec<Point> {
    let mut points = Vec::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrote = false;
    let mut nth = |kind: &str| {
        let count = counts.entry(kind.to_owned()).or_default();
        *count += 1;
        *count
    };
    for call in aws {
        points.push(Point {
            service: Some(call.service),
            nth: nth(&call.operation),
            kind: call.operation,
            write: call.write,
            after_write: wrote,
        });
        wrote |= call.write;
    }
    for call in api {
        let kind = call.request.kind();
        points.push(Point {
            service: None,
            nth: nth(&kind),
            kind,
            write: call.request.is_write(),
            after_write: false,
        });
    }
    points
}

/// Waits until nothing has been called for a cluster for a while: longer than two looks are apart that must agree.
pub(super) async fn quiet(ground: &Ground, name: &str) {
    let mut last = ground.mark();
    let (mut looks, deadline) = (0, Instant::now() + 2 * PATIENCE);
    while looks < 20 {
        assert!(
            Instant::now() < deadline,
            "{name} is never quiet: {}",
            ground.log_of(name)
        );
        tokio::time::sleep(LOOK).await;
        if ground.aws_calls(name, last.0).is_empty() && ground.api_calls(name, last.1).is_empty() {
            looks += 1;
        } else {
            looks = 0;
            last = ground.mark();
        }
    }
}
