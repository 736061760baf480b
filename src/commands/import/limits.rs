//! What the API server would refuse of a manifest that was printed. Pure.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::Value;

use crate::{
    api::{ManagedCluster, ManagementRole},
    domain::name::KubernetesName,
};

static MANAGED_CLUSTER: LazyLock<Value> = LazyLock::new(schema::<ManagedCluster>);
static MANAGEMENT_ROLE: LazyLock<Value> = LazyLock::new(schema::<ManagementRole>);

fn schema<K: CustomResourceExt>() -> Value {
    let definition = serde_json::to_value(K::crd()).unwrap_or_default();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema");
    schema.cloned().unwrap_or_default()
}

/// Where a manifest is longer than its definition takes, and names in it that no object may have; each in words.
pub(super) fn refused(manifest: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let schema = if manifest["kind"] == "ManagementRole" {
        &*MANAGEMENT_ROLE
    } else {
        &*MANAGED_CLUSTER
    };
    too_long(&manifest["spec"], &schema["properties"]["spec"], "spec", &mut all);
    let argocd = &manifest["spec"]["argocd"];
    if let Some(name) = argocd["name"].as_str().filter(|name| !is_argocd_name(name)) {
        all.push(format!(
            "spec.argocd.name {name:?} may have letters, digits and the characters ._/@:+- alone, with a letter or digit at its start and end: give the cluster such a name in its Secret first, and in the Applications that name it"
        ));
    }
    let namespaces = argocd["namespaces"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for name in namespaces.filter(|name| !is_namespace(name)) {
        all.push(format!("spec.argocd.namespaces has {name:?}, which is the name of no namespace: list in the Secret's key namespaces those that it means"));
    }
    if held_by_patterns(&manifest["spec"]) {
        all.push(
            "every access policy is held to namespaces, some by a pattern, which Argo CD does not know: say in spec.argocd.namespaces which it means".to_owned(),
        );
    }
    all
}

/// The rule of a namespace in the definition (RFC 1123, a label).
fn is_namespace(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.') && name.parse::<KubernetesName>().is_ok()
}

/// The rule of `argocd.namespaces` in the definition.
fn held_by_patterns(spec: &Value) -> bool {
    let policies = spec["access"]["policies"].as_array().map_or(&[][..], Vec::as_slice);
    let names = || {
        policies
            .iter()
            .map(|policy| policy["namespaces"].as_array().map_or(&[][..], Vec::as_slice))
    };
    let pattern = |name: &Value| name.as_str().is_some_and(|name| name.contains('*'));
    spec["argocd"]["namespaces"].is_null() && names().all(|names| !names.is_empty()) && names().flatten().any(pattern)
}

/// The rule of `argocd.name` in the definition.
fn is_argocd_name(name: &str) -> bool {
    let ends =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    ends && name.len() <= 253 && name.chars().all(|c| c.is_ascii_alphanumeric() || "._/@:+-".contains(c))
}

fn too_long(value: &Value, schema: &Value, path: &str, all: &mut Vec<String>) {
    let mut hold = |limit: &str, length: usize, what: &str| {
        if let Some(most) = schema[limit].as_u64().filter(|most| length as u64 > *most) {
            all.push(format!("{path} has {length} {what}, and the API server takes {most}"));
        }
    };
    match value {
        Value::String(text) => hold("maxLength", text.chars().count(), "characters"),
        Value::Array(members) => {
            hold("maxItems", members.len(), "members");
            for (number, member) in members.iter().enumerate() {
                too_long(member, &schema["items"], &format!("{path}[{number}]"), all);
            }
        }
        Value::Object(members) => {
            hold("maxProperties", members.len(), "members");
            for (key, member) in members {
                let named = schema["properties"].get(key);
                let of = named.unwrap_or_else(|| &schema["additionalProperties"]);
                too_long(member, of, &format!("{path}.{key}"), all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_longer_than_the_definition_takes_is_told_where_it_stands() {
        let names: Vec<String> = (0..31).map(|n| format!("arn:aws:iam::222222222222:role/{n}")).collect();
        let role = json!({"kind": "ManagementRole", "spec": {"allow": [{"deployerRoles": names}]}});
        let told = refused(&role);
        assert_eq!(
            told,
            ["spec.allow[0].deployerRoles has 31 members, and the API server takes 30"]
        );
        let long = "x".repeat(1025);
        let cluster =
            json!({"kind": "ManagedCluster", "spec": {"argocd": {"name": "prod", "annotations": {"a": long}}}});
        let told = refused(&cluster);
        assert_eq!(
            told,
            ["spec.argocd.annotations.a has 1025 characters, and the API server takes 1024"]
        );
        assert_eq!(
            refused(&json!({"kind": "ManagedCluster", "spec": {}})),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_pattern_that_argo_cd_does_not_know_is_told_where_nothing_else_says_the_namespaces() {
        let cluster = |policies: Value, argocd: Value| json!({"kind": "ManagedCluster", "spec": {"access": {"policies": policies}, "argocd": argocd}});
        let held = json!({"name": "AmazonEKSEditPolicy", "namespaces": ["team-*"]});
        let wide = json!({"name": "AmazonEKSViewPolicy"});
        assert_eq!(refused(&cluster(json!([held]), json!({}))).len(), 1);
        assert_eq!(refused(&cluster(json!([held, wide]), json!({}))), Vec::<String>::new());
        let told = refused(&cluster(json!([wide]), json!({"namespaces": ["team-*", "a"]})));
        assert!(told.len() == 1 && told[0].contains("\"team-*\""), "{told:?}");
        let said = json!({"namespaces": ["team-a"]});
        assert_eq!(refused(&cluster(json!([held]), said)), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_no_object_may_have_is_told() {
        for name in ["prod eu", "prod(eu)", "prod\n", "-prod", "prod.", ""] {
            let cluster = json!({"kind": "ManagedCluster", "spec": {"argocd": {"name": name}}});
            assert_eq!(refused(&cluster).len(), 1, "{name:?}");
        }
        for name in ["prod", "a", "Prod_1.eu/@x:y+z-9"] {
            let cluster = json!({"kind": "ManagedCluster", "spec": {"argocd": {"name": name}}});
            assert_eq!(refused(&cluster), Vec::<String>::new(), "{name:?}");
        }
    }
}
