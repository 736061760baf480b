//! Why a pass failed, and what that means for the object's conditions.

use crate::{
    api::condition::Verdict,
    aws::{AwsError, Call, ErrorKind},
    kubernetes::{KubernetesError, drive::Panicked},
};

use super::{apply::Failure, step::Part};

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
    /// A step failed; its part of the chain is known.
    #[error("{1}")]
    Step(Part, Failure),
    /// A removal cannot read who the object was.
    #[error("the object cannot be read well enough to remove what was made for it: {0}")]
    Unreadable(String),
    /// The object cannot be read.
    #[error(
        "the object cannot be read: {why}. Correct that where the object comes from, or with `kubectl edit mgc {name}`; until then nothing is made or changed for it, and what was made is kept, access included"
    )]
    Invalid {
        /// Its name.
        name: String,
        /// Which field, and what is wrong with it.
        why: String,
    },
    /// The operator is stopping.
    #[error("the operator is stopping; the next one goes on")]
    ShuttingDown,
    /// A fault of ours.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// The reason of what an operator that stops has left undone.
pub(crate) const OPERATOR_STOPPING: &str = "OperatorStopping";

/// What a failure says to the person who reads the status.
pub(super) struct Telling {
    /// The part of the chain that it concerns.
    pub part: Part,
    /// Whether that part is broken, or only could not be looked at.
    pub verdict: Verdict,
    /// The condition's reason.
    pub reason: &'static str,
    /// Whether it ends only when a person acts.
    pub stalled: bool,
}

impl Error {
    /// A static word for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Aws(error) | Self::Step(_, Failure::Aws(error)) => error.kind.label(),
            Self::Kubernetes(error) | Self::Step(_, Failure::Kubernetes(error)) => error.failure().label(),
            Self::Deadline(_) | Self::Step(_, Failure::OutOfTime | Failure::NotEntered) => "deadline",
            Self::Unreadable(_) | Self::Invalid { .. } => "unreadable",
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
            | Self::Step(..)
            | Self::Unreadable(_)
            | Self::Invalid { .. }
            | Self::Panicked(_)
            | Self::ShuttingDown => self.to_string(),
        }
    }

    pub(super) fn telling(&self) -> Telling {
        match self {
            Self::Aws(error) => aws(error, part(error.call)),
            Self::Step(part, Failure::Aws(error)) => aws(error, *part),
            Self::Kubernetes(_) => Telling::unknown(Part::Secret, "KubernetesError"),
            Self::Step(part, Failure::Kubernetes(_)) => Telling::unknown(*part, "KubernetesError"),
            Self::Step(part, Failure::OutOfTime | Failure::NotEntered) => Telling::unknown(*part, "TimedOut"),
            Self::Step(part, Failure::Stopping) => Telling::unknown(*part, OPERATOR_STOPPING),
            Self::Deadline(_) => Telling::unknown(Part::Cluster, "TimedOut"),
            Self::Unreadable(_) | Self::Invalid { .. } => Telling {
                part: Part::Cluster,
                verdict: Verdict::False,
                reason: "InvalidSpec",
                stalled: true,
            },
            Self::ShuttingDown => Telling::unknown(Part::Cluster, OPERATOR_STOPPING),
            Self::Panicked(_) => Telling::unknown(Part::Cluster, "OperatorFault"),
        }
    }
}

impl Telling {
    fn unknown(part: Part, reason: &'static str) -> Self {
        Self {
            part,
            verdict: Verdict::Unknown,
            reason,
            stalled: false,
        }
    }
}

/// What AWS refused and what to do next. The request ID is for the log: in a status it would make every try a change,
/// and every change a write that others wake up for.
pub(crate) fn in_words(error: &AwsError) -> String {
    let error = AwsError {
        request_id: None,
        ..error.clone()
    };
    // AWS ends some of its sentences, and some it does not.
    let told = error.to_string();
    format!("{}. Next: {}", told.trim_end_matches('.'), error.hint())
}

/// Whether what AWS refused stays refused until a person acts.
pub(super) fn stalled(error: &AwsError) -> bool {
    aws(error, part(error.call)).stalled
}

/// The part of the chain that a call looks at or changes.
fn part(call: Call) -> Part {
    match call.row().operation {
        "AssumeRole" | "DescribeCluster" | "GetCallerIdentity" => Part::Cluster,
        operation if operation.contains("Access") || operation == "TagResource" => Part::AccessEntry,
        _ => Part::DeployerRole,
    }
}

fn aws(error: &AwsError, part: Part) -> Telling {
    let broken = |reason| Telling {
        part,
        verdict: Verdict::False,
        reason,
        stalled: true,
    };
    match error.kind {
        ErrorKind::Denied if error.call == Call::AssumeRole => broken("AccountNotEntered"),
        ErrorKind::Denied => broken("AccessDenied"),
        ErrorKind::LimitExceeded => broken("LimitExceeded"),
        ErrorKind::Invalid | ErrorKind::InvalidPrincipal => broken("Refused"),
        ErrorKind::HasPolicies => broken("ForeignPolicyAttached"),
        ErrorKind::BoundaryMissing => broken("BoundaryMissing"),
        ErrorKind::RegionDisabled => broken("RegionDisabled"),
        ErrorKind::AccessEntriesDisabled => broken("AccessEntriesDisabled"),
        ErrorKind::ClusterNotFound => broken("ClusterNotFound"),
        ErrorKind::CredentialsUnavailable => broken("NoCredentials"),
        ErrorKind::Throttled => Telling::unknown(part, "Throttled"),
        ErrorKind::Unreachable => Telling::unknown(part, "Unreachable"),
        ErrorKind::ServerError => Telling::unknown(part, "AwsFailure"),
        ErrorKind::ShuttingDown => Telling::unknown(part, OPERATOR_STOPPING),
        ErrorKind::AlreadyExists
        | ErrorKind::EntryNotVisible
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::Unknown => Telling::unknown(part, "AwsError"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a person has deleted comes by no waiting.
    #[test]
    fn a_boundary_that_is_gone_is_told_as_that_and_waits_for_a_person() {
        let error = Error::Aws(AwsError {
            call: Call::PutRolePermissionsBoundary,
            kind: ErrorKind::BoundaryMissing,
            code: "NoSuchEntity".into(),
            message: "Scope ARN: arn:b does not exist or is not attachable.".into(),
            request_id: None,
            resource: "role r in account 222222222222".into(),
            acting_as: "arn:p".into(),
        });
        let Telling {
            part,
            verdict,
            reason,
            stalled,
        } = error.telling();
        assert_eq!(
            (part, verdict, reason, stalled),
            (Part::DeployerRole, Verdict::False, "BoundaryMissing", true)
        );
        let told = error.message();
        assert!(told.contains("spec.access.deployerRole.permissionsBoundary"), "{told}");
    }
}
