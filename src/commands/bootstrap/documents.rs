//! What `mooring bootstrap` prints, as plain values, and why there may be nothing to print.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    domain::{
        arn::{ClusterArn, OidcProviderArn, PolicyArn, RoleArn},
        name::{AccountId, InvalidName, RoleName},
        ownership::Tags,
    },
    management_role::request::Refusal,
    policy::Document,
};

/// Characters of a role's inline policies together, and of one managed policy, white space not counted (IAM user
/// guide, "IAM and STS quotas").
pub(super) const INLINE_QUOTA: usize = 10_240;
pub(super) const MANAGED_QUOTA: usize = 6_144;

/// Everything to be made, by account; the hub's own account first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The `ManagementRole` that it is for.
    pub management_role: String,
    /// The hub's EKS cluster.
    pub hub: ClusterArn,
    /// What is made where.
    pub accounts: Vec<AccountSetup>,
    /// What a person should know, a sentence each; told on standard error.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// What is made in one account, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountSetup {
    /// The account.
    pub account_id: AccountId,
    /// OIDC providers that role trust policies name: IAM takes no trust policy without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oidc_providers: Vec<Provider>,
    /// Managed policies.
    pub managed_policies: Vec<ManagedPolicy>,
    /// Roles.
    pub roles: Vec<SetupRole>,
}

/// An IAM OIDC provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Its ARN.
    pub arn: OidcProviderArn,
    /// The issuer.
    pub url: String,
    /// The audiences.
    pub client_ids: Vec<String>,
}

/// A managed policy at the root path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPolicy {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: PolicyArn,
    /// For people.
    pub description: String,
    /// Its tags, by which a second run knows it again.
    pub tags: Tags,
    /// The policy.
    pub document: Document,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupRole {
    /// Its name.
    pub name: RoleName,
    /// Its path, `/`.
    pub path: String,
    /// Its ARN.
    pub arn: RoleArn,
    /// For people.
    pub description: String,
    /// Its tags, by which a second run knows it again.
    pub tags: Tags,
    /// Who may assume it.
    pub trust_policy: Document,
    /// What it may do. The name holds the `ManagementRole`'s, so that two of one hub can share the role.
    pub inline_policies: BTreeMap<String, Document>,
}

/// Why there is nothing to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The hub's account is not known.
    #[error("{0}")]
    HubAccount(String),
    /// The manifest cannot be used.
    #[error("ManagementRole {0}: {1}")]
    Refused(String, Refusal),
    /// The API server would not take the manifest.
    #[error("ManagementRole {0} is not what its definition takes: {1}")]
    NotDefined(String, String),
    /// An account in `allow`, the issuer, or another name, is none.
    #[error("{0}")]
    Invalid(#[from] InvalidName),
    /// The account asked for is not one that the `ManagementRole` speaks of.
    #[error(
        "account {account} is neither the hub's own nor in spec.allow of ManagementRole {management_role}: Mooring needs nothing there until spec.allow names it"
    )]
    NotAllowed {
        /// The account.
        account: AccountId,
        /// The object.
        management_role: String,
    },
    /// Two roles of one account would have one name.
    #[error(
        "two of the roles that are made in the hub's account are named {0}: give operator, verifier, provisioner, reader and the management role a name each (--operator-role, --verifier-role, spec.provisioner, spec.role.name)"
    )]
    OneName(RoleName),
    /// A reader of another partition.
    #[error("--reader {arn} is in partition {}, the hub in {hub}: name a role of that partition", arn.partition)]
    OtherReader {
        /// The role.
        arn: RoleArn,
        /// The hub's partition.
        hub: &'static str,
    },
    /// A boundary of another partition.
    #[error("--deployer-boundary {arn} is in partition {}, the hub in {hub}: name a policy of that partition", arn.partition)]
    OtherPartition {
        /// The boundary.
        arn: PolicyArn,
        /// The hub's partition.
        hub: &'static str,
    },
    /// A policy that IAM does not take.
    #[error(
        "the policy of role {role} in account {account} has {length} characters, and IAM gives a role's inline policies {INLINE_QUOTA}: let fewer entries of spec.allow cover the account, or fewer regions and clusters in each"
    )]
    TooLong {
        /// The role.
        role: RoleName,
        /// The account.
        account: AccountId,
        /// Its length.
        length: usize,
    },
}

impl BootstrapError {
    /// Whether the manifest is to be changed, and not the command.
    #[must_use]
    pub fn is_of_the_manifest(&self) -> bool {
        match self {
            Self::Refused(..) | Self::NotDefined(..) | Self::Invalid(_) | Self::TooLong { .. } => true,
            Self::HubAccount(_)
            | Self::NotAllowed { .. }
            | Self::OneName(_)
            | Self::OtherReader { .. }
            | Self::OtherPartition { .. } => false,
        }
    }
}
