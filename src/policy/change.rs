//! What is to change about a document, in parts that a program can read: the words of a [`Difference`] are for people.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    difference::{Difference, is_external_id},
    document::{Statement, Values},
};

/// Stands for the values of an external ID, which belong to whoever set them.
const NOT_SHOWN: &str = "(not shown)";

/// One thing to change about a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The same in words.
    pub words: String,
    /// The `Sid` of the statement; `None` where it has none, and where the change is about the whole document.
    pub statement: Option<String>,
    /// The element of that statement that changes, with the kind of principal or with operator and key, as in
    /// `Principal AWS`. `None`: the statement as a whole; `Version`: the document's.
    pub element: Option<String>,
    /// What is taken away: values of the element, or the statement.
    pub remove: Vec<Value>,
    /// What is added, in the same form.
    pub add: Vec<Value>,
}

impl From<&Difference> for Change {
    fn from(difference: &Difference) -> Self {
        let change = Self {
            words: difference.to_string(),
            statement: None,
            element: None,
            remove: Vec::new(),
            add: Vec::new(),
        };
        match difference {
            Difference::Unreadable => change,
            Difference::Version { found, wanted } => Self {
                element: Some("Version".to_owned()),
                remove: found.iter().map(|version| json!(version)).collect(),
                add: wanted.iter().map(|version| json!(version)).collect(),
                ..change
            },
            Difference::Surplus(statement) => Self {
                statement: statement.sid.clone(),
                remove: vec![whole(statement)],
                ..change
            },
            Difference::Missing(statement) => Self {
                statement: statement.sid.clone(),
                add: vec![whole(statement)],
                ..change
            },
            Difference::Element {
                sid,
                element,
                surplus,
                missing,
            } => Self {
                statement: Some(sid.clone()),
                remove: values(element, surplus),
                add: values(element, missing),
                element: Some(element.clone()),
                ..change
            },
        }
    }
}

fn values(element: &str, values: &Values) -> Vec<Value> {
    let shown = |value: &String| {
        if is_external_id(element) {
            json!(NOT_SHOWN)
        } else {
            json!(value)
        }
    };
    values.iter().map(shown).collect()
}

/// A statement as it stands in a document.
fn whole(statement: &Statement) -> Value {
    let mut statement = statement.clone();
    for keys in statement.condition.values_mut() {
        for (key, values) in keys {
            if is_external_id(key) {
                *values = Values::from([NOT_SHOWN.to_owned()]);
            }
        }
    }
    json!(statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Document, differences};

    fn changes(found: &Value, wanted: &Value) -> Vec<Change> {
        let document = |statements: &Value| {
            let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
            Document::parse(&text).unwrap()
        };
        let all = differences(&document(found), &document(wanted));
        all.iter().map(Change::from).collect()
    }

    #[test]
    fn a_program_reads_which_values_of_which_element_go_and_come() {
        let of = |principal: &[&str], actions: &[&str]| json!([{"Sid": "A", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions}]);
        let found = of(&["arn:aws:iam::1:root", "*"], &["sts:AssumeRole"]);
        let wanted = of(&["arn:aws:iam::2:root"], &["sts:AssumeRole", "sts:TagSession"]);
        let all = changes(&found, &wanted);
        let told = |element: &str| {
            let found = all.iter().find(|change| change.element.as_deref() == Some(element));
            let change = found.unwrap_or_else(|| panic!("{element}: {all:#?}"));
            assert_eq!(change.statement.as_deref(), Some("A"));
            (json!(change.remove), json!(change.add))
        };
        assert_eq!(told("Action"), (json!([]), json!(["sts:TagSession"])));
        assert_eq!(
            told("Principal AWS"),
            (json!(["*", "arn:aws:iam::1:root"]), json!(["arn:aws:iam::2:root"]))
        );
        assert!(all.iter().all(|change| change.words.starts_with("in statement A, ")));
    }

    #[test]
    fn a_whole_statement_stands_as_it_does_in_the_document_and_no_external_id_is_shown() {
        let held = |id: &str| json!({"StringEquals": {"sts:ExternalId": id}});
        let theirs = json!({"Sid": "B", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::3:root"},
            "Action": "sts:AssumeRole", "Condition": held("hunter2")});
        let all = changes(&json!([theirs]), &json!([]));
        assert_eq!(
            (all.len(), all[0].statement.as_deref(), &all[0].element),
            (1, Some("B"), &None)
        );
        assert_eq!(all[0].remove[0]["Action"], "sts:AssumeRole");
        assert_eq!(all[0].remove[0]["Condition"], held(NOT_SHOWN));
        assert!(all[0].add.is_empty());
        let mut other = theirs.clone();
        other["Condition"] = held("else");
        let all = changes(&json!([theirs]), &json!([other]));
        assert_eq!(
            (&all[0].remove, &all[0].add),
            (&vec![json!(NOT_SHOWN)], &vec![json!(NOT_SHOWN)])
        );
        assert!(!serde_json::to_string(&all).unwrap().contains("hunter2"));
    }
}
