//! A policy document, and when two of them mean the same.
//!
//! IAM may return another text than was sent. What counts as the same here, each because AWS treats it so: one
//! statement or a list of one; the order of statements and of values; one value or a list of one; the case of action
//! names and of condition keys; booleans and numbers as text; an account's ID and the ARN of its root. `Sid` and
//! `Version` are compared exactly. A principal that IAM shows as a unique ID (`AROA...`) is the trace of a deleted
//! role, and is never the same as an ARN (IAM user guide, "AWS JSON policy elements: Principal").

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// One value or several: a set, since order and repetition mean nothing.
pub type Values = BTreeSet<String>;
/// `Condition`: operator, key, values.
pub type Conditions = BTreeMap<String, BTreeMap<String, Values>>;

/// A text that is not a policy document as IAM's grammar has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a policy document: {0}")]
pub struct InvalidDocument(String);

/// `Allow` or `Deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Effect {
    /// Allows.
    Allow,
    /// Denies, whatever allows.
    Deny,
}

/// `Principal`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principals {
    /// `"*"`.
    Anyone,
    /// By kind: `AWS`, `Service`, `Federated`.
    Of(BTreeMap<String, Values>),
}

impl Principals {
    /// Principals of one kind.
    pub fn of<T: ToString>(kind: &str, values: impl IntoIterator<Item = T>) -> Self {
        Self::Of([(kind.to_owned(), values.into_iter().map(|v| v.to_string()).collect())].into())
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// `Sid`.
    pub sid: Option<String>,
    /// `Effect`.
    pub effect: Effect,
    /// `Principal`; only in trust policies.
    pub principal: Option<Principals>,
    /// `NotPrincipal`.
    pub not_principal: Option<Principals>,
    /// `Action`.
    pub action: Values,
    /// `NotAction`.
    pub not_action: Values,
    /// `Resource`.
    pub resource: Values,
    /// `NotResource`.
    pub not_resource: Values,
    /// `Condition`.
    pub condition: Conditions,
}

impl Statement {
    /// A statement that allows actions.
    pub fn allow<T: ToString>(sid: &str, actions: impl IntoIterator<Item = T>) -> Self {
        Self {
            sid: Some(sid.to_owned()),
            effect: Effect::Allow,
            principal: None,
            not_principal: None,
            action: values(actions),
            not_action: Values::new(),
            resource: Values::new(),
            not_resource: Values::new(),
            condition: Conditions::new(),
        }
    }

    /// The same, to these principals.
    #[must_use]
    pub fn to(mut self, principals: Principals) -> Self {
        self.principal = Some(principals);
        self
    }

    /// The same, on these resources.
    #[must_use]
    pub fn on<T: ToString>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        self.resource = values(resources);
        self
    }

    /// The same, under one more condition.
    #[must_use]
    pub fn when<T: ToString>(mut self, operator: &str, key: &str, wanted: impl IntoIterator<Item = T>) -> Self {
        self.condition
            .entry(operator.to_owned())
            .or_default()
            .insert(key.to_owned(), values(wanted));
        self
    }

    /// Compact JSON, as it stands in a document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The statement by what it means.
    pub(super) fn canonical(&self) -> Self {
        let lower = |set: &Values| set.iter().map(|value| value.to_ascii_lowercase()).collect();
        let principals = |of: &Option<Principals>| of.as_ref().map(canonical_principals);
        Self {
            sid: self.sid.clone(),
            effect: self.effect,
            principal: principals(&self.principal),
            not_principal: principals(&self.not_principal),
            action: lower(&self.action),
            not_action: lower(&self.not_action),
            resource: self.resource.clone(),
            not_resource: self.not_resource.clone(),
            condition: self
                .condition
                .iter()
                .map(|(operator, keys)| (operator.clone(), canonical_keys(keys)))
                .collect(),
        }
    }
}

fn values<T: ToString>(of: impl IntoIterator<Item = T>) -> Values {
    of.into_iter().map(|value| value.to_string()).collect()
}

/// Condition keys without their case. Where two differ in case alone, nobody knows which of them AWS heeds, so such a
/// condition is never the same as one that we issue.
fn canonical_keys(keys: &BTreeMap<String, Values>) -> BTreeMap<String, Values> {
    let lower: BTreeMap<String, Values> = keys
        .iter()
        .map(|(key, wanted)| (key.to_ascii_lowercase(), wanted.clone()))
        .collect();
    if lower.len() == keys.len() { lower } else { keys.clone() }
}

/// `"222222222222"` and `arn:aws:iam::222222222222:root` are one principal.
pub(super) fn canonical_principal(kind: &str, value: &str) -> String {
    let id = value
        .strip_suffix(":root")
        .and_then(|arn| arn.rsplit(':').next())
        .unwrap_or(value);
    if kind == "AWS" && id.len() == 12 && id.chars().all(|c| c.is_ascii_digit()) {
        id.to_owned()
    } else {
        value.to_owned()
    }
}

pub(super) fn canonical_principals(principals: &Principals) -> Principals {
    let Principals::Of(kinds) = principals else {
        return principals.clone();
    };
    let canonical = |kind: &str, set: &Values| set.iter().map(|value| canonical_principal(kind, value)).collect();
    let kinds: BTreeMap<String, Values> = kinds
        .iter()
        .filter(|(_, set)| !set.is_empty())
        .map(|(kind, set)| (kind.clone(), canonical(kind, set)))
        .collect();
    if kinds.len() == 1 && kinds.get("AWS").is_some_and(|set| set.len() == 1 && set.contains("*")) {
        return Principals::Anyone;
    }
    Principals::Of(kinds)
}

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `Version`; `2012-10-17` in all that we issue.
    pub version: Option<String>,
    /// `Statement`.
    pub statements: Vec<Statement>,
}

impl Document {
    /// A document of the current version.
    #[must_use]
    pub fn new(statements: Vec<Statement>) -> Self {
        Self {
            version: Some("2012-10-17".to_owned()),
            statements,
        }
    }

    /// Reads a document from JSON text, as IAM returns it once it is percent-decoded.
    ///
    /// # Errors
    /// When the text is not JSON, or has an element that IAM's grammar does not have.
    pub fn parse(text: &str) -> Result<Self, InvalidDocument> {
        let value: Value = serde_json::from_str(text).map_err(|error| InvalidDocument(error.to_string()))?;
        let Value::Object(mut document) = value else {
            return invalid("it is not an object");
        };
        let version = text_of(document.remove("Version"), "Version")?;
        text_of(document.remove("Id"), "Id")?;
        let statements = match document.remove("Statement") {
            Some(Value::Array(list)) => list.into_iter().map(statement).collect::<Result<_, _>>()?,
            Some(one) => vec![statement(one)?],
            None => return invalid("it has no Statement"),
        };
        nothing_left(&document)?;
        Ok(Self { version, statements })
    }

    /// Whether both documents allow and deny the same, as far as IAM's own equivalences go.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        let canonical =
            |document: &Self| -> BTreeSet<Statement> { document.statements.iter().map(Statement::canonical).collect() };
        self.version == other.version && canonical(self) == canonical(other)
    }

    /// Compact JSON, always the same for the same document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// JSON for people to read.
    #[must_use]
    pub fn to_pretty_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Characters that count against IAM's quotas: white space does not (IAM user guide, "IAM and STS quotas").
    #[must_use]
    pub fn quota_length(&self) -> usize {
        self.to_json().chars().filter(|c| !c.is_whitespace()).count()
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, InvalidDocument> {
    Err(InvalidDocument(why.into()))
}

fn nothing_left(object: &Map<String, Value>) -> Result<(), InvalidDocument> {
    object
        .keys()
        .next()
        .map_or(Ok(()), |key| invalid(format!("it has an unknown element {key:?}")))
}

fn text_of(value: Option<Value>, element: &str) -> Result<Option<String>, InvalidDocument> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => invalid(format!("{element} is not text")),
    }
}

fn statement(value: Value) -> Result<Statement, InvalidDocument> {
    let Value::Object(mut object) = value else {
        return invalid("a statement is not an object");
    };
    let effect = match text_of(object.remove("Effect"), "Effect")?.as_deref() {
        Some(text) if text.eq_ignore_ascii_case("allow") => Effect::Allow,
        Some(text) if text.eq_ignore_ascii_case("deny") => Effect::Deny,
        _ => return invalid("a statement has no Effect of Allow or Deny"),
    };
    let mut set = |element: &str| {
        object
            .remove(element)
            .map_or_else(|| Ok(Values::new()), |v| values_of(v, element))
    };
    let (action, not_action) = (set("Action")?, set("NotAction")?);
    let (resource, not_resource) = (set("Resource")?, set("NotResource")?);
    let parsed = Statement {
        sid: text_of(object.remove("Sid"), "Sid")?,
        effect,
        principal: object.remove("Principal").map(principals).transpose()?,
        not_principal: object.remove("NotPrincipal").map(principals).transpose()?,
        action,
        not_action,
        resource,
        not_resource,
        condition: object
            .remove("Condition")
            .map_or_else(|| Ok(Conditions::new()), conditions)?,
    };
    nothing_left(&object)?;
    Ok(parsed)
}

fn scalar(value: Value, element: &str) -> Result<String, InvalidDocument> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => invalid(format!("{element} holds what is not text")),
    }
}

fn values_of(value: Value, element: &str) -> Result<Values, InvalidDocument> {
    match value {
        Value::Array(list) => list.into_iter().map(|item| scalar(item, element)).collect(),
        one @ (Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Null | Value::Object(_)) => {
            Ok([scalar(one, element)?].into())
        }
    }
}

fn principals(value: Value) -> Result<Principals, InvalidDocument> {
    match value {
        Value::String(text) if text == "*" => Ok(Principals::Anyone),
        Value::Object(kinds) => kinds
            .into_iter()
            .map(|(kind, value)| values_of(value, "Principal").map(|set| (kind, set)))
            .collect::<Result<_, _>>()
            .map(Principals::Of),
        Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Null | Value::Array(_) => {
            invalid("a Principal is neither \"*\" nor an object")
        }
    }
}

fn conditions(value: Value) -> Result<Conditions, InvalidDocument> {
    let Value::Object(operators) = value else {
        return invalid("Condition is not an object");
    };
    operators
        .into_iter()
        .map(|(operator, keys)| {
            let Value::Object(keys) = keys else {
                return invalid("a condition operator is not an object");
            };
            let keys = keys
                .into_iter()
                .map(|(key, value)| values_of(value, "Condition").map(|set| (key, set)))
                .collect::<Result<_, _>>()?;
            Ok((operator, keys))
        })
        .collect()
}

/// A set of one is written as the value alone: the shortest form, and the one that AWS's own documentation uses.
struct OneOrMany<'a>(&'a Values);

impl Serialize for OneOrMany<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.first() {
            Some(one) if self.0.len() == 1 => serializer.serialize_str(one),
            _ => serializer.collect_seq(self.0),
        }
    }
}

impl Serialize for Principals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Anyone => serializer.serialize_str("*"),
            Self::Of(kinds) => serializer.collect_map(kinds.iter().map(|(kind, set)| (kind, OneOrMany(set)))),
        }
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(sid) = &self.sid {
            map.serialize_entry("Sid", sid)?;
        }
        map.serialize_entry("Effect", &self.effect)?;
        for (element, principals) in [("Principal", &self.principal), ("NotPrincipal", &self.not_principal)] {
            if let Some(principals) = principals {
                map.serialize_entry(element, principals)?;
            }
        }
        for (element, set) in [
            ("Action", &self.action),
            ("NotAction", &self.not_action),
            ("Resource", &self.resource),
            ("NotResource", &self.not_resource),
        ] {
            if !set.is_empty() {
                map.serialize_entry(element, &OneOrMany(set))?;
            }
        }
        if !self.condition.is_empty() {
            let condition: BTreeMap<_, BTreeMap<_, _>> = self
                .condition
                .iter()
                .map(|(operator, keys)| (operator, keys.iter().map(|(key, set)| (key, OneOrMany(set))).collect()))
                .collect();
            map.serialize_entry("Condition", &condition)?;
        }
        map.end()
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(version) = &self.version {
            map.serialize_entry("Version", version)?;
        }
        map.serialize_entry("Statement", &self.statements)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow",
        "Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":["sts:AssumeRole","sts:TagSession"],
        "Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/x"}}}]}"#;

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    #[test]
    fn what_aws_may_rewrite_means_the_same() {
        let original = document(TRUST);
        for (from, to) in [
            (r#""arn:aws:iam::111111111111:root""#, r#""111111111111""#),
            (
                r#""arn:aws:iam::111111111111:root""#,
                r#"["arn:aws:iam::111111111111:root"]"#,
            ),
            (
                r#"["sts:AssumeRole","sts:TagSession"]"#,
                r#"["STS:tagsession","sts:AssumeRole"]"#,
            ),
            (r#""aws:PrincipalArn""#, r#""aws:principalarn""#),
            (r#""Allow""#, r#""allow""#),
            (r#""Statement":[{"#, r#""Statement":{"#),
        ] {
            let mut other = TRUST.replace(from, to);
            if to.ends_with(":{") {
                other = other.replace("}}}]}", "}}}}");
            }
            assert!(original.means(&document(&other)), "{to}");
        }
    }

    #[test]
    fn what_changes_the_meaning_is_told_apart() {
        let original = document(TRUST);
        for (from, to) in [
            ("111111111111:root", "222222222222:root"),
            (r#""arn:aws:iam::111111111111:root""#, r#""AROAEXAMPLEEXAMPLE123""#),
            (r#""arn:aws:iam::111111111111:root""#, r#""*""#),
            ("ArnEquals", "StringEquals"),
            ("role/x", "role/y"),
            ("Allow", "Deny"),
            ("\"A\"", "\"B\""),
            ("2012-10-17", "2008-10-17"),
            (r#","sts:TagSession""#, ""),
            (
                r#""aws:PrincipalArn":"#,
                r#""AWS:principalarn":"arn:aws:iam::111111111111:role/evil","aws:PrincipalArn":"#,
            ),
            (
                r#""aws:PrincipalArn":"#,
                r#""aws:principalarn":"arn:aws:iam::111111111111:role/x","aws:PrincipalArn":"#,
            ),
        ] {
            assert!(!original.means(&document(&TRUST.replace(from, to))), "{to}");
        }
    }

    #[test]
    fn printing_and_reading_again_is_the_same_document() {
        let original = document(TRUST);
        assert_eq!(document(&original.to_json()), original);
        assert_eq!(
            original.to_json(),
            TRUST.replace("\n        ", ""),
            "compact, in the order of IAM's documentation"
        );
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"Statement":[{"Action":"x"}]}"#,
            r#"{"Statement":[{"Effect":"Perhaps"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Verb":"x"}]}"#,
            r#"{"Statement":[],"Extra":1}"#,
            r#"{"Statement":[{"Effect":"Allow","Principal":"someone"}]}"#,
            r#"{"Statement":[{"Effect":"Allow","Action":{"a":"b"}}]}"#,
        ] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }
}
