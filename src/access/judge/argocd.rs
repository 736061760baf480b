//! Argo CD's side: the cluster Secret, everybody else's, and the projects.

use super::{failed, passed, unknown};
use crate::{
    access::{chain::Found, evidence::Evidence, reason::Reason, subject::Subject},
    argocd::{Credentials, SeenCluster},
    aws::Look,
};

pub(super) fn judge(subject: &Subject, evidence: &Evidence) -> Found {
    let namespace = &subject.hub.namespace;
    let (secret, name) = (&evidence.secret, &subject.secret);
    let seen = match secret {
        Look::Absent => {
            return failed(
                Reason::ClusterSecretMissing,
                format!("there is no cluster Secret {name} in namespace {namespace}"),
                "somebody deleted it: Mooring writes it again at once; if it does not, look at the operator's log",
            );
        }
        Look::Unseen(why) => return not_seen(namespace, &format!("cluster Secret {name} could not be read: {why}")),
        Look::Seen(Err(why)) => return malformed(namespace, name, why),
        Look::Seen(Ok(seen)) => seen,
    };
    if let Some(differs) = difference(subject, seen) {
        return failed(
            Reason::ClusterSecretDiffers,
            format!("cluster Secret {name} in namespace {namespace} {differs}"),
            "Mooring writes it back; if it stays so, somebody else writes it too: `kubectl get secret --show-managed-fields` \
             says who",
        );
    }
    match &evidence.hub.argocd.malformed {
        Look::Seen(all) => {
            if let Some((name, why)) = all.first() {
                return malformed(namespace, name, why);
            }
        }
        Look::Absent => {}
        Look::Unseen(why) => return not_seen(namespace, &format!("the cluster Secrets could not be listed: {why}")),
    }
    let own = if seen.name.is_empty() { &seen.server } else { &seen.name };
    match &evidence.hub.argocd.projects {
        Look::Seen(projects) => {
            let admits = |project: &&crate::argocd::Project| {
                project.admits(&seen.server, &seen.name, &seen.namespaces, &seen.project)
            };
            match projects.iter().find(admits) {
                Some(project) => passed(format!(
                    "Argo CD reads the cluster Secret; AppProject {} admits {own}",
                    project.name
                )),
                None => failed(
                    Reason::NoProjectAdmits,
                    format!(
                        "none of the {} AppProjects in namespace {namespace} admits {own} as a destination",
                        projects.len()
                    ),
                    format!("add it to spec.destinations of an AppProject, as in {{name: {own}, namespace: \"*\"}}"),
                ),
            }
        }
        Look::Absent => passed("Argo CD reads the cluster Secret; the API server knows no AppProjects"),
        Look::Unseen(why) => not_seen(namespace, &format!("the AppProjects could not be listed: {why}")),
    }
}

fn not_seen(namespace: &str, message: &str) -> Found {
    unknown(
        Reason::ArgoCdNotSeen,
        message,
        format!("let whoever runs this get and list secrets and appprojects.argoproj.io in namespace {namespace}"),
    )
}

fn malformed(namespace: &str, name: &str, why: &str) -> Found {
    failed(
        Reason::ClusterSecretMalformed,
        format!(
            "Argo CD cannot read cluster Secret {name} in namespace {namespace}: {why}. While it is there, no ApplicationSet \
             deletes anything on any cluster"
        ),
        format!(
            "mend it, or take its label argocd.argoproj.io/secret-type away: kubectl -n {namespace} edit secret {name}"
        ),
    )
}

/// What the Secret says otherwise than it should.
fn difference(subject: &Subject, seen: &SeenCluster) -> Option<String> {
    if let Some(endpoint) = &subject.endpoint
        && seen.server != *endpoint
    {
        return Some(format!(
            "leads to {}, and the cluster's endpoint is {endpoint}",
            seen.server
        ));
    }
    if seen.insecure {
        return Some("does not have the certificate checked".to_owned());
    }
    let Credentials::Aws {
        cluster_name,
        role_arn,
        profile,
    } = &seen.credentials
    else {
        return Some("has no awsAuthConfig".to_owned());
    };
    if *cluster_name != subject.token_name(cluster_name) {
        return Some(format!(
            "has tokens minted for cluster {cluster_name:?}, and it is {:?}",
            subject.cluster.name.as_str()
        ));
    }
    if *role_arn != subject.deployer.to_string() {
        return Some(format!(
            "names role {role_arn:?}, and the deployer role is {}",
            subject.deployer
        ));
    }
    (!profile.is_empty()).then(|| format!("asks for the AWS profile {profile:?}, which Argo CD's pods may not have"))
}
