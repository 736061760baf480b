//! Claims a lease, renews it, and gives it up.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tracing::warn;

use super::{
    Leadership,
    claim::{Seen, Sight, Terms, Verdict, claimed, released},
    clock::{Clock, Moment},
};
use crate::kubernetes::{
    error::{KubernetesError, call_within},
    objects::{FIELD_MANAGER, describe},
};

/// How often a lost race is tried again at once.
const TRIES: usize = 3;

/// Which lease, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the Lease.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Who we are: another for each process, also of the same pod, since one that was started again must not take the
    /// time of the one before for its own.
    pub identity: String,
    /// Its times.
    pub terms: Terms,
}

/// How things stand with one that waits for the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody holds it.
    Held {
        /// Who.
        by: String,
    },
    /// It is gone, or its holder's name was taken off: whoever had it may not know yet.
    Vacant,
    /// It could not be looked at or taken, and why.
    Unknown(String),
}

/// Why a lease is ours no longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It could not be renewed in time.
    #[error("could not renew {lease} for {} s, so that another may take it: {why}", after.as_secs())]
    Expired {
        /// The lease.
        lease: String,
        /// How long after the last renewal that went through.
        after: Duration,
        /// What the last try came to.
        why: String,
    },
    /// Somebody else has it.
    #[error("{lease} was taken from this process: {}", by.as_deref().map_or_else(
        || "somebody took its name off".to_owned(), |by| format!("{by} holds it")))]
    Taken {
        /// The lease.
        lease: String,
        /// Who, if anybody.
        by: Option<String>,
    },
}

enum Renewed {
    Yes,
    Taken(Option<String>),
}

/// One that wants a lease, or has it.
pub struct Elector {
    api: Api<Lease>,
    settings: Settings,
    clock: Clock,
    leadership: Leadership,
    sight: Sight,
    /// The lease as we wrote it last.
    written: Option<Lease>,
}

impl fmt::Debug for Elector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Elector {
    /// One that asks by `client`, which must not ask `leadership` in turn.
    #[must_use]
    pub fn new(client: Client, settings: Settings, clock: Clock, leadership: Leadership) -> Self {
        Self {
            api: Api::namespaced(client, &settings.namespace),
            settings,
            clock,
            leadership,
            sight: Sight::default(),
            written: None,
        }
    }

    /// The lease as kubectl takes it: `leases.coordination.k8s.io/a in namespace b`.
    #[must_use]
    pub fn lease(&self) -> String {
        describe(&self.api, &self.settings.name)
    }

    /// Waits until the lease is ours. `tell` is told at every look how things stand.
    pub async fn acquire(&mut self, mut tell: impl FnMut(Standing)) {
        let terms = self.settings.terms;
        // Until when a lease that we made where there was none gives nothing yet.
        let mut quiet = None;
        loop {
            let mut pause = terms.look();
            match self.look().await {
                Err(error) => tell(Standing::Unknown(error.to_string())),
                Ok(lease) => {
                    let now = self.clock.now();
                    self.sight.look(lease.as_ref().map(Seen::of), now);
                    match self.sight.verdict(&self.settings.identity, terms) {
                        Some(Verdict::Taken { by, until }) if now < until => {
                            quiet = None;
                            tell(by.map_or(Standing::Vacant, |by| Standing::Held { by }));
                            pause = pause.min(until.saturating_sub(now));
                        }
                        Some(Verdict::Taken { .. } | Verdict::Free | Verdict::Ours) => {
                            match self.write(lease.as_ref()).await {
                                Ok(sent) => {
                                    // One absence is like another: somebody may have held a lease between two looks of
                                    // ours that was deleted as well, and go on until the next renewal finds our name.
                                    if lease.is_none() {
                                        quiet = Some(sent + terms.writes());
                                    }
                                    if quiet.is_none_or(|until| until <= sent) {
                                        self.leadership.extend(sent + terms.writes());
                                    }
                                    // Where the answer came when the time was over, it is looked at again.
                                    if self.leadership.may_write() {
                                        return;
                                    }
                                }
                                Err(error) if error.is_conflict() => {}
                                Err(error) => tell(Standing::Unknown(error.to_string())),
                            }
                        }
                        None => {}
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Renews until `stop` resolves, and then gives the lease up.
    ///
    /// # Errors
    /// When the lease is ours no longer; nothing may be written from then on.
    pub async fn keep(&mut self, stop: impl Future<Output = ()>) -> Result<(), Lost> {
        let kept = tokio::select! {
            () = stop => Ok(()),
            lost = self.renew_for_ever() => Err(lost),
        };
        // Before the lease is given up: whoever takes it then writes at once.
        self.leadership.end();
        if kept.is_ok() {
            self.give_up().await;
        }
        kept
    }

    async fn renew_for_ever(&mut self) -> Lost {
        let terms = self.settings.terms;
        let mut pause = terms.renewal();
        let mut why = "this process was stopped, or the machine was".to_owned();
        loop {
            let left = self.leadership.until().saturating_sub(self.clock.now());
            tokio::time::sleep(pause.min(left)).await;
            let left = self.leadership.until().saturating_sub(self.clock.now());
            if left.is_zero() {
                return Lost::Expired {
                    lease: self.lease(),
                    after: terms.writes(),
                    why,
                };
            }
            pause = match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(Renewed::Yes)) => terms.renewal(),
                Ok(Ok(Renewed::Taken(by))) => {
                    return Lost::Taken {
                        lease: self.lease(),
                        by,
                    };
                }
                Ok(Err(error)) => {
                    warn!(%error, left_ms = millis(left), "the lease was not renewed; it is tried again");
                    why = error.to_string();
                    terms.look()
                }
                Err(_) => {
                    "the API server did not answer".clone_into(&mut why);
                    Duration::ZERO
                }
            };
        }
    }

    /// Renews once.
    async fn renew(&mut self) -> Result<Renewed, KubernetesError> {
        let mut tries = TRIES;
        loop {
            let written = self.written.clone();
            tries -= 1;
            let error = match self.write(written.as_ref()).await {
                Ok(sent) => return Ok(self.renewed(sent)),
                Err(error) if error.is_conflict() || error.is_not_found() => error,
                Err(error) => return Err(error),
            };
            // Somebody changed it, made it anew or deleted it; or a try of ours went through that we have given up.
            let Some(lease) = self.look().await? else {
                warn!(
                    lease = self.lease(),
                    "the lease was deleted: it is made anew, since it was ours"
                );
                return self.write(None).await.map(|sent| self.renewed(sent));
            };
            match Seen::of(&lease).holder {
                Some(holder) if holder == self.settings.identity => self.written = Some(lease),
                other => return Ok(Renewed::Taken(other)),
            }
            if tries == 0 {
                return Err(error);
            }
        }
    }

    fn renewed(&self, sent: Moment) -> Renewed {
        self.leadership.extend(sent + self.settings.terms.writes());
        Renewed::Yes
    }

    async fn look(&self) -> Result<Option<Lease>, KubernetesError> {
        let deadline = self.settings.terms.answer();
        call_within(deadline, "get", &self.lease(), self.api.get_opt(&self.settings.name)).await
    }

    /// Writes our name and the time into what was read, `None` where there was nothing. Gives when the call was begun,
    /// which is what counts for our time: nobody has seen the change before.
    async fn write(&mut self, lease: Option<&Lease>) -> Result<Moment, KubernetesError> {
        let Settings {
            name, identity, terms, ..
        } = &self.settings;
        let sent = self.clock.now();
        let wanted = claimed(name, lease, identity, *terms, Timestamp::now());
        let written = self.put(&wanted, lease.is_none()).await?;
        self.written = Some(written);
        Ok(sent)
    }

    async fn put(&self, lease: &Lease, anew: bool) -> Result<Lease, KubernetesError> {
        let deadline = self.settings.terms.answer();
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        if anew {
            let made = self.api.create(&params, lease);
            call_within(deadline, "create", &self.lease(), made).await
        } else {
            let replaced = self.api.replace(&self.settings.name, &params, lease);
            call_within(deadline, "update", &self.lease(), replaced).await
        }
    }

    async fn give_up(&mut self) {
        for _ in 0..TRIES {
            let Some(lease) = self.written.take() else { return };
            let wanted = released(&lease, Timestamp::now());
            let outcome = match self.put(&wanted, false).await {
                Ok(_) => return,
                // A renewal that was begun before may have gone through meanwhile.
                Err(error) if error.is_conflict() => self.look().await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(lease) => {
                    let ours = |lease: &Lease| Seen::of(lease).holder.as_ref() == Some(&self.settings.identity);
                    self.written = lease.filter(ours);
                }
                Err(error) => {
                    warn!(%error, "the lease was not given up: the next holder waits until it has expired");
                    return;
                }
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
