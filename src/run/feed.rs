//! From the watches to the queues: what changes is judged by [`Triggers`], and what is due is handed on.

use std::{pin::pin, sync::Arc};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream, SelectAll},
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

/// Turns what the watches bring into work, for ever, from when all of them have listed, which `whole` says: what is judged by
/// a store that is not filled yet would be judged again, and a fleet be looked at twice.
pub(super) async fn watch_all(
    context: Arc<managed_cluster::Context>,
    feed: Feed,
    whole: impl Future<Output = ()> + Clone + Send,
    clusters: impl Stream<Item = Touched<Guarded<ManagedCluster>>> + Send,
    roles: impl Stream<Item = Touched<Guarded<ManagementRole>>> + Send,
    secrets: SelectAll<BoxStream<'static, Touched<Secret>>>,
    sets: impl Stream<Item = String> + Send,
) {
    let mut triggers = Triggers::new(context.guarded.clone());
    let (clusters, roles, mut sets) = (pin!(clusters), pin!(roles), pin!(sets));
    let (mut clusters, mut roles, mut secrets) = tokio::join!(
        held_until(whole.clone(), clusters),
        held_until(whole.clone(), roles),
        held_until(whole, secrets),
    );
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

/// What a stream brings, all of it held back until `whole`. The stream is polled all the while, so that its store fills.
async fn held_until<S: Stream + Unpin>(
    whole: impl Future<Output = ()>,
    mut changes: S,
) -> impl Stream<Item = S::Item> + Unpin {
    let held: Vec<S::Item> = changes.by_ref().take_until(pin!(whole)).collect().await;
    stream::iter(held).chain(changes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use tokio::sync::oneshot;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    #[tokio::test]
    async fn what_comes_before_all_is_there_is_taken_at_once_and_told_in_its_order_afterwards() {
        let (watch, brought) = mpsc::unbounded_channel();
        let (whole, listed) = oneshot::channel();
        let taken = AtomicUsize::new(0);
        let brought = pin!(UnboundedReceiverStream::new(brought).inspect(|_| {
            taken.fetch_add(1, Ordering::Relaxed);
        }));
        let mut held = Box::pin(held_until(listed.map(drop), brought));
        watch.send(1).unwrap();
        watch.send(2).unwrap();
        assert!(held.as_mut().now_or_never().is_none());
        assert_eq!(taken.load(Ordering::Relaxed), 2);
        watch.send(3).unwrap();
        whole.send(()).unwrap();
        let told = held.await;
        drop(watch);
        assert_eq!(told.collect::<Vec<_>>().await, [1, 2, 3]);
    }
}
