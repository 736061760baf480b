//! A value held against the structural schema of a custom resource definition, as far as names and types go.

use serde_json::Value;

/// Takes every field away that is null.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the schema does not let pass, a sentence each, with the path: fields that it does not have, fields that are
/// missing, values of another type or not of an enumeration.
pub(super) fn violations(value: &Value, schema: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, schema, path, &mut found);
    found
}

fn walk(value: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    let wanted = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let fits = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    };
    if !fits {
        found.push(format!("{path} is {}: write {}", kind_of(value), article(wanted)));
        return;
    }
    if let Some(choices) = schema
        .get("enum")
        .and_then(Value::as_array)
        .filter(|choices| !choices.contains(value))
    {
        let choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        found.push(format!("{path} is {value}: write {}", choices.join(" or ")));
    }
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let any = schema.get("additionalProperties").filter(|schema| schema.is_object());
            for (key, value) in map {
                let path = format!("{path}.{key}");
                match properties.and_then(|properties| properties.get(key)).or(any) {
                    Some(schema) => walk(value, schema, &path, found),
                    None => found.push(unknown(&path, properties)),
                }
            }
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            for missing in required.filter_map(Value::as_str).filter(|key| !map.contains_key(*key)) {
                found.push(format!("{path}.{missing} is missing"));
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(item, schema, &format!("{path}[{index}]"), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unknown(path: &str, properties: Option<&serde_json::Map<String, Value>>) -> String {
    let fields: Vec<_> = properties
        .into_iter()
        .flat_map(|map| map.keys())
        .map(String::as_str)
        .collect();
    format!("{path} is not a field: the fields here are {}", fields.join(", "))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn article(wanted: &str) -> &'static str {
    match wanted {
        "object" => "an object",
        "array" => "a list",
        "string" => "text, in quotation marks",
        "boolean" => "true or false",
        _ => "a whole number",
    }
}
