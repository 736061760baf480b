//! What stands in the way of a plan, in words: what it is, on which thing, and what to do next.

use std::collections::BTreeSet;

use crate::{
    argocd::ADOPT_ANNOTATION,
    domain::{
        arn::{ClusterArn, account_in, name_in, region_in},
        commands::{
            adopt_existing, free_secret, let_go_of_access_entry, let_take_access_entries, scale_application_sets,
        },
        eks::ClusterState,
        ownership::{ADOPT_TAG, HOLD_TAG},
    },
    managed_cluster::words::{SECOND_LOOK, capitalised, serve, some, unconfirmed},
};

use super::Blocked;

/// What to do about a cluster that another object moors already.
pub const ONE_TOO_MANY: &str = "that ManagedCluster is there and moors this cluster too, so one of the two is one too many: delete the one that has no cluster Secret, which `kubectl get mgc -o custom-columns=NAME:.metadata.name,SECRET:.status.secret` shows";

impl Blocked {
    /// What it is and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::ManagementRoleMissing { name } => format!("there is no ManagementRole {name}: create it, or correct spec.managementRole in a new ManagedCluster"),
            Self::ManagementRoleNotReady { why, .. }
            | Self::AccountNotEntered { why }
            | Self::ApplicationsStillTargeting { why, .. }
            | Self::ApplicationsMayReturn { why }
            | Self::ApplicationsUnseen { why, .. }
            | Self::RemovalsPaused { why } => why.clone(),
            Self::ManagementRoleGoing { name } => format!("ManagementRole {name} is being removed, and nothing new is made for it: name another in a new ManagedCluster"),
            Self::NamespaceNotServed { namespace } => format!("its ManagementRole names namespace {namespace} as Argo CD's, which the operator does not serve, so nothing is made, and what was made is left as it is: {}; otherwise make this ManagedCluster anew with another managementRole", serve(namespace)),
            Self::PolicyPending { name } => format!("waiting for ManagementRole {name} to let its role assume this cluster's deployer role, without which Argo CD does not come to the cluster. That takes seconds; where it does not end, `kubectl describe mgr {name}` says what keeps it"),
            Self::PolicyFull { name } => format!("the policy of ManagementRole {name}'s role has no room for this cluster's deployer role, so nothing is made: ask the platform team to set spec.assumePolicy to PerAccount there, or name the ManagementRole of a second Argo CD in a new ManagedCluster. Once there is room, it goes on by itself"),
            Self::ClusterNotFound { cluster } => format!("{}: correct clusterName, region or accountId in a new ManagedCluster, or create the cluster", no_cluster(cluster)),
            Self::ClusterNotActive { cluster, state } => match state {
                ClusterState::Failed => format!("{cluster} is FAILED: in account {}, `aws eks describe-cluster --region {} --name {}` says why, in field health; it is moored as soon as it is active", cluster.account, cluster.region, cluster.name),
                ClusterState::Deleting => format!("{cluster} is being deleted: delete this ManagedCluster too, unless the cluster is to be created again under its name, and then it is moored anew by itself"),
                ClusterState::Creating | ClusterState::Pending => {
                    format!("{cluster} is being created; it is moored as soon as it is active")
                }
                ClusterState::Active | ClusterState::Updating | ClusterState::Unknown => {
                    format!("EKS does not tell endpoint and certificate authority of {cluster} yet; it is moored as soon as it does")
                }
            },
            Self::ClusterGone { cluster } => format!("the cluster that was moored is not there any more, and its access entry went with it: {}. The deployer role and the cluster Secret are kept: delete this ManagedCluster, or create the cluster again under its name, and it is moored anew by itself", no_cluster(cluster)),
            Self::RoleReplaced { arn, recorded, found, owner, kept_out: None } => format!("role {arn} is not the one that Mooring made: that had ID {recorded}, this one {found} ({owner}), so somebody deleted ours and made another under its name. It is not written to, and no access entry is made for it: delete it, and it is made afresh"),
            Self::RoleReplaced { arn, recorded, found, kept_out: Some(why), .. } => format!("role {arn} is not the one that Argo CD had: that had ID {recorded}, this one {found}, so somebody deleted it and made another under its name, and an access entry of the former one lets nobody in. This one is not taken over: {why}"),
            Self::AccessEntriesDisabled { cluster } => format!("the authentication mode of {cluster} is CONFIG_MAP, which takes no access entries: in account {}, set it with `{}` (this cannot be undone). Until then no access entry has any effect on it", cluster.account, let_take_access_entries(&cluster.region, &cluster.name)),
            Self::ConnectedCluster => "this is a cluster outside of AWS that was registered with EKS: it has no EKS endpoint or access entries to moor by".to_owned(),
            Self::RoleNotOurs { arn, owner, next } => format!("role {arn} is not ours ({owner}): {next}"),
            Self::UnusableRole { arn, why } => format!("the deployer role {arn} cannot be used: {why}. Or name another role in a new ManagedCluster"),
            Self::TrustMissing { arn, management_role, lack } => format!("the trust policy of {arn}, which Mooring does not write, does not let {management_role} in. Have its owner {}", lack.words()),
            Self::NotAdoptable { what, why, .. } => format!("{what} is not taken over: {why}"),
            Self::NotOpened { arn, undone, open } => format!("role {arn} does not bear the tag {ADOPT_TAG} of this hub any more, and without it AWS lets Mooring write nothing to it, so this is not done: {}. Have its owner do that, or set the tag again, and Mooring does it: in account {}, `{open}`", undone.join("; "), account_in(arn)),
            Self::StaleEntry { arn, why, delete } => format!("access entry {arn} is for a role that is gone, so it lets nobody in: {why}. Delete it (in account {}, `{delete}`), and Mooring makes its own for the deployer role that stands; what else somebody still needs is for them to give again", account_in(arn)),
            Self::ForeignPolicyAttached { role, policies, forged: true, .. } => format!("{}. Once its policies are off, Mooring deletes it and makes its own by itself: in account {}, {}", forged_in_words(role), account_in(role), detach_commands(role, policies)),
            Self::ForeignPolicyAttached { role, policies, forged: false, closed } => format!("role {role} carries policies that Mooring did not give it: take them off, and it goes on by itself: in account {}, {}{}", account_in(role), detach_commands(role, policies), if *closed { CLOSED } else { "" }),
            Self::Unconfirmed { what } => unconfirmed(what),
            Self::ScopeUnmoved { what } => format!("EKS has taken the change and does not show it yet: {what}. Until then Argo CD may have either. Once {SECOND_LOOK} agrees, Mooring takes the association away and makes it anew by itself, and for a moment there is neither"),
            Self::EntryNotOurs { owner, next } => format!("the cluster already has an access entry for the deployer role that is not ours ({owner}): {next}"),
            Self::Propagating { what } => format!("waiting until AWS has carried {what} everywhere; this takes seconds"),
            Self::DuplicateCluster { secrets, next, lets_in } => format!("the cluster Secret is not written, since Argo CD would pick one of two at random: {}. {}{}", secrets.join("; "), capitalised(next), lets_in.as_deref().map(lets_in_all_the_same).unwrap_or_default()),
            Self::SecretNotOurs { name, namespace, object } => format!("Secret {namespace}/{name} has the name that Argo CD gives this cluster, and bears no mark of Mooring: find out who wrote it. If it is a cluster Secret of this very server, have it taken over: `{}`, and `kubectl annotate secret -n {namespace} {name} {ADOPT_ANNOTATION}={object}`. Where a cluster Secret is deleted, ApplicationSets delete the Applications of its cluster: if it is none, or no ApplicationSet chooses it, `kubectl delete secret -n {namespace} {name}`, and ours is written by itself", adopt_existing(object)),
            Self::SecretImmutable { name, namespace, undone } => format!("cluster Secret {namespace}/{name} cannot be written to ({}): somebody set `immutable: true` on it, which Kubernetes never takes back. Stop Argo CD's ApplicationSet controller, since ApplicationSets delete the Applications of a cluster without a Secret: `{}`. Once its pods are gone, `kubectl delete secret -n {namespace} {name}`; it is written anew at once. When SecretReady is True, start the controller again, with as many replicas as before: `{}`", some(undone), scale_application_sets(namespace, 0), scale_application_sets(namespace, 1)),
            Self::SecretGoing { name, namespace, finalizers, behind } => secret_going(name, namespace, finalizers, *behind),
            Self::RolePropagating => "waiting until AWS has carried the new deployer role everywhere; this takes seconds".to_owned(),
            Self::UnusableConnection { why } => format!("{why}; Argo CD could not use it, so nothing was written"),
            Self::Held { thing, value, undone, .. } => held_in_words(thing, value, undone),
            Self::Suspended { .. } => "there is none, and none is made while spec.mode is Suspended".to_owned(),
            Self::StoodBack => "somebody changed the mode or set a pause while Mooring was at work: it stopped before its next step, and looks again at once".to_owned(),
            Self::RetentionPending { name } => format!("waiting for ManagementRole {name} to record that the deployer role is kept: this takes seconds, and what is kept stays as it is. If it lasts, `kubectl describe mgr {name}` says why"),
        }
    }
}

/// That EKS has no cluster of that name, as it says itself.
pub(crate) fn no_cluster(cluster: &ClusterArn) -> String {
    format!(
        "EKS has no cluster {} in account {}, region {} (DescribeCluster: ResourceNotFoundException)",
        cluster.name, cluster.account, cluster.region
    )
}

/// What keeps the policies of others on a deployer role from giving anything.
const CLOSED: &str = ". Until then its permissions boundary stays AWSDenyAll, under which they give nothing, and is not the one of the spec";

impl Blocked {
    /// Whether another object has the cluster already, so that nothing but the removal of this one ends it.
    #[must_use]
    pub fn is_one_too_many(&self) -> bool {
        matches!(self, Self::RoleNotOurs { next, .. } | Self::EntryNotOurs { next, .. } if next.starts_with(ONE_TOO_MANY))
    }

    /// What it is where nothing is written: what Mooring would do about it by itself, it does not.
    #[must_use]
    pub fn found(&self) -> String {
        if let Self::Unconfirmed { what } = self {
            format!("{what}; it would be made afresh")
        } else if let Self::ScopeUnmoved { what } = self {
            format!("EKS has taken a change and does not show it: {what}")
        } else if let Self::ForeignPolicyAttached {
            role, policies, forged, ..
        } = self
        {
            let carries = if *forged {
                forged_in_words(role)
            } else {
                format!("role {role} carries policies that Mooring did not give it")
            };
            format!("{carries}: {}", detach_commands(role, policies))
        } else {
            self.message()
        }
    }
}

/// What is told of a role with policies that Mooring would delete and make afresh: somebody may have made it to be taken
/// for ours.
fn forged_in_words(role: &str) -> String {
    format!(
        "role {role} bears Mooring's tags and is not recorded as made by it, and it carries policies, which Mooring gives to none: look up in CloudTrail of account {} (IAM's events are in its first region, us-east-1 in partition aws) who called CreateRole for it. It is not used, and no access entry is made for it",
        account_in(role)
    )
}

/// What is told of the access that an object gives though its cluster Secret is not written.
fn lets_in_all_the_same(role: &str) -> String {
    format!(
        ". Deployer role {role} and its access entry stand all the same, and by them Argo CD's management role is let in on the cluster: that ends when this object is deleted or its spec.mode is Suspended"
    )
}

/// What is told of a Secret that somebody's finalizers keep.
fn secret_going(name: &str, namespace: &str, finalizers: &BTreeSet<String>, behind: bool) -> String {
    let then = if behind {
        "and until it is gone Argo CD goes on using it, so nothing behind it is taken away"
    } else {
        "and is written anew when it is gone"
    };
    let going = format!("Secret {namespace}/{name} is being deleted, {then}");
    if finalizers.is_empty() {
        return going;
    }
    let held = finalizers.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "{going}. It is held by finalizers of others ({held}): whoever set them takes them off once done, and it goes on by itself. Where nobody does any more, `{}` takes them off",
        free_secret(namespace, name)
    )
}

/// The command that takes the tag off a thing, as in "role arn:..." or "access entry arn:...".
fn untag_command(thing: &str) -> String {
    let arn = thing.rsplit(' ').next().unwrap_or(thing);
    if thing.starts_with("role ") {
        format!("aws iam untag-role --role-name {} --tag-keys {HOLD_TAG}", name_in(arn))
    } else {
        let_go_of_access_entry(region_in(arn), arn)
    }
}

/// The commands that take policies off a role.
pub(crate) fn detach_commands(role: &str, policies: &BTreeSet<String>) -> String {
    let commands: Vec<String> = policies.iter().map(|policy| detach_command(role, policy)).collect();
    commands.join("; ")
}

/// The command that takes a policy off a role: an attached one is known by its ARN, an inline one by its name.
fn detach_command(role: &str, policy: &str) -> String {
    let role = name_in(role);
    if policy.starts_with("arn:") {
        format!("`aws iam detach-role-policy --role-name {role} --policy-arn {policy}`")
    } else {
        format!("`aws iam delete-role-policy --role-name {role} --policy-name {policy}`")
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
            "{held}: the owner of the account has set it, and Mooring writes nothing to it. Once that is settled, in account {}, `{}` lets it go on by itself. Not done until then: {}",
            account_in(thing),
            untag_command(thing),
            undone.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_made_to_be_taken_for_ours_is_no_tidying() {
        let attached = |forged: bool| Blocked::ForeignPolicyAttached {
            role: "arn:aws:iam::222222222222:role/mooring/x/default/prod".to_owned(),
            policies: BTreeSet::from(["mine".to_owned()]),
            forged,
            closed: false,
        };
        let off = "`aws iam delete-role-policy --role-name prod --policy-name mine`";
        for (forged, says) in [(true, true), (false, false)] {
            let blocked = attached(forged);
            for told in [blocked.message(), blocked.found()] {
                assert!(told.contains(off), "{told}");
                assert_eq!(told.contains("CloudTrail of account 222222222222"), says, "{told}");
            }
            assert_eq!(blocked.message().contains("deletes it and makes its own"), says);
            assert!(!blocked.found().contains("by itself"), "nothing is written");
        }
    }

    #[test]
    fn what_is_to_be_done_to_a_secret_is_told_with_its_namespace() {
        let (name, namespace) = ("ours".to_owned(), "argocd".to_owned());
        let going = Blocked::SecretGoing {
            name: name.clone(),
            namespace: namespace.clone(),
            finalizers: BTreeSet::from(["their/own".to_owned()]),
            behind: true,
        };
        let free = r#"`kubectl patch secret -n argocd ours --type merge -p '{"metadata":{"finalizers":null}}'`"#;
        assert!(going.message().contains(free), "{}", going.message());
        let immutable = Blocked::SecretImmutable {
            name,
            namespace,
            undone: BTreeSet::new(),
        };
        let told = immutable.message();
        let at = |words: &str| told.find(words).unwrap_or_else(|| panic!("{words}: {told}"));
        assert!(at("--replicas=0") < at("kubectl delete secret -n argocd ours") && at("ours`") < at("--replicas=1"));
    }

    /// How far apart two looks are is for a flag to say.
    #[test]
    fn what_waits_for_a_second_look_says_which_flag_decides_when_that_is() {
        let what = "x".to_owned();
        for blocked in [
            Blocked::Unconfirmed { what: what.clone() },
            Blocked::ScopeUnmoved { what },
        ] {
            assert!(
                blocked.second_look() && blocked.message().contains("--confirm-after"),
                "{}",
                blocked.message()
            );
        }
    }
}
