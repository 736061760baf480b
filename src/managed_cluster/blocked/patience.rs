//! When to look again at what stands in the way, and what a removal waits for as a whole.

use super::Blocked;

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
