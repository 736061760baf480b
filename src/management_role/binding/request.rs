//! 1. request: what a `ManagementRole` asks of Argo CD's service accounts. Pure.

use std::collections::BTreeSet;

use crate::api::{
    HubCluster, IdentityType, ManagementRole,
    condition::{ConditionType, holds},
};

/// What is asked of the service accounts of one Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The `ManagementRole`'s name.
    pub object: String,
    /// The hub.
    pub hub: HubCluster,
    /// Argo CD's namespace.
    pub namespace: String,
    /// How the pods come to the role.
    pub identity: IdentityType,
    /// The service accounts that are to name the role.
    pub accounts: BTreeSet<String>,
    /// The role's ARN, while the role is known to stand on the hub that we run on and to trust the service accounts.
    pub role: Option<String>,
    /// Those of the service accounts whose web identities the trust policy of an existing role does not let in: an
    /// annotation gives them nothing.
    pub untrusted: BTreeSet<String>,
    /// Whether we write the annotation.
    pub bind: bool,
    /// Whether we restart workloads.
    pub restart: bool,
}

impl Request {
    /// Reads the object: its spec, and whether its status says that the role stands.
    #[must_use]
    pub fn of(object: &ManagementRole) -> Self {
        let spec = &object.spec;
        let status = object.status.as_ref().filter(|status| {
            [ConditionType::HubReady, ConditionType::RoleReady]
                .iter()
                .all(|kind| holds(&status.conditions, *kind))
        });
        Self {
            object: object.metadata.name.clone().unwrap_or_default(),
            hub: spec.cluster.clone(),
            namespace: spec.argocd_namespace.clone(),
            identity: spec.identity.kind,
            accounts: spec.service_accounts.iter().cloned().collect(),
            role: status
                .and_then(|status| status.role.as_ref())
                .map(|role| role.arn.clone()),
            untrusted: object
                .status
                .iter()
                .flat_map(|status| &status.untrusted_service_accounts)
                .cloned()
                .collect(),
            bind: spec.bind_service_accounts,
            restart: spec.restart_workloads,
        }
    }

    /// The field manager of what is written for the object. Each object has its own, so that two that name the same
    /// service account are told apart by the API server, and neither takes over what the other wrote.
    #[must_use]
    pub fn manager(&self) -> String {
        manager(&self.object)
    }
}

/// The field manager of what is written for the `ManagementRole` of this name, which has at most 63 characters.
#[must_use]
pub fn manager(object: &str) -> String {
    format!("{MANAGER}-{object}")
}

/// What the field managers of bindings begin with; that of the condition is nothing more.
pub const MANAGER: &str = "mooring-bind";
