//! When each object became Ready, as anybody who watches the API server sees it.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinHandle;

use crate::stage::ready;

const LOOK: Duration = Duration::from_millis(10);
const TELL: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Object {
    /// When it was first Ready at each generation.
    ready: BTreeMap<i64, Instant>,
    /// What `Ready` said when it was not, and how often that was seen.
    told: BTreeMap<String, usize>,
    last: String,
}

type Objects = Arc<Mutex<HashMap<String, Object>>>;

/// The watch; it ends when it is dropped.
pub(super) struct Watch {
    objects: Objects,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    pub(super) fn start(client: Client) -> Self {
        let objects = Objects::default();
        let gvk = GroupVersionKind::gvk("mooring.dev", "v1alpha1", "ManagedCluster");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "managedclusters");
        let api: Api<DynamicObject> = Api::all_with(client, &resource);
        let seen = Arc::clone(&objects);
        let task = tokio::spawn(async move {
            let changes = watcher(api, watcher::Config::default())
                .default_backoff()
                .applied_objects();
            let mut changes = pin!(changes);
            while let Some(change) = changes.next().await {
                if let Ok(object) = change {
                    note(&mut lock(&seen), &object);
                }
            }
        });
        Self { objects, task }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Object>> {
        lock(&self.objects)
    }

    /// When an object was first Ready.
    pub(super) fn first(&self, name: &str) -> Option<Instant> {
        self.lock()
            .get(name)
            .and_then(|object| object.ready.values().next().copied())
    }

    /// When the last object was first Ready.
    pub(super) fn last_ready(&self) -> Option<Instant> {
        let all = self.lock();
        all.values()
            .filter_map(|object| object.ready.values().next().copied())
            .max()
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// What objects said while they were not Ready, with the number of objects that said it.
    pub(super) fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for reason in self.lock().values().flat_map(|object| object.told.keys()) {
            *told.entry(reason.clone()).or_default() += 1;
        }
        told
    }

    /// What an object says now.
    pub(super) fn last(&self, name: &str) -> String {
        self.lock()
            .get(name)
            .map(|object| object.last.clone())
            .unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.lock().values().filter(|object| !object.ready.is_empty()).count()
    }

    /// Waits until so many are Ready, at most `limit`; whether they are.
    pub(super) async fn reach(&self, number: usize, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.count() < number {
            if begun.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    /// As [`Watch::reach`], and tells how far it is from time to time.
    pub(super) async fn wait(&self, limit: Duration, number: usize, start: Instant) -> bool {
        let deadline = start + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.reach(number, left.min(TELL)).await {
                return true;
            }
            println!(
                "  {:.0} s: {} of {number} Ready",
                start.elapsed().as_secs_f64(),
                self.count()
            );
            if left.is_zero() {
                return false;
            }
        }
    }

    /// Waits until an object is Ready at a generation, at most `limit`.
    pub(super) async fn acted(&self, name: &str, generation: i64, limit: Duration) -> Option<Instant> {
        let begun = Instant::now();
        loop {
            let at = self
                .lock()
                .get(name)
                .and_then(|object| object.ready.get(&generation).copied());
            if at.is_some() || begun.elapsed() > limit {
                return at;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn lock(objects: &Objects) -> MutexGuard<'_, HashMap<String, Object>> {
    objects.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(objects: &mut HashMap<String, Object>, object: &DynamicObject) {
    let status = &object.data["status"];
    let seen = objects.entry(object.name_any()).or_default();
    let Some(observed) = status["observedGeneration"].as_i64() else {
        return;
    };
    let (verdict, reason) = ready(&object.data);
    if verdict == "True" {
        seen.ready.entry(observed).or_insert_with(Instant::now);
    } else {
        *seen.told.entry(reason.clone()).or_default() += 1;
    }
    let message = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready")
        .and_then(|condition| condition["message"].as_str().map(str::to_owned))
        .unwrap_or_default();
    seen.last = format!("{reason}: {message}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(observed: i64, status: &str, reason: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "a"},
            "status": {
                "observedGeneration": observed,
                "conditions": [{"type": "Ready", "status": status, "reason": reason, "message": "m"}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_first_time_at_each_generation_counts() {
        let mut objects = HashMap::new();
        note(&mut objects, &object(1, "False", "Propagating"));
        note(&mut objects, &object(1, "True", "Moored"));
        let first = objects["a"].ready[&1];
        note(&mut objects, &object(1, "True", "Moored"));
        note(&mut objects, &object(2, "True", "Moored"));
        assert_eq!(objects["a"].ready[&1], first);
        assert_eq!(objects["a"].ready.len(), 2);
        assert_eq!(objects["a"].told["Propagating"], 1);
    }
}
