//! What the API server would refuse of a manifest: what a definition says, held against it before anybody applies it. Pure.

use std::sync::LazyLock;

use kube::CustomResourceExt;
use regex_lite::Regex;
use serde_json::Value;

use crate::api::{ManagedCluster, ManagementRole};

static MANAGED_CLUSTER: LazyLock<Value> = LazyLock::new(schema::<ManagedCluster>);
static MANAGEMENT_ROLE: LazyLock<Value> = LazyLock::new(schema::<ManagementRole>);

fn schema<K: CustomResourceExt>() -> Value {
    let definition = serde_json::to_value(K::crd()).unwrap_or_default();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema");
    schema.cloned().unwrap_or_default()
}

/// What the definition of a manifest refuses of it, each in the definition's words and with what to do about it. Rules that
/// weigh several fields against each other are left to the API server, but for the one of `argocd.namespaces`.
pub(in crate::commands) fn refused(manifest: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let schema = if manifest["kind"] == "ManagementRole" {
        &*MANAGEMENT_ROLE
    } else {
        &*MANAGED_CLUSTER
    };
    let name = manifest.pointer("/metadata/name").and_then(Value::as_str);
    if let Some(name) = name {
        let broken = rules(schema).filter(|(rule, _)| fails(rule, "self.metadata.name", name));
        all.extend(broken.map(|(_, why)| format!("metadata.name is {name:?}, and {why}")));
    }
    against(&manifest["spec"], &schema["properties"]["spec"], "spec", &mut all);
    if held_by_patterns(&manifest["spec"]) {
        all.push(
            "every access policy is held to namespaces, some by a pattern, which Argo CD does not know: say in spec.argocd.namespaces which it means".to_owned(),
        );
    }
    all
}

/// Whether the definition lets a spec name a label (`labels`) or an annotation (`annotations`) of the cluster Secret. Those
/// that it does not are words of its rules.
pub(in crate::commands) fn may_be_named(field: &str, key: &str) -> bool {
    let argocd = &MANAGED_CLUSTER["properties"]["spec"]["properties"]["argocd"]["properties"];
    let named = format!("'{key}'");
    let mut lists = rules(&argocd[field]).filter_map(|(rule, _)| rule.split_once("k in [")?.1.split_once(']'));
    !key.starts_with("mooring.dev/") && !lists.any(|(list, _)| list.split(", ").any(|word| word == named))
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

/// Holds a value against the lengths and the rules of its schema, and what is in it.
fn against(value: &Value, schema: &Value, path: &str, all: &mut Vec<String>) {
    let mut hold = |limit: &str, length: usize, what: &str| {
        if let Some(most) = schema[limit].as_u64().filter(|most| length as u64 > *most) {
            all.push(format!("{path} has {length} {what}, and the API server takes {most}"));
        }
    };
    match value {
        Value::String(text) => hold("maxLength", text.chars().count(), "characters"),
        Value::Array(members) => hold("maxItems", members.len(), "members"),
        Value::Object(members) => hold("maxProperties", members.len(), "members"),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    for (rule, why) in rules(schema) {
        let broken = breaking(rule, value).into_iter();
        all.extend(broken.map(|by| format!("{path} has {by:?}, and {why}{}", instead(path))));
    }
    match value {
        Value::Array(members) => {
            for (number, member) in members.iter().enumerate() {
                against(member, &schema["items"], &format!("{path}[{number}]"), all);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let named = schema["properties"].get(key);
                let of = named.unwrap_or_else(|| &schema["additionalProperties"]);
                against(member, of, &format!("{path}.{key}"), all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The rules of a schema, each with what is said of what breaks it.
fn rules(schema: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    all.filter_map(|rule| Some((rule["rule"].as_str()?, rule["message"].as_str()?)))
}

/// What to do about a value that is as the cluster Secret has it.
fn instead(path: &str) -> &'static str {
    match path {
        "spec.argocd.name" => {
            ". Give the cluster another name in its Secret first, and in the Applications that name it"
        }
        "spec.argocd.project" => ". Name an AppProject in the Secret's key project first",
        "spec.argocd.namespaces" => ". List in the Secret's key namespaces those that it means",
        _ => "",
    }
}

/// What breaks a rule (CEL): the text itself, or those of a list. Of a rule that is made of parts, those parts are weighed that
/// `fails` knows; one of alternatives is left to the API server.
fn breaking<'a>(rule: &str, value: &'a Value) -> Vec<&'a str> {
    if rule.contains("||") {
        return Vec::new();
    }
    let each = rule.strip_prefix("self.all(").and_then(|rule| rule.strip_suffix(')'));
    let (name, rule) = each.and_then(|each| each.split_once(", ")).unwrap_or(("self", rule));
    let breaks = |text: &&str| rule.split(" && ").any(|part| fails(part, name, text));
    let members = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    let whole = value.as_str().filter(|_| name == "self");
    members.filter(|_| name != "self").chain(whole).filter(breaks).collect()
}

/// Whether a text, which the rule calls `name`, fails one part of a rule.
fn fails(part: &str, name: &str, text: &str) -> bool {
    let quoted = |before: &str, after: &str| {
        let inner = part.strip_prefix(before)?.strip_suffix(after)?;
        (!inner.contains('\'')).then_some(inner)
    };
    let size = |sign: &str| {
        part.strip_prefix(&format!("size({name}) {sign} "))?
            .parse::<usize>()
            .ok()
    };
    let length = text.chars().count();
    quoted(&format!("{name}.matches('"), "')").is_some_and(|pattern| !fits(pattern, text))
        || quoted(&format!("!{name}.matches('"), "')").is_some_and(|pattern| fits(pattern, text))
        || quoted(&format!("!{name}.startsWith('"), "')").is_some_and(|start| text.starts_with(start))
        || quoted(&format!("!{name}.contains('"), "')").is_some_and(|word| text.contains(word))
        || quoted(&format!("{name} != '"), "'").is_some_and(|word| text == word)
        || size(">").is_some_and(|least| length <= least)
        || size(">=").is_some_and(|least| length < least)
        || size("<=").is_some_and(|most| length > most)
}

fn fits(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
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

    fn argocd(says: &Value) -> Vec<String> {
        refused(&json!({"kind": "ManagedCluster", "spec": {"argocd": says}}))
    }

    #[test]
    fn a_name_that_no_object_may_have_is_told() {
        for name in ["prod eu", "prod(eu)", "prod\n", "-prod", "prod.", "", &"a".repeat(254)] {
            let told = argocd(&json!({"name": name}));
            assert!(
                told.len() == 1 && told[0].contains("argocd.name is letters, digits and the characters"),
                "{name:?}: {told:?}"
            );
            assert!(told[0].ends_with("in the Applications that name it"), "{told:?}");
        }
        for name in ["prod", "a", "Prod_1.eu/@x:y+z-9", &"a".repeat(253)] {
            assert_eq!(argocd(&json!({"name": name})), Vec::<String>::new(), "{name:?}");
        }
        let told = argocd(&json!({"name": "in-cluster"}));
        assert!(
            told.len() == 1 && told[0].contains("Argo CD's own name for the cluster it runs on"),
            "{told:?}"
        );
        let told = argocd(&json!({"name": "prod", "project": "Team A", "namespaces": ["a", "b.c", "D"]}));
        assert_eq!(told.len(), 3, "{told:?}");
        for (told, value) in told.iter().zip(["\"b.c\"", "\"D\"", "\"Team A\""]) {
            assert!(told.contains(value), "{told}");
        }
    }

    #[test]
    fn what_argo_cd_or_mooring_writes_is_not_named() {
        for (field, key, may) in [
            ("labels", "argocd.argoproj.io/secret-type", false),
            ("labels", "app.kubernetes.io/instance", false),
            ("labels", "argocd.argoproj.io/auto-label-cluster-info", true),
            ("labels", "managed-by", true),
            ("annotations", "managed-by", false),
            ("annotations", "kubectl.kubernetes.io/last-applied-configuration", false),
            ("annotations", "argocd.argoproj.io/secret-type", true),
            ("annotations", "mooring.dev/uid", false),
            ("labels", "mooring.dev/uid", false),
        ] {
            assert_eq!(may_be_named(field, key), may, "{field} {key}");
        }
    }

    #[test]
    fn a_group_or_an_external_id_that_no_object_may_have_is_told() {
        let cluster = |group: &str| {
            let access = json!({"kubernetesGroups": [group]});
            refused(&json!({"kind": "ManagedCluster", "spec": {"access": access}}))
        };
        for group in ["", "system:masters", "eks:x", &"g".repeat(129)] {
            assert_eq!(cluster(group).len(), 1, "{group}: {:?}", cluster(group));
        }
        for group in ["team-a", "a$b?", &"g".repeat(128)] {
            assert_eq!(cluster(group), Vec::<String>::new(), "{group}");
        }
        let role = |spec: Value| refused(&json!({"kind": "ManagementRole", "metadata": {"name": "a"}, "spec": spec}));
        for group in ["a$b", "a?", "system:x", ""] {
            let told = role(json!({"allow": [{"kubernetesGroups": [group]}]}));
            assert_eq!(told.len(), 1, "{group}: {told:?}");
        }
        for id in ["", "x", "*", "${aws:username}"] {
            let told = role(json!({"provisioner": {"externalId": id}}));
            assert_eq!(told.len(), 1, "{id}: {told:?}");
        }
        let well = json!({"allow": [{"kubernetesGroups": ["team-*"]}], "provisioner": {"externalId": "a1"}});
        assert_eq!(role(well), Vec::<String>::new());
        for name in ["a.b", "A", &"a".repeat(64)] {
            let told = refused(&json!({"kind": "ManagementRole", "metadata": {"name": name}, "spec": {}}));
            assert!(
                told.len() == 1 && told[0].starts_with("metadata.name is"),
                "{name}: {told:?}"
            );
        }
    }

    #[test]
    fn the_rules_of_what_a_secret_says_are_read_from_the_definition() {
        let argocd = &MANAGED_CLUSTER["properties"]["spec"]["properties"]["argocd"]["properties"];
        for (field, wrong) in [
            ("name", json!("a b")),
            ("name", json!("in-cluster")),
            ("project", json!("A")),
            ("namespaces", json!(["A"])),
        ] {
            let rules = argocd[field]["x-kubernetes-validations"].as_array().unwrap();
            let rules = rules.iter().filter_map(|rule| rule["rule"].as_str());
            let broken: Vec<&str> = rules.filter(|rule| !breaking(rule, &wrong).is_empty()).collect();
            assert_eq!(broken.len(), 1, "{field} {wrong}: {broken:?}");
        }
    }
}
