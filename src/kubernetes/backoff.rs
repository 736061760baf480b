//! How long to wait before the next try of one key: growing, jittered, and forgotten on success.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The bounds of a growing wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// The least wait, of any try.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

/// For passes that failed: 2 s to 5 min.
pub const ERRORS: Series = Series {
    first: Duration::from_secs(2),
    longest: Duration::from_mins(5),
};

/// For passes that wait for something expected (propagation, a cluster that is updating): 2 s to 30 s.
pub const WAITS: Series = Series {
    first: Duration::from_secs(2),
    longest: Duration::from_secs(30),
};

impl Series {
    /// The wait after `attempts` tries before this one, with `jitter` from 0 to 1: anywhere between the least wait and
    /// twice, four times, eight times the least wait, up to the longest.
    fn wait(self, attempts: u32, jitter: f64) -> Duration {
        let factor = 1_u32.checked_shl(attempts.saturating_add(1)).unwrap_or(u32::MAX);
        let ceiling = self.first.saturating_mul(factor).min(self.longest);
        self.first + ceiling.saturating_sub(self.first).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

/// The tries of each key, in two series that do not mix: a key that waits has not failed.
pub struct Backoff<K> {
    attempts: Mutex<HashMap<K, Attempts>>,
    jitter: Box<dyn Fn() -> f64 + Send + Sync>,
}

#[derive(Clone, Copy, Default)]
struct Attempts {
    errors: u32,
    waits: u32,
}

impl<K> fmt::Debug for Backoff<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> Default for Backoff<K> {
    fn default() -> Self {
        Self::with_jitter(fastrand::f64)
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// With a source of jitter of one's own, from 0 to 1.
    pub fn with_jitter(jitter: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self {
            attempts: Mutex::default(),
            jitter: Box::new(jitter),
        }
    }

    /// Counts a failed try: the wait before the next. Waits start anew after it.
    pub fn after_error(&self, key: K) -> Duration {
        self.count(key, |attempts| {
            attempts.waits = 0;
            (ERRORS, &mut attempts.errors)
        })
    }

    /// Counts a try that has to wait for something expected: the wait before the next. The errors before it are
    /// forgotten, since the key got further than they did.
    pub fn after_wait(&self, key: K) -> Duration {
        self.count(key, |attempts| {
            attempts.errors = 0;
            (WAITS, &mut attempts.waits)
        })
    }

    /// Forgets the key: it succeeded, or it is gone.
    pub fn clear(&self, key: &K) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// An interval made up to a tenth longer, so that what started together does not stay together.
    pub fn spread(&self, interval: Duration) -> Duration {
        interval + (interval / 10).mul_f64((self.jitter)().clamp(0.0, 1.0))
    }

    /// A moment within a window, so that what starts together does not come at once.
    pub fn within(&self, window: Duration) -> Duration {
        window.mul_f64((self.jitter)().clamp(0.0, 1.0))
    }

    fn count(&self, key: K, pick: impl FnOnce(&mut Attempts) -> (Series, &mut u32)) -> Duration {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let (series, count) = pick(attempts.entry(key).or_default());
        let wait = series.wait(*count, (self.jitter)());
        *count = count.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(waits: impl IntoIterator<Item = Duration>) -> Vec<u64> {
        waits.into_iter().map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn waits_grow_to_their_longest_and_stay_there() {
        let backoff = Backoff::with_jitter(|| 1.0);
        assert_eq!(
            seconds((0..9).map(|_| backoff.after_error("a"))),
            [4, 8, 16, 32, 64, 128, 256, 300, 300]
        );
        assert_eq!(seconds((0..5).map(|_| backoff.after_wait("b"))), [4, 8, 16, 30, 30]);
    }

    #[test]
    fn no_jitter_makes_a_wait_shorter_than_the_first() {
        let backoff = Backoff::with_jitter(|| 0.0);
        assert_eq!(seconds((0..5).map(|_| backoff.after_error("a"))), [2, 2, 2, 2, 2]);
    }

    #[test]
    fn a_very_long_row_of_tries_does_not_overflow() {
        for attempts in [30, 31, 32, u32::MAX] {
            assert_eq!(ERRORS.wait(attempts, 1.0), ERRORS.longest);
        }
    }

    #[test]
    fn a_key_that_succeeded_starts_anew_and_others_do_not() {
        let backoff = Backoff::with_jitter(|| 1.0);
        for key in ["a", "b"] {
            backoff.after_error(key);
        }
        backoff.clear(&"a");
        assert_eq!(seconds(["a", "b"].map(|key| backoff.after_error(key))), [4, 8]);
    }

    #[test]
    fn waiting_is_not_failing() {
        let backoff = Backoff::with_jitter(|| 1.0);
        backoff.after_error("a");
        backoff.after_error("a");
        assert_eq!(backoff.after_wait("a").as_secs(), 4);
        assert_eq!(backoff.after_error("a").as_secs(), 4);
    }

    #[test]
    fn an_interval_is_spread_by_at_most_a_tenth() {
        assert_eq!(
            Backoff::<()>::with_jitter(|| 0.0)
                .spread(Duration::from_mins(10))
                .as_secs(),
            600
        );
        assert_eq!(
            Backoff::<()>::with_jitter(|| 1.0)
                .spread(Duration::from_mins(10))
                .as_secs(),
            660
        );
    }
}
