//! The pure core: specs and observed worlds in, plans out. What each plan does is held by golden files, and what all
//! plans do by a model of the world in which they are carried out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    reason = "tables of cases, and a model that names only what it changes"
)]

mod adoption;
mod binding;
mod despite;
mod documents;
mod foresee;
mod hub;
mod hub_golden;
mod hub_properties;
mod left_behind;
mod ownership;
mod properties;
mod shared;
mod spoke_golden;
mod standing_back;
mod two_hubs;
mod two_owners;
mod world;

/// Holds a value against its golden file; `UPDATE_GOLDEN=1` writes the file instead, to be read before it is committed.
fn golden(name: &str, value: &impl serde::Serialize) {
    let path = format!("{}/tests/plan/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let found = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    let at = found
        .lines()
        .zip(wanted.lines())
        .take_while(|(found, wanted)| found == wanted)
        .count();
    let beginning = |text: &str| {
        text.lines()
            .skip(at.saturating_sub(3))
            .take(12)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        found == wanted,
        "{path} differs from line {}; UPDATE_GOLDEN=1 writes it anew. Found:\n{}\nWanted:\n{}",
        at + 1,
        beginning(&found),
        beginning(&wanted)
    );
}
