//! What is recorded before it is done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;

use super::{
    Error,
    moor::Work,
    now,
    status::{self, Facts},
    step::{Plan, Step},
};
use crate::api::{
    ManagedClusterStatus,
    condition::{ConditionType, without},
};

impl Work<'_> {
    /// Records before it is done what nothing else tells should the pass break off: what the spec gives to an entry of
    /// others, which a removal takes out again, and that the server in the cluster Secret changes.
    pub(super) async fn record_first(&self, plan: &Plan, facts: &Facts) -> Result<(), Error> {
        let any = |is: fn(&Step) -> bool| plan.steps.iter().any(is);
        let mut status = ManagedClusterStatus {
            conditions: without(self.old.conditions.clone(), ConditionType::Connected),
            ..self.old.clone()
        };
        if any(|step| matches!(step, Step::AdoptAccessEntry { .. })) {
            status.access_entry.clone_from(&facts.access_entry);
        }
        if any(Step::changes_server) {
            status.server_changed_at = Some(Time(now()));
        }
        if (&status.access_entry, &status.server_changed_at) == (&self.old.access_entry, &self.old.server_changed_at) {
            return Ok(());
        }
        let name = &self.request.identity.name;
        status::write(&Api::all(self.context.client.clone()), name, self.old, &status).await?;
        self.context.memory.told_status(self.uid(), &status, true);
        Ok(())
    }
}
