//! What stands in the way of a plan, as data.

mod beside;
mod message;
mod patience;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    domain::{arn::ClusterArn, eks::ClusterState},
    policy::Lack,
};

pub use self::message::ONE_TOO_MANY;
pub(crate) use self::message::{detach_commands, held_in_words, no_cluster};
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
        /// Whether that ends only when a person acts.
        stalled: bool,
        /// Argo CD's namespace, where it may be a copy of one that lives on another hub.
        copy: Option<String>,
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
    /// The management role's policy has no room for the deployer role.
    PolicyFull {
        /// The `ManagementRole`.
        name: String,
    },
    /// There is no such cluster in that account and region.
    ClusterNotFound {
        /// The cluster that the spec names.
        cluster: ClusterArn,
    },
    /// The cluster cannot be used in this state.
    ClusterNotActive {
        /// The cluster.
        cluster: ClusterArn,
        /// The state.
        state: ClusterState,
    },
    /// The cluster takes no access entries.
    AccessEntriesDisabled {
        /// The cluster.
        cluster: ClusterArn,
    },
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
    /// The role that was recorded is gone, and one that is not ours stands under its name.
    RoleReplaced {
        /// Its ARN.
        arn: String,
        /// The unique ID of the role that was recorded.
        recorded: String,
        /// The unique ID of the one that stands there.
        found: String,
        /// Whose it is.
        owner: String,
        /// Why it is not taken over, where the spec asks for that.
        kept_out: Option<String>,
    },
    /// The cluster that was moored is not there any more.
    ClusterGone {
        /// The cluster.
        cluster: ClusterArn,
    },
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
        /// What it lacks.
        lack: Lack,
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
    /// The owner of a role that was taken over has taken off the tag by which he had opened it.
    NotOpened {
        /// The role's ARN.
        arn: String,
        /// What is not done, in words.
        undone: Vec<String>,
        /// The command that opens it.
        open: String,
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
        /// Whether the role bears our tags and is not recorded as made by us, so that it is deleted once they are off.
        forged: bool,
        /// Whether it keeps AWSDenyAll as its boundary, so that they give nothing, though the spec names another.
        closed: bool,
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
        /// What to do about it.
        next: String,
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
        /// What to do about them.
        next: String,
        /// The deployer role whose access entry stands, so that Argo CD is let in all the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        lets_in: Option<String>,
    },
    /// A Secret of the name that ours would have is not a cluster Secret of ours.
    SecretNotOurs {
        /// The Secret.
        name: String,
        /// Argo CD's namespace.
        namespace: String,
        /// The `ManagedCluster`.
        object: String,
    },
    /// Our Secret differs, and somebody has made it immutable.
    SecretImmutable {
        /// The Secret.
        name: String,
        /// Argo CD's namespace.
        namespace: String,
        /// What cannot be written, by name.
        undone: BTreeSet<String>,
    },
    /// Our Secret is being deleted, and something still holds it.
    SecretGoing {
        /// The Secret.
        name: String,
        /// Argo CD's namespace.
        namespace: String,
        /// The finalizers on it.
        finalizers: BTreeSet<String>,
        /// Whether it goes for good, and something is to go behind it.
        behind: bool,
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
        /// Whether the labels of the cluster Secret are taken off, for ApplicationSets to let go.
        drained: bool,
    },
    /// No Application deploys to the cluster that is being removed, and one may be about to.
    ApplicationsMayReturn {
        /// Who may make one.
        why: String,
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
        matches!(
            self,
            Self::Held { .. } | Self::NotOpened { .. } | Self::Suspended { .. }
        )
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
            | Self::PolicyFull { .. }
            | Self::RemovalsPaused { .. }
            | Self::RetentionPending { .. } => Part::ManagementRole,
            Self::Held { part, .. } | Self::Suspended { part } | Self::NotAdoptable { part, .. } => *part,
            Self::AccountNotEntered { .. }
            | Self::ClusterNotFound { .. }
            | Self::ClusterGone { .. }
            | Self::ClusterNotActive { .. }
            | Self::AccessEntriesDisabled { .. }
            | Self::ConnectedCluster => Part::Cluster,
            Self::RoleNotOurs { .. }
            | Self::RoleReplaced { .. }
            | Self::UnusableRole { .. }
            | Self::TrustMissing { .. }
            | Self::NotOpened { .. }
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
            | Self::SecretImmutable { .. }
            | Self::ApplicationsStillTargeting { .. }
            | Self::ApplicationsMayReturn { .. }
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
            Self::PolicyFull { .. } => "PolicyFull",
            Self::ClusterNotFound { .. } => "ClusterNotFound",
            Self::ClusterGone { .. } => "ClusterGone",
            Self::ClusterNotActive { .. } => "ClusterNotActive",
            Self::AccessEntriesDisabled { .. } => "AccessEntriesDisabled",
            Self::ConnectedCluster => "ConnectedCluster",
            Self::RoleNotOurs { .. } => "RoleNotOurs",
            Self::UnusableRole { .. } => "UnusableRole",
            Self::TrustMissing { .. } => "TrustMissing",
            Self::NotAdoptable { .. } => "NotAdoptable",
            Self::NotOpened { .. } => "NotOpened",
            Self::ForeignPolicyAttached { .. } => "ForeignPolicyAttached",
            Self::RoleReplaced { .. } | Self::StaleEntry { .. } | Self::Unconfirmed { .. } => "StalePrincipal",
            Self::EntryNotOurs { .. } => "AccessEntryNotOurs",
            Self::Propagating { .. } | Self::RolePropagating | Self::ScopeUnmoved { .. } => "Propagating",
            Self::DuplicateCluster { .. } => "DuplicateCluster",
            Self::SecretNotOurs { .. } => "SecretNotOurs",
            Self::SecretGoing { .. } => "SecretGoing",
            Self::SecretImmutable { .. } => "SecretImmutable",
            Self::UnusableConnection { .. } => "UnusableConnection",
            Self::Held { .. } => "Held",
            Self::Suspended { .. } => "Suspended",
            Self::StoodBack => "StoodBack",
            Self::RetentionPending { .. } => "RetentionPending",
            Self::ApplicationsStillTargeting { .. } => "ApplicationsStillTargeting",
            Self::ApplicationsMayReturn { .. } => "ApplicationsMayReturn",
            Self::ApplicationsUnseen { .. } => "ApplicationsUnseen",
            Self::RemovalsPaused { .. } => "RemovalsPaused",
        }
    }

    /// Whether it ends only when a person acts.
    #[must_use]
    pub fn stalled(&self) -> bool {
        match self {
            Self::NamespaceNotServed { .. }
            | Self::PolicyFull { .. }
            | Self::ManagementRoleGoing { .. }
            | Self::AccountNotEntered { .. }
            | Self::ClusterNotFound { .. }
            | Self::ClusterGone { .. }
            | Self::AccessEntriesDisabled { .. }
            | Self::ConnectedCluster
            | Self::RoleNotOurs { .. }
            | Self::RoleReplaced { .. }
            | Self::StaleEntry { .. }
            | Self::UnusableRole { .. }
            | Self::TrustMissing { .. }
            | Self::NotAdoptable { .. }
            | Self::NotOpened { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::EntryNotOurs { .. }
            | Self::DuplicateCluster { .. }
            | Self::SecretNotOurs { .. }
            | Self::SecretImmutable { .. }
            | Self::ManagementRoleMissing { .. }
            | Self::RemovalsPaused { .. }
            | Self::UnusableConnection { .. } => true,
            Self::Held { undone, .. } => !undone.is_empty(),
            Self::ManagementRoleNotReady { stalled, .. }
            | Self::ApplicationsStillTargeting { stalled, .. }
            | Self::ApplicationsUnseen { stalled, .. } => *stalled,
            Self::ClusterNotActive { state, .. } => matches!(state, ClusterState::Failed | ClusterState::Deleting),
            Self::PolicyPending { .. }
            | Self::Unconfirmed { .. }
            | Self::ScopeUnmoved { .. }
            | Self::Propagating { .. }
            | Self::RolePropagating
            | Self::SecretGoing { .. }
            | Self::Suspended { .. }
            | Self::StoodBack
            | Self::ApplicationsMayReturn { .. }
            | Self::RetentionPending { .. } => false,
        }
    }
}
