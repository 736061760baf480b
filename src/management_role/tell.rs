//! Events: what people see of a change under `kubectl describe`.

use std::collections::BTreeSet;

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;

use super::{
    Context, Step,
    request::RoleOwner,
    status::{Applied, Pass},
    step::Part,
};
use crate::{
    api::{
        ManagementRole, ManagementRoleStatus,
        condition::{ConditionType, Verdict, find},
    },
    kubernetes::events::Weight,
    managed_cluster::{
        OPERATOR_STOPPING,
        words::{done_in_words, some, unrecorded},
    },
    policy,
};

/// What an event about the object names.
pub(super) fn about(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(ManagementRole::api_version(&()).into_owned()),
        kind: Some(ManagementRole::kind(&()).into_owned()),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// Tells people what changed: events on a change of `Ready`, of what was mended where nobody asked for it, and of a role
/// that is not the one it was.
pub(super) async fn tell(
    context: &Context,
    metadata: &ObjectMeta,
    old: &ManagementRoleStatus,
    new: &ManagementRoleStatus,
    pass: &Pass,
) {
    let about = about(metadata);
    let ready = |status: &ManagementRoleStatus| {
        find(&status.conditions, ConditionType::Ready).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
    };
    let (before, after) = (ready(old), ready(new));
    let Some((verdict, reason, message)) = after else {
        return;
    };
    let same = before.as_ref().is_some_and(|(v, r, _)| *v == verdict && *r == reason);
    // The next operator goes on within seconds.
    let expected = matches!(pass, Pass::Applied(applied) if applied.plan.in_the_way().is_some_and(|b| !b.stalled()))
        || reason == OPERATOR_STOPPING;
    if !same && !expected {
        let intended = matches!(
            pass,
            Pass::Withheld(..) | Pass::ReleaseWithheld(..) | Pass::Releasing(_, None)
        );
        let weight = if intended || verdict == Verdict::True.as_str() {
            Weight::Normal
        } else {
            Weight::Warning
        };
        context.reporter.report(&about, weight, &reason, "Keep", &message).await;
    }
    let Pass::Applied(applied) = pass else { return };
    if let Some(note) = another_role(applied, old, new) {
        let report = context
            .reporter
            .report(&about, Weight::Warning, "StalePrincipal", "Keep", &note);
        report.await;
    }
    let let_go: BTreeSet<String> = (applied.let_go.iter())
        .filter(|arn| old.retained.contains(arn) && !new.retained.contains(arn))
        .cloned()
        .collect();
    if !let_go.is_empty() {
        let note = format!(
            "deployer roles that were kept are gone, and status.retained lists them no more: {}",
            some(&let_go)
        );
        let report = context
            .reporter
            .report(&about, Weight::Normal, "NoLongerRetained", "Keep", &note);
        report.await;
    }
    let was_ready = before.is_some_and(|(v, _, _)| v == Verdict::True.as_str());
    let done = applied.outcome.done();
    if (was_ready || old.role.is_some()) && !done.is_empty() {
        let edited = old.observed_generation != new.observed_generation;
        let ghost = applied.plan.steps.iter().any(Step::meets_a_ghost);
        let (reason, weight) = if ghost || applied.outcome.role_deleted() {
            // No spec leads to one.
            ("StalePrincipal", Weight::Warning)
        } else if edited || !was_ready || !drifted(applied, old) {
            ("Changed", Weight::Normal)
        } else {
            ("DriftMended", Weight::Warning)
        };
        let mut note = done_in_words(&done);
        if let Some(role) = (applied.observed.role.as_ref()).filter(|_| applied.outcome.role_deleted()) {
            note = format!("{}; {note}", unrecorded(&role.id));
        }
        context.reporter.report(&about, weight, reason, "Keep", &note).await;
    }
}

/// Whether somebody changed what stands in AWS. The policy also changes with the clusters that name the object, and that
/// is nobody's drift: what counts is whether it was still as it was recorded.
fn drifted(applied: &Applied, old: &ManagementRoleStatus) -> bool {
    let itself = !old.assumes_itself_for.is_empty();
    // A cluster Secret that needs it came or went.
    if itself == applied.plan.acting.is_empty() {
        return false;
    }
    let recorded: BTreeSet<String> = old.assumable.iter().cloned().collect();
    let itself = itself.then_some(&applied.request.role);
    let policy = match (
        policy::assume_deployers(&recorded, itself),
        applied.observed.policy.as_deref(),
    ) {
        (None, None) => false,
        (Some(recorded), Some(found)) => !policy::differences_of(found, &recorded).is_empty(),
        (Some(_), None) | (None, Some(_)) => true,
    };
    let outcome = &applied.outcome;
    let others = |step: &Step| step.part() != Part::Policy && outcome.did(step);
    policy || applied.plan.steps.iter().any(others)
}

/// A role of somebody else's that was made anew under its name.
fn another_role(applied: &Applied, old: &ManagementRoleStatus, new: &ManagementRoleStatus) -> Option<String> {
    let (before, now) = (old.role.as_ref()?, new.role.as_ref()?);
    let another = applied.request.role_owner == RoleOwner::Existing && before.arn == now.arn && before.id != now.id;
    another.then(|| {
        format!(
            "role {} was deleted and made anew: its ID was {} and is {}. Deployer roles trust it by its name, so whoever made it acts on every cluster now: make sure that it was your own pipeline",
            now.arn, before.id, now.id
        )
    })
}
