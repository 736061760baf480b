//! What refused at STS: read from both sides' documents first, and else from AWS's own phrase.
//!
//! Source of the phrases: IAM user guide, "Troubleshoot access denied error messages". Across accounts AWS often names
//! no policy type at all.

use super::{failed, unknown};
use crate::{
    access::{chain::Found, evidence::AwsRefusal, reason::Reason, subject::Subject},
    aws::ErrorKind,
    policy::Ruling,
};

/// What each side's documents say, as far as they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    /// The policies of the role that asks.
    pub(super) identity: Option<Ruling>,
    /// Its permissions boundary.
    pub(super) boundary: Option<Ruling>,
    /// The trust policy of the role that is asked for.
    pub(super) trust: Option<Ruling>,
}

impl Sides {
    /// The document that surely refuses; a deny before what is merely not allowed.
    pub(super) fn refusing(&self) -> Option<(Reason, Ruling)> {
        let all = [
            (Reason::RefusedByTrustPolicy, self.trust),
            (Reason::RefusedByIdentityPolicy, self.identity),
            (Reason::RefusedByPermissionsBoundary, self.boundary),
        ];
        let with = |wanted: Ruling| {
            let found = all.iter().find(|(_, ruling)| *ruling == Some(wanted));
            found.map(|(reason, _)| (*reason, wanted))
        };
        with(Ruling::Denied).or_else(|| with(Ruling::NotAllowed))
    }

    /// What may have refused, after what was read: each document that was not read or is not clear, and what nobody
    /// but the organisation can read.
    pub(super) fn candidates(&self) -> Vec<Reason> {
        let open = |ruling: Option<Ruling>| ruling.is_none_or(|ruling| ruling == Ruling::Unclear);
        let documents = [
            (Reason::RefusedByTrustPolicy, self.trust),
            (Reason::RefusedByIdentityPolicy, self.identity),
            (Reason::RefusedByPermissionsBoundary, self.boundary),
        ];
        let mut candidates: Vec<Reason> = documents
            .into_iter()
            .filter(|(_, ruling)| open(*ruling))
            .map(|(reason, _)| reason)
            .collect();
        candidates.extend([
            Reason::RefusedByServiceControlPolicy,
            Reason::RefusedByResourceControlPolicy,
            Reason::RefusedByEndpointPolicy,
        ]);
        candidates
    }
}

/// Which policy AWS says it was.
pub(super) fn by_phrase(message: &str) -> Option<Reason> {
    let message = message.to_lowercase();
    let phrases = [
        ("service control policy", Reason::RefusedByServiceControlPolicy),
        ("resource control policy", Reason::RefusedByResourceControlPolicy),
        ("vpc endpoint policy", Reason::RefusedByEndpointPolicy),
        ("permissions boundary", Reason::RefusedByPermissionsBoundary),
        ("session policy", Reason::RefusedBySessionPolicy),
        ("role trust policy", Reason::RefusedByTrustPolicy),
        ("resource-based policy", Reason::RefusedByTrustPolicy),
        ("identity-based policy", Reason::RefusedByIdentityPolicy),
    ];
    phrases
        .iter()
        .find(|(phrase, _)| message.contains(phrase))
        .map(|(_, reason)| *reason)
}

/// What is no affair of policies: a call that did not arrive, or that STS does not answer in this region.
pub(super) fn general(subject: &Subject, what: &str, refused: &AwsRefusal) -> Option<Found> {
    let AwsRefusal { kind, code, message } = refused;
    let region = &subject.hub.hub.cluster.region;
    let said = || format!("{what}: {code}: {message}");
    let found = match kind {
        ErrorKind::Unreachable => failed(
            Reason::StsUnreachable,
            format!("{} (STS in {region})", said()),
            format!(
                "check name resolution of sts.{region}, HTTPS_PROXY and NO_PROXY, the VPC endpoint for STS, and the network \
                 policies of Argo CD's namespace and of this pod"
            ),
        ),
        ErrorKind::Throttled | ErrorKind::ServerError | ErrorKind::ShuttingDown => {
            unknown(Reason::StsUnavailable, said(), "nothing: it is tried again")
        }
        ErrorKind::RegionDisabled => failed(
            Reason::RegionDisabled,
            format!("{} (region {region})", said()),
            format!(
                "Argo CD asks STS in the hub's region: enable region {region} in the account of the role (aws account \
                 enable-region --region-name {region}), or activate its STS endpoint under IAM's account settings"
            ),
        ),
        ErrorKind::LimitExceeded => failed(
            Reason::SessionTooLarge,
            said(),
            "shorten the session tags: set disableSessionTags on the EKS Pod Identity association, or use IRSA",
        ),
        ErrorKind::Denied
        | ErrorKind::AlreadyExists
        | ErrorKind::InvalidPrincipal
        | ErrorKind::EntryNotVisible
        | ErrorKind::ClusterNotFound
        | ErrorKind::AccessEntriesDisabled
        | ErrorKind::HasPolicies
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::Invalid
        | ErrorKind::CredentialsUnavailable
        | ErrorKind::Unknown => return None,
    };
    Some(found)
}
