//! Label selectors, by Kubernetes' rules.
//!
//! Source: kubernetes/apimachinery, `pkg/apis/meta/v1/helpers.go` (`LabelSelectorAsSelector`) and
//! `pkg/labels/selector.go` (`Requirement.Matches`).

use std::collections::BTreeMap;

use serde_json::Value;

/// An answer to a question that cannot always be answered from what stands in the manifests. In order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// For sure not.
    No,
    /// It depends on what is only known when a template is filled in, or on what cannot be read.
    Perhaps,
    /// For sure.
    Yes,
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// What is known of a key that a selector asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// It has this value.
    Value(&'a str),
    /// It is not there.
    Absent,
    /// Nothing.
    Nothing,
}

/// A label selector: all of its requirements must hold, and one without any holds for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
    /// Something in it that Kubernetes would refuse: whoever uses it gets an error, and not an empty answer.
    broken: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    wants: Wants,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wants {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Reads a selector; one that is left out selects everything.
    #[must_use]
    pub fn read(selector: &Value) -> Self {
        let mut read = Self::default();
        let Some(fields) = selector.as_object() else {
            read.broken = !selector.is_null();
            return read;
        };
        match fields.get("matchLabels") {
            None | Some(Value::Null) => {}
            Some(Value::Object(labels)) => {
                for (key, value) in labels {
                    let wants = value.as_str().map(|value| Wants::In(vec![value.to_owned()]));
                    read.add(Some(key), wants);
                }
            }
            Some(_) => read.broken = true,
        }
        match fields.get("matchExpressions") {
            None | Some(Value::Null) => {}
            Some(Value::Array(expressions)) => {
                for expression in expressions {
                    read.add(expression.get("key").and_then(Value::as_str), wants(expression));
                }
            }
            Some(_) => read.broken = true,
        }
        read
    }

    fn add(&mut self, key: Option<&str>, wants: Option<Wants>) {
        match (key, wants) {
            (Some(key), Some(wants)) => self.requirements.push(Requirement {
                key: key.to_owned(),
                wants,
            }),
            (_, _) => self.broken = true,
        }
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> Answer {
        self.matches_by(|key| labels.get(key).map_or(Known::Absent, |value| Known::Value(value)))
    }

    /// The same of anything that has keys and values.
    pub(super) fn matches_by<'a>(&self, known: impl Fn(&str) -> Known<'a>) -> Answer {
        if self.broken {
            return Answer::Perhaps;
        }
        let answers = self.requirements.iter().map(|requirement| requirement.holds(&known));
        answers.min().unwrap_or(Answer::Yes)
    }
}

fn wants(expression: &Value) -> Option<Wants> {
    let values = expression.get("values").filter(|values| !values.is_null());
    let values: Option<Vec<String>> = match values {
        None => Some(Vec::new()),
        Some(values) => {
            let texts = values.as_array()?.iter();
            texts.map(|value| value.as_str().map(str::to_owned)).collect()
        }
    };
    let values = values?;
    match (expression.get("operator")?.as_str()?, values.is_empty()) {
        ("In", false) => Some(Wants::In(values)),
        ("NotIn", false) => Some(Wants::NotIn(values)),
        ("Exists", true) => Some(Wants::Exists),
        ("DoesNotExist", true) => Some(Wants::Absent),
        (_, _) => None,
    }
}

impl Requirement {
    fn holds<'a>(&self, known: impl Fn(&str) -> Known<'a>) -> Answer {
        let values = match &self.wants {
            Wants::In(values) | Wants::NotIn(values) => values.as_slice(),
            Wants::Exists | Wants::Absent => &[],
        };
        if values.iter().chain([&self.key]).any(|text| is_template(text)) {
            return Answer::Perhaps;
        }
        let is_one = |value: &str| values.iter().any(|wanted| wanted == value);
        match (known(&self.key), &self.wants) {
            (Known::Nothing, _) => Answer::Perhaps,
            (Known::Value(value), Wants::In(_)) => is_one(value).into(),
            (Known::Value(value), Wants::NotIn(_)) => (!is_one(value)).into(),
            (Known::Value(_), Wants::Exists) | (Known::Absent, Wants::NotIn(_) | Wants::Absent) => Answer::Yes,
            (Known::Value(_), Wants::Absent) | (Known::Absent, Wants::In(_) | Wants::Exists) => Answer::No,
        }
    }
}

/// Whether a text is filled in when the generator runs, with values that do not stand in the manifest.
fn is_template(text: &str) -> bool {
    text.contains("{{")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn asks(selector: &Value, pairs: &[(&str, &str)]) -> Answer {
        Selector::read(selector).matches(&labels(pairs))
    }

    fn expression(operator: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": "env", "operator": operator, "values": values}]})
    }

    /// Kubernetes' manual, "Labels and Selectors": `NotIn` and `DoesNotExist` hold for what lacks the label.
    #[test]
    fn every_operator_means_what_kubernetes_means_by_it() {
        use Answer::{No, Yes};
        let (prod, dev, bare) = (&[("env", "prod")][..], &[("env", "dev")][..], &[][..]);
        for (selector, expected) in [
            (json!(null), [Yes, Yes, Yes]),
            (json!({}), [Yes, Yes, Yes]),
            (json!({"matchLabels": {}, "matchExpressions": []}), [Yes, Yes, Yes]),
            (json!({"matchLabels": {"env": "prod"}}), [Yes, No, No]),
            (json!({"matchLabels": {"env": "prod", "team": "a"}}), [No, No, No]),
            (expression("In", &["prod", "test"]), [Yes, No, No]),
            (expression("NotIn", &["prod", "test"]), [No, Yes, Yes]),
            (expression("Exists", &[]), [Yes, Yes, No]),
            (expression("DoesNotExist", &[]), [No, No, Yes]),
            (
                json!({"matchLabels": {"env": "prod"}, "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}),
                [No, No, No],
            ),
        ] {
            for (pairs, expected) in [prod, dev, bare].into_iter().zip(expected) {
                assert_eq!(asks(&selector, pairs), expected, "{selector} {pairs:?}");
            }
        }
    }

    #[test]
    fn what_kubernetes_refuses_or_a_template_fills_in_is_not_known() {
        for selector in [
            expression("In", &[]),
            expression("Exists", &["x"]),
            expression("Near", &["prod"]),
            json!({"matchExpressions": [{"operator": "Exists"}]}),
            json!({"matchLabels": {"env": 1}}),
            json!({"matchLabels": ["env"]}),
            json!("env=prod"),
            json!({"matchLabels": {"env": "{{ .path.basename }}"}}),
            json!({"matchLabels": {"{{ .key }}": "prod"}}),
        ] {
            assert_eq!(asks(&selector, &[("env", "prod")]), Answer::Perhaps, "{selector}");
        }
        let sure = json!({"matchLabels": {"env": "{{ .env }}", "team": "a"}});
        assert_eq!(
            asks(&sure, &[]),
            Answer::No,
            "what the template gives does not matter here"
        );
    }

    fn some_selector() -> impl Strategy<Value = Value> {
        let text = || prop::sample::select(vec!["a", "b", "c"]);
        let operator = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
        let one = (text(), operator, prop::collection::vec(text(), 1..3)).prop_map(|(key, operator, values)| {
            if operator.contains("xist") {
                json!({"key": key, "operator": operator})
            } else {
                json!({"key": key, "operator": operator, "values": values})
            }
        });
        (
            prop::collection::btree_map(text(), text(), 0..3),
            prop::collection::vec(one, 0..3),
        )
            .prop_map(|(labels, expressions)| json!({"matchLabels": labels, "matchExpressions": expressions}))
    }

    proptest! {
        /// Each requirement narrows, and the negation of one holds where it does not.
        #[test]
        fn requirements_narrow(selector in some_selector(), pairs in prop::collection::btree_map("[abc]", "[abc]", 0..3)) {
            let whole = Selector::read(&selector);
            let answer = whole.matches(&pairs);
            prop_assert_ne!(answer, Answer::Perhaps);
            let mut each = Vec::new();
            for (key, value) in selector["matchLabels"].as_object().unwrap() {
                each.push(pairs.get(key).is_some_and(|found| found == value.as_str().unwrap()));
            }
            for expression in selector["matchExpressions"].as_array().unwrap() {
                let found = pairs.get(expression["key"].as_str().unwrap());
                let listed = found.is_some_and(|found| expression["values"].as_array().is_some_and(|all| all.iter().any(|one| one == found)));
                each.push(match expression["operator"].as_str().unwrap() {
                    "In" => listed,
                    "NotIn" => !listed,
                    "Exists" => found.is_some(),
                    _ => found.is_none(),
                });
            }
            prop_assert_eq!(answer == Answer::Yes, each.into_iter().all(|holds| holds));
        }

        #[test]
        fn nothing_makes_it_stumble(text in "[\\[\\]{}:,\"a-zInot ]{0,60}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = Selector::read(&value).matches(&BTreeMap::new());
            }
        }
    }
}
