//! A plan for a `ManagementRole`, as data.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    api::condition::ConditionType,
    aws::WantedRole,
    domain::{
        arn::{OidcProviderArn, PolicyArn},
        name::RoleName,
        ownership::Tags,
    },
    managed_cluster::{
        chain::Link,
        words::{boundary_in_words, names_a_ghost, policy_in_words, settings_in_words, some, trust_in_words},
    },
    policy::{Difference, Document, Exposure},
};

pub use super::blocked::Blocked;

/// The name of the inline policy by which the management role assumes deployer roles.
pub const POLICY_NAME: &str = "mooring-assume-deployers";

/// One write.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step")]
pub enum Step {
    /// Make the hub's OIDC provider.
    CreateOidcProvider {
        /// Its ARN, which gives the URL.
        arn: OidcProviderArn,
        /// Tags that say who made it. It is never deleted.
        tags: Tags,
    },
    /// Add the audience to the provider.
    AddAudience {
        /// The provider.
        arn: OidcProviderArn,
        /// The audience.
        audience: String,
    },
    /// Make the management role. It ends the pass: what makes it ours is recorded before anything else is done to it.
    CreateRole {
        /// The role.
        role: WantedRole,
    },
    /// Delete a role that bears our tags.
    DeleteRole {
        /// Its name.
        name: RoleName,
    },
    /// Set the permissions boundary.
    SetBoundary {
        /// The role.
        name: RoleName,
        /// The boundary.
        boundary: PolicyArn,
        /// The boundary that was found.
        found: Option<String>,
    },
    /// Set the trust policy.
    SetTrust {
        /// The role.
        name: RoleName,
        /// The whole trust policy.
        trust: Document,
        /// What that changes about the one that was found.
        differences: Vec<Difference>,
        /// Whom the one that was found lets in besides, and whether it surely lets none of Argo CD's service accounts in.
        #[serde(flatten)]
        exposure: Exposure,
    },
    /// Set tags of the role.
    TagRole {
        /// The role.
        name: RoleName,
        /// All tags that we want.
        tags: Tags,
        /// The keys that were missing or had another value.
        missing: BTreeSet<String>,
    },
    /// Set the role's description, and how long its sessions may last.
    UpdateRole {
        /// The role.
        name: RoleName,
        /// The description.
        description: String,
        /// What of the two had another value, by name.
        changed: BTreeSet<String>,
    },
    /// Write the permission policy.
    PutPolicy {
        /// The role.
        name: RoleName,
        /// The policy.
        document: Document,
        /// What that changes about the one that was found; nothing where there was none.
        differences: Vec<Difference>,
        /// What of it takes away, as a step of its own; `None` where it only gives.
        #[serde(skip)]
        taking: Option<Box<Self>>,
    },
    /// Delete the permission policy: there is nothing to assume.
    DeletePolicy {
        /// The role.
        name: RoleName,
    },
}

impl Step {
    /// The step's name, for metrics and events.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateOidcProvider { .. } => "CreateOidcProvider",
            Self::AddAudience { .. } => "AddAudience",
            Self::CreateRole { .. } => "CreateRole",
            Self::DeleteRole { .. } => "DeleteRole",
            Self::SetBoundary { .. } => "SetBoundary",
            Self::SetTrust { .. } => "SetTrust",
            Self::TagRole { .. } => "TagRole",
            Self::UpdateRole { .. } => "UpdateRole",
            Self::PutPolicy { .. } => "PutPolicy",
            Self::DeletePolicy { .. } => "DeletePolicy",
        }
    }

    /// Whether what the step mends surely lets none of Argo CD's service accounts in.
    #[must_use]
    pub fn shuts_out(&self) -> bool {
        matches!(self, Self::SetTrust { exposure, .. } if exposure.shuts_out)
    }

    /// The step in words, for events and messages.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::CreateOidcProvider { arn, .. } => format!("create OIDC provider {arn}"),
            Self::AddAudience { arn, audience } => format!("add audience {audience} to {arn}"),
            Self::CreateRole { role } => format!("create role {}", role.arn),
            Self::DeleteRole { name } => format!("delete role {name}"),
            Self::SetBoundary { name, boundary, found } => boundary_in_words(name, boundary, found.as_deref()),
            Self::SetTrust {
                name,
                differences,
                exposure,
                ..
            } => trust_in_words(name, (exposure, SHUTS_OUT), differences),
            Self::TagRole { name, missing, .. } => format!("restore the tags of {name} ({})", some(missing)),
            Self::UpdateRole { name, changed, .. } => settings_in_words(name, changed),
            Self::PutPolicy {
                name,
                document,
                differences,
                ..
            } => policy_in_words(name, document, differences),
            Self::DeletePolicy { name } => format!("let {name} assume nothing"),
        }
    }

    /// Whether the step takes somebody out of a trust policy of whom only the unique ID is left.
    #[must_use]
    pub fn meets_a_ghost(&self) -> bool {
        matches!(self, Self::SetTrust { differences, .. } if names_a_ghost(differences))
    }

    /// The part that the step belongs to.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::CreateOidcProvider { .. } | Self::AddAudience { .. } => Part::OidcProvider,
            Self::CreateRole { .. }
            | Self::DeleteRole { .. }
            | Self::SetBoundary { .. }
            | Self::SetTrust { .. }
            | Self::UpdateRole { .. }
            | Self::TagRole { .. } => Part::Role,
            Self::PutPolicy { .. } | Self::DeletePolicy { .. } => Part::Policy,
        }
    }
}

/// What a trust policy does that has to be known before what it says.
const SHUTS_OUT: &str = ", which let none of Argo CD's service accounts in, so that Argo CD came to no cluster";

/// The parts, in the order in which they are made; each has a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Part {
    /// The hub is the cluster that we run on.
    Hub,
    /// The OIDC provider.
    OidcProvider,
    /// The role and its trust.
    Role,
    /// The permission policy.
    Policy,
}

impl Part {
    /// All parts, in order.
    pub const ALL: [Self; 4] = [Self::Hub, Self::OidcProvider, Self::Role, Self::Policy];

    /// The condition that speaks of the part.
    #[must_use]
    pub fn condition(self) -> ConditionType {
        match self {
            Self::Hub => ConditionType::HubReady,
            Self::OidcProvider => ConditionType::OidcProviderReady,
            Self::Role => ConditionType::RoleReady,
            Self::Policy => ConditionType::PolicyReady,
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
        matches!(self, Self::Role | Self::Policy)
    }
}

/// What to do, and what stands in the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What stands in the way.
    pub blocked: Vec<Blocked>,
    /// What the role may assume once the steps are done.
    pub assumable: BTreeSet<String>,
    /// The service accounts whose web identities the trust policy of an existing role does not let in.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub untrusted: BTreeSet<String>,
    /// The cluster Secrets for which the role may assume itself.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub acting: BTreeSet<String>,
}

impl Plan {
    /// What stands in the way first. What is held and as the spec says stands in nobody's way.
    #[must_use]
    pub fn in_the_way(&self) -> Option<&Blocked> {
        self.blocked.iter().find(|blocked| !blocked.is_note())
    }

    /// Whether there is nothing to do and nothing in the way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.steps.is_empty() && self.in_the_way().is_none()
    }
}
