//! What can go wrong with the Kubernetes API, told to the person who must act.

use std::{fmt, future::Future, time::Duration};

use crate::text::without_passwords;

/// How long one call may take before it counts as failed. kube's client has no read timeout of its own.
pub const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The object changed or was replaced since it was read: read again.
    Conflict,
    /// There is no such object, or the API server does not serve the kind.
    NotFound,
    /// RBAC, or an admission policy, refuses it.
    Forbidden,
    /// The API server finds the object wrong.
    Invalid,
    /// Too many requests, or the API server is overloaded.
    Throttled,
    /// No answer: the connection failed, or the deadline passed.
    Unreachable,
    /// This process may not write now: another one holds the lease, or may take it. Nothing was sent.
    NotLeading,
    /// Anything else.
    Other,
}

impl Failure {
    /// The failure as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Conflict => "kubernetes_conflict",
            Self::NotFound => "kubernetes_not_found",
            Self::Forbidden => "kubernetes_forbidden",
            Self::Invalid => "kubernetes_invalid",
            Self::Throttled => "kubernetes_throttled",
            Self::Unreachable => "kubernetes_unreachable",
            Self::NotLeading => "not_leading",
            Self::Other => "kubernetes_other",
        }
    }

    /// What the person who reads the failure does next; nothing when the next try is expected to do.
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::Conflict => Some("it changed meanwhile and is read again"),
            Self::Forbidden => Some("check the RBAC of whoever asked, and the cluster's admission policies"),
            Self::Unreachable => Some("check that the API server can be reached"),
            Self::NotFound | Self::Invalid | Self::Throttled | Self::NotLeading | Self::Other => None,
        }
    }
}

/// A write that was not sent, because this process does not hold the lease that lets it write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold its lease, and writes nothing; the one that does goes on")]
pub struct NotLeading;

/// A call to the Kubernetes API that failed.
///
/// Its text is whole: it includes the cause, and `source()` gives nothing, because kube's own texts already include
/// theirs and a walk along the chain would print them twice.
#[derive(Debug)]
pub struct KubernetesError {
    /// What was tried: "apply".
    pub what: &'static str,
    /// On what, as kubectl takes it: `secrets/a in namespace argocd`.
    pub object: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Kube(Box<kube::Error>),
    Deadline(Duration),
    MadeMeanwhile,
}

impl KubernetesError {
    /// A failed call; `what` is a verb in the infinitive.
    #[must_use]
    pub fn new(what: &'static str, object: impl Into<String>, cause: kube::Error) -> Self {
        Self {
            what,
            object: object.into(),
            cause: Cause::Kube(Box::new(cause)),
        }
    }

    /// An object that was not there when it was looked for, and is there now that it would be made.
    #[must_use]
    pub fn made_meanwhile(object: impl Into<String>) -> Self {
        Self {
            what: "make",
            object: object.into(),
            cause: Cause::MadeMeanwhile,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let cause = match &self.cause {
            Cause::Deadline(_) => return Failure::Unreachable,
            Cause::MadeMeanwhile => return Failure::Conflict,
            Cause::Kube(cause) => cause.as_ref(),
        };
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "kube's error has a variant for every feature; only these mean something to a caller"
        )]
        match cause {
            kube::Error::Api(status) => match status.code {
                // A guarded patch whose object was replaced is answered with 409, as is every lost race.
                409 => Failure::Conflict,
                404 => Failure::NotFound,
                401 | 403 => Failure::Forbidden,
                400 | 422 => Failure::Invalid,
                429 => Failure::Throttled,
                502..=504 => Failure::Unreachable,
                _ => Failure::Other,
            },
            kube::Error::Service(cause) if cause.is::<NotLeading>() => Failure::NotLeading,
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => Failure::Unreachable,
            _ => Failure::Other,
        }
    }

    /// True when the object changed or was replaced since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.failure() == Failure::Conflict
    }

    /// Which other field managers hold which fields, in the API server's own words, where a server-side apply without
    /// force was refused for that; nothing else ends by reading again (`FieldManagerConflict` of the apiserver).
    #[must_use]
    pub fn held_by_others(&self) -> Option<String> {
        let Cause::Kube(cause) = &self.cause else { return None };
        let details = status(cause)?.details.as_ref()?;
        let held = details
            .causes
            .iter()
            .filter(|cause| cause.reason == "FieldManagerConflict");
        let held: Vec<String> = held
            .map(|cause| format!("{} ({})", cause.message, cause.field))
            .collect();
        (!held.is_empty()).then(|| held.join(", "))
    }

    /// True when there is no such object or kind.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.failure() == Failure::NotFound
    }
}

impl fmt::Display for KubernetesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, object, cause } = self;
        write!(f, "could not {what} {object}: ")?;
        match cause {
            Cause::Deadline(deadline) => write!(f, "no answer within {} s", deadline.as_secs())?,
            Cause::MadeMeanwhile => f.write_str("somebody else has just made it")?,
            Cause::Kube(cause) => match status(cause) {
                Some(status) if status.message.is_empty() => {
                    write!(f, "the API server answered {} {}", status.code, status.reason)?;
                }
                // kube would print the whole status a second time, as a debug value.
                Some(status) => write!(f, "{} ({})", without_passwords(status.message.trim()), status.code)?,
                // kube would put "ServiceError" before it.
                None if self.failure() == Failure::NotLeading => write!(f, "{NotLeading}")?,
                None if matches!(cause.as_ref(), kube::Error::InferConfig(_)) => {
                    write!(
                        f,
                        "there is neither a kubeconfig nor a pod's service account that says where it is: set KUBECONFIG to \
                         the kubeconfig of the hub (`aws eks update-kubeconfig --region REGION --name CLUSTER` writes one) and choose its \
                         context ({})",
                        without_passwords(&cause.to_string())
                    )?;
                }
                // A proxy's URL, which kube shows whole.
                None => f.write_str(&without_passwords(&cause.to_string()))?,
            },
        }
        match self.failure().advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for KubernetesError {}

/// What the API server itself answered, if it did.
fn status(cause: &kube::Error) -> Option<&kube::core::Status> {
    if let kube::Error::Api(status) = cause {
        Some(status)
    } else {
        None
    }
}

/// Runs one call under [`CALL_DEADLINE`].
pub(crate) fn call<T>(
    what: &'static str,
    object: &str,
    future: impl Future<Output = kube::Result<T>>,
) -> impl Future<Output = Result<T, KubernetesError>> {
    call_within(CALL_DEADLINE, what, object, future)
}

/// Runs one call under a deadline of its own.
pub(crate) async fn call_within<T>(
    deadline: Duration,
    what: &'static str,
    object: &str,
    future: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubernetesError> {
    match tokio::time::timeout(deadline, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(cause)) => Err(KubernetesError::new(what, object, cause)),
        Err(_) => Err(KubernetesError {
            what,
            object: object.to_owned(),
            cause: Cause::Deadline(deadline),
        }),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16, message: &str, reason: &str) -> KubernetesError {
        let status = Status::failure(message, reason).with_code(code);
        KubernetesError::new("apply", "Secret argocd/a", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn the_text_says_what_on_which_object_why_and_what_to_do() {
        assert_eq!(
            refused(403, "secrets \"a\" is forbidden: no", "Forbidden").to_string(),
            "could not apply Secret argocd/a: secrets \"a\" is forbidden: no (403); \
             check the RBAC of whoever asked, and the cluster's admission policies"
        );
    }

    #[test]
    fn an_answer_without_a_message_still_says_something() {
        assert_eq!(
            refused(500, "", "InternalError").to_string(),
            "could not apply Secret argocd/a: the API server answered 500 InternalError"
        );
    }

    #[test]
    fn a_walk_along_the_chain_does_not_print_the_cause_twice() {
        assert!(std::error::Error::source(&refused(409, "changed", "Conflict")).is_none());
    }

    #[test]
    fn failures_are_told_apart_by_the_status_code() {
        for (code, failure) in [
            (409, Failure::Conflict),
            (404, Failure::NotFound),
            (403, Failure::Forbidden),
            (422, Failure::Invalid),
            (429, Failure::Throttled),
            (503, Failure::Unreachable),
            (418, Failure::Other),
        ] {
            assert_eq!(refused(code, "m", "r").failure(), failure, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_at_the_deadline() {
        let error = call::<()>("get", "Secret argocd/a", std::future::pending())
            .await
            .unwrap_err();
        assert_eq!(error.failure(), Failure::Unreachable);
        assert_eq!(
            error.to_string(),
            "could not get Secret argocd/a: no answer within 20 s; check that the API server can be reached"
        );
    }
}
