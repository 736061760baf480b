//! `mooring verifier`: walks the chain to every cluster, on change and on a slow schedule, and writes `Connected`.
//!
//! The work queue keeps one walk a cluster at a time; a walk too soon after the last waits until it may; walks go on in
//! order of arrival, so many at a time, of which clusters that are slow to answer have one half. Nothing here waits for
//! the operator, nor the operator for this.

mod argocd;
mod changes;
mod lanes;
mod tell;
mod turns;
mod watch;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::{debug, info};

use self::{
    lanes::Lanes,
    tell::{tell, tell_unreadable},
    turns::{Turn, Turns},
};
use super::{Error, Guarded, leader::Leader, on_signal, report, served, until};
use crate::{
    access::{
        Reason, Subject, Trouble,
        evidence::Vantage,
        observe::Edges,
        status::{finding, not_walked},
    },
    api::{ManagedCluster, ManagementRole},
    aws::{self, Reader, Walker},
    cli::{VerifierArgs, given},
    kubernetes::{
        KubernetesError,
        backoff::Backoff,
        connect::connect,
        drive::{Panicked, drive},
        reflect::reflect,
    },
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
    lanes: Lanes,
    interval: Duration,
    backoff: Backoff<String>,
    turns: Turns,
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
        lanes: Lanes::new(walks),
        interval,
        backoff: Backoff::default(),
        turns: Turns::new(distance),
        metrics,
    });
    let (due, queue) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch::both(Arc::clone(&context), due, cluster_changes, role_changes));
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

impl Context {
    fn subject(&self, cluster: &ManagedCluster) -> Result<Subject, Trouble> {
        let name = &cluster.spec.management_role;
        let role = self.roles.get(&ObjectRef::new(name));
        match role.as_ref().map(|role| &role.0) {
            Some(Err(unparsable)) => Err(Subject::unreadable("ManagementRole", name, &unparsable.error)),
            Some(Ok(role)) => Subject::read(cluster, Some(role)),
            None => Subject::read(cluster, None),
        }
    }

    fn forget(&self, uid: &str) {
        self.turns.forget(uid);
        self.backoff.clear(&uid.to_owned());
    }

    /// When to walk again: soon where something is to be mended, and slowly where all is well.
    fn again(&self, uid: &str, holds: bool) -> Action {
        let wait = wait(&self.backoff, (self.interval, self.turns.distance()), uid, holds);
        self.turns.again(uid, wait, Instant::now());
        self.left(uid)
    }

    fn left(&self, uid: &str) -> Action {
        Action::requeue(self.turns.left(uid, Instant::now()))
    }
}

/// How long until the next walk, of which two are at the least a distance apart, and at the most an interval.
fn wait(backoff: &Backoff<String>, (interval, distance): (Duration, Duration), uid: &str, holds: bool) -> Duration {
    let key = uid.to_owned();
    if holds {
        backoff.clear(&key);
        backoff.spread(interval)
    } else {
        backoff.after_error(key).max(distance).min(interval)
    }
}

async fn walk(object: Arc<Guarded<ManagedCluster>>, context: Arc<Context>) -> Result<Action, WalkError> {
    let cluster = match &object.0 {
        Ok(cluster) => cluster,
        Err(unreadable) => {
            tell_unreadable(&context, &object, &unreadable.error).await?;
            return Ok(Action::await_change());
        }
    };
    let uid = cluster.metadata.uid.clone().unwrap_or_default();
    if cluster.metadata.deletion_timestamp.is_some() {
        let finding = not_walked(&Subject::going(&object.name_any()));
        tell(&context, &object, cluster.metadata.generation, &finding).await?;
        context.forget(&uid);
        return Ok(Action::await_change());
    }
    match context.turns.take(&uid, Instant::now()) {
        Turn::Wait(left) => return Ok(Action::requeue(left)),
        Turn::Look(walked) => {
            if let Ok(subject) = context.subject(cluster) {
                match context.edges.look_again(&subject, &walked).await {
                    Some(walk) => tell(&context, &object, walked.generation, &finding(&walk)).await?,
                    None => context.turns.due(&uid),
                }
            }
            return Ok(context.left(&uid));
        }
        Turn::Walk => {}
    }
    let Some(_place) = context.lanes.enter(context.turns.is_slow(&uid)).await else {
        return Ok(Action::await_change());
    };
    // It may have changed while others were walked.
    let Some(object) = context.clusters.get(&ObjectRef::new(&object.name_any())) else {
        return Ok(Action::await_change());
    };
    let Some(cluster) = object
        .0
        .as_ref()
        .ok()
        .filter(|now| now.metadata.uid == cluster.metadata.uid)
    else {
        return Ok(Action::await_change());
    };
    let begun = Instant::now();
    context.turns.begin(&uid, begun);
    let (finding, walked) = match context.subject(cluster) {
        Ok(subject) => {
            let walked = Box::pin(context.edges.walk(&subject)).await;
            (finding(&walked.walk), Some(walked))
        }
        Err(trouble) => (not_walked(&trouble), None),
    };
    context.turns.walked(&uid, walked, begun.elapsed());
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
    tell(&context, &object, cluster.metadata.generation, &finding).await?;
    // What is not moored yet is walked when that changes, which the watch tells; and what only a pod can walk is no nearer
    // to being mended soon.
    let rests = ["ChainHolds", Reason::PodIdentityNotWalked.as_str()].contains(&finding.reason);
    let holds = rests || !moored;
    Ok(context.again(&uid, holds))
}

fn after_error(object: &Guarded<ManagedCluster>, error: &WalkError, context: &Context) -> Action {
    let category = match error {
        WalkError::Write(error) => error.failure().label(),
        WalkError::Panicked(_) => "panicked",
    };
    context.metrics.pass_failed("ManagedCluster", category);
    context.again(object.meta().uid.as_deref().unwrap_or_default(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_that_hold_are_spread_and_one_that_does_not_is_made_again_soon() {
        let (minute, second) = (Duration::from_mins(1), Duration::from_secs(1));
        let times = (10 * minute, 5 * second);
        let after = |jitter: f64, holds| wait(&Backoff::with_jitter(move || jitter), times, "uid", holds);
        assert_eq!(after(0.0, true), 10 * minute);
        assert_eq!(after(1.0, true), 11 * minute);
        assert_eq!(after(0.0, false), 5 * second, "no sooner than walks may be");
        let often = (second, 5 * second);
        assert_eq!(wait(&Backoff::with_jitter(|| 1.0), often, "uid", false), second);
    }
}
