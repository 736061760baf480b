//! Whether a pass that went half way left an access entry that gives nothing.

use std::collections::BTreeSet;

use crate::domain::eks::{AccessEntry, AccessPolicyArn, Associations};

use super::step::Step;

/// Whether an access entry that stood before a pass gives nothing after it: no access policy, no Kubernetes group, and no
/// user name of somebody else, whose rights nobody here knows. `did` tells which steps were done; `torn` are the policies
/// that were taken away to be associated anew, which was refused.
pub(super) fn is_bare(
    entry: &AccessEntry,
    found: &Associations,
    steps: &[Step],
    did: impl Fn(&Step) -> bool,
    torn: &[AccessPolicyArn],
) -> bool {
    let mut groups = &entry.groups;
    let mut named = entry.others_username().is_some();
    let mut policies: BTreeSet<&AccessPolicyArn> = found.keys().collect();
    for step in steps.iter().filter(|step| did(step)) {
        if let Step::SetGroups { groups: set, .. } = step {
            groups = set;
        } else if let Step::SetUsername { groups: set, .. } = step {
            (groups, named) = (set, false);
        } else if let Step::Associate { policy, .. } = step {
            policies.insert(policy);
        } else if let Step::Disassociate { policy, .. } = step {
            policies.remove(policy);
        }
    }
    groups.is_empty() && !named && policies.iter().all(|policy| torn.contains(policy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eks::AccessScope;

    const PRINCIPAL: &str = "arn:aws:iam::222222222222:role/x";

    fn policy(name: &str) -> AccessPolicyArn {
        AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"))
    }

    fn groups(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn entry(names: &[&str], username: Option<&str>) -> AccessEntry {
        AccessEntry {
            arn: "arn:aws:eks:eu-west-1:222222222222:access-entry/prod-eu/role/222222222222/x/1".into(),
            principal: PRINCIPAL.into(),
            kind: "STANDARD".into(),
            username: username.map(str::to_owned),
            groups: groups(names),
            created: None,
            tags: std::iter::empty().collect(),
        }
    }

    fn found(names: &[&str]) -> Associations {
        names.iter().map(|name| (policy(name), AccessScope::Cluster)).collect()
    }

    fn give(name: &str) -> Step {
        Step::Associate {
            policy: policy(name),
            scope: AccessScope::Cluster,
        }
    }

    fn take(name: &str) -> Step {
        Step::Disassociate {
            policy: policy(name),
            found: AccessScope::Cluster,
        }
    }

    fn set(names: &[&str]) -> Step {
        Step::SetGroups {
            groups: groups(names),
            found: groups(&["admins"]),
        }
    }

    /// Entry, its policies, the steps with whether each was done, whether it gives nothing.
    type Row = (AccessEntry, Associations, Vec<(Step, bool)>, bool);

    #[test]
    fn an_entry_is_bare_where_nothing_is_left_and_nothing_was_given() {
        let rows: [Row; 10] = [
            (
                entry(&[], None),
                found(&["Old"]),
                vec![(give("New"), false), (take("Old"), true)],
                true,
            ),
            (
                entry(&[], None),
                found(&["Old"]),
                vec![(give("New"), true), (take("Old"), true)],
                false,
            ),
            (
                entry(&[], None),
                found(&["Old"]),
                vec![(give("New"), false), (take("Old"), false)],
                false,
            ),
            (
                entry(&[], None),
                found(&["Old", "Kept"]),
                vec![(give("New"), false), (take("Old"), true)],
                false,
            ),
            (entry(&[], None), found(&[]), vec![(give("New"), false)], true),
            // A group in exchange for a policy.
            (
                entry(&["admins"], None),
                found(&[]),
                vec![(give("New"), false), (set(&[]), true)],
                true,
            ),
            (
                entry(&["admins"], None),
                found(&[]),
                vec![(give("New"), false), (set(&[]), false)],
                false,
            ),
            (
                entry(&["admins"], None),
                found(&[]),
                vec![(give("New"), false), (set(&["team"]), true)],
                false,
            ),
            // A policy in exchange for a group.
            (
                entry(&[], None),
                found(&["Old"]),
                vec![(set(&["team"]), false), (take("Old"), true)],
                true,
            ),
            // What another user name may do is not known.
            (
                entry(&[], Some("alice")),
                found(&["Old"]),
                vec![(give("New"), false), (take("Old"), true)],
                false,
            ),
        ];
        for (entry, found, steps, bare) in rows {
            let done: Vec<Step> = steps
                .iter()
                .filter(|(_, did)| *did)
                .map(|(step, _)| step.clone())
                .collect();
            let all: Vec<Step> = steps.into_iter().map(|(step, _)| step).collect();
            assert_eq!(
                is_bare(&entry, &found, &all, |step| done.contains(step), &[]),
                bare,
                "{all:?}"
            );
        }
    }

    #[test]
    fn a_policy_that_was_taken_away_to_be_given_anew_is_gone() {
        let anew = Step::Reassociate {
            policy: policy("Old"),
            scope: AccessScope::Cluster,
            found: AccessScope::Cluster,
        };
        let steps = [anew];
        let bare = |found, torn: &[AccessPolicyArn]| is_bare(&entry(&[], None), &found, &steps, |_| false, torn);
        assert!(bare(found(&["Old"]), &[policy("Old")]));
        assert!(!bare(found(&["Old"]), &[]));
        assert!(!bare(found(&["Old", "Kept"]), &[policy("Old")]));
    }
}
