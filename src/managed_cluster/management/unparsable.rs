//! A `ManagementRole` that does not parse: of a later release, say, or stored before a rule was there. What taking away
//! needs of it never changes, or was recorded, and is read by itself. Pure.

use serde_json::{Map, Value};

use crate::api::{ManagementRole, ManagementRoleStatus, recorded};

/// What of a spec names the role, the way into accounts, and where Argo CD is. The rest gives, or is for people.
const NAMES: [&str; 4] = ["cluster", "argocdNamespace", "identity", "provisioner"];

/// Reads what taking away needs, and leaves the rest as if nothing were said: nothing is allowed, and nothing is given.
///
/// # Errors
/// Says which of that cannot be read: then nobody can tell what is ours.
pub fn read(object: &Value) -> Result<ManagementRole, String> {
    let spec = object.get("spec").and_then(Value::as_object);
    let mut kept = Map::new();
    for key in NAMES {
        if let Some(value) = spec.and_then(|spec| spec.get(key)) {
            kept.insert(key.to_owned(), value.clone());
        }
    }
    let name = spec.and_then(|spec| spec.get("role")?.get("name"));
    if let Some(name) = name {
        kept.insert("role".to_owned(), serde_json::json!({ "name": name }));
    }
    kept.insert("allow".to_owned(), Value::Array(Vec::new()));
    let mut readable = object.clone();
    if let Some(readable) = readable.as_object_mut() {
        readable.insert("spec".to_owned(), Value::Object(kept));
        readable.remove("status");
    }
    let mut role: ManagementRole = serde_json::from_value(readable).map_err(|error| format!("spec: {error}"))?;
    role.status = Some(recorded(object.get("status"))?);
    Ok(role)
}

/// Why one that cannot be read gives nothing, and what to do about that.
#[must_use]
pub fn in_words(name: &str, why: &str) -> String {
    format!(
        "ManagementRole {name} cannot be read: {why} (`kubectl describe mgr {name}` says of which field). Have the platform team correct it there: `kubectl edit mgr {name}`"
    )
}

/// What a status of any release recorded.
///
/// # Errors
/// Which part of it, and why.
pub(crate) fn recorded(status: Option<&Value>) -> Result<ManagementRoleStatus, String> {
    recorded::read(status, |status| {
        Ok(ManagementRoleStatus {
            role: recorded::part(status, "role")?,
            retained: recorded::part(status, "retained")?.unwrap_or_default(),
            hub: recorded::part(status, "hub").ok().flatten(),
            conditions: recorded::part(status, "conditions").ok().flatten().unwrap_or_default(),
            assumable: recorded::part(status, "assumable").ok().flatten().unwrap_or_default(),
            ..ManagementRoleStatus::default()
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::IdentityType;

    fn object(spec: &Value, status: &Value) -> Value {
        json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": "default", "uid": "u"},
            "spec": spec, "status": status,
        })
    }

    fn spec() -> Value {
        json!({
            "cluster": {"name": "hub", "region": "eu-west-1"}, "argocdNamespace": "cd",
            "role": {"name": "argocd", "tags": "red"}, "provisioner": {"roleName": "way-in"},
            "allow": "everything", "assumePolicy": "Organization",
        })
    }

    #[test]
    fn what_names_things_is_read_and_nothing_is_allowed() {
        let status = json!({
            "role": {"arn": "arn:r", "id": "AROAR"}, "retained": ["arn:d"], "conditions": 7,
            "hub": {"accountId": "111111111111", "region": "eu-west-1", "name": "hub", "arn": "arn:hub"},
        });
        let read = read(&object(&spec(), &status)).unwrap();
        assert_eq!(read.spec.cluster.name, "hub");
        assert_eq!(read.spec.argocd_namespace, "cd");
        assert_eq!(read.spec.role.name.as_deref(), Some("argocd"));
        assert_eq!(read.spec.provisioner.role_name, "way-in");
        assert_eq!(read.spec.identity.kind, IdentityType::Irsa);
        assert!(read.spec.allow.is_empty() && read.spec.role.tags.is_empty());
        let status = read.status.unwrap();
        assert_eq!(status.role.unwrap().id, "AROAR");
        assert_eq!(status.retained, ["arn:d"]);
        assert_eq!(status.hub.unwrap().account_id, "111111111111");
    }

    #[test]
    fn what_cannot_be_told_is_named_and_never_taken_for_nothing() {
        let with = |key: &str, value: &Value| {
            let mut spec = spec();
            spec[key] = value.clone();
            read(&object(&spec, &Value::Null)).unwrap_err()
        };
        // Whose the role is is not known then.
        assert!(with("identity", &json!({"type": "PodIdentity"})).contains("PodIdentity"));
        assert!(with("cluster", &json!({"name": 7, "region": "eu-west-1"})).starts_with("spec: "));
        let of_status = |status: &Value| read(&object(&spec(), status)).unwrap_err();
        assert!(of_status(&json!({"role": "argocd"})).starts_with("status.role: "));
        assert!(of_status(&json!({"retained": 1})).starts_with("status.retained: "));
    }
}
