//! What a document says that another does not: statement by statement, never as lines of text.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::{Document, Effect, Principals, Statement, Values, canonical_keys, canonical_principals};

/// One thing that a statement says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Part {
    /// `Principal AWS`, `Action`, `Resource`, `Condition ArnEquals aws:PrincipalArn`.
    pub element: String,
    /// One value of it.
    pub value: String,
}

/// A statement that one document has otherwise than the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatementDifference {
    /// What becomes of it.
    pub change: Change,
    /// Its `Sid`, where it has one: the new one where the two differ.
    pub sid: Option<String>,
    /// Its effect.
    pub effect: Effect,
    /// What it says from now on and did not before.
    pub added: Vec<Part>,
    /// What it said and says no more.
    pub removed: Vec<Part>,
}

/// What becomes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Change {
    /// It is new.
    Added,
    /// It is there with other words.
    Changed,
    /// It goes.
    Removed,
}

/// What a statement says: as IAM compares it, and as it is written.
type Said = BTreeMap<Part, Part>;

/// What stands between two documents; empty when they mean the same, but for `Version` and `Sid`s.
///
/// Statements that mean the same are passed over. Of the rest, those of one effect are taken for the same statement
/// where they bear the same `Sid`, and then where they share most.
#[must_use]
pub fn difference(before: &Document, after: &Document) -> Vec<StatementDifference> {
    let all = |document: &Document| -> Vec<(Statement, Said)> {
        let statements = document.statements.iter();
        statements
            .map(|statement| (statement.clone(), said(statement)))
            .collect()
    };
    let (mut old, mut new) = (all(before), all(after));
    old.retain(|(statement, said)| {
        let same = new
            .iter()
            .position(|(other, says)| other.effect == statement.effect && says.keys().eq(said.keys()));
        same.map(|place| new.remove(place)).is_none()
    });
    let mut differences = Vec::new();
    for by_name in [true, false] {
        let mut left = Vec::new();
        for (statement, says) in new {
            let shared = |(other, said): &(Statement, Said)| {
                let named = statement.sid.is_some() && other.sid == statement.sid;
                let alike = if by_name {
                    usize::from(named)
                } else {
                    said.keys().filter(|part| says.contains_key(part)).count()
                };
                if other.effect == statement.effect { alike } else { 0 }
            };
            let most = (0..old.len()).max_by_key(|place| old.get(*place).map_or(0, shared));
            match most.filter(|place| old.get(*place).map_or(0, shared) > 0) {
                Some(place) => {
                    let (_, said) = old.remove(place);
                    differences.push(StatementDifference {
                        change: Change::Changed,
                        added: beyond(&says, &said),
                        removed: beyond(&said, &says),
                        sid: statement.sid,
                        effect: statement.effect,
                    });
                }
                None => left.push((statement, says)),
            }
        }
        new = left;
    }
    let whole = |change: Change| {
        move |(statement, said): (Statement, Said)| {
            let (added, removed) = if change == Change::Added {
                (said, Said::new())
            } else {
                (Said::new(), said)
            };
            StatementDifference {
                change,
                sid: statement.sid,
                effect: statement.effect,
                added: added.into_values().collect(),
                removed: removed.into_values().collect(),
            }
        }
    };
    differences.extend(new.into_iter().map(whole(Change::Added)));
    differences.extend(old.into_iter().map(whole(Change::Removed)));
    differences
}

/// What the one says and the other does not.
fn beyond(one: &Said, other: &Said) -> Vec<Part> {
    let beyond = one.iter().filter(|(part, _)| !other.contains_key(part));
    beyond.map(|(_, shown)| shown.clone()).collect()
}

/// Everything that a statement says, but for its effect and its name.
fn said(statement: &Statement) -> Said {
    let Statement {
        sid: _,
        effect: _,
        principal,
        not_principal,
        action,
        not_action,
        resource,
        not_resource,
        condition,
    } = statement;
    let mut said = Said::new();
    let lower = |value: &String| value.to_ascii_lowercase();
    add(&mut said, ("Action", "Action"), action, lower);
    add(&mut said, ("NotAction", "NotAction"), not_action, lower);
    add(&mut said, ("Resource", "Resource"), resource, String::clone);
    add(&mut said, ("NotResource", "NotResource"), not_resource, String::clone);
    for (element, principals) in [("Principal", principal), ("NotPrincipal", not_principal)] {
        match principals {
            None => {}
            Some(Principals::Anyone) => add(&mut said, (element, element), &["*".to_owned()].into(), String::clone),
            Some(Principals::Of(kinds)) => {
                for (kind, values) in kinds {
                    let element = format!("{element} {kind}");
                    add(&mut said, (&element, &element), values, |value| canonical(kind, value));
                }
            }
        }
    }
    for (operator, keys) in condition {
        let compared = canonical_keys(keys);
        for (key, values) in keys {
            let lower = key.to_ascii_lowercase();
            let by = if compared.contains_key(&lower) { &lower } else { key };
            let (by, shown) = (
                format!("Condition {operator} {by}"),
                format!("Condition {operator} {key}"),
            );
            add(&mut said, (&by, &shown), values, String::clone);
        }
    }
    said
}

/// Adds the values of an element: by what it is compared, and as it is shown.
fn add(said: &mut Said, (by, shown): (&str, &str), values: &Values, compared: impl Fn(&String) -> String) {
    for value in values {
        let part = |element: &str, value: String| Part {
            element: element.to_owned(),
            value,
        };
        said.insert(part(by, compared(value)), part(shown, value.clone()));
    }
}

/// A principal as IAM compares it.
fn canonical(kind: &str, value: &str) -> String {
    match canonical_principals(&Principals::of(kind, [value])) {
        Principals::Of(kinds) => kinds.into_values().flatten().next().unwrap_or_else(|| value.to_owned()),
        Principals::Anyone => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn document(statements: &Value) -> Document {
        Document::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap()
    }

    fn texts(parts: &[Part]) -> Vec<String> {
        parts
            .iter()
            .map(|part| format!("{} {}", part.element, part.value))
            .collect()
    }

    fn trust() -> Value {
        json!([{
            "Sid": "ManagementRole", "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/m"}},
        }])
    }

    #[test]
    fn what_means_the_same_does_not_differ() {
        let other = json!({
            "Sid": "ManagementRole", "Effect": "allow", "Principal": {"AWS": ["111111111111"]},
            "Action": ["STS:tagsession", "sts:AssumeRole"],
            "Condition": {"ArnEquals": {"AWS:principalarn": ["arn:aws:iam::111111111111:role/m"]}},
        });
        assert_eq!(difference(&document(&other), &document(&trust())), []);
    }

    #[test]
    fn a_condition_that_was_taken_off_and_a_principal_that_was_put_in_are_told() {
        let loose = json!([{
            "Effect": "Allow", "Principal": {"AWS": ["111111111111", "arn:aws:iam::999999999999:root"]},
            "Action": "sts:AssumeRole",
        }]);
        let found = difference(&document(&loose), &document(&trust()));
        let [only] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            (only.change, only.sid.as_deref()),
            (Change::Changed, Some("ManagementRole"))
        );
        assert_eq!(
            texts(&only.added),
            [
                "Action sts:TagSession",
                "Condition ArnEquals aws:PrincipalArn arn:aws:iam::111111111111:role/m"
            ]
        );
        assert_eq!(texts(&only.removed), ["Principal AWS arn:aws:iam::999999999999:root"]);
    }

    #[test]
    fn statements_are_told_apart_by_name_and_by_effect() {
        let statement = |sid: &str, effect: &str, resource: &str| json!({"Sid": sid, "Effect": effect, "Action": "sts:AssumeRole", "Resource": resource});
        let before = json!([
            statement("A", "Allow", "a"),
            statement("B", "Allow", "b"),
            statement("C", "Deny", "c")
        ]);
        let after = json!([
            statement("B", "Allow", "x"),
            statement("D", "Deny", "c"),
            statement("E", "Allow", "*")
        ]);
        let found = difference(&document(&before), &document(&after));
        let told: Vec<(Change, Option<&str>, Vec<String>, Vec<String>)> = found
            .iter()
            .map(|one| (one.change, one.sid.as_deref(), texts(&one.added), texts(&one.removed)))
            .collect();
        let resource = |value: &str| vec![format!("Resource {value}")];
        assert_eq!(
            told,
            [
                (Change::Changed, Some("B"), resource("x"), resource("b")),
                (Change::Changed, Some("E"), resource("*"), resource("a")),
            ]
        );
        let none = document(&json!([]));
        let all = difference(&none, &document(&trust()));
        assert_eq!((all.len(), all[0].change, all[0].added.len()), (1, Change::Added, 4));
        let all = difference(&document(&trust()), &none);
        assert_eq!(
            (all[0].change, all[0].added.len(), all[0].removed.len()),
            (Change::Removed, 0, 4)
        );
    }

    fn some_document() -> impl Strategy<Value = Document> {
        let word = || prop::sample::select(vec!["a", "b", "c"]);
        let statement = (
            prop::option::of(word()),
            prop::bool::ANY,
            prop::collection::btree_set(word(), 1..3),
            prop::collection::btree_set(word(), 0..3),
        )
            .prop_map(|(sid, allow, action, resource)| {
                let mut statement = json!({
                    "Effect": if allow { "Allow" } else { "Deny" }, "Action": action, "Resource": resource,
                });
                if let Some(sid) = sid {
                    statement["Sid"] = json!(sid);
                }
                statement
            });
        prop::collection::vec(statement, 0..4).prop_map(|statements| document(&json!(statements)))
    }

    proptest! {
        /// Nothing is told of documents that mean the same, something of those that do not but for names, and what one
        /// direction adds the other takes away.
        #[test]
        fn it_tells_of_every_difference(before in some_document(), after in some_document()) {
            let nameless = |document: &Document| -> Document {
                let mut document = document.clone();
                for statement in &mut document.statements {
                    statement.sid = None;
                }
                document
            };
            prop_assert_eq!(difference(&before, &before), []);
            let there = difference(&before, &after);
            let mut counts = (nameless(&before), nameless(&after));
            counts.0.statements.sort();
            counts.1.statements.sort();
            prop_assert_eq!(there.is_empty(), counts.0.statements == counts.1.statements);
            let sum = |of: &[StatementDifference], added: bool| -> usize {
                of.iter().map(|one| if added { one.added.len() } else { one.removed.len() }).sum()
            };
            let said = |document: &Document| -> usize {
                document.statements.iter().map(|one| super::said(one).len()).sum()
            };
            // Whatever is matched to whatever: what was said, less what goes, more what comes, is what will be said.
            prop_assert_eq!(said(&before) + sum(&there, true), said(&after) + sum(&there, false));
        }
    }
}
