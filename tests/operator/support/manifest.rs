//! The manifests that the tests apply.

use std::collections::BTreeSet;

use mooring_sandbox::stage::{ClusterSpec, Fleet};
use serde_json::{Value, json};

pub(crate) const ADMIN: &str = "AmazonEKSClusterAdminPolicy";
pub(crate) const EDIT: &str = "AmazonEKSEditPolicy";
pub(crate) const VIEW: &str = "AmazonEKSViewPolicy";

/// The `ManagementRole` named default: allows every account of the fleet, all three policies in any scope, and the
/// groups `team-*`.
pub(crate) fn management_role(fleet: &Fleet) -> Value {
    let accounts: BTreeSet<&str> = fleet.clusters().map(|cluster| cluster.account.as_str()).collect();
    json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default"},
        "spec": {
            "cluster": {"name": fleet.hub.name, "region": fleet.hub.region},
            "allow": [{
                "accounts": accounts,
                "accessPolicies": [
                    {"name": ADMIN, "scope": "Cluster"}, {"name": EDIT, "scope": "Cluster"}, {"name": VIEW, "scope": "Cluster"},
                ],
                "kubernetesGroups": ["team-*"],
            }],
        },
    })
}

/// A `ManagedCluster` named as its cluster, administrator by default, with `spec` laid over it.
pub(crate) fn managed_cluster(cluster: &ClusterSpec, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": cluster.name},
        "spec": {
            "accountId": cluster.account, "region": cluster.region,
            "access": {"policies": [{"name": ADMIN}]},
        },
    });
    merge(&mut object["spec"], spec);
    object
}

/// RFC 7386, without the removal.
pub(crate) fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
