//! Holding an input against its row, with AWS's own words for what is wrong.
//!
//! The wording is that of IAM and STS (`1 validation error detected: Value null at 'roleName' failed to satisfy
//! constraint: Member must not be null`), member names with a small first letter, lists counted from one.

use serde_json::{Map, Value};

use super::{Field, Http, Kind, Operation, Pattern, TAG, UNBOUNDED};
use crate::aws::contract::ApiError;

impl Operation {
    /// Checks an input against this row.
    ///
    /// # Errors
    /// `ValidationError` (query protocol) or `InvalidParameterException` (rest-json) that names every constraint
    /// that does not hold.
    pub fn validate(&self, input: &Map<String, Value>) -> Result<(), ApiError> {
        let mut faults = Vec::new();
        members(self.input, input, "", &mut faults);
        if faults.is_empty() {
            return Ok(());
        }
        let errors = if faults.len() == 1 { "error" } else { "errors" };
        let message = format!("{} validation {errors} detected: {}", faults.len(), faults.join("; "));
        let code = match self.http {
            Http::Query => "ValidationError",
            Http::Rest { .. } => "InvalidParameterException",
        };
        Err(ApiError::new(400, code, message))
    }
}

fn members(fields: &[Field], input: &Map<String, Value>, prefix: &str, faults: &mut Vec<String>) {
    for field in fields {
        match input.get(field.name) {
            Some(value) if !value.is_null() => {
                member(&field.kind, value, &format!("{prefix}{}", small(field.name)), faults);
            }
            _ if field.required => faults.push(fault(
                None,
                &format!("{prefix}{}", small(field.name)),
                "Member must not be null",
            )),
            _ => {}
        }
    }
}

fn member(kind: &Kind, value: &Value, at: &str, faults: &mut Vec<String>) {
    match kind {
        Kind::Text { min, max, pattern } => text(value, at, (*min, *max), *pattern, faults),
        Kind::OneOf(choices) => {
            if !value.as_str().is_some_and(|text| choices.contains(&text)) {
                let rule = format!("Member must satisfy enum value set: [{}]", choices.join(", "));
                faults.push(fault(Some(value), at, &rule));
            }
        }
        Kind::Integer { min, max } => match value.as_i64() {
            Some(number) if number > *max => {
                faults.push(fault(
                    Some(value),
                    at,
                    &format!("Member must have value less than or equal to {max}"),
                ));
            }
            Some(number) if number < *min => {
                faults.push(fault(
                    Some(value),
                    at,
                    &format!("Member must have value greater than or equal to {min}"),
                ));
            }
            Some(_) => {}
            None => faults.push(fault(Some(value), at, "Member must be a whole number")),
        },
        Kind::Boolean => {
            if !value.is_boolean() {
                faults.push(fault(Some(value), at, "Member must be true or false"));
            }
        }
        Kind::Texts { items, each, pattern } => {
            for (index, item) in list(value, at, *items, faults).iter().enumerate() {
                text(item, &format!("{at}.{}.member", index + 1), *each, *pattern, faults);
            }
        }
        Kind::Tags => structures(TAG, value, at, (0, 50), faults),
        Kind::Structures { items, of } => structures(of, value, at, *items, faults),
        Kind::TagMap => tag_map(value, at, faults),
        Kind::Structure(fields) => match value.as_object() {
            Some(object) => members(fields, object, &format!("{at}."), faults),
            None => faults.push(fault(Some(value), at, "Member must be a structure")),
        },
    }
}

fn structures(of: &[Field], value: &Value, at: &str, items: (usize, usize), faults: &mut Vec<String>) {
    for (index, item) in list(value, at, items, faults).iter().enumerate() {
        match item.as_object() {
            Some(object) => members(of, object, &format!("{at}.{}.member.", index + 1), faults),
            None => faults.push(fault(
                Some(item),
                &format!("{at}.{}.member", index + 1),
                "Member must be a structure",
            )),
        }
    }
}

fn tag_map(value: &Value, at: &str, faults: &mut Vec<String>) {
    let Some(tags) = value.as_object() else {
        faults.push(fault(Some(value), at, "Member must be a map"));
        return;
    };
    length(tags.len(), Some(value), at, (1, 50), faults);
    for (key, item) in tags {
        length(
            key.chars().count(),
            Some(&Value::from(key.as_str())),
            at,
            (1, 128),
            faults,
        );
        text(item, at, (0, 256), None, faults);
    }
}

fn list<'a>(value: &'a Value, at: &str, (min, max): (usize, usize), faults: &mut Vec<String>) -> &'a [Value] {
    let Some(items) = value.as_array() else {
        faults.push(fault(Some(value), at, "Member must be a list"));
        return &[];
    };
    length(items.len(), Some(value), at, (min, max), faults);
    items
}

fn text(value: &Value, at: &str, limits: (usize, usize), pattern: Option<Pattern>, faults: &mut Vec<String>) {
    let Some(text) = value.as_str() else {
        faults.push(fault(Some(value), at, "Member must be a string"));
        return;
    };
    length(text.chars().count(), Some(value), at, limits, faults);
    if let Some(pattern) = pattern
        && !pattern.holds(text)
    {
        let rule = format!("Member must satisfy regular expression pattern: {}", pattern.regex());
        faults.push(fault(Some(value), at, &rule));
    }
}

fn length(actual: usize, value: Option<&Value>, at: &str, (min, max): (usize, usize), faults: &mut Vec<String>) {
    if actual < min {
        faults.push(fault(
            value,
            at,
            &format!("Member must have length greater than or equal to {min}"),
        ));
    } else if max != UNBOUNDED && actual > max {
        faults.push(fault(
            value,
            at,
            &format!("Member must have length less than or equal to {max}"),
        ));
    }
}

fn fault(value: Option<&Value>, at: &str, rule: &str) -> String {
    let shown = match value {
        None => "null".to_owned(),
        Some(Value::String(text)) => format!("'{text}'"),
        Some(other) => format!("'{other}'"),
    };
    format!("Value {shown} at '{at}' failed to satisfy constraint: {rule}")
}

/// `RoleName` as the messages have it: `roleName`.
fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_lowercase().to_string() + letters.as_str()
    })
}
