//! `ManagedCluster`: one EKS cluster, moored to one Argo CD.

mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::status::{AccessEntryStatus, ClusterStatus, DeployerRoleStatus, ManagedClusterStatus, PlanStatus};
use super::default_from_empty;

/// The EKS cluster to register with Argo CD, what Argo CD may do on it, and how Argo CD sees it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mooring.dev",
    version = "v1alpha1",
    kind = "ManagedCluster",
    plural = "managedclusters",
    singular = "managedcluster",
    shortname = "mgc",
    category = "mooring",
    status = "ManagedClusterStatus",
    derive = "PartialEq",
    doc = "An EKS cluster that is moored to Argo CD: Mooring makes its deployer role and access entry, and writes Argo CD's cluster Secret.",
    selectable = ".spec.managementRole",
    selectable = ".spec.accountId",
    printcolumn(name = "Account", type_ = "string", json_path = ".status.cluster.accountId"),
    printcolumn(name = "Region", type_ = "string", json_path = ".status.cluster.region"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".status.cluster.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Connected", type_ = "string", json_path = ".status.conditions[?(@.type==\"Connected\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.cluster.version", priority = 1),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.deployerRole.arn", priority = 1),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.cluster.endpoint", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    validation = Rule::new("has(self.spec.clusterName) || self.metadata.name.matches('^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$')")
        .message("the object's name is no EKS cluster name: write the cluster's name in spec.clusterName"),
)]
#[x_kube(
    validation = ("self.accountId == oldSelf.accountId", "accountId never changes: make a new ManagedCluster for the other account, and delete this one"),
    validation = ("self.region == oldSelf.region", "region never changes: make a new ManagedCluster for the other region, and delete this one"),
    validation = ("has(self.clusterName) == has(oldSelf.clusterName) && (!has(self.clusterName) || self.clusterName == oldSelf.clusterName)", "clusterName never changes: make a new ManagedCluster for the other cluster, and delete this one"),
    validation = ("self.managementRole == oldSelf.managementRole", "managementRole never changes: delete this ManagedCluster and make it again under the other ManagementRole"),
    validation = ("has(self.access.deployerRole.name) == has(oldSelf.access.deployerRole.name) && (!has(self.access.deployerRole.name) || self.access.deployerRole.name == oldSelf.access.deployerRole.name)", "access.deployerRole.name never changes: a role cannot be renamed; delete this ManagedCluster and make it again"),
    validation = ("has(self.argocd.namespaces) || !has(self.access.policies) || self.access.policies.exists(p, !has(p.namespaces) || size(p.namespaces) == 0) || self.access.policies.all(p, p.namespaces.all(n, !n.contains('*')))", "a namespace of access.policies is a pattern, which Argo CD does not know: list the namespaces it means in argocd.namespaces"),
)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterSpec {
    /// The AWS account of the cluster: 12 digits in quotation marks, as in "222222222222". Never changes.
    #[x_kube(validation = ("self.matches('^[0-9]{12}$')", "accountId is the 12 digits of an AWS account in quotation marks, as in \"222222222222\""))]
    #[schemars(length(max = 64))]
    pub account_id: String,

    /// The AWS region of the cluster, as in eu-west-1. Its partition must be the hub's. Never changes.
    #[x_kube(validation = ("self.matches('^[a-z]{2,16}(-[a-z]{1,16}){1,3}-[0-9]{1,2}$')", "region is an AWS region's code, as in eu-west-1"))]
    #[schemars(length(max = 32))]
    pub region: String,

    /// The EKS cluster's name; the name of this object when left out. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$')", "clusterName is an EKS cluster's name: 1 to 100 letters, digits, hyphens or underscores, the first a letter or digit"))]
    #[schemars(with = "String", length(max = 128))]
    pub cluster_name: Option<String>,

    /// The ManagementRole, and so the Argo CD, that this cluster is moored to. Never changes.
    #[serde(default = "default_management_role")]
    #[x_kube(validation = ("self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')", "managementRole is the name of a ManagementRole, as in default"))]
    #[schemars(length(max = 64))]
    pub management_role: String,

    /// Enforce makes the spec true and keeps it so. Observe writes nothing: what Enforce would do stands in status.plan. Suspended takes the access entry away at once, and keeps the deployer role and the cluster Secret.
    #[serde(default)]
    pub mode: Mode,

    /// What Argo CD may do on the cluster. Everything here must be allowed by the ManagementRole.
    pub access: Access,

    /// How Argo CD sees the cluster: its name, project, labels and namespaces there.
    #[serde(default)]
    pub argocd: ArgoCd,

    /// Whether Mooring takes over a role, an access entry and a cluster Secret that others made, or that a lost object left
    /// behind, once their owners have opened them by mooring.dev/adopt. What others wrote beside stays; left false, they
    /// are refused.
    #[serde(default)]
    pub adopt_existing: bool,

    /// What happens on AWS when this object is deleted.
    #[serde(default)]
    pub deletion: Deletion,
}

fn default_management_role() -> String {
    "default".to_owned()
}

/// How far Mooring goes for a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Makes the spec true, and keeps it so.
    #[default]
    Enforce,
    /// Looks at everything, writes nothing, and tells in status.plan what Enforce would do.
    Observe,
    /// Takes the access to the cluster away, and keeps everything else.
    Suspended,
}

/// What Argo CD may do on the cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = ("size(self.policies) + size(self.kubernetesGroups) > 0", "access gives nothing: write at least one of access.policies, as in [{name: AmazonEKSClusterAdminPolicy}], or of access.kubernetesGroups"))]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// EKS access policies of the access entry; any other that is found there is removed.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 20))]
    pub policies: Vec<AccessPolicy>,

    /// Kubernetes groups of the access entry, for RBAC of your own; any other that is found there is removed.
    #[serde(default)]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(g, !g.startsWith('system:') && !g.startsWith('eks:') && !g.startsWith('aws:') && !g.startsWith('amazon:') && !g.startsWith('iam:'))", "EKS refuses groups that start with system:, eks:, aws:, amazon: or iam: - bind a group of your own with a ClusterRoleBinding, or use an access policy"),
        validation = ("self.all(g, size(g) > 0 && size(g) <= 128)", "a Kubernetes group has 1 to 128 characters"),
    )]
    #[schemars(length(max = 20), inner(length(max = 256)))]
    pub kubernetes_groups: Vec<String>,

    /// The IAM role in the cluster's account that Argo CD assumes. It has no permissions of its own.
    #[serde(default)]
    pub deployer_role: DeployerRole,
}

/// An EKS access policy and where it holds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicy {
    /// The policy's name, as in AmazonEKSClusterAdminPolicy, not its ARN.
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9]{1,128}$')", "the name of an access policy is written alone, as in AmazonEKSViewPolicy, not as an ARN"))]
    #[schemars(length(max = 256))]
    pub name: String,

    /// The namespaces in which it holds, as in team-a or team-*; the whole cluster when left out or empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(n, n.matches('^[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?$') && n.matches('[a-z0-9]'))", "a namespace is lower-case letters, digits and hyphens, as in team-a, and * for any run of them; leave namespaces out for the whole cluster"),
    )]
    #[schemars(length(max = 100), inner(length(max = 128)))]
    pub namespaces: Vec<String>,
}

/// The deployer role.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = ("self.type != 'Existing' || has(self.arn)", "deployerRole.type Existing needs deployerRole.arn: the role that is used"),
    validation = ("!has(self.arn) || !has(self.name)", "deployerRole.arn names a role that stands already, and name one that Mooring makes: write one of the two"),
    validation = ("self.type != 'Existing' || !has(self.permissionsBoundary)", "deployerRole.permissionsBoundary does not go with type Existing: Mooring writes nothing to that role"),
    validation = ("self.type == oldSelf.type && has(self.arn) == has(oldSelf.arn) && (!has(self.arn) || self.arn == oldSelf.arn)", "deployerRole.type and arn never change: delete this ManagedCluster and make it again with the other role"),
)]
#[serde(rename_all = "camelCase")]
pub struct DeployerRole {
    /// Managed: Mooring makes the role and keeps it. Existing: the role is somebody else's, and Mooring never writes to it. Never changes.
    #[serde(default, rename = "type")]
    pub kind: DeployerRoleType,

    /// The ARN of a role that stands already in the cluster's account, as the ManagementRole's allow.deployerRoles lets in: with type Existing the one to use, else the one to take over with adoptExisting. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$')", "deployerRole.arn is the ARN of an IAM role, as in arn:aws:iam::222222222222:role/argocd, without wildcards"))]
    #[schemars(with = "String", length(max = 1024))]
    pub arn: Option<String>,

    /// The role's name; made from the cluster's when left out. The path is always the hub's. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9_+=,.@-]{1,64}$')", "a role's name is 1 to 64 letters, digits or characters of _+=,.@-, without a path"))]
    #[schemars(with = "String", length(max = 128))]
    pub name: Option<String>,

    /// The ARN of the role's permissions boundary; AWS's own AWSDenyAll when left out. Another one must be let in by the account's provisioner role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,128}$')", "permissionsBoundary is the ARN of an IAM policy, as in arn:aws:iam::222222222222:policy/limit, without wildcards"))]
    #[schemars(with = "String", length(max = 1024))]
    pub permissions_boundary: Option<String>,

    /// Tags of the role and the access entry, beside Mooring's own. A tag taken out here stays on AWS until it is removed there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(
        validation = ("self.all(k, size(k) > 0 && size(k) <= 128 && !k.matches('^[aA][wW][sS]:') && !k.startsWith('mooring.dev/'))", "a tag's key has 1 to 128 characters and does not start with aws: or mooring.dev/"),
        validation = ("self.all(k, k.matches('^[A-Za-z0-9 _.:/=+@-]+$') && self[k].matches('^[A-Za-z0-9 _.:/=+@-]*$'))", "tags are made of letters, digits, spaces and the characters _.:/=+-@"),
    )]
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    pub tags: BTreeMap<String, String>,
}

/// Whose the deployer role is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeployerRoleType {
    /// Mooring makes it, keeps it and removes it.
    #[default]
    Managed,
    /// Somebody else's: it is only read.
    Existing,
}

/// How Argo CD sees the cluster: the keys of its cluster Secret.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = ("!has(self.clusterResources) || has(self.namespaces)", "clusterResources only means something beside namespaces: list them in argocd.namespaces, or leave clusterResources out"))]
#[serde(rename_all = "camelCase")]
pub struct ArgoCd {
    /// The cluster's name in Argo CD, by which Applications name it; the name of this object when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = ("self.matches('^[A-Za-z0-9]([A-Za-z0-9._/@:+-]{0,251}[A-Za-z0-9])?$')", "argocd.name is letters, digits and the characters ._/@:+-, starting and ending with a letter or digit"),
        validation = ("self != 'in-cluster'", "in-cluster is Argo CD's own name for the cluster it runs on: write another"),
    )]
    #[schemars(with = "String", length(max = 256))]
    pub name: Option<String>,

    /// The Argo CD project that the cluster belongs to; any project may use it when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')", "argocd.project is the name of an AppProject, as in team-a"))]
    #[schemars(with = "String", length(max = 256))]
    pub project: Option<String>,

    /// Labels of the cluster Secret, by which ApplicationSets select clusters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(
        validation = ("self.all(k, !(k in ['argocd.argoproj.io/secret-type', 'argocd.argoproj.io/kubernetes-version', 'argocd.argoproj.io/instance', 'app.kubernetes.io/instance']) && !k.startsWith('mooring.dev/'))", "argocd.labels may not hold argocd.argoproj.io/secret-type, kubernetes-version or instance, app.kubernetes.io/instance, or anything of mooring.dev/: Argo CD or Mooring writes these"),
        validation = ("self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))", "a label is a Kubernetes label: at most 63 letters, digits, hyphens, underscores or dots; put anything longer in argocd.annotations"),
    )]
    #[schemars(extend("maxProperties" = 50, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the cluster Secret, which ApplicationSets can use as values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(
        validation = ("self.all(k, !(k in ['argocd.argoproj.io/refresh', 'argocd.argoproj.io/hydrate', 'argocd.argoproj.io/tracking-id', 'argocd.argoproj.io/installation-id', 'managed-by', 'kubectl.kubernetes.io/last-applied-configuration']) && !k.startsWith('mooring.dev/'))", "argocd.annotations may not hold managed-by, argocd.argoproj.io/refresh, hydrate, tracking-id or installation-id, kubectl's last-applied-configuration, or anything of mooring.dev/: Argo CD or Mooring writes these"),
        validation = ("self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))", "an annotation's key is a Kubernetes name, as in example.com/vpc-id"),
    )]
    #[schemars(extend("maxProperties" = 50, "additionalProperties" = {"type": "string", "maxLength": 1024}))]
    pub annotations: BTreeMap<String, String>,

    /// The namespaces that Argo CD manages; those of the access policies when left out, or the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("size(self) > 0", "argocd.namespaces is empty: leave it out for the whole cluster"),
        validation = ("self.all(n, n.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'))", "a namespace is lower-case letters, digits and hyphens, as in team-a; Argo CD knows no patterns here"),
    )]
    #[schemars(with = "Vec<String>", length(max = 100), inner(length(max = 128)))]
    pub namespaces: Option<Vec<String>>,

    /// Whether Argo CD also manages cluster-scoped resources when it is held to namespaces; not, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub cluster_resources: Option<bool>,

    /// The shard of the application controller that handles the cluster; Argo CD chooses when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self >= 0 && self <= 1000", "shard is 0 to 1000: with a negative one no application controller would handle the cluster"))]
    #[schemars(with = "i32")]
    pub shard: Option<i32>,
}

/// What happens when the object is deleted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Delete removes the cluster Secret, the access entry and the deployer role, in that order. Retain removes only the cluster Secret.
    #[serde(default)]
    pub policy: DeletionPolicy,

    /// What is done while Applications still deploy to the cluster, whose resources Argo CD could not take away any more. Block waits until there are none. Drain first drops the labels of the cluster Secret, so that ApplicationSets delete their Applications, and waits. Proceed does not wait. May be changed while the object is being deleted.
    #[serde(default)]
    pub while_in_use: WhileInUse,
}

/// What a removal does while Applications still deploy to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhileInUse {
    /// Waits until nobody does.
    #[default]
    Block,
    /// Has ApplicationSets let go of the cluster, and waits until nobody does.
    Drain,
    /// Goes on.
    Proceed,
}

/// What is removed with the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Everything that Mooring made.
    #[default]
    Delete,
    /// The cluster Secret alone.
    Retain,
}

default_from_empty!(DeployerRole, ArgoCd, Deletion);
