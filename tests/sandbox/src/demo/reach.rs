//! The scene in which Argo CD gets through: from a token of its own service account to an object on each cluster.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use super::{
    Demo,
    scenes::{ARGOCD, LIMIT, expect, text},
};
use crate::stage::{Destination, StageError, is_ready};

pub(super) const SERVICE_ACCOUNTS: [&str; 3] = [
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-server",
];

/// Argo CD, as far as its identity and its settings go: here its pods are this program. The operator binds them to the
/// role. A hub whose clusters give less than everything has Argo CD pass over what it may not list (Argo CD documentation,
/// "Declarative Setup", "Auto respect RBAC for controller").
pub(super) fn argocd() -> Vec<String> {
    let account = |name: &str| {
        let metadata = json!({"name": name, "namespace": ARGOCD});
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}).to_string()
    };
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": ARGOCD, "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": {"resource.respectRBAC": "normal"},
    });
    let mut all = SERVICE_ACCOUNTS.map(account).to_vec();
    all.push(settings.to_string());
    all
}

/// What the owner of cluster shared-platform does: the access entry there gives a Kubernetes group and no policy, so
/// its rights are the cluster's own RBAC.
pub(crate) fn group_rights() -> Vec<String> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "delivery-pipeline"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "delivery-pipeline"}],
    });
    vec![binding.to_string()]
}

pub(super) async fn reach(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller
        .scene("Argo CD deploys, with nothing but its own service account's token");
    let role = demo.stage.wait("ManagementRole", "default", LIMIT, is_ready).await?;
    let role = text(&role["status"]["role"]["arn"]);
    let pod = demo.stage.pod(ARGOCD, SERVICE_ACCOUNTS[0], &role).await?;
    demo.teller
        .say("service account argocd-application-controller -> management role");
    for (cluster, namespace, writes) in [
        ("hub", "default", true),
        ("prod-eu", "default", true),
        ("platform", "default", true),
        ("tools", "builds", false),
    ] {
        let secret = demo
            .stage
            .cluster_secret(ARGOCD, cluster)
            .await?
            .ok_or_else(|| StageError::new(format!("{cluster} has no cluster Secret")))?;
        let client = Destination::of(&secret)?.client(&demo.stage, &pod)?;
        let wanted = if writes { CREATED } else { LISTED };
        let started = Instant::now();
        // EKS takes a moment to carry an access policy to the cluster.
        let did = loop {
            let did = act(client.clone(), namespace).await?;
            if did == wanted || started.elapsed() > LIMIT {
                break did;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        demo.teller.say(&format!(
            "-> deployer role of {cluster} -> namespace {namespace}: {did}"
        ));
        expect(did == wanted, &format!("{cluster}: {wanted}"))?;
    }
    let other = demo.stage.pod("default", "default", &role).await;
    expect(other.is_err(), "another service account is refused the management role")?;
    demo.teller
        .proved("through to every cluster, with just the access that was written down, and nobody else's token does");
    Ok(())
}

const CREATED: &str = "listed, created and deleted a ConfigMap";
const LISTED: &str = "listed ConfigMaps, and was refused to create one (403)";

async fn act(client: Client, namespace: &str) -> Result<&'static str, StageError> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    match maps.list(&ListParams::default()).await {
        Err(kube::Error::Api(refused)) if refused.code == 403 => return Ok("was refused to list ConfigMaps (403)"),
        listed => listed?,
    };
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "made-by-argo-cd"}}))?;
    match maps.create(&PostParams::default(), &map).await {
        Ok(_) => {
            maps.delete("made-by-argo-cd", &DeleteParams::default()).await?;
            Ok(CREATED)
        }
        Err(kube::Error::Api(refused)) if refused.code == 403 => Ok(LISTED),
        Err(error) => Err(error.into()),
    }
}
