//! Admission: how many passes work in one account and region at a time, first come, first served.
//!
//! kube's own `concurrency` takes waiting objects in no order and starves some of them for minutes under load, so it
//! stays off and passes queue here, by account and region: tokio's semaphore is fair. A throttled account makes only its
//! own passes wait, and an EKS that does not answer in a region only those of its clusters.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{
    arn::ClusterArn,
    name::{AccountId, Region},
};

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A resync, or a wait that is over.
    Normal,
    /// A person changed the object: it may also take the permits that are kept free for this.
    Edit,
}

/// The operator is stopping: nothing more is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operator is stopping and begins no further pass; the next one goes on")]
pub struct ShuttingDown;

/// The right to work in an account and region, held for as long as the pass takes.
#[derive(Debug)]
#[must_use = "the pass is admitted only as long as this is held"]
pub struct Admission {
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone)]
struct Lanes {
    normal: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
}

#[derive(Default)]
struct Places {
    lanes: HashMap<(AccountId, Region), Lanes>,
    closed: bool,
}

/// The queues of all accounts and regions.
pub(super) struct Limits {
    passes: usize,
    reserved: usize,
    places: Mutex<Places>,
}

impl Limits {
    /// `passes` in each account and region at a time, and `reserved` more for edits; at least one of the first kind.
    pub(super) fn new(passes: usize, reserved: usize) -> Self {
        let most = |wanted: usize| wanted.min(Semaphore::MAX_PERMITS);
        Self {
            passes: most(passes.max(1)),
            reserved: most(reserved),
            places: Mutex::default(),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Nothing panics while it is held; were it so, the map is still whole.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self, cluster: &ClusterArn) -> Result<Lanes, ShuttingDown> {
        let mut places = self.places();
        if places.closed {
            return Err(ShuttingDown);
        }
        let lanes = places
            .lanes
            .entry((cluster.account.clone(), cluster.region.clone()))
            .or_insert_with(|| Lanes {
                normal: Arc::new(Semaphore::new(self.passes)),
                reserved: Arc::new(Semaphore::new(self.reserved)),
            });
        Ok(lanes.clone())
    }

    pub(super) async fn admit(&self, cluster: &ClusterArn, lane: Lane) -> Result<Admission, ShuttingDown> {
        let Lanes { normal, reserved } = self.lanes(cluster)?;
        let permit = match lane {
            Lane::Normal => normal.acquire_owned().await,
            // The reserved permit first, so that an edit leaves the queue of the others alone where it can.
            Lane::Edit => tokio::select! {
                biased;
                permit = reserved.acquire_owned() => permit,
                permit = normal.acquire_owned() => permit,
            },
        };
        permit
            .map(|permit| Admission { _permit: permit })
            .map_err(|_| ShuttingDown)
    }

    pub(super) fn close(&self) {
        let mut places = self.places();
        places.closed = true;
        for lanes in places.lanes.values() {
            lanes.normal.close();
            lanes.reserved.close();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.places().closed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{task::JoinSet, time::sleep};

    use super::*;

    fn in_region(region: &str, digit: char) -> ClusterArn {
        ClusterArn {
            region: region.parse().unwrap(),
            account: digit.to_string().repeat(12).parse().unwrap(),
            name: "x".parse().unwrap(),
        }
    }

    fn account(digit: char) -> ClusterArn {
        in_region("eu-west-1", digit)
    }

    #[tokio::test(start_paused = true)]
    async fn passes_of_one_account_run_in_the_order_they_came() {
        let limits = Arc::new(Limits::new(2, 0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut passes = JoinSet::new();
        for number in 0..20 {
            let (limits, order) = (Arc::clone(&limits), Arc::clone(&order));
            passes.spawn(async move {
                let _admission = limits.admit(&account('2'), Lane::Normal).await.unwrap();
                order.lock().unwrap().push(number);
                sleep(Duration::from_millis(50)).await;
            });
            tokio::task::yield_now().await;
        }
        let begun = tokio::time::Instant::now();
        passes.join_all().await;
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(begun.elapsed(), Duration::from_millis(500), "two at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_account_keeps_no_other_waiting_and_an_edit_goes_ahead_of_its_queue() {
        let limits = Limits::new(1, 1);
        let _busy = limits.admit(&account('2'), Lane::Normal).await.unwrap();
        let wait = Duration::from_mins(1);
        let waits = tokio::time::timeout(wait, limits.admit(&account('2'), Lane::Normal)).await;
        assert!(waits.is_err(), "the account is full");
        let _other = limits.admit(&account('3'), Lane::Normal).await.unwrap();
        let first = tokio::time::timeout(wait, limits.admit(&account('2'), Lane::Edit)).await;
        let _edit = first.expect("the reserved permit").unwrap();
        let second = tokio::time::timeout(wait, limits.admit(&account('2'), Lane::Edit)).await;
        assert!(second.is_err(), "edits have a limit too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_that_does_not_answer_keeps_no_other_of_its_account_waiting() {
        let limits = Limits::new(1, 1);
        let _hangs = limits.admit(&account('2'), Lane::Normal).await.unwrap();
        let _hangs_too = limits.admit(&account('2'), Lane::Edit).await.unwrap();
        let wait = Duration::from_mins(1);
        for lane in [Lane::Normal, Lane::Edit] {
            let elsewhere = in_region("us-east-1", '2');
            let admitted = tokio::time::timeout(wait, limits.admit(&elsewhere, lane)).await;
            drop(admitted.expect("the other region is free").unwrap());
            let admitted = tokio::time::timeout(wait, limits.admit(&account('2'), lane)).await;
            assert!(admitted.is_err(), "{lane:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_takes_a_normal_permit_when_the_reserved_one_is_taken() {
        let limits = Limits::new(1, 1);
        let _reserved = limits.admit(&account('2'), Lane::Edit).await.unwrap();
        let normal = limits.admit(&account('2'), Lane::Edit).await.unwrap();
        let frees = async {
            sleep(Duration::from_secs(1)).await;
            drop(normal);
        };
        let begun = tokio::time::Instant::now();
        let two = account('2');
        let (queued, ()) = tokio::join!(limits.admit(&two, Lane::Edit), frees);
        drop(queued.unwrap());
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_wakes_all_who_wait_and_lets_the_running_finish() {
        let limits = Arc::new(Limits::new(1, 0));
        let running = limits.admit(&account('2'), Lane::Normal).await.unwrap();
        let waiting = {
            let limits = Arc::clone(&limits);
            tokio::spawn(async move { limits.admit(&account('2'), Lane::Normal).await.map(drop) })
        };
        tokio::task::yield_now().await;
        limits.close();
        assert_eq!(waiting.await.unwrap(), Err(ShuttingDown));
        assert_eq!(
            limits.admit(&account('3'), Lane::Edit).await.map(drop),
            Err(ShuttingDown)
        );
        assert!(limits.is_closed());
        drop(running);
    }
}
