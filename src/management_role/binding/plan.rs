//! 3. and 4. desired and plan: which service accounts are to name the role, and which workloads to restart.
//!
//! Pure and infallible.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use kube::core::SelectorExt;

use crate::{api::IdentityType, kubernetes::pods::PodBinding};

use super::{
    observe::{Account, Observed, Pod, Running, Target, Workload},
    request::Request,
    step::{Obstacle, Plan, Step},
};

/// How often the annotation is written to one service account within [`WINDOW`]: once, and three times more after it was
/// taken off. Then it is a fight, and we stop.
pub const TRIES: usize = 4;

/// The time in which writes of the annotation count. Argo CD looks at what it manages every few minutes.
pub const WINDOW: Duration = Duration::from_hours(1);

/// How long after an annotation was written a restart waits. The webhook knows service accounts from a watch of its own,
/// and does nothing for a pod whose service account it does not know as annotated.
pub const SETTLE: Duration = Duration::from_secs(5);

/// How long until a workload is looked at again whose pods are being replaced by somebody else.
const ROLLING: Duration = Duration::from_secs(10);

/// What earlier passes left to know.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    /// How often the annotation was written within [`WINDOW`], by UID of the service account.
    pub written: &'a BTreeMap<String, usize>,
    /// The workloads that were restarted, by UID, each with the role that it was restarted for.
    pub restarted: &'a BTreeMap<String, String>,
    /// The time.
    pub now: Timestamp,
}

/// Plans one pass. Without a role that stands there is nothing to bind to; only what we wrote is let go.
#[must_use]
pub fn plan(request: &Request, observed: &Observed, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan::default();
    let wanted = |name: &String| request.bind && request.accounts.contains(name);
    for (name, account) in &observed.accounts {
        if account.ours && !wanted(name) {
            plan.steps.push(Step::Release {
                account: account.target.clone(),
            });
        }
    }
    let Some(role) = &request.role else { return plan };
    let associated = observed.associated(role);
    let (mut missing, mut unbound, mut untrusted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut bound: BTreeMap<&str, &Account> = BTreeMap::new();
    for name in &request.accounts {
        let Some(account) = observed.accounts.get(name) else {
            missing.insert(name.clone());
            continue;
        };
        match stand(request, account, role, associated.contains(name.as_str())) {
            Stand::Bound | Stand::Associated => {
                bound.insert(name, account);
            }
            Stand::Untrusted => {
                untrusted.insert(name.clone());
            }
            Stand::Unbound => {
                unbound.insert(name.clone());
            }
            Stand::Elsewhere(value) => {
                plan.obstacles.insert(Obstacle::Elsewhere {
                    account: name.clone(),
                    value,
                    managers: account.others.clone(),
                });
            }
            Stand::Free
                if memory
                    .written
                    .get(&account.target.uid)
                    .is_some_and(|times| *times >= TRIES) =>
            {
                plan.obstacles.insert(Obstacle::Fought {
                    account: name.clone(),
                    last_writer: account.last_writer.clone(),
                });
            }
            Stand::Free => plan.steps.push(Step::Bind {
                account: account.target.clone(),
                role: role.clone(),
            }),
        }
    }
    if !missing.is_empty() {
        plan.obstacles.insert(Obstacle::Missing { accounts: missing });
    }
    if !unbound.is_empty() {
        plan.obstacles.insert(Obstacle::Unbound { accounts: unbound });
    }
    match &observed.running {
        Ok(running) => {
            if !untrusted.is_empty() {
                plan.obstacles.insert(Obstacle::Untrusted { accounts: untrusted });
            }
            plan_restarts(&mut plan, request, role, (&bound, &associated), running, memory);
        }
        // Whether EKS Pod Identity gives what the trust policy does not is among what cannot be looked at.
        Err(why) => {
            plan.obstacles.insert(Obstacle::Unseen { why: why.clone() });
        }
    }
    let by_pod_identity: BTreeSet<String> = associated
        .into_iter()
        .filter(|name| request.accounts.contains(*name))
        .map(str::to_owned)
        .collect();
    if !by_pod_identity.is_empty() {
        plan.obstacles.insert(Obstacle::ByPodIdentity {
            accounts: by_pod_identity,
        });
    }
    plan
}

/// What a removal lets go of: every service account that bears the annotation that we wrote.
pub fn let_go(accounts: &BTreeMap<String, Account>) -> impl Iterator<Item = &Target> {
    let ours = accounts.values().filter(|account| account.ours);
    ours.map(|account| &account.target)
}

/// How a service account stands to the role.
enum Stand {
    /// It names the role.
    Bound,
    /// EKS Pod Identity gives its pods their credentials, and may give them the role, whatever it names.
    Associated,
    /// The role does not let its web identity in, so that naming the role would give its pods nothing.
    Untrusted,
    /// It names none, or one that we alone wrote, and is ours to bind.
    Free,
    /// It does not name the role, and we are not to bind it.
    Unbound,
    /// Somebody else made it name this.
    Elsewhere(String),
}

fn stand(request: &Request, account: &Account, role: &str, associated: bool) -> Stand {
    // What we alone wrote goes when it is let go.
    let ours_alone = account.ours && account.others.is_empty();
    match &account.value {
        // A role that Mooring makes is given by a web identity alone.
        _ if associated && request.identity == IdentityType::Existing => Stand::Associated,
        _ if request.untrusted.contains(&account.target.name) => Stand::Untrusted,
        _ if ours_alone && !request.bind => Stand::Unbound,
        Some(value) if value == role => Stand::Bound,
        Some(value) if !ours_alone => Stand::Elsewhere(value.clone()),
        Some(_) | None if request.bind => Stand::Free,
        Some(_) | None => Stand::Unbound,
    }
}

/// Whether the annotation was written so recently that the webhook may not know it. A clock that is apart from the API
/// server's by more than that holds up nothing.
fn settling(account: &Account, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(account.since?)).ok()?;
    SETTLE.checked_sub(age).filter(|left| !left.is_zero())
}

fn plan_restarts(
    plan: &mut Plan,
    request: &Request,
    role: &str,
    (bound, associated): (&BTreeMap<&str, &Account>, &BTreeSet<&str>),
    running: &Running,
    memory: &Memory<'_>,
) {
    let has_role = |pod: &Pod| match pod.given.binding(role) {
        PodBinding::Role => !request.untrusted.contains(&pod.account),
        PodBinding::PodIdentity => true,
        PodBinding::Others(_) | PodBinding::Nothing => false,
    };
    let without: Vec<&Pod> = running
        .pods
        .iter()
        .filter(|pod| bound.contains_key(pod.account.as_str()) && !has_role(pod))
        .collect();
    let by_association = |pod: &Pod| associated.contains(pod.account.as_str());
    let restarted = |pod: &&Pod| pod.restarted_for.as_deref() == Some(role) && !by_association(pod);
    let not_injected: BTreeSet<String> = without
        .iter()
        .copied()
        .filter(restarted)
        .map(|pod| pod.name.clone())
        .collect();
    let mut loose: BTreeMap<&str, &Pod> = without
        .into_iter()
        .filter(|pod| !restarted(pod))
        .map(|pod| (pod.name.as_str(), pod))
        .collect();
    let (mut needed, mut restarting, mut undone) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for workload in &running.workloads {
        let own = |pod: &Pod| pod.account == workload.account && workload.selector.matches(&pod.labels);
        let before = loose.len();
        loose.retain(|_, pod| !own(pod));
        if loose.len() == before {
            continue;
        }
        let left = bound
            .get(workload.account.as_str())
            .and_then(|account| settling(account, memory.now));
        let remembered = memory.restarted.get(&workload.target.uid).map(String::as_str) == Some(role);
        let decided = if associated.contains(workload.account.as_str()) {
            // What gives its pods their credentials is not ours, and neither is when they get them.
            Restart::ByHand
        } else {
            decide(request, workload, role, remembered, left)
        };
        match decided {
            Restart::Done => {
                restarting.insert(workload.name());
            }
            Restart::Wait(left) => {
                restarting.insert(workload.name());
                plan.settling = Some(plan.settling.map_or(left, |other| other.min(left)));
            }
            Restart::Now => plan.steps.push(Step::Restart {
                kind: workload.kind,
                workload: workload.target.clone(),
                role: role.to_owned(),
            }),
            Restart::ByHand => {
                needed.insert(workload.name());
            }
            Restart::Undone => {
                undone.insert(workload.name());
            }
        }
    }
    if !undone.is_empty() {
        plan.obstacles.insert(Obstacle::RestartUndone { workloads: undone });
    }
    let loose: BTreeSet<String> = loose.into_keys().map(str::to_owned).collect();
    if !needed.is_empty() || !loose.is_empty() {
        plan.obstacles.insert(Obstacle::RestartNeeded {
            workloads: needed,
            pods: loose,
        });
    }
    if !not_injected.is_empty() {
        plan.obstacles.insert(Obstacle::NotInjected { pods: not_injected });
    }
    if !restarting.is_empty() {
        plan.obstacles.insert(Obstacle::Restarting { workloads: restarting });
    }
}

/// What becomes of a workload whose pods started without the role.
enum Restart {
    /// It was restarted for this role already, and never is again: the old pods are on their way out.
    Done,
    /// The annotation is too new, or the pods are being replaced just now.
    Wait(Duration),
    /// It is restarted.
    Now,
    /// A person restarts it.
    ByHand,
    /// It was restarted for this role, and somebody has taken that back: another restart would go the same way.
    Undone,
}

fn decide(request: &Request, workload: &Workload, role: &str, remembered: bool, settling: Option<Duration>) -> Restart {
    if workload.restarted_for.as_deref() == Some(role) {
        Restart::Done
    } else if request.restart && remembered {
        Restart::Undone
    } else if !request.restart || workload.paused {
        Restart::ByHand
    } else if workload.rolling {
        // An upgrade that annotates the service account replaces the pods in the same breath.
        Restart::Wait(ROLLING)
    } else {
        settling.map_or(Restart::Now, Restart::Wait)
    }
}
