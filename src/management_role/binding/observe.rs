//! 2. observe: the service accounts, and what runs as them. Reads only.
//!
//! The values are plain, and made from what the API server gives by pure functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        core::v1::{Pod as KubernetesPod, PodTemplateSpec, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::{Api, Client, core::Selector};
use serde::Serialize;

use crate::{
    api::IdentityType,
    kubernetes::{
        KubernetesError, fields, objects,
        pods::{self, Given, PodBinding},
    },
};

pub use crate::kubernetes::pods::ROLE_ANNOTATION;

use super::request::Request;

/// Annotation of a pod template that we restarted: the role that its pods were to start with. It keeps a restart from
/// being done twice, and tells the pods that started after it from those before.
pub const RESTARTED_FOR: &str = "mooring.dev/restarted-for";

/// The update strategy by which a controller replaces no pod by itself.
const ON_DELETE: &str = "OnDelete";

/// A service account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What a write to it names.
    pub target: Target,
    /// The role that it names.
    pub value: Option<String>,
    /// Whether we wrote that.
    pub ours: bool,
    /// The other field managers that wrote it.
    pub others: BTreeSet<String>,
    /// When it was written, in whole seconds.
    pub since: Option<Timestamp>,
    /// The field manager besides us that wrote to the service account last.
    pub last_writer: Option<String>,
}

/// An object as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its resource version: a write is refused when the object has changed since.
    #[serde(skip)]
    pub version: String,
}

impl Target {
    fn of(meta: &ObjectMeta) -> Self {
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
        }
    }
}

impl Account {
    /// Reads a service account; `manager` is our own field manager.
    #[must_use]
    pub fn of(meta: &ObjectMeta, manager: &str) -> Self {
        let mine = |writer: &fields::Writer| writer.applies && writer.manager == manager;
        let owners = fields::owners(meta, &["metadata", "annotations", ROLE_ANNOTATION]);
        let others = || fields::writers(meta).into_iter().filter(|writer| !mine(writer));
        Self {
            target: Target::of(meta),
            value: annotation(meta, ROLE_ANNOTATION),
            ours: owners.iter().any(mine),
            others: owners
                .iter()
                .filter(|writer| !mine(writer))
                .map(|writer| writer.manager.clone())
                .collect(),
            since: owners.iter().filter_map(|writer| writer.at).max(),
            last_writer: others().max_by_key(|writer| writer.at).map(|writer| writer.manager),
        }
    }
}

/// A pod that runs, or is about to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The service account that it runs as.
    pub account: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its containers were given.
    pub given: Given,
    /// The role for which we had its workload restarted, when it started after that.
    pub restarted_for: Option<String>,
}

impl Pod {
    /// Reads a pod; `None` when it has ended or is ending.
    #[must_use]
    pub fn of(pod: &KubernetesPod) -> Option<Self> {
        let spec = pod.spec.as_ref().filter(|_| pods::runs(pod))?;
        Some(Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            account: account_of(spec.service_account_name.as_ref(), spec.service_account.as_ref()),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            given: Given::of(pod),
            restarted_for: annotation(&pod.metadata, RESTARTED_FOR),
        })
    }
}

/// The kinds of workloads that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    /// A Deployment.
    Deployment,
    /// A `StatefulSet`.
    StatefulSet,
    /// A `DaemonSet`.
    DaemonSet,
}

impl fmt::Display for Kind {
    /// As kubectl takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
        })
    }
}

/// Something that makes pods.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its kind.
    pub kind: Kind,
    /// What a write to it names.
    pub target: Target,
    /// The service account that its pods run as.
    pub account: String,
    /// Which pods are its own.
    pub selector: Selector,
    /// The role for which we restarted it.
    pub restarted_for: Option<String>,
    /// Whether it is paused, so that a restart would wait for somebody.
    pub paused: bool,
    /// Whether its pods are being replaced already, for whatever reason.
    pub rolling: bool,
}

impl Workload {
    fn of(kind: Kind, meta: &ObjectMeta, selector: LabelSelector, template: &PodTemplateSpec) -> Option<Self> {
        let spec = template.spec.as_ref()?;
        Some(Self {
            kind,
            target: Target::of(meta),
            account: account_of(spec.service_account_name.as_ref(), spec.service_account.as_ref()),
            // The API server lets no other selector in.
            selector: selector.try_into().ok()?,
            restarted_for: template
                .metadata
                .as_ref()
                .and_then(|meta| annotation(meta, RESTARTED_FOR)),
            paused: false,
            rolling: false,
        })
    }

    /// Reads a Deployment.
    #[must_use]
    pub fn of_deployment(object: Deployment) -> Option<Self> {
        let (spec, status) = (object.spec?, object.status.unwrap_or_default());
        let all = status.replicas.unwrap_or_default();
        let known = Self::of(Kind::Deployment, &object.metadata, spec.selector, &spec.template)?;
        Some(Self {
            paused: spec.paused.unwrap_or_default(),
            rolling: unseen(&object.metadata, status.observed_generation)
                || status.updated_replicas.unwrap_or_default() < all,
            ..known
        })
    }

    /// Reads a `StatefulSet`. One whose pods somebody deletes by hand is never on its way by itself.
    #[must_use]
    pub fn of_stateful_set(object: StatefulSet) -> Option<Self> {
        let (spec, status) = (object.spec?, object.status.unwrap_or_default());
        let by_hand = spec
            .update_strategy
            .and_then(|strategy| strategy.type_)
            .is_some_and(|kind| kind == ON_DELETE);
        let moving = status.update_revision != status.current_revision;
        let known = Self::of(Kind::StatefulSet, &object.metadata, spec.selector, &spec.template)?;
        Some(Self {
            rolling: !by_hand && (unseen(&object.metadata, status.observed_generation) || moving),
            ..known
        })
    }

    /// Reads a `DaemonSet`, as a `StatefulSet`.
    #[must_use]
    pub fn of_daemon_set(object: DaemonSet) -> Option<Self> {
        let (spec, status) = (object.spec?, object.status.unwrap_or_default());
        let by_hand = spec
            .update_strategy
            .and_then(|strategy| strategy.type_)
            .is_some_and(|kind| kind == ON_DELETE);
        let moving = status.updated_number_scheduled.unwrap_or_default() < status.current_number_scheduled;
        let known = Self::of(Kind::DaemonSet, &object.metadata, spec.selector, &spec.template)?;
        Some(Self {
            rolling: !by_hand && (unseen(&object.metadata, status.observed_generation) || moving),
            ..known
        })
    }

    /// The workload as kubectl takes it: `deployment/argocd-server`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.kind, self.target.name)
    }
}

/// What runs in the namespace.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// The pods.
    pub pods: Vec<Pod>,
    /// What makes pods.
    pub workloads: Vec<Workload>,
}

/// What there is in Argo CD's namespace.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The service accounts, by name.
    pub accounts: BTreeMap<String, Account>,
    /// What runs; the reason when that cannot be looked at.
    pub running: Result<Running, String>,
}

impl Observed {
    /// Whether it matters what runs: where a service account that is asked for names the role, and where its pods may come
    /// to the role without that.
    fn matters(accounts: &BTreeMap<String, Account>, request: &Request) -> bool {
        let names = |name: &String| accounts.get(name).is_some_and(|account| account.value == request.role);
        let any_bound = request.accounts.iter().any(names);
        request.role.is_some() && (any_bound || request.identity == IdentityType::Existing)
    }

    /// The service accounts of which pods get their credentials by EKS Pod Identity and not by the role's name.
    #[must_use]
    pub fn associated(&self, role: &str) -> BTreeSet<&str> {
        let pods = self.running.iter().flat_map(|running| &running.pods);
        pods.filter(|pod| pod.given.binding(role) == PodBinding::PodIdentity)
            .map(|pod| pod.account.as_str())
            .collect()
    }
}

/// Whether the controller of a workload has still to look at what was changed last. One that has never looked says
/// nothing.
fn unseen(meta: &ObjectMeta, observed: Option<i64>) -> bool {
    observed.is_some() && observed < meta.generation
}

fn annotation(meta: &ObjectMeta, key: &str) -> Option<String> {
    meta.annotations.as_ref().and_then(|all| all.get(key)).cloned()
}

/// The service account of a pod: by its own field, by the older one, or the namespace's default.
fn account_of(name: Option<&String>, older: Option<&String>) -> String {
    let given = [name, older]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .cloned();
    given.unwrap_or_else(|| "default".to_owned())
}

/// Reads the service accounts and, where it matters, what runs.
///
/// # Errors
/// When the service accounts cannot be read.
pub async fn observe(client: &Client, request: &Request) -> Result<Observed, KubernetesError> {
    let accounts = accounts(client, &request.namespace, &request.manager()).await?;
    let running = if Observed::matters(&accounts, request) {
        running(client, &request.namespace)
            .await
            .map_err(|error| error.to_string())
    } else {
        Ok(Running::default())
    };
    Ok(Observed { accounts, running })
}

/// Reads the service accounts of a namespace.
///
/// # Errors
/// When they cannot be read.
pub async fn accounts(
    client: &Client,
    namespace: &str,
    manager: &str,
) -> Result<BTreeMap<String, Account>, KubernetesError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let all = objects::list(&api).await?;
    let named = |object: ServiceAccount| {
        let account = Account::of(&object.metadata, manager);
        (account.target.name.clone(), account)
    };
    Ok(all.into_iter().map(named).collect())
}

async fn running(client: &Client, namespace: &str) -> Result<Running, KubernetesError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let stateful_sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    let pods: Api<KubernetesPod> = Api::namespaced(client.clone(), namespace);
    let (deployments, stateful_sets, daemon_sets, pods) = futures::try_join!(
        objects::list(&deployments),
        objects::list(&stateful_sets),
        objects::list(&daemon_sets),
        objects::list(&pods)
    )?;
    let workloads = deployments.into_iter().filter_map(Workload::of_deployment);
    let workloads = workloads.chain(stateful_sets.into_iter().filter_map(Workload::of_stateful_set));
    Ok(Running {
        pods: pods.iter().filter_map(Pod::of).collect(),
        workloads: workloads
            .chain(daemon_sets.into_iter().filter_map(Workload::of_daemon_set))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    const ROLE: &str = "arn:aws:iam::111111111111:role/argocd";

    fn request(identity: &Value) -> Request {
        let holds = |kind: &str| json!({"type": kind, "status": "True", "reason": "AsSpecified", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default", "uid": "m"},
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "identity": identity, "allow": [{"accounts": ["*"]}]},
            "status": {"conditions": [holds("HubReady"), holds("RoleReady")], "role": {"arn": ROLE, "id": "A"}},
        });
        Request::of(&from_value(object).unwrap())
    }

    /// The pods of an existing role may come to it by EKS Pod Identity, so they are listed before anything is annotated. Where
    /// Mooring makes the role they come by the annotation alone, and what runs is no concern of its before that.
    #[test]
    fn what_runs_is_looked_at_where_pods_may_have_the_role() {
        let (made, existing) = (
            request(&json!({})),
            request(&json!({"type": "Existing", "roleArn": ROLE})),
        );
        let none = BTreeMap::new();
        let naming = |name: &str, value: Option<&str>| {
            let account = Account {
                target: Target::default(),
                value: value.map(str::to_owned),
                ours: false,
                others: BTreeSet::new(),
                since: None,
                last_writer: None,
            };
            BTreeMap::from([(name.to_owned(), account)])
        };
        let server = "argocd-server";
        for (request, accounts, expected, case) in [
            (&existing, &none, true, "nothing is annotated yet"),
            (&existing, &naming(server, None), true, "none names it"),
            (&made, &none, false, "nothing can have it"),
            (&made, &naming(server, None), false, "none names it"),
            (&made, &naming(server, Some("arn:other")), false, "another role"),
            (
                &made,
                &naming("argocd-repo-server", Some(ROLE)),
                false,
                "nobody asked for that one",
            ),
            (&made, &naming(server, Some(ROLE)), true, "bound"),
        ] {
            assert_eq!(Observed::matters(accounts, request), expected, "{case}");
            let unknown = Request {
                role: None,
                ..request.clone()
            };
            assert!(!Observed::matters(accounts, &unknown), "{case}: no role stands");
        }
    }
}
