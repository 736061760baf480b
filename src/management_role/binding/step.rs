//! A plan for the service accounts of an Argo CD, as data.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;

use crate::api::{IdentityType, RECONCILE_REQUESTED_AT};

use super::{
    observe::{Kind, RESTARTED_FOR, ROLE_ANNOTATION, Target},
    request::Request,
};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step")]
pub enum Step {
    /// Make a service account name the role.
    Bind {
        /// The service account.
        account: Target,
        /// The role's ARN.
        role: String,
    },
    /// Let go of the annotation that we wrote.
    Release {
        /// The service account.
        account: Target,
    },
    /// Have the pods of a workload made anew.
    Restart {
        /// Its kind.
        kind: Kind,
        /// The workload.
        workload: Target,
        /// The role that its pods are to start with.
        role: String,
    },
}

impl Step {
    /// The step's name, for metrics and events.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "BindServiceAccount",
            Self::Release { .. } => "ReleaseServiceAccount",
            Self::Restart { .. } => "RestartWorkload",
        }
    }

    /// The step in words, for events and messages.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Bind { account, .. } => format!("bind service account {} to the role", account.name),
            Self::Release { account } => format!("let service account {} go", account.name),
            Self::Restart { kind, workload, .. } => {
                format!("restart {kind}/{}, whose pods started without the role", workload.name)
            }
        }
    }
}

/// What keeps Argo CD's pods from the role. In order: of several, the first gives the condition its reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "obstacle")]
pub enum Obstacle {
    /// There are no such service accounts.
    Missing {
        /// Their names.
        accounts: BTreeSet<String>,
    },
    /// The trust policy of an existing role does not let the web identities of these service accounts in, and no pod of
    /// them shows EKS Pod Identity.
    Untrusted {
        /// Their names.
        accounts: BTreeSet<String>,
    },
    /// Somebody else made a service account name another role.
    Elsewhere {
        /// Its name.
        account: String,
        /// What it names.
        value: String,
        /// The field managers that set it.
        managers: BTreeSet<String>,
    },
    /// Another field manager holds what the annotation would be written to, and the API server refuses it.
    Held {
        /// The service account.
        account: String,
        /// Who holds what, in the API server's words.
        by: String,
    },
    /// Our annotation is taken off again and again.
    Fought {
        /// The service account.
        account: String,
        /// The field manager that wrote to it last, besides us.
        last_writer: Option<String>,
    },
    /// We do not bind, and these service accounts name no role.
    Unbound {
        /// Their names.
        accounts: BTreeSet<String>,
    },
    /// Pods started before their service account named the role.
    RestartNeeded {
        /// Their workloads, as kubectl takes them.
        workloads: BTreeSet<String>,
        /// Those that no workload that is known has made.
        pods: BTreeSet<String>,
    },
    /// Workloads were restarted, somebody took the annotations of that off their pod templates, and their pods are
    /// without the role again.
    RestartUndone {
        /// The workloads, as kubectl takes them.
        workloads: BTreeSet<String>,
    },
    /// Pods started after it, and were given no role all the same.
    NotInjected {
        /// Their names.
        pods: BTreeSet<String>,
    },
    /// Workloads were restarted, or are about to be, and their old pods still run.
    Restarting {
        /// The workloads, as kubectl takes them.
        workloads: BTreeSet<String>,
    },
    /// What runs cannot be looked at.
    Unseen {
        /// Why.
        why: String,
    },
    /// EKS Pod Identity gives pods their credentials: which role's is known to EKS alone.
    ByPodIdentity {
        /// The service accounts.
        accounts: BTreeSet<String>,
    },
}

fn some(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(10).map(String::as_str).collect();
    match names.len() {
        0..=10 => shown.join(", "),
        many => format!("{} and {} more", shown.join(", "), many - 10),
    }
}

fn all(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

impl Obstacle {
    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "ServiceAccountMissing",
            Self::Untrusted { .. } => "WebIdentityNotTrusted",
            Self::Elsewhere { .. } => "BoundElsewhere",
            Self::Held { .. } => "HeldByOthers",
            Self::Fought { .. } => "Fought",
            Self::Unbound { .. } => "NotManaged",
            Self::RestartNeeded { .. } => "RestartNeeded",
            Self::RestartUndone { .. } => "RestartUndone",
            Self::NotInjected { .. } => "NotInjected",
            Self::Restarting { .. } => "Restarting",
            Self::Unseen { .. } => "NotLookedAt",
            Self::ByPodIdentity { .. } => "PodIdentity",
        }
    }

    /// What it is and what to do about it. The names are complete where they stand in a command.
    #[must_use]
    pub fn message(&self, request: &Request) -> String {
        let Request { object, namespace, .. } = request;
        let role = request.role.as_deref().unwrap_or_default();
        match self {
            Self::Missing { accounts } => {
                let what = match accounts.len() {
                    1 => "no service account",
                    _ => "none of the service accounts",
                };
                format!(
                    "namespace {namespace} has {what} {}: correct spec.serviceAccounts, or install that part of Argo CD. Mooring makes no service account",
                    some(accounts)
                )
            }
            Self::Untrusted { accounts } => untrusted(request, accounts),
            Self::ByPodIdentity { accounts } => by_pod_identity(request, accounts),
            Self::Elsewhere {
                account,
                value,
                managers,
            } => {
                let who = if managers.is_empty() {
                    "somebody before managed fields were recorded".to_owned()
                } else {
                    format!("field manager {}", some(managers))
                };
                format!(
                    "service account {account} names {value:?}, set by {who}, and Mooring does not overwrite it: there, set {ROLE_ANNOTATION} to {role}, or take it out"
                )
            }
            Self::Held { account, by } => format!(
                "the API server refuses the annotation {ROLE_ANNOTATION} on service account {account}, since another field manager holds what it would be written to, and Mooring does not overwrite it: {by}. Where that service account comes from, take out `annotations: {{}}`, or set the annotation to {role} there"
            ),
            Self::Fought { account, last_writer } => {
                let who = last_writer.as_ref().map_or_else(
                    || "its managed fields do not say by whom".to_owned(),
                    |writer| format!("the last to write to it was field manager {writer}"),
                );
                format!(
                    "the annotation {ROLE_ANNOTATION} is taken off service account {account} again and again ({who}), so Mooring writes it no more. Set it to {role} where that service account comes from, or keep that from taking it off; then let Mooring look again: `kubectl annotate mgr {object} --overwrite {RECONCILE_REQUESTED_AT}=\"$(date)\"`"
                )
            }
            Self::Unbound { accounts } => format!(
                "bindServiceAccounts is false, and these service accounts do not name the role yet. Set the annotation where they come from, or: `kubectl annotate serviceaccount -n {namespace} {} {ROLE_ANNOTATION}={role}`",
                all(accounts)
            ),
            Self::RestartNeeded { workloads, pods } => {
                let mut told = Vec::new();
                if !workloads.is_empty() {
                    told.push(format!("pods get the role only when they start, and these started before: `kubectl rollout restart -n {namespace} {}`", all(workloads)));
                }
                if !pods.is_empty() {
                    told.push(format!("these pods started before they could get the role, and no Deployment, StatefulSet or DaemonSet makes them anew: {}", some(pods)));
                }
                told.join("; ")
            }
            Self::RestartUndone { workloads } => format!(
                "these were restarted once for the role; since then somebody has taken {RESTARTED_FOR} off their pod templates, and their pods run without the role: {}. Mooring restarts them no more: `kubectl get -n {namespace} {} --show-managed-fields -o yaml` says who writes them. See that EKS's pod identity webhook runs on the hub, and that whatever owns the templates leaves that annotation; then `kubectl rollout restart -n {namespace} {}`, or let Mooring try once more: `kubectl annotate mgr {object} --overwrite {RECONCILE_REQUESTED_AT}=\"$(date)\"`",
                some(workloads),
                all(workloads),
                all(workloads)
            ),
            Self::NotInjected { pods } => format!(
                "these pods started after their service account named the role, and have no {role} in AWS_ROLE_ARN: {}. EKS's pod identity webhook has not acted on them: see that the hub is an EKS cluster whose webhook runs, and that the pod template sets no AWS_ROLE_ARN of its own; then restart them",
                some(pods)
            ),
            Self::Restarting { workloads } => format!(
                "restarted once for the role, or about to be, and waiting for the old pods to be replaced: {}. If it lasts: `kubectl rollout status -n {namespace} WORKLOAD`",
                some(workloads)
            ),
            Self::Unseen { why } => format!(
                "whether Argo CD's pods run with the role is not known: {why}. The Role in deploy/install/10-rbac.yaml lets the operator look"
            ),
        }
    }

    /// How long until it is looked at again; nothing when a change of a service account is what ends it.
    #[must_use]
    pub fn look_again(&self) -> Option<Duration> {
        match self {
            Self::Missing { .. }
            | Self::Elsewhere { .. }
            | Self::Fought { .. }
            | Self::Unbound { .. }
            | Self::ByPodIdentity { .. } => None,
            // Who holds what is no part of what is watched.
            Self::Held { .. } => Some(Duration::from_secs(30)),
            Self::RestartNeeded { .. }
            | Self::RestartUndone { .. }
            | Self::NotInjected { .. }
            | Self::Untrusted { .. }
            | Self::Unseen { .. } => Some(Duration::from_mins(1)),
            Self::Restarting { .. } => Some(Duration::from_secs(10)),
        }
    }
}

fn untrusted(request: &Request, accounts: &BTreeSet<String>) -> String {
    let Request {
        hub, namespace, role, ..
    } = request;
    let (role, names) = (role.as_deref().unwrap_or_default(), some(accounts));
    format!(
        "the trust policy of {role} lets no web identity of these service accounts in, so Mooring annotates none of them: {names}. Either make an EKS Pod Identity association for each: `aws eks create-pod-identity-association --region {} --cluster-name {} --namespace {namespace} --role-arn {role} --service-account NAME`; or let the trust policy allow sts:AssumeRoleWithWebIdentity to the OIDC provider of the hub, for the subjects system:serviceaccount:{namespace}:NAME and the audience sts.amazonaws.com. Then restart their pods",
        hub.region, hub.name
    )
}

fn by_pod_identity(request: &Request, accounts: &BTreeSet<String>) -> String {
    let Request {
        hub,
        namespace,
        role,
        identity,
        ..
    } = request;
    let (role, names) = (role.as_deref().unwrap_or_default(), some(accounts));
    let find = format!(
        "`aws eks list-pod-identity-associations --region {} --cluster-name {} --namespace {namespace}`",
        hub.region, hub.name
    );
    match identity {
        IdentityType::Existing => format!(
            "EKS Pod Identity gives the pods of these service accounts their credentials, and goes before the annotation {ROLE_ANNOTATION}, so Mooring has nothing to bind: {names}. That their associations give {role} you see by {find} and `aws eks describe-pod-identity-association --region {} --cluster-name {} --association-id ID`",
            hub.region, hub.name
        ),
        IdentityType::Irsa => format!(
            "EKS Pod Identity gives the pods of these service accounts their credentials, and goes before the annotation {ROLE_ANNOTATION}: {names}. With identity type IRSA the trust policy that Mooring writes for {role} lets web identities in alone, so their associations give another role or none: find them by {find}, delete them (`aws eks delete-pod-identity-association --region {} --cluster-name {} --association-id ID`), and restart the pods. For EKS Pod Identity, make a ManagementRole with identity type Existing",
            hub.region, hub.name
        ),
    }
}

/// What to do, and what stands in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What stands in the way.
    pub obstacles: BTreeSet<Obstacle>,
    /// How long a restart must still wait, when one waits for the webhook to learn of a new annotation.
    pub settling: Option<Duration>,
}

impl Plan {
    /// Leaves service accounts alone of which others hold what would be written, by name, with the API server's words;
    /// they are told.
    pub fn hold(&mut self, held: &BTreeMap<String, String>) {
        self.steps.retain(|step| {
            let Step::Bind { account, .. } = step else { return true };
            let by = held.get(&account.name);
            self.obstacles.extend(by.map(|by| Obstacle::Held {
                account: account.name.clone(),
                by: by.clone(),
            }));
            by.is_none()
        });
    }

    /// How long until the next look; nothing when only a change is waited for.
    #[must_use]
    pub fn look_again(&self) -> Option<Duration> {
        let waits = self.obstacles.iter().filter_map(Obstacle::look_again);
        waits.chain(self.settling).min()
    }
}
