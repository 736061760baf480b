//! The parts of the chain.

use serde::Serialize;

use crate::api::condition::ConditionType;

use super::chain::Link;

/// The parts of the chain, in the order in which they are made; each has a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Part {
    /// The `ManagementRole` and its policy.
    ManagementRole,
    /// The EKS cluster.
    Cluster,
    /// The deployer role.
    DeployerRole,
    /// The access entry and its policies.
    AccessEntry,
    /// The cluster Secret.
    Secret,
}

impl Part {
    /// All parts, in order.
    pub const ALL: [Self; 5] = [
        Self::ManagementRole,
        Self::Cluster,
        Self::DeployerRole,
        Self::AccessEntry,
        Self::Secret,
    ];

    /// What it is called in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ManagementRole => "the ManagementRole",
            Self::Cluster => "the cluster",
            Self::DeployerRole => "the deployer role",
            Self::AccessEntry => "the access entry",
            Self::Secret => "the cluster Secret",
        }
    }

    /// The condition that speaks of the part.
    #[must_use]
    pub fn condition(self) -> ConditionType {
        match self {
            Self::ManagementRole => ConditionType::ManagementRoleReady,
            Self::Cluster => ConditionType::ClusterReady,
            Self::DeployerRole => ConditionType::DeployerRoleReady,
            Self::AccessEntry => ConditionType::AccessEntryReady,
            Self::Secret => ConditionType::SecretReady,
        }
    }
}

impl Link for Part {
    fn parts() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn condition(self) -> ConditionType {
        self.condition()
    }

    fn goes(self) -> bool {
        matches!(self, Self::DeployerRole | Self::AccessEntry | Self::Secret)
    }
}
