//! A chain of parts as conditions, for both kinds of objects. Parts are made in order: those before the first that does not
//! hold are as the spec says, and those behind it were not reached. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    status::{REMOVED, SUSPENDED},
    withheld::Withheld,
};
use crate::api::condition::{ConditionType, Finding, Verdict, find};

/// A part of a chain.
pub(crate) trait Link: Copy + Ord {
    /// All parts, in the order in which they are made.
    fn parts() -> impl Iterator<Item = Self>;

    /// The condition that speaks of the part.
    fn condition(self) -> ConditionType;

    /// Whether it goes with the object.
    fn goes(self) -> bool;
}

/// The first thing that does not hold.
pub(crate) struct Bad<P> {
    /// The part that it is of, where it is of one.
    pub(crate) part: Option<P>,
    /// Whether that is broken, or could not be looked at.
    pub(crate) verdict: Verdict,
    /// The condition's reason.
    pub(crate) reason: &'static str,
    /// What it is, and what to do next.
    pub(crate) message: String,
    /// Whether it ends only when a person acts.
    pub(crate) stalled: bool,
}

/// The whole chain; what is of no part is told of the first.
pub(crate) fn chain<P: Link>(bad: &Bad<P>) -> Vec<Finding> {
    let Some(at) = bad.part.or_else(|| P::parts().next()) else {
        return summarise(Vec::new(), bad);
    };
    let parts = P::parts().map(|part| match part.cmp(&at) {
        std::cmp::Ordering::Less => as_specified(part),
        std::cmp::Ordering::Equal => Finding::new(part.condition(), bad.verdict, bad.reason, &bad.message),
        std::cmp::Ordering::Greater => not_reached(part, at),
    });
    summarise(parts.collect(), bad)
}

/// What is told of the parts, with what is told of the whole.
pub(crate) fn summarise<P>(mut findings: Vec<Finding>, bad: &Bad<P>) -> Vec<Finding> {
    findings.push(Finding::new(
        ConditionType::Ready,
        bad.verdict,
        bad.reason,
        &bad.message,
    ));
    if bad.stalled {
        findings.push(Finding::new(
            ConditionType::Stalled,
            Verdict::True,
            bad.reason,
            format!("{}. {LOOKS_AGAIN}", bad.message.trim_end_matches('.')),
        ));
    }
    findings
}

/// What is told of everything that only a person ends.
const LOOKS_AGAIN: &str = "This ends when a person acts; Mooring looks again by itself";

/// A part that holds.
pub(crate) fn as_specified(part: impl Link) -> Finding {
    Finding::new(part.condition(), Verdict::True, "AsSpecified", AS_SPECIFIED)
}

/// A part behind the one that does not hold.
pub(crate) fn not_reached<P: Link>(part: P, stuck: P) -> Finding {
    let message = format!("waits for {}", stuck.condition().as_str());
    Finding::new(part.condition(), Verdict::Unknown, NOT_REACHED, message)
}

/// What is told of a part that holds.
const AS_SPECIFIED: &str = "as the spec says";

/// The reason of a part behind the one that does not hold.
pub(super) const NOT_REACHED: &str = "NotReached";

/// What is told of a part that no pass has looked at yet.
pub(super) const NOT_YET: &str = "not looked at yet";

/// The reasons of what stays away as long as the object is what it is: such a part is not looked at for news.
const AWAY: [&str; 2] = [REMOVED, SUSPENDED];

/// Whether an object is being removed, and since when what is known of its parts was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It stays.
    Not,
    /// It goes, and what was found was found before that.
    Begins,
    /// It goes, and what was found was found in the course of that.
    GoesOn,
}

impl Removal {
    /// Of an object that is `going` or not, by the generation that its status has `observed` and its own: its deletion gives
    /// it another one.
    pub(crate) fn of(going: bool, observed: Option<i64>, generation: Option<i64>) -> Self {
        match going {
            false => Self::Not,
            true if observed.is_some() && observed == generation => Self::GoesOn,
            true => Self::Begins,
        }
    }
}

/// What earlier passes found of the parts stands until they are looked at again, and is told as what was found then. While
/// the object is going, what was not as it should be is nobody's to mend any more; what its removal met is kept.
pub(crate) fn keep_parts<P: Link>(old: &[Condition], findings: &mut Vec<Finding>, removal: Removal) {
    let mut stuck = None;
    let going = removal != Removal::Not;
    for part in P::parts() {
        let kind = part.condition();
        let seen = findings.iter().find(|finding| finding.kind == kind).cloned();
        let known = seen.clone().or_else(|| {
            find(old, kind).and_then(|kept| {
                let of_part = if part.goes() { removal } else { Removal::Not };
                keep(part, kept, of_part)
            })
        });
        let known = known.or_else(|| (going && part.goes()).then(|| passed_by(part)));
        if seen.is_none() {
            findings.push(known.clone().unwrap_or_else(|| unseen(part, stuck.filter(|_| !going))));
        }
        if known.is_some_and(|known| known.verdict != Verdict::True) {
            stuck = stuck.or(Some(part));
        }
    }
}

/// A part that this pass has not looked at, as it was found before; `None` where it was not.
fn keep(part: impl Link, kept: &Condition, removal: Removal) -> Option<Finding> {
    let (kind, message) = (part.condition(), kept.message.as_str());
    if kept.status == Verdict::True.as_str() {
        return Some(Finding::new(kind, Verdict::True, "AsSpecified", as_it_was(message)));
    }
    let is = |reason: &&'static str| *reason == kept.reason;
    if removal != Removal::Not {
        if let Some(reason) = AWAY.into_iter().find(is) {
            return Some(Finding::new(kind, Verdict::False, reason, message));
        }
        // Who stops all writes is heard in every pass.
        if removal == Removal::Begins || Withheld::REASONS.iter().any(is) {
            return Some(passed_by(part));
        }
    }
    if kept.reason == NOT_REACHED || message == NOT_YET {
        return None;
    }
    let broken = kept.status == Verdict::False.as_str();
    let verdict = if broken { Verdict::False } else { Verdict::Unknown };
    Some(Finding::new(kind, verdict, "NotLookedAt", message))
}

/// A part that goes with the object, and that this pass of the removal has not come to.
fn passed_by(part: impl Link) -> Finding {
    let message = "not looked at this time: the object is being removed";
    Finding::new(part.condition(), Verdict::Unknown, "NotLookedAt", message)
}

/// A part of which nothing is known.
fn unseen<P: Link>(part: P, stuck: Option<P>) -> Finding {
    match stuck {
        Some(stuck) => not_reached(part, stuck),
        None => Finding::new(part.condition(), Verdict::Unknown, "NotLookedAt", NOT_YET),
    }
}

/// What held when it was looked at, told as that.
fn as_it_was(message: &str) -> String {
    message.strip_prefix(AS_SPECIFIED).map_or_else(
        || message.to_owned(),
        |more| format!("as the spec said when it was last looked at{more}"),
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{api::condition::conditions, managed_cluster::Part};

    fn kept(old: &[Finding], now: Vec<Finding>, removal: Removal) -> Vec<String> {
        let stood = conditions(&[], old, None, Timestamp::UNIX_EPOCH);
        let mut findings = now.clone();
        keep_parts::<Part>(&stood, &mut findings, removal);
        let told = findings
            .iter()
            .map(|f| format!("{} {} {}: {}", f.kind.as_str(), f.verdict.as_str(), f.reason, f.message))
            .collect();
        // Kept twice it is the same: else every pass would be a write.
        let stands = conditions(&[], &findings, None, Timestamp::UNIX_EPOCH);
        let mut twice = now;
        let after = if removal == Removal::Begins {
            Removal::GoesOn
        } else {
            removal
        };
        keep_parts::<Part>(&stands, &mut twice, after);
        let by_kind = |findings: &[Finding]| {
            let mut all: Vec<String> = findings.iter().map(|f| format!("{f:?}")).collect();
            all.sort();
            all
        };
        assert_eq!(by_kind(&twice), by_kind(&findings));
        told
    }

    fn of(part: Part, verdict: Verdict, reason: &'static str, message: &str) -> Finding {
        Finding::new(part.condition(), verdict, reason, message)
    }

    #[test]
    fn what_is_kept_says_that_it_is_from_before() {
        let old = [
            of(Part::ManagementRole, Verdict::True, "AsSpecified", "as the spec says"),
            of(
                Part::Cluster,
                Verdict::True,
                "AsSpecified",
                "as the spec says; and more",
            ),
            of(Part::DeployerRole, Verdict::False, "AccessDenied", "let it in"),
        ];
        assert_eq!(
            kept(&old, Vec::new(), Removal::Not),
            [
                "ManagementRoleReady True AsSpecified: as the spec said when it was last looked at",
                "ClusterReady True AsSpecified: as the spec said when it was last looked at; and more",
                "DeployerRoleReady False NotLookedAt: let it in",
                "AccessEntryReady Unknown NotReached: waits for DeployerRoleReady",
                "SecretReady Unknown NotReached: waits for DeployerRoleReady",
            ]
        );
    }

    #[test]
    fn a_removal_gives_no_order_to_mend_what_goes_and_keeps_what_is_away() {
        let old = [
            of(Part::ManagementRole, Verdict::True, "AsSpecified", "as the spec says"),
            of(Part::Cluster, Verdict::False, "ClusterNotFound", "create it"),
            of(Part::DeployerRole, Verdict::False, "Paused", "restore the trust policy"),
            of(Part::AccessEntry, Verdict::False, REMOVED, "there is none"),
            of(
                Part::Secret,
                Verdict::Unknown,
                "NotReached",
                "waits for DeployerRoleReady",
            ),
        ];
        assert_eq!(
            kept(&old, Vec::new(), Removal::Begins),
            [
                "ManagementRoleReady True AsSpecified: as the spec said when it was last looked at",
                "ClusterReady False NotLookedAt: create it",
                "DeployerRoleReady Unknown NotLookedAt: not looked at this time: the object is being removed",
                "AccessEntryReady False Removed: there is none",
                "SecretReady Unknown NotLookedAt: not looked at this time: the object is being removed",
            ]
        );
    }

    #[test]
    fn what_a_removal_met_is_kept_where_a_later_pass_of_it_does_not_come_to_that() {
        let old = [
            of(Part::Cluster, Verdict::True, "AsSpecified", "as the spec says"),
            of(
                Part::DeployerRole,
                Verdict::False,
                "AccessDenied",
                "let it delete the role",
            ),
            of(Part::AccessEntry, Verdict::False, "Paused", "not done while paused"),
            of(Part::Secret, Verdict::False, REMOVED, "there is none"),
        ];
        assert_eq!(
            kept(&old, Vec::new(), Removal::GoesOn)[2..],
            [
                "DeployerRoleReady False NotLookedAt: let it delete the role",
                "AccessEntryReady Unknown NotLookedAt: not looked at this time: the object is being removed",
                "SecretReady False Removed: there is none",
            ]
        );
        assert_eq!(Removal::of(true, Some(2), Some(2)), Removal::GoesOn);
        assert_eq!(Removal::of(true, Some(1), Some(2)), Removal::Begins);
        assert_eq!(Removal::of(true, None, None), Removal::Begins);
        assert_eq!(Removal::of(false, Some(2), Some(2)), Removal::Not);
    }

    #[test]
    fn what_nobody_has_looked_at_yet_says_so_before_the_part_that_broke_and_waits_behind_it() {
        let now = || vec![of(Part::DeployerRole, Verdict::False, "AccessDenied", "m")];
        assert_eq!(
            kept(&[], now(), Removal::Not)[1..],
            [
                "ManagementRoleReady Unknown NotLookedAt: not looked at yet",
                "ClusterReady Unknown NotLookedAt: not looked at yet",
                "AccessEntryReady Unknown NotReached: waits for DeployerRoleReady",
                "SecretReady Unknown NotReached: waits for DeployerRoleReady",
            ]
        );
    }
}
