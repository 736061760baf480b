//! What Argo CD's `ApplicationSet` controller does when a cluster loses the label that it was chosen by: it deletes the
//! Applications that it made there. Whoever lost its cluster before that is told.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject},
    runtime::reflector::Store,
};
use tokio::task::JoinHandle;

use super::ground::{LOOK, watched};

/// Runs until it is dropped.
pub(super) struct Sets {
    tasks: [JoinHandle<()>; 2],
    orphaned: Arc<Mutex<BTreeSet<String>>>,
}

impl Drop for Sets {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Sets {
    /// Looks after the Applications of Argo CD's namespace, by the cluster Secrets there.
    pub(super) fn reconcile(applications: Api<DynamicObject>, secrets: Store<Secret>) -> Self {
        let (store, watching) = watched(applications.clone(), application());
        let orphaned = Arc::<Mutex<BTreeSet<String>>>::default();
        let found = Arc::clone(&orphaned);
        let letting_go = async move {
            let (mut chosen, mut let_go) = (BTreeSet::new(), BTreeSet::new());
            loop {
                tokio::time::sleep(LOOK).await;
                for application in store.state() {
                    let name = application.metadata.name.clone().unwrap_or_default();
                    let cluster = application.data["spec"]["destination"]["name"]
                        .as_str()
                        .unwrap_or_default();
                    if let_go.contains(&name) {
                        continue;
                    }
                    match labels(&secrets, cluster) {
                        None if chosen.contains(&name) => {
                            found.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
                        }
                        Some(labels) if !labels.contains("env") => {
                            let gone = applications.delete(&name, &DeleteParams::default()).await;
                            let_go.extend(gone.is_ok().then_some(name));
                        }
                        Some(_) => {
                            chosen.insert(name);
                        }
                        None => {}
                    }
                }
            }
        };
        Self {
            tasks: [watching, tokio::spawn(letting_go)],
            orphaned,
        }
    }

    /// No Application was left without its cluster.
    pub(super) fn none_orphaned(&self) {
        let orphaned = self.orphaned.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            orphaned.is_empty(),
            "Applications that lost their cluster: {orphaned:?}"
        );
    }
}

fn application() -> kube::core::ApiResource {
    let gvk = kube::core::GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
    kube::core::ApiResource::from_gvk(&gvk)
}

/// The labels of the cluster Secret that has this name for its cluster.
fn labels(secrets: &Store<Secret>, cluster: &str) -> Option<BTreeSet<String>> {
    let of = |secret: &Arc<Secret>| {
        let name = secret.data.as_ref().and_then(|data| data.get("name"));
        name.is_some_and(|name| name.0 == cluster.as_bytes())
    };
    let secret = secrets.state().into_iter().find(of)?;
    Some(
        secret
            .metadata
            .labels
            .iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect(),
    )
}
