//! Session policies: what cuts a session of a provisioner role down to one object. Pure.

use super::grants::any_provider;
use crate::{
    domain::{
        arn::{ClusterArn, RoleArn},
        hub::Hub,
    },
    policy::{ActionGrant, Document, session},
};

/// The session policy of a pass over one cluster: its deployer role, the cluster, and that role's entry on it. A role
/// that `is_ours` is not is only looked at, and so is whatever has the name instead.
/// Under 2,048 characters for the longest names that AWS takes.
#[must_use]
pub fn session_policy_for_cluster(hub: &Hub, cluster: &ClusterArn, deployer: &RoleArn, is_ours: bool) -> Document {
    let ClusterArn { region, account, name } = cluster;
    let partition = hub.partition();
    let entries = format!(
        "arn:{partition}:eks:{region}:{account}:access-entry/{name}/role/{}/*",
        deployer.account
    );
    let role = is_ours.then(|| ActionGrant {
        sid: "Role",
        actions: vec!["iam:*"],
        resources: vec![deployer.to_string()],
    });
    let mut grants = vec![
        ActionGrant {
            sid: "Look",
            actions: vec!["iam:GetRole"],
            resources: vec![any_role(deployer)],
        },
        ActionGrant {
            sid: "Cluster",
            actions: vec!["eks:*"],
            resources: vec![cluster.to_string(), entries],
        },
    ];
    grants.splice(0..0, role);
    session(&grants)
}

/// The session policy of a pass over a `ManagementRole`: the management role, the hub's OIDC provider, and the hub.
#[must_use]
pub fn session_policy_for_management(hub: &Hub, role: &RoleArn) -> Document {
    session(&[
        ActionGrant {
            sid: "Role",
            actions: vec!["iam:*"],
            resources: vec![role.to_string(), any_provider(hub)],
        },
        ActionGrant {
            sid: "Look",
            actions: vec!["iam:GetRole"],
            resources: vec![any_role(role)],
        },
        ActionGrant {
            sid: "Hub",
            actions: vec!["eks:DescribeCluster"],
            resources: vec![hub.cluster.to_string()],
        },
    ])
}

/// Every role of an account. To IAM a name is the same in any case and under any path, and policies tell both apart: a role
/// that has the name in another case could not be told from a refusal by anything narrower.
fn any_role(like: &RoleArn) -> String {
    format!("arn:{}:iam::{}:role/*", like.partition, like.account)
}
