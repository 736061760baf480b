//! The clock by which leases are judged.

use std::{fmt, sync::Arc, time::Duration};

/// A moment of a [`Clock`]: the time since its machine started.
pub type Moment = Duration;

/// A clock that nobody sets and that goes on while the process or the machine sleeps. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

impl Clock {
    /// The machine's. The runtime's own clock stops while the machine is suspended (`CLOCK_MONOTONIC`), and whoever
    /// wakes would take a lease for his that another has held for hours.
    #[must_use]
    pub fn of_the_machine() -> Self {
        Self::by(since_boot)
    }

    /// One that shows what `now` says, for tests.
    pub fn by(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

fn since_boot() -> Moment {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    // Elsewhere CLOCK_MONOTONIC itself goes on during a sleep (clock_gettime(3) of macOS).
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let now = clock_gettime(CLOCK);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(now.tv_sec)) + Duration::from_nanos(part(now.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_goes_on() {
        let clock = Clock::of_the_machine();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(20));
        let passed = clock.now().saturating_sub(before);
        assert!(passed >= Duration::from_millis(20), "{passed:?}");
        assert!(!before.is_zero());
    }

    /// `/proc/uptime` is `CLOCK_BOOTTIME`, in hundredths of a second (proc(5)): another clock would differ on a machine
    /// that has slept.
    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_the_one_that_counts_sleep_too() {
        let before = Clock::of_the_machine().now().as_secs_f64();
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let after = Clock::of_the_machine().now().as_secs_f64();
        let uptime: f64 = text.split(' ').next().unwrap().parse().unwrap();
        assert!(before - 0.02 <= uptime && uptime <= after, "{before} {uptime} {after}");
    }
}
