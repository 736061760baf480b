//! What an obstacle means for the rest: when to look again, what goes on meanwhile, and what a removal waits for as a
//! whole.

use super::Blocked;
use crate::api::condition::Verdict;

impl Blocked {
    /// Whether it holds up a removal as a whole, and is nothing that a part of the chain lacks.
    #[must_use]
    pub fn holds_removals_up(&self) -> bool {
        matches!(self, Self::RemovalsPaused { .. }) || self.asks_who_uses_the_secret()
    }

    /// Whether it comes of a cluster Secret that stands, by which somebody may use the cluster.
    #[must_use]
    pub fn asks_who_uses_the_secret(&self) -> bool {
        matches!(
            self,
            Self::ApplicationsStillTargeting { .. }
                | Self::ApplicationsMayReturn { .. }
                | Self::ApplicationsUnseen { .. }
        )
    }

    /// Whether one look alone says so, which may be a stale read: nobody is alarmed before a second agrees.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::Unconfirmed { .. })
    }

    /// What it makes of its condition.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.is_unconfirmed() {
            Verdict::Unknown
        } else {
            Verdict::False
        }
    }

    /// Whether Argo CD can use the cluster all the same, where it was moored before.
    #[must_use]
    pub fn leaves_access(&self) -> bool {
        matches!(self, Self::ForeignPolicyAttached { forged: false, .. })
    }

    /// Whether another look must agree, some time after the one that found it.
    #[must_use]
    pub fn second_look(&self) -> bool {
        matches!(
            self,
            Self::Unconfirmed { .. } | Self::ScopeUnmoved { .. } | Self::ApplicationsMayReturn { .. }
        )
    }

    /// Whether nobody tells when it ends, so that it is looked at often, although a person must act.
    #[must_use]
    pub fn polled(&self) -> bool {
        matches!(
            self,
            Self::ApplicationsStillTargeting { .. } | Self::ApplicationsUnseen { .. }
        )
    }
}
