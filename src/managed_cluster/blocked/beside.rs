//! What an object gives though its cluster Secret is not written.

use super::Blocked;
use crate::managed_cluster::{
    apply::Outcome,
    step::{Plan, Step},
};

impl Plan {
    /// Tells of a Secret that is not written that this role's access entry stands, and lets Argo CD in.
    pub(in crate::managed_cluster) fn lets_in(&mut self, role: &str) {
        for blocked in &mut self.blocked {
            if let Blocked::DuplicateCluster { lets_in, .. } = blocked {
                *lets_in = Some(role.to_owned());
            }
        }
    }

    /// The plan as it stands once all of its steps were carried out: an access entry that it made lets in from then on.
    pub(in crate::managed_cluster) fn carried_out(&self, outcome: &Outcome) -> Self {
        let mut plan = self.clone();
        for step in self.steps.iter().filter(|_| outcome.stop().is_none()) {
            if let Step::CreateAccessEntry { entry, .. } = step {
                plan.lets_in(&entry.principal.to_string());
            }
        }
        plan
    }
}
