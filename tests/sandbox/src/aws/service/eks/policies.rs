//! The access policies that EKS offers.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::{Call, paging};
use crate::aws::contract::Answer;

/// EKS user guide, "Review access policy permissions" (December 2024). AWS adds to it now and then.
const NAMES: &[&str] = &[
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSBlockStorageClusterPolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSComputeClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSLoadBalancingClusterPolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingClusterPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSViewPolicy",
];

fn arn(partition: &str, name: &str) -> String {
    format!("arn:{partition}:eks::aws:cluster-access-policy/{name}")
}

/// Whether an ARN is that of an access policy of this partition.
pub(super) fn exists(partition: &str, policy: &str) -> bool {
    NAMES.iter().any(|name| arn(partition, name) == policy)
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.authorize(&[call.on_anything()])?;
    let policies: Vec<Value> = NAMES
        .iter()
        .map(|name| json!({"name": name, "arn": arn(call.request.partition, name)}))
        .collect();
    paging::page(Input(&call.request.input), "", "accessPolicies", policies, Map::new())
}
