//! Eventual consistency: a value that is written at once and read late.
//!
//! "Changes that you make in IAM and other AWS services used in attribute-based access control (ABAC) tags take
//! time to become visible from all possible endpoints" (IAM user guide, `troubleshoot_general`). The fake keeps the
//! versions of a value with the moment of each write, so that a read can be answered from the past.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// The moment that reads are answered from, where a fault has them answered from the past.
    static PAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Carries something out whose reads see what was there at a moment. A call is carried out on one thread from beginning
/// to end, so the moment lies with the thread.
pub(crate) fn as_of<T>(moment: Instant, work: impl FnOnce() -> T) -> T {
    PAST.set(Some(moment));
    let result = work();
    PAST.set(None);
    result
}

/// A value with the versions it had; `None` is absence (not yet made, or deleted).
#[derive(Clone, Debug)]
pub struct Eventual<T> {
    versions: Vec<(Instant, Option<T>)>,
}

impl<T> Default for Eventual<T> {
    fn default() -> Self {
        Self { versions: Vec::new() }
    }
}

impl<T> Eventual<T> {
    /// Writes a new version; versions more than ten minutes old that a newer one replaced are forgotten.
    pub fn write(&mut self, at: Instant, value: Option<T>) {
        self.versions.push((at, value));
        let superseded = self
            .versions
            .iter()
            .rposition(|(when, _)| at.duration_since(*when) > Duration::from_mins(10));
        if let Some(index) = superseded {
            self.versions.drain(..index);
        }
    }

    /// What was written last: what the service itself knows, and checks a write against.
    #[must_use]
    pub fn latest(&self) -> Option<&T> {
        self.versions.last().and_then(|(_, value)| value.as_ref())
    }

    /// What a reader sees at `now` when a write takes `delay` to arrive everywhere.
    #[must_use]
    pub fn seen(&self, now: Instant, delay: Duration) -> Option<&T> {
        let past = PAST.get();
        let arrived = |when: &Instant| now.duration_since(*when) >= delay && past.is_none_or(|moment| *when < moment);
        self.versions
            .iter()
            .rev()
            .find(|(when, _)| arrived(when))
            .and_then(|(_, value)| value.as_ref())
    }
}
