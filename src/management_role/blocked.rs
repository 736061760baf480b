//! What stands in the way of a plan, as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    api::CONFIRM_HUB,
    domain::{
        arn::{account_in, name_in},
        commands::free_management_role,
    },
    managed_cluster::{
        detach_commands, held_in_words,
        words::{SECOND_LOOK, named, say_closed, serve, some},
    },
    policy::{Lack, issued::AUDIENCE},
};

use super::step::Part;

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "blocked")]
pub enum Blocked {
    /// EKS does not know the hub.
    HubNotFound,
    /// The operator was not started for Argo CD's namespace.
    NamespaceNotServed {
        /// The namespace.
        namespace: String,
    },
    /// The hub that EKS describes is not the cluster that the operator runs on.
    HubMismatch {
        /// The issuer that EKS gives.
        described: String,
        /// The issuer of the API server that we run on.
        here: String,
    },
    /// The hub's issuer is nothing that IAM takes.
    UnusableIssuer {
        /// Why.
        why: String,
    },
    /// `oidcProvider: Require`, and there is none.
    OidcProviderMissing {
        /// The provider's ARN.
        arn: String,
    },
    /// `oidcProvider: Require`, and the audience is missing.
    AudienceMissing {
        /// The provider's ARN.
        arn: String,
    },
    /// `identity.type: Existing`, and there is no such role.
    RoleMissing {
        /// Its ARN.
        arn: String,
    },
    /// `identity.type: Existing`, and cluster Secrets need the role to trust itself, which it does not.
    SelfTrustMissing {
        /// Its ARN.
        arn: String,
        /// The cluster Secrets.
        secrets: BTreeSet<String>,
        /// What its trust policy lacks.
        lack: Lack,
    },
    /// Cluster Secrets that others wrote still make Argo CD act as the role that is to be removed.
    SecretsRemain {
        /// Their names.
        secrets: BTreeSet<String>,
    },
    /// The hub is another cluster than the one that was recorded, under the same name.
    HubReplaced {
        /// The object's own name.
        object: String,
        /// The issuer that was recorded.
        recorded: String,
        /// The issuer now.
        issuer: String,
    },
    /// The object is being removed, and its role is perhaps what another hub lives on.
    NotItsHub {
        /// The object's own name.
        object: String,
        /// The role's ARN.
        arn: String,
        /// Why the operator does not know itself to be on the hub.
        hub: Box<Self>,
    },
    /// A role of our name was made by an object of this name that is no more.
    RoleLeftBehind {
        /// The object's own name.
        object: String,
        /// The role's ARN.
        arn: String,
        /// Who made it.
        owner: String,
        /// The hub's issuer now.
        issuer: String,
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
        /// The unique ID of the role.
        id: String,
    },
    /// The owner of the account has set the tag `mooring.dev/hold` on the role.
    Held {
        /// The role's ARN.
        arn: String,
        /// The tag's value.
        value: String,
        /// What is not done, in words; nothing where it is as the spec says.
        undone: Vec<String>,
    },
    /// The policy has no room for all deployer roles.
    PolicyFull {
        /// What was left out.
        left_out: BTreeSet<String>,
    },
    /// The role was made just now; the rest follows at once.
    JustMade,
    /// AWS has not carried a write everywhere yet.
    Propagating,
    /// Clusters still name the object that is being removed.
    ClustersRemain {
        /// The names of those that stay until a person deletes them.
        names: BTreeSet<String>,
        /// The names of those of which nobody knows whether they name it, since they cannot be read.
        unreadable: BTreeSet<String>,
        /// The names of those that are being removed themselves.
        going: BTreeSet<String>,
        /// Deployer roles of theirs that are kept when they go: each waits for being recorded.
        retained: BTreeSet<String>,
        /// Whether the hub had been found to be another, and is not any more.
        hub_found: bool,
    },
    /// A person changed or paused the object while its pass ran.
    StoodBack,
    /// Deployer roles that were kept still trust the role that is being removed.
    RetainedDeployers {
        /// The object's own name.
        object: String,
        /// Their ARNs.
        arns: BTreeSet<String>,
        /// Accounts that cannot be entered to look, and why the first of them cannot.
        unseen: BTreeMap<String, String>,
        /// Accounts of which a person has said that they are closed.
        closed: BTreeSet<String>,
    },
}

impl Blocked {
    /// The part that is blocked; `None` where each is as the spec says, and nobody can use them.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        Some(match self {
            Self::NamespaceNotServed { .. } => return None,
            Self::HubNotFound | Self::HubMismatch { .. } | Self::HubReplaced { .. } | Self::NotItsHub { .. } => {
                Part::Hub
            }
            Self::UnusableIssuer { .. } | Self::OidcProviderMissing { .. } | Self::AudienceMissing { .. } => {
                Part::OidcProvider
            }
            Self::RoleMissing { .. }
            | Self::RoleNotOurs { .. }
            | Self::RoleLeftBehind { .. }
            | Self::RoleReplaced { .. }
            | Self::Held { .. }
            | Self::Unconfirmed { .. }
            | Self::JustMade
            | Self::Propagating
            | Self::StoodBack
            | Self::ClustersRemain { .. }
            | Self::SelfTrustMissing { .. }
            | Self::SecretsRemain { .. }
            | Self::RetainedDeployers { .. } => Part::Role,
            Self::ForeignPolicyAttached { .. } | Self::PolicyFull { .. } => Part::Policy,
        })
    }

    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::HubNotFound => "HubNotFound",
            Self::NamespaceNotServed { .. } => "NamespaceNotServed",
            Self::HubMismatch { .. } | Self::HubReplaced { .. } => "HubMismatch",
            Self::NotItsHub { hub, .. } => hub.reason(),
            Self::UnusableIssuer { .. } => "UnusableIssuer",
            Self::OidcProviderMissing { .. } => "OidcProviderMissing",
            Self::AudienceMissing { .. } => "AudienceMissing",
            Self::RoleMissing { .. } => "RoleMissing",
            Self::RoleNotOurs { .. } | Self::RoleLeftBehind { .. } => "RoleNotOurs",
            Self::ForeignPolicyAttached { .. } => "ForeignPolicyAttached",
            Self::RoleReplaced { .. } | Self::Unconfirmed { .. } => "StalePrincipal",
            Self::Held { .. } => "Held",
            Self::PolicyFull { .. } => "PolicyFull",
            Self::JustMade => "JustMade",
            Self::Propagating => "Propagating",
            Self::ClustersRemain { .. } => "ClustersRemain",
            Self::SelfTrustMissing { .. } => "SelfTrustMissing",
            Self::SecretsRemain { .. } => "SecretsRemain",
            Self::RetainedDeployers { .. } => "RetainedDeployers",
            Self::StoodBack => "StoodBack",
        }
    }

    /// Whether it ends only when a person acts.
    #[must_use]
    pub fn stalled(&self) -> bool {
        match self {
            Self::HubNotFound
            | Self::NamespaceNotServed { .. }
            | Self::HubMismatch { .. }
            | Self::HubReplaced { .. }
            | Self::NotItsHub { .. }
            | Self::RoleLeftBehind { .. }
            | Self::RoleReplaced { .. }
            | Self::UnusableIssuer { .. }
            | Self::OidcProviderMissing { .. }
            | Self::AudienceMissing { .. }
            | Self::RoleMissing { .. }
            | Self::RoleNotOurs { .. }
            | Self::ForeignPolicyAttached { .. }
            | Self::PolicyFull { .. }
            | Self::SecretsRemain { .. }
            | Self::RetainedDeployers { .. } => true,
            Self::Held { undone, .. } => !undone.is_empty(),
            Self::ClustersRemain { names, unreadable, .. } => !names.is_empty() || !unreadable.is_empty(),
            Self::SelfTrustMissing { .. }
            | Self::Unconfirmed { .. }
            | Self::JustMade
            | Self::Propagating
            | Self::StoodBack => false,
        }
    }

    /// Whether it stands in nobody's way: what is held and as the spec says, and what only others are to mend.
    #[must_use]
    pub fn is_note(&self) -> bool {
        matches!(self, Self::Held { undone, .. } if undone.is_empty()) || matches!(self, Self::SelfTrustMissing { .. })
    }

    /// Whether it holds up a removal as a whole, and is nothing that the role lacks.
    #[must_use]
    pub fn holds_removals_up(&self) -> bool {
        matches!(
            self,
            Self::ClustersRemain { .. } | Self::SecretsRemain { .. } | Self::RetainedDeployers { .. } | Self::StoodBack
        )
    }

    /// What it is where nothing is written: what Mooring would do about it by itself, it does not.
    #[must_use]
    pub fn found(&self) -> String {
        if let Self::Unconfirmed { id } = self {
            format!("{}; it would be made afresh", unrecorded(id))
        } else {
            self.message()
        }
    }

    /// Whether people are told by an event: not of a wait that everybody expects.
    #[must_use]
    pub fn told(&self) -> bool {
        self.stalled() || matches!(self, Self::Unconfirmed { .. })
    }

    /// What it is and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::HubNotFound => "EKS knows no cluster of that name in the operator's account and the region given: correct spec.cluster in a new ManagementRole".to_owned(),
            Self::NamespaceNotServed { namespace } => format!("the operator does not serve namespace {namespace}, so no cluster is moored for this ManagementRole, and Argo CD's service accounts are not bound: {}", serve(namespace)),
            Self::HubMismatch { described, here } => format!("spec.cluster is not the cluster that the operator runs on: EKS gives issuer {described}, this API server {here}. Nothing is made for it. Name the hub's own cluster in a new ManagementRole"),
            Self::UnusableIssuer { why } => format!("the hub's issuer cannot be used: {why}"),
            Self::OidcProviderMissing { arn } => format!("IAM has no OIDC provider {arn}: create it with `aws iam create-open-id-connect-provider --url https://{} --client-id-list {AUDIENCE}`, or set spec.oidcProvider to Manage. {NOBODY}", issuer_in(arn)),
            Self::AudienceMissing { arn } => format!("OIDC provider {arn} does not accept audience {AUDIENCE}: add it with `aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn} --client-id {AUDIENCE}`, or set spec.oidcProvider to Manage. {NOBODY}"),
            Self::RoleMissing { arn } => format!("there is no role {arn}: create it, or correct spec.identity.roleArn in a new ManagementRole"),
            Self::SelfTrustMissing { arn, secrets, lack } => format!("cluster Secrets make Argo CD assume role {arn} though it is that role already ({}), which AWS takes only where its trust policy says so, and this one does not. Let a ManagedCluster take them over, or have the owner of the role {}", some(secrets), lack.words()),
            Self::SecretsRemain { secrets } => format!("cluster Secrets that Mooring did not write make Argo CD act as this role ({}), so it stays: name another role in them. Where one is deleted, ApplicationSets delete the Applications of its cluster", some(secrets)),
            Self::HubReplaced { object, recorded, issuer } => format!("the hub is another cluster than the one that was recorded: its OIDC issuer was {recorded} and is {issuer}. Nothing is written for it or its clusters, and what they have is kept, until a person says that this is Argo CD's cluster now: `kubectl annotate mgr {object} --overwrite {CONFIRM_HUB}={issuer}`"),
            Self::NotItsHub { object, arn, hub } => format!("nothing is taken away: role {arn} may be what the Argo CD of another hub acts with. If ManagementRole {object} is a copy of one that lives there, this lets the copy go and touches nothing in AWS: `{}`. Otherwise the removal goes on, and deletes that role, once its hub is found here: {}", free_management_role(object), hub.message()),
            Self::RoleLeftBehind { object, arn, owner, issuer } => format!("role {arn} was made for a ManagementRole of this name that is no more ({owner}), as when the hub is made again. If so, `kubectl annotate mgr {object} --overwrite {CONFIRM_HUB}={issuer}` lets the role be made afresh; its deployer roles go on trusting it by its name"),
            Self::RoleReplaced { arn, recorded, found, owner } => format!("role {arn} is not the one that Mooring made: that had ID {recorded}, this one {found} ({owner}), so somebody deleted ours and made another under its name. Nothing is written to it. Deployer roles trust the name: whoever can use this role holds every cluster. Look up in CloudTrail of account {} (IAM's events are in its first region, us-east-1 in partition aws) who called CreateRole for it, take its policies and instance profiles off and delete it (`aws iam delete-role --role-name {}`): then it is made afresh. Until then `mooring revoke` closes a cluster to it", account_in(arn), name_in(arn)),
            Self::RoleNotOurs { arn, owner } => format!("role {arn} is not ours ({owner}), and role names are unique in an account whatever their path and case: choose another spec.role.name in a new ManagementRole, or delete the role if nothing uses it (`aws iam delete-role --role-name {}`)", name_in(arn)),
            Self::ForeignPolicyAttached { role, policies } => format!("the management role carries policies that Mooring did not give it: take them off, and it goes on by itself: {}. Its permissions boundary holds it to assuming deployer roles meanwhile", detach_commands(role, policies)),
            Self::Unconfirmed { id } => format!("{}; once {SECOND_LOOK} agrees, Mooring makes it afresh by itself", unrecorded(id)),
            Self::Held { arn, value, undone } => held_in_words(&format!("role {arn}"), value, undone),
            Self::PolicyFull { left_out } => format!("the role's policy has no room for {} (IAM gives a role's inline policies 10,240 characters in all): set spec.assumePolicy to PerAccount, or move clusters to the ManagementRole of a second Argo CD", some(left_out)),
            Self::JustMade => "the role was made; its policy follows".to_owned(),
            Self::Propagating => "waiting until AWS has carried an earlier change everywhere; this takes seconds".to_owned(),
            Self::StoodBack => "somebody changed the object or set a pause while Mooring was at work: it stopped before its next step, and looks again at once".to_owned(),
            Self::ClustersRemain { names, unreadable, going, .. } => clusters_remain(names, unreadable, going),
            Self::RetainedDeployers { object, arns, unseen, closed } => retained_deployers(object, arns, unseen, closed),
        }
    }
}

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
        told.push(format!("{all} still {verb} it: delete {them} first"));
    }
    if !unreadable.is_empty() {
        let (all, one) = those(unreadable);
        let (counts, them) = if one { ("counts", "it") } else { ("count", "them") };
        told.push(format!(
            "{all} cannot be read, and so {counts} as naming it: correct {them}, or delete {them}. Where a removal cannot go on by what can be read, its status says what to correct first"
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

/// Which deployer roles would be somebody's who made the role again, and which may be.
fn retained_deployers(
    object: &str,
    arns: &BTreeSet<String>,
    unseen: &BTreeMap<String, String>,
    closed: &BTreeSet<String>,
) -> String {
    let mut told = Vec::new();
    if let Some(first) = arns.first() {
        told.push(format!(
            "deployer roles that were kept still trust this role by its name ({}), and whoever made a role of that name again would hold them: have the owners of their accounts delete each of them, and first its access entry (`aws eks delete-access-entry --region REGION --cluster-name CLUSTER --principal-arn {first}`, on the cluster that it was made for; then, in account {}, `aws iam delete-role --role-name {}`), or take the statement of this role out of its trust policy where others use it; then the removal goes on by itself",
            some(arns),
            account_in(first),
            name_in(first)
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

/// A role that bears our name and tags, and that nobody recorded.
fn unrecorded(id: &str) -> String {
    format!("a role of our name and tags with ID {id} was not recorded as made by us, and is never used")
}
