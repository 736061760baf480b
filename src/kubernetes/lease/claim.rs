//! Who may hold a lease, and from when on. Pure: what was seen of it, when that was seen to change last, and our own
//! clock. Another's wall clock is never read: `renewTime` only tells one renewal from the next.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::clock::Moment;

/// The shortest lease: its parts (see [`Terms`]) must outlast a slow answer of the API server.
pub const SHORTEST: Duration = Duration::from_secs(5);

/// The longest lease. What a `Lease` says beyond it is not believed, so that a wrong number in one cannot keep everybody
/// waiting.
pub const LONGEST: Duration = Duration::from_mins(5);

/// The duration that marks a lease as given up by its holder, as client-go does it. Who takes a holder's name off by hand
/// leaves the duration as it was, and the holder may not know yet.
const RELEASED: i32 = 1;

/// The times of a lease, all made from its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// After this long without a change that we saw, another's lease has expired.
    pub duration: Duration,
}

impl Terms {
    /// For how long after the sending of a renewal that went through the holder writes: two thirds. The last third is for
    /// the calls that it began at the end of them.
    #[must_use]
    pub fn writes(self) -> Duration {
        self.duration * 2 / 3
    }

    /// How often the holder renews: two fifteenths.
    #[must_use]
    pub fn renewal(self) -> Duration {
        self.duration * 2 / 15
    }

    /// How long one call may take before it is tried again: a fifth.
    #[must_use]
    pub fn answer(self) -> Duration {
        self.duration / 5
    }

    /// How often others look, and the holder tries again what failed: a fifteenth, at most every second.
    #[must_use]
    pub fn look(self) -> Duration {
        (self.duration / 15).min(Duration::from_secs(1))
    }
}

/// What of a `Lease` matters. Two that are alike stand for the same renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The object.
    pub uid: Option<String>,
    /// Who holds it; nobody when empty.
    pub holder: Option<String>,
    /// What the holder wrote at its last renewal; never compared with a clock.
    pub renewed: Option<Timestamp>,
    /// For how many seconds the holder took it.
    pub seconds: Option<i32>,
}

impl Seen {
    /// What a `Lease` shows.
    #[must_use]
    pub fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        Self {
            uid: lease.metadata.uid.clone(),
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            renewed: spec.renew_time.map(|time| time.0),
            seconds: spec.lease_duration_seconds,
        }
    }

    /// For how long it is held after a renewal, as far as that is believed.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let seconds = self.seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(seconds.unwrap_or_default()).min(LONGEST)
    }
}

/// Whether the lease may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It bears our name: a claim of ours went through whose answer was lost.
    Ours,
    /// Nobody holds it.
    Free,
    /// Somebody holds it, or may believe to, until this moment unless it changes before.
    Taken {
        /// Who; `None` when the lease is gone or its holder's name was taken off.
        by: Option<String>,
        /// When it has expired.
        until: Moment,
    },
}

/// What a process has seen of a lease so far.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    last: Option<(Option<Seen>, Moment)>,
    held: bool,
}

impl Sight {
    /// Takes in what was there, `None` for no lease at all; `now` is when the answer had come.
    pub fn look(&mut self, seen: Option<Seen>, now: Moment) {
        if self.last.as_ref().is_some_and(|(last, _)| *last == seen) {
            return;
        }
        self.held |= seen.as_ref().is_some_and(|seen| seen.holder.is_some());
        self.last = Some((seen, now));
    }

    /// Whether `identity` may have the lease; `None` as long as nothing was seen.
    ///
    /// A lease that is gone, or whose holder's name was taken off, is waited out like one that is held: its holder may
    /// not know yet. Free at once is only what its holder gave up, and what nobody was ever seen to hold.
    #[must_use]
    pub fn verdict(&self, identity: &str, terms: Terms) -> Option<Verdict> {
        let (seen, since) = self.last.as_ref()?;
        let taken = |by: Option<&String>, theirs: Duration| Verdict::Taken {
            by: by.cloned(),
            until: *since + terms.duration.max(theirs),
        };
        Some(match seen {
            None => taken(None, Duration::ZERO),
            Some(seen) => match &seen.holder {
                Some(holder) if holder == identity => Verdict::Ours,
                Some(holder) => taken(Some(holder), seen.duration()),
                None if seen.renewed.is_some() && seen.seconds == Some(RELEASED) => Verdict::Free,
                None if seen.renewed.is_none() && !self.held => Verdict::Free,
                None => taken(None, seen.duration()),
            },
        })
    }
}

/// The `Lease` as `identity` takes or renews it: what others wrote beside that stays, and the resourceVersion with it.
#[must_use]
pub fn claimed(name: &str, lease: Option<&Lease>, identity: &str, terms: Terms, now: Timestamp) -> Lease {
    let mut claimed = lease.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let old = claimed.spec.take().unwrap_or_default();
    let renewal = old.holder_identity.as_deref() == Some(identity);
    let transitions = match old.lease_transitions {
        Some(before) if renewal => before,
        Some(before) => before.saturating_add(1),
        None => 0,
    };
    let acquired = old.acquire_time.clone().filter(|_| renewal);
    claimed.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(i32::try_from(terms.duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: Some(acquired.unwrap_or(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions),
        ..old
    });
    claimed
}

/// The `Lease` as its holder gives it up.
#[must_use]
pub fn released(lease: &Lease, now: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: None,
        lease_duration_seconds: Some(RELEASED),
        renew_time: Some(MicroTime(now)),
        ..lease.spec.clone().unwrap_or_default()
    };
    Lease {
        metadata: lease.metadata.clone(),
        spec: Some(spec),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERMS: Terms = Terms {
        duration: Duration::from_secs(15),
    };

    fn at(second: u64) -> Moment {
        Duration::from_secs(second)
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn held(holder: &str, renewed: i64, seconds: i32) -> Seen {
        Seen {
            uid: Some("1".to_owned()),
            holder: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
            renewed: Some(time(renewed)),
            seconds: Some(seconds),
        }
    }

    fn fresh() -> Seen {
        Seen {
            uid: Some("1".to_owned()),
            holder: None,
            renewed: None,
            seconds: None,
        }
    }

    /// What is thought after these looks, each at its second.
    fn after(looks: &[(u64, Option<Seen>)]) -> Verdict {
        let mut sight = Sight::default();
        for (second, seen) in looks {
            sight.look(seen.clone(), at(*second));
        }
        sight.verdict("me", TERMS).unwrap()
    }

    fn taken(by: Option<&str>, until: u64) -> Verdict {
        Verdict::Taken {
            by: by.map(str::to_owned),
            until: at(until),
        }
    }

    #[test]
    fn another_has_it_until_its_duration_after_we_saw_it_renewed_last() {
        let theirs = |renewed| Some(held("other", renewed, 15));
        assert_eq!(Sight::default().verdict("me", TERMS), None);
        assert_eq!(after(&[(100, theirs(0))]), taken(Some("other"), 115));
        assert_eq!(after(&[(100, theirs(0)), (110, theirs(0))]), taken(Some("other"), 115));
        assert_eq!(after(&[(100, theirs(0)), (110, theirs(3))]), taken(Some("other"), 125));
        // A clock that is a year ahead, or a year behind, changes nothing.
        for skewed in [-31_536_000, 31_536_000] {
            assert_eq!(after(&[(100, theirs(skewed))]), taken(Some("other"), 115));
        }
        // One that goes backwards is alive too.
        assert_eq!(after(&[(100, theirs(0)), (110, theirs(-3))]), taken(Some("other"), 125));
    }

    #[test]
    fn the_longer_of_both_durations_holds_up_to_a_limit() {
        for (seconds, until) in [(60, 160), (5, 115), (0, 115), (-1, 115), (i32::MAX, 400)] {
            assert_eq!(
                after(&[(100, Some(held("other", 0, seconds)))]),
                taken(Some("other"), until),
                "{seconds}"
            );
        }
    }

    #[test]
    fn what_its_holder_gave_up_and_what_nobody_ever_held_is_free_at_once() {
        assert_eq!(after(&[(100, Some(fresh()))]), Verdict::Free);
        let given_up = Some(held("", 3, RELEASED));
        assert_eq!(after(&[(100, given_up.clone())]), Verdict::Free);
        assert_eq!(
            after(&[(100, Some(held("other", 0, 15))), (101, given_up)]),
            Verdict::Free
        );
    }

    #[test]
    fn what_somebody_else_took_from_its_holder_is_waited_out() {
        let theirs = (100, Some(held("other", 0, 15)));
        for (what, edited) in [
            ("deleted", None),
            ("the name taken off", Some(held("", 0, 15))),
            ("made anew", Some(fresh())),
        ] {
            assert_eq!(after(&[theirs.clone(), (105, edited)]), taken(None, 120), "{what}");
        }
        assert_eq!(
            after(&[(100, None)]),
            taken(None, 115),
            "who comes later knows no better"
        );
        assert_eq!(
            after(&[(100, Some(held("", 0, 60)))]),
            taken(None, 160),
            "as long as its holder had it"
        );
        let renamed = Some(held("me", 0, 15));
        assert_eq!(after(&[theirs, (105, renamed)]), Verdict::Ours);
    }

    #[test]
    fn a_claim_keeps_what_others_wrote_and_counts_holders() {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some("7".to_owned());
        lease.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
        let spec = |lease: &Lease| lease.spec.clone().unwrap();
        let first = claimed("l", Some(&lease), "me", TERMS, time(0));
        assert_eq!(first.metadata, lease.metadata);
        assert_eq!(spec(&first).lease_duration_seconds, Some(15));
        assert_eq!(spec(&first).lease_transitions, Some(0));
        let renewed = spec(&claimed("l", Some(&first), "me", TERMS, time(3)));
        assert_eq!(renewed.acquire_time, Some(MicroTime(time(0))));
        assert_eq!(renewed.renew_time, Some(MicroTime(time(3))));
        assert_eq!(renewed.lease_transitions, Some(0));
        let given_up = released(&first, time(4));
        assert_eq!(Seen::of(&given_up).holder, None);
        assert_eq!(given_up.metadata.resource_version.as_deref(), Some("7"), "guarded too");
        let next = spec(&claimed("l", Some(&given_up), "other", TERMS, time(5)));
        assert_eq!(
            (next.acquire_time, next.lease_transitions),
            (Some(MicroTime(time(5))), Some(1))
        );
        let made = claimed("l", None, "me", TERMS, time(0));
        assert_eq!(
            (made.metadata.name.as_deref(), made.metadata.resource_version),
            (Some("l"), None)
        );
    }

    #[test]
    fn the_parts_of_a_lease_fit_into_each_other() {
        for duration in [SHORTEST, TERMS.duration, LONGEST] {
            let terms = Terms { duration };
            // Two tries that fail at their longest, and a third begins before the writes end.
            assert!(terms.renewal() + 2 * (terms.answer() + terms.look()) <= terms.writes());
            assert!(terms.writes() < terms.duration && terms.look() < terms.renewal());
        }
        assert!(
            TERMS.duration + TERMS.look() * 2 < Duration::from_secs(20),
            "taken over within 20 s"
        );
    }

    fn any_seen() -> impl Strategy<Value = Option<Seen>> {
        let one = (
            0..3_u8,
            0..4_i64,
            prop_oneof![Just(None), (-1..400_i32).prop_map(Some)],
            any::<bool>(),
        );
        proptest::option::of(one.prop_map(|(holder, renewed, seconds, pristine)| Seen {
            uid: Some("1".to_owned()),
            holder: (holder > 0).then(|| format!("other-{holder}")),
            renewed: (!pristine).then(|| time(renewed)),
            seconds,
        }))
    }

    proptest! {
        /// Whatever is seen: a lease that another was seen to hold is never free before its duration has passed since the
        /// last change, unless its holder itself gave it up.
        #[test]
        fn nobody_is_robbed(looks in proptest::collection::vec((0..20_u64, any_seen()), 1..20)) {
            let mut sight = Sight::default();
            let (mut now, mut changed, mut last, mut held) = (0, 0, None, false);
            for (pause, seen) in looks {
                now += pause;
                sight.look(seen.clone(), at(now));
                if last.as_ref() != Some(&seen) {
                    changed = now;
                    last = Some(seen.clone());
                }
                held |= seen.as_ref().is_some_and(|seen| seen.holder.is_some());
                let given_up = seen.as_ref().is_some_and(|seen| seen.holder.is_none() && seen.seconds == Some(RELEASED));
                match sight.verdict("me", TERMS).unwrap() {
                    Verdict::Ours => prop_assert!(false, "it was never ours"),
                    Verdict::Free => prop_assert!(given_up || !held),
                    Verdict::Taken { until, .. } => {
                        prop_assert!(until >= at(changed) + TERMS.duration);
                        prop_assert!(until <= at(changed) + LONGEST);
                    }
                }
            }
        }
    }
}
