//! One watch that feeds both a store and whoever must act: a change is told only after the store has taken it.
//!
//! A set read from another watch's store can lack the very object that caused the pass, and a set that is too small
//! cuts access. So whoever reads a set here triggers from the same watch, and waits for [`Store::wait_until_ready`]
//! before the first pass.

use std::{collections::HashMap, fmt::Debug, hash::Hash, sync::Arc};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{Lookup, ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tracing::warn;

/// A change that the store has taken.
#[derive(Debug)]
pub enum Touched<K> {
    /// The object is there, new or changed.
    Applied(Arc<K>),
    /// The object is gone; this is the last that was known of it.
    Deleted(Arc<K>),
}

impl<K> Touched<K> {
    /// The object, whatever happened to it.
    #[must_use]
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied(object) | Self::Deleted(object) => object,
        }
    }
}

impl<K: Lookup<DynamicType: Default>> Touched<K> {
    /// A reference to the object, as a work queue takes it.
    #[must_use]
    pub fn reference(&self) -> ObjectRef<K> {
        self.object().to_object_ref(K::DynamicType::default())
    }
}

/// Watches `api` for ever and keeps a store of it.
///
/// The stream must be polled for the store to be kept. It never ends: failed lists and watches are logged and tried
/// again, 0.8 s growing to 30 s, with jitter. `prepare` cuts each object down before it is stored; it must leave name,
/// namespace, UID, resourceVersion, finalizers and deletion timestamp alone.
///
/// When the watch has to list anew, the stream tells what changed meanwhile, including what vanished, and nothing
/// else. The first list tells every object. A [`kube::core::DeserializeGuard`] as `K` keeps one object that does not
/// parse from stopping the watch.
pub fn reflect<K>(
    api: Api<K>,
    config: watcher::Config,
    prepare: impl FnMut(&mut K) + Send + 'static,
) -> (Store<K>, impl Stream<Item = Touched<K>> + Send)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Send + Sync,
{
    let mut mirror = Mirror::default();
    let store = mirror.store();
    let touched = begun_with_what_follows(watcher(api, config).modify(prepare))
        .default_backoff()
        .filter_map(|event| async {
            event
                .inspect_err(|error| {
                    let kind = K::kind(&K::DynamicType::default()).into_owned();
                    warn!(kind, %error, "watch failed; it is tried again");
                })
                .ok()
        })
        .flat_map(move |event| stream::iter(mirror.take(event)));
    (store, touched)
}

/// The same events, each [`Event::Init`] together with what follows it and not at all before a failure: it comes with every
/// try, and as an event that is good it would begin the backoff anew (kube-runtime 5.0, `watcher.rs`, `State::Empty`).
fn begun_with_what_follows<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Send,
{
    let mut begun = false;
    events.flat_map(move |event| {
        let before = std::mem::take(&mut begun);
        stream::iter(match event {
            Ok(Event::Init) => {
                begun = true;
                Vec::new()
            }
            Ok(event) if before => vec![Ok(Event::Init), Ok(event)],
            other => vec![other],
        })
    })
}

/// The store's writer, and what each event changed in the store.
struct Mirror<K>
where
    K: Lookup<DynamicType: Default + Eq + Hash + Clone> + Clone + 'static,
{
    writer: Writer<K>,
}

impl<K> Default for Mirror<K>
where
    K: Lookup<DynamicType: Default + Eq + Hash + Clone> + Clone + 'static,
{
    fn default() -> Self {
        Self {
            writer: Writer::default(),
        }
    }
}

impl<K> Mirror<K>
where
    K: Lookup<DynamicType: Default + Eq + Hash + Clone> + Clone + 'static,
{
    fn store(&self) -> Store<K> {
        self.writer.as_reader()
    }

    fn take(&mut self, event: Event<K>) -> Vec<Touched<K>> {
        // A list is collected aside and taken whole at its end: until then the store holds what was there before.
        let before = match &event {
            Event::InitDone => self.store().state(),
            Event::Init | Event::InitApply(_) | Event::Apply(_) | Event::Delete(_) => Vec::new(),
        };
        self.writer.apply_watcher_event(&event);
        match event {
            Event::Init | Event::InitApply(_) => Vec::new(),
            Event::InitDone => changes(before, self.store().state()),
            Event::Apply(object) => vec![Touched::Applied(Arc::new(object))],
            Event::Delete(object) => vec![Touched::Deleted(Arc::new(object))],
        }
    }
}

/// What a new list changed: first what vanished (also when the same name was made anew), then what is new or changed.
fn changes<K>(before: Vec<Arc<K>>, after: Vec<Arc<K>>) -> Vec<Touched<K>>
where
    K: Lookup<DynamicType: Default + Eq + Hash + Clone>,
{
    let key = |object: &Arc<K>| object.to_object_ref(K::DynamicType::default());
    let mut vanished: HashMap<_, _> = before.into_iter().map(|object| (key(&object), object)).collect();
    let mut applied = Vec::new();
    for object in after {
        let reference = key(&object);
        match vanished.remove(&reference) {
            Some(old) if old.uid() != object.uid() => {
                vanished.insert(reference, old);
                applied.push(Touched::Applied(object));
            }
            Some(old) if old.resource_version() == object.resource_version() => {}
            Some(_) | None => applied.push(Touched::Applied(object)),
        }
    }
    vanished.into_values().map(Touched::Deleted).chain(applied).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{from_value, json};

    use std::time::Duration;

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
        from_value(json!({
            "metadata": { "name": name, "namespace": "n", "uid": uid, "resourceVersion": version }
        }))
        .unwrap()
    }

    fn list(mirror: &mut Mirror<ConfigMap>, objects: Vec<ConfigMap>) -> Vec<String> {
        assert!(mirror.take(Event::Init).is_empty());
        for object in objects {
            assert!(
                mirror.take(Event::InitApply(object)).is_empty(),
                "told before it is stored"
            );
        }
        told(&mirror.take(Event::InitDone))
    }

    fn told(touched: &[Touched<ConfigMap>]) -> Vec<String> {
        let mut told: Vec<String> = touched
            .iter()
            .map(|touched| {
                let (verb, object) = match touched {
                    Touched::Applied(object) => ("applied", object),
                    Touched::Deleted(object) => ("deleted", object),
                };
                format!(
                    "{verb} {} {}",
                    Lookup::name(object.as_ref()).unwrap(),
                    object.uid().unwrap()
                )
            })
            .collect();
        told.sort();
        told
    }

    /// A kind that the API server does not serve is a matter of hours.
    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_listed_is_asked_for_less_and_less_often() {
        let (client, asked) = answering((0..1000).map(|_| refusal(404, "NotFound")));
        let (_store, touched) = reflect(Api::<ConfigMap>::all(client), watcher::Config::default(), |_| {});
        let mut touched = std::pin::pin!(touched);
        let an_hour = tokio::time::timeout(Duration::from_hours(1), touched.next());
        assert!(an_hour.await.is_err(), "there is nothing to tell");
        let tries = asked.lock().unwrap().len();
        assert!(
            (60..250).contains(&tries),
            "{tries} tries in an hour, 30 s apart and less at the beginning"
        );
    }

    #[test]
    fn the_first_list_tells_every_object_and_only_when_the_store_has_them() {
        let mut mirror = Mirror::default();
        mirror.take(Event::Init);
        mirror.take(Event::InitApply(object("a", "1", "10")));
        assert!(mirror.store().is_empty());
        let touched = mirror.take(Event::InitDone);
        assert_eq!(told(&touched), ["applied a 1"]);
        assert!(mirror.store().get(&touched[0].reference()).is_some());
    }

    #[test]
    fn a_later_list_tells_what_changed_and_what_vanished_and_nothing_else() {
        let mut mirror = Mirror::default();
        let first = ["same", "changed", "gone", "anew"].map(|name| object(name, "1", "10"));
        list(&mut mirror, first.into());
        let second = vec![
            object("same", "1", "10"),
            object("changed", "1", "11"),
            object("anew", "2", "12"),
            object("new", "1", "13"),
        ];
        assert_eq!(
            list(&mut mirror, second),
            [
                "applied anew 2",
                "applied changed 1",
                "applied new 1",
                "deleted anew 1",
                "deleted gone 1"
            ]
        );
        assert_eq!(mirror.store().len(), 4);
    }

    #[test]
    fn an_object_made_anew_is_told_as_gone_before_it_is_told_as_there() {
        let mut mirror = Mirror::default();
        list(&mut mirror, vec![object("a", "1", "10")]);
        mirror.take(Event::Init);
        mirror.take(Event::InitApply(object("a", "2", "11")));
        let touched = mirror.take(Event::InitDone);
        assert!(
            matches!(touched.as_slice(), [Touched::Deleted(_), Touched::Applied(_)]),
            "{touched:?}"
        );
    }

    #[test]
    fn live_changes_are_told_after_the_store_has_taken_them() {
        let mut mirror = Mirror::default();
        list(&mut mirror, Vec::new());
        let touched = mirror.take(Event::Apply(object("a", "1", "11")));
        assert_eq!(told(&touched), ["applied a 1"]);
        assert!(mirror.store().get(&touched[0].reference()).is_some());
        let touched = mirror.take(Event::Delete(object("a", "1", "12")));
        assert_eq!(told(&touched), ["deleted a 1"]);
        assert!(mirror.store().is_empty());
    }

    #[test]
    fn a_list_that_breaks_off_changes_nothing() {
        let mut mirror = Mirror::default();
        list(&mut mirror, vec![object("a", "1", "10"), object("b", "1", "10")]);
        mirror.take(Event::Init);
        mirror.take(Event::InitApply(object("a", "1", "10")));
        assert_eq!(mirror.store().len(), 2, "the store shrank to half a list");
        assert!(list(&mut mirror, vec![object("a", "1", "10"), object("b", "1", "10")]).is_empty());
    }
}
