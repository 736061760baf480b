//! The one write of a whole cluster Secret.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use crate::{
    argocd::WantedSecret,
    kubernetes::{KubernetesError, objects},
};

/// One atomic server-side apply: a generator of an ApplicationSet must never see half of a Secret.
///
/// The Secrets were looked at before the steps in AWS, which take seconds: what somebody has made since is not ours. One
/// that was made again has another UID, which the API server refuses; where there was none, one look more is taken.
pub(super) async fn apply_secret(
    api: &Api<Secret>,
    secret: &WantedSecret,
    uid: Option<&str>,
) -> Result<(), KubernetesError> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    if uid.is_none() && objects::get_opt(api, &secret.name).await?.is_some() {
        return Err(KubernetesError::made_meanwhile(format!("Secret {}", secret.name)));
    }
    let data: serde_json::Map<_, _> = secret
        .data
        .iter()
        .map(|(key, value)| (key.clone(), json!(STANDARD.encode(value))))
        .collect();
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret.name, "labels": secret.labels, "annotations": secret.annotations},
        "type": "Opaque",
        "data": data,
    });
    if let Some(uid) = uid {
        object["metadata"]["uid"] = json!(uid);
    }
    objects::apply(api, &secret.name, &object).await.map(|_| ())
}
