//! What the platform team allows that a `ManagedCluster` may ask for.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many clusters one entry names at most.
pub const MOST_CLUSTERS: usize = 100;

/// How many deployer roles one entry names at most.
pub const MOST_NAMED: usize = 30;

/// One thing that the platform team allows. Globs know only `*`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allow {
    /// The accounts, 12 digits each, or "*" for any.
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("size(self) > 0", "accounts is empty: list the accounts that may be used, or write \"*\" for any account"),
        validation = ("self.all(a, a == '*' || a.matches('^[0-9]{12}$'))", "accounts are 12 digits in quotation marks each, as in \"222222222222\", or \"*\" for any account"),
    )]
    #[schemars(length(max = 200), inner(length(max = 64)))]
    pub accounts: Vec<String>,

    /// Globs on the region; any when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(r, r.matches('^[a-z0-9*-]+$'))", "regions are codes or globs, as in eu-west-1 or eu-*"),
    )]
    #[schemars(length(max = 50), inner(length(max = 64)))]
    pub regions: Vec<String>,

    /// Globs on the EKS cluster's name; any when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(c, c.matches('^[A-Za-z0-9_*-]+$'))", "clusters are EKS cluster names or globs, as in prod-*"),
    )]
    #[schemars(length(max = MOST_CLUSTERS), inner(length(max = 128)))]
    pub clusters: Vec<String>,

    /// Access policies, each with the widest scope in which it may be used; none when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 30))]
    pub access_policies: Vec<AllowedAccessPolicy>,

    /// Globs on Kubernetes groups; none when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(g, size(g) > 0 && !g.startsWith('system:') && !g.startsWith('eks:') && !g.startsWith('aws:') && !g.startsWith('amazon:') && !g.startsWith('iam:'))", "EKS refuses groups that start with system:, eks:, aws:, amazon: or iam: - name groups of your own"),
        validation = ("self.all(g, !g.contains('?') && !g.contains('$'))", "the only wildcard is *"),
    )]
    #[schemars(length(max = 50), inner(length(max = 256)))]
    pub kubernetes_groups: Vec<String>,

    /// Globs on the Argo CD project; any when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(p, p.matches('^[a-z0-9.*-]+$'))", "projects are names of AppProjects or globs, as in team-*"),
    )]
    #[schemars(length(max = 100), inner(length(max = 256)))]
    pub projects: Vec<String>,

    /// ARNs of roles outside of Mooring's path that a ManagedCluster may name in access.deployerRole.arn; none when left
    /// out. The account may be *, for each account of this entry, and the name may end in *, as in
    /// arn:aws:iam::*:role/argocd-*.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(r, r.matches('^arn:aws[a-z-]*:iam::([0-9]{12}|[*]):role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}[*]?$'))", "deployerRoles are ARNs of IAM roles, as in arn:aws:iam::222222222222:role/argocd; * may only stand for the whole account and at the end of the name"),
        validation = ("self.all(r, !r.matches('(?i):role/(mooring|aws-reserved|aws-service-role)/') && !r.matches('(?i):role/(a|aw|aws|aws-|aws-r[a-z]*|aws-s[a-z-]*|m|mo|moo|moor|moori|moorin|mooring)[*]$'))", "deployerRoles may not reach below /mooring/, /aws-reserved/ or /aws-service-role/: Mooring's own roles, and AWS's, are nobody's deployer roles; write more of the name before *"),
    )]
    #[schemars(length(max = MOST_NAMED), inner(length(max = 256)))]
    pub deployer_roles: Vec<String>,
}

/// An access policy that may be used.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedAccessPolicy {
    /// The policy's name, as in AmazonEKSEditPolicy.
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9]{1,128}$')", "the name of an access policy is written alone, as in AmazonEKSViewPolicy, not as an ARN"))]
    #[schemars(length(max = 256))]
    pub name: String,

    /// Cluster: in the whole cluster, or in namespaces. Namespace: in namespaces only, and not in those of the cluster's
    /// own components (kube-system, kube-public, kube-node-lease), nor in those of Argo CD and Mooring on the hub.
    pub scope: Scope,
}

/// The widest scope of an access policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// The whole cluster.
    Cluster,
    /// Namespaces.
    Namespace,
}
