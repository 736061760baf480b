//! `mooring crd`: the two custom resource definitions, as the API server takes them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::{ManagedCluster, ManagementRole};

/// Both definitions as one YAML text of two documents, the `ManagementRole`'s first.
#[must_use]
pub fn crds() -> String {
    format!("{}---\n{}", management_roles(), managed_clusters())
}

/// The definition of [`ManagementRole`] as YAML, as it stands in `crds/managementroles.yaml`.
#[must_use]
pub fn management_roles() -> String {
    yaml(&ManagementRole::crd())
}

/// The definition of [`ManagedCluster`] as YAML, as it stands in `crds/managedclusters.yaml`.
#[must_use]
pub fn managed_clusters() -> String {
    yaml(&ManagedCluster::crd())
}

fn yaml(definition: &CustomResourceDefinition) -> String {
    serde_saphyr::to_string(definition).unwrap_or_default()
}
