//! What stands in the way of a plan, as data.

mod message;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{api::condition::Verdict, domain::arn::ClusterArn, policy::Lack};

pub(super) use self::message::SHUT_OUT;

use super::step::Part;

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "blocked")]
pub enum Blocked {
    /// EKS does not know the hub.
    HubNotFound {
        /// The cluster that the spec names.
        cluster: ClusterArn,
    },
    /// The operator was not started for Argo CD's namespace.
    NamespaceNotServed {
        /// The namespace.
        namespace: String,
    },
    /// The hub that EKS describes is not the cluster that the operator runs on.
    HubMismatch {
        /// The cluster that the spec names.
        cluster: ClusterArn,
        /// The issuer that EKS gives.
        described: String,
        /// The issuer of the API server that we run on.
        here: String,
    },
    /// The hub's issuer is nothing that IAM takes.
    UnusableIssuer {
        /// Why.
        why: String,
    },
    /// `oidcProvider: Require`, and there is none.
    OidcProviderMissing {
        /// The provider's ARN.
        arn: String,
    },
    /// `oidcProvider: Require`, and the audience is missing.
    AudienceMissing {
        /// The provider's ARN.
        arn: String,
    },
    /// `identity.type: Existing`, and there is no such role.
    RoleMissing {
        /// Its ARN.
        arn: String,
    },
    /// `identity.type: Existing`, and cluster Secrets need the role to trust itself, which it does not.
    SelfTrustMissing {
        /// Its ARN.
        arn: String,
        /// The cluster Secrets.
        secrets: BTreeSet<String>,
        /// What its trust policy lacks.
        lack: Lack,
    },
    /// Cluster Secrets that others wrote still make Argo CD act as the role that is to be removed.
    SecretsRemain {
        /// Argo CD's namespace, where they are.
        namespace: String,
        /// Their names.
        secrets: BTreeSet<String>,
    },
    /// The hub is another cluster than the one that was recorded, under the same name.
    HubReplaced {
        /// The object's own name.
        object: String,
        /// The issuer that was recorded.
        recorded: String,
        /// The issuer now.
        issuer: String,
        /// The issuer that a person has confirmed, where it is another than that one.
        confirmed: Option<String>,
    },
    /// The object is being removed, and its role is perhaps what another hub lives on.
    NotItsHub {
        /// The object's own name.
        object: String,
        /// The role's ARN.
        arn: String,
        /// Why the operator does not know itself to be on the hub.
        hub: Box<Self>,
    },
    /// A role of our name was made by an object of this name that is no more.
    RoleLeftBehind {
        /// The object's own name.
        object: String,
        /// The role's ARN.
        arn: String,
        /// Who made it.
        owner: String,
        /// The hub's issuer now.
        issuer: String,
    },
    /// The role that we made is gone, and one that is not ours stands under its name.
    RoleReplaced {
        /// Its ARN.
        arn: String,
        /// The unique ID of the role that we made.
        recorded: String,
        /// The unique ID of the one that stands there.
        found: String,
        /// Whose it is.
        owner: String,
    },
    /// A role of that name is not ours.
    RoleNotOurs {
        /// Its ARN.
        arn: String,
        /// Whose it is.
        owner: String,
    },
    /// Our role carries policies that we did not give it.
    ForeignPolicyAttached {
        /// The role.
        role: String,
        /// Their names.
        policies: BTreeSet<String>,
        /// Whether its permissions boundary is the one that holds it to assuming deployer roles.
        bounded: bool,
    },
    /// Something must be deleted to heal, and a second look must agree first.
    Unconfirmed {
        /// The unique ID of the role.
        id: String,
    },
    /// The owner of the account has set the tag `mooring.dev/hold` on the role.
    Held {
        /// The role's ARN.
        arn: String,
        /// The tag's value.
        value: String,
        /// What is not done, in words; nothing where it is as the spec says.
        undone: Vec<String>,
        /// Whether nobody of Argo CD can assume the role meanwhile.
        shuts_out: bool,
    },
    /// The policy has no room for all deployer roles.
    PolicyFull {
        /// What was left out.
        left_out: BTreeSet<String>,
    },
    /// The role was made just now; the rest follows at once.
    JustMade,
    /// AWS has not carried a write everywhere yet.
    Propagating,
    /// Clusters still name the object that is being removed.
    ClustersRemain {
        /// The names of those that stay until a person deletes them.
        names: BTreeSet<String>,
        /// The names of those of which nobody knows whether they name it, since they cannot be read.
        unreadable: BTreeSet<String>,
        /// The names of those that are being removed themselves.
        going: BTreeSet<String>,
        /// Deployer roles of theirs that are kept when they go: each waits for being recorded.
        retained: BTreeSet<String>,
        /// Whether the hub had been found to be another, and is not any more.
        hub_found: bool,
    },
    /// A person changed or paused the object while its pass ran.
    StoodBack,
    /// Deployer roles that were kept still trust the role that is being removed.
    RetainedDeployers {
        /// The object's own name.
        object: String,
        /// Their ARNs, each with the cluster that it was made for, where the role says so.
        arns: BTreeMap<String, Option<ClusterArn>>,
        /// Accounts that cannot be entered to look, and why the first of them cannot.
        unseen: BTreeMap<String, String>,
        /// Accounts of which a person has said that they are closed.
        closed: BTreeSet<String>,
    },
}

impl Blocked {
    /// The part that is blocked; `None` where each is as the spec says, and nobody can use them.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        Some(match self {
            Self::NamespaceNotServed { .. } => return None,
            Self::HubNotFound { .. } | Self::HubMismatch { .. } | Self::HubReplaced { .. } | Self::NotItsHub { .. } => {
                Part::Hub
            }
            Self::UnusableIssuer { .. } | Self::OidcProviderMissing { .. } | Self::AudienceMissing { .. } => {
                Part::OidcProvider
            }
            Self::RoleMissing { .. }
            | Self::RoleNotOurs { .. }
            | Self::RoleLeftBehind { .. }
            | Self::RoleReplaced { .. }
            | Self::Held { .. }
            | Self::Unconfirmed { .. }
            | Self::JustMade
            | Self::Propagating
            | Self::StoodBack
            | Self::ClustersRemain { .. }
            | Self::SelfTrustMissing { .. }
            | Self::SecretsRemain { .. }
            | Self::RetainedDeployers { .. } => Part::Role,
            Self::ForeignPolicyAttached { .. } | Self::PolicyFull { .. } => Part::Policy,
        })
    }

    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::HubNotFound { .. } => "HubNotFound",
            Self::NamespaceNotServed { .. } => "NamespaceNotServed",
            Self::HubMismatch { .. } | Self::HubReplaced { .. } => "HubMismatch",
            Self::NotItsHub { hub, .. } => hub.reason(),
            Self::UnusableIssuer { .. } => "UnusableIssuer",
            Self::OidcProviderMissing { .. } => "OidcProviderMissing",
            Self::AudienceMissing { .. } => "AudienceMissing",
            Self::RoleMissing { .. } => "RoleMissing",
            Self::RoleNotOurs { .. } | Self::RoleLeftBehind { .. } => "RoleNotOurs",
            Self::ForeignPolicyAttached { .. } => "ForeignPolicyAttached",
            Self::RoleReplaced { .. } | Self::Unconfirmed { .. } => "StalePrincipal",
            Self::Held { .. } => "Held",
            Self::PolicyFull { .. } => "PolicyFull",
            Self::JustMade => "JustMade",
            Self::Propagating => "Propagating",
            Self::ClustersRemain { .. } => "ClustersRemain",
            Self::SelfTrustMissing { .. } => "SelfTrustMissing",
            Self::SecretsRemain { .. } => "SecretsRemain",
            Self::RetainedDeployers { .. } => "RetainedDeployers",
            Self::StoodBack => "StoodBack",
        }
    }

    /// Whether it ends only when a person acts.
    #[must_use]
    pub fn stalled(&self) -> bool {
        match self {
            Self::HubNotFound { .. }
            | Self::NamespaceNotServed { .. }
            | Self::HubMismatch { .. }
            | Self::HubReplaced { .. }
            | Self::NotItsHub { .. }
            | Self::RoleLeftBehind { .. }
            | Self::RoleReplaced { .. }
            | Self::UnusableIssuer { .. }
            | Self::OidcProviderMissing { .. }
            | Self::AudienceMissing { .. }
            | Self::RoleMissing { .. }
            | Self::RoleNotOurs { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::PolicyFull { .. }
            | Self::SecretsRemain { .. }
            | Self::RetainedDeployers { .. } => true,
            Self::Held { undone, .. } => !undone.is_empty(),
            Self::ClustersRemain { names, unreadable, .. } => !names.is_empty() || !unreadable.is_empty(),
            Self::SelfTrustMissing { .. }
            | Self::Unconfirmed { .. }
            | Self::JustMade
            | Self::Propagating
            | Self::StoodBack => false,
        }
    }

    /// Whether it stands in nobody's way: what is held and as the spec says, and what only others are to mend.
    #[must_use]
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Held { undone, .. } if undone.is_empty()) || matches!(self, Self::SelfTrustMissing { .. })
    }

    /// Whether it holds up a removal as a whole, and is nothing that the role lacks.
    #[must_use]
    pub fn holds_removals_up(&self) -> bool {
        matches!(
            self,
            Self::ClustersRemain { .. } | Self::SecretsRemain { .. } | Self::RetainedDeployers { .. } | Self::StoodBack
        )
    }

    /// What it makes of its condition: nobody is alarmed by what one look alone says, which may be a stale read.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if matches!(self, Self::Unconfirmed { .. }) {
            Verdict::Unknown
        } else {
            Verdict::False
        }
    }
}
