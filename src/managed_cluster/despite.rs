//! Which steps do not depend on one that only a person can mend.

use super::step::Step;
use crate::policy::Difference;

impl Step {
    /// Whether somebody else may act as the role as long as the step is not done.
    pub(super) fn leaves_open(&self) -> bool {
        matches!(self, Self::SetTrust { differences, exposure, .. }
            if !exposure.open.is_empty() || differences.contains(&Difference::Unreadable))
    }

    /// Whether the step gives the role more on the cluster than it has.
    pub(super) fn gives_more(&self) -> bool {
        match self {
            Self::Associate { .. } | Self::CreateAccessEntry { .. } => true,
            Self::Rescope { scope, found, .. } | Self::Reassociate { scope, found, .. } => !found.covers(scope),
            Self::SetGroups { groups, found } => !groups.is_subset(found),
            Self::SetUsername {
                groups, found_groups, ..
            } => !groups.is_subset(found_groups),
            Self::CreateRole { .. }
            | Self::DeleteRole { .. }
            | Self::SetBoundary { .. }
            | Self::SetTrust { .. }
            | Self::TagRole { .. }
            | Self::UpdateRole { .. }
            | Self::AddTrust { .. }
            | Self::LeaveRole { .. }
            | Self::AdoptRole { .. }
            | Self::AdoptAccessEntry { .. }
            | Self::TagAccessEntry { .. }
            | Self::DeleteAccessEntry
            | Self::Disassociate { .. }
            | Self::ApplySecret { .. }
            | Self::NullSecretKeys { .. }
            | Self::DropLabels { .. }
            | Self::DropOwners { .. }
            | Self::DeleteSecret { .. } => false,
        }
    }

    /// Whether the step is done all the same after `failed` has failed in a way that only a person mends. What restores
    /// tags, trust or groups stands in nobody's way; and what a spec takes away is taken away, also where what it gives
    /// instead was refused: a narrowed spec that leaves the wider access standing would be a lie.
    /// While somebody else may act as the role, nothing more is given to it.
    #[must_use]
    pub fn despite(&self, failed: &Self) -> bool {
        if failed.leaves_open() && self.gives_more() {
            return false;
        }
        let mends = matches!(
            failed,
            Self::SetBoundary { .. }
                | Self::SetTrust { .. }
                | Self::AddTrust { .. }
                | Self::TagRole { .. }
                | Self::UpdateRole { .. }
                | Self::TagAccessEntry { .. }
                | Self::SetUsername { .. }
                | Self::SetGroups { .. }
        );
        let gives = matches!(
            failed,
            Self::Associate { .. } | Self::Rescope { .. } | Self::Reassociate { .. } | Self::Disassociate { .. }
        );
        match self {
            // An entry that was made for another role than the one that stands there lets nobody in by that one.
            Self::SetTrust { .. } | Self::TagRole { .. } | Self::UpdateRole { .. } => {
                mends || matches!(failed, Self::DeleteAccessEntry)
            }
            Self::TagAccessEntry { .. } | Self::Associate { .. } => mends,
            Self::SetUsername { .. } | Self::SetGroups { .. } | Self::Rescope { .. } | Self::Disassociate { .. } => {
                mends || gives
            }
            // It takes away what stands before it gives more, which is likely to be refused as well.
            Self::Reassociate { scope, found, .. } => mends || (gives && found.covers(scope)),
            // A boundary that stands may be one that lets the provisioner do it.
            Self::DeleteRole { .. } => matches!(failed, Self::SetBoundary { .. }),
            // A Secret that stands is of use, or says too much, whatever describes the role.
            Self::ApplySecret { .. }
            | Self::NullSecretKeys { .. }
            | Self::DropLabels { .. }
            | Self::DropOwners { .. } => self.keeps_secret() && failed.only_describes(),
            Self::CreateRole { .. }
            | Self::SetBoundary { .. }
            | Self::AddTrust { .. }
            | Self::LeaveRole { .. }
            | Self::AdoptRole { .. }
            | Self::AdoptAccessEntry { .. }
            | Self::CreateAccessEntry { .. }
            | Self::DeleteAccessEntry
            | Self::DeleteSecret { .. } => false,
        }
    }

    /// Whether the step keeps a deployer role as it should be that is there.
    pub(super) fn keeps_role(&self) -> bool {
        matches!(
            self,
            Self::SetBoundary { .. }
                | Self::SetTrust { .. }
                | Self::AddTrust { .. }
                | Self::TagRole { .. }
                | Self::UpdateRole { .. }
        )
    }

    /// Whether the step keeps a cluster Secret as it should be that is there.
    pub(super) fn keeps_secret(&self) -> bool {
        matches!(
            self,
            Self::ApplySecret { uid: Some(_), .. }
                | Self::NullSecretKeys { .. }
                | Self::DropLabels { .. }
                | Self::DropOwners { .. }
        )
    }

    /// Whether what the step writes changes nothing of who may do what.
    pub(super) fn only_describes(&self) -> bool {
        matches!(
            self,
            Self::TagRole { .. } | Self::UpdateRole { .. } | Self::TagAccessEntry { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        domain::{
            eks::{AccessPolicyArn, AccessScope},
            ownership::Tags,
        },
        policy::{Exposure, trust},
    };

    #[test]
    fn what_is_taken_away_is_taken_away_though_what_comes_instead_is_refused() {
        let policy = AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy");
        let (wide, narrow) = (AccessScope::Cluster, AccessScope::Namespaces(["a".to_owned()].into()));
        let gives = Step::Associate {
            policy: policy.clone(),
            scope: wide.clone(),
        };
        let takes = [
            Step::SetGroups {
                groups: BTreeSet::new(),
                found: ["admins".to_owned()].into(),
            },
            Step::Rescope {
                policy: policy.clone(),
                scope: narrow.clone(),
                found: wide.clone(),
            },
            Step::Disassociate {
                policy: policy.clone(),
                found: wide.clone(),
            },
            Step::Reassociate {
                policy: policy.clone(),
                scope: narrow.clone(),
                found: wide.clone(),
            },
        ];
        let wider = Step::Reassociate {
            policy,
            scope: wide,
            found: narrow,
        };
        assert!(!wider.despite(&gives));
        for step in &takes {
            assert!(step.despite(&gives), "{step:?}");
            for failed in &takes {
                assert!(step.despite(failed), "{step:?} after {failed:?}");
            }
            assert!(!step.despite(&Step::DeleteAccessEntry), "{step:?}");
        }
        let trust = Step::SetTrust {
            name: "deployer".parse().unwrap(),
            trust: trust::with_ours("", &"arn:aws:iam::111111111111:role/m".parse().unwrap()),
            differences: Vec::new(),
            exposure: Exposure::default(),
        };
        assert!(trust.despite(&Step::DeleteAccessEntry) && !trust.despite(&gives));
        let mut open = trust.clone();
        if let Step::SetTrust { exposure, .. } = &mut open {
            exposure.open.insert("anybody in AWS".to_owned());
        }
        assert!(gives.despite(&trust) && wider.despite(&trust));
        assert!(
            !gives.despite(&open) && !wider.despite(&open),
            "somebody else would have it too"
        );
        for step in &takes {
            assert!(step.despite(&open), "{step:?}");
        }
        let tags = Step::TagRole {
            name: "deployer".parse().unwrap(),
            tags: Tags::default(),
            missing: BTreeSet::new(),
        };
        let settings = Step::UpdateRole {
            name: "deployer".parse().unwrap(),
            description: String::new(),
            changed: BTreeSet::new(),
        };
        for step in [&tags, &settings] {
            assert!(
                step.despite(&Step::DeleteAccessEntry) && !step.despite(&gives),
                "{step:?}"
            );
        }
        assert!(!gives.despite(&gives));
        assert!(!Step::DeleteAccessEntry.despite(&gives));
        // A trust policy of others that has no room for our statement gives nobody more.
        let trust = Step::AddTrust {
            name: "deployer".parse().unwrap(),
            management_role: "arn:aws:iam::111111111111:role/m".parse().unwrap(),
            trust: trust::with_ours("", &"arn:aws:iam::111111111111:role/m".parse().unwrap()),
            ghosts: BTreeSet::new(),
            replaced: None,
        };
        for step in &takes {
            assert!(step.despite(&trust), "{step:?}");
        }
    }
}
