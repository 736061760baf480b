//! Pages: `maxResults` from 1 to 100, and an opaque `nextToken`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::errors::invalid_parameter;
use super::input::Input;
use crate::aws::contract::Answer;

/// How many items a page has when the request does not say.
const DEFAULT: usize = 100;

/// The page of a list that an input asks for, beside the other members of the output.
pub(super) fn page(
    input: Input<'_>,
    cluster: &str,
    member: &str,
    items: Vec<Value>,
    others: Map<String, Value>,
) -> Answer {
    let start = match input.optional("nextToken") {
        None => 0,
        Some(token) => position(token).ok_or_else(|| invalid_parameter(cluster, "The nextToken is invalid."))?,
    };
    let size = input.number("maxResults").unwrap_or(DEFAULT);
    let end = start.saturating_add(size);
    let mut output = others;
    if end < items.len() {
        output.insert("nextToken".to_owned(), STANDARD.encode(format!("after:{end}")).into());
    }
    let page: Vec<Value> = items.into_iter().skip(start).take(size).collect();
    output.insert(member.to_owned(), page.into());
    Ok(Value::Object(output))
}

fn position(token: &str) -> Option<usize> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    text.strip_prefix("after:")?.parse().ok()
}
