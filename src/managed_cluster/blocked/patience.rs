//! When to look again at what stands in the way.

use super::Blocked;

impl Blocked {
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
