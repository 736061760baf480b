//! Why a hop does not hold: every reason that a person may be told.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {
        /// Why a hop does not hold, or could not be looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason as one word, as it stands in the condition.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The reason in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)*
                }
            }
        }
    };
}

reasons! {
    /// A ServiceAccount that the ManagementRole names is not there.
    ServiceAccountMissing
    /// A ServiceAccount does not bear the annotation of the management role.
    ServiceAccountNotAnnotated
    /// Nothing binds a ServiceAccount to the role: neither an annotation nor a Pod Identity association.
    ServiceAccountNotAssociated
    /// Pods run that were made before their ServiceAccount was bound, and act as somebody else.
    PodsPredateBinding
    /// Pods get their credentials by EKS Pod Identity, which nobody but the pod itself can walk.
    PodIdentityNotWalked

    /// RBAC, or the admission policy, does not let a token of this ServiceAccount be requested.
    TokenForbidden
    /// The API server gave no token for another reason.
    TokenNotIssued

    /// IAM knows no OIDC provider for the issuer of the tokens.
    OidcProviderMissing
    /// The audience sts.amazonaws.com is not trusted: by the OIDC provider, or by the role's trust policy.
    AudienceNotTrusted
    /// The role's trust policy does not name the ServiceAccount.
    SubjectNotTrusted
    /// The role trusts another issuer than the one of the tokens: the hub was recreated, or it is another cluster.
    WrongIssuer
    /// STS cannot get the keys of the issuer.
    IssuerUnreachable
    /// STS takes the token for expired, ill-formed or wrongly signed.
    TokenRejected
    /// The management role is not there.
    ManagementRoleMissing

    /// The deployer role is not there.
    DeployerRoleMissing
    /// No policy of the role that asks allows it, or one denies it.
    RefusedByIdentityPolicy
    /// The trust policy of the role that is asked for does not allow it, or denies it.
    RefusedByTrustPolicy
    /// The permissions boundary of the role that asks does not allow it, or denies it.
    RefusedByPermissionsBoundary
    /// The session policy of the session that asks does not allow it, or denies it.
    RefusedBySessionPolicy
    /// A service control policy of the organisation stands in the way.
    RefusedByServiceControlPolicy
    /// A resource control policy of the organisation stands in the way.
    RefusedByResourceControlPolicy
    /// The policy of the VPC endpoint for STS stands in the way.
    RefusedByEndpointPolicy
    /// The session brings tags, and sts:TagSession is not allowed on both sides.
    TagSessionRefused
    /// STS is not active for the hub's region in that account.
    RegionDisabled
    /// The session's tags and policies do not fit into a session.
    SessionTooLarge
    /// STS cannot be reached.
    StsUnreachable
    /// STS answered that it cannot answer now.
    StsUnavailable

    /// The name of the endpoint does not resolve.
    NameNotResolved
    /// The endpoint refuses the connection.
    ConnectionRefused
    /// The endpoint does not answer in time.
    ConnectionTimedOut
    /// The connection breaks off.
    ConnectionFailed
    /// The endpoint is private, and cannot be reached from here.
    PrivateEndpoint
    /// The endpoint is public to some networks only, and it looks as if this one is not among them.
    PublicAccessLeavesHubOut
    /// The cluster Secret leads elsewhere than to the API server that EKS gives for the cluster: no token is sent there.
    DestinationDiffers
    /// The certificate of the endpoint is not one that the cluster Secret's certificate authority vouches for.
    CertificateNotTrusted
    /// The API server, or what stands before it, fails.
    ApiServerFailing

    /// The cluster takes no access entries.
    AuthenticationModeConfigMap
    /// The deployer role has no access entry.
    NoAccessEntry
    /// The access entry was made for an earlier role of the same name.
    StalePrincipal
    /// The EKS token is longer than the cluster's authenticator takes.
    TokenTooLarge
    /// Access is taken away on purpose: spec.mode is Suspended.
    Suspended
    /// Access was to be taken away, and the access entry is still there, or the API server has not heard yet that it is
    /// gone.
    AccessStands
    /// Access was taken away, and the role is let in all the same: a mapping in ConfigMap aws-auth may do that, where the
    /// authentication mode is not `API`.
    ResidualAccess
    /// The API server does not know who asks (401), although everything that was looked at is in place.
    Unauthorized

    /// The API server knows who asks and allows nothing (403), not even to ask what is allowed.
    Forbidden
    /// The access policies or groups do not allow something that Argo CD does within its scope.
    ScopeTooNarrow

    /// The cluster Secret is not there, or lacks the label by which Argo CD knows it.
    ClusterSecretMissing
    /// A cluster Secret cannot be read by Argo CD, which hurts all clusters.
    ClusterSecretMalformed
    /// The cluster Secret says something else than what was made.
    ClusterSecretDiffers
    /// A setting of ConfigMap argocd-cm has a value that Argo CD does not know, which hurts all clusters.
    ArgoCdSettingInvalid
    /// No AppProject admits the cluster as a destination.
    NoProjectAdmits
    /// Argo CD's side could not be looked at.
    ArgoCdNotSeen

    /// The cluster is not moored yet.
    NotMoored
    /// Which policy, or what else, is in the way is said by nobody: see the candidates.
    Undetermined
    /// The walk took longer than it may.
    WalkTimedOut
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_a_word_of_its_own_with_a_sentence() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let about = reason.about();
            assert!(
                about.len() > 20 && about.ends_with('.') && !about.starts_with(' '),
                "{reason}: {about:?}"
            );
            // Kubernetes: a condition's reason is CamelCase of at most 1,024 characters.
            assert!(reason.as_str().chars().all(|c| c.is_ascii_alphanumeric()), "{reason}");
        }
    }
}
