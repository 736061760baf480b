//! The `ServiceAccount`s: there, bound to the management role, and their pods made since.
//!
//! The webhook of EKS acts when a pod is made: one that is older runs on, with the node's role or with what it had (EKS
//! user guide, "Assign IAM roles to Kubernetes service accounts"). So pods are judged by what they were given, which
//! is exact, and not by their age.

use super::{failed, passed, together, unknown};
use crate::{
    access::{
        chain::{Found, Trouble},
        evidence::{Evidence, PodBinding, PodSeen, ServiceAccountEvidence},
        reason::Reason,
        subject::Subject,
    },
    api::IdentityType,
    aws::Look,
    kubernetes::pods::ROLE_ANNOTATION,
};

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    let accounts = &evidence.hub.service_accounts;
    let each = accounts
        .iter()
        .map(|account| (account.name.as_str(), one(subject, account)))
        .collect();
    together(each, |count| {
        let pods: usize = accounts.iter().map(|account| account.pods_seen().len()).sum();
        format!("{count} bound to the management role, {pods} running pods with them")
    })
}

fn one(subject: &Subject, seen: &ServiceAccountEvidence) -> Found {
    let (name, namespace, role) = (&seen.name, &subject.hub.namespace, subject.hub.role.to_string());
    let annotation = match &seen.annotation {
        Look::Absent => {
            return failed(
                Reason::ServiceAccountMissing,
                format!("there is no ServiceAccount {name} in namespace {namespace}"),
                format!(
                    "if Argo CD's part of that name is not installed, take {name} out of spec.serviceAccounts of \
                     ManagementRole {}; otherwise look in which namespace Argo CD runs",
                    subject.hub.hub.management_role
                ),
            );
        }
        Look::Unseen(why) => {
            return unknown(
                Reason::ArgoCdNotSeen,
                format!("ServiceAccount {name} in namespace {namespace} could not be looked at: {why}"),
                "let whoever runs this get serviceaccounts in that namespace",
            );
        }
        Look::Seen(annotation) => annotation.as_deref(),
    };
    let pods = match &seen.pods {
        // Whether it is bound is still told; that its pods have the role cannot be.
        Look::Unseen(why) if annotation == Some(role.as_str()) || subject.hub.identity == IdentityType::Existing => {
            return unknown(
                Reason::ArgoCdNotSeen,
                format!("the pods of ServiceAccount {namespace}/{name} could not be looked at: {why}"),
                "let whoever runs this list pods in that namespace",
            );
        }
        Look::Seen(_) | Look::Absent | Look::Unseen(_) => seen.pods_seen(),
    };
    let without: Vec<&PodSeen> = pods.iter().filter(|pod| !pod.binding.may_have_role()).collect();
    let associated = pods.iter().any(|pod| pod.binding == PodBinding::PodIdentity);
    match subject.hub.identity {
        _ if associated && without.is_empty() => by_pod_identity(subject, name),
        IdentityType::Existing if associated => predating(subject, name, &without, associated),
        _ if annotation == Some(role.as_str()) => predating(subject, name, &without, associated),
        IdentityType::Irsa => unannotated(subject, name, annotation),
        IdentityType::Existing => unassociated(subject, name, annotation, pods.is_empty()),
    }
}

/// By which it would be bound.
fn annotate(subject: &Subject, name: &str) -> String {
    format!(
        "kubectl -n {} annotate serviceaccount {name} {ROLE_ANNOTATION}={} --overwrite (or set it where Argo CD's manifests \
         or Helm values set it), then restart its pods",
        subject.hub.namespace, subject.hub.role
    )
}

/// What it is annotated with instead of the role.
fn annotated(subject: &Subject, name: &str, annotation: Option<&str>) -> String {
    let (namespace, role) = (&subject.hub.namespace, &subject.hub.role);
    match annotation {
        Some(other) => format!("ServiceAccount {namespace}/{name} is annotated with {other}, not with {role}"),
        None => format!("ServiceAccount {namespace}/{name} has no annotation {ROLE_ANNOTATION}"),
    }
}

fn unannotated(subject: &Subject, name: &str, annotation: Option<&str>) -> Found {
    failed(
        Reason::ServiceAccountNotAnnotated,
        annotated(subject, name, annotation),
        // What bears another role's ARN is bound elsewhere, and Mooring leaves it so.
        if subject.hub.binds && annotation.is_none() {
            format!(
                "{}; or yourself: {}",
                subject.hub.mending.will("bind it"),
                annotate(subject, name)
            )
        } else {
            annotate(subject, name)
        },
    )
}

/// Neither an annotation binds it to the role nor, as far as pods show, an association.
fn unassociated(subject: &Subject, name: &str, annotation: Option<&str>, no_pods: bool) -> Found {
    // Where none runs, an association does not show.
    let (found, pods): (fn(Trouble) -> Found, _) = if no_pods {
        (Found::Unknown, "no pod of it runs that would show EKS Pod Identity")
    } else {
        (Found::Failed, "no pod of it was given EKS Pod Identity")
    };
    found(Trouble::new(
        Reason::ServiceAccountNotAssociated,
        format!(
            "nothing is seen to bind it to the role: {}, and {pods}",
            annotated(subject, name, annotation)
        ),
        format!(
            "make an EKS Pod Identity association for it and restart its pods; or, if the role's trust policy lets its web \
             identity in, {}",
            annotate(subject, name)
        ),
    ))
}

/// What its pods get is theirs alone.
fn by_pod_identity(subject: &Subject, name: &str) -> Found {
    let hub = &subject.hub;
    let (namespace, role, cluster) = (&hub.namespace, &hub.role, &hub.hub.cluster);
    let find = format!(
        "aws eks list-pod-identity-associations --region {} --cluster-name {} --namespace {namespace} --service-account {name}",
        cluster.region, cluster.name
    );
    unknown(
        Reason::PodIdentityNotWalked,
        format!(
            "the pods of {namespace}/{name} get their credentials by EKS Pod Identity, which gives them to the pod alone and \
             goes before the annotation {ROLE_ANNOTATION}"
        ),
        match hub.identity {
            IdentityType::Existing => format!(
                "look at Argo CD's own connection status for what this walk cannot see; that the association gives {role} you \
                 see by {find}, and aws eks describe-pod-identity-association --region {} --cluster-name {} --association-id ID",
                cluster.region, cluster.name
            ),
            IdentityType::Irsa => format!(
                "look at Argo CD's own connection status, and at the association: with identity type IRSA the trust policy \
                 that Mooring writes for {role} lets web identities in alone. {find} finds it; delete it, then restart the \
                 pods"
            ),
        },
    )
}

/// Pods that were made before the binding, or for another one.
fn predating(subject: &Subject, account: &str, without: &[&PodSeen], associated: bool) -> Found {
    let (namespace, role) = (&subject.hub.namespace, &subject.hub.role);
    let Some(first) = without.first() else {
        return passed("bound");
    };
    let acts = match &first.binding {
        PodBinding::Others(roles) => {
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            format!("acts as another: its containers name {}", roles.join(", "))
        }
        PodBinding::Nothing | PodBinding::Role | PodBinding::PodIdentity => {
            "has no credentials of the management role: it fails with \"WebIdentityErr: failed to retrieve \
             credentials\", or acts silently with the node's role"
                .to_owned()
        }
    };
    let more = match without.len() - 1 {
        0 => String::new(),
        more => format!(" ({more} more pods of {account} likewise)"),
    };
    let bound = if associated {
        "had its EKS Pod Identity association".to_owned()
    } else {
        format!("was bound to {role}")
    };
    failed(
        Reason::PodsPredateBinding,
        format!(
            "pod {namespace}/{} was made before ServiceAccount {account} {bound}, and {acts}{more}",
            first.name
        ),
        format!(
            "restart what runs as {account}: kubectl -n {namespace} delete pod {} (or kubectl rollout restart of its \
             workload); the webhook gives credentials only to pods that are made afterwards. That no pod can take the node's \
             role instead, set the hop limit of the nodes' metadata service to 1",
            first.name
        ),
    )
}
