//! What the API server allows of what Argo CD does.

use super::{failed, unknown};
use crate::{
    access::{
        chain::Found,
        evidence::{Answer, Evidence},
        reason::Reason,
        scope,
        subject::Subject,
    },
    aws::Look,
};

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    if evidence.reviews.is_empty() {
        return Found::NotReached;
    }
    let denied: Vec<_> = evidence
        .reviews
        .iter()
        .filter(|(_, answer)| *answer == Answer::Allowed(false))
        .map(|(ask, _)| ask)
        .collect();
    let refused = evidence.reviews.iter().find_map(|(_, answer)| match answer {
        Answer::Refused(why) => Some(why),
        Answer::Allowed(_) => None,
    });
    if let Some(first) = denied.first() {
        let more = match denied.len() - 1 {
            0 => String::new(),
            more => {
                let others: Vec<String> = denied.iter().skip(1).take(3).map(ToString::to_string).collect();
                format!(
                    ", nor {}{}",
                    others.join(", nor "),
                    if more > 3 { ", and more" } else { "" }
                )
            }
        };
        return failed(
            Reason::ScopeTooNarrow,
            format!(
                "{} may not {first}{more}; Argo CD needs the first {}",
                subject.deployer, first.why
            ),
            remedy(subject, evidence),
        );
    }
    if let Some(why) = refused {
        let known = evidence
            .reviews
            .iter()
            .any(|(_, answer)| *answer == Answer::Allowed(true));
        let message = format!("the API server does not say what {} may do: {why}", subject.deployer);
        return if why.ends_with("(403)") && !known {
            failed(
                Reason::Forbidden,
                message,
                "the cluster role system:basic-user lets everybody who is known ask what he may do, and somebody has taken \
                 that away: bind it to system:authenticated again, or give the deployer role an access policy",
            )
        } else {
            unknown(
                Reason::ApiServerFailing,
                message,
                "nothing: it is asked again at the next walk",
            )
        };
    }
    if let Some((ask, Answer::Allowed(false))) = &evidence.roles {
        let namespace = &subject.hub.namespace;
        return failed(
            Reason::ScopeTooNarrow,
            format!(
                "{} may not {ask}, and Argo CD lists every kind that a cluster serves and gives the cluster up at the first \
                 one that is refused",
                subject.deployer
            ),
            format!(
                "set resource.respectRBAC to normal in ConfigMap argocd-cm of namespace {namespace}, by which Argo CD passes \
                 over what it may not list: kubectl -n {namespace} patch configmap argocd-cm --type merge -p \
                 '{{\"data\":{{\"resource.respectRBAC\":\"normal\"}}}}'; or let every kind be listed, as \
                 AmazonEKSClusterAdminPolicy does"
            ),
        );
    }
    Found::Passed {
        seen: match evidence.reviews.len() {
            1 => "1 question, allowed".to_owned(),
            many => format!("{many} questions, all allowed"),
        },
        notes: notes(subject, evidence),
    }
}

/// What is open though all that was asked is allowed.
fn notes(subject: &Subject, evidence: &Evidence) -> Vec<String> {
    let impersonation = evidence.argocd.settings.known().impersonation;
    let mut notes = match &evidence.secret {
        Look::Seen(Ok(secret)) => scope::unasked(
            &subject.policies,
            &secret.namespaces,
            secret.cluster_resources,
            impersonation,
        ),
        Look::Seen(Err(_)) | Look::Absent | Look::Unseen(_) => Vec::new(),
    };
    let may_do_all = evidence
        .reviews
        .iter()
        .any(|(ask, _)| (ask.verb, ask.resource) == ("*", "*"));
    if evidence.argocd.settings == Look::Absent && !may_do_all {
        let unknown =
            "there is no ConfigMap argocd-cm, so whether Argo CD lists kinds that it may not list is not known";
        notes.push(unknown.to_owned());
    }
    if evidence.every_kind == Some(Answer::Allowed(false)) {
        let setting = "it may not list every kind, and Argo CD gives a cluster up at the first one that it may not list: \
                       set resource.respectRBAC to normal in argocd-cm, unless resource.exclusions leaves those out";
        notes.push(setting.to_owned());
    }
    notes
}

fn remedy(subject: &Subject, evidence: &Evidence) -> String {
    let whole = match &evidence.secret {
        Look::Seen(Ok(secret)) => secret.namespaces.is_empty(),
        Look::Seen(Err(_)) | Look::Absent | Look::Unseen(_) => false,
    };
    let held = !subject.policies.is_empty() && subject.policies.iter().all(|(_, held)| !held.is_empty());
    if whole && held {
        return format!(
            "Argo CD asks for the whole cluster, and every access policy is held to namespaces: hold Argo CD to them too, by \
             argocd.namespaces of ManagedCluster {}",
            subject.name
        );
    }
    if subject.policies.is_empty() {
        return "bind the Kubernetes groups of access.kubernetesGroups to a ClusterRole or Role that allows it: with groups \
                alone, RBAC on the cluster is yours"
            .to_owned();
    }
    format!(
        "compare access.policies of ManagedCluster {} with aws eks list-associated-access-policies --cluster-name {} \
         --region {} --principal-arn {}: if they differ, {}; if they are the same, ask for a wider policy there, or narrow \
         argocd.namespaces",
        subject.name,
        subject.cluster.name,
        subject.cluster.region,
        subject.deployer,
        subject.mending.will("put the spec's policies back")
    )
}
