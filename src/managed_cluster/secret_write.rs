//! The writes of a cluster Secret: the whole of it, and what a server-side apply cannot take away since others set it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Map, Value, json};

use crate::{
    argocd::{OPAQUE, SECRET_TYPE, WantedSecret},
    kubernetes::{
        KubernetesError,
        objects::{self, FIELD_MANAGER},
    },
};

/// One atomic server-side apply: a generator of an ApplicationSet must never see half of a Secret.
///
/// The Secrets were looked at before the steps in AWS, which take seconds: what somebody has made since is not ours. One
/// that was made again has another UID, which the API server refuses; where there was none, one look more is taken. Gives
/// the UID that it has.
pub(super) async fn apply_secret(
    api: &Api<Secret>,
    secret: &WantedSecret,
    uid: Option<&str>,
) -> Result<Option<String>, KubernetesError> {
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
        "type": OPAQUE,
        "data": data,
    });
    if let Some(uid) = uid {
        object["metadata"]["uid"] = json!(uid);
    }
    let written = objects::apply(api, &secret.name, &object).await?;
    Ok(written.metadata.uid)
}

/// Takes keys out of `data`, whoever set them, if the Secret is still the one that was looked at.
pub(super) async fn null_keys(
    api: &Api<Secret>,
    name: &str,
    resource_version: &str,
    keys: &BTreeSet<String>,
) -> Result<(), KubernetesError> {
    let metadata = json!({"resourceVersion": resource_version, "labels": mark()});
    let patch = json!({"metadata": metadata, "data": none(keys)});
    objects::merge(api, name, FIELD_MANAGER, &patch).await.map(|_| ())
}

/// Takes labels off, whoever set them, if the Secret is still the one that was looked at: by its UID and its
/// resourceVersion.
pub(super) async fn drop_labels(
    api: &Api<Secret>,
    name: &str,
    (uid, resource_version): (&str, &str),
    labels: &BTreeSet<String>,
) -> Result<(), KubernetesError> {
    let patch = json!({"metadata": {"uid": uid, "resourceVersion": resource_version, "labels": none(labels)}});
    objects::merge(api, name, FIELD_MANAGER, &patch).await.map(|_| ())
}

/// Takes all `ownerReferences` off the Secret with this UID. None of them is ours.
pub(super) async fn drop_owners(api: &Api<Secret>, name: &str, uid: &str) -> Result<(), KubernetesError> {
    let patch = json!({"metadata": {"uid": uid, "ownerReferences": null, "labels": mark()}});
    objects::merge(api, name, FIELD_MANAGER, &patch).await.map(|_| ())
}

/// Argo CD's mark of a cluster Secret. Somebody may have taken it off as well, and then the admission policy lets the
/// operator write nothing else to the Secret.
fn mark() -> Value {
    json!({ SECRET_TYPE.0: SECRET_TYPE.1 })
}

fn none(keys: &BTreeSet<String>) -> Map<String, Value> {
    keys.iter().map(|key| (key.clone(), Value::Null)).collect()
}
