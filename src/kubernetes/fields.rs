//! Who set which field of an object, as the API server records it in `metadata.managedFields`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A field manager, in one of the two ways in which it writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    /// The manager's name, as in `kubectl-annotate`.
    pub manager: String,
    /// Whether it writes by server-side apply: what a manager applies and what it updates are told apart.
    pub applies: bool,
    /// When the set of fields that it owns last changed.
    pub at: Option<Timestamp>,
}

/// Everybody who owns the field at `path`, each part as it stands in the object.
#[must_use]
pub fn owners(meta: &ObjectMeta, path: &[&str]) -> Vec<Writer> {
    entries(meta)
        .filter(|(_, fields)| {
            let mut at = Some(*fields);
            for part in path {
                at = at.and_then(|fields| fields.get(format!("f:{part}")));
            }
            at.is_some()
        })
        .map(|(writer, _)| writer)
        .collect()
}

/// Everybody who owns anything of the object, its subresources left out.
#[must_use]
pub fn writers(meta: &ObjectMeta) -> Vec<Writer> {
    entries(meta).map(|(writer, _)| writer).collect()
}

fn entries(meta: &ObjectMeta) -> impl Iterator<Item = (Writer, &serde_json::Value)> {
    let all = meta.managed_fields.iter().flatten();
    all.filter(|entry| entry.subresource.as_ref().is_none_or(String::is_empty))
        .filter_map(|entry| {
            let writer = Writer {
                manager: entry.manager.clone().unwrap_or_default(),
                applies: entry.operation.as_deref() == Some("Apply"),
                at: entry.time.as_ref().map(|time| time.0),
            };
            entry.fields_v1.as_ref().map(|fields| (writer, &fields.0))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn owners_are_those_whose_fields_reach_down_to_the_path() {
        let annotation = |key: &str| json!({"f:metadata": {"f:annotations": {".": {}, (format!("f:{key}")): {}}}});
        let meta: ObjectMeta = from_value(json!({"managedFields": [
            {"manager": "ours", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": annotation("example.com/a.b")},
            {"manager": "helm", "operation": "Update", "fieldsV1": annotation("example.com/a.b")},
            {"manager": "other", "operation": "Update", "fieldsV1": annotation("example.com/other")},
            {"manager": "below", "operation": "Update", "subresource": "status", "fieldsV1": annotation("example.com/a.b")},
            {"manager": "nothing", "operation": "Update"},
        ]}))
        .unwrap();
        let found = owners(&meta, &["metadata", "annotations", "example.com/a.b"]);
        let found: Vec<_> = found.iter().map(|w| (w.manager.as_str(), w.applies)).collect();
        assert_eq!(found, [("ours", true), ("helm", false)]);
        assert_eq!(writers(&meta).len(), 3);
        assert_eq!(writers(&meta)[0].at.unwrap().to_string(), "2026-01-01T00:00:00Z");
        assert!(owners(&ObjectMeta::default(), &["metadata"]).is_empty());
    }
}
