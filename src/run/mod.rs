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
mod wiring;

use std::{sync::Arc, time::Duration};

use kube::{Api, Client, Resource, core::DeserializeGuard, runtime::reflector::ObjectRef};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::AbortHandle,
};
use tracing::{info, warn};

use crate::{
    api::{ManagedCluster, ManagementRole},
    aws::{self, Aws},
    cli::ControllerSettings,
    kubernetes::{connect::connect, drive::Ended, ready},
    managed_cluster::Timing,
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
    leader::Leader,
    namespaces::Namespaces,
    wiring::{Wired, wire, work},
};

/// How long passes have to end after the signal. A call to AWS may be tried for minutes, and meanwhile nobody would work;
/// whatever is cut off is taken up again as after a crash.
const WINDING_UP: Duration = Duration::from_secs(5);

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
    let bound = tokio::spawn(binding.work(until(stopped.clone())));
    let end_binding = bound.abort_handle();
    let working = async {
        let worked = work(clusters, roles, queues, &caches, stopped.clone()).await;
        // Whoever takes over must find nothing of ours under way.
        if worked.is_ok() {
            let _ = bound.await;
        }
        worked
    };
    let working = in_time(working, stopped.clone(), &end_binding);
    let result = tenure.spent_on(working).await;
    end_binding.abort();
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

/// Works until it has ended, or for as long as it may take to end after the signal.
async fn in_time(
    working: impl Future<Output = Result<(), Error>>,
    stopped: watch::Receiver<bool>,
    binding: &AbortHandle,
) -> Result<(), Error> {
    let wound_up = async {
        until(stopped).await;
        tokio::time::sleep(WINDING_UP).await;
    };
    tokio::select! {
        worked = working => worked,
        () = wound_up => {
            warn!(
                after_s = WINDING_UP.as_secs(),
                "passes still wait for answers: they are cut off, and whoever works next takes them up"
            );
            binding.abort();
            Ok(())
        }
    }
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
