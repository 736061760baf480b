//! What a removal for which nothing is written would do, and what would hold that up. Pure.

use crate::managed_cluster::Withheld;

use super::step::{Blocked, Part, Plan};

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreseen {
    /// What would be done, in words.
    pub steps: Vec<String>,
    /// What would hold it up.
    pub waits: Vec<Blocked>,
    /// Why some of it could not be looked at.
    pub unseen: Vec<String>,
}

impl Foreseen {
    /// Adds what is planned in the hub's account.
    pub fn add(&mut self, plan: Plan) {
        self.steps.extend(plan.steps.iter().map(super::Step::words));
        self.waits
            .extend(plan.blocked.into_iter().filter(|blocked| !blocked.is_note()));
    }

    /// What is told of the object of that name.
    #[must_use]
    pub fn message(&self, withheld: Withheld, object: &str) -> String {
        let waits = withheld.removal_waits(&format!("mgr {object}"));
        // On a hub that is not this one nothing is taken away, and nobody is asked for what would let that go on.
        let elsewhere = self.waits.iter().find(|blocked| blocked.part() == Some(Part::Hub));
        if let Some(blocked) = elsewhere {
            return Withheld::with(waits, &[], &[blocked.found()]);
        }
        let unseen = self
            .unseen
            .iter()
            .map(|why| format!("what is left could not be looked at: {why}"));
        let in_the_way: Vec<String> = self.waits.iter().map(Blocked::found).chain(unseen).collect();
        Withheld::with(waits, &self.steps, &in_the_way)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_that_holds_it_up_is_told_but_where_the_hub_is_another() {
        let secrets = |name: &str| Blocked::SecretsRemain {
            namespace: "argocd".to_owned(),
            secrets: BTreeSet::from([name.to_owned()]),
        };
        let mut foreseen = Foreseen {
            waits: vec![secrets("by-hand")],
            unseen: vec!["STS failed".to_owned()],
            ..Foreseen::default()
        };
        let note = Blocked::Held {
            arn: "arn:role".to_owned(),
            value: String::new(),
            undone: Vec::new(),
            shuts_out: false,
        };
        foreseen.add(Plan {
            steps: vec![super::super::Step::DeleteRole {
                name: "mooring-argocd".parse().unwrap(),
            }],
            blocked: vec![note, secrets("by-terraform")],
            ..Plan::default()
        });
        let told = foreseen.message(Withheld::Paused, "default");
        for part in ["delete role mooring-argocd", "by-hand", "by-terraform", "STS failed"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("arn:role"), "{told}");
        foreseen.waits.push(Blocked::HubNotFound {
            cluster: crate::domain::arn::ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: "hub".parse().unwrap(),
            },
        });
        let told = foreseen.message(Withheld::ReadOnly, "default");
        assert!(
            told.contains("EKS has no cluster hub in account 111111111111"),
            "{told}"
        );
        assert!(!told.contains("by-hand") && !told.contains("delete role"), "{told}");
    }
}
