//! Which steps do not wait for one that only a person can mend.
//!
//! The provider, the tags, the description and the length of sessions give nobody anything and hold nobody back: what was
//! refused there stands in nobody's way. The boundary holds what the role may do, and its trust policy who may act as it.
//! While one of the two is not ours, nothing is given to the role: whoever else may act as it would get it too. What takes
//! away goes on all the same, and never mattered more. Of a permission policy that does both, what takes away is done.
//!
//! A role that is deleted, or made afresh, goes step by step: the first that is refused ends that.

use crate::policy::Difference;

use super::step::Step;

impl Step {
    /// What of the step is done after all of `failed` have failed in a way that only a person mends; `None` where nothing is.
    #[must_use]
    pub fn despite(&self, failed: &[&Self]) -> Option<&Self> {
        if failed.is_empty() {
            return Some(self);
        }
        if !failed.iter().all(|failed| failed.mends()) {
            return None;
        }
        let unbounded = failed.iter().any(|failed| matches!(failed, Self::SetBoundary { .. }));
        let open = failed.iter().any(|failed| matches!(failed, Self::SetTrust { .. }));
        match self {
            // Argo CD's own service accounts come back with it, and a stranger who stands there is worse.
            Self::SetTrust { differences, .. } => (!unbounded || takes_away(differences)).then_some(self),
            Self::PutPolicy { document, taking, .. } if unbounded || open => match taking.as_deref() {
                Some(Self::PutPolicy { document: less, .. }) if less == document => Some(self),
                less => less,
            },
            Self::CreateOidcProvider { .. }
            | Self::AddAudience { .. }
            | Self::SetBoundary { .. }
            | Self::TagRole { .. }
            | Self::UpdateRole { .. }
            | Self::PutPolicy { .. }
            | Self::DeletePolicy { .. } => Some(self),
            Self::CreateRole { .. } | Self::DeleteRole { .. } => None,
        }
    }

    /// Whether it puts back what is not as it should be on a role that stays.
    fn mends(&self) -> bool {
        match self {
            Self::CreateOidcProvider { .. }
            | Self::AddAudience { .. }
            | Self::SetBoundary { .. }
            | Self::SetTrust { .. }
            | Self::TagRole { .. }
            | Self::UpdateRole { .. } => true,
            Self::CreateRole { .. } | Self::DeleteRole { .. } | Self::PutPolicy { .. } | Self::DeletePolicy { .. } => {
                false
            }
        }
    }
}

/// Whether the role that the steps are for stays, so that one that is refused need not end them all.
pub(super) fn keeps_the_role(steps: &[Step]) -> bool {
    !steps
        .iter()
        .any(|step| matches!(step, Step::CreateRole { .. } | Step::DeleteRole { .. }))
}

/// Whether something that was found goes.
fn takes_away(differences: &[Difference]) -> bool {
    differences.iter().any(|difference| match difference {
        Difference::Unreadable | Difference::Surplus(_) => true,
        Difference::Element { surplus, .. } => !surplus.is_empty(),
        Difference::Version { .. } | Difference::Missing(_) => false,
    })
}
