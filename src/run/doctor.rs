//! `mooring doctor`: the edges, for a person. What was found is printed by [`crate::commands::doctor`].

pub(super) mod operator;

use std::{path::PathBuf, time::Duration};

use futures::{StreamExt, stream};
use kube::{Api, Client, ResourceExt};

use super::{Error, Guarded};
use crate::{
    access::{
        Examined, Subject, Trouble,
        evidence::Vantage,
        observe::{DEADLINE, Edges},
    },
    api::{ManagedCluster, ManagementRole},
    aws::{self, Reader, Walker},
    cli::{DoctorArgs, given},
    kubernetes::{connect::connect, objects},
    managed_cluster::request::Identity,
};

/// How long nothing may be told until it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many clusters are walked at the same time.
const AT_ONCE: usize = 4;

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The clusters in the order of their names.
    pub examined: Vec<Examined>,
    /// What there is to say of the operator, in a line: that none works, or that this could not be looked at.
    pub operator: Option<String>,
}

/// Walks the chain to the clusters that were asked for, and looks whether an operator works. `progress` is told a line at
/// a time.
///
/// # Errors
/// When the clusters cannot be listed, or one that was named is not there.
pub async fn doctor(args: &DoctorArgs, progress: impl Fn(&str)) -> Result<Found, Error> {
    let client = connect(None, None).await?;
    let mut clusters = objects::list(&Api::<Guarded<ManagedCluster>>::all(client.clone())).await?;
    let roles = objects::list(&Api::<Guarded<ManagementRole>>::all(client.clone())).await?;
    let known: Vec<String> = clusters.iter().map(ResourceExt::name_any).collect();
    let unknown: Vec<&str> = args
        .clusters
        .iter()
        .filter(|name| !known.contains(name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(Error::NoSuchCluster(unknown.join(", ")));
    }
    clusters.retain(|cluster| args.clusters.is_empty() || args.clusters.contains(&cluster.name_any()));
    clusters.sort_by_key(ResourceExt::name_any);

    let edges = edges(client.clone(), args.ca_bundle.clone()).await?;
    let walks = Box::pin(walk(&edges, &clusters, &roles, progress));
    let (examined, operator) = futures::future::join(walks, operator::missing(&client)).await;
    Ok(Found { examined, operator })
}

async fn walk(
    edges: &Edges,
    clusters: &[Guarded<ManagedCluster>],
    roles: &[Guarded<ManagementRole>],
    progress: impl Fn(&str),
) -> Vec<Examined> {
    let total = clusters.len();
    let clusters_in_words = if total == 1 {
        "1 cluster"
    } else {
        &format!("{total} clusters")
    };
    progress(&format!(
        "walking the chain to {clusters_in_words}, as Argo CD does; nothing is changed"
    ));
    let examining = clusters.iter().map(|cluster| examine(edges, cluster, roles));
    let mut walks = stream::iter(examining).buffer_unordered(AT_ONCE);
    let mut examined: Vec<Examined> = Vec::new();
    let mut quiet = tokio::time::interval(PATIENCE);
    quiet.reset();
    loop {
        tokio::select! {
            one = walks.next() => {
                let Some(one) = one else { break };
                examined.push(one);
                quiet.reset();
                if let Some(one) = examined.last().filter(|_| total > 1) {
                    progress(&format!("{} of {total}: {}: {}", examined.len(), one.name, in_short(one)));
                }
            }
            _ = quiet.tick() => {
                let done = |name: &String| examined.iter().any(|one| one.name == *name);
                let names: Vec<String> = clusters.iter().map(ResourceExt::name_any).filter(|name| !done(name)).collect();
                let shown = names.iter().take(AT_ONCE).map(String::as_str).collect::<Vec<_>>().join(", ");
                progress(&format!(
                    "still walking: {shown}{}; what does not answer is given up after {} s",
                    if names.len() > AT_ONCE { ", and more after them" } else { "" },
                    DEADLINE.as_secs()
                ));
            }
        }
    }
    examined.sort_by(|a, b| a.name.cmp(&b.name));
    examined
}

/// The edges of a walk with a person's own credentials. One look at the hub does for all that is walked.
pub(super) async fn edges(client: Client, ca_bundle: Option<PathBuf>) -> Result<Edges, Error> {
    let settings = aws::Settings {
        ca_bundle: given(ca_bundle),
        operation_timeout: Duration::from_secs(20),
        ..aws::Settings::default()
    };
    let walker = Walker::connect(&settings).await?;
    let reader = Reader::connect(settings).await?;
    Ok(Edges::new(
        client,
        walker,
        reader,
        Vantage::Person,
        Duration::from_mins(10),
    ))
}

fn in_short(one: &Examined) -> String {
    match &one.walk {
        Ok(walk) => match walk.broken().or_else(|| walk.unknown()) {
            Some((hop, trouble)) => format!("{hop}: {}", trouble.reason),
            None => "every hop was walked".to_owned(),
        },
        Err(trouble) => trouble.reason.to_string(),
    }
}

async fn examine(edges: &Edges, object: &Guarded<ManagedCluster>, roles: &[Guarded<ManagementRole>]) -> Examined {
    let name = object.name_any();
    let not_walked = |trouble: Trouble, cluster: Option<String>| Examined {
        name: name.clone(),
        cluster,
        walk: Err(trouble),
    };
    let cluster = match &object.0 {
        Ok(cluster) => cluster,
        Err(unparsable) => {
            return not_walked(Subject::unreadable("ManagedCluster", &name, &unparsable.error), None);
        }
    };
    let role = roles
        .iter()
        .find(|role| role.name_any() == cluster.spec.management_role);
    let subject = match role.map(|role| &role.0) {
        Some(Err(unparsable)) => {
            let name = &cluster.spec.management_role;
            Err(Subject::unreadable("ManagementRole", name, &unparsable.error))
        }
        Some(Ok(role)) => Subject::read(cluster, Some(role)),
        None => Subject::read(cluster, None),
    };
    match subject {
        Ok(subject) => Examined {
            cluster: Some(subject.cluster.to_string()),
            walk: Ok(Box::pin(edges.walk(&subject)).await.walk),
            name: name.clone(),
        },
        Err(trouble) => {
            let arn = Identity::of(cluster).ok().map(|identity| identity.cluster.to_string());
            not_walked(trouble, arn)
        }
    }
}
