//! The work queue: one pass at a time for an object, any number of objects at once.
//!
//! kube's scheduler does the deduplication and the requeues. Its `concurrency` and `debounce` are not used: both take
//! work in no order, and under load leave some objects waiting for ever. Whatever bounds the work does so inside the
//! pass, in order of arrival.

use std::{
    convert::Infallible,
    error::Error,
    fmt::{Debug, Display},
    hash::Hash,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, Stream, StreamExt};
use kube::{
    Resource,
    runtime::{
        applier,
        controller::{Action, Config, Error as ControllerError},
        reflector::{ObjectRef, Store},
    },
};
use tokio::task::{JoinError, JoinHandle};
use tracing::{Instrument, Span};

/// How a turn of the queue ended.
#[derive(Debug)]
pub enum Ended<E> {
    /// The pass ended well, and asks to be called again as said.
    Done(Action),
    /// The pass failed; the error policy has said when to try again.
    Failed(E),
    /// The object was gone from the store when its turn came. Its traces elsewhere can be forgotten.
    Vanished,
}

/// A pass that panicked: a fault of ours. Other objects go on.
#[derive(Debug, thiserror::Error)]
#[error("the pass ended by a fault in the operator: {0}; please report it, with this log")]
pub struct Panicked(String);

/// The store's watch ended before its first list: no pass can ever run.
#[derive(Debug, thiserror::Error)]
#[error("the watch that fills the store ended before it listed anything")]
pub struct StoreDropped;

/// Takes references from `queue` and runs `reconcile` on each object that `store` has, until `shutdown` resolves or
/// the queue ends. Then passes that run are let end, and those that wait are dropped.
///
/// No pass starts before the store is ready. Each pass is a task of its own, inside kube's span `reconciling object`
/// that names the object and the reason. `report` is told of every end. Dropping the future aborts what runs.
///
/// # Errors
/// When the store's watch was dropped before it was ready.
pub async fn drive<K, Ctx, Pass, E>(
    store: Store<K>,
    queue: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    mut reconcile: impl FnMut(Arc<K>, Arc<Ctx>) -> Pass,
    error_policy: impl Fn(Arc<K>, &E, Arc<Ctx>) -> Action,
    context: Arc<Ctx>,
    shutdown: impl Future<Output = ()> + Send + 'static,
    mut report: impl FnMut(ObjectRef<K>, Ended<E>),
) -> Result<(), StoreDropped>
where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Debug + Eq + Hash + Clone + Unpin,
    Pass: Future<Output = Result<Action, E>> + Send + 'static,
    E: Error + From<Panicked> + Send + 'static,
{
    let queue = queue.take_until(shutdown).map(Ok::<_, Infallible>);
    let spawned = move |object: Arc<K>, context: Arc<Ctx>| {
        // kube polls every running pass whenever one wakes; a handle is cheap to poll, a pass is not.
        Task(tokio::spawn(reconcile(object, context).instrument(Span::current())))
    };
    let ends = applier(spawned, error_policy, context, store, queue, Config::default());
    let mut ends = std::pin::pin!(ends);
    while let Some(end) = ends.next().await {
        match end {
            Ok((object, action)) => report(object, Ended::Done(action)),
            Err(ControllerError::ReconcilerFailed(error, object)) => report(typed(&object), Ended::Failed(error)),
            Err(ControllerError::ObjectNotFound(object)) => report(typed(&object), Ended::Vanished),
            Err(ControllerError::RunnerError(_)) => return Err(StoreDropped),
            Err(ControllerError::QueueError(never)) => match never {},
        }
    }
    Ok(())
}

/// The reference as it came in: kube erases its type in errors.
fn typed<K: Resource<DynamicType: Default>>(object: &ObjectRef<kube::api::DynamicObject>) -> ObjectRef<K> {
    object.clone().into_kind_unchecked(K::DynamicType::default())
}

/// A spawned pass, aborted when dropped.
struct Task<E>(JoinHandle<Result<Action, E>>);

impl<E: From<Panicked>> Future for Task<E> {
    type Output = Result<Action, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll_unpin(cx)
            .map(|joined| joined.unwrap_or_else(|error| Err(panicked(error).into())))
    }
}

impl<E> Drop for Task<E> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn panicked(error: JoinError) -> Panicked {
    let text = |said: &dyn Display| Panicked(said.to_string());
    match error.try_into_panic() {
        Ok(payload) => match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(said), _) => text(said),
            (_, Some(said)) => text(said),
            (None, None) => text(&"a panic without a message"),
        },
        Err(cancelled) => text(&cancelled),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use futures::channel::{mpsc, oneshot};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::{reflector::store::Writer, watcher::Event};
    use serde_json::{from_value, json};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("refused")]
        Refused,
        #[error(transparent)]
        Panicked(#[from] Panicked),
    }

    fn store_of(names: &[&str]) -> (Writer<ConfigMap>, Store<ConfigMap>) {
        let mut writer = Writer::<ConfigMap>::default();
        writer.apply_watcher_event(&Event::Init);
        for name in names {
            let object = from_value(json!({ "metadata": { "name": name } })).unwrap();
            writer.apply_watcher_event(&Event::InitApply(object));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let store = writer.as_reader();
        (writer, store)
    }

    fn name(object: &ConfigMap) -> String {
        object.metadata.name.clone().unwrap()
    }

    /// Runs passes by name over a queue that stays open, for ten seconds of paused time.
    async fn ends_of<Pass>(
        queue: &[&str],
        known: &[&str],
        pass: impl Fn(String) -> Pass,
    ) -> BTreeMap<String, Vec<String>>
    where
        Pass: Future<Output = Result<Action, Failed>> + Send + 'static,
    {
        let (_writer, store) = store_of(known);
        let references: Vec<_> = queue.iter().map(|name| ObjectRef::new(name)).collect();
        let ends = Mutex::new(BTreeMap::<String, Vec<String>>::new());
        drive(
            store,
            futures::stream::iter(references).chain(futures::stream::pending()),
            |object, _| pass(name(&object)),
            |_, _, _| Action::requeue(Duration::from_secs(6)),
            Arc::new(()),
            tokio::time::sleep(Duration::from_secs(10)),
            |object, end| {
                let end = match end {
                    Ended::Done(_) => "done".to_owned(),
                    Ended::Failed(error) => error.to_string(),
                    Ended::Vanished => "vanished".to_owned(),
                };
                ends.lock().unwrap().entry(object.name).or_default().push(end);
            },
        )
        .await
        .unwrap();
        ends.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_end_is_told_and_errors_are_tried_again_as_the_policy_says() {
        let ends = ends_of(&["good", "bad", "unknown"], &["good", "bad"], |name| async move {
            if name == "bad" {
                Err(Failed::Refused)
            } else {
                Ok(Action::await_change())
            }
        })
        .await;
        assert_eq!(
            ends,
            BTreeMap::from([
                ("good".to_owned(), vec!["done".to_owned()]),
                ("bad".to_owned(), vec!["refused".to_owned(), "refused".to_owned()]),
                ("unknown".to_owned(), vec!["vanished".to_owned()]),
            ])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_panics_fails_alone() {
        let ends = ends_of(&["good", "bad"], &["good", "bad"], |name| async move {
            assert_ne!(name, "bad", "on purpose");
            Ok(Action::await_change())
        })
        .await;
        assert_eq!(ends["good"], ["done"]);
        assert!(ends["bad"][0].contains("on purpose"), "{ends:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_queued_while_its_pass_runs_gets_one_more_pass_and_never_two_at_once() {
        let (_writer, store) = store_of(&["a"]);
        let (sender, queue) = mpsc::unbounded();
        let running = Arc::new(AtomicUsize::new(0));
        let passes = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel::<()>();
        let counted = (Arc::clone(&running), Arc::clone(&passes));
        let driven = tokio::spawn(drive(
            store,
            queue,
            move |_, _| {
                let (running, passes) = counted.clone();
                async move {
                    assert_eq!(
                        running.fetch_add(1, Ordering::SeqCst),
                        0,
                        "two passes of one object at once"
                    );
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    passes.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Failed>(Action::await_change())
                }
            },
            |_, _, _| Action::await_change(),
            Arc::new(()),
            stopped.map(|_| ()),
            |_, _| {},
        ));
        for _ in 0..5 {
            sender.unbounded_send(ObjectRef::new("a")).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.send(()).unwrap();
        driven.await.unwrap().unwrap();
        assert_eq!(passes.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_lets_the_running_pass_end_and_drops_the_waiting_one() {
        let (_writer, store) = store_of(&["runs", "waits"]);
        let passes = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&passes);
        let queue = futures::stream::iter([ObjectRef::new("runs")])
            .chain(futures::stream::once(async {
                // Arrives after the shutdown.
                tokio::time::sleep(Duration::from_secs(3)).await;
                ObjectRef::new("waits")
            }))
            .boxed();
        drive(
            store,
            queue,
            move |object, _| {
                let log = Arc::clone(&log);
                async move {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    log.lock().unwrap().push(name(&object));
                    Ok::<_, Failed>(Action::requeue(Duration::from_millis(1)))
                }
            },
            |_, _, _| Action::await_change(),
            Arc::new(()),
            tokio::time::sleep(Duration::from_secs(2)),
            |_, _| {},
        )
        .await
        .unwrap();
        assert_eq!(*passes.lock().unwrap(), ["runs"]);
    }
}
