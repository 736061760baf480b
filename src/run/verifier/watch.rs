//! The watches of `ManagedCluster`s and `ManagementRole`s, and whom a change concerns.

use std::{collections::HashMap, pin::pin, sync::Arc};

use futures::{Stream, StreamExt};
use kube::{Resource, ResourceExt, core::DeserializeGuard, runtime::reflector::ObjectRef};
use tokio::sync::mpsc;

use super::{
    Context, Guarded,
    argocd::Watches,
    changes::{Matters, RoleMatters, is_new},
};
use crate::{
    api::{ManagedCluster, ManagementRole},
    kubernetes::reflect::Touched,
};

/// Follows both, and puts the clusters into the queue that a change concerns.
pub(super) async fn both(
    context: Arc<Context>,
    due: mpsc::UnboundedSender<ObjectRef<Guarded<ManagedCluster>>>,
    clusters: impl Stream<Item = Touched<Guarded<ManagedCluster>>> + Send,
    roles: impl Stream<Item = Touched<Guarded<ManagementRole>>> + Send,
) {
    let (mut clusters, mut roles) = (pin!(clusters), pin!(roles));
    let (mut known_clusters, mut known_roles) = (HashMap::new(), HashMap::new());
    let mut argocds = Watches::default();
    let give = |object: &Guarded<ManagedCluster>| {
        context.turns.due(object.meta().uid.as_deref().unwrap_or_default());
        // A queue that nobody reads any more belongs to a verifier that is stopping.
        let _ = due.send(ObjectRef::new(&object.name_any()));
    };
    loop {
        tokio::select! {
            Some(touched) = clusters.next() => {
                let name = touched.object().name_any();
                let matters = there(&touched).map(|read| read.map(Matters::of));
                if matters.is_none() {
                    context.forget(touched.object().meta().uid.as_deref().unwrap_or_default());
                }
                if is_new(&mut known_clusters, name, matters) {
                    give(touched.object());
                }
            }
            Some(touched) = roles.next() => {
                let name = touched.object().name_any();
                argocds.follow(&context, &due);
                if is_new(&mut known_roles, name.clone(), there(&touched).map(|read| read.map(RoleMatters::of))) {
                    for cluster in context.clusters.state() {
                        let of_it = cluster.0.as_ref().is_ok_and(|cluster| cluster.spec.management_role == name);
                        if of_it {
                            give(&cluster);
                        }
                    }
                }
            }
            else => return,
        }
    }
}

/// The object, if it is there, or why it cannot be read.
fn there<K>(touched: &Touched<DeserializeGuard<K>>) -> Option<Result<&K, String>> {
    match touched {
        Touched::Applied(object) => Some(object.0.as_ref().map_err(|unreadable| unreadable.error.clone())),
        Touched::Deleted(_) => None,
    }
}
