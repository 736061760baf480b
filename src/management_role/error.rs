//! Why a pass over a `ManagementRole` failed, and what that means for its conditions.

use crate::{
    api::condition::Verdict,
    aws::{AwsError, Call, ErrorKind},
    kubernetes::{KubernetesError, drive::Panicked},
    managed_cluster::{OPERATOR_STOPPING, in_words},
};

use super::{apply::Failure, request::Refusal, step::Part};

/// A pass that could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS refused or could not be reached.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The API server refused or could not be reached.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// The pass took longer than it may.
    #[error("the pass took longer than its deadline of {0} s: AWS answers too slowly")]
    Deadline(u64),
    /// A step failed; its part is known.
    #[error("{1}")]
    Step(Part, Failure),
    /// The object cannot be read.
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    /// The object cannot be read, and stays.
    #[error(
        "the object cannot be read: {why}. Correct that where the object comes from, or with `kubectl edit mgr {name}`; until then nothing is made or changed for it and the clusters that name it, and what was made is kept"
    )]
    Invalid {
        /// Its name.
        name: String,
        /// Which field, and what is wrong with it.
        why: String,
    },
    /// A removal cannot read the spec.
    #[error("the removal cannot go on: {0}")]
    Refused(#[from] Refusal),
    /// The operator is stopping.
    #[error("the operator is stopping")]
    ShuttingDown,
    /// A fault of ours.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// What a failure says to the person who reads the status.
pub(super) struct Telling {
    pub part: Part,
    pub verdict: Verdict,
    pub reason: &'static str,
    pub stalled: bool,
}

impl Error {
    /// A static word for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Aws(error) | Self::Step(_, Failure::Aws(error)) => error.kind.label(),
            Self::Kubernetes(error) => error.failure().label(),
            Self::Deadline(_) | Self::Step(_, Failure::OutOfTime) => "deadline",
            Self::Unreadable(_) | Self::Invalid { .. } | Self::Refused(_) => "unreadable",
            Self::ShuttingDown | Self::Step(_, Failure::Stopping) => "shutting_down",
            Self::Panicked(_) => "fault",
        }
    }

    /// The failure in words, with what to do next.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Aws(error) | Self::Step(_, Failure::Aws(error)) => in_words(error),
            Self::Kubernetes(_)
            | Self::Deadline(_)
            | Self::Step(_, Failure::OutOfTime | Failure::Stopping)
            | Self::Unreadable(_)
            | Self::Invalid { .. }
            | Self::Refused(_)
            | Self::ShuttingDown
            | Self::Panicked(_) => self.to_string(),
        }
    }

    pub(super) fn telling(&self) -> Telling {
        let unknown = |part, reason| Telling {
            part,
            verdict: Verdict::Unknown,
            reason,
            stalled: false,
        };
        match self {
            Self::Aws(error) => aws(error, part(error.call)),
            Self::Step(part, Failure::Aws(error)) => aws(error, *part),
            Self::Step(part, Failure::OutOfTime) => unknown(*part, "TimedOut"),
            Self::Step(part, Failure::Stopping) => unknown(*part, OPERATOR_STOPPING),
            Self::Kubernetes(_) => unknown(Part::Hub, "KubernetesError"),
            Self::Deadline(_) => unknown(Part::Hub, "TimedOut"),
            Self::Unreadable(_) | Self::Invalid { .. } | Self::Refused(_) => Telling {
                part: Part::Hub,
                verdict: Verdict::False,
                reason: "InvalidSpec",
                stalled: true,
            },
            Self::ShuttingDown => unknown(Part::Hub, OPERATOR_STOPPING),
            Self::Panicked(_) => unknown(Part::Hub, "OperatorFault"),
        }
    }
}

/// Whether only a person can mend what AWS refused.
pub(super) fn stalled(error: &AwsError) -> bool {
    aws(error, part(error.call)).stalled
}

fn part(call: Call) -> Part {
    match call.row().operation {
        "AssumeRole" | "DescribeCluster" | "GetCallerIdentity" => Part::Hub,
        operation if operation.contains("OpenID") => Part::OidcProvider,
        operation if operation.contains("RolePolic") => Part::Policy,
        _ => Part::Role,
    }
}

fn aws(error: &AwsError, part: Part) -> Telling {
    // HubReady turns False only when AWS itself says that the hub is another cluster: clusters stop at that.
    let broken = |reason| {
        let verdict = if part == Part::Hub {
            Verdict::Unknown
        } else {
            Verdict::False
        };
        Telling {
            part,
            verdict,
            reason,
            stalled: true,
        }
    };
    let unknown = |reason| Telling {
        part,
        verdict: Verdict::Unknown,
        reason,
        stalled: false,
    };
    match error.kind {
        ErrorKind::Denied if error.call == Call::AssumeRole => broken("AccountNotEntered"),
        ErrorKind::Denied => broken("AccessDenied"),
        ErrorKind::LimitExceeded => broken("LimitExceeded"),
        ErrorKind::Invalid | ErrorKind::InvalidPrincipal => broken("Refused"),
        ErrorKind::HasPolicies => broken("ForeignPolicyAttached"),
        ErrorKind::BoundaryMissing => broken("BoundaryMissing"),
        ErrorKind::RegionDisabled => broken("RegionDisabled"),
        ErrorKind::CredentialsUnavailable => broken("NoCredentials"),
        ErrorKind::Throttled => unknown("Throttled"),
        ErrorKind::Unreachable => unknown("Unreachable"),
        ErrorKind::ServerError => unknown("AwsFailure"),
        ErrorKind::ShuttingDown => unknown(OPERATOR_STOPPING),
        ErrorKind::AccessEntriesDisabled
        | ErrorKind::ClusterNotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::EntryNotVisible
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::Unknown => unknown("AwsError"),
    }
}
