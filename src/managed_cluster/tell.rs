//! Events: what people see of a change under `kubectl describe`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;

use super::{
    Context, Error, Step,
    apply::Stop,
    blocked::Blocked,
    error::OPERATOR_STOPPING,
    findings::{ACCESS_STANDS, RELEASING},
    status::{Cut, Kept, Pass, Releasing, SUSPENDED},
    step::Part,
    words::done_in_words,
};
use crate::{
    api::{
        ManagedCluster, ManagedClusterStatus,
        condition::{ConditionType, Verdict, find, holds},
    },
    argocd::certificates_in_base64,
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
    let about = about(metadata);
    let ready = |status: &ManagedClusterStatus| {
        find(&status.conditions, ConditionType::Ready).map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
    };
    let (before, after) = (ready(old), ready(new));
    let Some((verdict, reason, message)) = after else {
        return;
    };
    let same = before.as_ref().is_some_and(|(v, r, _)| *v == verdict && *r == reason);
    // One reason can have a harmless and a grave meaning, as a pause has.
    let grave = message.contains(ACCESS_STANDS);
    let graver = grave
        && before
            .as_ref()
            .is_some_and(|(_, _, message)| !message.contains(ACCESS_STANDS));
    let was_ready = before.is_some_and(|(v, _, _)| v == Verdict::True.as_str());
    // A wait that everybody expects is no news.
    let waits = |releasing: &Releasing| releasing.blocked.as_ref().is_some_and(|blocked| !blocked.stalled());
    let stalled = holds(&new.conditions, ConditionType::Stalled);
    let expected = matches!(pass, Pass::Waiting(blocked) if !blocked.stalled())
        || matches!(pass, Pass::Releasing(releasing) if waits(releasing) && !stalled)
        || matches!(pass, Pass::Applied(_, outcome, _) if matches!(outcome.stop(), Some(Stop::Blocked(_))))
        || matches!(pass, Pass::Applied(plan, ..) if plan.in_the_way().is_some_and(Blocked::is_unconfirmed))
        // The next operator goes on within seconds.
        || reason == OPERATOR_STOPPING;
    if graver || !same && !expected {
        let intended = match pass {
            Pass::Withheld(..) | Pass::ReleaseWithheld(..) => true,
            Pass::Releasing(_) => reason == RELEASING,
            Pass::Refused(..) | Pass::Waiting(_) | Pass::Applied(..) | Pass::Suspended(_) | Pass::Failed(_) => {
                reason == SUSPENDED
            }
        };
        // What AWS is still making ends by itself.
        let passes = matches!(pass, Pass::Applied(plan, ..) if plan.in_the_way().is_some_and(|blocked| {
            matches!(blocked, Blocked::ClusterNotActive { .. } | Blocked::PolicyPending { .. }) && !blocked.stalled()
        }));
        let weight = if !grave && (intended || passes || verdict == Verdict::True.as_str()) {
            Weight::Normal
        } else {
            Weight::Warning
        };
        context.reporter.report(&about, weight, &reason, "Moor", &message).await;
    }
    if let Some(issuers) = recreated(old, new) {
        let suspended = matches!(pass, Pass::Suspended(_));
        let note = recreated_in_words(&issuers, new.secret.as_deref(), suspended);
        let report = context
            .reporter
            .report(&about, Weight::Warning, "ClusterRecreated", "Moor", &note);
        report.await;
    }
    let rotation = was_ready && tell_rotation(context, &about, old, new, pass).await;
    if let Some((weight, note)) = taken_away(pass, same) {
        let report = context
            .reporter
            .report(&about, weight, "AccessTakenAway", "Suspend", note);
        report.await;
    }
    not_given_back(context, &about, old, new, pass).await;
    let moored = old.deployer_role.is_some() && old.secret.is_some();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let well_before = context.memory.was_well(uid, new.observed_generation);
    if verdict == Verdict::True.as_str() {
        context.memory.all_well(uid, new.observed_generation);
    }
    let kept = match pass {
        Pass::Applied(plan, outcome, _) => Some((plan, outcome, was_ready || well_before || plan.suspicion.is_some())),
        // All was well before where nothing but the access was away.
        Pass::Suspended(suspension) => match &suspension.kept {
            Kept::Applied(plan, outcome, _) => Some((plan, outcome, same)),
            Kept::Refused(_) | Kept::Waiting(_) | Kept::Not(_) => None,
        },
        Pass::Refused(..)
        | Pass::Waiting(_)
        | Pass::Withheld(..)
        | Pass::Failed(_)
        | Pass::Releasing(_)
        | Pass::ReleaseWithheld(..) => None,
    };
    if let Some((plan, outcome, was_well)) = kept
        && (was_ready || moored)
        && !outcome.done().is_empty()
        // What AWS changed is nobody's drift.
        && !(rotation && plan.steps.iter().all(Step::changes_config_alone))
    {
        let edited = old.observed_generation != new.observed_generation;
        let healed = plan
            .suspicion
            .as_ref()
            .filter(|_| outcome.role_deleted() || outcome.entry_deleted());
        let ghost = healed.is_some() || plan.steps.iter().any(Step::meets_a_ghost);
        let (reason, weight) = match (edited, was_well) {
            // No spec leads to one.
            _ if ghost => ("StalePrincipal", Weight::Warning),
            (false, true) => ("DriftMended", Weight::Warning),
            // What was not in order before may be a spec that is still being carried out.
            (true, _) | (_, false) => ("Changed", Weight::Normal),
        };
        let mut note = done_in_words(outcome.done());
        if let Some(suspicion) = healed {
            note = format!("{}; {note}", suspicion.in_words());
        }
        context.reporter.report(&about, weight, reason, "Mend", &note).await;
    }
}

/// What is told of an access entry that a suspension has deleted, where `Ready` does not say it: `same` is whether it said
/// `Suspended` before.
fn taken_away(pass: &Pass, same: bool) -> Option<(Weight, &'static str)> {
    match pass {
        Pass::Suspended(suspension) if same && matches!(suspension.cut, Cut::Away { deleted: true, .. }) => Some((
            Weight::Warning,
            "an access entry of ours was there again while spec.mode is Suspended: it was deleted",
        )),
        Pass::Suspended(_)
        | Pass::Refused(..)
        | Pass::Waiting(_)
        | Pass::Withheld(..)
        | Pass::Applied(..)
        | Pass::Failed(_)
        | Pass::Releasing(_)
        | Pass::ReleaseWithheld(..) => None,
    }
}

/// Tells of an access entry that was deleted by itself, before the rest of its pass, which may end without a status.
pub(super) async fn cut_off(context: &Context, metadata: &ObjectMeta) {
    let going = metadata.deletion_timestamp.is_some();
    let note = if going {
        "the access entry was deleted, since spec.mode is Suspended, while the removal waits"
    } else {
        "the access entry was deleted, since spec.mode is Suspended"
    };
    context
        .reporter
        .report(&about(metadata), Weight::Normal, "AccessTakenAway", "Suspend", note)
        .await;
}

/// Tells that what others had given to an access entry did not come back with it.
async fn not_given_back(
    context: &Context,
    about: &ObjectReference,
    old: &ManagedClusterStatus,
    new: &ManagedClusterStatus,
    pass: &Pass,
) {
    if let Some(lost) = old
        .access_entry
        .as_ref()
        .map(|entry| &entry.lost)
        .filter(|lost| !lost.is_empty())
        && matches!(pass, Pass::Applied(..))
        && new.access_entry.as_ref().is_none_or(|entry| entry.lost.is_empty())
    {
        let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
        let note = format!(
            "the access entry is made anew with what the spec gives; what others had given it went with the suspension: {}",
            lost.join(", ")
        );
        let report = context
            .reporter
            .report(about, Weight::Warning, "NotGivenBack", "Moor", &note);
        report.await;
    }
}

/// Tells that EKS gives the cluster another certificate authority; gives whether it does.
async fn tell_rotation(
    context: &Context,
    about: &ObjectReference,
    old: &ManagedClusterStatus,
    new: &ManagedClusterStatus,
    pass: &Pass,
) -> bool {
    let (Some(name), Pass::Applied(_, _, facts)) = (rotated(old, new), pass) else {
        return false;
    };
    let seen = facts.cluster.as_ref();
    let authority = seen.and_then(|seen| seen.certificate_authority.as_deref());
    let note = rotated_in_words(certificates_in_base64(authority.unwrap_or_default()), name);
    context
        .reporter
        .report(about, Weight::Normal, ROTATED, "Mend", &note)
        .await;
    true
}

/// The reason of the event that tells that EKS gives a cluster another certificate authority.
const ROTATED: &str = "CertificateAuthorityRotated";

/// The cluster Secret of a cluster that EKS gives another certificate authority, where it is the same cluster.
fn rotated<'a>(old: &ManagedClusterStatus, new: &'a ManagedClusterStatus) -> Option<&'a str> {
    let (before, now) = (old.cluster.as_ref()?, new.cluster.as_ref()?);
    let same = before.issuer == now.issuer && before.endpoint == now.endpoint;
    let (was, is) = (
        before.certificate_authority_sha256.as_ref()?,
        now.certificate_authority_sha256.as_ref()?,
    );
    new.secret.as_deref().filter(|_| same && was != is)
}

fn rotated_in_words(certificates: usize, secret: &str) -> String {
    let many = if certificates > 1 {
        format!("{certificates} certificates, as long as EKS rotates from one to another")
    } else {
        "one certificate".to_owned()
    };
    format!(
        "EKS gives the cluster another certificate authority ({many}), and cluster Secret {secret} gets it in place: nothing is to be done in Argo CD. Whoever else connects to the cluster needs it too"
    )
}

/// The issuers of the cluster that was there and of the one that is there now, where those are two: EKS gives every
/// cluster an issuer of its own (EKS user guide, "Create an IAM OIDC provider for your cluster").
fn recreated(old: &ManagedClusterStatus, new: &ManagedClusterStatus) -> Option<(String, String)> {
    let issuer = |status: &ManagedClusterStatus| status.cluster.as_ref().and_then(|cluster| cluster.issuer.clone());
    let (before, now) = (issuer(old)?, issuer(new)?);
    (before != now).then_some((before, now))
}

fn recreated_in_words((before, now): &(String, String), secret: Option<&str>, suspended: bool) -> String {
    let secret = secret.map_or_else(String::new, |name| {
        format!(
            ", and cluster Secret {name} gets its server and certificate authority in place. Restart Argo CD's application controller then: condition SecretReady has the command"
        )
    });
    let entry = if suspended {
        "Its access entries went with the old one, and none is made while spec.mode is Suspended"
    } else {
        "The access entry went with the old one and is made again"
    };
    format!("EKS has another cluster under this name: its OIDC issuer was {before} and is {now}. {entry}{secret}")
}

/// Tells of an object whose status cannot be read either, and so is not written.
pub(super) async fn unreadable(context: &Context, metadata: &ObjectMeta, error: &Error) {
    let (reason, note) = (error.telling().reason, error.message());
    context
        .reporter
        .report(&about(metadata), Weight::Warning, reason, "Moor", &note)
        .await;
}

/// Tells what a removal has taken away, and what it keeps: nobody can look at the object any more when it is gone.
pub(super) async fn removed(context: &Context, metadata: &ObjectMeta, done: &[String], kept: Option<String>) {
    if done.is_empty() {
        return;
    }
    let note = done_in_words(&done.iter().cloned().chain(kept).collect::<Vec<_>>());
    let about = about(metadata);
    let report = context
        .reporter
        .report(&about, Weight::Normal, "Removed", "Release", &note);
    report.await;
}

/// Tells of a role that was made and never recorded, and that a removal keeps; and which `ManagementRole` lists it.
pub(super) async fn retained(context: &Context, metadata: &ObjectMeta, role: &str, list: Option<&str>) {
    let listed = list.map_or_else(String::new, |name| {
        format!("; status.retained of ManagementRole {name} lists it")
    });
    let note = format!(
        "role {role} was made for this object and never recorded: it is kept with its access entry, since \
         spec.deletion.policy is Retain{listed}"
    );
    context
        .reporter
        .report(&about(metadata), Weight::Normal, "Retained", "Release", &note)
        .await;
}

/// Tells what others gave to an access entry that a suspension is about to delete.
pub(super) async fn going_too(context: &Context, metadata: &ObjectMeta, others: &BTreeSet<String>) {
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let note = format!(
        "spec.mode is Suspended, and the access entry that is deleted was taken over: with it goes what others gave it, which Mooring does not give back: {}",
        others.join(", ")
    );
    context
        .reporter
        .report(&about(metadata), Weight::Warning, "OthersAccessTaken", "Suspend", &note)
        .await;
}

/// Tells what a removal leaves to others.
pub(super) async fn left(context: &Context, metadata: &ObjectMeta, beside: &BTreeMap<Part, Vec<String>>) {
    let left: Vec<&str> = beside.values().flatten().map(String::as_str).collect();
    if left.is_empty() {
        return;
    }
    let message = format!("left to those whose it is, or is too: {}", left.join("; "));
    context
        .reporter
        .report(&about(metadata), Weight::Normal, "LeftToOthers", "Release", &message)
        .await;
}

fn about(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(ManagedCluster::api_version(&()).into_owned()),
        kind: Some(ManagedCluster::kind(&()).into_owned()),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ClusterStatus;

    #[test]
    fn an_authority_is_rotated_when_it_is_another_and_the_cluster_is_not() {
        let with = |authority: Option<&str>, issuer: &str| ManagedClusterStatus {
            cluster: Some(ClusterStatus {
                issuer: Some(issuer.to_owned()),
                certificate_authority_sha256: authority.map(str::to_owned),
                ..ClusterStatus::default()
            }),
            secret: Some("cluster-x".to_owned()),
            ..ManagedClusterStatus::default()
        };
        assert_eq!(rotated(&with(Some("a"), "i"), &with(Some("b"), "i")), Some("cluster-x"));
        assert_eq!(rotated(&with(Some("a"), "i"), &with(Some("a"), "i")), None);
        assert_eq!(
            rotated(&with(None, "i"), &with(Some("a"), "i")),
            None,
            "not known before"
        );
        assert_eq!(
            rotated(&with(Some("a"), "i"), &with(Some("b"), "j")),
            None,
            "another cluster"
        );
    }

    fn of(issuer: Option<&str>) -> ManagedClusterStatus {
        ManagedClusterStatus {
            cluster: Some(ClusterStatus {
                issuer: issuer.map(str::to_owned),
                ..ClusterStatus::default()
            }),
            ..ManagedClusterStatus::default()
        }
    }

    #[test]
    fn a_cluster_is_another_one_when_its_issuer_is_and_not_when_it_is_unknown() {
        let none = ManagedClusterStatus::default();
        for (old, new) in [
            (none.clone(), of(Some("a"))),
            (of(Some("a")), of(Some("a"))),
            (of(None), of(Some("a"))),
            (of(Some("a")), of(None)),
            (of(Some("a")), none),
        ] {
            assert_eq!(recreated(&old, &new), None);
        }
        let issuers = recreated(&of(Some("a")), &of(Some("b"))).unwrap();
        let words = recreated_in_words(&issuers, Some("cluster-x"), false);
        for part in ["was a and is b", "Secret cluster-x", "Restart"] {
            assert!(words.contains(part), "{words}");
        }
        assert!(words.contains("is made again"), "{words}");
        assert!(!recreated_in_words(&issuers, None, false).contains("Secret"));
        let suspended = recreated_in_words(&issuers, Some("cluster-x"), true);
        assert!(
            !suspended.contains("made again") && suspended.contains("Restart"),
            "{suspended}"
        );
    }
}
