//! The watches, the stores behind both contexts and the two queues, and the work that they lead to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, StreamExt, future::join_all, stream::SelectAll};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::info;

use super::{
    CONTROLLER, Error, Guarded, binding,
    feed::{Feed, watch_all},
    namespaces::Namespaces,
    report, until,
};
use crate::{
    api::{ManagedCluster, ManagementRole},
    argocd::{SECRET_TYPE, cut_down},
    aws::Aws,
    kubernetes::{
        backoff::Backoff,
        coalesce::{self, coalesce},
        drive::drive,
        events::Reporter,
        issuer::Here,
        reflect::reflect,
    },
    managed_cluster::{self, Memories, Timing, applications::Looks, ledger::Ledger},
    management_role,
    telemetry::{Metrics, readiness::Gate},
};

pub(super) struct Queues {
    clusters: mpsc::UnboundedReceiver<ObjectRef<Guarded<ManagedCluster>>>,
    roles: mpsc::UnboundedReceiver<ObjectRef<Guarded<ManagementRole>>>,
    /// Said once every watch has listed.
    whole: oneshot::Sender<()>,
}

pub(super) struct Wired<W> {
    pub(super) clusters: Arc<managed_cluster::Context>,
    pub(super) roles: Arc<management_role::Context>,
    pub(super) queues: Queues,
    pub(super) watching: W,
}

/// Makes the watches, the stores behind both contexts, and the task that turns changes into work.
pub(super) fn wire(
    client: &Client,
    aws: &Aws,
    namespaces: &Namespaces,
    timing: Timing,
    read_only: bool,
    metrics: &Metrics,
    binding: &binding::Wired,
) -> Wired<impl Future<Output = ()> + Send + use<>> {
    let any = watcher::Config::default;
    let (cluster_store, cluster_changes) = reflect(Api::<Guarded<ManagedCluster>>::all(client.clone()), any(), |_| {});
    let (role_store, role_changes) = reflect(Api::<Guarded<ManagementRole>>::all(client.clone()), any(), |_| {});
    let labelled = any().labels(&format!("{}={}", SECRET_TYPE.0, SECRET_TYPE.1));
    let mut secret_stores = BTreeMap::new();
    let mut secret_changes = SelectAll::new();
    for namespace in &namespaces.served {
        let api = Api::<Secret>::namespaced(client.clone(), namespace);
        let (store, changes) = reflect(api, labelled.clone(), cut_down);
        secret_stores.insert(namespace.clone(), store);
        secret_changes.push(changes.boxed());
    }
    let clusters = Arc::new(managed_cluster::Context {
        aws: aws.clone(),
        client: client.clone(),
        clusters: cluster_store.clone(),
        management_roles: role_store.clone(),
        secrets: secret_stores,
        guarded: namespaces.guarded(),
        reporter: Reporter::new(client.clone(), CONTROLLER),
        metrics: metrics.clone(),
        timing,
        read_only,
        backoff: Backoff::default(),
        memory: Memories::default(),
        ledger: Ledger::new(timing.removals_per_hour),
        here: Here::default(),
        applications: Looks::default(),
    });
    let roles = Arc::new(management_role::Context {
        aws: aws.clone(),
        client: client.clone(),
        clusters: cluster_store,
        roles: role_store,
        secrets: clusters.secrets.clone(),
        binding: Arc::clone(&binding.context),
        guarded: namespaces.guarded(),
        reporter: Reporter::new(client.clone(), CONTROLLER),
        here: clusters.here.clone(),
        metrics: metrics.clone(),
        timing,
        read_only,
        backoff: Backoff::default(),
        remembered: Mutex::default(),
    });
    let (due_clusters, cluster_queue) = mpsc::unbounded_channel();
    let (due_roles, role_queue) = mpsc::unbounded_channel();
    let (sets, due_sets) = coalesce(coalesce::FIRST, coalesce::WINDOW);
    let feed = Feed {
        clusters: due_clusters,
        roles: due_roles,
        sets,
    };
    let (whole, listed) = oneshot::channel();
    let watching = watch_all(
        Arc::clone(&clusters),
        feed,
        listed.map(drop).shared(),
        cluster_changes,
        role_changes,
        secret_changes,
        due_sets,
    );
    Wired {
        clusters,
        roles,
        queues: Queues {
            clusters: cluster_queue,
            roles: role_queue,
            whole,
        },
        watching,
    }
}

/// Works both queues off until the operator is asked to stop. No pass begins before every watch has listed once.
///
/// Nobody else may wait for these stores meanwhile: a store wakes only the task that asked it last (kube-runtime 5.0.0,
/// `utils/delayed_init.rs`), and another would sleep for ever.
pub(super) async fn work(
    clusters: Arc<managed_cluster::Context>,
    roles: Arc<management_role::Context>,
    queues: Queues,
    caches: &Gate,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let secrets = join_all(clusters.secrets.values().map(Store::wait_until_ready));
    tokio::select! {
        _ = async { tokio::join!(clusters.management_roles.wait_until_ready(), clusters.clusters.wait_until_ready(), secrets) } => {}
        () = until(stopped.clone()) => return Ok(()),
    }
    // Whoever fed the queues is gone only where the operator stops.
    let _ = queues.whole.send(());
    // Objects that were restored from another hub say that they are ready: nothing is written by that before anybody has looked.
    tokio::select! {
        () = clusters.here.look(&clusters.client) => {}
        () = until(stopped.clone()) => return Ok(()),
    }
    caches.open();
    info!("watching");
    let both = tokio::try_join!(
        drive(
            clusters.management_roles.clone(),
            UnboundedReceiverStream::new(queues.roles),
            management_role::reconcile,
            |object, error, context| management_role::after_error(&object, error, &context),
            roles,
            until(stopped.clone()),
            report,
        ),
        drive(
            clusters.clusters.clone(),
            UnboundedReceiverStream::new(queues.clusters),
            managed_cluster::reconcile,
            |object, error, context| managed_cluster::after_error(&object, error, &context),
            Arc::clone(&clusters),
            until(stopped),
            report,
        ),
    );
    both.map(|_| ()).map_err(Error::Watch)
}
