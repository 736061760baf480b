//! Evidence to findings: what holds, what is broken and what could not be looked at. Pure.
//!
//! A file for each hop, or for two that one answer decides. Which policy refused is decided by reading both sides'
//! documents first, then from AWS's own phrase, and is otherwise [`Reason::Undetermined`] with the candidates, because
//! AWS often does not say (`refusal`).

mod argocd;
mod authentication;
mod authorization;
mod deployer;
mod endpoint;
mod management;
mod refusal;
mod service_account;
mod trust;

#[cfg(test)]
mod tests;

pub(super) use argocd::judge as argo_cd;

use super::{
    chain::{Found, Hop, Trouble, Walk},
    evidence::Evidence,
    reason::Reason,
    subject::Subject,
};

/// What the evidence says of each hop.
#[must_use]
pub fn judge(subject: &Subject, evidence: &Evidence) -> Walk {
    let hops = [
        (Hop::ServiceAccount, service_account::judge(subject, evidence)),
        (Hop::Token, management::token(subject, evidence)),
        (Hop::ManagementRole, management::exchange(subject, evidence)),
        (Hop::DeployerRole, deployer::judge(subject, evidence)),
        (Hop::Endpoint, endpoint::judge(subject, evidence)),
        (Hop::Authentication, authentication::judge(subject, evidence)),
        (Hop::Authorization, authorization::judge(subject, evidence)),
        (
            Hop::ArgoCd,
            argo_cd(subject, &evidence.destination, &evidence.secret, &evidence.argocd),
        ),
    ];
    Walk {
        hops: hops.into_iter().collect(),
    }
}

fn failed(reason: Reason, message: impl AsRef<str>, next: impl AsRef<str>) -> Found {
    Found::Failed(Trouble::new(reason, message, next))
}

fn unknown(reason: Reason, message: impl AsRef<str>, next: impl AsRef<str>) -> Found {
    Found::Unknown(Trouble::new(reason, message, next))
}

fn passed(seen: impl Into<String>) -> Found {
    Found::Passed {
        seen: seen.into(),
        notes: Vec::new(),
    }
}

/// What holds for several, each by its name: the first that is broken, with the others that are so for the same
/// reason; or the first that is unknown; or nothing was reached; or all that was reached holds.
fn together(each: Vec<(&str, Found)>, holds: impl FnOnce(usize) -> String) -> Found {
    let rank = |found: &Found| match found {
        Found::Failed(_) => 3,
        Found::Unknown(_) => 2,
        Found::Passed { .. } => 1,
        Found::NotReached => 0,
    };
    let worst = each.iter().map(|(_, found)| rank(found)).max().unwrap_or(0);
    let passing = each.iter().filter(|(_, found)| rank(found) == 1).count();
    let mut of_worst = each.into_iter().filter(|(_, found)| rank(found) == worst);
    match of_worst.next() {
        None | Some((_, Found::NotReached)) => Found::NotReached,
        Some((_, Found::Passed { .. })) => passed(holds(passing)),
        Some((_, Found::Failed(first))) => Found::Failed(with_others(first, of_worst)),
        Some((_, Found::Unknown(first))) => Found::Unknown(with_others(first, of_worst)),
    }
}

fn with_others<'a>(mut first: Trouble, others: impl Iterator<Item = (&'a str, Found)>) -> Trouble {
    let same = others.filter(|(_, found)| match found {
        Found::Failed(trouble) | Found::Unknown(trouble) => trouble.reason == first.reason,
        Found::Passed { .. } | Found::NotReached => false,
    });
    let names: Vec<&str> = same.map(|(name, _)| name).collect();
    if !names.is_empty() {
        first.message = format!("{} (the same of {})", first.message, names.join(", "));
    }
    first
}
