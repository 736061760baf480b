//! One of many: a `coordination.k8s.io/v1` Lease, so that of all replicas only one writes.
//!
//! - [`claim`] decides, by what was seen and our own clock ([`Clock`]).
//! - [`Elector`] claims, renews and gives up. Every write names the resourceVersion that was read, so of two claims one
//!   is refused, and whoever saw too little is refused too.
//! - [`Leadership`] is what everybody else asks before a write: a look at the clock, which needs nobody to be told. A
//!   process that was stopped and goes on knows by it that its time is over before it knows anything else.
//!
//! No write *starts* once the lease has expired. One that was under way then may still arrive, since AWS has no fencing;
//! the holder stops a third of the duration before others may begin, so that it has time to.

pub mod claim;
mod clock;
mod elector;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use claim::Terms;
pub use clock::{Clock, Moment};
pub use elector::{Elector, Lost, Settings, Standing};

/// Whether this process may write now. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// In nanoseconds of the clock, which last for 584 years.
    until: Arc<AtomicU64>,
    clock: Clock,
}

impl Leadership {
    /// Of a process that has no lease yet.
    #[must_use]
    pub fn none(clock: Clock) -> Self {
        Self {
            until: Arc::default(),
            clock,
        }
    }

    /// Of a process that shares its work with nobody.
    #[must_use]
    pub fn alone() -> Self {
        let leadership = Self::none(Clock::of_the_machine());
        leadership.until.store(u64::MAX, Ordering::SeqCst);
        leadership
    }

    /// Whether a write may start now.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.clock.now() < self.until()
    }

    fn until(&self) -> Moment {
        Duration::from_nanos(self.until.load(Ordering::SeqCst))
    }

    fn extend(&self, until: Moment) {
        let nanoseconds = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.until.store(nanoseconds, Ordering::SeqCst);
    }

    fn end(&self) {
        self.until.store(0, Ordering::SeqCst);
    }
}
