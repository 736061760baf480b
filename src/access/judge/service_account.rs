//! The `ServiceAccount`s: there, bound to the management role, and their pods made since.
//!
//! The webhook of EKS acts when a pod is made: one that is older runs on, with the node's role or with what it had (EKS
//! user guide, "Assign IAM roles to Kubernetes service accounts"). So pods are judged by what they were given, which
//! is exact, and not by their age.

use super::{failed, passed, together, unknown};
use crate::{
    access::{
        chain::Found,
        evidence::{Evidence, PodBinding, PodSeen, ServiceAccountEvidence},
        reason::Reason,
        subject::Subject,
    },
    api::IdentityType,
    aws::Look,
};

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    let accounts = &evidence.hub.service_accounts;
    let each = accounts
        .iter()
        .map(|account| (account.name.as_str(), one(subject, account)))
        .collect();
    together(each, |count| {
        let pods: usize = accounts
            .iter()
            .map(|account| match &account.pods {
                Look::Seen(pods) => pods.len(),
                Look::Absent | Look::Unseen(_) => 0,
            })
            .sum();
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
    let annotate = format!(
        "kubectl -n {namespace} annotate serviceaccount {name} eks.amazonaws.com/role-arn={role} --overwrite (or set it \
         where Argo CD's manifests or Helm values set it), then restart its pods"
    );
    let pods = match &seen.pods {
        Look::Seen(pods) => pods.as_slice(),
        // Whether it is bound is still told; that its pods have the role cannot be.
        Look::Unseen(why) if annotation == Some(role.as_str()) || subject.hub.identity == IdentityType::Existing => {
            return unknown(
                Reason::ArgoCdNotSeen,
                format!("the pods of ServiceAccount {namespace}/{name} could not be looked at: {why}"),
                "let whoever runs this list pods in that namespace",
            );
        }
        Look::Absent | Look::Unseen(_) => &[],
    };
    match (subject.hub.identity, annotation) {
        (_, Some(bound)) if bound == role => predating(subject, name, pods, &role),
        (IdentityType::Irsa, bound) => failed(
            Reason::ServiceAccountNotAnnotated,
            match bound {
                Some(other) => format!("ServiceAccount {namespace}/{name} is annotated with {other}, not with {role}"),
                None => format!("ServiceAccount {namespace}/{name} has no annotation eks.amazonaws.com/role-arn"),
            },
            annotate,
        ),
        (identity, None) if seen.is_by_pod_identity(identity) => unknown(
            Reason::PodIdentityNotWalked,
            format!(
                "the pods of {namespace}/{name} get their credentials by EKS Pod Identity, which gives them to the pod alone"
            ),
            "nothing: look at Argo CD's own connection status for what this walk cannot see",
        ),
        (IdentityType::Existing, bound) => failed(
            Reason::ServiceAccountNotAssociated,
            match bound {
                Some(other) => format!("ServiceAccount {namespace}/{name} is annotated with {other}, not with {role}"),
                None => format!(
                    "nothing binds ServiceAccount {namespace}/{name} to {role}: it has no annotation \
                     eks.amazonaws.com/role-arn, and no pod of it was given EKS Pod Identity"
                ),
            },
            format!("{annotate}; or make an EKS Pod Identity association for it"),
        ),
    }
}

/// Pods that were made before the binding, or for another one.
fn predating(subject: &Subject, account: &str, pods: &[PodSeen], role: &str) -> Found {
    let namespace = &subject.hub.namespace;
    let old: Vec<&PodSeen> = pods
        .iter()
        .filter(|pod| pod.binding != PodBinding::Role(role.to_owned()))
        .collect();
    let Some(first) = old.first() else {
        return passed("bound");
    };
    let acts = match &first.binding {
        PodBinding::Nothing => {
            "has no credentials of the management role: it fails with \"WebIdentityErr: failed to retrieve \
             credentials\", or acts silently with the node's role"
                .to_owned()
        }
        PodBinding::PodIdentity => "uses EKS Pod Identity instead".to_owned(),
        PodBinding::Role(other) => format!("acts as {other}"),
    };
    let more = match old.len() - 1 {
        0 => String::new(),
        more => format!(" ({more} more pods of {account} likewise)"),
    };
    failed(
        Reason::PodsPredateBinding,
        format!(
            "pod {namespace}/{} was made before ServiceAccount {account} was bound to {role}, and {acts}{more}",
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
