//! Every limit of the schemas, found by walking them: what the user reads beyond it, and that its last value passes.

use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};

use crate::{
    common::{Answer, send, server},
    manifests::{Kind, pointer, with, without},
};

/// A property with its path, as in `spec.allow[].accounts`; items of a list end in `[]`, values of a map in `{}`.
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

/// Every node of a schema below the root, the root itself first with an empty path.
pub(crate) fn nodes(schema: &Value) -> Vec<Node> {
    let mut found = vec![Node {
        path: String::new(),
        schema: schema.clone(),
        required: true,
    }];
    let mut next = 0;
    while let Some(node) = found.get(next) {
        let (path, schema) = (node.path.clone(), node.schema.clone());
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            found.push(Node {
                path: format!("{path}.{name}").trim_start_matches('.').to_owned(),
                schema: property.clone(),
                required: required.contains(&json!(name)),
            });
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[key].is_object() {
                found.push(Node {
                    path: format!("{path}{mark}"),
                    schema: schema[key].clone(),
                    required: true,
                });
            }
        }
        next += 1;
    }
    found
}

/// The nodes of the spec.
pub(crate) fn spec_nodes(kind: Kind) -> Vec<Node> {
    let mut nodes = nodes(&kind.schema());
    nodes.retain(|node| node.path.starts_with("spec."));
    nodes
}

/// A full manifest that has this path.
fn full_with(kind: Kind, path: &str) -> Value {
    let at = pointer(path.trim_end_matches("{}"));
    let found = kind.full().into_iter().find(|object| object.pointer(&at).is_some());
    found.unwrap_or_else(|| panic!("no full manifest of {kind:?} sets {path}: set it in manifests.rs"))
}

/// An object to create, and what must come of it: nothing for accepted, or what one of the causes says.
struct Case {
    kind: Kind,
    what: String,
    object: Value,
    refused: Option<String>,
}

/// A list of this many items, none twice, made after the first item of a full manifest.
fn items(path: &str, first: &Value, count: usize) -> Value {
    let item = |index: usize| match first.as_object() {
        // What is allowed has no key and may stand twice.
        Some(_) if path == "spec.allow" => first.clone(),
        Some(_) => with(first, "name", json!(format!("Policy{index}"))),
        None if path.ends_with("accounts") => json!(format!("{index:012}")),
        None if path.ends_with("deployerRoles") => json!(format!("arn:aws:iam::{index:012}:role/argocd")),
        None => json!(format!("x{index}")),
    };
    (0..count).map(item).collect()
}

fn limits(kind: Kind) -> Vec<Case> {
    let mut cases = Vec::new();
    for Node { path, schema, required } in spec_nodes(kind) {
        let full = full_with(kind, &path);
        let mut case = |what: &str, object: Value, refused: Option<String>| {
            cases.push(Case {
                kind,
                what: format!("{kind:?} {path}: {what}"),
                object,
                refused,
            });
        };
        let is_item = path.ends_with("[]") || path.ends_with("{}");
        if required && !is_item {
            let object = without(&full, &path).unwrap();
            case("left out", object, Some("Required value".into()));
        }
        if schema["enum"].is_array() {
            let says = "Unsupported value: \"Wrong\": supported values: ";
            case("not in the list", with(&full, &path, json!("Wrong")), Some(says.into()));
            for value in schema["enum"].as_array().unwrap() {
                // What is of type Existing has an ARN, and no other has: that one is in the other full manifest.
                if path != "spec.identity.type" && path != "spec.access.deployerRole.type" {
                    case("in the list", with(&full, &path, value.clone()), None);
                }
            }
        }
        if let Some(limit) = schema["maxLength"].as_u64() {
            let long = json!("a".repeat(usize::try_from(limit).unwrap() + 1));
            let object = match path.strip_suffix("{}") {
                Some(map) => with(&full, map, json!({"key": long})),
                None => with(&full, &path, long),
            };
            let says = format!("Too long: may not be more than {limit} bytes");
            case("too long", object, Some(says));
        }
        if let Some(limit) = schema["maxItems"].as_u64() {
            let limit = usize::try_from(limit).unwrap();
            let first = full.pointer(&pointer(&format!("{path}[]"))).unwrap();
            case("all items", with(&full, &path, items(&path, first, limit)), None);
            let says = format!("Too many: {}: must have at most {limit} items", limit + 1);
            case(
                "too many",
                with(&full, &path, items(&path, first, limit + 1)),
                Some(says),
            );
            if schema["x-kubernetes-list-type"].is_string() {
                let twice = json!([first, first]);
                case("twice", with(&full, &path, twice), Some("Duplicate value".into()));
            }
        }
        if let Some(limit) = schema["maxProperties"].as_u64() {
            let keys = |count| {
                (0..count)
                    .map(|i| (format!("key{i}"), json!("value")))
                    .collect::<Map<_, _>>()
            };
            case("all keys", with(&full, &path, keys(limit).into()), None);
            let says = format!("Too many: {}: must have at most {limit} items", limit + 1);
            case("too many keys", with(&full, &path, keys(limit + 1).into()), Some(says));
        }
    }
    for object in kind.full().into_iter().chain([kind.smallest()]) {
        let what = format!("{kind:?} as written: {object}");
        cases.push(Case {
            kind,
            what,
            object,
            refused: None,
        });
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_holds_and_its_last_value_passes() {
    let client = server().await.admin().unwrap();
    let cases: Vec<_> = Kind::ALL.into_iter().flat_map(limits).collect();
    assert!(cases.len() > 100, "the walk found only {} limits", cases.len());
    let wrong: Vec<String> = stream::iter(cases)
        .map(|case| (case, client.clone()))
        .map(|(case, client)| async move {
            let Answer { result, .. } = send(&client, "POST", case.kind.path(), &case.object, true).await;
            match (&case.refused, result) {
                (None, Ok(_)) => None,
                (None, Err(refusal)) => Some(format!("{}: refused: {}", case.what, refusal.message)),
                (Some(says), Ok(_)) => Some(format!("{}: accepted, not refused with {says:?}", case.what)),
                (Some(says), Err(refusal)) => {
                    let told = refusal.causes.iter().any(|cause| cause.message.contains(says));
                    (!told).then(|| format!("{}: not {says:?} but: {}", case.what, refusal.message))
                }
            }
        })
        .buffer_unordered(8)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The budget of the rules counts on a limit everywhere; without one the API server refuses the definition, or a
/// single object can hold it up.
#[test]
fn everything_that_can_grow_has_a_limit() {
    for kind in Kind::ALL {
        for Node { path, schema, .. } in spec_nodes(kind) {
            let limit = match schema["type"].as_str().unwrap() {
                "string" if schema["enum"].is_array() => "enum",
                "string" => "maxLength",
                "array" => "maxItems",
                "object" if schema["additionalProperties"].is_object() => "maxProperties",
                _ => "type",
            };
            assert!(!schema[limit].is_null(), "{kind:?}: {path} has no {limit}");
        }
    }
}

/// Two sources of a default would make these two differ, and one of them would be a surprise.
#[tokio::test(flavor = "multi_thread")]
async fn left_out_null_and_empty_are_the_same() {
    let client = server().await.admin().unwrap();
    let stored = async |kind: Kind, object: &Value| {
        let answer = send(&client, "POST", kind.path(), object, true).await;
        answer.result.unwrap()["spec"].clone()
    };
    let (mut nulls, mut empties) = (0, 0);
    for kind in Kind::ALL {
        for Node { path, schema, required } in spec_nodes(kind) {
            if required || path.contains("[]") {
                continue;
            }
            let left_out = stored(kind, &kind.smallest()).await;
            // In the smallest manifest of a ManagedCluster the groups are what keeps `access` from being empty.
            if path != "spec.access.kubernetesGroups" {
                let null = stored(kind, &with(&kind.smallest(), &path, Value::Null)).await;
                assert_eq!(null, left_out, "{kind:?}: {path}: null");
                nulls += 1;
            }
            if schema["type"] == "object" && !schema["default"].is_null() {
                let empty = stored(kind, &with(&kind.smallest(), &path, json!({}))).await;
                assert_eq!(empty, left_out, "{kind:?}: {path}: {{}}");
                empties += 1;
            }
        }
    }
    assert!(nulls >= 25 && empties == 6, "{nulls} nulls, {empties} empty objects");
}
