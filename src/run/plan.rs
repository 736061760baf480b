//! `mooring plan`: the edges, for a person. It looks as the controller does and plans with the controller's own code,
//! and nothing is carried out. What was found is printed by [`crate::commands::plan`].

mod cluster;
mod destinations;
mod fleet;
mod going;
mod laid;
mod management;
mod unread;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{reflector, reflector::Store, watcher::Event},
};

use self::{destinations::Destinations, fleet::Fleet, going::Removals};
use super::Error;
use crate::{
    api::{ManagedCluster, ManagementRole},
    argocd::{SECRET_TYPE, cut_down},
    aws::{self, ReadBy, Reader},
    cli::{PlanArgs, given},
    domain::name::AccountId,
    kubernetes::{KubernetesError, connect::connect},
    managed_cluster::{living::Living, management::Management, preview::Planned},
};

/// How many clusters are looked at at the same time.
const AT_ONCE: usize = 8;

/// Plans what the arguments ask for: first the `ManagementRole`s and then the clusters, each in the order of their
/// names. `progress` is told a line at a time.
///
/// # Errors
/// When the files hold nothing of ours, or our objects cannot be listed.
pub async fn plan(args: &PlanArgs, files: Files, progress: impl Fn(&str)) -> Result<Vec<Planned>, Error> {
    let client = connect(None, None).await?;
    let fleet = Fleet::gather(&client, args.all, &args.removals, files).await?;
    let settings = aws::Settings {
        ca_bundle: given(args.ca_bundle.clone()),
        operation_timeout: Duration::from_secs(30),
        ..aws::Settings::default()
    };
    let served: BTreeSet<String> = args.argocd_namespaces.iter().map(ToString::to_string).collect();
    let look = Look {
        reader: Reader::connect(settings).await?,
        hub_account: args.hub_account.clone(),
        guarded: fleet.namespaces().into_iter().chain(served.clone()).collect(),
        served: (!served.is_empty()).then_some(served),
        living: fleet.living(),
        client,
    };
    let (roles, clusters) = (fleet.wanted_roles(), fleet.wanted_clusters());
    let total = clusters.len();
    progress(&format!(
        "looking at {total} ManagedCluster{} and {} ManagementRole{}; nothing is changed",
        if total == 1 { "" } else { "s" },
        roles.len(),
        if roles.len() == 1 { "" } else { "s" }
    ));
    let mut all = Vec::new();
    let mut hubs: BTreeMap<String, Result<Hub, String>> = BTreeMap::new();
    for role in roles {
        let name = role.metadata.name.clone().unwrap_or_default();
        let (planned, hub) = Box::pin(look.management(role, &fleet)).await;
        all.extend(fleet.is_shown(&planned).then_some(planned));
        hubs.insert(name, hub);
    }
    for unread in fleet.unread_roles() {
        hubs.insert(unread.name.clone(), Hub::unread(unread));
    }
    let mut stores = HashMap::new();
    for hub in hubs.values().flatten() {
        let namespace = &hub.management.namespace;
        if !stores.contains_key(namespace) {
            stores.insert(namespace.clone(), look.secrets(namespace).await);
        }
    }
    let looking = clusters.iter().map(|cluster| look.cluster(cluster, &hubs, &stores));
    let mut looks = stream::iter(looking).buffered(AT_ONCE);
    let mut sights = Vec::new();
    while let Some(sight) = looks.next().await {
        sights.push(sight);
        if let Some(cluster) = clusters.get(sights.len() - 1).filter(|_| total > 1) {
            let name = cluster.metadata.name.as_deref().unwrap_or_default();
            progress(&format!("{} of {total}: {name}", sights.len()));
        }
    }
    let destinations = Destinations::look(&look.client).await;
    let mut claims = cluster::Claims::default();
    let removals = Removals {
        hub: fleet.hub(),
        limit: args.removals_per_hour,
    };
    all.extend(fleet.unplanned());
    all.extend(
        sights
            .into_iter()
            .map(|sight| sight.planned(&mut claims, &destinations, &removals)),
    );
    Ok(all)
}

/// What manifests in files hold for us.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The `ManagementRole`s.
    pub roles: Vec<ManagementRole>,
    /// The `ManagedCluster`s.
    pub clusters: Vec<ManagedCluster>,
}

/// The edges.
struct Look {
    reader: Reader,
    hub_account: Option<AccountId>,
    /// The namespaces of every Argo CD of the hub.
    guarded: BTreeSet<String>,
    /// The namespaces that the operator serves, where that was said.
    served: Option<BTreeSet<String>>,
    /// The UIDs of all `ManagedCluster`s that are there.
    living: Living,
    client: Client,
}

/// A `ManagementRole` as it will be once its own plan is carried out, and how its accounts are read.
struct Hub {
    management: Management,
    read_by: ReadBy,
    /// Why the object cannot be read, in words: access is taken away by it all the same, and none is given.
    unread: Option<String>,
}

impl Look {
    /// Everything that Argo CD sees of cluster Secrets in a namespace, cut down at once.
    async fn secrets(&self, namespace: &str) -> Result<Store<Secret>, String> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Init);
        let mut params = ListParams::default()
            .labels(&format!("{}={}", SECRET_TYPE.0, SECRET_TYPE.1))
            .limit(500);
        loop {
            let page = api.list(&params).await.map_err(|cause| {
                let what = format!("cluster Secrets in namespace {namespace}");
                KubernetesError::new("list", what, cause).to_string()
            })?;
            for mut secret in page.items {
                cut_down(&mut secret);
                writer.apply_watcher_event(&Event::InitApply(secret));
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        writer.apply_watcher_event(&Event::InitDone);
        Ok(store)
    }
}
