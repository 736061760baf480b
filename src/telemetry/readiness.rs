//! What the process still waits for before it does its work.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// The gates that must all be open for the process to be ready. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open(Option<String>),
    WaitingFor(String),
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
        self.set(name, State::Open(Some(text.into())));
    }

    /// How the gates stand now. Without a gate there is nothing to wait for.
    #[must_use]
    pub fn report(&self) -> Report {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for (name, state) in &*gates {
            // Writing to a String cannot fail.
            let _ = match state {
                State::Open(None) => writeln!(lines, "[+]{name}"),
                State::Open(Some(note)) => writeln!(lines, "[+]{name}: {note}"),
                State::WaitingFor(what) => writeln!(lines, "[-]{name}: waiting for {what}"),
            };
        }
        Report {
            ready: gates.values().all(|state| matches!(state, State::Open(_))),
            lines,
        }
    }

    fn set(&self, name: &'static str, state: State) {
        self.gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, state);
    }
}

impl Gate {
    /// Opens the gate.
    pub fn open(&self) {
        self.readiness.set(self.name, State::Open(None));
    }

    /// Opens the gate, with a word on how things stand.
    pub fn open_as(&self, note: impl Into<String>) {
        self.readiness.set(self.name, State::Open(Some(note.into())));
    }

    /// Shuts the gate, or says anew what it waits for.
    pub fn wait_for(&self, waiting_for: impl Into<String>) {
        self.readiness.set(self.name, State::WaitingFor(waiting_for.into()));
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
                lines: "[+]read-only: nothing is written\n[+]store\n".to_owned()
            }
        );
    }

    #[test]
    fn a_gate_can_shut_again() {
        let readiness = Readiness::default();
        let lease = readiness.gate("lease", "the lease");
        lease.open_as("standing by; b holds it");
        assert_eq!(
            readiness.report(),
            Report {
                ready: true,
                lines: "[+]lease: standing by; b holds it\n".to_owned()
            }
        );
        lease.wait_for("the lease, which another replica holds");
        assert_eq!(
            readiness.report().lines,
            "[-]lease: waiting for the lease, which another replica holds\n"
        );
    }
}
