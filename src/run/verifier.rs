//! `mooring verifier`: walks the chain to every cluster, on change and on a slow schedule, and writes `Connected`.
//!
//! The work queue keeps one walk a cluster at a time; a walk too soon after the last waits until it may; walks go on in
//! order of arrival, so many at a time. Nothing here waits for the operator, nor the operator for this.

mod changes;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::{debug, info};

use self::changes::{Matters, RoleMatters, is_new};
use super::{Error, Guarded, leader::Leader, on_signal, report, served, until};
use crate::{
    access::{
        Subject,
        evidence::Vantage,
        observe::Edges,
        status::{self, finding, not_walked},
    },
    api::{
        ManagedCluster, ManagementRole,
        condition::{ConditionType, Finding, find},
    },
    aws::{self, Reader, Walker},
    cli::{VerifierArgs, given},
    kubernetes::{
        KubernetesError,
        backoff::Backoff,
        connect::connect,
        drive::{Panicked, drive},
        reflect::{Touched, reflect},
    },
    managed_cluster::now,
    telemetry::{Metrics, http::Server, log, readiness::Readiness},
};

/// The Lease by which verifiers agree on the one that works.
const LEASE: &str = "mooring-verifier";

/// A walk that was not told.
#[derive(Debug, thiserror::Error)]
enum WalkError {
    #[error(transparent)]
    Write(#[from] KubernetesError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

struct Context {
    client: Client,
    edges: Edges,
    clusters: Store<Guarded<ManagedCluster>>,
    roles: Store<Guarded<ManagementRole>>,
    permits: Semaphore,
    interval: Duration,
    distance: Duration,
    backoff: Backoff<String>,
    walked: Mutex<HashMap<String, Instant>>,
    metrics: Metrics,
}

/// Runs the verifier until it is asked to stop.
///
/// # Errors
/// When it cannot start, or a part that it cannot do without has ended.
pub async fn verifier(args: VerifierArgs) -> Result<(), Error> {
    let VerifierArgs {
        interval,
        distance,
        walks,
        listen,
        log_format,
        log_level,
        ca_bundle,
        lease,
    } = args;
    log::start(log_format.into(), &log_level)?;
    let metrics = Metrics::new();
    let readiness = Readiness::default();
    let stopped = on_signal()?;
    let crds = readiness.gate(
        "customresourcedefinitions",
        "the API server to serve mooring.dev/v1alpha1",
    );
    let leader = Leader::new(lease.settings(LEASE), &readiness, &metrics);
    let server = Server::bind(listen, readiness.clone(), metrics.clone()).await?;
    info!(address = %server.address(), "serving /healthz, /readyz and /metrics");
    let probes = tokio::spawn(server.serve(until(stopped.clone())));

    let client = connect(leader.process(), Some(leader.permit())).await?;
    let observer = metrics.clone();
    let settings = aws::Settings {
        ca_bundle: given(ca_bundle),
        operation_timeout: Duration::from_secs(20),
        observer: Some(Arc::new(move |service, operation, outcome, took| {
            observer.aws_answered(service, operation, outcome, took);
        })),
        permit: Some(leader.permit()),
        ..aws::Settings::default()
    };
    let walker = Walker::connect(&settings).await?;
    let reader = Reader::connect(settings).await?;
    tokio::select! {
        () = served(&client, &crds) => {}
        () = until(stopped.clone()) => return Ok(()),
    }
    let Some(tenure) = leader.elected(until(stopped.clone())).await? else {
        return Ok(());
    };
    let caches = readiness.gate("caches", "the first list of ManagementRoles and ManagedClusters");

    let (clusters, cluster_changes) = reflect(Api::all(client.clone()), watcher::Config::default(), |_| {});
    let (roles, role_changes) = reflect(Api::all(client.clone()), watcher::Config::default(), |_| {});
    // Half the interval: each round looks at the hub anew, and all clusters of a round share that look.
    let hub_lasts = (interval / 2).min(Duration::from_mins(5));
    let context = Arc::new(Context {
        edges: Edges::new(client.clone(), walker, reader, Vantage::Hub, hub_lasts),
        client,
        clusters,
        roles,
        permits: Semaphore::new(walks.get()),
        interval,
        distance,
        backoff: Backoff::default(),
        walked: Mutex::default(),
        metrics,
    });
    let (due, queue) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch_both(Arc::clone(&context), due, cluster_changes, role_changes));
    let work = async {
        tokio::select! {
            _ = async { tokio::join!(context.roles.wait_until_ready(), context.clusters.wait_until_ready()) } => {}
            () = until(stopped.clone()) => return Ok(()),
        }
        caches.open();
        info!("watching");
        drive(
            context.clusters.clone(),
            UnboundedReceiverStream::new(queue),
            walk,
            |object, error: &WalkError, context: Arc<Context>| after_error(&object, error, &context),
            Arc::clone(&context),
            until(stopped.clone()),
            report,
        )
        .await
        .map_err(Error::Watch)
    };
    let result = tenure.spent_on(Box::pin(work)).await;
    watching.abort();
    probes.abort();
    info!("stopped");
    result
}

async fn watch_both(
    context: Arc<Context>,
    due: mpsc::UnboundedSender<ObjectRef<Guarded<ManagedCluster>>>,
    clusters: impl Stream<Item = Touched<Guarded<ManagedCluster>>> + Send,
    roles: impl Stream<Item = Touched<Guarded<ManagementRole>>> + Send,
) {
    let (mut clusters, mut roles) = (pin!(clusters), pin!(roles));
    let (mut known_clusters, mut known_roles) = (HashMap::new(), HashMap::new());
    // A queue that nobody reads any more belongs to a verifier that is stopping.
    let give = |name: &str| drop(due.send(ObjectRef::new(name)));
    loop {
        tokio::select! {
            Some(touched) = clusters.next() => {
                let name = touched.object().name_any();
                let matters = there(&touched).map(Matters::of);
                if matters.is_none() {
                    context.forget(touched.object().meta().uid.as_deref().unwrap_or_default());
                }
                if is_new(&mut known_clusters, name.clone(), matters) {
                    give(&name);
                }
            }
            Some(touched) = roles.next() => {
                let name = touched.object().name_any();
                if is_new(&mut known_roles, name.clone(), there(&touched).map(RoleMatters::of)) {
                    for cluster in context.clusters.state() {
                        let of_it = cluster.0.as_ref().is_ok_and(|cluster| cluster.spec.management_role == name);
                        if of_it {
                            give(&cluster.name_any());
                        }
                    }
                }
            }
            else => return,
        }
    }
}

/// The object, if it is there and can be read.
fn there<K>(touched: &Touched<DeserializeGuard<K>>) -> Option<&K> {
    match touched {
        Touched::Applied(object) => object.0.as_ref().ok(),
        Touched::Deleted(_) => None,
    }
}

impl Context {
    /// How long the object must still wait for its next walk; counts this one as begun when it need not.
    fn too_soon(&self, uid: &str) -> Option<Duration> {
        let mut walked = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        let left = walked
            .get(uid)
            .and_then(|last| self.distance.checked_sub(last.elapsed()))
            .filter(|left| !left.is_zero());
        if left.is_none() {
            walked.insert(uid.to_owned(), Instant::now());
        }
        left
    }

    fn forget(&self, uid: &str) {
        self.walked.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.backoff.clear(&uid.to_owned());
    }

    /// When to walk again: soon where something is to be mended, and slowly where all is well.
    fn again(&self, uid: &str, holds: bool) -> Action {
        let key = uid.to_owned();
        if holds {
            self.backoff.clear(&key);
            return Action::requeue(self.backoff.spread(self.interval));
        }
        let wait = self.backoff.after_error(key).max(self.distance);
        Action::requeue(wait.min(self.interval))
    }
}

async fn walk(object: Arc<Guarded<ManagedCluster>>, context: Arc<Context>) -> Result<Action, WalkError> {
    let Ok(cluster) = &object.0 else {
        return Ok(Action::await_change());
    };
    let uid = cluster.metadata.uid.clone().unwrap_or_default();
    if cluster.metadata.deletion_timestamp.is_some() {
        context.forget(&uid);
        return Ok(Action::await_change());
    }
    if let Some(left) = context.too_soon(&uid) {
        return Ok(Action::requeue(left));
    }
    let Ok(_permit) = context.permits.acquire().await else {
        return Ok(Action::await_change());
    };
    let role = context.roles.get(&ObjectRef::new(&cluster.spec.management_role));
    let begun = Instant::now();
    let subject = match role.as_ref().map(|role| &role.0) {
        Some(Err(unparsable)) => Err(Subject::unreadable(&cluster.spec.management_role, &unparsable.error)),
        Some(Ok(role)) => Subject::read(cluster, Some(role)),
        None => Subject::read(cluster, None),
    };
    let finding = match subject {
        Ok(subject) => finding(&Box::pin(context.edges.walk(&subject)).await),
        Err(trouble) => not_walked(&trouble),
    };
    let moored = finding.reason != "NotMoored";
    if moored {
        let took = begun.elapsed();
        context
            .metrics
            .walk_ended(finding.verdict.as_str(), finding.reason, took);
        debug!(
            object = object.name_any(),
            verdict = finding.verdict.as_str(),
            reason = finding.reason,
            ?took,
            "walked"
        );
    }
    tell(&context, &object, &finding).await?;
    // What is not moored yet is walked when that changes, which the watch tells.
    let holds = finding.reason == "ChainHolds" || !moored;
    Ok(context.again(&uid, holds))
}

/// Writes the condition where it changed. Of an object that was never moored, nothing is said.
async fn tell(context: &Context, walked: &Guarded<ManagedCluster>, finding: &Finding) -> Result<(), WalkError> {
    let name = walked.name_any();
    // The watch may have brought something since the walk began: an object made anew is not the one that was walked.
    let now_there = context.clusters.get(&ObjectRef::new(&name));
    let Some(cluster) = now_there.as_ref().and_then(|object| object.0.as_ref().ok()) else {
        return Ok(());
    };
    if cluster.metadata.uid.as_deref() != walked.meta().uid.as_deref() {
        return Ok(());
    }
    let old = cluster.status.as_ref().map_or(&[][..], |status| &status.conditions);
    if finding.reason == "NotMoored" && find(old, ConditionType::Connected).is_none() {
        return Ok(());
    }
    let Some(condition) = status::changed(cluster, finding, now()) else {
        return Ok(());
    };
    info!(
        object = name,
        connected = condition.status,
        reason = condition.reason,
        message = condition.message,
        "the chain was walked, and what is known of it changed"
    );
    match status::write(&Api::all(context.client.clone()), &name, &condition).await {
        // It was deleted meanwhile.
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

fn after_error(object: &Guarded<ManagedCluster>, error: &WalkError, context: &Context) -> Action {
    let category = match error {
        WalkError::Write(error) => error.failure().label(),
        WalkError::Panicked(_) => "panicked",
    };
    context.metrics.pass_failed("ManagedCluster", category);
    context.again(object.meta().uid.as_deref().unwrap_or_default(), false)
}
