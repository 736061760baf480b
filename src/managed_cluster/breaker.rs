//! The breaker: many removals that were asked for within an hour are more likely an accident than a wish, so all of them
//! wait until a person says that they are meant. Pure.
//!
//! What counts is when a removal was asked for, which the API server wrote on the object and nobody can change. So the
//! verdict is the same after a restart, and stays the same however long the objects wait.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// How far apart two removals may be asked for and still count together.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// How far a person's clock may be ahead of the operator's.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A removal that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// When: the object's `deletionTimestamp`.
    pub at: Timestamp,
    /// The object's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
}

/// What is known of the removals: those of objects that still wait, and those that have begun and may be over. What a
/// person has said of all that name a `ManagementRole` is in neither; what was said of one alone lets that one go, and counts
/// for the others as begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removals {
    /// Of these nothing has been taken away yet.
    pub waiting: BTreeSet<Asked>,
    /// Of these something has, or may be.
    pub begun: BTreeSet<Asked>,
}

/// Too many removals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How many were asked for within one hour, those that have begun included.
    pub count: usize,
    /// Those that wait, all of them, by name.
    pub waiting: Vec<String>,
}

impl Removals {
    /// The burst that holds up every removal that waits: more than `limit` were asked for within one hour, and one of
    /// them waits. A limit of 0 holds nothing up.
    #[must_use]
    pub fn burst(&self, limit: u32) -> Option<Burst> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut all: Vec<(&Asked, bool)> = self.begun.iter().map(|asked| (asked, false)).collect();
        all.extend(self.waiting.iter().map(|asked| (asked, true)));
        all.sort();
        all.dedup_by(|next, kept| next.0.uid == kept.0.uid);
        let within = |first: usize| {
            let from = all[first].0.at;
            all[first..]
                .iter()
                .take_while(move |(asked, _)| asked.at.duration_since(from) < WINDOW)
        };
        let counted = (0..all.len()).filter(|first| within(*first).any(|(_, waits)| *waits));
        let count = counted.map(|first| within(first).count()).max().unwrap_or_default();
        (limit > 0 && count > limit).then(|| Burst {
            count,
            waiting: self
                .waiting
                .iter()
                .map(|asked| asked.name.clone())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        })
    }

    /// The same where one that has begun can still wait.
    #[must_use]
    pub fn with_waiting(&self, one: &Asked) -> Self {
        let mut removals = self.clone();
        removals.waiting.extend(removals.begun.take(one));
        removals
    }

    /// Whether it counts for others.
    #[must_use]
    pub fn counts(&self, asked: &Asked) -> bool {
        self.waiting.contains(asked) || self.begun.contains(asked)
    }

    /// Of those that have begun, the ones that may still count: asked for in the last hour, or within an hour of one
    /// that waits.
    #[must_use]
    pub fn still_count(&self, now: Timestamp) -> BTreeSet<Asked> {
        let near = |asked: &Asked, at: Timestamp| asked.at.duration_since(at).abs() < WINDOW;
        let counts = |asked: &&Asked| {
            asked.at.duration_since(now) > -WINDOW || self.waiting.iter().any(|waits| near(asked, waits.at))
        };
        self.begun.iter().filter(counts).cloned().collect()
    }
}

/// Until when removals were asked for that a person has said are meant, by what stands in the annotation.
///
/// # Errors
/// When it is no time, or one that has not come yet: it would let everything through that is asked for until then.
pub fn meant_until(annotation: &str, now: Timestamp) -> Result<Timestamp, String> {
    let until: Timestamp = annotation
        .trim()
        .parse()
        .map_err(|_| format!("{annotation:?} is not a time, as in 2026-01-31T12:00:00Z"))?;
    if until.duration_since(now) > SKEW {
        return Err(format!("{annotation:?} has not come yet: write the present time"));
    }
    Ok(until)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(name: &str, minute: i64) -> Asked {
        Asked {
            at: Timestamp::from_second(minute * 60).unwrap(),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
        }
    }

    fn all(prefix: &str, minutes: &[i64]) -> BTreeSet<Asked> {
        let numbered = minutes.iter().enumerate();
        numbered
            .map(|(number, minute)| asked(&format!("{prefix}{number}"), *minute))
            .collect()
    }

    fn count(waiting: &[i64], begun: &[i64], limit: u32) -> Option<usize> {
        let removals = Removals {
            waiting: all("w", waiting),
            begun: all("b", begun),
        };
        removals.burst(limit).map(|burst| burst.count)
    }

    #[test]
    fn as_many_as_allowed_within_an_hour_go_and_one_more_holds_all() {
        assert_eq!(count(&[0, 1, 2], &[], 3), None);
        assert_eq!(count(&[0, 1, 2, 59], &[], 3), Some(4));
        assert_eq!(count(&[0, 1, 2, 60], &[], 3), None, "an hour is over");
        assert_eq!(count(&[59], &[0, 1, 2], 3), Some(4), "those that are over count");
        assert_eq!(count(&[60], &[0, 1, 2], 3), None);
        assert_eq!(count(&[], &[0, 0, 0, 0, 0], 3), None, "nobody waits");
        assert_eq!(count(&[200], &[0, 0, 0, 0, 0], 3), None, "what is over is over");
        assert_eq!(count(&[0; 500], &[], 0), None, "switched off");
    }

    #[test]
    fn waiting_does_not_end_it_and_the_same_object_counts_once() {
        // Days later, the same objects wait: nobody has said anything.
        assert_eq!(count(&[0, 1, 2, 3], &[], 3), Some(4));
        // One more, asked for days later, is held up with them.
        assert_eq!(count(&[0, 1, 2, 3, 9000], &[], 3), Some(4));
        let both = Removals {
            waiting: all("x", &[0, 1]),
            begun: all("x", &[0, 1]),
        };
        assert_eq!(both.burst(2), None);
        let named = Removals {
            waiting: all("x", &[5, 6, 9000]),
            begun: all("y", &[4]),
        };
        assert_eq!(named.burst(2).unwrap().waiting, ["x0", "x1", "x2"]);
    }

    #[test]
    fn what_is_over_is_remembered_as_long_as_it_counts() {
        let removals = Removals {
            waiting: all("w", &[130]),
            begun: all("b", &[0, 69, 71, 189, 191]),
        };
        let now = Timestamp::from_second(240 * 60).unwrap();
        let kept: Vec<String> = removals.still_count(now).into_iter().map(|asked| asked.name).collect();
        assert_eq!(kept, ["b2", "b3", "b4"]);
    }

    #[test]
    fn a_person_means_what_was_asked_for_until_now_and_not_what_comes() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(meant_until("2026-01-31T12:00:00Z", now), Ok(now));
        assert!(
            meant_until(" 2026-01-31T13:04:00+01:00\n", now).is_ok(),
            "a clock may be ahead"
        );
        assert!(
            meant_until("2026-01-31T12:06:00Z", now)
                .unwrap_err()
                .contains("has not come")
        );
        for text in ["", "true", "now", "2026-01-31", "9999"] {
            assert!(meant_until(text, now).unwrap_err().contains("is not a time"), "{text}");
        }
    }

    proptest! {
        /// Whatever is asked for in whatever order, never do more than the limit within one hour begin before somebody
        /// says so; not when the operator forgets what it did not record, either.
        #[test]
        fn no_hour_sees_more_than_the_limit(
            limit in 1_u32..6,
            steps in prop::collection::vec((0_i64..40, any::<bool>(), any::<bool>()), 1..60),
        ) {
            let (mut removals, mut now, mut began) = (Removals::default(), 0, Vec::new());
            for (number, (pause, carry_out, restart)) in steps.into_iter().enumerate() {
                now += pause;
                removals.waiting.insert(asked(&format!("c{number}"), now));
                if carry_out {
                    for next in removals.waiting.clone() {
                        if removals.burst(limit).is_none() {
                            removals.waiting.remove(&next);
                            removals.begun.insert(next.clone());
                            began.push(next);
                        }
                    }
                }
                if restart {
                    removals.begun = removals.still_count(Timestamp::from_second(now * 60).unwrap());
                }
            }
            for first in &began {
                let together = began.iter().filter(|other| {
                    let apart = other.at.duration_since(first.at);
                    !apart.is_negative() && apart < WINDOW
                });
                prop_assert!(together.count() <= usize::try_from(limit).unwrap());
            }
        }

        /// What holds goes on holding: neither time nor further requests end it, but only that nobody waits any more.
        #[test]
        fn only_a_person_ends_it(limit in 1_u32..4, minutes in prop::collection::vec(0_i64..300, 0..20), more in 0_i64..9000) {
            let mut removals = Removals { waiting: all("w", &minutes), begun: BTreeSet::new() };
            if let Some(burst) = removals.burst(limit) {
                prop_assert_eq!(burst.waiting.len(), minutes.len());
                removals.waiting.insert(asked("more", more));
                prop_assert!(removals.burst(limit).is_some_and(|now| now.count >= burst.count));
                let later = Timestamp::from_second(9_000_000).unwrap();
                removals.begun = removals.still_count(later);
                prop_assert!(removals.burst(limit).is_some());
                removals.waiting.clear();
                prop_assert_eq!(removals.burst(limit), None);
            }
        }
    }
}
