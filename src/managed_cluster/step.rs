//! A plan as data: the steps, and what stands in the way. Nothing here decides or does.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    api::condition::ConditionType,
    argocd::WantedSecret,
    aws::WantedRole,
    domain::{
        arn::PolicyArn,
        eks::{AccessPolicyArn, AccessScope, ClusterState, WantedEntry},
        name::RoleName,
        ownership::Tags,
    },
    policy::Document,
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
    },
    /// Set the trust policy.
    SetTrust {
        /// The role.
        name: RoleName,
        /// The whole trust policy.
        trust: Document,
    },
    /// Set tags of the role.
    TagRole {
        /// The role.
        name: RoleName,
        /// All tags that we want, since the provisioner may only tag with our mark among them.
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
    },
    /// Set tags of the entry.
    TagAccessEntry {
        /// The entry's ARN.
        arn: String,
        /// All tags that we want.
        tags: Tags,
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
    },
    /// Take an access policy from the entry.
    Disassociate {
        /// The policy.
        policy: AccessPolicyArn,
    },
    /// Write the cluster Secret.
    ApplySecret {
        /// What to write; the name is the Secret's own where it exists.
        secret: WantedSecret,
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
            Self::CreateAccessEntry { .. } => "CreateAccessEntry",
            Self::SetGroups { .. } => "SetGroups",
            Self::TagAccessEntry { .. } => "TagAccessEntry",
            Self::DeleteAccessEntry => "DeleteAccessEntry",
            Self::Associate { .. } => "Associate",
            Self::Rescope { .. } => "Rescope",
            Self::Disassociate { .. } => "Disassociate",
            Self::ApplySecret { .. } => "ApplySecret",
            Self::NullSecretKeys { .. } => "NullSecretKeys",
            Self::DeleteSecret { .. } => "DeleteSecret",
        }
    }

    /// The step in words, for events and messages.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::CreateRole { role } => format!("create role {}", role.arn),
            Self::DeleteRole { name } => format!("delete role {name}"),
            Self::SetBoundary { name, boundary } => format!("set the permissions boundary of {name} to {boundary}"),
            Self::SetTrust { name, .. } => format!("restore the trust policy of {name}"),
            Self::TagRole { name, .. } => format!("restore the tags of {name}"),
            Self::CreateAccessEntry { entry, .. } => format!("create the access entry of {}", entry.principal),
            Self::SetGroups { groups } => {
                let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
                format!(
                    "set the Kubernetes groups of the access entry to [{}]",
                    groups.join(", ")
                )
            }
            Self::TagAccessEntry { .. } => "restore the tags of the access entry".to_owned(),
            Self::DeleteAccessEntry => "delete the access entry".to_owned(),
            Self::Associate { policy, scope } => format!("associate {} in {}", policy.name(), scope_in_words(scope)),
            Self::Rescope { policy, scope } => format!("hold {} to {}", policy.name(), scope_in_words(scope)),
            Self::Disassociate { policy } => format!("take away {}", policy.name()),
            Self::ApplySecret { secret } => format!("write cluster Secret {}", secret.name),
            Self::NullSecretKeys { name, keys, .. } => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                format!("take {} out of cluster Secret {name}", keys.join(", "))
            }
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
            | Self::TagRole { .. } => Part::DeployerRole,
            Self::CreateAccessEntry { .. }
            | Self::SetGroups { .. }
            | Self::TagAccessEntry { .. }
            | Self::DeleteAccessEntry
            | Self::Associate { .. }
            | Self::Rescope { .. }
            | Self::Disassociate { .. } => Part::AccessEntry,
            Self::ApplySecret { .. } | Self::NullSecretKeys { .. } | Self::DeleteSecret { .. } => Part::Secret,
        }
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

fn scope_in_words(scope: &AccessScope) -> String {
    match scope {
        AccessScope::Cluster => "the whole cluster".to_owned(),
        AccessScope::Namespaces(names) => {
            format!(
                "namespaces {}",
                names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

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

/// What stands in the way, as a typed reason. It is not an error: nothing failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "blocked")]
pub enum Blocked {
    /// No `ManagementRole` of that name.
    ManagementRoleMissing {
        /// The name.
        name: String,
    },
    /// The `ManagementRole` is not ready.
    ManagementRoleNotReady {
        /// Its own words.
        why: String,
    },
    /// The operator was not told to serve the namespace of that Argo CD.
    NamespaceNotServed {
        /// The namespace.
        namespace: String,
    },
    /// The management role's policy does not name the deployer role yet.
    PolicyPending {
        /// The `ManagementRole`.
        name: String,
    },
    /// There is no such cluster in that account and region.
    ClusterNotFound,
    /// The cluster cannot be used in this state.
    ClusterNotActive {
        /// The state.
        state: ClusterState,
    },
    /// The cluster takes no access entries.
    AccessEntriesDisabled,
    /// A cluster outside of AWS.
    ConnectedCluster,
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
    },
    /// Something must be deleted to heal, and a second look must agree first.
    Unconfirmed {
        /// What was seen, in words.
        what: String,
    },
    /// The access entry is not ours.
    EntryNotOurs {
        /// Whose it is.
        owner: String,
    },
    /// AWS has not carried a write everywhere yet.
    Propagating {
        /// What it waits for.
        what: String,
    },
    /// Another cluster Secret has the same server or name.
    DuplicateCluster {
        /// The Secrets, with what they share.
        secrets: Vec<String>,
    },
    /// A Secret of the name that ours would have is not a cluster Secret of ours.
    SecretNotOurs {
        /// The Secret.
        name: String,
    },
    /// Our Secret is being deleted, and something still holds it.
    SecretGoing {
        /// The Secret.
        name: String,
    },
    /// AWS does not give the ARN of the deployer role yet.
    RolePropagating,
    /// What AWS gave could not be used by Argo CD.
    UnusableConnection {
        /// Why.
        why: String,
    },
    /// The removal keeps the role, and the `ManagementRole` has not recorded that yet.
    RetentionPending {
        /// The `ManagementRole`.
        name: String,
    },
}

impl Blocked {
    /// The part of the chain that is blocked.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::ManagementRoleMissing { .. }
            | Self::ManagementRoleNotReady { .. }
            | Self::NamespaceNotServed { .. }
            | Self::PolicyPending { .. }
            | Self::RetentionPending { .. } => Part::ManagementRole,
            Self::ClusterNotFound
            | Self::ClusterNotActive { .. }
            | Self::AccessEntriesDisabled
            | Self::ConnectedCluster => Part::Cluster,
            Self::RoleNotOurs { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::Unconfirmed { .. }
            | Self::RolePropagating => Part::DeployerRole,
            Self::EntryNotOurs { .. } | Self::Propagating { .. } => Part::AccessEntry,
            Self::DuplicateCluster { .. }
            | Self::SecretNotOurs { .. }
            | Self::SecretGoing { .. }
            | Self::UnusableConnection { .. } => Part::Secret,
        }
    }

    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ManagementRoleMissing { .. } => "ManagementRoleMissing",
            Self::ManagementRoleNotReady { .. } => "ManagementRoleNotReady",
            Self::NamespaceNotServed { .. } => "NamespaceNotServed",
            Self::PolicyPending { .. } => "PolicyPending",
            Self::ClusterNotFound => "ClusterNotFound",
            Self::ClusterNotActive { .. } => "ClusterNotActive",
            Self::AccessEntriesDisabled => "AccessEntriesDisabled",
            Self::ConnectedCluster => "ConnectedCluster",
            Self::RoleNotOurs { .. } => "RoleNotOurs",
            Self::ForeignPolicyAttached { .. } => "ForeignPolicyAttached",
            Self::Unconfirmed { .. } => "StalePrincipal",
            Self::EntryNotOurs { .. } => "AccessEntryNotOurs",
            Self::Propagating { .. } | Self::RolePropagating => "Propagating",
            Self::DuplicateCluster { .. } => "DuplicateCluster",
            Self::SecretNotOurs { .. } => "SecretNotOurs",
            Self::SecretGoing { .. } => "SecretGoing",
            Self::UnusableConnection { .. } => "UnusableConnection",
            Self::RetentionPending { .. } => "RetentionPending",
        }
    }

    /// Whether it ends only when a person acts.
    #[must_use]
    pub fn stalled(&self) -> bool {
        match self {
            Self::NamespaceNotServed { .. }
            | Self::ClusterNotFound
            | Self::AccessEntriesDisabled
            | Self::ConnectedCluster
            | Self::RoleNotOurs { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::EntryNotOurs { .. }
            | Self::DuplicateCluster { .. }
            | Self::SecretNotOurs { .. }
            | Self::ManagementRoleMissing { .. }
            | Self::UnusableConnection { .. } => true,
            Self::ClusterNotActive { state } => matches!(state, ClusterState::Failed | ClusterState::Deleting),
            Self::ManagementRoleNotReady { .. }
            | Self::PolicyPending { .. }
            | Self::Unconfirmed { .. }
            | Self::Propagating { .. }
            | Self::RolePropagating
            | Self::SecretGoing { .. }
            | Self::RetentionPending { .. } => false,
        }
    }

    /// What it is and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::ManagementRoleMissing { name } => format!("there is no ManagementRole {name}: create it, or correct spec.managementRole in a new ManagedCluster"),
            Self::ManagementRoleNotReady { why } => why.clone(),
            Self::NamespaceNotServed { namespace } => format!("the operator does not serve namespace {namespace}: start it with --argocd-namespace {namespace} and give it the Role that the others have there"),
            Self::PolicyPending { name } => format!("waiting for ManagementRole {name} to let its role assume this cluster's deployer role; `kubectl get mgr {name}` says how far it is"),
            Self::ClusterNotFound => "EKS knows no cluster of that name in this account and region: correct clusterName, region or accountId in a new ManagedCluster, or create the cluster".to_owned(),
            Self::ClusterNotActive { state } => match state {
                ClusterState::Failed => "the cluster is FAILED: look at `aws eks describe-cluster`, field health".to_owned(),
                ClusterState::Deleting => "the cluster is being deleted: delete this ManagedCluster too".to_owned(),
                ClusterState::Creating | ClusterState::Pending | ClusterState::Active | ClusterState::Updating | ClusterState::Unknown => {
                    "the cluster is not active yet; nothing is made until it is".to_owned()
                }
            },
            Self::AccessEntriesDisabled => "the cluster's authentication mode is CONFIG_MAP, which takes no access entries: set it with `aws eks update-cluster-config --access-config authenticationMode=API_AND_CONFIG_MAP` (this cannot be undone)".to_owned(),
            Self::ConnectedCluster => "this is a cluster outside of AWS that was registered with EKS: it has no EKS endpoint or access entries to moor by".to_owned(),
            Self::RoleNotOurs { arn, owner } => format!("role {arn} is not ours ({owner}), and role names are unique in an account whatever their path: delete or rename it, or choose another access.deployerRole.name in a new ManagedCluster"),
            Self::ForeignPolicyAttached { role, policies } => format!("role {role} carries policies that Mooring did not give it ({}): take them off", policies.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
            Self::Unconfirmed { what } => format!("{what}; it is healed when a second look in half a minute agrees"),
            Self::EntryNotOurs { owner } => format!("the cluster already has an access entry for the deployer role that is not ours ({owner}): delete it with `aws eks delete-access-entry`"),
            Self::Propagating { what } => format!("waiting until AWS has carried {what} everywhere; this takes seconds"),
            Self::DuplicateCluster { secrets } => format!("Argo CD already knows this cluster by other Secrets ({}), and picks one at random when there are two: delete or rename those", secrets.join("; ")),
            Self::SecretNotOurs { name } => format!("Secret {name} exists and is not ours: delete it"),
            Self::SecretGoing { name } => format!("Secret {name} is being deleted and is written anew when it is gone; if it stays, take off the finalizers that hold it"),
            Self::RolePropagating => "waiting until AWS has carried the new deployer role everywhere; this takes seconds".to_owned(),
            Self::UnusableConnection { why } => format!("{why}; Argo CD could not use it, so nothing was written"),
            Self::RetentionPending { name } => format!("waiting for ManagementRole {name} to record that the deployer role is kept"),
        }
    }
}

/// Something that only a deletion heals. Two looks, some time apart, must agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspicion {
    /// The unique ID of a role that bears our tags and that we did not record.
    pub role_id: Option<String>,
    /// The role ID that the access entry was made for, where that is not the role's.
    pub entry_made_for: Option<String>,
}

/// What to do, and what stands in the way. The same observation always leads to the same plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What stands in the way of the rest.
    pub blocked: Vec<Blocked>,
    /// What a second look must confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<Suspicion>,
}

impl Plan {
    /// Whether there is nothing to do and nothing in the way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_empty()
    }
}
