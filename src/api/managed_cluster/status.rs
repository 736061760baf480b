//! What Mooring tells of a `ManagedCluster`, and what it has to remember of it.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Mooring found and made for this cluster, and what is in the way. Written by Mooring alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,

    /// What holds: Ready is the summary; Stalled is there only when a person must act; Connected tells whether the chain to the cluster was walked, and is written by the verifier.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The EKS cluster, as AWS describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ClusterStatus")]
    pub cluster: Option<ClusterStatus>,

    /// The IAM role in the cluster's account that Argo CD assumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeployerRoleStatus")]
    pub deployer_role: Option<DeployerRoleStatus>,

    /// The access entry of the deployer role, until Mooring has taken it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AccessEntryStatus")]
    pub access_entry: Option<AccessEntryStatus>,

    /// The name of the cluster Secret in Argo CD's namespace, until Mooring has taken it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub secret: Option<String>,

    /// The UID of that Secret, which Kubernetes gives no other: by name and UID it stays Mooring's also where somebody took its annotations off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub secret_uid: Option<String>,

    /// Whether that Secret was taken over from others: the keys that they wrote stay on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub secret_adopted: Option<bool>,

    /// What Enforce would do now: there only while spec.mode is Observe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PlanStatus")]
    pub plan: Option<PlanStatus>,

    /// When that Secret was last given another server, as after the cluster was made again. There until Argo CD's application controller was started anew after it, or for a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub server_changed_at: Option<Time>,
}

/// What Enforce would do. Without a step and without anything in the way, everything is as the spec says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// The steps in words, in order; at most 64, the last of which then says how many are left out.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub steps: Vec<String>,
    /// What stands in the way of the rest, and what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub blocked: Vec<String>,
}

/// The EKS cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The AWS account that the cluster is in.
    pub account_id: String,
    /// The AWS region that the cluster is in.
    pub region: String,
    /// The cluster's name in EKS.
    pub name: String,
    /// The ARN of the cluster in EKS.
    pub arn: String,
    /// The URL of the cluster's API server, as Argo CD uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub endpoint: Option<String>,
    /// SHA-256 of the certificate authority that AWS gives for the cluster, in hex. A token is sent to no server that another one vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub certificate_authority_sha256: Option<String>,
    /// The Kubernetes version that the cluster runs, as in 1.33.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub version: Option<String>,
    /// The URL of the cluster's OIDC issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
}

/// The deployer role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployerRoleStatus {
    /// The ARN of the role that Argo CD assumes.
    pub arn: String,
    /// The role's unique ID, recorded when Mooring made it: a role of that name with another ID is somebody else's. Of an Existing role, the ID that was seen last.
    pub id: String,
}

/// The access entry, and what the spec gave to one that was taken over: anything else on that is somebody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessEntryStatus {
    /// The ARN of the access entry that Mooring made or took over last. It ends in an ID that EKS never gives twice: an entry with another ARN and without Mooring's tags is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub arn: Option<String>,
    /// The unique ID of the role that the entry was made for, or that stood there when it was taken over. It counts for more than the tag mooring.dev/role-id, which anybody may take off who may tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub role_id: Option<String>,
    /// Whether others made the entry, and Mooring took it over: what they gave to it stays. It counts for more than the tag mooring.dev/adopted, which anybody may set who may tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub adopted: Option<bool>,
    /// Of an entry that was taken over: the ARNs of the access policies that the spec gave to it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub policies: BTreeSet<String>,
    /// Of an entry that was taken over: the names of the Kubernetes groups that the spec gave to it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kubernetes_groups: BTreeSet<String>,
    /// What others gave to the entry and went with it when spec.mode became Suspended, in words. Mooring does not give it back: the spec does not ask for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 200))]
    pub lost: BTreeSet<String>,
}
