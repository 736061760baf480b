//! A manifest as YAML, with what is said above it and the lines that a person has to fill in.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::commands::Printed;

/// An object to print.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document {
    /// What is said above it.
    pub(super) comment: String,
    /// The object, without what is not known.
    pub(super) object: Value,
    /// What is not known of it.
    pub(super) unknown: Vec<FillIn>,
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

impl Document {
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
        for line in self.comment.lines() {
            let _ = writeln!(printed.out, "# {line}");
        }
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
    fn what_is_not_known_is_a_comment_in_its_place_and_no_field() {
        let document = Document {
            comment: "above".into(),
            object: json!({"spec": {"access": {"deployerRole": {"arn": "x"}}, "allow": [{"accounts": ["1"], "regions": ["r"]}]}}),
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
