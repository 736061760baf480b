//! What `mooring render` shows of each object.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_saphyr::LitString;

use crate::{
    api::ManagedCluster,
    argocd::WantedSecret,
    aws::{WantedRole, grants, session_name},
    domain::{
        arn::{ClusterArn, OidcProviderArn, PolicyArn, RoleArn},
        eks::{AccessPolicyArn, AccessScope, Associations, Cluster},
        ownership::{ROLE_ID_TAG, Tags},
    },
    managed_cluster::{desired::Desired, management::Management, request::Request},
    management_role::{
        request::{Request as RoleRequest, RoleOwner},
        step::POLICY_NAME,
    },
    policy::{self, AUDIENCE, Document},
};

/// What is shown of a `ManagementRole`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleView {
    management_role: String,
    hub: ClusterArn,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_provider: Option<ProviderView>,
    role: IamRole,
    operator_session: Session,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProviderView {
    arn: OidcProviderArn,
    audience: &'static str,
    managed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IamRole {
    arn: RoleArn,
    owner: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    made: Option<Made>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_policies: Option<BTreeMap<&'static str, Document>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_trust: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_permissions: Option<Document>,
}

const YOURS: &str = "yours: Mooring only reads it";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    description: String,
    permissions_boundary: PolicyArn,
    tags: Tags,
    trust_policy: Document,
}

impl Made {
    fn of(role: WantedRole) -> Self {
        Self {
            description: role.description,
            permissions_boundary: role.boundary,
            tags: role.tags,
            trust_policy: role.trust,
        }
    }
}

/// How the operator enters the account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    provisioner_role: RoleArn,
    #[serde(rename = "sessionName")]
    name: String,
    #[serde(rename = "sessionPolicy")]
    policy: Document,
}

impl RoleView {
    /// `permission` is what the role may do, or has to be let do where it is somebody else's.
    pub(super) fn new(
        request: &RoleRequest,
        provider: &OidcProviderArn,
        wanted: WantedRole,
        permission: Option<Document>,
    ) -> Self {
        let hub = &request.hub;
        let ours = request.role_owner == RoleOwner::Mooring;
        let (inline_policies, needed_permissions) = if ours {
            let policies = permission.map(|document| (POLICY_NAME, document)).into_iter().collect();
            (Some(policies), None)
        } else {
            (None, permission)
        };
        Self {
            management_role: request.name.clone(),
            oidc_provider: ours.then(|| ProviderView {
                arn: provider.clone(),
                audience: AUDIENCE,
                managed: request.manage_provider,
            }),
            role: IamRole {
                arn: request.role.clone(),
                owner: if ours { "Mooring" } else { YOURS },
                made: ours.then(|| Made::of(wanted)),
                inline_policies,
                needed_trust: None,
                needed_permissions,
            },
            operator_session: Session {
                provisioner_role: hub.provisioner(&hub.cluster.account, &request.provisioner),
                name: session_name(hub, &request.name),
                policy: grants::session_policy_for_management(hub, &request.role),
            },
            hub: hub.cluster.clone(),
        }
    }
}

/// What is shown of a `ManagedCluster`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ClusterView {
    Refused(RefusedCluster),
    Made(Box<MadeCluster>),
}

/// A cluster for which nothing is made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefusedCluster {
    managed_cluster: String,
    management_role: String,
    refused: String,
}

/// Everything that is made for a cluster.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeCluster {
    managed_cluster: String,
    management_role: String,
    cluster: ClusterArn,
    deployer_role: IamRole,
    access_entry: EntryView,
    cluster_secret: SecretView,
    operator_session: Session,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView {
    principal_arn: RoleArn,
    #[serde(rename = "type")]
    kind: &'static str,
    kubernetes_groups: Vec<String>,
    tags: Tags,
    access_policies: Vec<PolicyView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyView {
    policy_arn: AccessPolicyArn,
    access_scope: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    namespaces: Vec<String>,
}

#[derive(Serialize)]
struct SecretView {
    namespace: String,
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    data: BTreeMap<String, Text>,
}

/// A text; JSON in a literal scalar, where it needs no escapes.
#[derive(Serialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Json(LitString),
}

impl Text {
    fn of(text: String) -> Self {
        if text.starts_with('{') {
            Self::Json(LitString(text))
        } else {
            Self::Plain(text)
        }
    }
}

/// A server that is nobody's (RFC 2606, "Reserved Top Level DNS Names"), until its place is taken by words.
const SERVER: &str = "https://endpoint.invalid";

fn certificate_authority() -> String {
    STANDARD.encode("-----BEGIN CERTIFICATE-----\nnobody's\n-----END CERTIFICATE-----\n")
}

/// A cluster that a Secret can be made of.
pub(super) fn stand_in(cluster: Cluster) -> Cluster {
    Cluster {
        endpoint: Some(SERVER.to_owned()),
        certificate_authority: Some(certificate_authority()),
        ..cluster
    }
}

impl ClusterView {
    pub(super) fn refused(object: &ManagedCluster, refusal: &str) -> Self {
        Self::Refused(RefusedCluster {
            managed_cluster: object.metadata.name.clone().unwrap_or_default(),
            management_role: object.spec.management_role.clone(),
            refused: refusal.to_owned(),
        })
    }

    /// Everything that a request leads to. `desired` is for the [`stand_in`] of the cluster.
    ///
    /// # Errors
    /// When there is no Secret that Argo CD could use.
    pub(super) fn new(request: &Request, management: &Management, desired: Desired) -> Result<Self, String> {
        let Desired {
            cluster,
            role,
            existing,
            named: _,
            chosen: _,
            adopt: _,
            namespace,
            management_role,
            entry,
            associations,
            secret,
        } = desired;
        // Of a role that somebody else keeps, what it needs is shown, and nothing is made.
        let needed_trust = existing.then(|| policy::deployer_trust(&management_role));
        let secret = secret
            .ok_or("there is no cluster Secret")?
            .map_err(|error| error.to_string())?;
        let cluster = &cluster;
        let mut tags = entry.tags;
        tags.insert(
            ROLE_ID_TAG.to_owned(),
            "<unique ID of the deployer role, from iam:CreateRole>".to_owned(),
        );
        Ok(Self::Made(Box::new(MadeCluster {
            managed_cluster: request.identity.name.clone(),
            management_role: request.identity.management_role.clone(),
            deployer_role: IamRole {
                arn: role.arn.clone(),
                owner: if existing { YOURS } else { "Mooring" },
                inline_policies: (!existing).then(BTreeMap::new),
                made: (!existing).then(|| Made::of(role)),
                needed_trust,
                needed_permissions: None,
            },
            access_entry: EntryView {
                principal_arn: entry.principal,
                kind: "STANDARD",
                kubernetes_groups: entry.groups.into_iter().collect(),
                tags,
                access_policies: policies(associations),
            },
            cluster_secret: in_words(secret, &namespace, cluster),
            operator_session: Session {
                provisioner_role: management.hub.provisioner(&cluster.account, &management.provisioner),
                name: session_name(&management.hub, &request.identity.name),
                policy: grants::session_policy_for_cluster(&management.hub, cluster, &request.deployer, !existing),
            },
            cluster: cluster.clone(),
        })))
    }
}

fn policies(associations: Associations) -> Vec<PolicyView> {
    associations
        .into_iter()
        .map(|(policy_arn, scope)| match scope {
            AccessScope::Cluster => PolicyView {
                policy_arn,
                access_scope: "cluster",
                namespaces: Vec::new(),
            },
            AccessScope::Namespaces(names) => PolicyView {
                policy_arn,
                access_scope: "namespace",
                namespaces: names.into_iter().collect(),
            },
        })
        .collect()
}

/// The Secret with words in place of what the stand-in gave.
fn in_words(secret: WantedSecret, namespace: &str, cluster: &ClusterArn) -> SecretView {
    let name = &cluster.name;
    let words = |text: &str| {
        let authority = format!("<certificate authority of {name}, from eks:DescribeCluster>");
        text.replace(SERVER, &format!("<endpoint of {name}, from eks:DescribeCluster>"))
            .replace(&certificate_authority(), &authority)
    };
    SecretView {
        namespace: namespace.to_owned(),
        name: format!("<cluster-HOST-HASH, by the endpoint of {name} as Argo CD names it>"),
        labels: secret.labels,
        annotations: secret.annotations,
        data: secret
            .data
            .into_iter()
            .map(|(key, text)| (key, Text::of(words(&text))))
            .collect(),
    }
}
