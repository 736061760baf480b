//! What AWS refused, for people: what to do next, and why something could not be looked at.

use super::{AwsError, Call, ErrorKind};
use crate::domain::{
    arn::account_in,
    commands::{delete_access_entry, let_take_access_entries},
    name::{AccountId, Region, RoleName},
};

/// What to do where the credentials are an account's root user's.
const ROOT: &str =
    "use credentials of an IAM role or user: these are of an account's root user, whom AWS lets assume no role";

impl AwsError {
    /// What the person who must act does next.
    #[must_use]
    pub fn hint(&self) -> String {
        let action = self.call.action();
        match self.kind {
            ErrorKind::Denied if self.is_root() => ROOT.to_owned(),
            ErrorKind::Denied if self.call == Call::AssumeRole => format!(
                "let the trust policy of {} name the operator's role for sts:AssumeRole and sts:TagSession (and its \
                 external ID, if one is set), and let the operator's own policy allow both on it. `mooring bootstrap` with \
                 the flags that it was run with before and --output-dir bootstrap writes what both accounts need: have bootstrap/{}/apply.sh run there again, and then, \
                 if that does not help, the apply.sh of the hub's account",
                self.resource,
                account_in(&self.resource)
            ),
            // "... with an explicit deny in a service control policy" (IAM user guide, "Troubleshoot access denied error messages").
            ErrorKind::Denied if self.message.contains("in a service control policy") => format!(
                "{}ask whoever keeps the organization's service control policies to let {} do {action} on {}: one of them \
                 denies it",
                self.by_hand(),
                self.acting_as,
                self.resource
            ),
            ErrorKind::Denied => format!(
                "{}let {} do {action} on {}: compare its policy with what `mooring bootstrap` prints, then look for a \
                 service control policy or a boundary that denies it",
                self.by_hand(),
                self.acting_as,
                self.resource
            ),
            ErrorKind::Throttled => {
                "nothing: it is tried again; if it lasts, look for what else uses up the account's request rate"
                    .to_owned()
            }
            ErrorKind::AlreadyExists => "look at who made the one that is there, and delete or rename it".to_owned(),
            ErrorKind::InvalidPrincipal => {
                "wait two minutes if the role was made just now; otherwise check that the principal exists".to_owned()
            }
            ErrorKind::EntryNotVisible | ErrorKind::Conflict => "nothing: it is tried again".to_owned(),
            ErrorKind::ClusterNotFound => {
                "check the cluster's name, account and region: EKS knows no such cluster there".to_owned()
            }
            ErrorKind::AccessEntriesDisabled => {
                let command = self
                    .cluster()
                    .map(|(region, name)| format!(" with `{}`", let_take_access_entries(region, name)));
                format!(
                    "set the cluster's authentication mode to API_AND_CONFIG_MAP{} (there is no way back, so Mooring does \
                     not do it)",
                    command.unwrap_or_default()
                )
            }
            ErrorKind::LimitExceeded => "raise the quota that AWS names, or make room under it".to_owned(),
            ErrorKind::HasPolicies if self.message.contains("instance profile") => {
                let which = self
                    .role()
                    .map(|role| format!(" (`aws iam list-instance-profiles-for-role --role-name {role}` tells which)"));
                format!(
                    "take the role out of the instance profiles that somebody put it in{}, then it can be deleted",
                    which.unwrap_or_default()
                )
            }
            ErrorKind::HasPolicies => {
                "remove the policies that somebody put on the role, then it can be deleted".to_owned()
            }
            ErrorKind::BoundaryMissing => "make that policy again, which is the role's permissions boundary: the role \
                                           has none meanwhile. For the management role, apply.sh in the \
                                           folder of the hub's account that `mooring bootstrap -f FILE --hub-account \
                                           ACCOUNT --output-dir DIR` writes makes it; that of a deployer role stands in \
                                           spec.access.deployerRole.permissionsBoundary"
                .to_owned(),
            ErrorKind::NotFound => "check that it still exists: it is made again if it is ours".to_owned(),
            ErrorKind::Invalid => "change what AWS names in the spec".to_owned(),
            ErrorKind::CredentialsUnavailable => {
                "check the operator's service account: its role annotation or Pod Identity association, and whether \
                 this region is enabled in the account"
                    .to_owned()
            }
            ErrorKind::Unreachable => match self.misspelt_region() {
                Some((region, meant)) => format!(
                    "AWS names no region {region}: is {meant} meant? Write that in a new ManagedCluster, since the region \
                     never changes"
                ),
                None => {
                    "check name resolution, HTTPS_PROXY and NO_PROXY, AWS_CA_BUNDLE, and the network policy of the \
                         operator's namespace"
                        .to_owned()
                }
            },
            ErrorKind::ServerError => "nothing: AWS failed, and it is tried again".to_owned(),
            ErrorKind::RegionDisabled => {
                "enable the operator's region in that account, or run the operator with AWS_REGION set to a region \
                 that it has"
                    .to_owned()
            }
            ErrorKind::ShuttingDown => "nothing: the next operator goes on".to_owned(),
            ErrorKind::Unknown => "read AWS's message; its support takes the request ID".to_owned(),
        }
    }

    /// What whoever may do it does at once: access that is to go does not wait for a policy to be changed.
    fn by_hand(&self) -> String {
        let entry = self.resource.strip_prefix("the access entry of ");
        let principal = entry.and_then(|entry| entry.split_whitespace().next());
        let (Call::DeleteAccessEntry, Some(principal), Some((region, cluster))) =
            (self.call, principal, self.cluster())
        else {
            return String::new();
        };
        format!(
            "have whoever may, in account {}, delete it: `{}`; and ",
            account_in(principal),
            delete_access_entry(region, cluster, principal)
        )
    }

    /// Region and name of the cluster that the call was about, by its ARN in what the call was on.
    fn cluster(&self) -> Option<(&str, &str)> {
        let (_, rest) = self.resource.split_once(":eks:")?;
        let mut parts = rest.splitn(3, ':');
        let region = parts.next()?;
        let name = parts.nth(1)?.strip_prefix("cluster/")?;
        Some((region, name.split_whitespace().next()?))
    }

    /// The name of the role that the call was about.
    fn role(&self) -> Option<&str> {
        self.resource.strip_prefix("role ")?.split_whitespace().next()
    }

    /// The region that the call went to, where its name is misspelt, and the one that is meant.
    fn misspelt_region(&self) -> Option<(Region, Region)> {
        let (_, rest) = self.resource.split_once(":eks:")?;
        let region: Region = rest.split(':').next()?.parse().ok()?;
        let meant = region.meant()?;
        Some((region, meant))
    }

    /// Whether it was an account's root user who asked to assume a role, in AWS's own words: no trust policy helps.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.call == Call::AssumeRole && self.message.contains("Roles may not be assumed by root accounts")
    }
}

/// Why an account could not be entered to look, by credentials that are of another one.
pub(super) fn not_entered(error: &AwsError, own: &AccountId, id: &AccountId, role: &RoleName) -> String {
    if error.is_root() {
        return format!(
            "the AWS credentials here are of account {own} and its root user's, whom AWS lets assume no role, {role} of account {id} neither: use those of an IAM role or user"
        );
    }
    let why = unseen(error);
    if error.kind == ErrorKind::Denied {
        return format!(
            "the AWS credentials here are of account {own}, and in account {id} role {role} does not let them in, or is not there ({why}): use credentials that `mooring bootstrap --reader` named, or of account {id}"
        );
    }
    format!(
        "the AWS credentials here are of account {own}, and account {id} could not be entered by role {role}: {why}"
    )
}

/// Why something could not be looked at. AWS's own words name the session, which differs from hour to hour.
pub(super) fn unseen(error: &AwsError) -> String {
    let (action, resource) = (error.call.action(), &error.resource);
    if error.kind == ErrorKind::Denied {
        format!("not allowed: {action} on {resource}")
    } else {
        format!("{action} on {resource}: {}", error.code)
    }
}
