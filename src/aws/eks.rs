//! EKS: clusters, access entries and their access policies.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_eks::types::{self, AccessScopeType, ClusterStatus};

use super::{
    calls::Call,
    error::{AwsError, ErrorKind},
    session::Account,
};
use crate::domain::{
    arn::{ClusterArn, RoleArn},
    eks::{
        AccessEntry, AccessPolicyArn, AccessScope, Associations, AuthenticationMode, Cluster, ClusterState, WantedEntry,
    },
    name::ClusterName,
    ownership::Tags,
};

/// How often a new scope is looked for, a second apart, before the association is made anew.
const LOOKS: u32 = 4;

impl Account {
    /// The cluster, or `None` when EKS knows none of that name in this account and region.
    ///
    /// # Errors
    /// When EKS cannot be asked, or refuses.
    pub async fn cluster(&self, name: &ClusterName) -> Result<Option<Cluster>, AwsError> {
        let request = self.eks.describe_cluster().name(name.as_str());
        let answer = self
            .call(Call::DescribeCluster, &self.cluster_arn(name), request.send())
            .await;
        Ok(absent(answer)?.and_then(|answer| answer.cluster).map(cluster))
    }

    /// The access entry of a role, or `None` when there is none (or no such cluster).
    ///
    /// # Errors
    /// When EKS cannot be asked, or refuses: [`ErrorKind::AccessEntriesDisabled`] on a cluster of `CONFIG_MAP` mode.
    pub async fn access_entry(
        &self,
        cluster: &ClusterName,
        principal: &RoleArn,
    ) -> Result<Option<AccessEntry>, AwsError> {
        let request = self
            .eks
            .describe_access_entry()
            .cluster_name(cluster.as_str())
            .principal_arn(principal.to_string());
        let answer = self
            .call(
                Call::DescribeAccessEntry,
                &self.entry_of(cluster, principal),
                request.send(),
            )
            .await;
        Ok(absent(answer)?.and_then(|answer| answer.access_entry).map(access_entry))
    }

    /// The access policies of a role's entry and where they hold, or `None` when there is no entry.
    ///
    /// # Errors
    /// When EKS cannot be asked, or refuses.
    pub async fn associations(
        &self,
        cluster: &ClusterName,
        principal: &RoleArn,
    ) -> Result<Option<Associations>, AwsError> {
        let resource = self.entry_of(cluster, principal);
        let mut found = Associations::new();
        let mut token = None;
        loop {
            let request = self.eks.list_associated_access_policies();
            let request = request
                .cluster_name(cluster.as_str())
                .principal_arn(principal.to_string())
                .set_next_token(token);
            let answer = self
                .call(Call::ListAssociatedAccessPolicies, &resource, request.send())
                .await;
            let Some(answer) = absent(answer)? else {
                return Ok(None);
            };
            let page = answer.associated_access_policies.unwrap_or_default();
            found.extend(page.into_iter().filter_map(association));
            token = answer.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(Some(found));
            }
        }
    }

    /// Makes an access entry of type `STANDARD`, without a user name: EKS makes one that carries the session's name.
    /// Gives the entry's ARN, which ends in an ID that EKS never gives twice.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidPrincipal`] while EKS does not see the role yet, and others.
    pub async fn create_access_entry(
        &self,
        cluster: &ClusterName,
        entry: &WantedEntry,
    ) -> Result<Option<String>, AwsError> {
        let request = self
            .eks
            .create_access_entry()
            .cluster_name(cluster.as_str())
            .principal_arn(entry.principal.to_string())
            .r#type("STANDARD")
            .set_kubernetes_groups((!entry.groups.is_empty()).then(|| entry.groups.iter().cloned().collect()))
            .set_tags(Some(entry.tags.clone().into_iter().collect()));
        let answer = self
            .call(
                Call::CreateAccessEntry,
                &self.entry_of(cluster, &entry.principal),
                request.send(),
            )
            .await?;
        Ok(answer.access_entry.and_then(|entry| entry.access_entry_arn))
    }

    /// Sets the groups of an entry, all of them, and in the same call the user name where one is given, which else stays:
    /// IAM may hold each of them against what the entry has where the request says nothing of it (service authorization
    /// reference, `UpdateAccessEntry`).
    ///
    /// # Errors
    /// When EKS refuses, or the entry is gone.
    pub async fn set_groups(
        &self,
        cluster: &ClusterName,
        principal: &RoleArn,
        groups: &BTreeSet<String>,
        username: Option<&str>,
    ) -> Result<(), AwsError> {
        let request = self
            .eks
            .update_access_entry()
            .cluster_name(cluster.as_str())
            .principal_arn(principal.to_string())
            .set_username(username.map(str::to_owned))
            .set_kubernetes_groups(Some(groups.iter().cloned().collect()));
        self.call(
            Call::UpdateAccessEntry,
            &self.entry_of(cluster, principal),
            request.send(),
        )
        .await?;
        Ok(())
    }

    /// Puts tags on an entry; others stay. Send the full set of ours: the provisioner may tag only with the hub's.
    ///
    /// # Errors
    /// When EKS refuses, or the entry is gone.
    pub async fn tag_access_entry(&self, entry_arn: &str, tags: &Tags) -> Result<(), AwsError> {
        let request = self
            .eks
            .tag_resource()
            .resource_arn(entry_arn)
            .set_tags(Some(tags.clone().into_iter().collect()));
        self.call(Call::TagAccessEntry, entry_arn, request.send()).await?;
        Ok(())
    }

    /// Deletes an entry with its associations. That it is gone already is no error.
    ///
    /// # Errors
    /// When EKS refuses.
    pub async fn delete_access_entry(&self, cluster: &ClusterName, principal: &RoleArn) -> Result<(), AwsError> {
        let request = self
            .eks
            .delete_access_entry()
            .cluster_name(cluster.as_str())
            .principal_arn(principal.to_string());
        let answer = self
            .call(
                Call::DeleteAccessEntry,
                &self.entry_of(cluster, principal),
                request.send(),
            )
            .await;
        absent(answer).map(drop)
    }

    /// Associates an access policy with an entry.
    ///
    /// # Errors
    /// [`ErrorKind::EntryNotVisible`] while EKS does not show a new entry yet, and others.
    pub async fn associate(
        &self,
        cluster: &ClusterName,
        principal: &RoleArn,
        policy: &AccessPolicyArn,
        scope: &AccessScope,
    ) -> Result<(), AwsError> {
        let request = self
            .eks
            .associate_access_policy()
            .cluster_name(cluster.as_str())
            .principal_arn(principal.to_string())
            .policy_arn(policy.as_str())
            .access_scope(sdk_scope(scope));
        let resource = format!("{} for {}", policy.name(), self.entry_of(cluster, principal));
        self.call(Call::AssociateAccessPolicy, &resource, request.send())
            .await?;
        Ok(())
    }

    /// Gives an association another scope, without a moment in which the entry lacks the policy: EKS takes a second
    /// association as the new scope (EKS user guide, "Associate access policies with access entries"). Gives whether it
    /// shows after some looks, a second apart.
    ///
    /// # Errors
    /// When EKS refuses, or the entry is gone.
    pub async fn rescope(
        &self,
        cluster: &ClusterName,
        principal: &RoleArn,
        policy: &AccessPolicyArn,
        scope: &AccessScope,
    ) -> Result<bool, AwsError> {
        self.associate(cluster, principal, policy, scope).await?;
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let found = self.associations(cluster, principal).await?;
            if found.as_ref().and_then(|found| found.get(policy)) == Some(scope) {
                return Ok(true);
            }
        }
        tracing::warn!(%cluster, %principal, %policy, "the new scope does not show yet");
        Ok(false)
    }

    /// Takes an access policy from an entry. That it is gone already is no error.
    ///
    /// # Errors
    /// When EKS refuses.
    pub async fn disassociate(
        &self,
        cluster: &ClusterName,
        principal: &RoleArn,
        policy: &AccessPolicyArn,
    ) -> Result<(), AwsError> {
        let request = self
            .eks
            .disassociate_access_policy()
            .cluster_name(cluster.as_str())
            .principal_arn(principal.to_string())
            .policy_arn(policy.as_str());
        let resource = format!("{} for {}", policy.name(), self.entry_of(cluster, principal));
        absent(
            self.call(Call::DisassociateAccessPolicy, &resource, request.send())
                .await,
        )
        .map(drop)
    }

    pub(super) fn cluster_arn(&self, name: &ClusterName) -> String {
        let (account, region) = (self.id.clone(), self.region.clone());
        ClusterArn {
            region,
            account,
            name: name.clone(),
        }
        .to_string()
    }

    pub(super) fn entry_of(&self, cluster: &ClusterName, principal: &RoleArn) -> String {
        format!("the access entry of {principal} on {}", self.cluster_arn(cluster))
    }
}

/// `None` for exactly the two codes that say that it is not there.
pub(super) fn absent<T>(answer: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::ClusterNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn cluster(from: types::Cluster) -> Cluster {
    let mode = from.access_config.and_then(|config| config.authentication_mode);
    Cluster {
        arn: from.arn.unwrap_or_default(),
        state: from.status.as_ref().map_or(ClusterState::Unknown, state),
        endpoint: from.endpoint.filter(|endpoint| !endpoint.is_empty()),
        certificate_authority: from
            .certificate_authority
            .and_then(|ca| ca.data)
            .filter(|data| !data.is_empty()),
        version: from.version,
        issuer: from
            .identity
            .and_then(|identity| identity.oidc)
            .and_then(|oidc| oidc.issuer),
        authentication_mode: match mode.as_ref().map(types::AuthenticationMode::as_str) {
            Some("API") => AuthenticationMode::Api,
            Some("API_AND_CONFIG_MAP") => AuthenticationMode::ApiAndConfigMap,
            // What EKS does where nothing is said (EKS API, `CreateAccessConfigRequest`).
            _ => AuthenticationMode::ConfigMap,
        },
        public_endpoint: from
            .resources_vpc_config
            .is_none_or(|network| network.endpoint_public_access),
        connected: from.connector_config.is_some(),
        outpost_id: from.id.filter(|id| !id.is_empty()),
    }
}

fn state(from: &ClusterStatus) -> ClusterState {
    match from.as_str() {
        "ACTIVE" => ClusterState::Active,
        "CREATING" => ClusterState::Creating,
        "DELETING" => ClusterState::Deleting,
        "FAILED" => ClusterState::Failed,
        "PENDING" => ClusterState::Pending,
        "UPDATING" => ClusterState::Updating,
        _ => ClusterState::Unknown,
    }
}

pub(super) fn access_entry(from: types::AccessEntry) -> AccessEntry {
    AccessEntry {
        arn: from.access_entry_arn.unwrap_or_default(),
        principal: from.principal_arn.unwrap_or_default(),
        kind: from.r#type.unwrap_or_default(),
        username: from.username,
        groups: from.kubernetes_groups.unwrap_or_default().into_iter().collect(),
        created: from.created_at.map(|time| time.secs()),
        tags: from.tags.unwrap_or_default().into_iter().collect(),
    }
}

fn association(from: types::AssociatedAccessPolicy) -> Option<(AccessPolicyArn, AccessScope)> {
    let scope = from.access_scope?;
    let scope = if scope.r#type? == AccessScopeType::Cluster {
        AccessScope::Cluster
    } else {
        // A kind of scope that is not known yet is told as namespaces that nobody asked for, so that it is changed.
        AccessScope::Namespaces(scope.namespaces.unwrap_or_default().into_iter().collect())
    };
    Some((AccessPolicyArn::from_aws(&from.policy_arn?), scope))
}

fn sdk_scope(scope: &AccessScope) -> types::AccessScope {
    let builder = types::AccessScope::builder();
    match scope {
        AccessScope::Cluster => builder.r#type(AccessScopeType::Cluster),
        AccessScope::Namespaces(namespaces) => builder
            .r#type(AccessScopeType::Namespace)
            .set_namespaces(Some(namespaces.iter().cloned().collect())),
    }
    .build()
}
