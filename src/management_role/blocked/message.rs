//! What stands in the way of a management role, in words: what it is, on which thing, and what to do next.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::CONFIRM_HUB,
    domain::{
        arn::{ClusterArn, account_in, name_in},
        commands::{delete_access_entry, free_management_role},
    },
    managed_cluster::{
        detach_commands, held_in_words, no_cluster,
        words::{named, say_closed, serve, some, unconfirmed, unrecorded},
    },
    policy::{issued::AUDIENCE, shown},
};

use super::Blocked;

/// What the policies of others give a management role that has its permissions boundary.
const BOUNDED: &str = "Its permissions boundary holds it to assuming deployer roles meanwhile";

/// The same of one that was found without.
const UNBOUNDED: &str = "It was found without the permissions boundary that holds it to assuming deployer roles: until that is set back, whoever acts as it, as Argo CD does, may do what they allow";

impl Blocked {
    /// What it is where nothing is written: what Mooring would do about it by itself, it does not.
    #[must_use]
    pub fn found(&self) -> String {
        if let Self::Unconfirmed { id } = self {
            format!("{}; it would be made afresh", unrecorded(id))
        } else {
            self.message()
        }
    }

    /// What it is and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::HubNotFound { cluster } => format!("{}: correct spec.cluster in a new ManagementRole", no_cluster(cluster)),
            Self::NamespaceNotServed { namespace } => format!("the operator does not serve namespace {namespace}, so no cluster is moored for this ManagementRole, and Argo CD's service accounts are not bound: {}; otherwise make a new ManagementRole with the right argocdNamespace", serve(namespace)),
            Self::HubMismatch { cluster, described, here } => format!("{}. Nothing is made for it. Name the hub's own cluster in a new ManagementRole", another_cluster(cluster, described, here)),
            Self::UnusableIssuer { why } => format!("the hub's issuer cannot be used: {why}"),
            Self::OidcProviderMissing { arn } => format!("IAM has no OIDC provider {arn}: create it with `aws iam create-open-id-connect-provider --url https://{} --client-id-list {AUDIENCE}`, or set spec.oidcProvider to Manage. {NOBODY}", issuer_in(arn)),
            Self::AudienceMissing { arn } => format!("OIDC provider {arn} does not accept audience {AUDIENCE}: add it with `aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn} --client-id {AUDIENCE}`, or set spec.oidcProvider to Manage. {NOBODY}"),
            Self::RoleMissing { arn } => format!("there is no role {arn}: create it, or correct spec.identity.roleArn in a new ManagementRole"),
            Self::SelfTrustMissing { arn, secrets, lack } => format!("cluster Secrets make Argo CD assume role {arn} though it is that role already ({}), which AWS takes only where its trust policy says so, and this one does not. Let a ManagedCluster take them over, or have the owner of the role {}", some(secrets), lack.words()),
            Self::SecretsRemain { namespace, secrets } => format!("cluster Secrets of namespace {namespace} that Mooring did not write make Argo CD act as this role ({}), so it stays: in the config of each (shown by {}), name another role in awsAuthConfig.roleARN, or in the arguments of its execProviderConfig, and write the whole config back, as by `kubectl patch secret -n {namespace} NAME --type merge -p '{{\"stringData\":{{\"config\":\"...\"}}}}'`, or have a ManagedCluster of another ManagementRole take it over. Where one is deleted, ApplicationSets delete the Applications of its cluster", some(secrets), show_configs(namespace, secrets)),
            Self::HubReplaced { object, recorded, issuer, confirmed } => format!("the hub is another cluster than the one that was recorded: its OIDC issuer was {recorded} and is {issuer}. Nothing is written for it or its clusters, and what they have is kept, until a person says that this is Argo CD's cluster now: `{}`. Until then a management role that trusts the hub's OIDC provider trusts the former one, and so lets no Argo CD of this one in{}", confirm(object, issuer), refused(confirmed.as_deref(), recorded)),
            Self::NotItsHub { object, arn, hub } => format!("nothing is taken away: role {arn} may be what the Argo CD of another hub acts with. If ManagementRole {object} is a copy of one that lives there, this lets the copy go and touches nothing in AWS: `{}`. {}", free_management_role(object), hub.if_no_copy(arn)),
            Self::RoleLeftBehind { object, arn, owner, issuer } => format!("role {arn} was made for a ManagementRole of this name that is no more ({owner}), as when the hub is made again. If so, `{}` lets the role be made afresh; its deployer roles go on trusting it by its name", confirm(object, issuer)),
            Self::RoleReplaced { arn, recorded, found, owner } => format!("whoever can use role {arn} holds every cluster of this ManagementRole, since deployer roles trust its name, and it is not the one that Mooring made: that had ID {recorded}, this one {found} ({owner}), so somebody deleted ours and made another under its name. `mooring revoke NAME`, for each ManagedCluster that names this ManagementRole, closes a cluster to it at once, and to this Argo CD as well. Nothing is written to it. Look up in CloudTrail of account {} (IAM's events are in its first region, us-east-1 in partition aws) who called CreateRole for it, take its policies and instance profiles off and delete it (`aws iam delete-role --role-name {}`): then it is made afresh", account_in(arn), name_in(arn)),
            Self::RoleNotOurs { arn, owner } => format!("role {arn} is not ours ({owner}), and role names are unique in an account whatever their path and case: choose another spec.role.name in a new ManagementRole, or delete the role if nothing uses it (`aws iam delete-role --role-name {}`)", name_in(arn)),
            Self::ForeignPolicyAttached { role, policies, bounded } => format!("management role {role} carries policies that Mooring did not give it: take them off, and it goes on by itself: in account {}, {}. {}", account_in(role), detach_commands(role, policies), if *bounded { BOUNDED } else { UNBOUNDED }),
            Self::Unconfirmed { id } => unconfirmed(&unrecorded(id)),
            Self::Held { arn, value, undone, shuts_out: false } => held_in_words(&format!("role {arn}"), value, undone),
            Self::Held { arn, value, undone, .. } => format!("{SHUT_OUT}: {}", held_in_words(&format!("role {arn}"), value, undone)),
            Self::PolicyFull { left_out } => format!("the role's policy has no room for {} (IAM gives a role's inline policies 10,240 characters in all): set spec.assumePolicy to PerAccount, or move clusters to the ManagementRole of a second Argo CD", some(left_out)),
            Self::JustMade => "the role was made; its policy follows".to_owned(),
            Self::Propagating => "waiting until AWS has carried an earlier change everywhere; this takes seconds".to_owned(),
            Self::StoodBack => "somebody changed the object or set a pause while Mooring was at work: it stopped before its next step, and looks again at once".to_owned(),
            Self::ClustersRemain { names, unreadable, going, .. } => clusters_remain(names, unreadable, going),
            Self::RetainedDeployers { object, arns, unseen, closed } => retained_deployers(object, arns, unseen, closed),
        }
    }
}

impl Blocked {
    /// What is to be done with an object that is being removed and is no copy, where this is why its hub is not known to be
    /// here.
    fn if_no_copy(&self, role: &str) -> String {
        if let Self::HubReplaced {
            object,
            recorded,
            issuer,
            confirmed,
        } = self
        {
            let (confirm, refused) = (confirm(object, issuer), refused(confirmed.as_deref(), recorded));
            format!(
                "If it is this hub's own, whose OIDC issuer was {recorded} and is {issuer}, `{confirm}` lets the removal go on, which deletes that role{refused}"
            )
        } else if let Self::HubMismatch {
            cluster,
            described,
            here,
        } = self
        {
            let another = another_cluster(cluster, described, here);
            format!(
                "If it is none, remove it by the Mooring of {}: this one never deletes {role}, since {another}",
                cluster.name
            )
        } else if let Self::HubNotFound { cluster } = self {
            format!(
                "If it is none, it is removed by the Mooring that runs on its hub alone: {}",
                no_cluster(cluster)
            )
        } else {
            self.message()
        }
    }
}

/// That the operator runs on another cluster than the one that the spec names.
fn another_cluster(cluster: &ClusterArn, described: &str, here: &str) -> String {
    format!(
        "spec.cluster is not the cluster that the operator runs on: of {cluster} EKS gives issuer {described}, and this API server has {here}"
    )
}

/// The command by which a person says that the cluster with this issuer is the hub.
fn confirm(object: &str, issuer: &str) -> String {
    format!("kubectl annotate mgr {object} --overwrite {CONFIRM_HUB}={issuer}")
}

/// That what a person confirmed was read, and confirms another cluster.
fn refused(confirmed: Option<&str>, recorded: &str) -> String {
    let Some(confirmed) = confirmed else {
        return String::new();
    };
    let which = if confirmed == recorded {
        "the one that was recorded"
    } else {
        "neither of the two"
    };
    format!(
        ". The annotation that is set confirms {}, which is {which}, and so confirms nothing",
        shown(confirmed)
    )
}

/// What it means that the trust policy lets none of them in.
pub(in crate::management_role) const SHUT_OUT: &str =
    "Argo CD comes to no cluster, since none of its service accounts can assume its role";

/// What it means that the OIDC provider does not do: the role trusts nobody else.
const NOBODY: &str = "Until then no service account of Argo CD can assume the role, so Argo CD comes to no cluster";

/// The issuer that an OIDC provider's ARN names, without its scheme (IAM user guide, "IAM identifiers").
fn issuer_in(provider: &str) -> &str {
    provider
        .split_once("oidc-provider/")
        .map_or(provider, |(_, issuer)| issuer)
}

/// What still names an object that is being removed, and what ends that.
fn clusters_remain(names: &BTreeSet<String>, unreadable: &BTreeSet<String>, going: &BTreeSet<String>) -> String {
    let those = |names: &BTreeSet<String>| {
        let all: Vec<String> = names.iter().cloned().collect();
        let one = names.len() == 1;
        (named("ManagedCluster", &all), one)
    };
    let mut told = Vec::new();
    if !names.is_empty() {
        let (all, one) = those(names);
        let (verb, them) = if one { ("names", "that") } else { ("name", "those") };
        told.push(format!(
            "{all} still {verb} it: delete {them} first, which takes cluster Secret, access and role of each away, or leave it as it is where this removal was not meant: nothing is taken away meanwhile"
        ));
    }
    if !unreadable.is_empty() {
        let (all, one) = those(unreadable);
        let (counts, them) = if one { ("counts", "it") } else { ("count", "them") };
        told.push(format!(
            "{all} cannot be read, and so {counts} as naming it: correct {them}, or delete {them} ({})",
            describe(unreadable)
        ));
    }
    if !going.is_empty() {
        let (all, one) = those(going);
        let is = if one { "is" } else { "are" };
        told.push(format!(
            "{all} {is} being removed as well, which comes first: `kubectl get mgc` says how far that is"
        ));
    }
    told.join("; ")
}

/// How people see which field of each cannot be read.
fn describe(clusters: &BTreeSet<String>) -> String {
    let shown = clusters.iter().take(SHOWN).map(String::as_str);
    format!(
        "`kubectl describe mgc {}` names the field",
        shown.collect::<Vec<_>>().join(" ")
    )
}

/// How the config of each of these Secrets is seen: an editor shows it encoded.
fn show_configs(namespace: &str, secrets: &BTreeSet<String>) -> String {
    let shown = secrets.iter().take(SHOWN);
    let commands = shown.map(|secret| {
        format!("`kubectl get secret -n {namespace} {secret} -o jsonpath='{{.data.config}}' | base64 -d`")
    });
    commands.collect::<Vec<_>>().join(", ")
}

/// How many commands are printed for things of one kind.
const SHOWN: usize = 5;

/// Which deployer roles would be somebody's who made the role again, and which may be.
fn retained_deployers(
    object: &str,
    arns: &BTreeMap<String, Option<ClusterArn>>,
    unseen: &BTreeMap<String, String>,
    closed: &BTreeSet<String>,
) -> String {
    let mut told = Vec::new();
    if !arns.is_empty() {
        let commands: Vec<String> = arns
            .iter()
            .take(SHOWN)
            .map(|(arn, cluster)| let_go(arn, cluster.as_ref()))
            .collect();
        told.push(format!(
            "deployer roles that were kept still trust this role by its name ({}), and whoever made a role of that name again would hold them. Have the owners of their accounts delete each, its access entry first: {}. Where others use such a role, no statement of its trust policy is to let this role in any more, neither by its name nor as one of its account. Then the removal goes on by itself",
            some(arns.keys()),
            commands.join("; ")
        ));
    }
    if let Some(why) = unseen.values().next() {
        let accounts: Vec<&str> = unseen.keys().map(String::as_str).collect();
        told.push(format!(
            "deployer roles were kept in accounts that cannot be entered to see whether they are gone ({}): {}. If they are closed for good, whoever keeps this ManagementRole says so: `{}`",
            accounts.join(", "),
            why.trim_end_matches('.'),
            say_closed(object, closed.iter().map(String::as_str).chain(accounts.iter().copied()))
        ));
    }
    told.join("; ")
}

/// How a deployer role that was kept is deleted, with the access entry for it.
fn let_go(arn: &str, cluster: Option<&ClusterArn>) -> String {
    let entry = match cluster {
        Some(ClusterArn { region, name, .. }) => format!("`{}`", delete_access_entry(region, name, arn)),
        None => format!(
            "look for its access entry on each cluster (`aws eks list-access-entries --region REGION --cluster-name CLUSTER`), delete it (`{}`)",
            delete_access_entry("REGION", "CLUSTER", arn)
        ),
    };
    format!(
        "in account {}, {entry}, and `aws iam delete-role --role-name {}`",
        account_in(arn),
        name_in(arn)
    )
}
