//! Scopes of access policies that EKS has taken and does not show: when two looks some time apart agree on that, the
//! association is taken away and made anew, which leaves a moment without it. Pure.
//!
//! EKS takes an association that is made again with another scope for a change of its scope (EKS user guide, "Associate
//! access policies with access entries"), and reads may be from before a write.

use std::time::{Duration, Instant};

use crate::domain::eks::{AccessPolicyArn, AccessScope};

/// A scope that was given to an associated policy, and does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmoved {
    /// The policy.
    pub policy: AccessPolicyArn,
    /// The scope that shows.
    pub found: AccessScope,
    /// The scope that was given.
    pub scope: AccessScope,
    /// Whether it was given long enough ago: a look that agrees now is the second one.
    pub confirmed: bool,
}

impl Unmoved {
    /// A change of scope that was made just now.
    #[must_use]
    pub fn new(policy: AccessPolicyArn, found: AccessScope, scope: AccessScope) -> Self {
        Self {
            policy,
            found,
            scope,
            confirmed: false,
        }
    }

    fn is(&self, policy: &AccessPolicyArn, found: &AccessScope, scope: &AccessScope) -> bool {
        (&self.policy, &self.found, &self.scope) == (policy, found, scope)
    }
}

/// Of these, the one that speaks of this very change.
#[must_use]
pub fn about<'a>(
    all: &'a [Unmoved],
    policy: &AccessPolicyArn,
    found: &AccessScope,
    scope: &AccessScope,
) -> Option<&'a Unmoved> {
    all.iter().find(|unmoved| unmoved.is(policy, found, scope))
}

/// What is remembered of the scopes of one entry.
#[derive(Debug, Default)]
pub struct Tried(Vec<(Unmoved, Instant)>);

impl Tried {
    /// All of them; those that were given at least `after` ago are confirmed by a look that agrees.
    #[must_use]
    pub fn all(&self, after: Duration) -> Vec<Unmoved> {
        let all = self.0.iter();
        all.map(|(unmoved, since)| Unmoved {
            confirmed: since.elapsed() >= after,
            ..unmoved.clone()
        })
        .collect()
    }

    /// Takes down a change that did not show.
    pub fn note(&mut self, unmoved: Unmoved) {
        self.forget(&unmoved.policy);
        self.0.push((unmoved, Instant::now()));
    }

    /// Forgets a policy: its association was made anew.
    pub fn forget(&mut self, policy: &AccessPolicyArn) {
        self.0.retain(|(before, _)| before.policy != *policy);
    }

    /// Keeps those that a look still found so.
    pub fn keep(&mut self, still: impl Fn(&Unmoved) -> bool) {
        self.0.retain(|(unmoved, _)| still(unmoved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> AccessPolicyArn {
        AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy")
    }

    fn namespace(name: &str) -> AccessScope {
        AccessScope::Namespaces([name.to_owned()].into())
    }

    fn tried() -> Tried {
        let mut tried = Tried::default();
        tried.note(Unmoved::new(edit(), AccessScope::Cluster, namespace("a")));
        tried
    }

    #[test]
    fn a_change_is_confirmed_by_time_and_another_change_is_another() {
        let tried = tried();
        assert!(!tried.all(Duration::from_mins(1))[0].confirmed);
        let all = tried.all(Duration::ZERO);
        assert!(about(&all, &edit(), &AccessScope::Cluster, &namespace("a")).is_some_and(|known| known.confirmed));
        assert!(about(&all, &edit(), &AccessScope::Cluster, &namespace("b")).is_none());
        assert!(about(&all, &edit(), &namespace("c"), &namespace("a")).is_none());
    }

    #[test]
    fn what_was_made_anew_or_shows_is_forgotten() {
        let mut anew = tried();
        anew.forget(&edit());
        assert!(anew.all(Duration::ZERO).is_empty());
        let mut shown = tried();
        shown.keep(|_| false);
        assert!(shown.all(Duration::ZERO).is_empty());
        let mut given_again = tried();
        given_again.note(Unmoved::new(edit(), AccessScope::Cluster, namespace("b")));
        assert_eq!(given_again.all(Duration::ZERO).len(), 1);
    }
}
