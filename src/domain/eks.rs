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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessEntry {
    /// The entry's own ARN.
    pub arn: String,
    /// The IAM principal.
    pub principal: String,
    /// `STANDARD`, or a type for nodes.
    pub kind: String,
    /// The Kubernetes groups that its sessions belong to.
    pub groups: BTreeSet<String>,
    /// Its tags.
    pub tags: Tags,
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
