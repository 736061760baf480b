//! The operator is killed before and after every write, of AWS and of Kubernetes, and started again. A kill concerns the
//! whole process, so every cluster is held at a write of its own, and then it is killed once.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt, future::join_all, stream};
use mooring_sandbox::{
    aws::{Effect, Fault, FaultId},
    control_plane::{ApiEffect, ApiFault, ApiFaultId},
    stage::Signal,
};
use tokio::time::Instant;

use super::{
    ASK, BESIDE, Trial, Trouble,
    calls::{Point, clean},
    faults::Way,
    ground::{Ground, LOOK},
    never_met, not_remade, rests, say,
    scenarios::SCENARIOS,
    story,
};
use crate::support::PATIENCE;

/// How long the slowest cluster may take to come to its point, after the last one that came to its own.
const HELD: std::time::Duration = PATIENCE;

/// What holds a cluster at a write.
enum Hold {
    Aws(FaultId),
    Api(ApiFaultId),
}

impl Hold {
    /// `TimedOut` holds it before the write, `TimedOutAfter` after it.
    fn at(ground: &Ground, name: &str, point: &Point, way: Way) -> Self {
        let after = way == Way::TimedOutAfter;
        if point.service.is_some() {
            let effect = if after { Effect::HangAfter } else { Effect::Hang };
            let fault = Fault::on(&point.kind, effect).in_session(&ground.session(name));
            Self::Aws(ground.world.stage.aws.faults().add(fault.nth(point.nth)).unwrap())
        } else {
            let effect = if after { ApiEffect::HangAfter } else { ApiEffect::Hang };
            let fault = ApiFault::on(&point.kind, effect).about(&ground.about(name));
            Self::Api(ground.proxy().faults().add(fault.nth(point.nth)))
        }
    }

    fn held(&self, ground: &Ground) -> bool {
        match self {
            Self::Aws(id) => ground.world.stage.aws.faults().struck(*id) > 0,
            Self::Api(id) => ground.proxy().faults().struck(*id) > 0,
        }
    }
}

/// Whoever is held goes no further, whatever else the operator tries for it meanwhile.
fn freeze(ground: &Ground, name: &str) {
    let fault = Fault::on_any(Effect::Hang).in_session(&ground.session(name));
    ground.world.stage.aws.faults().add(fault).unwrap();
    let fault = ApiFault::on_any(ApiEffect::Hang).about(&ground.about(name));
    ground.proxy().faults().add(fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_write_the_end_is_that_of_a_clean_run() {
    let started = Instant::now();
    let mut trials = Vec::new();
    for (scenario, clean) in SCENARIOS.iter().zip(clean().await) {
        let points = clean
            .writes()
            .flat_map(|point| [(point, Way::TimedOut), (point, Way::TimedOutAfter)]);
        for (index, (point, way)) in points.enumerate() {
            trials.push(Trial {
                number: index,
                name: format!("{}-{index:04}", scenario.name),
                scenario,
                clean,
                trouble: Trouble::At(point.clone(), way),
            });
        }
    }
    trials.retain(|trial| super::asked_for(&trial.told()));
    let names: Vec<String> = trials.iter().map(|trial| trial.name.clone()).collect();
    let ground = Ground::of(&names).await;
    let (born, _) = ground.mark();
    let prepared = trials.iter().map(|trial| ground.prepare(trial.scenario, &trial.name));
    stream::iter(prepared).buffer_unordered(BESIDE).collect::<()>().await;
    let (began, _) = ground.mark();
    let holds: Vec<Hold> = (trials.iter())
        .map(|trial| match &trial.trouble {
            Trouble::At(point, way) => Hold::at(&ground, &trial.name, point, *way),
            Trouble::Lag => panic!("a lag holds nothing"),
        })
        .collect();
    join_all(trials.iter().map(|trial| ground.begin(trial.scenario, &trial.name))).await;
    let missing = all_held(&ground, &trials, &holds).await;
    ground.world.end_operator(Signal::Kill).await;
    ground.world.stage.aws.faults().clear();
    ground.proxy().faults().clear();
    ground.world.start_operator().await;
    let ends = join_all(trials.iter().map(|trial| {
        let end = async {
            let at_end = || super::at_end(&ground, trial);
            let told = || story::difference(&trial.clean.end, &story::end(&ground, trial.scenario, &trial.name));
            let (deadline, mut ask) = (Instant::now() + 5 * PATIENCE, Instant::now() + ASK);
            while !at_end() {
                assert!(Instant::now() < deadline, "{}\n{}", told(), ground.log_of(&trial.name));
                ground.world.keep_running().await;
                tokio::time::sleep(LOOK).await;
                // Whoever stood well before is looked at later than others by an operator that starts.
                if Instant::now() >= ask && !ground.object(&trial.name).is_null() {
                    ground.try_to_ask(&trial.name).await;
                    ask = Instant::now() + ASK;
                }
            }
            rests(&ground, trial).await;
            // Of a role that was made and that nobody could write down, nobody knows who made it: it is made afresh.
            if !trial.clean.writes().any(|point| point.kind == "CreateRole") {
                not_remade(&ground, trial, began);
            }
            let since = if trial.scenario.takes_away() { began } else { born };
            story::gave_no_more(&ground, trial.scenario, &trial.name, since);
        };
        AssertUnwindSafe(Box::pin(end)).catch_unwind()
    }))
    .await;
    say(&format!(
        "kill sweep: {} points tried in {} s, {} of them not met{}",
        trials.len(),
        started.elapsed().as_secs(),
        missing.len(),
        super::lines(&missing)
    ));
    let failed = trials.iter().zip(ends).filter_map(|(trial, end)| {
        let why = end.err()?;
        Some(format!(
            "{}: {}",
            trial.told(),
            why.downcast_ref::<String>().cloned().unwrap_or_default()
        ))
    });
    let failed: Vec<String> = failed.collect();
    assert!(
        failed.is_empty(),
        "{} of {} failed:\n{}",
        failed.len(),
        trials.len(),
        failed.join("\n\n")
    );
    ground.sound(&names);
}

/// Waits until every cluster is held at its point; gives those that are not.
async fn all_held(ground: &Ground, trials: &[Trial], holds: &[Hold]) -> Vec<String> {
    let mut deadline = Instant::now() + HELD;
    let mut frozen = vec![false; holds.len()];
    loop {
        for ((hold, trial), frozen) in holds.iter().zip(trials).zip(&mut frozen) {
            if !*frozen && hold.held(ground) {
                *frozen = true;
                deadline = Instant::now() + HELD;
                freeze(ground, &trial.name);
            }
        }
        let missing = trials.iter().zip(&frozen).filter(|(_, frozen)| !**frozen);
        let missing: Vec<String> = missing.map(|(trial, _)| trial.told()).collect();
        if missing.is_empty() {
            return missing;
        }
        if Instant::now() >= deadline {
            assert!(missing.len() * 20 <= trials.len(), "not held: {missing:#?}");
            let calls = trials.iter().map(Trial::call).zip(frozen);
            let never = never_met(calls);
            assert!(never.is_empty(), "held neither before nor after: {never:#?}");
            return missing;
        }
        tokio::time::sleep(LOOK).await;
    }
}
