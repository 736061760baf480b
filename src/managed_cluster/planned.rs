//! A plan, as data: the writes in order, and what stands in the way of the rest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{blocked::Blocked, part::Part, step::Step, words::unrecorded};

/// Something that only a deletion heals. Two looks, some time apart, must agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspicion {
    /// The unique ID of a role that bears our tags and that we did not record.
    pub role_id: Option<String>,
    /// The role ID that the access entry was made for, where that is not the role's.
    pub entry_made_for: Option<String>,
    /// The unique ID of the role that the access entry is older than, where nothing tells which it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_older_than: Option<String>,
}

impl Suspicion {
    /// What it is, for a message.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self {
            role_id,
            entry_made_for,
            entry_older_than,
        } = self;
        if let Some(id) = role_id {
            unrecorded(id)
        } else if let Some(id) = entry_made_for {
            if id.is_empty() {
                "the access entry does not say for which role it was made".to_owned()
            } else {
                format!(
                    "the access entry was made for role ID {id}, which is not the deployer role's any more, and by it nobody is let in"
                )
            }
        } else {
            let id = entry_older_than.as_deref().unwrap_or_default();
            format!(
                "the access entry is older than the deployer role (ID {id}), so it was made for one that is gone and lets nobody in: the entry is made afresh"
            )
        }
    }
}

/// What to do, and what stands in the way. The same observation always leads to the same plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What stands in the way of the rest.
    pub blocked: Vec<Blocked>,
    /// What others wrote on things that were taken over, and what is therefore left there, by part of the chain.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<Part, Vec<String>>,
    /// What a second look must confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<Suspicion>,
    /// Whether the cluster Secret is kept as the spec says although something stands in the way before it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_secret: bool,
}

impl Plan {
    /// Whether a role or an access entry that others made is taken over.
    #[must_use]
    pub fn adopts(&self) -> bool {
        let adopts = |step: &Step| matches!(step, Step::AdoptRole { .. } | Step::AdoptAccessEntry { .. });
        self.steps.iter().any(adopts)
    }

    /// A plan that only waits.
    #[must_use]
    pub fn waiting(blocked: Blocked) -> Self {
        Self {
            blocked: vec![blocked],
            ..Self::default()
        }
    }

    /// What stands in the way first, notes aside.
    #[must_use]
    pub fn in_the_way(&self) -> Option<&Blocked> {
        self.blocked.iter().find(|blocked| !blocked.is_note())
    }

    /// Whether there is nothing to do and nothing in the way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.steps.is_empty() && self.blocked.iter().all(Blocked::is_note)
    }
}
