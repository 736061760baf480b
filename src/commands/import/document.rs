//! A manifest as YAML, with what is said above it and the lines that a person has to fill in.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    commands::{Printed, definition},
    text::on_one_line,
};

/// An object to print.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document {
    /// What is said above it.
    pub(super) comment: String,
    /// The object, without what is not known.
    pub(super) object: Value,
    /// What is not known of it.
    pub(super) unknown: Vec<FillIn>,
    /// Whether the API server would refuse it as it is, which is said above it.
    pub(super) refused: bool,
}

/// A place where nothing is written, since nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FillIn {
    /// The JSON pointer to the mapping that lacks it.
    pub(super) at: String,
    /// The fields, and why they are not known.
    pub(super) what: String,
}

/// Stands in a mapping for the comment that takes its line.
const MARK: &str = "fillIn";

/// Prints a comment, in which may stand what strangers chose, as names in a tag or an annotation.
pub(super) fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "# {}", on_one_line(line));
    }
}

impl Document {
    /// An object, with what the API server would refuse of it said above it.
    pub(super) fn of(mut comment: String, object: Value) -> Self {
        let refused = definition::refused(&object);
        for why in &refused {
            let _ = write!(comment, "\nIn its way: {why}");
        }
        Self {
            comment,
            object,
            unknown: Vec::new(),
            refused: !refused.is_empty(),
        }
    }

    pub(super) fn print(&self, printed: &mut Printed) {
        let mut object = self.object.clone();
        for (number, unknown) in self.unknown.iter().enumerate() {
            if let Some(Value::Object(mapping)) = object.pointer_mut(&unknown.at) {
                mapping.insert(MARK.to_owned(), json!(number));
            }
        }
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        let text = match serde_saphyr::to_string_with_options(&object, options) {
            Ok(text) => text,
            Err(error) => {
                printed.failures.push(format!("a manifest cannot be printed: {error}"));
                return;
            }
        };
        printed.out.push_str("---\n");
        comment(&mut printed.out, &self.comment);
        for line in text.lines() {
            let _ = match self.fills(line) {
                Some(what) => {
                    let margin = line.len() - line.trim_start().len();
                    writeln!(printed.out, "{:margin$}# fill in {what}", "")
                }
                None => writeln!(printed.out, "{line}"),
            };
        }
    }

    /// What is to be filled in where this line stands.
    fn fills(&self, line: &str) -> Option<&str> {
        let number: usize = line.trim().strip_prefix(MARK)?.strip_prefix(':')?.trim().parse().ok()?;
        self.unknown.get(number).map(|unknown| unknown.what.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_chose_ends_no_comment() {
        let document = Document {
            comment: "one\ntwo\u{2028}kind: ClusterRoleBinding\u{85}a: b\rc: d\n---\u{2029}".into(),
            object: json!({"kind": "ManagedCluster"}),
            ..Document::default()
        };
        let mut printed = Printed::default();
        document.print(&mut printed);
        let lines: Vec<&str> = printed
            .out
            .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
            .collect();
        assert_eq!(lines.len(), 6, "{}", printed.out);
        assert!(lines[1..4].iter().all(|line| line.starts_with("# ")), "{}", printed.out);
        assert_eq!((lines[0], lines[4], lines[5]), ("---", "kind: ManagedCluster", ""));
    }

    #[test]
    fn what_is_not_known_is_a_comment_in_its_place_and_no_field() {
        let document = Document {
            comment: "above".into(),
            object: json!({"spec": {"access": {"deployerRole": {"arn": "x"}}, "allow": [{"accounts": ["1"], "regions": ["r"]}]}}),
            refused: false,
            unknown: vec![
                FillIn {
                    at: "/spec/access".into(),
                    what: "policies".into(),
                },
                FillIn {
                    at: "/spec/allow/0".into(),
                    what: "accessPolicies".into(),
                },
            ],
        };
        let mut printed = Printed::default();
        document.print(&mut printed);
        let lines: Vec<&str> = printed.out.lines().collect();
        assert!(lines.contains(&"    # fill in policies"), "{}", printed.out);
        assert!(printed.out.contains("# fill in accessPolicies\n"), "{}", printed.out);
        let read: Value = serde_saphyr::from_str(&printed.out).unwrap();
        assert_eq!(read, document.object, "{}", printed.out);
    }
}
