//! How a cluster Secret that was found differs from the one wanted.

use std::collections::BTreeSet;

use serde::Serialize;

/// How a Secret that was found differs from the one wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What of ours is missing, changed, or ours and no longer wanted, by name: it goes with one apply.
    pub changed: BTreeSet<String>,
    /// Argo CD's keys that somebody else set and that the spec does not. One that is ours goes with the apply.
    pub null: BTreeSet<String>,
}

impl Difference {
    /// What of it is in `data`, by name.
    #[must_use]
    pub fn in_data(&self) -> BTreeSet<String> {
        let null = self.null.iter().map(|key| format!("{DATA}{key}"));
        self.changed_data().cloned().chain(null).collect()
    }

    /// What of it is in `data` and is given another value, by name.
    pub fn changed_data(&self) -> impl Iterator<Item = &String> {
        self.changed.iter().filter(|what| what.starts_with(DATA))
    }
}

/// How a key of `data` is named among what differs.
const DATA: &str = "data ";
