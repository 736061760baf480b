//! What the edges gathered at each hop, as plain values. Tokens and credentials have no place here: the types that hold
//! them (`crate::aws::WebToken` and its like) cannot be printed, compared or kept in any of these.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    api::IdentityType,
    argocd::{Project, SeenCluster, Settings},
    aws::{AwsError, ErrorKind, Look, RoleDocuments, SpokeCluster, SpokeEntry},
    kubernetes::{Failure, KubernetesError},
};

pub use crate::kubernetes::pods::PodBinding;

use super::{destination::Destination, scope::Ask};

/// What an attempt came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attempt<T, E> {
    /// It was not made: what it needs was not there.
    #[default]
    NotMade,
    /// It went through.
    Done(T),
    /// It did not.
    Failed(E),
}

/// What AWS refused, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRefusal {
    /// What it means to us.
    pub kind: ErrorKind,
    /// AWS's code.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

impl From<AwsError> for AwsRefusal {
    fn from(error: AwsError) -> Self {
        // The request ID is left out: it differs from try to try, and each would be a change of the status.
        Self {
            kind: error.kind,
            code: error.code,
            message: error.message,
        }
    }
}

/// What the hub's API server refused, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesRefusal {
    /// The kind of failure.
    pub failure: Failure,
    /// The whole of it.
    pub message: String,
}

impl From<&KubernetesError> for KubernetesRefusal {
    fn from(error: &KubernetesError) -> Self {
        Self {
            failure: error.failure(),
            message: error.to_string(),
        }
    }
}

/// What a token says of itself. The token is checked by STS, not by us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
}

impl Claims {
    /// Reads a token. Only read, never believed: STS verifies it. What cannot be read says nothing.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let issuer = || {
            let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
            let claims: Value = serde_json::from_slice(&payload).ok()?;
            claims.get("iss").and_then(Value::as_str).map(str::to_owned)
        };
        Self {
            issuer: issuer().unwrap_or_default(),
        }
    }
}

/// A pod that runs as a `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// How it gets its credentials, as far as the management role is concerned.
    pub binding: PodBinding,
}

/// One `ServiceAccount` of Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountEvidence {
    /// Its name.
    pub name: String,
    /// Its annotation `eks.amazonaws.com/role-arn`.
    pub annotation: Look<Option<String>>,
    /// The pods that run as it.
    pub pods: Look<Vec<PodSeen>>,
    /// The request for a token.
    pub token: Attempt<Claims, KubernetesRefusal>,
    /// The exchange of the token for the management role.
    pub exchange: Attempt<(), AwsRefusal>,
}

impl ServiceAccountEvidence {
    /// Its running pods, as far as they were seen.
    #[must_use]
    pub fn pods_seen(&self) -> &[PodSeen] {
        match &self.pods {
            Look::Seen(pods) => pods,
            Look::Absent | Look::Unseen(_) => &[],
        }
    }

    /// Whether pods of it get their credentials by EKS Pod Identity and none by a web identity, whatever its annotation
    /// says: an association goes before that.
    #[must_use]
    pub fn is_by_pod_identity(&self) -> bool {
        let any = |binding: &PodBinding| self.pods_seen().iter().any(|pod| pod.binding == *binding);
        any(&PodBinding::PodIdentity) && !any(&PodBinding::Role)
    }

    /// Whether EKS Pod Identity may give its pods the role, and no pod shows otherwise: what refuses a web identity then is
    /// not known to be in anybody's way.
    #[must_use]
    pub fn may_be_by_pod_identity(&self, identity: IdentityType) -> bool {
        let shows = |pod: &PodSeen| pod.binding == PodBinding::Role;
        identity == IdentityType::Existing && !self.pods_seen().iter().any(shows)
    }

    /// Whether a token of it is worth an exchange. Where its pods come to the role by EKS Pod Identity, or can by nothing
    /// else, the role's trust policy need not let a web identity in, and what STS says to one is beside the point.
    #[must_use]
    pub fn is_exchanged(&self, identity: IdentityType) -> bool {
        let unbound = identity == IdentityType::Existing && self.annotation == Look::Seen(None);
        self.annotation != Look::Absent && !unbound && !self.is_by_pod_identity()
    }
}

/// Argo CD's namespace: common to all clusters of its Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgoCdEvidence {
    /// Cluster Secrets that Argo CD cannot read, each with why not.
    pub malformed: Look<Vec<(String, String)>>,
    /// The AppProjects; absent when the API server does not serve the kind.
    pub projects: Look<Vec<Project>>,
    /// What `argocd-cm` says of how Argo CD uses its clusters.
    pub settings: Look<Settings>,
}

impl Look<Settings> {
    /// What is known to be set.
    #[must_use]
    pub fn known(&self) -> Settings {
        match self {
            Self::Seen(settings) => settings.clone(),
            Self::Absent | Self::Unseen(_) => Settings::default(),
        }
    }
}

/// What is common to all clusters of a `ManagementRole`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubEvidence {
    /// Each `ServiceAccount`, in the order of the spec.
    pub service_accounts: Vec<ServiceAccountEvidence>,
}

/// The documents in the hub's account: read only where something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubDocuments {
    /// The management role, with its trust, policies and boundary.
    pub role: Look<RoleDocuments>,
    /// The audiences of the OIDC provider of the tokens' issuer.
    pub provider: Look<Vec<String>>,
}

/// The documents in the cluster's account: read only where something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokeDocuments {
    /// The deployer role, with its trust.
    pub role: Look<RoleDocuments>,
    /// The cluster.
    pub cluster: Look<SpokeCluster>,
    /// The access entry of the deployer role.
    pub entry: Look<SpokeEntry>,
}

/// Why there is no answer of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// The name does not resolve.
    Name(String),
    /// Nobody listens, or a firewall says no.
    Refused(String),
    /// No answer in time.
    TimedOut(String),
    /// The certificate is not the one that the cluster Secret expects.
    Certificate(String),
    /// Anything else.
    Other(String),
}

/// What the API server answered to a question of access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Whether it is allowed.
    Allowed(bool),
    /// It did not say.
    Refused(String),
}

/// Where the walk starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// A pod of the hub: what it reaches Argo CD reaches, network policies aside.
    Hub,
    /// A person's machine.
    Person,
}

/// Everything that a walk brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it started.
    pub vantage: Vantage,
    /// The hub's side.
    pub hub: HubEvidence,
    /// Argo CD's side.
    pub argocd: Arc<ArgoCdEvidence>,
    /// The hub's documents.
    pub hub_documents: HubDocuments,
    /// The cluster Secret as Argo CD reads it, or why it cannot.
    pub secret: Look<Result<SeenCluster, String>>,
    /// Where the cluster's API server is, as EKS gives it.
    pub destination: Destination,
    /// `AssumeRole` of the deployer role.
    pub deployer: Attempt<(), AwsRefusal>,
    /// The documents of the cluster's account.
    pub spoke_documents: SpokeDocuments,
    /// How many characters the EKS token has, where one was minted.
    pub token_length: Option<usize>,
    /// `/version`: the HTTP status, and what it said.
    pub endpoint: Attempt<u16, Unreached>,
    /// What was asked of the API server's authorisation.
    pub reviews: Vec<(Ask, Answer)>,
    /// Whether every kind may be listed, where Argo CD lists every kind. It is no part of `reviews`, since what
    /// `resource.exclusions` leaves out is not known in all.
    pub every_kind: Option<Answer>,
    /// Whether the roles of RBAC may be listed, where not every kind may and Argo CD surely lists these.
    pub roles: Option<(Ask, Answer)>,
}

/// What is said of documents that nothing made worth reading.
pub const NOT_NEEDED: &str = "it was not needed";

impl Default for HubDocuments {
    fn default() -> Self {
        Self {
            role: Look::Unseen(NOT_NEEDED.to_owned()),
            provider: Look::Unseen(NOT_NEEDED.to_owned()),
        }
    }
}

impl Default for SpokeDocuments {
    fn default() -> Self {
        Self {
            role: Look::Unseen(NOT_NEEDED.to_owned()),
            cluster: Look::Unseen(NOT_NEEDED.to_owned()),
            entry: Look::Unseen(NOT_NEEDED.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_is_read_from_a_token_and_nothing_else_is() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(r#"{"iss":"https://issuer.example","sub":"s"}"#);
        assert_eq!(Claims::of(&format!("h.{payload}.s")).issuer, "https://issuer.example");
        for wrong in ["", "a", "a.b.c", "a.!.c"] {
            assert_eq!(Claims::of(wrong), Claims::default(), "{wrong}");
        }
    }
}
