//! Waiting until the API server serves a kind, and may be asked for it.

use std::{fmt::Debug, time::Duration};

use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;

use super::{
    error::{Failure, KubernetesError, call},
    objects::resource,
};

const PAUSE: Duration = Duration::from_secs(2);

/// Waits until one object of the kind can be listed. Each time that fails, `waiting` is told for what, in words for
/// `/readyz` and the log.
pub async fn served<K>(api: &Api<K>, mut waiting: impl FnMut(String))
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let resource = resource(api);
    let params = ListParams::default().limit(1);
    while let Err(error) = call("list", &resource, api.list_metadata(&params)).await {
        waiting(wait_for(&resource, &error));
        tokio::time::sleep(PAUSE).await;
    }
}

fn wait_for(resource: &str, error: &KubernetesError) -> String {
    match error.failure() {
        Failure::NotFound => {
            format!("the CustomResourceDefinition {resource}, which is not installed: apply the files of crds/")
        }
        Failure::Conflict
        | Failure::Forbidden
        | Failure::Invalid
        | Failure::Throttled
        | Failure::Unreachable
        | Failure::NotLeading
        | Failure::Other => format!("the API server to serve {resource}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    #[tokio::test(start_paused = true)]
    async fn each_failure_is_told_until_the_kind_is_served() {
        let list =
            json!({ "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [] });
        let (client, asked) = answering([refusal(404, "NotFound"), refusal(403, "Forbidden"), (200, list)]);
        let mut told = Vec::new();
        served(&Api::<Deployment>::all(client), |waiting_for| told.push(waiting_for)).await;
        assert_eq!(
            told,
            [
                "the CustomResourceDefinition deployments.apps, which is not installed: apply the files of crds/",
                "the API server to serve deployments.apps: could not list deployments.apps: refused: Forbidden (403); \
                 check, on the cluster that Argo CD runs in, the RBAC of whoever asked, and the admission policy that it names if it names one",
            ]
        );
        assert_eq!(asked.lock().unwrap().len(), 3);
    }
}
