//! Many marks, one call: a window of fixed length for each key.
//!
//! The window starts with the first mark and does not move, unlike a debounce, which steady changes push off for ever.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{sync::mpsc, time::Instant};

/// The window that fits most sets: long enough for a `kubectl apply` of many objects, short enough not to be noticed.
pub const WINDOW: Duration = Duration::from_millis(1500);

/// Marks keys. Clones mark the same windows.
#[derive(Debug)]
pub struct Marker<K> {
    open: Arc<Mutex<HashSet<K>>>,
    started: mpsc::UnboundedSender<(Instant, K)>,
}

impl<K> Clone for Marker<K> {
    fn clone(&self) -> Self {
        Self {
            open: Arc::clone(&self.open),
            started: self.started.clone(),
        }
    }
}

impl<K: Clone + Eq + Hash> Marker<K> {
    /// Starts the key's window, unless one is open. A mark is never lost: one that comes when the key is just given
    /// out starts a window of its own.
    pub fn mark(&self, key: K) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.insert(key.clone()) {
            // Sent under the lock, so that windows are queued in the order in which they end. A closed channel means
            // that nobody listens any more.
            let _ = self.started.send((Instant::now(), key));
        }
    }
}

/// A marker, and the stream that gives each marked key once, when its window ends. The stream ends when every marker
/// is dropped and every open window has ended.
pub fn coalesce<K: Clone + Eq + Hash + Send>(window: Duration) -> (Marker<K>, impl Stream<Item = K> + Send) {
    let open = Arc::new(Mutex::new(HashSet::new()));
    let (started, windows) = mpsc::unbounded_channel();
    let marker = Marker {
        open: Arc::clone(&open),
        started,
    };
    let keys = stream::unfold((open, windows), move |(open, mut windows)| async move {
        // All windows are of one length, so the first that started is the first to end.
        let (start, key): (Instant, K) = windows.recv().await?;
        tokio::time::sleep_until(start + window).await;
        // Closed before it is given out: whatever is marked from here on is a change that the receiver may not see.
        open.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        Some((key, (open, windows)))
    });
    (marker, keys)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn marks_within_a_window_are_given_out_once_at_its_fixed_end() {
        let (marker, keys) = coalesce(WINDOW);
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
        let (marker, keys) = coalesce(WINDOW);
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
        let (marker, keys) = coalesce(WINDOW);
        let mut keys = std::pin::pin!(keys);
        marker.mark("a");
        assert_eq!(keys.next().await, Some("a"));
        marker.mark("a");
        assert_eq!(keys.next().await, Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_have_windows_of_their_own() {
        let (marker, keys) = coalesce(WINDOW);
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
        let (marker, keys) = coalesce(WINDOW);
        marker.mark("a");
        drop(marker);
        assert_eq!(keys.collect::<Vec<_>>().await, ["a"]);
    }
}
