//! What one look at the hub shows: Argo CD's Applications and Mooring's objects, in words.

use std::fmt::Write;

use serde_json::Value;

use crate::stage::{is_ready, ready};

/// How much of a message is shown.
const LONGEST_MESSAGE: usize = 260;

/// An Application of Argo CD's, as it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Application {
    pub(super) name: String,
    pub(super) cluster: String,
    pub(super) sync: String,
    pub(super) health: String,
    pub(super) revision: String,
    /// The phase of its last sync operation, and that operation's revision.
    pub(super) operation: (String, String),
    /// What Argo CD says is wrong.
    pub(super) trouble: Option<String>,
}

impl Application {
    pub(super) fn of(object: &Value) -> Self {
        let text = |path: &str| {
            object
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let operation = text("/status/operationState/phase");
        let said = text("/status/operationState/message");
        // While it tries again, the phase is Running and the message tells of the failure.
        let failing = matches!(operation.as_str(), "Failed" | "Error") || said.contains("Retrying attempt");
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let errors = conditions
            .into_iter()
            .flatten()
            .filter(|condition| condition["type"].as_str().is_some_and(|kind| kind.ends_with("Error")))
            .map(|condition| format!("{}: {}", word(&condition["type"]), word(&condition["message"])));
        let mut trouble: Vec<String> = failing.then_some(said).into_iter().chain(errors).collect();
        trouble.sort();
        trouble.dedup();
        Self {
            name: text("/metadata/name"),
            cluster: text("/spec/destination/name"),
            sync: text("/status/sync/status"),
            health: text("/status/health/status"),
            revision: text("/status/sync/revision"),
            operation: (operation, text("/status/operationState/syncResult/revision")),
            trouble: (!trouble.is_empty()).then(|| shortened(&trouble.join("; "))),
        }
    }

    /// Whether the revision is deployed, and all is well.
    pub(super) fn is_well_at(&self, revision: &str) -> bool {
        let sync = self.sync == "Synced" && self.revision == revision;
        sync && self.health == "Healthy" && self.operation == ("Succeeded".to_owned(), revision.to_owned())
    }

    /// The state in one line.
    pub(super) fn words(&self) -> String {
        let or_dash = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        let mut words = format!("{}, {}", or_dash(&self.sync), or_dash(&self.health));
        if !self.revision.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(words, ", at {}", short(&self.revision));
        }
        if !self.operation.0.is_empty() {
            let _ = write!(words, "; sync {}", self.operation.0);
        }
        if let Some(trouble) = &self.trouble {
            let _ = write!(words, ": {trouble}");
        }
        words
    }
}

/// One look.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    pub(super) applications: Vec<Application>,
    /// `ManagementRole`s and `ManagedCluster`s.
    pub(super) mooring: Vec<Value>,
}

impl Sight {
    pub(super) fn application(&self, name: &str) -> Option<&Application> {
        self.applications.iter().find(|application| application.name == name)
    }

    pub(super) fn well_at(&self, name: &str, revision: &str) -> bool {
        self.application(name).is_some_and(|found| found.is_well_at(revision))
    }

    pub(super) fn object(&self, kind: &str, name: &str) -> Option<&Value> {
        let mut objects = self.mooring.iter();
        objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }

    pub(super) fn is_ready(&self, kind: &str, name: &str) -> bool {
        self.object(kind, name).is_some_and(is_ready)
    }

    /// One line for each, behind what it is about.
    pub(super) fn lines(&self) -> Vec<(String, String)> {
        let applications = self
            .applications
            .iter()
            .map(|application| (format!("Application {}", application.name), application.words()));
        let mooring = self.mooring.iter().map(|object| {
            let about = format!("{} {}", word(&object["kind"]), word(&object["metadata"]["name"]));
            let (status, reason) = ready(object);
            let words = if status.is_empty() {
                "waiting".to_owned()
            } else {
                format!("Ready={status} ({reason}){}", why(object, &status))
            };
            (about, words)
        });
        mooring.chain(applications).collect()
    }

    /// The Applications of an earlier look and of this one as a table: what is gone is shown as it was.
    pub(super) fn table(&self, before: &Self) -> String {
        let head = ["APPLICATION", "CLUSTER", "SYNC", "HEALTH", "REVISION", "AT THE END"].map(str::to_owned);
        let gone = before
            .applications
            .iter()
            .filter(|of| self.application(&of.name).is_none());
        let gone = gone.map(|of| (of, "gone, with its cluster"));
        let all = self.applications.iter().map(|of| (of, "there")).chain(gone);
        let rows = all.map(|(of, end)| {
            [
                of.name.clone(),
                of.cluster.clone(),
                of.sync.clone(),
                of.health.clone(),
                short(&of.revision).to_owned(),
                end.to_owned(),
            ]
        });
        let rows: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..6).map(width).collect();
        let line = |row: &[String; 6]| {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
            cells.join("   ").trim_end().to_owned() + "\n"
        };
        rows.iter().map(line).collect()
    }
}

/// What a person is told to do, where `Ready` is false for a reason that does not go by itself.
fn why(object: &Value, status: &str) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let told = |reason: &Value| reason == "Paused" || reason == "ApplicationsStillTargeting";
    let found = conditions.find(|condition| condition["type"] == "Ready" && told(&condition["reason"]));
    match found {
        Some(found) if status == "False" => format!(": {}", shortened(&word(&found["message"]))),
        Some(_) | None => String::new(),
    }
}

/// The first seven digits of a revision.
pub(super) fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}

/// A text in one line that says the same each time: without counts and times of attempts.
fn shortened(text: &str) -> String {
    let text = redacted(&text.replace('\n', " "));
    let kept = text.split(" Retrying attempt").next().unwrap_or_default();
    let mut cut: String = kept.chars().take(LONGEST_MESSAGE).collect();
    if cut.len() < kept.len() {
        cut.push_str("...");
    }
    cut
}

/// A text in which nothing can be used to be somebody: EKS's bearer tokens and JSON Web Tokens are left out.
pub(super) fn redacted(text: &str) -> String {
    let token = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let mut rest = text;
    let mut told = String::with_capacity(text.len());
    while let Some(at) = ["k8s-aws-v1.", "eyJ"].iter().filter_map(|start| rest.find(start)).min() {
        told.push_str(&rest[..at]);
        told.push_str("<token>");
        rest = rest[at..].trim_start_matches(token);
    }
    told + rest
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(sync: &str, phase: &str, message: &str) -> Value {
        json!({
            "metadata": {"name": "a"}, "spec": {"destination": {"name": "prod-eu"}},
            "status": {
                "sync": {"status": sync, "revision": "0123456789abcdef"}, "health": {"status": "Healthy"},
                "operationState": {"phase": phase, "message": message, "syncResult": {"revision": "0123456789abcdef"}},
            },
        })
    }

    #[test]
    fn well_is_the_revision_deployed_by_an_operation_that_succeeded() {
        let well = Application::of(&object("Synced", "Succeeded", "successfully synced"));
        assert!(well.is_well_at("0123456789abcdef"));
        assert!(!well.is_well_at("0123456"));
        assert_eq!(well.words(), "Synced, Healthy, at 0123456; sync Succeeded");
        assert!(!Application::of(&object("OutOfSync", "Succeeded", "")).is_well_at("0123456789abcdef"));
        assert!(!Application::of(&object("Synced", "Running", "")).is_well_at("0123456789abcdef"));
    }

    #[test]
    fn trouble_is_told_alike_at_every_attempt() {
        let first = "Unauthorized. Retrying attempt #1 at 7:46PM.";
        let running = Application::of(&object("OutOfSync", "Running", first));
        assert_eq!(running.trouble.as_deref(), Some("Unauthorized."));
        let again = Application::of(&object("OutOfSync", "Running", &first.replace("#1", "#2")));
        assert_eq!(running, again);
        let mut unknown = object("Unknown", "Succeeded", "fine");
        unknown["status"]["conditions"] = json!([
            {"type": "ComparisonError", "message": "failed to load"}, {"type": "OrphanedResourceWarning", "message": "x"}]);
        assert_eq!(
            Application::of(&unknown).trouble.as_deref(),
            Some("ComparisonError: failed to load")
        );
    }

    #[test]
    fn no_token_is_told() {
        let text = "exec: k8s-aws-v1.aHR0cHM_x-y= and \"eyJhbGciOi.J9-_.abc\" end";
        assert_eq!(redacted(text), "exec: <token> and \"<token>\" end");
        assert_eq!(redacted("nothing here"), "nothing here");
    }

    #[test]
    fn the_table_is_laid_out() {
        let stays = Application::of(&object("Synced", "Succeeded", ""));
        let goes = Application {
            name: "b".into(),
            ..stays.clone()
        };
        let sight = |applications: &[&Application]| Sight {
            applications: applications.iter().map(|of| (*of).clone()).collect(),
            mooring: Vec::new(),
        };
        let table = "\
APPLICATION   CLUSTER   SYNC     HEALTH    REVISION   AT THE END
a             prod-eu   Synced   Healthy   0123456    there
b             prod-eu   Synced   Healthy   0123456    gone, with its cluster
";
        assert_eq!(sight(&[&stays]).table(&sight(&[&stays, &goes])), table);
    }
}
