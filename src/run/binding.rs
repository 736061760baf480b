//! The queue of the binding: `ManagementRole`s, from a watch of its own, and the service accounts in the namespaces that
//! the operator serves, by their metadata alone. A service account that changes causes a pass here and none that calls
//! AWS.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
};

use futures::{
    Stream, StreamExt,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::warn;

use crate::{
    api::{ManagementRole, PAUSED, RECONCILE_REQUESTED_AT},
    kubernetes::{
        drive::drive,
        events::Reporter,
        reflect::{Touched, reflect},
    },
    managed_cluster::Timing,
    management_role::binding::{self, Context, observe::ROLE_ANNOTATION, request::Request},
    telemetry::Metrics,
};

type Role = DeserializeGuard<ManagementRole>;
type Account = PartialObjectMeta<ServiceAccount>;

/// The queue with its watches.
pub(super) struct Wired {
    pub(super) context: Arc<Context>,
    store: Store<Role>,
    roles: BoxStream<'static, Touched<Role>>,
    accounts: SelectAll<BoxStream<'static, Touched<Account>>>,
}

/// Makes the watches and what the passes work with.
pub(super) fn wire(
    client: &Client,
    namespaces: &[String],
    timing: Timing,
    read_only: bool,
    metrics: &Metrics,
) -> Wired {
    let (store, roles) = reflect(Api::<Role>::all(client.clone()), watcher::Config::default(), |_| {});
    let mut accounts = SelectAll::new();
    for namespace in namespaces {
        let api = Api::<Account>::namespaced(client.clone(), namespace);
        let (_, changes) = reflect(api, watcher::Config::default(), cut_down);
        accounts.push(changes.boxed());
    }
    let reporter = Reporter::new(client.clone(), super::CONTROLLER);
    let context = Context::new(
        client.clone(),
        store.clone(),
        namespaces.iter().cloned(),
        reporter,
        metrics.clone(),
        timing.resync,
        read_only,
    );
    Wired {
        context: Arc::new(context),
        store,
        roles: roles.boxed(),
        accounts,
    }
}

/// Only that annotation matters to the queue.
fn cut_down(account: &mut Account) {
    account.managed_fields_mut().clear();
    account.labels_mut().clear();
    account.annotations_mut().retain(|key, _| key == ROLE_ANNOTATION);
}

impl Wired {
    /// Works until `stopped` resolves.
    pub(super) async fn work(self, stopped: impl Future<Output = ()> + Send + 'static) {
        let Self {
            context,
            store,
            roles,
            accounts,
        } = self;
        let (due, queue) = mpsc::unbounded_channel();
        let watching = watch(Arc::clone(&context), store.clone(), roles, accounts, due);
        let driving = drive(
            store,
            UnboundedReceiverStream::new(queue),
            binding::reconcile,
            |object, error, context| binding::after_error(&object, error, &context),
            context,
            stopped,
            super::report,
        );
        tokio::select! {
            () = watching => {}
            ended = driving => {
                if let Err(error) = ended {
                    warn!(%error, "service accounts are not bound any more until the operator is started again");
                }
            }
        }
    }
}

async fn watch(
    context: Arc<Context>,
    store: Store<Role>,
    roles: impl Stream<Item = Touched<Role>> + Send,
    mut accounts: impl Stream<Item = Touched<Account>> + Send + Unpin,
    due: mpsc::UnboundedSender<ObjectRef<Role>>,
) {
    let mut triggers = Triggers::default();
    let mut roles = pin!(roles);
    loop {
        let names = tokio::select! {
            Some(touched) = roles.next() => {
                if let Touched::Deleted(object) = &touched {
                    context.forget(object.meta().uid.as_deref().unwrap_or_default());
                }
                triggers.role(&touched)
            }
            Some(touched) = accounts.next() => triggers.account(&touched, &store.state()),
            else => return,
        };
        for name in names {
            // A queue that nobody reads any more belongs to an operator that is stopping.
            let _ = due.send(ObjectRef::new(&name));
        }
    }
}

/// What of a `ManagementRole` a pass depends on.
#[derive(PartialEq, Eq)]
struct Asked {
    uid: Option<String>,
    generation: Option<i64>,
    annotations: [Option<String>; 2],
    role: Option<String>,
    untrusted: BTreeSet<String>,
}

impl Asked {
    fn of(object: &Role) -> Self {
        let annotation = |key: &str| object.meta().annotations.as_ref().and_then(|all| all.get(key)).cloned();
        let request = object.0.as_ref().ok().map(Request::of);
        Self {
            untrusted: request.iter().flat_map(|request| request.untrusted.clone()).collect(),
            uid: object.meta().uid.clone(),
            generation: object.meta().generation,
            annotations: [RECONCILE_REQUESTED_AT, PAUSED].map(annotation),
            role: request.and_then(|request| request.role),
        }
    }
}

/// A service account as far as it matters.
type Annotated = (Option<String>, Option<String>);

/// What was seen last of each object.
#[derive(Default)]
struct Triggers {
    roles: HashMap<String, Asked>,
    /// Service accounts by namespace and name, with UID and annotation.
    accounts: HashMap<(Option<String>, String), Annotated>,
}

impl Triggers {
    /// A `ManagementRole` came, changed or went.
    fn role(&mut self, touched: &Touched<Role>) -> Vec<String> {
        let object = touched.object();
        let name = object.name_any();
        if matches!(touched, Touched::Deleted(_)) {
            self.roles.remove(&name);
            return Vec::new();
        }
        let asked = Asked::of(object);
        if self.roles.get(&name) == Some(&asked) {
            return Vec::new();
        }
        self.roles.insert(name.clone(), asked);
        vec![name]
    }

    /// A service account came, changed or went; `roles` are all `ManagementRole`s.
    fn account(&mut self, touched: &Touched<Account>, roles: &[Arc<Role>]) -> Vec<String> {
        let object = touched.object();
        let key = (object.namespace(), object.name_any());
        let now = (object.uid(), object.annotations().get(ROLE_ANNOTATION).cloned());
        let before = match touched {
            Touched::Applied(_) => self.accounts.insert(key.clone(), now.clone()),
            Touched::Deleted(_) => self.accounts.remove(&key),
        };
        if matches!(touched, Touched::Applied(_)) && before == Some(now) {
            return Vec::new();
        }
        let (namespace, name) = key;
        let requests = roles.iter().filter_map(|role| role.0.as_ref().ok()).map(Request::of);
        requests
            .filter(|request| namespace.as_ref() == Some(&request.namespace) && request.accounts.contains(&name))
            .map(|request| request.object)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn role(name: &str, status: &Value, spec: &Value) -> Arc<Role> {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole",
            "metadata": {"name": name, "uid": name, "generation": 1},
            "spec": {"cluster": {"name": "hub", "region": "eu-west-1"}, "allow": [{"accounts": ["*"]}]},
            "status": status,
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        Arc::new(from_value(object).unwrap())
    }

    fn stands(arn: &str) -> Value {
        let holds = |kind: &str| json!({"type": kind, "status": "True", "reason": "AsSpecified", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        json!({"conditions": [holds("HubReady"), holds("RoleReady")], "role": {"arn": arn, "id": "A"}})
    }

    fn account(name: &str, uid: &str, annotations: &Value) -> Arc<Account> {
        let metadata = json!({"name": name, "namespace": "argocd", "uid": uid, "annotations": annotations});
        Arc::new(from_value(json!({"metadata": metadata})).unwrap())
    }

    #[test]
    fn a_role_is_looked_at_when_a_person_changed_it_and_when_it_stands_and_for_nothing_else() {
        let mut triggers = Triggers::default();
        let mut due = |status: Value| triggers.role(&Touched::Applied(role("default", &status, &json!({}))));
        assert_eq!(due(json!({"conditions": []})), ["default"]);
        assert!(due(json!({"conditions": [], "assumable": ["x"]})).is_empty());
        assert_eq!(due(stands("arn:a")), ["default"]);
        assert!(due(stands("arn:a")).is_empty());
        let mut half = stands("arn:a");
        half["conditions"][1]["status"] = json!("False");
        assert_eq!(due(half), ["default"], "a role that no longer stands");
        assert_eq!(due(stands("arn:b")), ["default"]);
        let mut untrusted = stands("arn:b");
        untrusted["untrustedServiceAccounts"] = json!(["argocd-server"]);
        assert_eq!(
            due(untrusted.clone()),
            ["default"],
            "a trust policy that lets nobody in"
        );
        assert!(due(untrusted).is_empty());
        let gone = role("default", &stands("arn:b"), &json!({}));
        assert!(triggers.role(&Touched::Deleted(gone)).is_empty());
        assert!(triggers.roles.is_empty());
    }

    #[test]
    fn a_service_account_concerns_the_roles_that_name_it_when_its_annotation_or_itself_changed() {
        let roles = [
            role("default", &json!({}), &json!({})),
            role("one", &json!({}), &json!({"serviceAccounts": ["argocd-server"]})),
            role("elsewhere", &json!({}), &json!({"argocdNamespace": "other"})),
        ];
        let mut triggers = Triggers::default();
        let server = |uid: &str, annotations: Value| account("argocd-server", uid, &annotations);
        let mut due = |touched: Touched<Account>| triggers.account(&touched, &roles);
        assert_eq!(due(Touched::Applied(server("1", json!({})))), ["default", "one"]);
        assert!(due(Touched::Applied(server("1", json!({"theirs": "x"})))).is_empty());
        let bound = json!({ROLE_ANNOTATION: "arn:a"});
        assert_eq!(due(Touched::Applied(server("1", bound.clone()))).len(), 2);
        assert!(due(Touched::Applied(server("1", bound.clone()))).is_empty());
        assert_eq!(due(Touched::Deleted(server("1", bound.clone()))).len(), 2);
        assert_eq!(due(Touched::Applied(server("2", bound))).len(), 2);
        let other = account("argocd-repo-server", "1", &json!({}));
        assert!(due(Touched::Applied(other)).is_empty());
    }

    #[test]
    fn of_a_service_account_only_the_annotation_is_kept() {
        let mut kept: Account = from_value(json!({"metadata": {
            "name": "a", "resourceVersion": "1", "labels": {"x": "y"}, "managedFields": [{"manager": "m"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", ROLE_ANNOTATION: "arn:a"},
        }}))
        .unwrap();
        cut_down(&mut kept);
        assert!(kept.labels().is_empty() && kept.managed_fields().is_empty());
        assert_eq!(kept.annotations().len(), 1);
        assert_eq!(kept.resource_version().as_deref(), Some("1"));
    }
}
