//! The members of an input.

use serde_json::{Map, Value};

use crate::aws::contract::ApiError;

/// The decoded input of one request.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Input<'a> {
    /// A text that may be left out.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    /// A text that must be there.
    pub(super) fn needed(self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name).ok_or_else(|| {
            let message = format!(
                "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must not be null"
            );
            ApiError::new(400, "ValidationError", message)
        })
    }

    /// A whole number that may be left out.
    pub(super) fn integer(self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Whether a switch is on; off when left out.
    pub(super) fn flag(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == true || value == "true")
    }

    /// A list of texts, empty when left out.
    pub(super) fn texts(self, name: &str) -> Vec<String> {
        self.0.get(name).map(strings).unwrap_or_default()
    }

    /// One member of each structure of a list: `arn` of `PolicyArns`.
    pub(super) fn each(self, name: &str, member: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array).into_iter().flatten();
        items
            .filter_map(|item| item.get(member)?.as_str())
            .map(str::to_owned)
            .collect()
    }

    /// `Tags` or another list of keys and values, empty when left out.
    pub(super) fn tags(self) -> Vec<(String, String)> {
        self.each("Tags", "Key")
            .into_iter()
            .zip(self.each("Tags", "Value"))
            .collect()
    }

    /// Whether a member is there.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }
}

/// A text, or the texts of a list.
pub(in crate::aws) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
