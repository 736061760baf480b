//! The `ConfigMap` `kube-system/aws-auth` of a cluster, which its authenticator watches.
//!
//! Source: `pkg/mapper/configmap` of kubernetes-sigs/aws-iam-authenticator: the map is watched, one that goes maps nobody,
//! and of one that cannot be read as a whole only what is good counts. Roles alone are known here (`mapRoles`).

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::StageError;
use crate::{
    aws::{FakeAws, RoleMapping},
    control_plane::ControlPlane,
    stage::ClusterSpec,
};

/// An item of `mapRoles`.
#[derive(Deserialize)]
struct Item {
    rolearn: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

/// A watch that ends when this is dropped.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Has a cluster's authenticator heed the map on its API server from now on.
///
/// # Errors
/// When the client cannot be made.
pub(super) fn watch(aws: &FakeAws, cluster: &ClusterSpec, server: &ControlPlane) -> Result<Watch, StageError> {
    let api = Api::<ConfigMap>::namespaced(server.admin()?, "kube-system");
    let heeds = aws.heeds_aws_auth(&cluster.account, &cluster.region, &cluster.name);
    Ok(Watch(tokio::spawn(async move {
        let seen = watch_object(api, "aws-auth").default_backoff();
        pin_mut!(seen);
        while let Some(seen) = seen.next().await {
            match seen {
                Ok(map) => heeds(map.as_ref().map(mappings).unwrap_or_default()),
                Err(error) => tracing::debug!(%error, "the watch of aws-auth goes on"),
            }
        }
    })))
}

fn mappings(map: &ConfigMap) -> Vec<RoleMapping> {
    let text = map.data.iter().flatten().find(|(key, _)| key.as_str() == "mapRoles");
    let read = text.map(|(_, text)| serde_saphyr::from_str::<Vec<Item>>(text));
    let items = match read {
        None => Vec::new(),
        Some(Ok(items)) => items,
        Some(Err(error)) => {
            tracing::warn!(%error, "mapRoles of aws-auth cannot be read, and maps nobody");
            Vec::new()
        }
    };
    let mapping = |item: Item| RoleMapping {
        role_arn: item.rolearn,
        username: item.username,
        groups: item.groups,
    };
    items.into_iter().map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn read(data: &serde_json::Value) -> Vec<RoleMapping> {
        mappings(&from_value(json!({"data": data})).unwrap())
    }

    #[test]
    fn roles_are_read_as_people_write_them() {
        let text =
            "- rolearn: arn:aws:iam::222222222222:role/argocd\n  username: argocd\n  groups:\n  - system:masters\n";
        let argocd = RoleMapping {
            role_arn: "arn:aws:iam::222222222222:role/argocd".to_owned(),
            username: "argocd".to_owned(),
            groups: vec!["system:masters".to_owned()],
        };
        assert_eq!(read(&json!({"mapRoles": text, "mapUsers": "[]"})), [argocd]);
    }

    #[test]
    fn what_is_no_list_of_roles_maps_nobody() {
        assert_eq!(read(&json!({"mapRoles": "all of them"})), []);
        assert_eq!(read(&json!({})), []);
    }
}
