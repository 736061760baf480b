//! What is remembered of one object between passes.

use std::{collections::BTreeMap, time::Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::RestartedWorkload;

use super::{observe::Observed, plan::WINDOW, step::Step};

/// How many restarts the status can hold: more workloads than any Argo CD has.
const RECORDED: usize = 100;

/// What a person asked: the generation of the spec, and the annotation that asks for a pass.
type Asked = (Option<i64>, Option<String>);

/// What is remembered.
#[derive(Default)]
pub(super) struct Remembered {
    /// What a person asked last; a new wish begins the count of writes, and the record of restarts, anew.
    asked: Option<Asked>,
    /// When the annotation was written, by UID of the service account.
    written: BTreeMap<String, Vec<Instant>>,
    /// The restarts, once they were read from the status. What the watch brings of that later may be older.
    restarted: Option<Vec<RestartedWorkload>>,
    /// The restarts as they were written last.
    pub(super) recorded: Option<Vec<RestartedWorkload>>,
    /// The condition as it was written last.
    pub(super) told: Option<Condition>,
    /// Whether everything was let go of at the end of the object's life.
    pub(super) released: bool,
}

impl Remembered {
    /// Hears what a person asks; `recorded` are the restarts of the status.
    pub(super) fn hear(&mut self, asked: Asked, recorded: &[RestartedWorkload]) {
        let restarted = self.restarted.get_or_insert_with(|| recorded.to_vec());
        // An operator that starts anew has heard nothing new.
        if self.asked.as_ref().is_some_and(|before| *before != asked) {
            self.written.clear();
            restarted.clear();
        }
        self.asked = Some(asked);
    }

    /// Forgets the restarts of workloads that are not there any more, where that was looked at.
    pub(super) fn forget_gone(&mut self, observed: &Observed) {
        let Ok(running) = &observed.running else { return };
        let there = |uid: &String| running.workloads.iter().any(|workload| workload.target.uid == *uid);
        if !running.workloads.is_empty() {
            self.restarted.get_or_insert_default().retain(|one| there(&one.uid));
        }
    }

    /// Takes down what was done.
    pub(super) fn note(&mut self, step: &Step) {
        match step {
            Step::Bind { account, .. } => {
                let written = self.written.entry(account.uid.clone()).or_default();
                written.push(Instant::now());
            }
            Step::Restart { kind, workload, role } => {
                let restarted = self.restarted.get_or_insert_default();
                restarted.retain(|other| other.uid != workload.uid);
                if restarted.len() >= RECORDED {
                    restarted.remove(0);
                }
                restarted.push(RestartedWorkload {
                    uid: workload.uid.clone(),
                    workload: format!("{kind}/{}", workload.name),
                    role: role.clone(),
                });
            }
            Step::Release { .. } => {}
        }
    }

    /// The workloads that were restarted, by UID, with the role.
    pub(super) fn restarted(&self) -> BTreeMap<String, String> {
        let all = self.restarted.iter().flatten();
        all.map(|one| (one.uid.clone(), one.role.clone())).collect()
    }

    /// The restarts as they are, and as they were written last.
    pub(super) fn records(&self) -> (Vec<RestartedWorkload>, Option<Vec<RestartedWorkload>>) {
        (self.restarted.clone().unwrap_or_default(), self.recorded.clone())
    }

    /// How often the annotation was written of late, by UID of the service account.
    pub(super) fn written(&mut self) -> BTreeMap<String, usize> {
        self.written.retain(|_, times| {
            times.retain(|at| at.elapsed() < WINDOW);
            !times.is_empty()
        });
        let counts = self.written.iter();
        counts.map(|(account, times)| (account.clone(), times.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at: &str) -> Asked {
        (Some(1), Some(at.to_owned()))
    }

    #[test]
    fn restarts_outlive_the_operator_and_end_with_a_persons_new_wish() {
        let recorded = [RestartedWorkload {
            uid: "u".into(),
            workload: "deployment/argocd-server".into(),
            role: "arn".into(),
        }];
        let mut fresh = Remembered::default();
        fresh.hear(asked("1"), &recorded);
        assert_eq!(fresh.restarted().len(), 1);
        // What the watch brings is older than what is known.
        fresh.hear(asked("1"), &[]);
        assert_eq!(fresh.restarted().len(), 1);
        fresh.hear(asked("2"), &recorded);
        assert_eq!(fresh.restarted().len(), 0);
    }
}
