//! A manifest of a file over what is stored under its name, as applying it would leave that. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::{
    api::{ManagedCluster, ManagementRole, fixed::Fixed},
    managed_cluster::{management::unparsable, recorded},
    policy::shown,
};

/// Why the API server refuses a file whose `spec` is laid over the one that stands: it changes what never changes. What of
/// the one that stands cannot be read is held against nothing.
pub(super) fn refused(fixed: &[Fixed], stands: &Value, file: &Value) -> Option<String> {
    let (mut changes, mut answers) = (Vec::new(), Vec::new());
    for Fixed { field, answer } in fixed {
        let at = format!("/{}", field.replace('.', "/"));
        let above = at.rsplit_once('/').map_or("", |(above, _)| above);
        if !stands.pointer(above).is_some_and(Value::is_object) {
            continue;
        }
        let (is, says) = (stands.pointer(&at), file.pointer(&at));
        if is == says {
            continue;
        }
        let (is, says) = (in_words(is), in_words(says));
        changes.push(format!("spec.{field} is {is}, and the file says {says}"));
        if !answers.contains(answer) {
            answers.push(*answer);
        }
    }
    (!changes.is_empty()).then(|| {
        format!(
            "the API server refuses this change, so nothing comes of it: {}. {}",
            changes.join("; "),
            answers.join("; ")
        )
    })
}

fn in_words(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| shown(&value.to_string()))
}

/// The metadata: what the file says counts, and what the API server keeps stays.
pub(super) fn metadata(file: ObjectMeta, live: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        annotations: over(live.annotations, file.annotations),
        labels: over(live.labels, file.labels),
        ..live
    }
}

fn over(
    live: Option<BTreeMap<String, String>>,
    file: Option<BTreeMap<String, String>>,
) -> Option<BTreeMap<String, String>> {
    let mut all = live.unwrap_or_default();
    all.extend(file.unwrap_or_default());
    (!all.is_empty()).then_some(all)
}

/// A `ManagementRole` over one that cannot be read.
///
/// # Errors
/// What of the stored one nobody can tell.
pub(super) fn role(mut file: ManagementRole, stored: &Value) -> Result<ManagementRole, String> {
    file.status = Some(unparsable::recorded(stored.get("status"))?);
    file.metadata = metadata(file.metadata, stored_metadata(stored)?);
    Ok(file)
}

/// A `ManagedCluster` over one that cannot be read.
///
/// # Errors
/// What of the stored one nobody can tell.
pub(super) fn cluster(mut file: ManagedCluster, stored: &Value) -> Result<ManagedCluster, String> {
    file.status = Some(recorded(stored.get("status"))?);
    file.metadata = metadata(file.metadata, stored_metadata(stored)?);
    Ok(file)
}

fn stored_metadata(stored: &Value) -> Result<ObjectMeta, String> {
    let metadata = stored.get("metadata").cloned().unwrap_or_default();
    serde_json::from_value(metadata).map_err(|error| format!("metadata: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(kind: &str, status: &Value) -> Value {
        json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": kind,
            "metadata": {
                "name": "prod", "uid": "uid-prod", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"],
                "annotations": {"of-live": "1", "both": "live"},
            },
            "spec": 7, "status": status,
        })
    }

    fn file<K: serde::de::DeserializeOwned>(kind: &str, spec: &Value) -> K {
        let metadata = json!({
            "name": "prod", "annotations": {"both": "file", "of-file": "2"}, "labels": {"team": "a"},
        });
        let object = json!({"apiVersion": "mooring.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    fn is_laid(metadata: &ObjectMeta) {
        assert_eq!(metadata.uid.as_deref(), Some("uid-prod"));
        assert!(metadata.deletion_timestamp.is_some());
        assert_eq!(metadata.finalizers, Some(vec!["f".to_owned()]));
        let annotations = json!({"of-live": "1", "both": "file", "of-file": "2"});
        assert_eq!(json!(metadata.annotations), annotations);
        assert_eq!(json!(metadata.labels), json!({"team": "a"}));
    }

    #[test]
    fn a_cluster_over_one_that_cannot_be_read_is_that_one_still() {
        let manifest = || {
            let spec = json!({
                "accountId": "222222222222", "region": "eu-west-1", "access": {"kubernetesGroups": ["a"]},
            });
            file::<ManagedCluster>("ManagedCluster", &spec)
        };
        let status = json!({"conditions": 7, "deployerRole": {"arn": "arn:r", "id": "AROAR"}, "secret": "cluster-x"});
        let laid = cluster(manifest(), &stored("ManagedCluster", &status)).unwrap();
        is_laid(&laid.metadata);
        assert_eq!(laid.spec.account_id, "222222222222");
        let status = laid.status.unwrap();
        assert_eq!(status.deployer_role.unwrap().id, "AROAR");
        assert_eq!(status.secret.as_deref(), Some("cluster-x"));
        let garbled = cluster(manifest(), &stored("ManagedCluster", &json!({"deployerRole": 7})));
        assert!(garbled.unwrap_err().starts_with("status.deployerRole: "));
    }

    #[test]
    fn a_management_role_over_one_that_cannot_be_read_is_that_one_still() {
        let spec = json!({"cluster": {"name": "hub", "region": "eu-west-1"}, "argocdNamespace": "cd", "allow": []});
        let status = json!({"role": {"arn": "arn:r", "id": "AROAR"}, "retained": ["arn:d"], "conditions": 7});
        let file = file::<ManagementRole>("ManagementRole", &spec);
        let laid = role(file, &stored("ManagementRole", &status)).unwrap();
        is_laid(&laid.metadata);
        let status = laid.status.unwrap();
        assert_eq!(status.role.unwrap().id, "AROAR");
        assert_eq!(status.retained, ["arn:d"]);
    }
}
