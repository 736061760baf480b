//! Which of many replicas works: the lease, and how readiness, metrics and log tell of it.
//!
//! A replica that stands by watches nothing, so that what it lists when it takes over is no older than the last write of
//! the one before. One that loses its lease ends its process: whatever it remembers belongs to a time that is over, and to
//! start from nothing is what an operator can do at any moment anyway.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle};
use tracing::{error, info, warn};

use super::Error;
use crate::{
    cli::LeaseSettings,
    kubernetes::{
        KubernetesError,
        connect::{Permit, connect},
        lease::{Clock, Elector, Leadership, Lost, Settings, Standing, Terms},
    },
    telemetry::{
        Metrics,
        readiness::{Gate, Readiness},
    },
};

/// How long a lease that was not given up may take to be, before the process ends all the same.
const GIVING_UP: Duration = Duration::from_secs(10);

/// A replica that does not work yet.
pub(super) struct Leader {
    settings: Option<Settings>,
    clock: Clock,
    leadership: Leadership,
    gate: Gate,
    metrics: Metrics,
}

impl Leader {
    /// One that asks for this lease; without one it works at once.
    pub(super) fn new(lease: Option<LeaseSettings>, readiness: &Readiness, metrics: &Metrics) -> Self {
        let clock = Clock::of_the_machine();
        let settings = lease.map(settings);
        let leadership = match &settings {
            Some(_) => Leadership::none(clock.clone()),
            None => Leadership::alone(),
        };
        metrics.set_leader(false);
        Self {
            gate: readiness.gate("lease", "a look at the lease"),
            settings,
            clock,
            leadership,
            metrics: metrics.clone(),
        }
    }

    /// What the process calls itself to others, where there may be more than one.
    pub(super) fn process(&self) -> Option<&str> {
        self.settings.as_ref().map(|settings| settings.identity.as_str())
    }

    /// Asked before each write.
    pub(super) fn permit(&self) -> Permit {
        let leadership = self.leadership.clone();
        Arc::new(move || leadership.may_write())
    }

    /// Waits until this replica is the one that works; `None` when it was told to stop before.
    pub(super) async fn elected(self, stopped: impl Future<Output = ()>) -> Result<Option<Tenure>, KubernetesError> {
        // Not the one that asks for the permit: whoever has none yet must be able to take the lease.
        let client = connect(self.process(), None).await?;
        let Self {
            settings,
            clock,
            leadership,
            gate,
            metrics,
        } = self;
        let Some(settings) = settings else {
            warn!("working without a lease: a second process beside this one would write against it");
            gate.open_as("no election");
            metrics.set_leader(true);
            return Ok(Some(Tenure { held: None, metrics }));
        };
        let identity = settings.identity.clone();
        let mut elector = Elector::new(client, settings, clock, leadership);
        let lease = elector.lease();
        let mut told = None;
        let acquired = elector.acquire(|standing| {
            if told.as_ref() != Some(&standing) {
                stand_by(&gate, &lease, &identity, &standing);
                told = Some(standing);
            }
        });
        tokio::select! {
            () = acquired => {}
            () = stopped => return Ok(None),
        }
        gate.open_as(format!("{identity}, which is this process, holds it and works"));
        metrics.set_leader(true);
        info!(lease, identity, "leading: this process holds the lease, and works");
        let (end, ended) = oneshot::channel::<()>();
        let keeping = async move {
            let told_to_end = async {
                let _ = ended.await;
            };
            elector.keep(told_to_end).await
        };
        let task = tokio::spawn(keeping);
        Ok(Some(Tenure {
            held: Some(Held { end, task, lease }),
            metrics,
        }))
    }
}

fn settings(lease: LeaseSettings) -> Settings {
    let LeaseSettings {
        name,
        namespace,
        duration,
        identity,
    } = lease;
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    // The hasher's keys are the operating system's random numbers.
    let suffix = RandomState::new().build_hasher().finish();
    Settings {
        name,
        namespace,
        identity: format!("{}_{suffix:016x}", identity.unwrap_or_else(host)),
        terms: Terms { duration },
    }
}

/// Says how things stand. Whoever would take over is ready: a rollout must not wait for it to work.
fn stand_by(gate: &Gate, lease: &str, identity: &str, standing: &Standing) {
    match standing {
        Standing::Held { by } => {
            info!(
                lease,
                identity,
                holder = by,
                "standing by: another process holds the lease"
            );
            gate.open_as(format!("standing by; {by} holds it"));
        }
        Standing::Vacant => {
            info!(
                lease,
                identity, "standing by: the lease has no holder, and who had it may not know yet"
            );
            gate.open_as("standing by; nobody holds it, and it is waited out");
        }
        Standing::Unknown(why) => {
            warn!(
                lease,
                identity,
                error = why,
                "the lease cannot be had; it is tried again"
            );
            gate.wait_for(format!("the lease: {why}"));
        }
    }
}

/// The time in which this replica works.
pub(super) struct Tenure {
    held: Option<Held>,
    metrics: Metrics,
}

struct Held {
    end: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Lost>>,
    lease: String,
}

impl Tenure {
    /// Does the work, and gives the lease up when it has ended. It is dropped where it stands when the lease is lost.
    pub(super) async fn spent_on(mut self, work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        tokio::select! {
            worked = work => {
                self.end().await;
                worked
            }
            lost = self.lost() => Err(lost.into()),
        }
    }

    /// Resolves when the lease is lost, and never while it is held.
    async fn lost(&mut self) -> Lost {
        let Some(held) = &mut self.held else {
            return std::future::pending().await;
        };
        let lost = match (&mut held.task).await {
            Ok(Err(lost)) => lost,
            // It ends well only when it is told to, which takes the tenure itself; so this is a fault of ours.
            Ok(Ok(())) => Lost::Taken {
                lease: held.lease.clone(),
                by: None,
            },
            Err(fault) => Lost::Expired {
                lease: held.lease.clone(),
                after: Duration::ZERO,
                why: fault.to_string(),
            },
        };
        self.metrics.set_leader(false);
        error!(error = %lost, "the lease is lost: this process ends, to be started again and stand by");
        lost
    }

    /// Gives the lease up, so that another replica takes over at once. Nothing may begin any more: the permit goes first.
    async fn end(self) {
        self.metrics.set_leader(false);
        let Some(Held { end, task, lease }) = self.held else {
            return;
        };
        drop(end);
        match tokio::time::timeout(GIVING_UP, task).await {
            Ok(Ok(Ok(()))) => info!(lease, "gave the lease up"),
            Ok(Ok(Err(lost))) => warn!(error = %lost, "the lease was lost at the end"),
            Ok(Err(_)) | Err(_) => warn!(
                lease,
                "the lease was not given up: the next holder waits until it has expired"
            ),
        }
    }
}
