//! What the process still waits for before it does its work.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// The gates that must all be open for the process to be ready. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
    notes: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

/// One gate of a [`Readiness`]. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    name: &'static str,
    readiness: Readiness,
}

/// Whether all gates are open, and a line for each, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// True when every gate is open.
    pub ready: bool,
    /// A line for each gate and note, by name, as the Kubernetes API server writes its own: `[+]store` or
    /// `[-]store: waiting for the first list`.
    pub lines: String,
}

impl Readiness {
    /// Adds a gate that is shut: `waiting_for` completes the sentence "waiting for …".
    #[must_use]
    pub fn gate(&self, name: &'static str, waiting_for: impl Into<String>) -> Gate {
        let gate = Gate {
            name,
            readiness: self.clone(),
        };
        gate.wait_for(waiting_for);
        gate
    }

    /// Adds a line to the report that keeps nothing from being ready.
    pub fn note(&self, name: &'static str, text: impl Into<String>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.insert(name, text.into());
    }

    /// How the gates stand now. Without a gate there is nothing to wait for.
    #[must_use]
    pub fn report(&self) -> Report {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for (name, waiting_for) in &*gates {
            // Writing to a String cannot fail.
            let _ = match waiting_for {
                None => writeln!(lines, "[+]{name}"),
                Some(waiting_for) => writeln!(lines, "[-]{name}: waiting for {waiting_for}"),
            };
        }
        for (name, text) in &*self.notes.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(lines, "[+]{name}: {text}");
        }
        Report {
            ready: gates.values().all(Option::is_none),
            lines,
        }
    }

    fn set(&self, name: &'static str, waiting_for: Option<String>) {
        self.gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, waiting_for);
    }
}

impl Gate {
    /// Opens the gate.
    pub fn open(&self) {
        self.readiness.set(self.name, None);
    }

    /// Shuts the gate, or says anew what it waits for.
    pub fn wait_for(&self, waiting_for: impl Into<String>) {
        self.readiness.set(self.name, Some(waiting_for.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_must_be_open_and_the_report_says_which_is_not() {
        let readiness = Readiness::default();
        let store = readiness.gate("store", "the first list");
        let crd = readiness.gate("crd", "the CustomResourceDefinition");
        store.open();
        assert_eq!(
            readiness.report(),
            Report {
                ready: false,
                lines: "[-]crd: waiting for the CustomResourceDefinition\n[+]store\n".to_owned()
            }
        );
        crd.open();
        assert!(readiness.report().ready);
    }

    #[test]
    fn a_note_is_told_and_keeps_nothing_from_being_ready() {
        let readiness = Readiness::default();
        readiness.gate("store", "the first list").open();
        readiness.clone().note("read-only", "nothing is written");
        assert_eq!(
            readiness.report(),
            Report {
                ready: true,
                lines: "[+]store\n[+]read-only: nothing is written\n".to_owned()
            }
        );
    }

    #[test]
    fn a_gate_can_shut_again() {
        let readiness = Readiness::default();
        let lease = readiness.gate("lease", "the lease");
        lease.open();
        lease.wait_for("the lease, which another replica holds");
        assert_eq!(
            readiness.report().lines,
            "[-]lease: waiting for the lease, which another replica holds\n"
        );
    }
}
