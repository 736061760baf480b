//! Kubernetes events: what a person sees under `kubectl describe`. Never worth failing a pass for.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder},
};
use tracing::warn;

use super::error::call;

/// The API server's limit for a note, in bytes (`events.k8s.io/v1`, `Event.note`).
const NOTE_LIMIT: usize = 1024;

/// The API server's limit for a reason and an action, in characters (`events.k8s.io/v1`, `Event.reason`).
const REASON_LIMIT: usize = 128;

/// How an event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something happened as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Reports events under one controller's name. Equal events (all but the note) within six minutes are counted as one.
/// Those of cluster-scoped objects land in the namespace `default`.
#[derive(Clone)]
pub struct Reporter {
    recorder: Recorder,
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
            recorder: Recorder::new(client, controller.into()),
        }
    }

    /// Writes an event about the object. `reason` and `action` are words in `CamelCase`; `note` is for people, and cut
    /// where the API server would refuse it. A failure is logged and otherwise without consequence.
    pub async fn report(&self, object: &ObjectReference, weight: Weight, reason: &str, action: &str, note: &str) {
        let event = Event {
            type_: match weight {
                Weight::Normal => EventType::Normal,
                Weight::Warning => EventType::Warning,
            },
            reason: cut(reason, REASON_LIMIT).to_owned(),
            note: Some(cut(note, NOTE_LIMIT).to_owned()),
            action: cut(action, REASON_LIMIT).to_owned(),
            secondary: None,
        };
        let name = format!(
            "{} {}",
            object.kind.as_deref().unwrap_or("object"),
            object.name.as_deref().unwrap_or("without a name")
        );
        if let Err(error) = call("write an event about", &name, self.recorder.publish(&event, object)).await {
            warn!(reason, %error, "an event was not written");
        }
    }
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
    fn a_note_is_cut_between_characters() {
        assert_eq!(cut("short", NOTE_LIMIT), "short");
        let long = "ü".repeat(600);
        assert_eq!(cut(&long, NOTE_LIMIT).len(), 1024);
        assert_eq!(cut(&format!("a{long}"), NOTE_LIMIT).len(), 1023);
        assert_eq!(cut("", 0), "");
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
