//! A policy document, parsed once and shared.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Context;
use super::condition::Condition;
use super::pattern::{ArnPattern, Pattern, Reading};
use super::validate;

/// Why IAM refuses a document; the text is the message of `MalformedPolicyDocument`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// What IAM says of whatever it has no better word for.
    #[must_use]
    pub fn syntax() -> Self {
        Self("Syntax errors in policy.".to_owned())
    }
}

/// What a statement, or a whole document, says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// An explicit deny, which wins over everything.
    Deny,
    /// An allow.
    Allow,
}

/// The kinds of principal that a trust policy can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// Accounts, roles, sessions, `*`.
    Aws,
    /// `pods.eks.amazonaws.com`.
    Service,
    /// An identity provider.
    Federated,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    /// Whether it is `NotPrincipal`, and whom it names; `None` in an identity policy.
    pub(super) principals: Option<(bool, Vec<(PrincipalKind, String)>)>,
    not_action: bool,
    actions: Vec<Pattern>,
    not_resource: bool,
    /// `None` in a trust policy, whose resource is the role that it stands on.
    resources: Option<Vec<ArnPattern>>,
    /// The resources as they are written.
    named: Vec<String>,
    conditions: Vec<Condition>,
}

/// A policy document. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document(Arc<Vec<Statement>>);

impl Document {
    /// Parses an identity policy, a permissions boundary or a session policy.
    ///
    /// # Errors
    /// When IAM would answer `MalformedPolicyDocument`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let value: Value = serde_json::from_str(text).map_err(|_| Malformed::syntax())?;
        Self::identity(&value, None)
    }

    /// As [`Document::parse`]; with a partition, resources of another one are refused, as IAM refuses them.
    pub(in crate::aws) fn identity(value: &Value, partition: Option<&str>) -> Result<Self, Malformed> {
        validate::identity(value, partition)?;
        Self::read(value)
    }

    /// Parses a trust policy. Principals are compared as they are written: whoever stores the policy puts the
    /// unique IDs of roles in their place first.
    ///
    /// # Errors
    /// When IAM would answer `MalformedPolicyDocument`.
    pub fn parse_trust(text: &str) -> Result<Self, Malformed> {
        let invalid = |_| Malformed("This policy contains invalid Json".to_owned());
        Self::trust(&serde_json::from_str(text).map_err(invalid)?)
    }

    pub(in crate::aws) fn trust(value: &Value) -> Result<Self, Malformed> {
        validate::trust(value)?;
        Self::read(value)
    }

    fn read(value: &Value) -> Result<Self, Malformed> {
        let variables = value["Version"] == "2012-10-17";
        let statements: Result<Vec<_>, _> = statements(value)
            .iter()
            .map(|statement| Statement::read(statement, variables))
            .collect();
        Ok(Self(Arc::new(statements?)))
    }

    /// The resources that its statements name, as they are written.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|statement| statement.named.iter().map(String::as_str))
    }

    /// The statements that apply to a request, whoever makes it.
    pub(super) fn applicable<'a>(&'a self, context: &'a Context<'_>) -> impl Iterator<Item = &'a Statement> {
        self.0.iter().filter(move |statement| statement.applies(context))
    }

    /// What the document, principals aside, says about a request: a deny before an allow.
    #[must_use]
    pub fn effect(&self, context: &Context<'_>) -> Option<Effect> {
        self.applicable(context).map(|statement| statement.effect).min()
    }
}

impl Statement {
    fn read(statement: &Map<String, Value>, variables: bool) -> Result<Self, Malformed> {
        let effect = if statement.get("Effect") == Some(&Value::from("Deny")) {
            Effect::Deny
        } else {
            Effect::Allow
        };
        let (not_action, actions) = either(statement, "Action", "NotAction");
        let (not_resource, resources) = either(statement, "Resource", "NotResource");
        let (not_principal, principals) = match (statement.get("Principal"), statement.get("NotPrincipal")) {
            (Some(value), _) => (false, Some(value)),
            (None, other) => (true, other),
        };
        let mut conditions = Vec::new();
        for (operator, keys) in statement
            .get("Condition")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            for (key, values) in keys.as_object().into_iter().flatten() {
                let condition = Condition::parse(operator, key, &texts(values), variables);
                conditions.push(condition.ok_or_else(Malformed::syntax)?);
            }
        }
        let named = resources.map(texts).unwrap_or_default();
        let action = |text: &String| Pattern::new(text, Reading::WildcardAnyCase, variables);
        Ok(Self {
            effect,
            principals: principals.map(|value| (not_principal, principals_of(value))),
            not_action,
            actions: texts(actions.unwrap_or(&Value::Null)).iter().map(action).collect(),
            not_resource,
            resources: resources.map(|_| named.iter().map(|arn| ArnPattern::new(arn, variables)).collect()),
            named,
            conditions,
        })
    }

    fn applies(&self, context: &Context<'_>) -> bool {
        let action = self
            .actions
            .iter()
            .any(|pattern| pattern.matches(context.action(), context));
        let resource = self.resources.as_ref().is_none_or(|patterns| {
            patterns
                .iter()
                .any(|pattern| pattern.matches(context.resource(), context))
                != self.not_resource
        });
        action != self.not_action && resource && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

fn either<'a>(statement: &'a Map<String, Value>, plain: &str, negated: &str) -> (bool, Option<&'a Value>) {
    match statement.get(plain) {
        Some(value) => (false, Some(value)),
        None => (true, statement.get(negated)),
    }
}

/// The statements of a document: one object, or a list of them.
pub(super) fn statements(document: &Value) -> Vec<&Map<String, Value>> {
    match &document["Statement"] {
        Value::Object(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_object).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// A value that may be one or a list; booleans and numbers as IAM reads them, as text.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn principals_of(value: &Value) -> Vec<(PrincipalKind, String)> {
    if value == "*" {
        return vec![(PrincipalKind::Aws, "*".to_owned())];
    }
    let mut found = Vec::new();
    for (kind, names) in value.as_object().into_iter().flatten() {
        let kind = match kind.as_str() {
            "AWS" => PrincipalKind::Aws,
            "Service" => PrincipalKind::Service,
            _ => PrincipalKind::Federated,
        };
        found.extend(texts(names).into_iter().map(|name| (kind, name)));
    }
    found
}
