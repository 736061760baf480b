//! 1. request: a `ManagementRole`, parsed once into names that cannot be wrong. Pure.

use std::collections::BTreeSet;

use crate::{
    api::{AssumePolicy, CONFIRM_HUB, IdentityType, ManagementRole, OidcProvider},
    domain::{
        allow::Allowance,
        arn::{ClusterArn, PolicyArn, RoleArn},
        hub::Hub,
        name::{AccountId, InvalidName, KubernetesName, Partition, PolicyName, RoleName},
        ownership::{Owner, Tags},
    },
    managed_cluster::management::{allowances, guarded},
};

/// Whose the management role is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleOwner {
    /// We make it and keep it.
    Mooring,
    /// Somebody else's: we only look.
    Existing,
}

/// A `ManagementRole` that may be made true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The object's name.
    pub name: String,
    /// The hub, and the object.
    pub hub: Hub,
    /// Who makes what is made.
    pub owner: Owner,
    /// The management role.
    pub role: RoleArn,
    /// Whose it is.
    pub role_owner: RoleOwner,
    /// Its permissions boundary.
    pub boundary: PolicyArn,
    /// The platform team's own tags.
    pub tags: Tags,
    /// Argo CD's namespace.
    pub namespace: KubernetesName,
    /// The namespaces of the hub that give more than themselves: an Argo CD's, and the operator's own.
    pub guarded: BTreeSet<String>,
    /// The service accounts that may use the role.
    pub service_accounts: Vec<KubernetesName>,
    /// Whether the OIDC provider is made when it is missing.
    pub manage_provider: bool,
    /// Whether every deployer role is named, instead of one pattern an account.
    pub explicit: bool,
    /// The provisioner role's name.
    pub provisioner: RoleName,
    /// The reader role's name.
    pub reader: RoleName,
    /// The external ID that provisioner and reader roles ask for.
    pub external_id: Option<String>,
    /// What may be asked for.
    pub allow: Vec<Allowance>,
    /// The issuer of the hub that a person has confirmed.
    pub confirmed_hub: Option<String>,
}

/// Why a `ManagementRole` is not made true until a person acts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A name in it is none.
    #[error("the spec cannot be used: {0}")]
    Invalid(#[from] InvalidName),
    /// The existing role is in another account.
    #[error("identity.roleArn is in account {found}, the hub is in {hub}: name a role of the hub's own account")]
    OtherAccount {
        /// The role's account.
        found: String,
        /// The hub's account.
        hub: String,
    },
    /// The existing role is one that Mooring itself works by.
    #[error(
        "identity.roleArn {arn} is {whose}, by which Mooring enters every account: whoever acts as that holds more than Argo CD is to have. Name a role that only Argo CD uses in a new ManagementRole"
    )]
    OwnRole {
        /// The role's ARN.
        arn: String,
        /// Whose it is.
        whose: &'static str,
    },
    /// The operator's own credentials are of another partition.
    #[error(
        "cluster.region {region} is in partition {expected}, and the operator's credentials are of {found}: run the operator on the hub itself"
    )]
    OtherPartition {
        /// The hub's region.
        region: String,
        /// Its partition.
        expected: &'static str,
        /// The credentials' partition.
        found: String,
    },
}

impl Request {
    /// Parses the object. The hub's account is the one that the operator's own credentials belong to, since the
    /// operator runs on the hub.
    ///
    /// # Errors
    /// Says what a person must change.
    pub fn parse(object: &ManagementRole, account: &AccountId) -> Result<Self, Refusal> {
        let spec = &object.spec;
        let name = object.metadata.name.clone().unwrap_or_default();
        let hub = Hub {
            cluster: ClusterArn {
                region: spec.cluster.region.parse()?,
                account: account.clone(),
                name: spec.cluster.name.parse()?,
            },
            management_role: name.parse()?,
        };
        let (role, role_owner) = match (spec.identity.kind, spec.identity.role_arn.as_deref()) {
            (IdentityType::Existing, arn) => {
                let role: RoleArn = arn.unwrap_or_default().parse()?;
                if role.account != *account {
                    return Err(Refusal::OtherAccount {
                        found: role.account.to_string(),
                        hub: account.to_string(),
                    });
                }
                (role, RoleOwner::Existing)
            }
            (IdentityType::Irsa, _) => {
                let chosen: Option<RoleName> = spec.role.name.as_deref().map(str::parse).transpose()?;
                (hub.management_role_arn(chosen.as_ref()), RoleOwner::Mooring)
            }
        };
        let boundary: PolicyName = spec.role.permissions_boundary.parse()?;
        Ok(Self {
            owner: Owner {
                hub: hub.cluster.clone(),
                uid: object.metadata.uid.clone().unwrap_or_default(),
                object: name.clone(),
            },
            role,
            role_owner,
            boundary: hub.hub_policy(&boundary),
            tags: spec.role.tags.clone(),
            namespace: spec.argocd_namespace.parse()?,
            guarded: guarded(&spec.argocd_namespace),
            service_accounts: spec
                .service_accounts
                .iter()
                .map(|name| name.parse())
                .collect::<Result<_, _>>()?,
            manage_provider: spec.oidc_provider == OidcProvider::Manage,
            explicit: spec.assume_policy == AssumePolicy::Explicit,
            provisioner: spec.provisioner.role_name.parse()?,
            reader: spec.provisioner.reader_role_name.parse()?,
            external_id: spec.provisioner.external_id.clone(),
            allow: allowances(&spec.allow),
            confirmed_hub: object
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(CONFIRM_HUB))
                .map(|issuer| issuer.trim().to_owned()),
            hub,
            name,
        })
    }

    /// The same where more namespaces of the hub are known to give more than themselves.
    #[must_use]
    pub fn guarding(mut self, more: &BTreeSet<String>) -> Self {
        self.guarded.extend(more.iter().cloned());
        self
    }

    /// Holds an existing role against those that Mooring works by. `caller` is who the operator is to AWS.
    ///
    /// # Errors
    /// When it is one of them.
    pub fn check_role(&self, caller: &str) -> Result<(), Refusal> {
        // STS tells of a session by the role's name, without its path (IAM user guide, "IAM identifiers").
        let operator = caller
            .split_once(":assumed-role/")
            .and_then(|(_, rest)| rest.split('/').next());
        // IAM tells role names of one account apart by neither path nor case.
        let is = |name: &str| self.role.name.as_str().eq_ignore_ascii_case(name);
        let whose = if operator.is_some_and(is) {
            "the operator's own role"
        } else if is(self.provisioner.as_str()) {
            "the provisioner role"
        } else if is(self.reader.as_str()) {
            "the reader role"
        } else {
            return Ok(());
        };
        if self.role_owner == RoleOwner::Mooring {
            return Ok(());
        }
        Err(Refusal::OwnRole {
            arn: self.role.to_string(),
            whose,
        })
    }

    /// Holds the partition of the operator's own credentials against the hub's region.
    ///
    /// # Errors
    /// When they differ.
    pub fn check_partition(&self, found: Option<Partition>) -> Result<(), Refusal> {
        let expected = self.hub.partition();
        if found == Some(expected) {
            return Ok(());
        }
        Err(Refusal::OtherPartition {
            region: self.hub.cluster.region.to_string(),
            expected: expected.name(),
            found: found.map_or_else(|| "an unknown one".to_owned(), |partition| partition.to_string()),
        })
    }
}
