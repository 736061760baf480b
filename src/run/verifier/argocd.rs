//! Argo CD's side of the chains: its cluster Secrets, AppProjects, settings and service accounts, watched by their metadata
//! alone. What a change there means is looked at once for all clusters of that Argo CD, and calls no cluster and no AWS;
//! but the chains that begin at a service account are walked anew when that changes.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, future::ready, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::{
    Api, Resource, ResourceExt,
    core::{ObjectMeta, PartialObjectMeta},
    runtime::{reflector::ObjectRef, watcher},
};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tracing::debug;

use super::{Context, Guarded, ManagedCluster};
use crate::{
    argocd::{SECRET_TYPE, SETTINGS},
    kubernetes::reflect::{Touched, reflect},
};

/// How long changes that come together are gathered.
const BURST: Duration = Duration::from_secs(1);

/// How far apart two looks at one Argo CD are at the most often; less where clusters may be walked more often.
const APART: Duration = Duration::from_secs(15);

/// An AppProject, of which only the metadata is watched (argoproj.io/v1alpha1).
#[derive(Clone, Debug)]
struct AppProject {
    metadata: ObjectMeta,
}

impl Resource for AppProject {
    type DynamicType = ();
    type Scope = kube::core::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "AppProject".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "argoproj.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "appprojects".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The work queue of the clusters.
type Due = mpsc::UnboundedSender<ObjectRef<Guarded<ManagedCluster>>>;

/// One watch for each namespace that a `ManagementRole` names.
#[derive(Default)]
pub(super) struct Watches(HashMap<String, JoinSet<()>>);

impl Watches {
    /// Begins to watch what is named now, and ends the other watches.
    pub(super) fn follow(&mut self, context: &Arc<Context>, due: &Due) {
        let roles = context.roles.state();
        let named = |namespace: &str| {
            let names = |role: &Arc<Guarded<_>>| namespace_of(role).is_some_and(|of| of == namespace);
            roles.iter().any(names)
        };
        self.0.retain(|namespace, _| named(namespace));
        for namespace in roles.iter().filter_map(namespace_of) {
            self.0.entry(namespace.to_owned()).or_insert_with(|| {
                let watching = watch(Arc::clone(context), namespace.to_owned(), due.clone());
                let mut task = JoinSet::new();
                task.spawn(watching);
                task
            });
        }
    }
}

fn namespace_of(role: &Arc<Guarded<super::ManagementRole>>) -> Option<&str> {
    role.0.as_ref().ok().map(|role| role.spec.argocd_namespace.as_str())
}

async fn watch(context: Arc<Context>, namespace: String, due: Due) {
    let client = &context.client;
    let labelled = watcher::Config::default().labels(&format!("{}={}", SECRET_TYPE.0, SECRET_TYPE.1));
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), &namespace);
    let projects = Api::<PartialObjectMeta<AppProject>>::namespaced(client.clone(), &namespace);
    let settings = Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), &namespace);
    let accounts = Api::<PartialObjectMeta<ServiceAccount>>::namespaced(client.clone(), &namespace);
    // RBAC lets one object be watched where it is asked for by its name.
    let named = watcher::Config::default().fields(&format!("metadata.name={SETTINGS}"));
    // The stores are not read: what changed is told by the streams, also of what happened while a watch was broken off.
    let (_secrets, secrets) = reflect(secrets, labelled, bare);
    let (_projects, projects) = reflect(projects, watcher::Config::default(), bare);
    let (_settings, settings) = reflect(settings, named, bare);
    let (_accounts, accounts) = reflect(accounts, watcher::Config::default(), bare);
    let mut known = HashSet::new();
    let secrets = secrets.map(move |touched| changed(&mut known, &touched).map_or(Change::Other, Change::Secret));
    let projects = projects.map(|_: Touched<_>| Change::Other);
    let settings = settings.map(|_: Touched<_>| Change::Other);
    let mut known = HashSet::new();
    let accounts = accounts.filter_map(move |touched| ready(changed(&mut known, &touched).map(Change::ServiceAccount)));
    let mut changes = stream::select_all([secrets.boxed(), projects.boxed(), settings.boxed(), accounts.boxed()]);
    let apart = context.turns.distance().min(APART);
    while let Some(changes) = burst(&mut changes).await {
        context.argocd_changed(&namespace, &changes, &due).await;
        sleep(apart).await;
    }
}

/// What changed in an Argo CD's namespace.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// A cluster Secret, by its name.
    Secret(String),
    /// A service account, by its name.
    ServiceAccount(String),
    /// An AppProject, the settings, or a cluster Secret that is seen for the first time.
    Other,
}

/// The object that changed; nothing of one that is seen for the first time: what is there at the start the first walks
/// read themselves, and what is new to a cluster comes with its status.
fn changed<K: Resource>(known: &mut HashSet<String>, touched: &Touched<K>) -> Option<String> {
    let name = touched.object().name_any();
    let was_known = !known.insert(name.clone());
    (was_known || matches!(touched, Touched::Deleted(_))).then_some(name)
}

/// Of an object only that it is there, and which version of it: kubectl keeps whole Secrets in an annotation.
fn bare<K>(object: &mut K)
where
    K: Resource,
{
    object.annotations_mut().clear();
    object.labels_mut().clear();
    object.managed_fields_mut().clear();
}

/// What changes next, gathered with what comes together with it; `None` when nothing will any more.
async fn burst(changes: &mut (impl Stream<Item = Change> + Unpin)) -> Option<Vec<Change>> {
    let mut together = vec![changes.next().await?];
    sleep(BURST).await;
    while let Some(Some(next)) = changes.next().now_or_never() {
        together.push(next);
    }
    Some(together)
}

impl Context {
    /// Something changed in an Argo CD's namespace.
    async fn argocd_changed(&self, namespace: &str, changes: &[Change], due: &Due) {
        self.edges.argocd_anew(namespace).await;
        debug!(namespace, changes = changes.len(), "Argo CD's side changed");
        let begins = |account: &String| changes.contains(&Change::ServiceAccount(account.clone()));
        let mut anew = HashSet::new();
        for role in self.roles.state() {
            let Ok(role) = &role.0 else { continue };
            if role.spec.argocd_namespace == namespace && role.spec.service_accounts.iter().any(begins) {
                self.edges.hub_anew(&role.name_any()).await;
                anew.insert(role.name_any());
            }
        }
        for object in self.clusters.state() {
            let Ok(cluster) = &object.0 else { continue };
            let role = self.roles.get(&ObjectRef::new(&cluster.spec.management_role));
            if role.as_ref().and_then(namespace_of) != Some(namespace) {
                continue;
            }
            let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
            let own = cluster.status.as_ref().and_then(|status| status.secret.as_ref());
            let own = own.is_some_and(|own| changes.contains(&Change::Secret(own.clone())));
            if own || anew.contains(&cluster.spec.management_role) {
                self.turns.due(uid);
            } else {
                self.turns.look(uid);
            }
            // A queue that nobody reads any more belongs to a verifier that is stopping.
            let _ = due.send(ObjectRef::new(&cluster.name_any()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_secret_is_kept_but_its_name_and_version() {
        let mut secret: PartialObjectMeta<Secret> = serde_json::from_value(json!({"metadata": {
            "name": "a", "resourceVersion": "1", "labels": {"x": "y"}, "managedFields": [{"manager": "m"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"},
        }}))
        .unwrap();
        bare(&mut secret);
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(
            (secret.name_any(), secret.resource_version()),
            ("a".to_owned(), Some("1".to_owned()))
        );
    }

    #[test]
    fn what_is_there_at_the_start_is_no_change_and_what_comes_back_is_one() {
        let secret = || Arc::new(serde_json::from_value::<Secret>(json!({"metadata": {"name": "a"}})).unwrap());
        let mut known = HashSet::new();
        assert_eq!(changed(&mut known, &Touched::Applied(secret())), None);
        for touched in [
            Touched::Applied(secret()),
            Touched::Deleted(secret()),
            Touched::Applied(secret()),
        ] {
            assert_eq!(changed(&mut known, &touched).as_deref(), Some("a"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_come_together_are_acted_on_once() {
        let names = || ["a", "b", "c"].map(|name| Change::Secret(name.to_owned()));
        let later = stream::once(async {
            sleep(Duration::from_mins(1)).await;
            Change::Other
        });
        let mut changes = Box::pin(stream::iter(names()).chain(later));
        assert_eq!(burst(&mut changes).await.unwrap(), names());
        assert_eq!(burst(&mut changes).await.unwrap(), [Change::Other]);
        assert_eq!(burst(&mut changes).await, None);
    }
}
