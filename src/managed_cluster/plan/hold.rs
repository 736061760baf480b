//! Somebody else's emergency: what bears the AWS tag `mooring.dev/hold` is not written to, and neither is what hangs on
//! it. A role that its owner had opened and has closed again is not written to either: AWS would refuse. The steps that are
//! left out are told.

use super::adopt;
use crate::{
    aws::Role,
    domain::{
        arn::RoleArn,
        eks::AccessEntry,
        ownership::{HOLD_TAG, Owner},
    },
    managed_cluster::{
        blocked::Blocked,
        step::{Part, Plan, Step},
    },
};

/// Takes out of a plan what would write to a role or an access entry that is held, and what would follow from that.
///
/// A role that is deleted takes the entry with it, since an entry holds for the role that was there when it was made: so
/// a held entry keeps its role from being deleted. The other way round the entry may go: the role is none the worse.
pub(in crate::managed_cluster) fn withhold(plan: &mut Plan, role: Option<&Role>, entry: Option<&AccessEntry>) {
    let value = |tags: &crate::domain::ownership::Tags| tags.get(HOLD_TAG).cloned();
    let role_held = role.and_then(|role| Some((role.arn.clone(), value(&role.tags)?)));
    let entry_held = entry.and_then(|entry| Some((entry.arn.clone(), value(&entry.tags)?)));
    if let Some((thing, value)) = role_held {
        let mut undone = take_out(plan, touches_role);
        let open = undone.iter().any(Step::leaves_open);
        // Nothing is made for it either: whoever holds it may have deleted the entry, which ends the sessions that stand.
        let made = take_out(plan, |step| matches!(step, Step::CreateAccessEntry { .. }));
        undone.extend(made);
        // An entry that could not be made again is not deleted either.
        if undone.iter().any(|step| matches!(step, Step::CreateAccessEntry { .. })) {
            let deleted = take_out(plan, |step| matches!(step, Step::DeleteAccessEntry));
            undone.splice(0..0, deleted);
        }
        // And nothing more is given to it while somebody else may act as it.
        let more = take_out(plan, |step| open && step.gives_more());
        let thing = format!("role {thing}");
        tell(plan, Part::DeployerRole, thing.clone(), value.clone(), &undone);
        if !more.is_empty() {
            tell(plan, Part::AccessEntry, thing, value, &more);
        }
    }
    if let Some((thing, value)) = entry_held {
        let deletes = |step: &Step| matches!(step, Step::DeleteRole { .. } | Step::DeleteAccessEntry);
        // What would be made in the place of what is not deleted, and what would be set on that.
        let afresh = plan.steps.iter().any(deletes);
        let undone = take_out(plan, |step| {
            touches_entry(step) || deletes(step) || (afresh && matches!(step, Step::CreateRole { .. }))
        });
        tell(plan, Part::AccessEntry, format!("access entry {thing}"), value, &undone);
    }
}

/// Takes out of a plan what would write to a role that others have a part in, where its owner has taken the tag off again by
/// which he had opened it: the provisioner may write to it by that alone.
pub(in crate::managed_cluster) fn leave_closed(plan: &mut Plan, role: Option<&Role>, named: &RoleArn, owner: &Owner) {
    let Some(role) = role.filter(|role| !adopt::is_opened(&role.tags, owner)) else {
        return;
    };
    let undone = take_out(plan, touches_role);
    if !undone.is_empty() {
        plan.blocked.push(Blocked::NotOpened {
            arn: role.arn.clone(),
            undone: undone.iter().map(Step::words).collect(),
            open: adopt::open_role(&named.name, owner),
        });
    }
}

/// Leaves out of a plan that takes things over what a hold has left of it: nothing is taken over by halves.
pub(super) fn leave_rest(plan: &mut Plan) {
    let rest: Vec<String> = std::mem::take(&mut plan.steps).iter().map(Step::words).collect();
    let mut held = plan.blocked.iter_mut().rev();
    if let Some(Blocked::Held { undone, .. }) = held.find(|blocked| matches!(blocked, Blocked::Held { .. })) {
        undone.extend(rest);
    }
}

fn touches_role(step: &Step) -> bool {
    step.part() == Part::DeployerRole
}

fn touches_entry(step: &Step) -> bool {
    step.part() == Part::AccessEntry
}

/// Takes the steps out. Where one of them would have made something, or made it ours, what comes after it has nothing to
/// stand on.
fn take_out(plan: &mut Plan, held: impl Fn(&Step) -> bool) -> Vec<Step> {
    let makes = |step: &Step| {
        matches!(
            step,
            Step::CreateRole { .. }
                | Step::CreateAccessEntry { .. }
                | Step::AdoptRole { .. }
                | Step::AdoptAccessEntry { .. }
        )
    };
    let mut undone = Vec::new();
    let mut cut_off = false;
    for step in std::mem::take(&mut plan.steps) {
        if cut_off || held(&step) {
            cut_off |= makes(&step);
            undone.push(step);
        } else {
            plan.steps.push(step);
        }
    }
    undone
}

fn tell(plan: &mut Plan, part: Part, thing: String, value: String, undone: &[Step]) {
    plan.blocked.push(Blocked::Held {
        part,
        thing,
        value,
        undone: undone.iter().map(Step::words).collect(),
    });
}
