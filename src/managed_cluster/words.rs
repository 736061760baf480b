//! Names in messages: some, and how many more.

/// How many names a message shows.
const SHOWN: usize = 5;

/// The first few names, and how many more there are: `a, b and 3 more`.
pub(super) fn some(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The names with what they are of: `ApplicationSet a/b`, `ApplicationSets a/b, a/c`.
pub(super) fn named(kind: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{kind}{plural} {}", some(names))
}
