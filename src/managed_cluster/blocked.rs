//! What stands in the way of a plan, as data.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{domain::eks::ClusterState, policy::Document};

use super::step::Part;

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
    /// The `ManagementRole` is being removed, and nobody new may stand on it.
    ManagementRoleGoing {
        /// The name.
        name: String,
    },
    /// The account cannot be entered, and something may stand there.
    AccountNotEntered {
        /// What AWS said, and what to do.
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
        /// What to do, the likeliest first.
        next: String,
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
    /// The cluster that was moored is not there any more.
    ClusterGone,
    /// The deployer role that the spec names by its ARN, and that is somebody else's, cannot be used.
    UnusableRole {
        /// Its ARN.
        arn: String,
        /// Why, as in "there is no such role".
        why: String,
    },
    /// The trust policy of a deployer role that is somebody else's does not let the management role in.
    TrustMissing {
        /// The role.
        arn: String,
        /// The management role.
        management_role: String,
        /// The trust policy to set: theirs, with what is missing. `None` where theirs denies it, which nothing heals that
        /// is added.
        document: Option<Document>,
    },
    /// Something that others made is not taken over.
    NotAdoptable {
        /// What, as in "role arn:...".
        what: String,
        /// Why, and what would have it taken over.
        why: String,
        /// Of which part of the chain it is.
        part: Part,
    },
    /// The access entry is for a role that is gone, and others have a part in it.
    StaleEntry {
        /// Its ARN.
        arn: String,
        /// Why Mooring does not delete it.
        why: String,
        /// The command that does.
        delete: String,
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
    /// EKS has taken another scope for an access policy, and still shows the one before; a second look must agree.
    ScopeUnmoved {
        /// The change, in words.
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
    /// The owner of the account has set the tag `mooring.dev/hold`.
    Held {
        /// Which part it is.
        part: Part,
        /// What bears the tag.
        thing: String,
        /// The tag's value.
        value: String,
        /// What is not done, in words; nothing where it is as the spec says.
        undone: Vec<String>,
    },
    /// It would have to be made, and nothing is made while access is taken away.
    Suspended {
        /// What.
        part: Part,
    },
    /// A person had the object stand back while its pass ran.
    StoodBack,
    /// Applications still deploy to the cluster that is being removed.
    ApplicationsStillTargeting {
        /// Which, who makes them, and what to do.
        why: String,
        /// Whether it ends only when a person acts.
        stalled: bool,
    },
    /// Whether Applications still deploy to the cluster could not be seen.
    ApplicationsUnseen {
        /// What the API server said, and what to do.
        why: String,
        /// Whether it ends only when a person acts.
        stalled: bool,
    },
    /// Too many removals were asked for at once.
    RemovalsPaused {
        /// How many, and what to do.
        why: String,
    },
    /// The removal keeps the role, and the `ManagementRole` has not recorded that yet.
    RetentionPending {
        /// The `ManagementRole`.
        name: String,
    },
}

impl Blocked {
    /// Whether it only stands beside the chain: nothing waits for it, and the part is as the spec says.
    #[must_use]
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Held { undone, .. } if undone.is_empty())
    }

    /// Whether what comes behind it in the chain is looked at and kept all the same.
    #[must_use]
    pub fn lets_through(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::Suspended { .. })
    }

    /// The part of the chain that is blocked.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::ManagementRoleMissing { .. }
            | Self::ManagementRoleNotReady { .. }
            | Self::ManagementRoleGoing { .. }
            | Self::NamespaceNotServed { .. }
            | Self::PolicyPending { .. }
            | Self::RemovalsPaused { .. }
            | Self::RetentionPending { .. } => Part::ManagementRole,
            Self::Held { part, .. } | Self::Suspended { part } | Self::NotAdoptable { part, .. } => *part,
            Self::AccountNotEntered { .. }
            | Self::ClusterNotFound
            | Self::ClusterGone
            | Self::ClusterNotActive { .. }
            | Self::AccessEntriesDisabled
            | Self::ConnectedCluster => Part::Cluster,
            Self::RoleNotOurs { .. }
            | Self::RoleReplaced { .. }
            | Self::UnusableRole { .. }
            | Self::TrustMissing { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::Unconfirmed { .. }
            | Self::RolePropagating => Part::DeployerRole,
            Self::EntryNotOurs { .. }
            | Self::StaleEntry { .. }
            | Self::ScopeUnmoved { .. }
            | Self::Propagating { .. }
            | Self::StoodBack => Part::AccessEntry,
            Self::DuplicateCluster { .. }
            | Self::SecretNotOurs { .. }
            | Self::SecretGoing { .. }
            | Self::ApplicationsStillTargeting { .. }
            | Self::ApplicationsUnseen { .. }
            | Self::UnusableConnection { .. } => Part::Secret,
        }
    }

    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ManagementRoleMissing { .. } => "ManagementRoleMissing",
            Self::ManagementRoleNotReady { .. } => "ManagementRoleNotReady",
            Self::ManagementRoleGoing { .. } => "ManagementRoleGoing",
            Self::AccountNotEntered { .. } => "AccountNotEntered",
            Self::NamespaceNotServed { .. } => "NamespaceNotServed",
            Self::PolicyPending { .. } => "PolicyPending",
            Self::ClusterNotFound => "ClusterNotFound",
            Self::ClusterGone => "ClusterGone",
            Self::ClusterNotActive { .. } => "ClusterNotActive",
            Self::AccessEntriesDisabled => "AccessEntriesDisabled",
            Self::ConnectedCluster => "ConnectedCluster",
            Self::RoleNotOurs { .. } => "RoleNotOurs",
            Self::UnusableRole { .. } => "UnusableRole",
            Self::TrustMissing { .. } => "TrustMissing",
            Self::NotAdoptable { .. } => "NotAdoptable",
            Self::ForeignPolicyAttached { .. } => "ForeignPolicyAttached",
            Self::RoleReplaced { .. } | Self::StaleEntry { .. } | Self::Unconfirmed { .. } => "StalePrincipal",
            Self::EntryNotOurs { .. } => "AccessEntryNotOurs",
            Self::Propagating { .. } | Self::RolePropagating | Self::ScopeUnmoved { .. } => "Propagating",
            Self::DuplicateCluster { .. } => "DuplicateCluster",
            Self::SecretNotOurs { .. } => "SecretNotOurs",
            Self::SecretGoing { .. } => "SecretGoing",
            Self::UnusableConnection { .. } => "UnusableConnection",
            Self::Held { .. } => "Held",
            Self::Suspended { .. } => "Suspended",
            Self::StoodBack => "StoodBack",
            Self::RetentionPending { .. } => "RetentionPending",
            Self::ApplicationsStillTargeting { .. } => "ApplicationsStillTargeting",
            Self::ApplicationsUnseen { .. } => "ApplicationsUnseen",
            Self::RemovalsPaused { .. } => "RemovalsPaused",
        }
    }

    /// Whether it ends only when a person acts.
    #[must_use]
    pub fn stalled(&self) -> bool {
        match self {
            Self::NamespaceNotServed { .. }
            | Self::ManagementRoleGoing { .. }
            | Self::AccountNotEntered { .. }
            | Self::ClusterNotFound
            | Self::ClusterGone
            | Self::AccessEntriesDisabled
            | Self::ConnectedCluster
            | Self::RoleNotOurs { .. }
            | Self::RoleReplaced { .. }
            | Self::StaleEntry { .. }
            | Self::UnusableRole { .. }
            | Self::TrustMissing { .. }
            | Self::NotAdoptable { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::EntryNotOurs { .. }
            | Self::DuplicateCluster { .. }
            | Self::SecretNotOurs { .. }
            | Self::ManagementRoleMissing { .. }
            | Self::RemovalsPaused { .. }
            | Self::UnusableConnection { .. } => true,
            Self::Held { undone, .. } => !undone.is_empty(),
            Self::ApplicationsStillTargeting { stalled, .. } | Self::ApplicationsUnseen { stalled, .. } => *stalled,
            Self::ClusterNotActive { state } => matches!(state, ClusterState::Failed | ClusterState::Deleting),
            Self::ManagementRoleNotReady { .. }
            | Self::PolicyPending { .. }
            | Self::Unconfirmed { .. }
            | Self::ScopeUnmoved { .. }
            | Self::Propagating { .. }
            | Self::RolePropagating
            | Self::SecretGoing { .. }
            | Self::Suspended { .. }
            | Self::StoodBack
            | Self::RetentionPending { .. } => false,
        }
    }

    /// Whether nobody tells when it ends, so that it is looked at often, although a person must act.
    #[must_use]
    pub fn polled(&self) -> bool {
        matches!(
            self,
            Self::ApplicationsStillTargeting { .. } | Self::ApplicationsUnseen { .. }
        )
    }

    /// What it is and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::ManagementRoleMissing { name } => format!("there is no ManagementRole {name}: create it, or correct spec.managementRole in a new ManagedCluster"),
            Self::ManagementRoleNotReady { why }
            | Self::AccountNotEntered { why }
            | Self::ApplicationsStillTargeting { why, .. }
            | Self::ApplicationsUnseen { why, .. }
            | Self::RemovalsPaused { why } => why.clone(),
            Self::ManagementRoleGoing { name } => format!("ManagementRole {name} is being removed, and nothing new is made for it: name another in a new ManagedCluster"),
            Self::NamespaceNotServed { namespace } => format!("the operator does not serve namespace {namespace}: start it with --argocd-namespace {namespace} and give it the Role that the others have there"),
            Self::PolicyPending { name } => format!("waiting for ManagementRole {name} to let its role assume this cluster's deployer role; `kubectl get mgr {name}` says how far it is"),
            Self::ClusterNotFound => "EKS knows no cluster of that name in this account and region: correct clusterName, region or accountId in a new ManagedCluster, or create the cluster".to_owned(),
            Self::ClusterNotActive { state } => match state {
                ClusterState::Failed => "the cluster is FAILED: look at `aws eks describe-cluster`, field health".to_owned(),
                ClusterState::Deleting => "the cluster is being deleted: delete this ManagedCluster too".to_owned(),
                ClusterState::Creating | ClusterState::Pending => {
                    "the cluster is being created; it is moored as soon as it is active".to_owned()
                }
                ClusterState::Active | ClusterState::Updating | ClusterState::Unknown => {
                    "EKS does not tell the cluster's endpoint and certificate authority yet; it is moored as soon as it does".to_owned()
                }
            },
            Self::ClusterGone => "the cluster that was moored is not there any more, and its access entry went with it. The deployer role and the cluster Secret are kept: delete this ManagedCluster, or create the cluster again under its name, and it is moored anew by itself".to_owned(),
            Self::RoleReplaced { arn, recorded, found, owner } => format!("role {arn} is not the one that Mooring made: that had ID {recorded}, this one {found} ({owner}), so somebody deleted ours and made another under its name. It is not written to, and no access entry is made for it: delete it, and it is made afresh"),
            Self::AccessEntriesDisabled => "the cluster's authentication mode is CONFIG_MAP, which takes no access entries: set it with `aws eks update-cluster-config --access-config authenticationMode=API_AND_CONFIG_MAP` (this cannot be undone)".to_owned(),
            Self::ConnectedCluster => "this is a cluster outside of AWS that was registered with EKS: it has no EKS endpoint or access entries to moor by".to_owned(),
            Self::RoleNotOurs { arn, owner, next } => format!("role {arn} is not ours ({owner}): {next}"),
            Self::UnusableRole { arn, why } => format!("the deployer role {arn} cannot be used: {why}. Its owner can make it; or name another role in a new ManagedCluster"),
            Self::TrustMissing { arn, management_role, document: None } => format!("the trust policy of {arn}, which Mooring does not write, denies sts:AssumeRole to {management_role}: take that statement out of it"),
            Self::TrustMissing { arn, management_role, document: Some(document) } => format!("the trust policy of {arn}, which Mooring does not write, does not let {management_role} in. Have its owner set this one, which is the one that stands with what is missing: {}", document.to_json()),
            Self::NotAdoptable { what, why, .. } => format!("{what} is not taken over: {why}"),
            Self::StaleEntry { arn, why, delete } => format!("access entry {arn} is for a role that is gone, so it lets nobody in: {why}. Delete it (`{delete}`), and Mooring makes its own for the deployer role that stands; what else somebody still needs is for them to give again"),
            Self::ForeignPolicyAttached { role, policies } => format!("role {role} carries policies that Mooring did not give it ({}): take them off", policies.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
            Self::Unconfirmed { what } => format!("{what}; it is healed when a second look in half a minute agrees"),
            Self::ScopeUnmoved { what } => format!("EKS has taken the change and does not show it yet: {what}. When a second look in half a minute agrees, the association is taken away and made anew"),
            Self::EntryNotOurs { owner } => format!("the cluster already has an access entry for the deployer role that is not ours ({owner}): delete it with `aws eks delete-access-entry`, or set spec.adoptExisting to have it taken over"),
            Self::Propagating { what } => format!("waiting until AWS has carried {what} everywhere; this takes seconds"),
            Self::DuplicateCluster { secrets } => format!("Argo CD already knows this cluster by other Secrets ({}), and picks one at random when there are two: delete or rename those, or set spec.adoptExisting to have one of the same server taken over", secrets.join("; ")),
            Self::SecretNotOurs { name } => format!("Secret {name} exists and is not ours: delete it"),
            Self::SecretGoing { name } => format!("Secret {name} is being deleted and is written anew when it is gone; if it stays, take off the finalizers that hold it"),
            Self::RolePropagating => "waiting until AWS has carried the new deployer role everywhere; this takes seconds".to_owned(),
            Self::UnusableConnection { why } => format!("{why}; Argo CD could not use it, so nothing was written"),
            Self::Held { thing, value, undone, .. } => held_in_words(thing, value, undone),
            Self::Suspended { .. } => "there is none, and none is made while spec.mode is Suspended".to_owned(),
            Self::StoodBack => "the mode was changed or a pause was set while the pass ran: it ended before its next step, and the next pass heeds that".to_owned(),
            Self::RetentionPending { name } => format!("waiting for ManagementRole {name} to record that the deployer role is kept"),
        }
    }
}

/// What is told of a thing that its owner holds.
pub(crate) fn held_in_words(thing: &str, value: &str, undone: &[String]) -> String {
    let value = if value.is_empty() {
        String::new()
    } else {
        format!(" ({value:?})")
    };
    let held = format!("{thing} bears the tag mooring.dev/hold{value}");
    if undone.is_empty() {
        format!("{held}, so nothing is written to it")
    } else {
        format!(
            "{held}, so this is not done until whoever set it takes it off: {}",
            undone.join("; ")
        )
    }
}
