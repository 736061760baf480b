//! What the wire and the services of the fake AWS say to each other.
//!
//! The wire (`wire/`) turns an HTTP request into a [`Request`] and an [`Answer`] into an HTTP response; the
//! services (`service/`) know nothing of HTTP, XML or signatures. Inputs and outputs are JSON values whose
//! field names are the names of AWS's own API models (`RoleName`, `principalArn`), lists are arrays, maps are
//! objects: the query protocol's `Tags.member.1.Key` arrives as `{"Tags": [{"Key": ..}]}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One of the three AWS services that the fake answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Identity and Access Management: query protocol, one endpoint a partition.
    Iam,
    /// Security Token Service: query protocol, one endpoint a region.
    Sts,
    /// Elastic Kubernetes Service: rest-json, one endpoint a region.
    Eks,
}

impl Service {
    /// The service's name in hosts, signatures and IAM actions: `iam`, `sts`, `eks`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Eks => "eks",
        }
    }
}

/// Who signed a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The account that the credentials belong to: 12 digits.
    pub account: String,
    /// As `GetCallerIdentity` gives it: `arn:aws:iam::ACCOUNT:root` or `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
    pub arn: String,
    /// `AROA...:SESSION` for a role session, the account for its root.
    pub user_id: String,
    /// The role session, or `None` for the account's root user, which no identity policy limits.
    pub session: Option<RoleSession>,
}

/// A session of a role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSession {
    /// The role's own ARN, with its path: what `aws:PrincipalArn` holds.
    pub role_arn: String,
    /// The role's unique ID, `AROA...`.
    pub role_id: String,
    /// The role's name, without its path.
    pub role_name: String,
    /// `RoleSessionName`.
    pub session_name: String,
    /// The inline session policy, as JSON text.
    pub policy: Option<String>,
    /// Session tags, those handed down included.
    pub tags: BTreeMap<String, String>,
    /// Keys of the tags that go along to the next `AssumeRole`.
    pub transitive: Vec<String>,
    /// Whether the session was itself made with a role's credentials: a role chain, at most one hour long.
    pub chained: bool,
}

/// A request whose signature has been verified and whose input has been decoded.
#[derive(Clone, Debug)]
pub struct Request {
    /// The service called.
    pub service: Service,
    /// The operation, as in AWS's API model: `CreateRole`.
    pub operation: &'static str,
    /// `aws`, `aws-cn`, `aws-us-gov`, ...: from the host called.
    pub partition: &'static str,
    /// The region of the endpoint; for IAM the region that its partition signs with.
    pub region: String,
    /// Who signed it. `None` only for operations that take no signature (`AssumeRoleWithWebIdentity`).
    pub caller: Option<Caller>,
    /// The decoded input.
    pub input: Map<String, Value>,
}

/// What a service answers: the output as AWS's model names it, or an error.
pub type Answer = Result<Value, ApiError>;

/// An error as AWS gives it on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// `NoSuchEntity` for IAM, `ResourceNotFoundException` for EKS.
    pub code: &'static str,
    /// AWS's own words.
    pub message: String,
    /// Further members of a modelled EKS exception: `clusterName`, ...
    pub fields: Map<String, Value>,
}

impl ApiError {
    /// An error without further members.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            fields: Map::new(),
        }
    }
}

/// One thing that the caller's policies must allow before an operation is carried out. An operation may need
/// several (`CreateRole` with tags needs `iam:TagRole` as well).
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// `iam:CreateRole`.
    pub action: &'static str,
    /// The ARN of what it acts on, or `*`.
    pub resource: String,
    /// Condition keys and their values in this request, as the service authorization reference lists them for
    /// this action and resource (`iam:PermissionsBoundary`, `eks:principalArn`, `aws:RequestTag/k`,
    /// `aws:ResourceTag/k`). A key without values is absent from the request's context.
    pub context: BTreeMap<String, Vec<String>>,
}
