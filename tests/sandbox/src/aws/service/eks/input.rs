//! The members of an input that its row has validated.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// An input.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Input<'a> {
    /// A text that the row requires.
    pub(super) fn text(self, name: &str) -> &'a str {
        self.optional(name).unwrap_or_default()
    }

    /// A text that may be left out.
    pub(super) fn optional(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A list of texts that may be left out.
    pub(super) fn texts(self, name: &str) -> Option<Vec<String>> {
        let items = self.0.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Tags; none when left out.
    pub(super) fn tags(self) -> BTreeMap<String, String> {
        let tags = self.0.get("tags").and_then(Value::as_object);
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        tags.into_iter().flatten().filter_map(text).collect()
    }

    /// A structure that may be left out.
    pub(super) fn structure(self, name: &str) -> Option<Self> {
        self.0.get(name).and_then(Value::as_object).map(Self)
    }

    /// A whole number that may be left out.
    pub(super) fn number(self, name: &str) -> Option<usize> {
        self.0
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    }
}
