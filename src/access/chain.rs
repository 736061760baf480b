//! The chain from Argo CD's pods to the Kubernetes API of a cluster: its hops in order, and what a walk found at each.
//! Pure, and without anything secret: no value here ever holds a token.

use std::fmt;

use serde::Serialize;

use super::reason::Reason;
use crate::text::without_passwords;

/// A hop of the chain, in the order in which Argo CD takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Hop {
    /// Each ServiceAccount is there, bound to the management role, and its pods have started since.
    ServiceAccount,
    /// A token of the ServiceAccount, for STS.
    Token,
    /// The token, exchanged for the management role.
    ManagementRole,
    /// From the management role into the deployer role.
    DeployerRole,
    /// The API server is reached, and shows the certificate that the cluster Secret expects.
    Endpoint,
    /// The API server takes the EKS token: an access entry maps the deployer role.
    Authentication,
    /// The access policies or groups allow what Argo CD does.
    Authorization,
    /// Argo CD reads the cluster Secret, and a project admits the destination.
    ArgoCd,
}

impl Hop {
    /// All hops, in order.
    pub const ALL: [Self; 8] = [
        Self::ServiceAccount,
        Self::Token,
        Self::ManagementRole,
        Self::DeployerRole,
        Self::Endpoint,
        Self::Authentication,
        Self::Authorization,
        Self::ArgoCd,
    ];

    /// The hop in words, for a table.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service accounts",
            Self::Token => "token",
            Self::ManagementRole => "management role",
            Self::DeployerRole => "deployer role",
            Self::Endpoint => "endpoint",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::ArgoCd => "Argo CD",
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What is wrong at a hop, for the person who must act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What it is.
    pub reason: Reason,
    /// What failed, on which resource, in the words of whoever refused. Never a token, and no request ID: what differs
    /// from try to try would make each try a change.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// What else it may be, where nobody says which: only for [`Reason::Undetermined`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Reason>,
}

impl Trouble {
    /// What is wrong; no URL in it shows a password, and no text of others commands the terminal that shows it.
    pub fn new(reason: Reason, message: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Self {
            reason,
            message: on_one_line(&without_passwords(message.as_ref())),
            next: on_one_line(&without_passwords(next.as_ref())),
            candidates: Vec::new(),
        }
    }
}

fn on_one_line(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// What a walk found at a hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict")]
pub enum Found {
    /// It holds.
    Passed {
        /// What was seen, in a few words.
        seen: String,
        /// What that leaves open, and whoever reads that the chain holds should know.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// It is broken.
    Failed(Trouble),
    /// It could not be looked at from here: no proof either way.
    Unknown(Trouble),
    /// An earlier hop is broken.
    NotReached,
}

/// A whole walk: one finding for each hop, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// The hops that were looked at. A hop that is missing was not reached.
    pub hops: std::collections::BTreeMap<Hop, Found>,
}

impl Walk {
    /// What was found at a hop.
    #[must_use]
    pub fn at(&self, hop: Hop) -> &Found {
        self.hops.get(&hop).unwrap_or(&Found::NotReached)
    }

    /// The first hop that is broken, and what is wrong there.
    #[must_use]
    pub fn broken(&self) -> Option<(Hop, &Trouble)> {
        self.hops.iter().find_map(|(hop, found)| match found {
            Found::Failed(trouble) => Some((*hop, trouble)),
            Found::Passed { .. } | Found::Unknown(_) | Found::NotReached => None,
        })
    }

    /// The first hop that could not be looked at.
    #[must_use]
    pub fn unknown(&self) -> Option<(Hop, &Trouble)> {
        self.hops.iter().find_map(|(hop, found)| match found {
            Found::Unknown(trouble) => Some((*hop, trouble)),
            Found::Passed { .. } | Found::Failed(_) | Found::NotReached => None,
        })
    }

    /// Whether every hop was seen to hold.
    #[must_use]
    pub fn holds(&self) -> bool {
        Hop::ALL.iter().all(|hop| matches!(self.at(*hop), Found::Passed { .. }))
    }
}

/// One object, as somebody who asked for it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The `ManagedCluster`'s name.
    pub name: String,
    /// The EKS cluster's ARN, where it is known.
    pub cluster: Option<String>,
    /// The walk, or why there was none.
    pub walk: Result<Walk, Trouble>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_commands_no_terminal() {
        let told = Trouble::new(Reason::Forbidden, "said:\n\u{1b}[2Jgone\u{9b}", "do\rthis");
        assert_eq!(told.message, "said: \u{fffd}[2Jgone\u{fffd}");
        assert_eq!(told.next, "do this");
    }
}
