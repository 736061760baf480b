//! `ManagementRole`: one Argo CD, its IAM role, and what may be asked of it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Allow, default_from_empty};

/// The hub that Argo CD runs on, the IAM role it acts with, and what ManagedClusters may ask for.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mooring.dev",
    version = "v1alpha1",
    kind = "ManagementRole",
    plural = "managementroles",
    singular = "managementrole",
    shortname = "mgr",
    category = "mooring",
    status = "ManagementRoleStatus",
    derive = "PartialEq",
    doc = "The IAM role that one Argo CD acts with, and what any ManagedCluster that names it may ask for.",
    printcolumn(name = "Account", type_ = "string", json_path = ".status.hub.accountId"),
    printcolumn(name = "Region", type_ = "string", json_path = ".status.hub.region"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".status.hub.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Bound", type_ = "string", json_path = ".status.conditions[?(@.type==\"ServiceAccountsBound\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.role.arn", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("the name of a ManagementRole becomes part of IAM paths: at most 63 lower-case letters, digits and hyphens"),
)]
#[x_kube(
    validation = ("self.cluster == oldSelf.cluster", "cluster never changes: make a new ManagementRole for the other hub"),
    validation = ("self.argocdNamespace == oldSelf.argocdNamespace", "argocdNamespace never changes: make a new ManagementRole for the other Argo CD"),
    validation = ("self.identity == oldSelf.identity", "identity never changes, since every deployer role trusts it: make a new ManagementRole and move the ManagedClusters to it"),
    validation = ("self.identity.type != 'Existing' || (!has(self.role.name) && !has(self.role.tags))", "role.name and role.tags are for a role that Mooring makes: leave them out with identity type Existing"),
    validation = ("has(self.role.name) == has(oldSelf.role.name) && (!has(self.role.name) || self.role.name == oldSelf.role.name)", "role.name never changes: a role cannot be renamed, and every deployer role trusts it"),
)]
#[serde(rename_all = "camelCase")]
pub struct ManagementRoleSpec {
    /// The EKS cluster that Argo CD and Mooring run on: the hub. Never changes.
    pub cluster: HubCluster,

    /// The namespace of Argo CD, where cluster Secrets are written. Never changes.
    #[serde(default = "default_namespace")]
    #[x_kube(validation = ("self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')", "argocdNamespace is a namespace, as in argocd"))]
    #[schemars(length(max = 64))]
    pub argocd_namespace: String,

    /// How Argo CD's pods come to the role. Never changes.
    #[serde(default)]
    pub identity: Identity,

    /// Argo CD's service accounts that may use the role; no other can.
    #[serde(default = "default_service_accounts")]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("size(self) > 0", "serviceAccounts is empty: leave it out for Argo CD's own three, or list those that may use the role"),
        validation = ("self.all(n, n.matches('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$'))", "a service account is named without its namespace, as in argocd-server, and without wildcards"),
    )]
    #[schemars(length(max = 10), inner(length(max = 256)))]
    pub service_accounts: Vec<String>,

    /// Whether Mooring binds the service accounts to the role: it sets the annotation eks.amazonaws.com/role-arn on each, and nothing else. It makes none, and never overwrites what another field manager has set. With identity type Existing it leaves out those that the role's trust policy does not let in by a web identity, and those whose pods get their credentials by EKS Pod Identity.
    #[serde(default = "default_bind")]
    pub bind_service_accounts: bool,

    /// Whether Mooring restarts, once for each role, the Deployments, StatefulSets and DaemonSets whose pods run as these service accounts and started before they were bound. When false, the condition ServiceAccountsBound names them and the command.
    #[serde(default)]
    pub restart_workloads: bool,

    /// The hub's IAM OIDC provider. Manage: Mooring makes it when it is missing, adds the audience, and never deletes it. Require: Mooring only says what is missing.
    #[serde(default)]
    pub oidc_provider: OidcProvider,

    /// The management role itself; Mooring makes it with identity type IRSA, and only then.
    #[serde(default)]
    pub role: RoleSettings,

    /// How the management role's policy names the deployer roles. PerAccount: one pattern for each account, for about a hundred accounts. Explicit: each role by its ARN, for about ninety clusters.
    #[serde(default)]
    pub assume_policy: AssumePolicy,

    /// The role by which Mooring enters each account, the hub's own included.
    #[serde(default)]
    pub provisioner: Provisioner,

    /// What any ManagedCluster may ask for. Outside of it nothing is made; what stands when it shrinks is kept until a person acts.
    #[x_kube(validation = ("size(self) > 0", "allow is empty, so that no ManagedCluster could be made: write at least one entry, as in {accounts: [\"222222222222\"], accessPolicies: [{name: AmazonEKSViewPolicy, scope: Cluster}]}"))]
    #[schemars(length(max = MOST_ENTRIES))]
    pub allow: Vec<Allow>,
}

/// How many entries `spec.allow` of a `ManagementRole` may have.
pub const MOST_ENTRIES: usize = 50;

fn default_namespace() -> String {
    "argocd".to_owned()
}

fn default_service_accounts() -> Vec<String> {
    // Argo CD's manual lists these three (docs/operator-manual/declarative-setup.md, "EKS").
    let names = [
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-server",
    ];
    names.map(str::to_owned).to_vec()
}

fn default_bind() -> bool {
    true
}

/// The hub.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubCluster {
    /// The hub's name in EKS, as in hub.
    #[x_kube(validation = ("self.matches('^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$')", "cluster.name is an EKS cluster's name: 1 to 100 letters, digits, hyphens or underscores, the first a letter or digit"))]
    #[schemars(length(max = 128))]
    pub name: String,

    /// The hub's region, as in eu-west-1.
    #[x_kube(validation = ("self.matches('^[a-z]{2,16}(-[a-z]{1,16}){1,3}-[0-9]{1,2}$')", "cluster.region is an AWS region's code, as in eu-west-1"))]
    #[schemars(length(max = 32))]
    pub region: String,
}

/// How Argo CD's pods come to the role.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = ("(self.type == 'Existing') == has(self.roleArn)", "identity.roleArn goes with type Existing, and only with it: with IRSA Mooring makes the role"))]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// IRSA: Mooring makes the role and its trust. Existing: the role is yours, and Mooring never writes to it.
    #[serde(default, rename = "type")]
    pub kind: IdentityType,

    /// Existing only: the ARN of a role in the hub's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$')", "identity.roleArn is the ARN of an IAM role, as in arn:aws:iam::111111111111:role/argocd, without wildcards"))]
    #[schemars(with = "String", length(max = 1024))]
    pub role_arn: Option<String>,
}

/// The kinds of identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdentityType {
    /// IAM roles for service accounts: the role trusts the hub's OIDC issuer.
    #[default]
    #[serde(rename = "IRSA")]
    Irsa,
    /// A role that somebody else owns.
    Existing,
}

/// What to do about the hub's IAM OIDC provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OidcProvider {
    /// Make it when it is missing, and add the audience when that is missing; never delete it.
    #[default]
    Manage,
    /// Only look: say what is missing.
    Require,
}

/// The management role.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleSettings {
    /// The role's name; made from the object's when left out. The path is always the hub's. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9_+=,.@-]{1,64}$')", "a role's name is 1 to 64 letters, digits or characters of _+=,.@-, without a path"))]
    #[schemars(with = "String", length(max = 128))]
    pub name: Option<String>,

    /// The name of the permissions boundary in the hub's account, which `mooring bootstrap` prints.
    #[serde(default = "default_boundary")]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9_+=,.@-]{1,128}$')", "permissionsBoundary is the name of an IAM policy in the hub's account, as in mooring-management, not its ARN"))]
    #[schemars(length(max = 256))]
    pub permissions_boundary: String,

    /// Tags of the role, beside Mooring's own. A tag taken out here stays on AWS until it is removed there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(
        validation = ("self.all(k, size(k) > 0 && size(k) <= 128 && !k.matches('^[aA][wW][sS]:') && !k.startsWith('mooring.dev/'))", "a tag's key has 1 to 128 characters and does not start with aws: or mooring.dev/"),
        validation = ("self.all(k, k.matches('^[A-Za-z0-9 _.:/=+@-]+$') && self[k].matches('^[A-Za-z0-9 _.:/=+@-]*$'))", "tags are made of letters, digits, spaces and the characters _.:/=+-@"),
    )]
    #[schemars(extend("maxProperties" = 40, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    pub tags: BTreeMap<String, String>,
}

fn default_boundary() -> String {
    "mooring-management".to_owned()
}

/// How the permission policy names the deployer roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AssumePolicy {
    /// One pattern for each account: everything under the hub's path there. For about a hundred accounts.
    #[default]
    PerAccount,
    /// Every deployer role by its ARN. For about ninety clusters.
    Explicit,
}

/// The way into an account.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provisioner {
    /// The name of the provisioner role in every account, which `mooring bootstrap` prints.
    #[serde(default = "default_provisioner")]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9_+=,.@-]{1,64}$')", "provisioner.roleName is the name of an IAM role, as in mooring-provisioner, without a path"))]
    #[schemars(length(max = 128))]
    pub role_name: String,

    /// The name of the reader role in every account, which `mooring bootstrap` prints: it may look at what Mooring
    /// makes, and change nothing. The verifier and `mooring doctor` enter accounts by it.
    #[serde(default = "default_reader")]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9_+=,.@-]{1,64}$')", "provisioner.readerRoleName is the name of an IAM role, as in mooring-reader, without a path"))]
    #[schemars(length(max = 128))]
    pub reader_role_name: String,

    /// The external ID that the provisioner and reader roles ask for; none when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("size(self) >= 2 && size(self) <= 1224 && self.matches('^[A-Za-z0-9_+=,.@:/-]*$')", "externalId is 2 to 1224 letters, digits or characters of _+=,.@:/-"))]
    #[schemars(with = "String", length(max = 1500))]
    pub external_id: Option<String>,
}

fn default_provisioner() -> String {
    "mooring-provisioner".to_owned()
}

fn default_reader() -> String {
    "mooring-reader".to_owned()
}

default_from_empty!(Identity, RoleSettings, Provisioner);

/// What Mooring found and made for this Argo CD, and what is in the way. Written by Mooring alone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagementRoleStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,

    /// What holds: Ready is the summary; Stalled is there only when a person must act.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The hub, as AWS describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HubStatus")]
    pub hub: Option<HubStatus>,

    /// The IAM role that Argo CD's service accounts act with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RoleStatus")]
    pub role: Option<RoleStatus>,

    /// Identity type Existing only: those of spec.serviceAccounts whose web identities the role's trust policy does not let in. Mooring does not annotate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 256)))]
    pub untrusted_service_accounts: Vec<String>,

    /// The deployer roles that the management role may assume, as its policy was last written or found to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumable: Vec<String>,

    /// Deployer roles whose ManagedCluster is gone and which were kept by its deletion policy. They still trust this role. One that Mooring made is taken off the list once a ManagedCluster has it again; one of deployerRole.type Existing stays, since several may use it. One that is gone is taken off it too; one whose trust policy keeps this role out stays, and holds no removal up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<String>,

    /// Cluster Secrets that Mooring did not write and by which Argo CD assumes the management role itself, up to 20 of them. As long as there is one, the role may assume itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub assumes_itself_for: Vec<String>,

    /// ManagedClusters whose removal has begun in the last hour, so that a burst of removals is noticed after a restart of the operator too. Not written while the operator counts no removals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub removals: Vec<RemovalStatus>,

    /// Workloads that were restarted so that their pods start with the role. Each is restarted once for a role, whoever takes the annotations of the restart off again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["uid".into()]))]
    #[schemars(length(max = 100))]
    pub restarted: Vec<RestartedWorkload>,
}

/// A removal that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovalStatus {
    /// The name of the ManagedCluster.
    pub name: String,
    /// The UID of the ManagedCluster.
    pub uid: String,
    /// When its removal was asked for.
    pub requested_at: Time,
}

/// A workload that was restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartedWorkload {
    /// The UID of the workload, which one that is made again under its name does not have.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The workload as kubectl takes it, as in deployment/argocd-server.
    #[schemars(length(max = 300))]
    pub workload: String,
    /// The ARN of the role that its pods were to start with.
    #[schemars(length(max = 2048))]
    pub role: String,
}

/// The hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HubStatus {
    /// The AWS account that the hub is in.
    pub account_id: String,
    /// The AWS region that the hub is in.
    pub region: String,
    /// The hub's name in EKS.
    pub name: String,
    /// The ARN of the hub in EKS.
    pub arn: String,
    /// The URL of the hub's OIDC issuer, which the management role trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub issuer: Option<String>,
}

/// The management role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// The ARN of the management role.
    pub arn: String,
    /// The role's unique ID, recorded when Mooring made it.
    pub id: String,
}
