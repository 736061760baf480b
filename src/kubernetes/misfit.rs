//! Where an object cannot be read as its kind, for the person who is to correct it. Pure.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The innermost field that an object cannot be read for, and why: `spec.access: invalid type: ...`. `None` where it can be
/// read. It is the field without which the object would be read, or not be read for another reason.
#[must_use]
pub fn misfit<T: DeserializeOwned>(object: &Value) -> Option<String> {
    let why = |value: Value| serde_json::from_value::<T>(value).err().map(|error| error.to_string());
    let found = why(object.clone())?;
    let (mut pointer, mut path) = (String::new(), String::new());
    while let Some((key, step)) = object.pointer(&pointer).and_then(|here| {
        let blamed = |(key, _): &(String, String)| why(without(object, &pointer, key)).as_ref() != Some(&found);
        children(here).into_iter().find(blamed)
    }) {
        pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        path.push_str(&step);
    }
    let path = path.trim_start_matches('.');
    let told = in_words(&found);
    Some(if path.is_empty() {
        told
    } else {
        format!("{path}: {told}")
    })
}

/// The keys of a value, each with how it stands in a path.
fn children(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(fields) => fields.keys().map(|key| (key.clone(), format!(".{key}"))).collect(),
        Value::Array(items) => (0..items.len())
            .map(|index| (index.to_string(), format!("[{index}]")))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn without(object: &Value, pointer: &str, key: &str) -> Value {
    let mut object = object.clone();
    match object.pointer_mut(pointer) {
        Some(Value::Object(fields)) => {
            fields.remove(key);
        }
        Some(Value::Array(items)) => {
            let index = key.parse().unwrap_or(items.len());
            if index < items.len() {
                items.remove(index);
            }
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
    object
}

/// What serde says, in the words of a manifest.
fn in_words(error: &str) -> String {
    let (what, expected) = error.split_once(", expected ").unwrap_or((error, ""));
    let expected = match expected {
        "" => return error.to_owned(),
        "a sequence" => "a list",
        "a map" => "an object",
        kind if kind.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{what}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Root {
        #[allow(dead_code, reason = "only read")]
        spec: Spec,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code, reason = "only read")]
    struct Spec {
        name: String,
        #[serde(default)]
        allow: Vec<Allow>,
        #[serde(default)]
        tags: BTreeMap<String, String>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Allow {
        accounts: Vec<String>,
    }

    fn told(spec: &Value) -> Option<String> {
        misfit::<Root>(&json!({"metadata": {"name": "a"}, "spec": spec}))
    }

    #[test]
    fn the_innermost_field_is_named_with_what_it_must_be() {
        assert_eq!(told(&json!({"name": "a", "allow": [{"accounts": ["1"]}]})), None);
        for (spec, says) in [
            (
                json!({"name": "a", "allow": "everything"}),
                "spec.allow: invalid type: string \"everything\", expected a list",
            ),
            (
                json!({"name": "a", "allow": [{"accounts": ["1"]}, {"accounts": ["1", 2]}]}),
                "spec.allow[1].accounts[1]: invalid type: integer `2`, expected a string",
            ),
            (
                json!({"name": "a", "tags": {"a/b~c": 1}}),
                "spec.tags.a/b~c: invalid type: integer `1`, expected a string",
            ),
            (
                json!({"name": "a", "allow": ["all"]}),
                "spec.allow[0]: invalid type: string \"all\", expected an object",
            ),
            (json!("all"), "spec: invalid type: string \"all\", expected an object"),
            (json!({"allow": []}), "missing field `name`"),
        ] {
            let told = told(&spec).unwrap();
            assert!(told.ends_with(says), "{told}");
        }
    }
}
