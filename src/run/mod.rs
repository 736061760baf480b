//! Wiring: the edges, the watches, the two queues, and how all of it starts and stops. Decides nothing about clusters.

mod binding;
mod count;
mod doctor;
mod error;
mod feed;
mod import;
mod leader;
mod namespaces;
mod plan;
mod revoke;
mod triggers;
mod verifier;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, future::join_all, stream::SelectAll};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource,
    core::DeserializeGuard,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::{info, warn};

use crate::{
    api::{ManagedCluster, ManagementRole},
    argocd::{SECRET_TYPE, cut_down},
    aws::{self, Aws},
    cli::ControllerSettings,
    kubernetes::{
        backoff::Backoff,
        coalesce::{self, coalesce},
        connect::connect,
        drive::{Ended, drive},
        events::Reporter,
        ready,
        reflect::reflect,
    },
    managed_cluster::{self, Memories, Timing, applications::Looks, ledger::Ledger},
    management_role,
    telemetry::{
        Metrics,
        http::Server,
        log,
        readiness::{Gate, Readiness},
    },
};

pub use self::{
    doctor::doctor,
    error::Error,
    import::import,
    plan::{Files, plan},
    revoke::revoke,
    verifier::verifier,
};

use self::{
    count::count,
    feed::{Feed, watch_all},
    leader::Leader,
    namespaces::Namespaces,
};

/// The controller's name in events.
const CONTROLLER: &str = "mooring.dev/controller";

type Guarded<K> = DeserializeGuard<K>;

/// Runs the controller until it is asked to stop.
///
/// # Errors
/// When it cannot start, or a part that it cannot do without has ended.
pub async fn controller(settings: ControllerSettings) -> Result<(), Error> {
    let ControllerSettings {
        argocd_namespaces,
        namespace,
        resync_interval,
        passes_per_account,
        aws_attempts,
        pass_deadline,
        confirm_after,
        read_only,
        removals_per_hour,
        listen,
        log_format,
        log_level,
        ca_bundle,
        lease,
    } = settings;
    log::start(log_format, &log_level)?;
    let metrics = Metrics::new();
    let readiness = Readiness::default();
    let stopped = on_signal()?;
    metrics.set_read_only(read_only);
    if read_only {
        let note = "nothing is written but status and events, since the operator runs with --read-only";
        warn!("{note}");
        readiness.note("read-only", note);
    }

    let crds = readiness.gate(
        "customresourcedefinitions",
        "the API server to serve mooring.dev/v1alpha1",
    );
    let leader = Leader::new(lease, &readiness, &metrics);
    let server = Server::bind(listen, readiness.clone(), metrics.clone()).await?;
    info!(address = %server.address(), "serving /healthz, /readyz and /metrics");
    let probes = tokio::spawn(server.serve(until(stopped.clone())));

    let client = connect(leader.process(), Some(leader.permit())).await?;
    let observer = metrics.clone();
    let aws = Aws::connect(aws::Settings {
        passes_per_account: passes_per_account.get(),
        attempts: aws_attempts.get(),
        ca_bundle,
        observer: Some(Arc::new(move |service, operation, outcome, took| {
            observer.aws_answered(service, operation, outcome, took);
        })),
        permit: Some(leader.permit()),
        ..aws::Settings::default()
    })
    .await?;
    tokio::select! {
        () = served(&client, &crds) => {}
        () = until(stopped.clone()) => return Ok(()),
    }
    let Some(tenure) = leader.elected(until(stopped.clone())).await? else {
        return Ok(());
    };
    let caches = readiness.gate(
        "caches",
        "the first list of ManagementRoles, ManagedClusters and cluster Secrets",
    );

    let timing = Timing {
        resync: resync_interval,
        pass_deadline,
        confirm_after,
        removals_per_hour,
    };
    let namespaces = Namespaces::new(&argocd_namespaces, &namespace);
    let binding = binding::wire(&client, &namespaces.served, timing, read_only, &metrics);
    let Wired {
        clusters,
        roles,
        queues,
        watching,
    } = wire(&client, &aws, &namespaces, timing, read_only, &metrics, &binding);
    let background = [
        tokio::spawn(watching),
        tokio::spawn(count(Arc::clone(&clusters), metrics)),
        tokio::spawn(close_when_stopped(aws, stopped.clone())),
    ];
    let mut bound = tokio::spawn(binding.work(until(stopped.clone())));
    let working = async {
        let worked = work(clusters, roles, queues, &caches, stopped).await;
        // Whoever takes over must find nothing of ours under way.
        if worked.is_ok() {
            let _ = (&mut bound).await;
        }
        worked
    };
    let result = tenure.spent_on(working).await;
    bound.abort();
    for task in background {
        task.abort();
    }
    probes.abort();
    info!("stopped");
    result
}

/// Resolves the flag at the first SIGTERM or SIGINT.
fn on_signal() -> Result<watch::Receiver<bool>, Error> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        // The flag must not go away while somebody waits for it.
        std::future::pending::<()>().await;
    });
    Ok(stopped)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn served(client: &Client, gate: &Gate) {
    let waiting = |what: String| {
        info!(%what, "waiting");
        gate.wait_for(what);
    };
    ready::served(&Api::<ManagementRole>::all(client.clone()), waiting).await;
    ready::served(&Api::<ManagedCluster>::all(client.clone()), waiting).await;
    gate.open();
}

async fn close_when_stopped(aws: Aws, stopped: watch::Receiver<bool>) {
    until(stopped).await;
    info!("stopping: no pass begins any more, running ones end");
    aws.close();
}

struct Queues {
    clusters: mpsc::UnboundedReceiver<ObjectRef<Guarded<ManagedCluster>>>,
    roles: mpsc::UnboundedReceiver<ObjectRef<Guarded<ManagementRole>>>,
}

struct Wired<W> {
    clusters: Arc<managed_cluster::Context>,
    roles: Arc<management_role::Context>,
    queues: Queues,
    watching: W,
}

/// Makes the watches, the stores behind both contexts, and the task that turns changes into work.
fn wire(
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
        here: crate::kubernetes::issuer::Here::default(),
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
    let watching = watch_all(
        Arc::clone(&clusters),
        feed,
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
        },
        watching,
    }
}

/// Works both queues off until the operator is asked to stop. No pass begins before every watch has listed once.
///
/// Nobody else may wait for these stores meanwhile: a store wakes only the task that asked it last (kube-runtime 5.0.0,
/// `utils/delayed_init.rs`), and another would sleep for ever.
async fn work(
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
    // Objects that were restored from another hub say that they are ready: nothing is written by that before anybody has looked.
    clusters.here.look(&clusters.client).await;
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

#[allow(clippy::needless_pass_by_value, reason = "the queue hands over what has ended")]
fn report<K, E>(object: ObjectRef<K>, ended: Ended<E>)
where
    K: Resource<DynamicType: Default>,
    E: std::error::Error,
{
    if let Ended::Failed(error) = ended {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        warn!(kind, object = object.name, %error, "a pass failed; it is tried again");
    }
}
