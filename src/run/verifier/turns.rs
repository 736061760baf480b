//! When each cluster is walked, and what its last walk found. Decides only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::lanes::SLOW;
use crate::access::observe::Walked;

/// What a turn of the queue is for.
#[derive(Debug)]
pub(super) enum Turn {
    /// The chain is walked.
    Walk,
    /// Nothing changed but Argo CD's side: the last walk is looked at again, which calls nobody.
    Look(Arc<Walked>),
    /// Not yet: so long still.
    Wait(Duration),
}

/// The clusters by UID.
#[derive(Debug)]
pub(super) struct Turns {
    distance: Duration,
    clusters: Mutex<HashMap<String, Cluster>>,
}

#[derive(Debug, Default)]
struct Cluster {
    begun: Option<Instant>,
    /// When it is to be walked by the schedule; `None` for as soon as it may be.
    next: Option<Instant>,
    due: bool,
    look: bool,
    last: Option<Arc<Walked>>,
    written: Option<Condition>,
    took: Duration,
}

impl Turns {
    pub(super) fn new(distance: Duration) -> Self {
        Self {
            distance,
            clusters: Mutex::default(),
        }
    }

    /// The least between two walks of one cluster.
    pub(super) fn distance(&self) -> Duration {
        self.distance
    }

    fn with<T>(&self, uid: &str, act: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        act(clusters.entry(uid.to_owned()).or_default())
    }

    /// Something changed that only a walk tells.
    pub(super) fn due(&self, uid: &str) {
        self.with(uid, |cluster| cluster.due = true);
    }

    /// Something changed at Argo CD's side.
    pub(super) fn look(&self, uid: &str) {
        self.with(uid, |cluster| cluster.look = true);
    }

    /// What the turn is for that has come.
    pub(super) fn take(&self, uid: &str, now: Instant) -> Turn {
        self.with(uid, |cluster| {
            let left = cluster.left(self.distance, now);
            if left.is_zero() {
                return Turn::Walk;
            }
            // What is due is walked soon: the last walk is of something else by now.
            match cluster.last.clone().filter(|_| cluster.look && !cluster.due) {
                Some(last) => {
                    cluster.look = false;
                    Turn::Look(last)
                }
                None => Turn::Wait(left),
            }
        })
    }

    /// A walk begins, of the cluster as it is now.
    pub(super) fn begin(&self, uid: &str, now: Instant) {
        self.with(uid, |cluster| {
            cluster.begun = Some(now);
            (cluster.due, cluster.look) = (false, false);
        });
    }

    /// Whether the last walk of the cluster was kept waiting.
    pub(super) fn is_slow(&self, uid: &str) -> bool {
        self.with(uid, |cluster| cluster.took >= SLOW)
    }

    /// How long until the cluster may and is to be walked.
    pub(super) fn left(&self, uid: &str, now: Instant) -> Duration {
        self.with(uid, |cluster| cluster.left(self.distance, now))
    }

    /// What a walk brought; `None` where there was nothing to walk.
    pub(super) fn walked(&self, uid: &str, walked: Option<Walked>, took: Duration) {
        self.with(uid, |cluster| {
            (cluster.last, cluster.took) = (walked.map(Arc::new), took);
        });
    }

    /// The next walk is so far away, unless something changes, or has changed since the last began.
    pub(super) fn again(&self, uid: &str, wait: Duration, now: Instant) {
        self.with(uid, |cluster| cluster.next = Some(now + wait));
    }

    /// The condition that was written last.
    pub(super) fn written(&self, uid: &str) -> Option<Condition> {
        self.with(uid, |cluster| cluster.written.clone())
    }

    /// A condition was written.
    pub(super) fn wrote(&self, uid: &str, condition: Condition) {
        self.with(uid, |cluster| cluster.written = Some(condition));
    }

    pub(super) fn forget(&self, uid: &str) {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl Cluster {
    fn left(&self, distance: Duration, now: Instant) -> Duration {
        let since = |at: Instant| at.saturating_duration_since(now);
        let apart = self.begun.map(|begun| since(begun + distance)).unwrap_or_default();
        let scheduled = self.next.filter(|_| !self.due).map(since).unwrap_or_default();
        scheduled.max(apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Walk, destination::Destination},
        aws::Look,
    };

    const DISTANCE: Duration = Duration::from_secs(30);
    const INTERVAL: Duration = Duration::from_mins(10);

    fn walked() -> Walked {
        Walked {
            walk: Walk::default(),
            generation: None,
            settings: Look::Absent,
            secret: Look::Absent,
            destination: Destination {
                server: String::new(),
                certificate_authority: String::new(),
            },
        }
    }

    fn brief(turn: &Turn) -> &'static str {
        match turn {
            Turn::Walk => "walk",
            Turn::Look(_) => "look",
            Turn::Wait(_) => "wait",
        }
    }

    /// A table with a cluster that was walked at the time given.
    fn after_a_walk(at: Instant) -> Turns {
        let turns = Turns::new(DISTANCE);
        assert_eq!(brief(&turns.take("a", at)), "walk");
        turns.begin("a", at);
        turns.walked("a", Some(walked()), Duration::ZERO);
        turns.again("a", INTERVAL, at);
        turns
    }

    #[test]
    fn a_cluster_is_walked_when_something_changed_or_its_time_has_come_and_never_too_soon() {
        let start = Instant::now();
        let turns = after_a_walk(start);
        assert!(matches!(turns.take("a", start + DISTANCE), Turn::Wait(left) if left + DISTANCE == INTERVAL));
        turns.due("a");
        assert!(matches!(turns.take("a", start + DISTANCE / 2), Turn::Wait(left) if left == DISTANCE / 2));
        assert_eq!(brief(&turns.take("a", start + DISTANCE)), "walk");
        turns.begin("a", start + DISTANCE);
        turns.again("a", INTERVAL, start + DISTANCE);
        assert_eq!(brief(&turns.take("a", start + INTERVAL)), "wait");
        assert_eq!(brief(&turns.take("a", start + INTERVAL + DISTANCE)), "walk");
    }

    #[test]
    fn what_changes_during_a_walk_is_not_forgotten_at_its_end() {
        let start = Instant::now();
        let turns = Turns::new(DISTANCE);
        assert_eq!(brief(&turns.take("a", start)), "walk");
        turns.due("a");
        turns.begin("a", start);
        assert_eq!(turns.left("a", start + DISTANCE), Duration::ZERO, "no time was set yet");
        turns.due("a");
        turns.again("a", INTERVAL, start);
        assert_eq!(turns.left("a", start), DISTANCE);
        assert_eq!(brief(&turns.take("a", start + DISTANCE)), "walk");
    }

    /// A walk counts from where it begins, not from where it began to wait for its turn; and what changed since the last
    /// one is not proved by that, whatever else changes.
    #[test]
    fn an_old_walk_is_not_looked_at_again_for_what_changed_since() {
        let start = Instant::now();
        let turns = after_a_walk(start);
        let soon = start + Duration::from_secs(1);
        turns.due("a");
        turns.look("a");
        assert_eq!(brief(&turns.take("a", soon)), "wait");
        let (late, asked) = (start + 3 * DISTANCE, start + 2 * DISTANCE);
        assert_eq!(brief(&turns.take("a", asked)), "walk");
        turns.begin("a", late);
        turns.due("a");
        assert_eq!(turns.left("a", late), DISTANCE);
    }

    #[test]
    fn who_kept_a_walk_waiting_is_slow_until_the_next() {
        let turns = after_a_walk(Instant::now());
        assert!(!turns.is_slow("a"));
        turns.walked("a", None, SLOW);
        assert!(turns.is_slow("a"));
        turns.walked("a", None, Duration::from_secs(1));
        assert!(!turns.is_slow("a"));
    }

    #[test]
    fn a_change_at_argo_cds_side_is_looked_at_without_a_walk() {
        let start = Instant::now();
        let turns = after_a_walk(start);
        let soon = start + Duration::from_secs(1);
        turns.look("a");
        assert_eq!(brief(&turns.take("a", soon)), "look");
        assert_eq!(brief(&turns.take("a", soon)), "wait", "once");
        let left = turns.left("a", soon) + Duration::from_secs(1);
        assert_eq!(left, INTERVAL, "the walk is not put off");
        turns.look("a");
        turns.walked("a", None, Duration::ZERO);
        assert_eq!(brief(&turns.take("a", soon)), "wait", "nothing to look at again");
        turns.forget("a");
        assert_eq!(brief(&turns.take("a", soon)), "walk");
    }
}
