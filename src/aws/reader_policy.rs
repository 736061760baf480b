//! The permission policies of those who only look: the verifier's own role, and the reader roles. Pure.

use std::collections::BTreeSet;

use super::{
    calls::{CALLS, Service, Target},
    grants::{ManagementGrant, entering, provisioner_policy},
};
use crate::{
    domain::{
        allow::Allowance,
        glob::Glob,
        hub::Hub,
        name::{AccountId, RoleName},
    },
    policy::{Document, Statement},
};

/// The permission policy of the reader role in one account: of the provisioner's, what only looks.
#[must_use]
pub fn reader_policy(
    hub: &Hub,
    account: &AccountId,
    allow: &[Allowance],
    management: Option<&ManagementGrant>,
) -> Document {
    let looks: BTreeSet<&str> = CALLS
        .iter()
        .filter(|row| !row.writes)
        .flat_map(|row| row.needs)
        .map(|need| need.action)
        .collect();
    let mut document = provisioner_policy(hub, account, allow, management, &[]);
    for statement in &mut document.statements {
        statement.action.retain(|action| looks.contains(action.as_str()));
    }
    document.statements.retain(|statement| !statement.action.is_empty());
    if let Some(management) = management {
        // What the boundary of the management role allows is read to explain a refusal; the operator never reads it.
        let needs = CALLS
            .iter()
            .filter(|row| row.service == Service::Iam)
            .flat_map(|row| row.needs);
        let boundary = needs.filter(|need| need.on == Target::Walk).map(|need| need.action);
        document
            .statements
            .push(Statement::allow("Boundary", boundary).on([&management.boundary]));
    }
    document
}

/// The permission policy of the verifier's own role: to enter the accounts of `accounts` (IDs, or `*`) and the hub's
/// own through their reader roles, and nothing else.
#[must_use]
pub fn verifier_policy(hub: &Hub, accounts: &[Glob], reader: &RoleName) -> Document {
    entering("Readers", hub, accounts, reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{allow::ScopeKind, arn::ClusterArn};

    #[test]
    fn a_reader_looks_where_the_provisioner_looks_and_changes_nothing() {
        let any = || vec![Glob("*".to_owned())];
        let hub = Hub {
            cluster: ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: "hub".parse().unwrap(),
            },
            management_role: "default".parse().unwrap(),
        };
        let allow = [Allowance {
            accounts: any(),
            regions: any(),
            clusters: any(),
            access_policies: vec![("AmazonEKSClusterAdminPolicy".to_owned(), ScopeKind::Cluster)],
            kubernetes_groups: any(),
            projects: any(),
            deployer_roles: vec![],
        }];
        let management = ManagementGrant {
            role: hub.management_role_arn(None),
            boundary: hub.hub_policy(&"mooring-management".parse().unwrap()),
            provider: None,
            existing: false,
        };
        let account = &hub.cluster.account;
        let reader = reader_policy(&hub, account, &allow, Some(&management));
        let actions: BTreeSet<&str> = reader
            .statements
            .iter()
            .flat_map(|statement| &statement.action)
            .map(String::as_str)
            .collect();
        assert_eq!(
            actions.into_iter().collect::<Vec<_>>(),
            [
                "eks:DescribeAccessEntry",
                "eks:DescribeCluster",
                "eks:ListAssociatedAccessPolicies",
                "iam:GetOpenIDConnectProvider",
                "iam:GetPolicy",
                "iam:GetPolicyVersion",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListInstanceProfilesForRole",
                "iam:ListRolePolicies",
            ]
        );
        let provisioner = provisioner_policy(&hub, account, &allow, Some(&management), &[]);
        let boundary = reader.statements.last().unwrap();
        assert_eq!(boundary.resource, [management.boundary.to_string()].into());
        for statement in &reader.statements[..reader.statements.len() - 1] {
            let same = provisioner.statements.iter().find(|other| other.sid == statement.sid);
            assert_eq!(same.unwrap().resource, statement.resource, "{:?}", statement.sid);
        }
    }
}
