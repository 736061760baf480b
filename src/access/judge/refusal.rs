//! What refused at STS: read from both sides' documents first, and else from AWS's own phrase.
//!
//! Source of the phrases: IAM user guide, "Troubleshoot access denied error messages". Across accounts AWS often names
//! no policy type at all.

use super::{failed, unknown};
use crate::{
    access::{
        chain::{Found, Trouble},
        evidence::{AwsRefusal, Vantage},
        reason::Reason,
        subject::Subject,
    },
    aws::ErrorKind,
    policy::Ruling,
};

/// A kind of policy that can stand in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyKind {
    /// The trust policy of the role that is asked for.
    Trust,
    /// The policies of the role that asks.
    Identity,
    /// Its permissions boundary.
    Boundary,
    /// The policy that its session was given.
    Session,
    /// A service control policy of the organisation.
    ServiceControl,
    /// A resource control policy of the organisation.
    ResourceControl,
    /// The policy of the VPC endpoint for STS.
    Endpoint,
}

impl PolicyKind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Trust => "the deployer role's trust policy",
            Self::Identity => "the management role's policies",
            Self::Boundary => "the management role's permissions boundary",
            Self::Session => "the session policy",
            Self::ServiceControl => "a service control policy",
            Self::ResourceControl => "a resource control policy",
            Self::Endpoint => "the VPC endpoint's policy",
        }
    }

    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Trust => Reason::RefusedByTrustPolicy,
            Self::Identity => Reason::RefusedByIdentityPolicy,
            Self::Boundary => Reason::RefusedByPermissionsBoundary,
            Self::Session => Reason::RefusedBySessionPolicy,
            Self::ServiceControl => Reason::RefusedByServiceControlPolicy,
            Self::ResourceControl => Reason::RefusedByResourceControlPolicy,
            Self::Endpoint => Reason::RefusedByEndpointPolicy,
        }
    }
}

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
    fn each(self) -> [(PolicyKind, Option<Ruling>); 3] {
        [
            (PolicyKind::Trust, self.trust),
            (PolicyKind::Identity, self.identity),
            (PolicyKind::Boundary, self.boundary),
        ]
    }

    /// The document that surely refuses; a deny before what is merely not allowed.
    pub(super) fn refusing(self) -> Option<(PolicyKind, Ruling)> {
        let with = |wanted: Ruling| {
            let found = self.each().into_iter().find(|(_, ruling)| *ruling == Some(wanted));
            found.map(|(kind, _)| (kind, wanted))
        };
        with(Ruling::Denied).or_else(|| with(Ruling::NotAllowed))
    }

    /// The documents that were not read, or are not clear.
    pub(super) fn open(self) -> Vec<PolicyKind> {
        let open = |ruling: Option<Ruling>| ruling.is_none_or(|ruling| ruling == Ruling::Unclear);
        let each = self.each().into_iter();
        each.filter(|(_, ruling)| open(*ruling)).map(|(kind, _)| kind).collect()
    }

    /// What may have refused, after what was read: each document that was not read or is not clear, and what nobody
    /// but the organisation can read.
    pub(super) fn candidates(self) -> Vec<Reason> {
        let mut candidates: Vec<Reason> = self.open().into_iter().map(PolicyKind::reason).collect();
        candidates.extend([
            Reason::RefusedByServiceControlPolicy,
            Reason::RefusedByResourceControlPolicy,
            Reason::RefusedByEndpointPolicy,
        ]);
        candidates
    }
}

/// Which policy AWS says it was.
pub(super) fn by_phrase(message: &str) -> Option<PolicyKind> {
    let message = message.to_lowercase();
    let phrases = [
        ("service control policy", PolicyKind::ServiceControl),
        ("resource control policy", PolicyKind::ResourceControl),
        ("vpc endpoint policy", PolicyKind::Endpoint),
        ("permissions boundary", PolicyKind::Boundary),
        ("session policy", PolicyKind::Session),
        ("role trust policy", PolicyKind::Trust),
        ("resource-based policy", PolicyKind::Trust),
        ("identity-based policy", PolicyKind::Identity),
    ];
    phrases
        .iter()
        .find(|(phrase, _)| message.contains(phrase))
        .map(|(_, kind)| *kind)
}

/// A refusal that no document surely makes: policies may refuse the network of a person's machine and let the hub's in
/// (keys `aws:SourceVpc`, `aws:SourceIp` and their like: IAM user guide, "Establish permissions guardrails using data
/// perimeters"), so from there it proves nothing about the hub.
pub(super) fn unproven(vantage: Vantage, found: Found) -> Found {
    match (vantage, found) {
        (Vantage::Person, Found::Failed(trouble)) => Found::Unknown(Trouble {
            message: format!(
                "{}. This machine was refused, which another network may not be",
                trouble.message
            ),
            next: format!(
                "look at the condition Connected, which is walked from the hub. If it says the same: {}",
                trouble.next
            ),
            ..trouble
        }),
        (Vantage::Hub | Vantage::Person, found) => found,
    }
}

/// What is no affair of policies: a call that did not arrive, or that STS does not answer in this region.
pub(super) fn general(subject: &Subject, vantage: Vantage, what: &str, refused: &AwsRefusal) -> Option<Found> {
    let AwsRefusal { kind, code, message } = refused;
    let region = &subject.hub.hub.cluster.region;
    let said = || format!("{what}: {code}: {message}");
    let found = match kind {
        ErrorKind::Unreachable => {
            let message = format!("{} (STS in {region})", said());
            let next = format!(
                "check that the name of STS's endpoint resolves (sts.{region}.amazonaws.com, or what the partition has in its place), HTTPS_PROXY and NO_PROXY, the VPC endpoint for STS, and the network \
                 policies of Argo CD's namespace and of this pod"
            );
            // What a person's machine cannot reach proves nothing about the hub.
            match vantage {
                Vantage::Hub => failed(Reason::StsUnreachable, message, next),
                Vantage::Person => unknown(Reason::StsUnreachable, message, next),
            }
        }
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
        | ErrorKind::BoundaryMissing
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::Invalid
        | ErrorKind::CredentialsUnavailable
        | ErrorKind::Unknown => return None,
    };
    Some(found)
}
