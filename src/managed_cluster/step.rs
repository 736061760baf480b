//! A plan as data: the steps. Nothing here decides or does.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    argocd::WantedSecret,
    aws::WantedRole,
    domain::{
        arn::{PolicyArn, RoleArn},
        eks::{AccessPolicyArn, AccessScope, WantedEntry},
        name::RoleName,
        ownership::Tags,
    },
    policy::{Difference, Document, Exposure},
};

use super::words::{
    SHUTS_OUT, boundary_in_words, groups_in_words, identity_in_words, leave_in_words, let_in_in_words, names_a_ghost,
    rescope_in_words, secret_in_words, settings_in_words, some, trust_in_words,
};

pub use super::{
    part::Part,
    planned::{Plan, Suspicion},
    words::scope_in_words,
};

/// One write. A step carries everything that it needs; nothing is chosen when it is carried out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step")]
pub enum Step {
    /// Make the deployer role.
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
        /// Whom the one that was found lets in, and whom not.
        #[serde(flatten)]
        exposure: Exposure,
    },
    /// Set tags of the role.
    TagRole {
        /// The role.
        name: RoleName,
        /// All tags that we want, since the provisioner may only tag with our mark among them.
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
    /// Let the management role in by the trust policy of a role that was taken over, beside what others wrote there.
    AddTrust {
        /// The role.
        name: RoleName,
        /// The management role.
        management_role: RoleArn,
        /// The whole trust policy. What others wrote there is not for a log.
        #[serde(skip_serializing)]
        trust: Document,
        /// Principals of others of whom only the unique ID is left: they let nobody in, and go.
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        ghosts: BTreeSet<String>,
        /// The other role whose statement goes, since ours takes its place.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaced: Option<RoleArn>,
    },
    /// Take our statement out of the trust policy of a role that was taken over, and leave the role to the others.
    LeaveRole {
        /// The role.
        name: RoleName,
        /// The trust policy that is left. What others wrote there is not for a log.
        #[serde(skip_serializing)]
        trust: Document,
        /// Principals of others of whom only the unique ID is left: they let nobody in, and go.
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        ghosts: BTreeSet<String>,
    },
    /// Mark a role that others made as ours, and record it.
    AdoptRole {
        /// The role.
        arn: RoleArn,
        /// The unique ID of the role that was looked at.
        id: String,
        /// All tags that we want.
        tags: Tags,
    },
    /// Mark an access entry that others made as ours.
    AdoptAccessEntry {
        /// The entry's ARN.
        arn: String,
        /// All tags that we want.
        tags: Tags,
    },
    /// Make the access entry.
    CreateAccessEntry {
        /// The entry.
        entry: WantedEntry,
        /// The unique ID of the role it is for; `None` when the role is made in the same plan.
        role_id: Option<String>,
    },
    /// Set the Kubernetes groups of the entry.
    SetGroups {
        /// All groups.
        groups: BTreeSet<String>,
        /// The groups that were found.
        found: BTreeSet<String>,
    },
    /// Set the user name of the entry back to the one that EKS makes up, and the groups with it: the provisioner may change
    /// neither while the other is beyond what it may set.
    SetUsername {
        /// The user name.
        username: String,
        /// The user name that was found.
        found: String,
        /// All groups.
        groups: BTreeSet<String>,
        /// The groups that were found.
        found_groups: BTreeSet<String>,
    },
    /// Set tags of the entry.
    TagAccessEntry {
        /// The entry's ARN.
        arn: String,
        /// All tags that we want.
        tags: Tags,
        /// The keys that were missing or had another value.
        missing: BTreeSet<String>,
    },
    /// Delete the access entry.
    DeleteAccessEntry,
    /// Associate an access policy with the entry.
    Associate {
        /// The policy.
        policy: AccessPolicyArn,
        /// Its scope.
        scope: AccessScope,
    },
    /// Give an access policy that is associated another scope.
    Rescope {
        /// The policy.
        policy: AccessPolicyArn,
        /// The new scope.
        scope: AccessScope,
        /// The scope that was found.
        found: AccessScope,
    },
    /// Take an access policy from the entry and associate it anew, since its scope did not change in place.
    Reassociate {
        /// The policy.
        policy: AccessPolicyArn,
        /// The new scope.
        scope: AccessScope,
        /// The scope that was found, and found again.
        found: AccessScope,
    },
    /// Take an access policy from the entry.
    Disassociate {
        /// The policy.
        policy: AccessPolicyArn,
        /// The scope that it was found with.
        found: AccessScope,
    },
    /// Write the cluster Secret.
    ApplySecret {
        /// What to write; the name is the Secret's own where it exists.
        secret: WantedSecret,
        /// The UID of the Secret that was looked at; `None`: there was none, and there must be none still.
        uid: Option<String>,
        /// Where the Secret is somebody else's and is taken over: what that changes.
        #[serde(skip_serializing_if = "Option::is_none")]
        adopts: Option<String>,
        /// What of it was missing, changed, or is no longer wanted: keys of `data`, labels and annotations by name. Of one
        /// that is taken over: what others wrote and is overwritten.
        changed: BTreeSet<String>,
    },
    /// Take keys of Argo CD's that somebody else set out of the cluster Secret.
    NullSecretKeys {
        /// The Secret.
        name: String,
        /// The resource version that was looked at.
        resource_version: String,
        /// The keys.
        keys: BTreeSet<String>,
    },
    /// Take labels off a cluster Secret that bears our annotation, all at once, so that no generator of an ApplicationSet
    /// sees half of it.
    DropLabels {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// The resource version that was looked at.
        resource_version: String,
        /// The labels, whoever set them.
        labels: BTreeSet<String>,
    },
    /// Take the `ownerReferences` off a cluster Secret that bears our annotation: with what they name Kubernetes would delete
    /// it.
    DropOwners {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// What they name, by kind and name.
        owners: BTreeSet<String>,
    },
    /// Delete a cluster Secret that bears our annotation.
    DeleteSecret {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
    },
}

impl Step {
    /// The step's name, for metrics and events.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateRole { .. } => "CreateRole",
            Self::DeleteRole { .. } => "DeleteRole",
            Self::SetBoundary { .. } => "SetBoundary",
            Self::SetTrust { .. } => "SetTrust",
            Self::TagRole { .. } => "TagRole",
            Self::UpdateRole { .. } => "UpdateRole",
            Self::AddTrust { .. } => "AddTrust",
            Self::LeaveRole { .. } => "LeaveRole",
            Self::AdoptRole { .. } => "AdoptRole",
            Self::AdoptAccessEntry { .. } => "AdoptAccessEntry",
            Self::CreateAccessEntry { .. } => "CreateAccessEntry",
            Self::SetGroups { .. } => "SetGroups",
            Self::SetUsername { .. } => "SetUsername",
            Self::TagAccessEntry { .. } => "TagAccessEntry",
            Self::DeleteAccessEntry => "DeleteAccessEntry",
            Self::Associate { .. } => "Associate",
            Self::Rescope { .. } => "Rescope",
            Self::Reassociate { .. } => "Reassociate",
            Self::Disassociate { .. } => "Disassociate",
            Self::ApplySecret { .. } => "ApplySecret",
            Self::NullSecretKeys { .. } => "NullSecretKeys",
            Self::DropLabels { .. } => "DropLabels",
            Self::DropOwners { .. } => "DropOwners",
            Self::DeleteSecret { .. } => "DeleteSecret",
        }
    }

    /// The step in words, for events and messages.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
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
            Self::AddTrust {
                name,
                management_role,
                ghosts,
                replaced,
                ..
            } => let_in_in_words(name, management_role, replaced.as_ref(), ghosts),
            Self::LeaveRole { name, ghosts, .. } => leave_in_words(name, ghosts),
            Self::AdoptRole { arn, id, .. } => format!("take over role {arn} ({id})"),
            Self::AdoptAccessEntry { arn, .. } => format!("take over access entry {arn}"),
            Self::CreateAccessEntry { entry, .. } => format!("create the access entry of {}", entry.principal),
            Self::SetGroups { groups, found } => groups_in_words(groups, found),
            Self::SetUsername {
                username,
                found,
                groups,
                found_groups,
            } => identity_in_words((username, found), (groups, found_groups)),
            Self::TagAccessEntry { missing, .. } => format!("restore the tags of the access entry ({})", some(missing)),
            Self::DeleteAccessEntry => "delete the access entry".to_owned(),
            Self::Associate { policy, scope } => format!("associate {} in {}", policy.name(), scope_in_words(scope)),
            Self::Rescope { policy, scope, found } => rescope_in_words(policy, scope, found),
            Self::Reassociate { policy, scope, found } => format!(
                "take away {}, associated in {}, and associate it anew in {}, since EKS did not change its scope in place",
                policy.name(),
                scope_in_words(found),
                scope_in_words(scope)
            ),
            Self::Disassociate { policy, found } => {
                format!("take away {}, associated in {}", policy.name(), scope_in_words(found))
            }
            Self::ApplySecret {
                secret,
                adopts,
                changed,
                ..
            } => secret_in_words(&secret.name, adopts.as_deref(), changed),
            Self::NullSecretKeys { name, keys, .. } => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                format!("take {} out of cluster Secret {name}", keys.join(", "))
            }
            Self::DropLabels { name, labels, .. } => {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                format!("take the labels {} off cluster Secret {name}", labels.join(", "))
            }
            Self::DropOwners { name, owners, .. } => format!(
                "take the ownerReference to {} off cluster Secret {name}, since Kubernetes would delete the Secret with that",
                some(owners)
            ),
            Self::DeleteSecret { name, .. } => format!("delete cluster Secret {name}"),
        }
    }

    /// Which part of the chain the step belongs to.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::CreateRole { .. }
            | Self::DeleteRole { .. }
            | Self::SetBoundary { .. }
            | Self::SetTrust { .. }
            | Self::AddTrust { .. }
            | Self::LeaveRole { .. }
            | Self::AdoptRole { .. }
            | Self::UpdateRole { .. }
            | Self::TagRole { .. } => Part::DeployerRole,
            Self::CreateAccessEntry { .. }
            | Self::SetGroups { .. }
            | Self::SetUsername { .. }
            | Self::TagAccessEntry { .. }
            | Self::AdoptAccessEntry { .. }
            | Self::DeleteAccessEntry
            | Self::Associate { .. }
            | Self::Rescope { .. }
            | Self::Reassociate { .. }
            | Self::Disassociate { .. } => Part::AccessEntry,
            Self::ApplySecret { .. }
            | Self::NullSecretKeys { .. }
            | Self::DropLabels { .. }
            | Self::DropOwners { .. }
            | Self::DeleteSecret { .. } => Part::Secret,
        }
    }

    /// Whether the step gives a Secret that is there another server.
    #[must_use]
    pub fn changes_server(&self) -> bool {
        matches!(self, Self::ApplySecret { uid: Some(_), changed, .. } if changed.contains("data server"))
    }

    /// Whether the step changes nothing but the `config` of a Secret that is there: the certificate authority is in it.
    #[must_use]
    pub fn changes_config_alone(&self) -> bool {
        matches!(self, Self::ApplySecret { uid: Some(_), changed, .. } if changed.iter().eq(["data config"]))
    }

    /// Whether the step takes somebody out of a trust policy of whom only the unique ID is left.
    #[must_use]
    pub fn meets_a_ghost(&self) -> bool {
        matches!(self, Self::SetTrust { differences, .. } if names_a_ghost(differences))
            || matches!(self, Self::AddTrust { ghosts, .. } | Self::LeaveRole { ghosts, .. } if !ghosts.is_empty())
    }

    /// Whether the step may run beside the one before it: associations of different policies do not depend on
    /// each other. A change of scope may narrow, so it waits for what comes before it.
    #[must_use]
    pub fn beside(&self, previous: &Self) -> bool {
        matches!(
            (previous, self),
            (Self::Associate { .. }, Self::Associate { .. }) | (Self::Disassociate { .. }, Self::Disassociate { .. })
        )
    }
}
