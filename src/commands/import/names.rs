//! The names of what is printed. Pure.

use std::collections::BTreeSet;

/// A name that Kubernetes takes, also with a number behind it: labels of letters, digits and hyphens, none at an end.
pub(super) fn object_name(name: &str) -> String {
    let plain = |c: char| {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }
    };
    let name: String = name.chars().map(plain).take(240).collect();
    let labels: Vec<&str> = name
        .split('.')
        .map(|label| label.trim_matches('-'))
        .filter(|label| !label.is_empty())
        .collect();
    if labels.is_empty() {
        "cluster".to_owned()
    } else {
        labels.join(".")
    }
}

/// A name that no manifest before has: two objects of one name would be one, and the second cluster would be lost.
pub(super) fn free_name(taken: &mut BTreeSet<String>, name: &str) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| taken.insert(name.clone())).unwrap_or_default()
}
