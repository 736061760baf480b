//! A chain of parts as conditions, for both kinds of objects. Parts are made in order: those before the first that does not
//! hold are as the spec says, and those behind it were not reached. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::condition::{ConditionType, Finding, Verdict};

/// A part of a chain.
pub(crate) trait Link: Copy + Ord {
    /// All parts, in the order in which they are made.
    fn parts() -> impl Iterator<Item = Self>;

    /// The condition that speaks of the part.
    fn condition(self) -> ConditionType;
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
            &bad.message,
        ));
    }
    findings
}

/// A part that holds.
pub(crate) fn as_specified(part: impl Link) -> Finding {
    Finding::new(part.condition(), Verdict::True, "AsSpecified", "as the spec says")
}

/// A part behind the one that does not hold.
pub(crate) fn not_reached<P: Link>(part: P, stuck: P) -> Finding {
    let message = format!("waits for {}", stuck.condition().as_str());
    Finding::new(part.condition(), Verdict::Unknown, "NotReached", message)
}

/// What earlier passes found of the parts stands until they are looked at again.
pub(crate) fn keep_parts<P: Link>(old: &[Condition], findings: &mut Vec<Finding>) {
    for part in P::parts().map(Link::condition) {
        if findings.iter().any(|finding| finding.kind == part) {
            continue;
        }
        let Some(kept) = old.iter().find(|c| c.type_ == part.as_str()) else {
            continue;
        };
        let verdict = [Verdict::True, Verdict::False]
            .into_iter()
            .find(|v| v.as_str() == kept.status);
        let reason = if verdict == Some(Verdict::True) {
            "AsSpecified"
        } else {
            "NotLookedAt"
        };
        findings.push(Finding::new(
            part,
            verdict.unwrap_or(Verdict::Unknown),
            reason,
            kept.message.clone(),
        ));
    }
}
