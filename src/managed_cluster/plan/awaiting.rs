//! What is done while the management role may not assume the deployer role.

use std::collections::BTreeSet;

use crate::managed_cluster::{
    blocked::Blocked,
    step::{Part, Plan, Step},
};

/// The plan, as far as it is carried out before the management role may assume the deployer role. Nothing is made that
/// nobody could use; what stands is kept as the spec says, or what somebody adds to it meanwhile would stay.
#[must_use]
pub fn awaiting(mut plan: Plan, pending: Option<Blocked>) -> Plan {
    let Some(pending) = pending else {
        return plan;
    };
    let makes = |step: &&Step| {
        matches!(
            step,
            Step::CreateRole { .. }
                | Step::AdoptRole { .. }
                | Step::CreateAccessEntry { .. }
                | Step::AdoptAccessEntry { .. }
                | Step::ApplySecret { uid: None, .. }
        )
    };
    let made: BTreeSet<Part> = plan.steps.iter().filter(makes).map(Step::part).collect();
    // Without its role, nothing else is of use.
    if made.contains(&Part::DeployerRole) {
        plan.steps.clear();
    }
    plan.steps.retain(|step| !made.contains(&step.part()));
    plan.blocked.insert(0, pending);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eks::{AccessPolicyArn, AccessScope, WantedEntry};

    fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            steps,
            ..Plan::default()
        }
    }

    #[test]
    fn what_stands_is_kept_and_nothing_is_made() {
        let principal: crate::domain::arn::RoleArn = "arn:aws:iam::222222222222:role/x".parse().unwrap();
        let take = Step::Disassociate {
            policy: AccessPolicyArn::from_aws("arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy"),
            found: AccessScope::Cluster,
        };
        let tags = || std::iter::empty().collect();
        let name = principal.name.clone();
        let tag = Step::TagRole {
            name,
            tags: tags(),
            missing: BTreeSet::new(),
        };
        let make = Step::CreateAccessEntry {
            entry: WantedEntry {
                principal: principal.clone(),
                groups: std::iter::empty().collect(),
                tags: tags(),
            },
            role_id: None,
        };
        let adopt = Step::AdoptRole {
            arn: principal,
            id: "AROAX".into(),
            tags: tags(),
        };
        let pending = || Blocked::PolicyPending { name: "default".into() };
        for (steps, left) in [
            (vec![tag.clone(), take.clone()], vec![tag.clone(), take.clone()]),
            (vec![tag.clone(), make.clone(), take.clone()], vec![tag.clone()]),
            (vec![adopt, tag.clone(), take.clone()], vec![]),
        ] {
            let told = awaiting(plan(steps.clone()), Some(pending()));
            assert_eq!((told.steps, told.blocked), (left, vec![pending()]));
            assert_eq!(awaiting(plan(steps.clone()), None), plan(steps));
        }
    }
}
