//! A workload of Argo CD's that started before its service account named the role, and what a cluster would do when it is
//! restarted: no controller runs that makes pods, nor a webhook that gives them the role.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tokio::task::JoinHandle;

use super::ground::LOOK;
use crate::{
    binding::{RESTARTED_AT, SERVER, make_account, make_workload, named_role},
    support::{NAMESPACE, World},
};

const BEFORE: &str = "server-before";
const AFTER: &str = "server-after";

/// Runs until it is dropped.
pub(super) struct Rollouts(JoinHandle<()>);

impl Drop for Rollouts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn at_once() -> DeleteParams {
    DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    }
}

/// The pod, with the role in its environment or without.
fn pod(name: &str, role: Option<&str>) -> Pod {
    let env = role.map_or(json!([]), |role| json!([{"name": "AWS_ROLE_ARN", "value": role}]));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": SERVER}},
        "spec": {
            "serviceAccountName": SERVER, "automountServiceAccountToken": false,
            "containers": [{"name": "argocd", "image": "argocd", "env": env}],
        },
    });
    serde_json::from_value(pod).unwrap()
}

fn pods(world: &World) -> Api<Pod> {
    Api::namespaced(world.stage.client().unwrap(), NAMESPACE)
}

fn deployments(world: &World) -> Api<Deployment> {
    Api::namespaced(world.stage.client().unwrap(), NAMESPACE)
}

/// Makes the service account, and from here on a pod anew, with the role, whenever its workload is restarted.
pub(super) async fn watched(world: &World) -> Rollouts {
    make_account(world, SERVER).await;
    let (deployments, pods) = (deployments(world), pods(world));
    let role = world.hub().management_role_arn(None).to_string();
    Rollouts(tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let found = deployments.get_opt(SERVER).await;
            let restarted = found.ok().flatten().is_some_and(|found| restarted(&found));
            if restarted && pods.delete(BEFORE, &at_once()).await.is_ok() {
                let made = pods.create(&PostParams::default(), &pod(AFTER, Some(&role))).await;
                assert!(made.is_ok(), "{made:?}");
            }
        }
    }))
}

fn restarted(deployment: &Deployment) -> bool {
    let template = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
    annotations.is_some_and(|annotations| annotations.contains_key(RESTARTED_AT))
}

/// Makes the workload as it was before anybody restarted it, with its pod.
pub(super) async fn anew(world: &World) {
    let (deployments, pods) = (deployments(world), pods(world));
    for name in [BEFORE, AFTER] {
        let _ = pods.delete(name, &at_once()).await;
    }
    let _ = deployments.delete(SERVER, &DeleteParams::background()).await;
    while deployments.get_opt(SERVER).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    make_workload(world, "Deployment", SERVER, SERVER).await;
    pods.create(&PostParams::default(), &pod(BEFORE, None)).await.unwrap();
}

/// The role that the service account names, and whether the workload was restarted.
pub(super) async fn seen(world: &World) -> (Option<String>, bool) {
    let deployment = deployments(world).get_opt(SERVER).await.unwrap();
    (
        named_role(world, SERVER).await,
        deployment.is_some_and(|found| restarted(&found)),
    )
}
