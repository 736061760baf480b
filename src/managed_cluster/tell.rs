//! Events: what people see of a change under `kubectl describe`.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;

use super::{
    Context,
    apply::Stop,
    status::{Cut, Pass, SUSPENDED},
};
use crate::{
    api::{
        ManagedCluster, ManagedClusterStatus,
        condition::{ConditionType, Verdict, find},
    },
    kubernetes::events::Weight,
};

/// Tells people what changed: events on a change of `Ready`, and of what was mended where nobody asked for it.
pub(super) async fn tell(
    context: &Context,
    metadata: &ObjectMeta,
    old: &ManagedClusterStatus,
    new: &ManagedClusterStatus,
    pass: &Pass,
) {
    let about = ObjectReference {
        api_version: Some(ManagedCluster::api_version(&()).into_owned()),
        kind: Some(ManagedCluster::kind(&()).into_owned()),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        ..Default::default()
    };
    let ready = |status: &ManagedClusterStatus| {
        find(&status.conditions, ConditionType::Ready).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
    };
    let (before, after) = (ready(old), ready(new));
    let Some((verdict, reason, message)) = after else {
        return;
    };
    let same = before.as_ref().is_some_and(|(v, r, _)| *v == verdict && *r == reason);
    let was_ready = before.is_some_and(|(v, _, _)| v == Verdict::True.as_str());
    // A wait that everybody expects is no news.
    let expected = matches!(pass, Pass::Waiting(blocked) | Pass::Releasing(_, Some(blocked)) if !blocked.stalled())
        || matches!(pass, Pass::Applied(_, outcome, _) if matches!(outcome.stop(), Some(Stop::Blocked(_))));
    if !same && !expected {
        let intended = matches!(pass, Pass::Withheld(..)) || reason == SUSPENDED;
        let weight = if intended || verdict == Verdict::True.as_str() {
            Weight::Normal
        } else {
            Weight::Warning
        };
        context.reporter.report(&about, weight, &reason, "Moor", &message).await;
    }
    if let Pass::Suspended(suspension) = pass
        && matches!(suspension.cut, Cut::Away { deleted: true })
        && same
    {
        let note = "an access entry of ours was there again while spec.mode is Suspended: it was deleted";
        context
            .reporter
            .report(&about, Weight::Warning, "AccessTakenAway", "Suspend", note)
            .await;
    }
    if let Pass::Applied(_, outcome, _) = pass
        && was_ready
        && !outcome.done().is_empty()
    {
        let edited = old.observed_generation != new.observed_generation;
        let (reason, weight) = if edited {
            ("Changed", Weight::Normal)
        } else {
            ("DriftMended", Weight::Warning)
        };
        context
            .reporter
            .report(&about, weight, reason, "Mend", &outcome.done().join("; "))
            .await;
    }
}
