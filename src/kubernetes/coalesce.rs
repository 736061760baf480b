//! Many marks, one call: soon after the first mark of a key, and from then on at a distance.
//!
//! When a key is due is fixed by its first mark and does not move, unlike a debounce, which steady changes push off for
//! ever.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// How long after its first mark a key that was quiet is given out: long enough for what comes in one stroke, too short
/// for a person to notice.
pub const FIRST: Duration = Duration::from_millis(200);

/// How far apart a key is given out that is marked all the time, as by a `kubectl apply` of many objects.
pub const WINDOW: Duration = Duration::from_millis(1500);

struct Marks<K> {
    open: HashSet<K>,
    given: HashMap<K, Instant>,
}

type Shared<K> = Arc<Mutex<Marks<K>>>;

fn lock<K>(marks: &Shared<K>) -> MutexGuard<'_, Marks<K>> {
    marks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks keys. Clones mark the same windows.
#[derive(Debug)]
pub struct Marker<K> {
    marks: Shared<K>,
    first: Duration,
    window: Duration,
    due: mpsc::UnboundedSender<(Instant, K)>,
}

impl<K> std::fmt::Debug for Marks<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marks").finish_non_exhaustive()
    }
}

impl<K> Clone for Marker<K> {
    fn clone(&self) -> Self {
        Self {
            marks: Arc::clone(&self.marks),
            due: self.due.clone(),
            ..*self
        }
    }
}

impl<K: Clone + Eq + Hash> Marker<K> {
    /// Has the key given out, unless that is due already. A mark is never lost: one that comes when the key is just
    /// given out has it given out again.
    pub fn mark(&self, key: K) {
        let mut marks = lock(&self.marks);
        if marks.open.insert(key.clone()) {
            let soon = Instant::now() + self.first;
            let due = marks
                .given
                .get(&key)
                .map_or(soon, |given| soon.max(*given + self.window));
            // A closed channel means that nobody listens any more.
            let _ = self.due.send((due, key));
        }
    }
}

/// A marker, and the stream that gives each marked key once: `first` after its mark, and not within `window` of when it
/// was given last. The stream ends when every marker is dropped and nothing is due any more.
pub fn coalesce<K: Clone + Eq + Hash + Send>(
    first: Duration,
    window: Duration,
) -> (Marker<K>, impl Stream<Item = K> + Send) {
    let marks: Shared<K> = Arc::new(Mutex::new(Marks {
        open: HashSet::new(),
        given: HashMap::new(),
    }));
    let (due, started) = mpsc::unbounded_channel();
    let marker = Marker {
        marks: Arc::clone(&marks),
        first,
        window,
        due,
    };
    let waiting: Vec<(Instant, K)> = Vec::new();
    let keys = stream::unfold(
        (marks, started, waiting),
        |(marks, mut started, mut waiting)| async move {
            let key = next(&mut started, &mut waiting).await?;
            // Closed before it is given out: whatever is marked from here on is a change that the receiver may not see.
            {
                let mut marks = lock(&marks);
                marks.open.remove(&key);
                marks.given.insert(key.clone(), Instant::now());
            }
            Some((key, (marks, started, waiting)))
        },
    );
    (marker, keys)
}

/// Waits for the first key that is due.
async fn next<K>(started: &mut mpsc::UnboundedReceiver<(Instant, K)>, waiting: &mut Vec<(Instant, K)>) -> Option<K> {
    let mut open = true;
    loop {
        let earliest = waiting.iter().enumerate().min_by_key(|(_, (due, _))| *due);
        let earliest = earliest.map(|(at, (due, _))| (at, *due));
        if earliest.is_none() && !open {
            return None;
        }
        let due = async {
            match earliest {
                Some((at, due)) => {
                    sleep_until(due).await;
                    at
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            mark = started.recv(), if open => match mark {
                Some(mark) => waiting.push(mark),
                None => open = false,
            },
            at = due => return Some(waiting.swap_remove(at).1),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marks_within_a_window_are_given_out_once_at_its_fixed_end() {
        let (marker, keys) = coalesce(WINDOW, WINDOW);
        let mut keys = std::pin::pin!(keys);
        let start = Instant::now();
        let marks = async {
            for _ in 0..14 {
                marker.mark("a");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let (key, ()) = futures::join!(keys.next(), marks);
        assert_eq!(key, Some("a"));
        assert_eq!(start.elapsed(), WINDOW);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(keys.next().now_or_never().is_none(), "the key was given out twice");
    }

    #[tokio::test(start_paused = true)]
    async fn steady_marks_cannot_push_the_end_off() {
        let (marker, keys) = coalesce(WINDOW, WINDOW);
        let marking = tokio::spawn(async move {
            for _ in 0..100 {
                marker.mark("a");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let given = keys.collect::<Vec<_>>().await.len();
        marking.await.unwrap();
        assert_eq!(
            given, 7,
            "ten seconds hold six whole windows and the start of a seventh"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_made_when_the_key_is_given_out_is_not_lost() {
        let (marker, keys) = coalesce(WINDOW, WINDOW);
        let mut keys = std::pin::pin!(keys);
        marker.mark("a");
        assert_eq!(keys.next().await, Some("a"));
        marker.mark("a");
        assert_eq!(keys.next().await, Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_key_comes_soon_and_a_busy_one_at_a_distance() {
        let (marker, keys) = coalesce(FIRST, WINDOW);
        let start = Instant::now();
        let marking = tokio::spawn(async move {
            for _ in 0..40 {
                marker.mark("a");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
            marker.mark("a");
        });
        let times: Vec<_> = keys.map(|_| start.elapsed().as_millis()).collect().await;
        marking.await.unwrap();
        assert_eq!(times, [200, 1700, 3200, 4700, 14_200]);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_have_windows_of_their_own() {
        let (marker, keys) = coalesce(WINDOW, WINDOW);
        let mut keys = std::pin::pin!(keys);
        let start = Instant::now();
        marker.mark("a");
        tokio::time::sleep(Duration::from_secs(1)).await;
        marker.mark("b");
        assert_eq!(keys.next().await, Some("a"));
        assert_eq!(start.elapsed(), WINDOW);
        assert_eq!(keys.next().await, Some("b"));
        assert_eq!(start.elapsed(), WINDOW + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_marked_is_given_out_even_when_the_marker_is_gone() {
        let (marker, keys) = coalesce(WINDOW, WINDOW);
        marker.mark("a");
        drop(marker);
        assert_eq!(keys.collect::<Vec<_>>().await, ["a"]);
    }
}
