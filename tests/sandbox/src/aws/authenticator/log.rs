//! What the authenticators said, for tests to read: never a token, only what was found of it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::aws::service::eks::{Key, Unmapped};

/// How many reviews are kept; older ones are forgotten.
const MAX_REVIEWS: usize = 10_000;

/// Why a token was refused. The API server tells its client nothing but 401; on EKS these words stand in the
/// authenticator's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token is not a presigned `GetCallerIdentity` as it must be. STS was not asked.
    #[error("input token was not properly formatted: {0}")]
    Format(String),
    /// STS did not say whose it is.
    #[error("sts getCallerIdentity failed: {0}")]
    Sts(String),
    /// It is somebody's who has no access to this cluster.
    #[error("access denied because ARN is not mapped: {arn}: {why}")]
    Unmapped {
        /// As STS gave it.
        arn: String,
        /// What was looked for and not found.
        why: Unmapped,
    },
}

/// A user as the API server is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user name, its variables filled in.
    pub username: String,
    /// The groups of the access entry, or of `aws-auth`.
    pub groups: Vec<String>,
    /// `aws-iam-authenticator:ACCOUNT:AROA...`.
    pub uid: String,
    /// Who it is in STS.
    pub arn: String,
}

/// A token that was shown to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenReview {
    /// Counts from zero.
    pub sequence: u64,
    /// When, by the authenticators' clock.
    pub at: Timestamp,
    /// Account, region and name of the cluster.
    pub cluster: (String, String, String),
    /// Who it was, or why it was refused.
    pub outcome: Result<User, Refusal>,
}

#[derive(Default)]
struct State {
    reviews: VecDeque<TokenReview>,
    next: u64,
}

/// Every token that was shown to a cluster. The API server itself remembers a token that was accepted for 10 s and does
/// not ask again in that time.
#[derive(Default)]
pub struct ReviewLog {
    state: Mutex<State>,
}

impl ReviewLog {
    /// A place in the log, for [`ReviewLog::since`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// Every review from a mark on.
    #[must_use]
    pub fn since(&self, mark: u64) -> Vec<TokenReview> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.reviews.partition_point(|review| review.sequence < mark);
        state.reviews.range(first..).cloned().collect()
    }

    /// Why the last token was refused; `None` if it was accepted, or there was none.
    #[must_use]
    pub fn last_refusal(&self) -> Option<Refusal> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reviews.back()?.outcome.clone().err()
    }

    pub(super) fn write(&self, at: Timestamp, cluster: &Key, outcome: Result<User, Refusal>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = state.next;
        state.next += 1;
        if state.reviews.len() == MAX_REVIEWS {
            state.reviews.pop_front();
        }
        state.reviews.push_back(TokenReview {
            sequence,
            at,
            cluster: cluster.clone(),
            outcome,
        });
    }
}
