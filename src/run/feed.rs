//! From the watches to the queues: what changes is judged by [`Triggers`], and what is due is handed on.

use std::{pin::pin, sync::Arc};

use futures::{
    Stream, StreamExt,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::sync::mpsc;

use super::{
    Guarded,
    triggers::{Due, Triggers},
};
use crate::{
    api::{ManagedCluster, ManagementRole},
    kubernetes::{coalesce, reflect::Touched},
    managed_cluster,
};

/// Where work goes.
pub(super) struct Feed {
    pub(super) clusters: mpsc::UnboundedSender<ObjectRef<Guarded<ManagedCluster>>>,
    pub(super) roles: mpsc::UnboundedSender<ObjectRef<Guarded<ManagementRole>>>,
    pub(super) sets: coalesce::Marker<String>,
}

impl Feed {
    /// A queue that nobody reads any more belongs to an operator that is stopping.
    fn give(&self, due: Due) {
        for name in due.clusters {
            let _ = self.clusters.send(ObjectRef::new(&name));
        }
        for name in due.roles {
            let _ = self.roles.send(ObjectRef::new(&name));
        }
        for name in due.sets {
            self.sets.mark(name);
        }
    }
}

/// Turns what the watches bring into work, for ever.
pub(super) async fn watch_all(
    context: Arc<managed_cluster::Context>,
    feed: Feed,
    clusters: impl Stream<Item = Touched<Guarded<ManagedCluster>>> + Send,
    roles: impl Stream<Item = Touched<Guarded<ManagementRole>>> + Send,
    mut secrets: SelectAll<BoxStream<'static, Touched<Secret>>>,
    sets: impl Stream<Item = String> + Send,
) {
    let mut triggers = Triggers::new(context.guarded.clone());
    let (mut clusters, mut roles, mut sets) = (pin!(clusters), pin!(roles), pin!(sets));
    loop {
        let due = tokio::select! {
            Some(touched) = clusters.next() => {
                let due = triggers.cluster(&touched, |name| context.management_role(name));
                if !due.clusters.is_empty() {
                    context.memory.asked_again(touched.object().meta().uid.as_deref().unwrap_or_default());
                }
                due
            }
            Some(touched) = roles.next() => triggers.role(&touched, &context.clusters.state()),
            Some(touched) = secrets.next() => {
                triggers.secret(&touched, &context.memory, &context.management_roles.state())
            }
            Some(name) = sets.next() => Due { roles: vec![name], ..Due::default() },
            else => return,
        };
        feed.give(due);
    }
}
