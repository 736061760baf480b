//! Kubernetes events: what a person sees under `kubectl describe`. Never worth failing a pass for.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder},
};
use tracing::warn;

use super::error::call;

/// The API server's limit for a note, in bytes (`events.k8s.io/v1`, `Event.note`).
const NOTE_LIMIT: usize = 1024;

/// What a note ends with that was cut. What holds on is told whole by the object's conditions.
const CUT: &str = " … (cut)";

/// The longest word that a cut leaves out whole, in bytes: a policy document is one long word, and most of it is told.
const WORD: usize = 200;

/// The API server's limit for a reason and an action, in characters (`events.k8s.io/v1`, `Event.reason`).
const REASON_LIMIT: usize = 128;

/// How long a recorder counts equal events as one (kube-runtime 5.0, `CACHE_TTL`), and some more.
const COUNTED: Duration = Duration::from_mins(7);

/// How an event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something happened as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Reports events under one controller's name. Equal events, note and all, within six minutes are counted as one. Those
/// of cluster-scoped objects land in the namespace `default`.
///
/// A recorder of kube's counts events as equal whatever their notes, and keeps the first note: the second thing that was
/// mended would be told as the first again. So each note has a recorder of its own.
#[derive(Clone)]
pub struct Reporter {
    client: Client,
    controller: String,
    recorders: Arc<Mutex<HashMap<u64, (Recorder, Instant)>>>,
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporter").finish_non_exhaustive()
    }
}

impl Reporter {
    /// `controller` is the reporting controller's name (`mooring.dev/controller`); the instance is the host's name,
    /// which in a pod is the pod's.
    #[must_use]
    pub fn new(client: Client, controller: &str) -> Self {
        Self {
            client,
            controller: controller.to_owned(),
            recorders: Arc::default(),
        }
    }

    fn recorder(&self, note: &str) -> Recorder {
        let mut hasher = DefaultHasher::new();
        note.hash(&mut hasher);
        let mut recorders = self.recorders.lock().unwrap_or_else(PoisonError::into_inner);
        recorders.retain(|_, (_, used)| used.elapsed() < COUNTED);
        let (recorder, used) = recorders.entry(hasher.finish()).or_insert_with(|| {
            let recorder = Recorder::new(self.client.clone(), self.controller.as_str().into());
            (recorder, Instant::now())
        });
        *used = Instant::now();
        recorder.clone()
    }

    /// Writes an event about the object. `reason` and `action` are words in `CamelCase`; `note` is for people, and cut
    /// where the API server would refuse it. A failure is logged and otherwise without consequence.
    pub async fn report(&self, object: &ObjectReference, weight: Weight, reason: &str, action: &str, note: &str) {
        let note = fitting(note);
        let event = Event {
            type_: match weight {
                Weight::Normal => EventType::Normal,
                Weight::Warning => EventType::Warning,
            },
            reason: cut(reason, REASON_LIMIT).to_owned(),
            note: Some(note.to_string()),
            action: cut(action, REASON_LIMIT).to_owned(),
            secondary: None,
        };
        let name = format!(
            "{} {}",
            object.kind.as_deref().unwrap_or("object"),
            object.name.as_deref().unwrap_or("without a name")
        );
        let recorder = self.recorder(&note);
        if let Err(error) = call("write an event about", &name, recorder.publish(&event, object)).await {
            warn!(reason, %error, "an event was not written");
        }
    }
}

/// A note that an event takes: a longer one is cut behind a word, and says so.
fn fitting(note: &str) -> Cow<'_, str> {
    if note.len() <= NOTE_LIMIT {
        return Cow::Borrowed(note);
    }
    let start = cut(note, NOTE_LIMIT - CUT.len());
    let words = start.rsplit_once(char::is_whitespace).map_or(start, |(words, _)| words);
    let told = if start.len() - words.len() > WORD { start } else { words };
    Cow::Owned(format!("{told}{CUT}"))
}

/// The longest start of `text` that has at most `limit` bytes and ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    #[test]
    fn a_note_that_is_too_long_ends_with_a_word_and_says_so() {
        assert_eq!(fitting("short"), "short");
        let whole = "words ".repeat(170) + "end.";
        assert_eq!((whole.len(), fitting(&whole)), (1024, Cow::Borrowed(whole.as_str())));
        let long = "role/uncut-c2fb6a53 ".repeat(60);
        let told = fitting(&long);
        assert!(
            told.len() <= 1024 && told.ends_with("role/uncut-c2fb6a53 … (cut)"),
            "{told}"
        );
        // One long word is cut all the same, between characters.
        for start in ["", "a"] {
            let long = format!("{start}{}", "ü".repeat(600));
            let told = fitting(&long);
            assert!(
                (1000..=1024).contains(&told.len()) && told.ends_with("ü … (cut)"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(cut("short", REASON_LIMIT), "short");
        assert_eq!(cut(&"ü".repeat(70), REASON_LIMIT).len(), 128);
        assert_eq!(cut(&format!("a{}", "ü".repeat(70)), REASON_LIMIT).len(), 127);
        assert_eq!(cut("", 0), "");
    }

    #[tokio::test]
    async fn what_differs_is_told_anew_and_what_is_the_same_is_counted() {
        let made = |name: &str| (201, json!({ "metadata": { "name": name } }));
        let (client, asked) = answering([made("a"), made("b"), made("a")]);
        let reporter = Reporter::new(client, "example.com/controller");
        let about = ObjectReference::default();
        for note in ["one", "another", "one"] {
            reporter.report(&about, Weight::Warning, "Mended", "Mend", note).await;
        }
        let asked = asked.lock().unwrap();
        let methods: Vec<&str> = asked.iter().map(|(line, _)| line.split(' ').next().unwrap()).collect();
        assert_eq!(methods, ["POST", "POST", "PATCH"]);
        assert_eq!(asked[1].1["note"], "another");
        assert_eq!(asked[2].1["series"]["count"], 2);
    }

    #[tokio::test]
    async fn an_event_about_a_cluster_scoped_object_lands_in_default_and_a_refusal_ends_nothing() {
        let (client, asked) = answering([(201, json!({ "metadata": { "name": "e" } })), refusal(403, "Forbidden")]);
        let reporter = Reporter::new(client, "example.com/controller");
        let node = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some("n".to_owned()),
            ..ObjectReference::default()
        };
        reporter
            .report(&node, Weight::Warning, "Denied", "Reconcile", &"x".repeat(2000))
            .await;
        reporter
            .report(&node, Weight::Normal, "Other", "Reconcile", "note")
            .await;
        let asked = asked.lock().unwrap();
        assert!(
            asked[0]
                .0
                .starts_with("POST /apis/events.k8s.io/v1/namespaces/default/events"),
            "{}",
            asked[0].0
        );
        assert_eq!(asked[0].1["type"], "Warning");
        assert_eq!(asked[0].1["note"].as_str().unwrap().len(), NOTE_LIMIT);
        assert_eq!(asked.len(), 2);
    }
}
