//! The trust policy of the deployer role.

use super::adopt;
use crate::{
    aws::Role,
    managed_cluster::{
        blocked::Blocked,
        desired::Desired,
        step::{Part, Plan, Step},
    },
    policy::{self, Document, trust},
};

/// On a role of ours the trust policy is ours alone. On one that was taken over our statement stands beside what others
/// wrote, which is told.
pub(super) fn plan_trust(plan: &mut Plan, desired: &Desired, role: &Role) {
    let name = desired.role.arn.name.clone();
    if !desired.named {
        let differences = policy::differences_of(&role.trust, &desired.role.trust);
        if !differences.is_empty() {
            plan.steps.push(Step::SetTrust {
                name,
                trust: desired.role.trust.clone(),
                differences,
                exposure: trust::exposure(&role.trust, &desired.management_role),
            });
        }
        return;
    }
    let Ok(found) = Document::parse(&role.trust) else {
        // What others wrote there would be lost.
        let what = format!("role {}", role.arn);
        let why = "its trust policy cannot be read, so nothing is written to it".to_owned();
        let part = Part::DeployerRole;
        return plan.blocked.push(Blocked::NotAdoptable { what, why, part });
    };
    let merged = trust::with_ours(&role.trust, &desired.management_role);
    if !found.means(&merged) {
        plan.steps.push(Step::AddTrust {
            name,
            management_role: desired.management_role.clone(),
            trust: merged,
            ghosts: trust::ghosts(&role.trust),
            replaced: trust::replaced(&role.trust, &desired.management_role),
        });
    }
    if let Some(others) = trust::without_ours(&role.trust) {
        let named = adopt::principals(&others, "AWS").join(", ");
        let who = if named.is_empty() { "others".to_owned() } else { named };
        plan.beside
            .entry(Part::DeployerRole)
            .or_default()
            .push(format!("the trust policy of {} also speaks of {who}", role.arn));
    }
}
