//! Why a step was not done, and what stopped a plan.

use crate::{
    aws::{AwsError, ErrorKind},
    kubernetes::KubernetesError,
};

use super::{
    blocked::Blocked,
    error,
    step::{Part, Step},
};

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// AWS refused or could not be reached.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The API server refused or could not be reached.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// A step in an account that was not entered.
    #[error("the account was not entered")]
    NotEntered,
    /// The pass ran out of time before the step was begun.
    #[error("the pass ran out of time before this step")]
    OutOfTime,
    /// The operator is stopping.
    #[error("the operator is stopping; the next one goes on")]
    Stopping,
}

impl Failure {
    /// Whether only a person can mend it: a try without one fails in the same way.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Aws(cause) => error::stalled(cause),
            Self::Kubernetes(_) | Self::NotEntered | Self::OutOfTime | Self::Stopping => false,
        }
    }
}

/// What stopped a plan.
#[derive(Debug)]
pub enum Stop {
    /// AWS needs time.
    Blocked(Blocked),
    /// A step failed.
    Failed(Part, Failure),
}

/// A role that was made: what makes it ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeRole {
    /// Its ARN.
    pub arn: String,
    /// Its unique ID.
    pub id: String,
}

/// An access entry that a pass made its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurEntry {
    /// Its ARN.
    pub arn: String,
    /// The unique ID of the role that it is for.
    pub role_id: Option<String>,
    /// Whether others made it, and it was taken over.
    pub taken_over: bool,
}

/// A cluster Secret of ours, by what no other has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurSecret {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Whether it was taken over from others.
    pub adopted: bool,
}

/// What a step made or took over: a role, an access entry, a Secret, or nothing.
#[derive(Default)]
pub(super) struct Made {
    pub(super) role: Option<MadeRole>,
    pub(super) entry: Option<OurEntry>,
    pub(super) secret: Option<OurSecret>,
}

impl Made {
    pub(super) fn role(role: MadeRole) -> Self {
        Self {
            role: Some(role),
            ..Self::default()
        }
    }

    pub(super) fn entry(entry: Option<OurEntry>) -> Self {
        Self {
            entry,
            ..Self::default()
        }
    }
}

/// What AWS says while a write is on its way everywhere is a wait, not an error (reference: IAM user guide,
/// "Changes that I make are not always immediately visible").
pub(super) fn stop(step: &Step, failure: Failure) -> Stop {
    let Failure::Aws(error) = &failure else {
        return Stop::Failed(step.part(), failure);
    };
    let what = match (step, error.kind) {
        (Step::CreateAccessEntry { .. }, ErrorKind::InvalidPrincipal) => "the new deployer role",
        (Step::Associate { .. } | Step::Rescope { .. } | Step::Reassociate { .. }, ErrorKind::EntryNotVisible) => {
            "the new access entry"
        }
        (Step::CreateRole { .. }, ErrorKind::AlreadyExists) => "an earlier change of the deployer role",
        (Step::CreateAccessEntry { .. }, ErrorKind::AlreadyExists) => "an earlier change of the access entry",
        (_, ErrorKind::Conflict) => "another change of the same thing",
        _ => return Stop::Failed(step.part(), failure),
    };
    Stop::Blocked(Blocked::Propagating { what: what.to_owned() })
}
