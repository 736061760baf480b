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
    #[allow(
        clippy::expect_used,
        reason = "strings, numbers, lists and maps, which every test of the definitions writes"
    )]
    serde_saphyr::to_string(definition).expect("a definition is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back_as_the_definitions() {
        let read: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&crds()).unwrap();
        assert_eq!(read, [ManagementRole::crd(), ManagedCluster::crd()]);
    }
}
