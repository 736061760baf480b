//! Argo CD's side: the cluster Secret, everybody else's, and the projects.

use std::collections::BTreeSet;

use super::{failed, passed, unknown};
use crate::{
    access::{chain::Found, destination::Destination, evidence::ArgoCdEvidence, reason::Reason, subject::Subject},
    argocd::{Credentials, Presentation, SECRET_TYPE, SKIP_RECONCILE, SeenCluster},
    aws::Look,
};

/// What Argo CD's side says of the chain, by the cluster's own Secret and by what is common to all clusters. `destination`
/// is where the cluster's API server is.
pub(in crate::access) fn judge(
    subject: &Subject,
    destination: &Destination,
    secret: &Look<Result<SeenCluster, String>>,
    argocd: &ArgoCdEvidence,
) -> Found {
    let (namespace, name) = (&subject.hub.namespace, &subject.secret);
    let seen = match secret {
        Look::Absent => {
            return failed(
                Reason::ClusterSecretMissing,
                format!(
                    "Argo CD sees no cluster Secret {name} in namespace {namespace}: there is none, or it lacks the label \
                     {}={}",
                    SECRET_TYPE.0, SECRET_TYPE.1
                ),
                subject
                    .mending
                    .undone("deleted it, or took its label away", "write it again"),
            );
        }
        Look::Unseen(why) => return not_seen(namespace, &format!("cluster Secret {name} could not be read: {why}")),
        Look::Seen(Err(why)) => {
            let own = format!(
                "{}; where the other clusters cannot wait for that, mend it by hand: `kubectl -n {namespace} edit secret {name}`",
                subject.mending.will("write it back")
            );
            return malformed(namespace, name, why, &own);
        }
        Look::Seen(Ok(seen)) => seen,
    };
    if seen.skips_reconcile {
        return failed(
            Reason::ClusterSecretDiffers,
            format!(
                "cluster Secret {name} in namespace {namespace} bears the annotation {SKIP_RECONCILE}, under which Argo CD \
                 leaves the whole cluster alone"
            ),
            format!(
                "take it off once it may go on: kubectl annotate secret -n {namespace} {name} {SKIP_RECONCILE}-; where it \
                 stands in argocd.annotations of ManagedCluster {}, there",
                subject.name
            ),
        );
    }
    if let Some(differs) = difference(subject, seen) {
        return failed(
            Reason::ClusterSecretDiffers,
            format!("cluster Secret {name} in namespace {namespace} {differs}"),
            format!(
                "{}; if it stays so, somebody else writes it too: kubectl -n {namespace} get secret {name} -o yaml \
                 --show-managed-fields says who",
                subject.mending.will("write it back")
            ),
        );
    }
    if let Some(found) = of_all_clusters(namespace, argocd) {
        return found;
    }
    if destination.differs(seen).is_some() {
        // Which project admits it matters once it leads to the cluster again; the hop of the endpoint says so.
        return Found::NotReached;
    }
    let server = seen.server.as_str();
    let own = if seen.name.is_empty() { server } else { &seen.name };
    match &argocd.projects {
        Look::Seen(projects) => {
            let admits =
                |project: &&crate::argocd::Project| project.admits(server, &seen.name, &seen.namespaces, &seen.project);
            match (projects.iter().find(admits), &argocd.settings) {
                // Without it, nobody asked whether the cluster lets Argo CD act as a project's service account.
                (Some(_), Look::Unseen(why)) => unknown(
                    Reason::ArgoCdNotSeen,
                    format!(
                        "whether application.sync.impersonation.enabled is set could not be read from ConfigMap argocd-cm: \
                         {why}"
                    ),
                    format!("let whoever runs this get ConfigMap argocd-cm in namespace {namespace}"),
                ),
                (Some(project), _) => passed(format!(
                    "Argo CD reads the cluster Secret; AppProject {} admits {own}",
                    project.name
                )),
                (None, _) => failed(
                    Reason::NoProjectAdmits,
                    format!(
                        "none of the {} AppProjects in namespace {namespace} admits {own} as a destination",
                        projects.len()
                    ),
                    format!(
                        "add it to spec.destinations of an AppProject, as in {{{}: {own}, namespace: \"*\"}}; one with \
                         permitOnlyProjectScopedClusters takes only clusters that are its own, by argocd.project of \
                         ManagedCluster {}",
                        if seen.name.is_empty() { "server" } else { "name" },
                        subject.name
                    ),
                ),
            }
        }
        Look::Absent => Found::Passed {
            seen: "Argo CD would read the cluster Secret".to_owned(),
            notes: vec!["the API server of the hub knows no AppProjects, so Argo CD is not installed there".to_owned()],
        },
        Look::Unseen(why) => not_seen(namespace, &format!("the AppProjects could not be listed: {why}")),
    }
}

/// What breaks the chain to every cluster of this Argo CD.
fn of_all_clusters(namespace: &str, argocd: &ArgoCdEvidence) -> Option<Found> {
    match &argocd.malformed {
        Look::Seen(all) => {
            if let Some((name, why)) = all.first() {
                let others = format!(
                    "mend it: `kubectl -n {namespace} edit secret {name}`. Where its label {} is taken away instead, ApplicationSets delete the Applications of its cluster",
                    SECRET_TYPE.0
                );
                return Some(malformed(namespace, name, why, &others));
            }
        }
        Look::Absent => {}
        Look::Unseen(why) => {
            return Some(not_seen(
                namespace,
                &format!("the cluster Secrets could not be listed: {why}"),
            ));
        }
    }
    let value = argocd.settings.known().unknown_respect_rbac?;
    Some(failed(
        Reason::ArgoCdSettingInvalid,
        format!(
            "resource.respectRBAC in ConfigMap argocd-cm of namespace {namespace} is {value:?}, which Argo CD does not \
             know: it sets no cluster up with that, and goes on with those alone that it had set up before"
        ),
        format!(
            "write normal or strict there, without spaces or line ends, or take it out: kubectl -n {namespace} patch \
             configmap argocd-cm --type merge -p '{{\"data\":{{\"resource.respectRBAC\":\"normal\"}}}}'"
        ),
    ))
}

fn not_seen(namespace: &str, message: &str) -> Found {
    unknown(
        Reason::ArgoCdNotSeen,
        message,
        format!("let whoever runs this get and list secrets and appprojects.argoproj.io in namespace {namespace}"),
    )
}

fn malformed(namespace: &str, name: &str, why: &str, next: &str) -> Found {
    failed(
        Reason::ClusterSecretMalformed,
        format!(
            "it cannot read cluster Secret {name} in namespace {namespace}: {why}. While it is there, no ApplicationSet \
             deletes anything on any cluster"
        ),
        next,
    )
}

/// What the Secret says otherwise than it should, beside where it leads.
fn difference(subject: &Subject, seen: &SeenCluster) -> Option<String> {
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
    if !profile.is_empty() {
        return Some(format!(
            "asks for the AWS profile {profile:?}, which Argo CD's pods may not have"
        ));
    }
    presented(subject.presentation.as_ref()?, seen)
}

/// What it says of the cluster otherwise than the spec. What the spec leaves open stays as it was in a Secret that was
/// taken over.
fn presented(spec: &Presentation, seen: &SeenCluster) -> Option<String> {
    if spec.name != seen.name {
        return Some(format!(
            "names the cluster {:?}, and the spec {:?}",
            seen.name, spec.name
        ));
    }
    let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    let (wanted, there) = (sorted(&spec.namespaces), sorted(&seen.namespaces));
    if wanted != there && !(wanted.is_empty() && seen.adopted) {
        let words = |names: &BTreeSet<String>| match names.len() {
            0 => "to no namespaces, but the whole cluster".to_owned(),
            1..=5 => format!("to {}", names.iter().cloned().collect::<Vec<_>>().join(", ")),
            many => format!("to {many} namespaces"),
        };
        return Some(format!(
            "holds Argo CD {}, and the spec {}",
            words(&there),
            words(&wanted)
        ));
    }
    let project = spec.project.as_deref().unwrap_or_default();
    if project != seen.project && !(spec.project.is_none() && seen.adopted) {
        return Some(format!(
            "gives the cluster to project {:?}, and the spec to {project:?}",
            seen.project
        ));
    }
    let resources = spec.cluster_resources.unwrap_or_default();
    if resources != seen.cluster_resources && !(spec.cluster_resources.is_none() && seen.adopted) {
        return Some(format!(
            "has clusterResources {}, and the spec {resources}",
            seen.cluster_resources
        ));
    }
    None
}
