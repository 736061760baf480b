//! How many chains are walked at once, and by whom: clusters that keep a walk waiting share one half of the places, so
//! that they do not decide when the others are walked.

use std::{num::NonZeroUsize, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A walk that took longer was kept waiting: of a cluster that answers, it takes a second or two.
pub(super) const SLOW: Duration = Duration::from_secs(10);

/// The places.
#[derive(Debug)]
pub(super) struct Lanes {
    all: Semaphore,
    slow: Semaphore,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _slow: Option<SemaphorePermit<'a>>,
    _any: SemaphorePermit<'a>,
}

impl Lanes {
    pub(super) fn new(walks: NonZeroUsize) -> Self {
        Self {
            all: Semaphore::new(walks.get()),
            slow: Semaphore::new((walks.get() / 2).max(1)),
        }
    }

    /// Waits for a place, first come first served; `slow` says whether the last walk of the cluster took longer than
    /// [`SLOW`]. `None` where there are none any more, which never comes about.
    pub(super) async fn enter(&self, slow: bool) -> Option<Place<'_>> {
        let of_slow = if slow {
            Some(self.slow.acquire().await.ok()?)
        } else {
            None
        };
        Some(Place {
            _slow: of_slow,
            _any: self.all.acquire().await.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn enters(lanes: &Lanes, slow: bool) -> Option<Place<'_>> {
        let entering = lanes.enter(slow);
        tokio::time::timeout(Duration::from_secs(1), entering).await.ok()?
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_slow_leave_places_to_the_others() {
        let lanes = Lanes::new(NonZeroUsize::new(4).unwrap());
        let held = [enters(&lanes, true).await.unwrap(), enters(&lanes, true).await.unwrap()];
        assert!(enters(&lanes, true).await.is_none(), "a third that is slow");
        let quick = [
            enters(&lanes, false).await.unwrap(),
            enters(&lanes, false).await.unwrap(),
        ];
        assert!(enters(&lanes, false).await.is_none(), "a fifth of any");
        drop(held);
        let _slow = enters(&lanes, true).await.unwrap();
        drop(quick);
        assert!(
            enters(&Lanes::new(NonZeroUsize::MIN), true).await.is_some(),
            "the only place is everybody's"
        );
    }
}
