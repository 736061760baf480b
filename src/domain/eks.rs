//! What EKS knows, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    arn::RoleArn,
    name::{InvalidName, Partition},
    ownership::Tags,
};

/// `cluster.status` (EKS API, `Cluster`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ClusterState {
    /// Being made: endpoint and certificate authority are not there yet.
    Creating,
    /// In service.
    Active,
    /// In service while something is changed: endpoint and certificate authority stay valid.
    Updating,
    /// Being deleted.
    Deleting,
    /// Could not be made.
    Failed,
    /// Waiting to be made.
    Pending,
    /// A status that this release does not know.
    Unknown,
}

/// `accessConfig.authenticationMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AuthenticationMode {
    /// Access entries only.
    Api,
    /// Access entries and the `aws-auth` ConfigMap.
    ApiAndConfigMap,
    /// The `aws-auth` ConfigMap only: access entries are refused.
    ConfigMap,
}

/// A cluster, as `DescribeCluster` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The cluster's ARN.
    pub arn: String,
    /// The state it is in.
    pub state: ClusterState,
    /// The API server's URL, as EKS writes it; absent until the cluster is active.
    pub endpoint: Option<String>,
    /// The certificate authority, base64 of one or several PEM blocks, verbatim; absent until the cluster is active.
    pub certificate_authority: Option<String>,
    /// The Kubernetes version, `1.33`.
    pub version: Option<String>,
    /// The OIDC issuer's URL.
    pub issuer: Option<String>,
    /// How it authenticates IAM principals.
    pub authentication_mode: AuthenticationMode,
    /// Whether the API server's endpoint is public.
    pub public_endpoint: bool,
    /// Whether it is a cluster outside of AWS that was only registered with EKS.
    pub connected: bool,
    /// The ID of a local cluster on Outposts.
    pub outpost_id: Option<String>,
}

/// An access entry, as `DescribeAccessEntry` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccessEntry {
    /// The entry's own ARN.
    pub arn: String,
    /// The IAM principal.
    pub principal: String,
    /// `STANDARD`, or a type for nodes.
    pub kind: String,
    /// The Kubernetes user name that its sessions have, a template: EKS fills `{{SessionName}}` in.
    pub username: Option<String>,
    /// The Kubernetes groups that its sessions belong to.
    pub groups: BTreeSet<String>,
    /// When it was made, in seconds since 1970 by AWS's clock.
    pub created: Option<i64>,
    /// Its tags.
    pub tags: Tags,
}

impl AccessEntry {
    /// The user name, where somebody set another one than EKS gives when none is asked for.
    #[must_use]
    pub fn others_username(&self) -> Option<&str> {
        let username = self.username.as_deref().filter(|username| !username.is_empty())?;
        let generated = self
            .principal
            .parse()
            .is_ok_and(|role: RoleArn| is_generated_username(&role, username));
        (!generated).then_some(username)
    }
}

/// The user name that EKS gives to the sessions of a role when none is asked for (EKS user guide, "Create access
/// entries").
#[must_use]
pub fn generated_username(role: &RoleArn) -> String {
    format!("{}{}/{SESSION_NAME}", assumed_roles(role), role.name)
}

/// Whether EKS may have made this user name up for the role. STS shows a role without its path; one that is written with
/// it names nobody else.
fn is_generated_username(role: &RoleArn, username: &str) -> bool {
    let Some(rest) = username.strip_prefix(&assumed_roles(role)) else {
        return false;
    };
    let name = format!("{}/{SESSION_NAME}", role.name);
    rest == name || rest == format!("{}{name}", role.path.trim_start_matches('/'))
}

/// What EKS puts the name of the session for.
const SESSION_NAME: &str = "{{SessionName}}";

fn assumed_roles(role: &RoleArn) -> String {
    format!("arn:{}:sts::{}:assumed-role/", role.partition, role.account)
}

/// Where an access policy holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum AccessScope {
    /// In the whole cluster.
    Cluster,
    /// In the namespaces named; `dev-*` is a pattern to EKS.
    Namespaces(BTreeSet<String>),
}

impl AccessScope {
    /// Whether everything in `other` is in this scope too. Patterns are compared as text.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cluster, _) => true,
            (Self::Namespaces(_), Self::Cluster) => false,
            (Self::Namespaces(ours), Self::Namespaces(theirs)) => theirs.is_subset(ours),
        }
    }
}

/// The access policies of an entry: ARN and scope. EKS associates a policy at most once with an entry.
pub type Associations = BTreeMap<AccessPolicyArn, AccessScope>;

/// The ARN of an EKS access policy: `arn:P:eks::aws:cluster-access-policy/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessPolicyArn(String);

impl AccessPolicyArn {
    /// The policy of that name.
    ///
    /// # Errors
    /// When the name is not letters and digits.
    pub fn new(partition: Partition, name: &str) -> Result<Self, InvalidName> {
        if !name.is_empty() && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric()) {
            Ok(Self(format!("arn:{partition}:eks::aws:cluster-access-policy/{name}")))
        } else {
            Err(InvalidName {
                kind: "the name of an EKS access policy",
                value: name.to_owned(),
                hint: "write the name alone, as in AmazonEKSViewPolicy",
            })
        }
    }

    /// As EKS returned it.
    #[must_use]
    pub fn from_aws(arn: &str) -> Self {
        Self(arn.to_owned())
    }

    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl std::fmt::Display for AccessPolicyArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AccessPolicyArn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An access entry that we want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WantedEntry {
    /// The principal: a deployer role.
    pub principal: RoleArn,
    /// The Kubernetes groups, all of them.
    pub groups: BTreeSet<String>,
    /// The tags that mark it as ours.
    pub tags: Tags,
}

/// Whether a name is the ID of a local cluster on an Outpost, a UUID.
#[must_use]
pub fn is_cluster_id(name: &str) -> bool {
    let shape = |(at, c): (usize, char)| {
        if matches!(at, 8 | 13 | 18 | 23) {
            c == '-'
        } else {
            c.is_ascii_hexdigit()
        }
    };
    name.len() == 36 && name.chars().enumerate().all(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(username: Option<&str>) -> AccessEntry {
        AccessEntry {
            arn: "arn:entry".into(),
            principal: "arn:aws-cn:iam::222222222222:role/mooring/hub/default/prod-1".into(),
            kind: "STANDARD".into(),
            username: username.map(str::to_owned),
            ..AccessEntry::default()
        }
    }

    #[test]
    fn the_user_name_that_eks_makes_up_is_nobody_elses() {
        let role = entry(None).principal.parse().unwrap();
        let generated = generated_username(&role);
        assert_eq!(
            generated,
            "arn:aws-cn:sts::222222222222:assumed-role/prod-1/{{SessionName}}"
        );
        let with_path = "arn:aws-cn:sts::222222222222:assumed-role/mooring/hub/default/prod-1/{{SessionName}}";
        for own in [None, Some(""), Some(generated.as_str()), Some(with_path)] {
            assert_eq!(entry(own).others_username(), None, "{own:?}");
        }
        for other in [
            "alice",
            "arn:aws-cn:sts::222222222222:assumed-role/prod-1/alice",
            "arn:aws-cn:sts::222222222222:assumed-role/prod-2/{{SessionName}}",
            "arn:aws-cn:sts::333333333333:assumed-role/prod-1/{{SessionName}}",
            "arn:aws:sts::222222222222:assumed-role/prod-1/{{SessionName}}",
            "x:{{SessionName}}",
        ] {
            assert_eq!(entry(Some(other)).others_username(), Some(other));
        }
    }
}
