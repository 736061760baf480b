//! The one error of every call: what failed, as whom, on which resource, in AWS's own words, and what to do next.
//!
//! Most errors that matter are not modelled in the SDK: EKS's `AccessDeniedException` and `ThrottlingException`,
//! IAM's and STS's `AccessDenied` and `Throttling` all arrive as unhandled, and several unlike things share one code
//! and differ in the message only. So errors are told apart here by code and message, in one function.

use std::{error::Error, sync::Arc};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use super::{
    calls::{Call, Service},
    permit::was_not_permitted,
};
use crate::text::without_passwords;

/// A call to AWS that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} failed on {resource}, acting as {acting_as}: {code}: {message}{}",
    call.action(),
    request_id.as_ref().map(|id| format!(" (request ID {id})")).unwrap_or_default()
)]
pub struct AwsError {
    /// The call.
    pub call: Call,
    /// What it means to us.
    pub kind: ErrorKind,
    /// AWS's error code, or a word of ours where no answer of AWS arrived: `Timeout`, `Dispatch`.
    pub code: String,
    /// AWS's own words, or the cause.
    pub message: String,
    /// AWS's request ID, for its support.
    pub request_id: Option<String>,
    /// What the call was about: an ARN where there is one.
    pub resource: String,
    /// The role that we acted as.
    pub acting_as: Arc<str>,
}

/// What a failure means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// AWS refused for want of permission.
    Denied,
    /// AWS refused for too many requests, for longer than the SDK retries.
    Throttled,
    /// There is one already.
    AlreadyExists,
    /// A principal that IAM or EKS does not know: not yet visible, or not there at all.
    InvalidPrincipal,
    /// An access entry that EKS does not show yet.
    EntryNotVisible,
    /// The EKS cluster is not in this account and region.
    ClusterNotFound,
    /// The cluster's authentication mode refuses access entries.
    AccessEntriesDisabled,
    /// A quota, or the size of a document.
    LimitExceeded,
    /// The role still carries policies.
    HasPolicies,
    /// The policy that is to be a role's permissions boundary is not there.
    BoundaryMissing,
    /// Something else is changing it.
    Conflict,
    /// It is not there.
    NotFound,
    /// AWS does not accept the request as it is.
    Invalid,
    /// The operator has no valid credentials.
    CredentialsUnavailable,
    /// No answer: name resolution, connection, TLS, proxy, or time ran out.
    Unreachable,
    /// AWS failed.
    ServerError,
    /// STS is not active in this region for the account.
    RegionDisabled,
    /// The operator is stopping, or another one is at work by now: it begins nothing more.
    ShuttingDown,
    /// None of these: see the code and the message.
    Unknown,
}

impl ErrorKind {
    /// A word for logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::AlreadyExists => "already_exists",
            Self::InvalidPrincipal => "invalid_principal",
            Self::EntryNotVisible => "entry_not_visible",
            Self::ClusterNotFound => "cluster_not_found",
            Self::AccessEntriesDisabled => "access_entries_disabled",
            Self::LimitExceeded => "limit_exceeded",
            Self::HasPolicies => "has_policies",
            Self::BoundaryMissing => "boundary_missing",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::CredentialsUnavailable => "credentials_unavailable",
            Self::Unreachable => "unreachable",
            Self::ServerError => "server_error",
            Self::RegionDisabled => "region_disabled",
            Self::ShuttingDown => "shutting_down",
            Self::Unknown => "unknown",
        }
    }

    /// Whether time alone may mend it: propagation, throttling, a fault on the way or at AWS.
    #[must_use]
    pub const fn passes_by_itself(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::EntryNotVisible
                | Self::Conflict
                | Self::Unreachable
                | Self::ServerError
                | Self::ShuttingDown
        )
    }
}

impl AwsError {
    /// Whether the account did not let us in.
    #[must_use]
    pub fn shuts_out(&self) -> bool {
        self.call == Call::AssumeRole && self.kind == ErrorKind::Denied
    }

    /// What the SDK reports, in our words.
    pub(super) fn from_sdk<E>(
        call: Call,
        resource: &str,
        acting_as: &Arc<str>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (kind, code, message) = explain(call, error);
        Self {
            call,
            kind,
            code,
            message,
            request_id: request_id(error),
            resource: resource.to_owned(),
            acting_as: Arc::clone(acting_as),
        }
    }
}

fn request_id<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    // IAM and STS say it in the body as well, which is what remains when a proxy drops headers.
    let body = || error.as_service_error().and_then(|service| service.meta().request_id());
    error.request_id().or_else(body).map(str::to_owned)
}

fn explain<E>(call: Call, error: &SdkError<E, HttpResponse>) -> (ErrorKind, String, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let whole = || without_passwords(&chain(error)).into_owned();
    match error {
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if was_not_permitted(error) => {
            (ErrorKind::ShuttingDown, "ShuttingDown".to_owned(), whole())
        }
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let message = context.err().message().unwrap_or("AWS gave no message").to_owned();
            match context.err().code() {
                Some(code) => (classify(call, code, &message), code.to_owned(), message),
                // Not AWS's own answer: a proxy's or a gateway's page.
                None if status >= 500 => (ErrorKind::ServerError, format!("HTTP {status}"), message),
                None => (ErrorKind::Unknown, format!("HTTP {status}"), message),
            }
        }
        SdkError::TimeoutError(_) => (ErrorKind::Unreachable, "Timeout".to_owned(), whole()),
        SdkError::ResponseError(_) => (ErrorKind::ServerError, "Response".to_owned(), whole()),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if lacks_credentials(error) => {
            (ErrorKind::CredentialsUnavailable, "NoCredentials".to_owned(), whole())
        }
        SdkError::DispatchFailure(_) => (ErrorKind::Unreachable, "Dispatch".to_owned(), whole()),
        SdkError::ConstructionFailure(_) => (ErrorKind::Invalid, "Construction".to_owned(), whole()),
        // The enum is open: whatever comes to it later is told as it is.
        _ => (ErrorKind::Unknown, "Unknown".to_owned(), whole()),
    }
}

/// An error and its causes, each said once, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// What AWS's code and message mean for this call.
///
/// Sources: the models in botocore; for the messages Terraform's AWS provider (`iam/role.go`, `eks/access_entry.go`,
/// `eks/access_policy_association.go`), aws/eks-hybrid and the EKS user guide.
#[must_use]
pub fn classify(call: Call, code: &str, message: &str) -> ErrorKind {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => {
            return ErrorKind::Denied;
        }
        // aws-runtime, `THROTTLING_ERRORS`, without LimitExceededException, which IAM and EKS do not mean so.
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete" => {
            return ErrorKind::Throttled;
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "AuthFailure"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim" => return ErrorKind::CredentialsUnavailable,
        "OptInRequired" | "RegionDisabledException" | "RegionDisabled" => return ErrorKind::RegionDisabled,
        "ServiceFailure"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "ServerException"
        | "OpenIdIdpCommunicationError"
        | "IDPCommunicationError"
        | "RequestTimeout"
        | "RequestTimeoutException" => return ErrorKind::ServerError,
        "ValidationError" | "ValidationException" => return ErrorKind::Invalid,
        _ => {}
    }
    match call.row().service {
        Service::Iam => classify_iam(code, message),
        Service::Eks => classify_eks(call, code, message),
        Service::Sts => match code {
            "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => ErrorKind::LimitExceeded,
            "MalformedPolicyDocument" | "MalformedPolicyDocumentException" => ErrorKind::Invalid,
            _ => ErrorKind::Unknown,
        },
    }
}

/// How IAM begins to say that the policy is not there which a role is to have as its permissions boundary.
const NO_BOUNDARY: &str = "Scope ARN:";

fn classify_iam(code: &str, message: &str) -> ErrorKind {
    match code.strip_suffix("Exception").unwrap_or(code) {
        "NoSuchEntity" if message.contains(NO_BOUNDARY) => ErrorKind::BoundaryMissing,
        "NoSuchEntity" => ErrorKind::NotFound,
        "EntityAlreadyExists" => ErrorKind::AlreadyExists,
        "MalformedPolicyDocument" if message.contains("Invalid principal in policy") => ErrorKind::InvalidPrincipal,
        "LimitExceeded" => ErrorKind::LimitExceeded,
        "DeleteConflict" => ErrorKind::HasPolicies,
        "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => ErrorKind::Conflict,
        "MalformedPolicyDocument" | "InvalidInput" | "UnmodifiableEntity" | "PolicyNotAttachable" => ErrorKind::Invalid,
        _ => ErrorKind::Unknown,
    }
}

fn classify_eks(call: Call, code: &str, message: &str) -> ErrorKind {
    match code {
        "ResourceNotFoundException" if message.contains("No cluster found") => ErrorKind::ClusterNotFound,
        "ResourceNotFoundException" if call == Call::DescribeCluster => ErrorKind::ClusterNotFound,
        "ResourceNotFoundException"
            if call == Call::AssociateAccessPolicy && message.contains("principalArn could not be found") =>
        {
            ErrorKind::EntryNotVisible
        }
        "ResourceNotFoundException" | "NotFoundException" => ErrorKind::NotFound,
        "ResourceInUseException" if call == Call::CreateAccessEntry => ErrorKind::AlreadyExists,
        "ResourceInUseException" => ErrorKind::Conflict,
        "InvalidParameterException" if message.contains("invalid principal") => ErrorKind::InvalidPrincipal,
        "InvalidRequestException" if message.contains("authentication mode") => ErrorKind::AccessEntriesDisabled,
        "ResourceLimitExceededException" => ErrorKind::LimitExceeded,
        "InvalidParameterException" | "InvalidRequestException" | "ClientException" | "BadRequestException" => {
            ErrorKind::Invalid
        }
        _ => ErrorKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(Call, &str, &str, ErrorKind)]) {
        for (call, code, message, kind) in cases {
            assert_eq!(classify(*call, code, message), *kind, "{call:?} {code} {message}");
        }
    }

    #[test]
    fn what_every_service_may_say() {
        use Call::{AssumeRole, DescribeAccessEntry, DescribeCluster, GetRole};
        check(&[
            (
                AssumeRole,
                "AccessDenied",
                "not authorized to perform: sts:AssumeRole",
                ErrorKind::Denied,
            ),
            (DescribeCluster, "AccessDeniedException", "", ErrorKind::Denied),
            (GetRole, "Throttling", "Rate exceeded", ErrorKind::Throttled),
            (DescribeAccessEntry, "ThrottlingException", "", ErrorKind::Throttled),
            (DescribeCluster, "TooManyRequestsException", "", ErrorKind::Throttled),
            (AssumeRole, "RegionDisabledException", "", ErrorKind::RegionDisabled),
            (AssumeRole, "PackedPolicyTooLarge", "", ErrorKind::LimitExceeded),
            (
                AssumeRole,
                "ExpiredTokenException",
                "",
                ErrorKind::CredentialsUnavailable,
            ),
            (
                DescribeCluster,
                "UnrecognizedClientException",
                "",
                ErrorKind::CredentialsUnavailable,
            ),
            (GetRole, "InvalidClientTokenId", "", ErrorKind::CredentialsUnavailable),
            (DescribeCluster, "ServerException", "", ErrorKind::ServerError),
            (GetRole, "ServiceFailure", "", ErrorKind::ServerError),
            (GetRole, "SomethingNew", "", ErrorKind::Unknown),
        ]);
    }

    #[test]
    fn what_iam_says() {
        use Call::{
            CreateOpenIdConnectProvider, CreateRole, DeleteRole, GetRole, PutRolePermissionsBoundary, PutRolePolicy,
            TagRole,
        };
        const NO_PRINCIPAL: &str = r#"Invalid principal in policy: "AWS":"arn:aws:iam::1:role/x""#;
        const TOO_LONG: &str = "Maximum policy size of 10240 bytes exceeded for role x";
        check(&[
            (CreateRole, "EntityAlreadyExists", "", ErrorKind::AlreadyExists),
            (
                CreateRole,
                "MalformedPolicyDocument",
                NO_PRINCIPAL,
                ErrorKind::InvalidPrincipal,
            ),
            (
                CreateRole,
                "MalformedPolicyDocument",
                "Syntax errors in policy.",
                ErrorKind::Invalid,
            ),
            (CreateRole, "InvalidInput", "", ErrorKind::Invalid),
            (PutRolePolicy, "LimitExceeded", TOO_LONG, ErrorKind::LimitExceeded),
            (
                DeleteRole,
                "DeleteConflict",
                "Cannot delete entity",
                ErrorKind::HasPolicies,
            ),
            (TagRole, "ConcurrentModification", "", ErrorKind::Conflict),
            (GetRole, "NoSuchEntity", "", ErrorKind::NotFound),
            (
                PutRolePermissionsBoundary,
                "NoSuchEntity",
                "The role with name x cannot be found.",
                ErrorKind::NotFound,
            ),
            (
                PutRolePermissionsBoundary,
                "NoSuchEntity",
                "Scope ARN: arn:aws:iam::111111111111:policy/b does not exist or is not attachable.",
                ErrorKind::BoundaryMissing,
            ),
            (GetRole, "NoSuchEntityException", "", ErrorKind::NotFound),
            (
                CreateOpenIdConnectProvider,
                "OpenIdIdpCommunicationError",
                "",
                ErrorKind::ServerError,
            ),
        ]);
    }

    #[test]
    fn what_eks_says() {
        use Call::{AssociateAccessPolicy, CreateAccessEntry, DescribeAccessEntry, DescribeCluster, UpdateAccessEntry};
        const MODE: &str = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to \
                            perform this operation.";
        const NO_CLUSTER: &str = "No cluster found for name: x.";
        const NO_ENTRY: &str = "The specified principalArn could not be found. You can view your available access \
                                entries with 'list-access-entries'.";
        const NO_POLICY: &str = "The specified policyArn could not be found.";
        const NO_PRINCIPAL: &str = "The specified principalArn is invalid: invalid principal.";
        const SYSTEM: &str = "The kubernetes group name system:masters is invalid, it cannot start with system:";
        const MISSING: &str = "ResourceNotFoundException";
        check(&[
            (DescribeCluster, MISSING, NO_CLUSTER, ErrorKind::ClusterNotFound),
            (DescribeAccessEntry, MISSING, NO_CLUSTER, ErrorKind::ClusterNotFound),
            (DescribeAccessEntry, MISSING, NO_ENTRY, ErrorKind::NotFound),
            (UpdateAccessEntry, MISSING, NO_ENTRY, ErrorKind::NotFound),
            (AssociateAccessPolicy, MISSING, NO_ENTRY, ErrorKind::EntryNotVisible),
            (AssociateAccessPolicy, MISSING, NO_POLICY, ErrorKind::NotFound),
            (
                CreateAccessEntry,
                "ResourceInUseException",
                "already in use",
                ErrorKind::AlreadyExists,
            ),
            (UpdateAccessEntry, "ResourceInUseException", "", ErrorKind::Conflict),
            (
                CreateAccessEntry,
                "InvalidParameterException",
                NO_PRINCIPAL,
                ErrorKind::InvalidPrincipal,
            ),
            (
                CreateAccessEntry,
                "InvalidParameterException",
                SYSTEM,
                ErrorKind::Invalid,
            ),
            (
                CreateAccessEntry,
                "InvalidRequestException",
                MODE,
                ErrorKind::AccessEntriesDisabled,
            ),
            (
                DescribeAccessEntry,
                "InvalidRequestException",
                MODE,
                ErrorKind::AccessEntriesDisabled,
            ),
            (
                CreateAccessEntry,
                "ResourceLimitExceededException",
                "",
                ErrorKind::LimitExceeded,
            ),
        ]);
    }

    #[test]
    fn an_error_tells_everything_that_is_needed_to_act() {
        let error = AwsError {
            call: Call::CreateRole,
            kind: ErrorKind::Denied,
            code: "AccessDenied".to_owned(),
            message: "no identity-based policy allows the iam:CreateRole action".to_owned(),
            request_id: Some("1-2-3".to_owned()),
            resource: "arn:aws:iam::222222222222:role/mooring/x".to_owned(),
            acting_as: "arn:aws:iam::222222222222:role/mooring-provisioner".into(),
        };
        assert_eq!(
            error.to_string(),
            "iam:CreateRole failed on arn:aws:iam::222222222222:role/mooring/x, acting as \
             arn:aws:iam::222222222222:role/mooring-provisioner: AccessDenied: no identity-based policy allows the \
             iam:CreateRole action (request ID 1-2-3)"
        );
        assert!(error.hint().contains("mooring-provisioner do iam:CreateRole"));
        let entering = AwsError {
            call: Call::AssumeRole,
            ..error.clone()
        };
        assert!(entering.hint().contains("trust policy"));
        let in_use = AwsError {
            kind: ErrorKind::HasPolicies,
            message: "Cannot delete entity, must remove roles from instance profile first.".to_owned(),
            resource: "role prod-1 in account 222222222222".to_owned(),
            ..error.clone()
        };
        let which = "`aws iam list-instance-profiles-for-role --role-name prod-1`";
        assert!(in_use.hint().contains(which), "{}", in_use.hint());
        let no_entries = AwsError {
            kind: ErrorKind::AccessEntriesDisabled,
            resource: "the access entry of arn:aws:iam::222222222222:role/r on arn:aws:eks:eu-west-1:222222222222:cluster/prod"
                .to_owned(),
            ..error.clone()
        };
        let mode = "`aws eks update-cluster-config --region eu-west-1 --name prod --access-config authenticationMode=API_AND_CONFIG_MAP`";
        assert!(no_entries.hint().contains(mode), "{}", no_entries.hint());
        let entry =
            "the access entry of arn:aws:iam::222222222222:role/r on arn:aws:eks:eu-west-1:222222222222:cluster/prod";
        let standing = |message: &str| AwsError {
            call: Call::DeleteAccessEntry,
            message: message.to_owned(),
            resource: entry.to_owned(),
            ..error.clone()
        };
        for message in ["no", "with an explicit deny in a service control policy"] {
            let hint = standing(message).hint();
            let by_hand = "in account 222222222222, delete it: `aws eks delete-access-entry --region eu-west-1 --cluster-name prod --principal-arn arn:aws:iam::222222222222:role/r`";
            assert!(hint.contains(by_hand), "{hint}");
        }
        let unreachable = |region: &str| AwsError {
            call: Call::DescribeAccessEntry,
            kind: ErrorKind::Unreachable,
            resource: format!("the access entry of x on arn:aws:eks:{region}:222222222222:cluster/prod"),
            ..error.clone()
        };
        assert!(unreachable("eu-centrl-1").hint().contains("is eu-central-1 meant?"));
        assert!(unreachable("eu-central-1").hint().contains("name resolution"));
    }
}
