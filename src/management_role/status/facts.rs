//! What a pass over a `ManagementRole` records in the status. Pure.

use super::Applied;
use crate::{
    api::{HubStatus, ManagementRoleStatus, RoleStatus},
    management_role::{request::RoleOwner, step::Part},
    policy::{self, Document},
};

/// How many cluster Secrets the status names.
const NAMED: usize = 20;

/// Writes down what a pass saw and made.
pub(super) fn tell(status: &mut ManagementRoleStatus, applied: &Applied) {
    let Applied {
        request,
        observed,
        members,
        plan,
        outcome,
        ..
    } = applied;
    let hub = &request.hub.cluster;
    // What was recorded stays until the hub is the one that it should be: by it another one is known.
    let known = status.hub.take().and_then(|hub| hub.issuer);
    let mismatch = plan.blocked.iter().any(|blocked| blocked.part() == Some(Part::Hub));
    let seen = observed.cluster.as_ref().and_then(|cluster| cluster.issuer.clone());
    status.hub = Some(HubStatus {
        account_id: hub.account.to_string(),
        region: hub.region.to_string(),
        name: hub.name.to_string(),
        arn: hub.to_string(),
        issuer: if mismatch { known } else { seen },
    });
    if outcome.role_deleted() {
        status.role = None;
    }
    let existing = request.role_owner == RoleOwner::Existing;
    let seen = (observed.role.as_ref()).filter(|role| existing && role.arn == request.role.to_string());
    let stands = seen
        .map(|role| (&role.arn, &role.id))
        .or_else(|| outcome.made_role().map(|(arn, id)| (arn, id)));
    if existing || stands.is_some() {
        status.role = stands.map(|(arn, id)| RoleStatus {
            arn: arn.clone(),
            id: id.clone(),
        });
    }
    status.untrusted_service_accounts = plan.untrusted.iter().cloned().collect();
    if outcome.policy_done(&plan.steps) {
        status.assumable = plan.assumable.iter().cloned().collect();
        status.retained = members.retained.iter().cloned().collect();
        if outcome.trust_done(&plan.steps) {
            status.assumes_itself_for = plan.acting.iter().take(NAMED).cloned().collect();
        }
    } else if outcome.policy_narrowed(&plan.steps) {
        let found = observed.policy.as_deref().and_then(|text| Document::parse(text).ok());
        let given = |way: &&String| found.as_ref().is_some_and(|found| policy::gives(found, way));
        status.assumable = plan.assumable.iter().filter(given).cloned().collect();
    }
}
