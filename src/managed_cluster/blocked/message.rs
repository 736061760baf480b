//! What stands in the way of a plan, in words: what it is, on which thing, and what to do next.

use crate::{domain::eks::ClusterState, managed_cluster::words::some};

use super::Blocked;

impl Blocked {
    /// What it is and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::ManagementRoleMissing { name } => format!("there is no ManagementRole {name}: create it, or correct spec.managementRole in a new ManagedCluster"),
            Self::ManagementRoleNotReady { why }
            | Self::AccountNotEntered { why }
            | Self::ApplicationsStillTargeting { why, .. }
            | Self::ApplicationsMayReturn { why }
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
            Self::SecretImmutable { name, undone } => format!("cluster Secret {name} cannot be written to ({}): somebody set `immutable: true` on it, which Kubernetes never takes back. Stop Argo CD's ApplicationSet controller, since ApplicationSets delete the Applications of a cluster without a Secret; delete the Secret, and it is written anew at once; then start the controller again", some(undone)),
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
