//! Percent-encoding as AWS has it, and query strings.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a segment or a value.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Decodes a segment of a path: a `+` stays a `+`.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The pairs of a query string, where a `+` is a `+`, as signing has it.
pub(super) fn decode_query(query: &str) -> Vec<(String, String)> {
    pairs(query)
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The pairs of a form, where a `+` is a blank.
pub(super) fn decode_form(form: &str) -> Vec<(String, String)> {
    pairs(form)
        .map(|(name, value)| (decode(&name.replace('+', " ")), decode(&value.replace('+', " "))))
        .collect()
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
