//! The steps that keep the cluster Secret, and what stands in its way.

use std::collections::BTreeSet;

use crate::{argocd::ClusterSecret, domain::eks::ClusterState};

use super::Memory;
use crate::managed_cluster::{
    blocked::Blocked,
    desired::Desired,
    observe::Secrets,
    step::{Plan, Step},
};

pub(super) fn plan_secret(plan: &mut Plan, desired: &Desired, secrets: &Secrets, memory: &Memory<'_>) {
    let wanted = match &desired.secret {
        None => {
            return plan.blocked.push(Blocked::ClusterNotActive {
                state: ClusterState::Creating,
            });
        }
        Some(Err(why)) => return plan.blocked.push(Blocked::UnusableConnection { why: why.to_string() }),
        Some(Ok(wanted)) => wanted,
    };
    let server = wanted.data.get("server").map(String::as_str).unwrap_or_default();
    let name = wanted.data.get("name").map(String::as_str).unwrap_or_default();
    let duplicates: Vec<String> = secrets
        .others
        .iter()
        .filter(|other| !other.deleting && (other.server == server || other.cluster_name == name))
        .map(|other| {
            let shared = if other.server == server { "server" } else { "name" };
            format!("{} has the same {shared}", other.name)
        })
        .chain(
            secrets
                .claimed
                .iter()
                .map(|other| format!("that of ManagedCluster {other} has the same server or name")),
        )
        .collect();
    if !duplicates.is_empty() {
        return plan.blocked.push(Blocked::DuplicateCluster { secrets: duplicates });
    }
    let Some(primary) = primary(secrets, &wanted.name, memory.recorded_secret) else {
        if let Some(name) = &secrets.name_taken {
            return plan.blocked.push(Blocked::SecretNotOurs { name: name.clone() });
        }
        // Written to now, it would go all the same as soon as its finalizers are off.
        if secrets.own.iter().any(|own| own.name == wanted.name) {
            return plan.blocked.push(Blocked::SecretGoing {
                name: wanted.name.clone(),
            });
        }
        return plan.steps.push(Step::ApplySecret {
            secret: wanted.clone(),
            uid: None,
            changed: BTreeSet::new(),
        });
    };
    if let Some(difference) = primary.difference(wanted) {
        if !difference.null.is_empty() {
            plan.steps.push(Step::NullSecretKeys {
                name: primary.name.clone(),
                resource_version: primary.resource_version.clone(),
                keys: difference.null,
            });
        }
        if !difference.changed.is_empty() {
            // A Secret is never renamed: Argo CD shards by its UID.
            let mut secret = wanted.clone();
            secret.name.clone_from(&primary.name);
            plan.steps.push(Step::ApplySecret {
                secret,
                uid: Some(primary.uid.clone()),
                changed: difference.changed,
            });
        }
    }
    for copy in standing_secrets(secrets).filter(|own| own.name != primary.name) {
        plan.steps.push(Step::DeleteSecret {
            name: copy.name.clone(),
            uid: copy.uid.clone(),
        });
    }
}

fn standing_secrets(secrets: &Secrets) -> impl Iterator<Item = &ClusterSecret> {
    secrets.own.iter().filter(|own| !own.deleting)
}

/// Of the Secrets that bear our annotation, the one that is kept: Argo CD shards by its UID, so it stays the same one.
#[must_use]
pub fn primary<'a>(secrets: &'a Secrets, wanted_name: &str, recorded: Option<&str>) -> Option<&'a ClusterSecret> {
    let named = |name: &str| standing_secrets(secrets).find(|own| own.name == name);
    recorded
        .and_then(named)
        .or_else(|| named(wanted_name))
        .or_else(|| standing_secrets(secrets).next())
}
