//! What a policy document says to one request, as far as can be known from outside: who asks, for what, and those keys
//! of the request that are known. What is not known makes the answer [`Ruling::Unclear`], never a guess.
//!
//! AWS's own logic is that of the IAM user guide, "Policy evaluation logic": an explicit deny wins, an allow is needed.

use super::document::{Document, Effect, Principals, Statement, Values};
use crate::domain::glob::glob;

/// Whether something holds, where not everything is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }

    /// All of them.
    fn all(of: impl IntoIterator<Item = Self>) -> Self {
        of.into_iter().fold(Self::Yes, |all, one| match (all, one) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        })
    }

    /// At least one of them.
    fn any(of: impl IntoIterator<Item = Self>) -> Self {
        Self::all(of.into_iter().map(Self::not)).not()
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A session of a role.
    Role {
        /// The role's ARN, path included: what `aws:PrincipalArn` holds for its sessions.
        arn: String,
        /// The role's account.
        account: String,
    },
    /// A token of an OIDC provider, by the provider's ARN.
    Federated(String),
}

/// What is known of a key of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its values.
    Values(Vec<String>),
    /// The request does not have it.
    Absent,
    /// It cannot be told from here.
    Unknown,
}

/// A request.
pub struct Asked<'a> {
    /// Who asks; not looked at in an identity policy or a boundary, which have no principals.
    pub by: &'a Asker,
    /// The action, `sts:AssumeRole`.
    pub action: &'a str,
    /// The ARN that it acts on; not looked at in a trust policy, which has no resources.
    pub on: &'a str,
    /// The keys of the request; they are asked for in lower case.
    pub keys: &'a dyn Fn(&str) -> Known,
}

impl Asked<'_> {
    /// What is known of a key, as a document writes it.
    pub(super) fn known(&self, key: &str) -> Known {
        (self.keys)(&key.to_ascii_lowercase())
    }
}

/// One thing that a statement asks of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand<'a> {
    /// To be asked by whom it names.
    Principal,
    /// To be asked for its actions.
    Action,
    /// To be asked for its resources.
    Resource,
    /// One key under one operator.
    Condition {
        /// The operator.
        operator: &'a str,
        /// The key, as the document writes it.
        key: &'a str,
        /// The values.
        wanted: &'a Values,
    },
}

/// What a document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// A statement allows it, to whom the account lets.
    AllowedToAccount,
    /// A statement allows it, and names the asker itself, or anybody.
    AllowedByName,
    /// A statement denies it.
    Denied,
    /// No statement allows it.
    NotAllowed,
    /// That depends on what is not known.
    Unclear,
}

impl Ruling {
    /// Whether it surely stands in the way.
    #[must_use]
    pub fn refuses(self) -> bool {
        matches!(self, Self::Denied | Self::NotAllowed)
    }
}

impl Document {
    /// What this document says to a request.
    #[must_use]
    pub fn rules(&self, asked: &Asked<'_>) -> Ruling {
        let (mut denied, mut allowed, mut by_name) = (Truth::No, Truth::No, false);
        for statement in &self.statements {
            let (named, applies) = statement.applies(asked);
            match statement.effect {
                Effect::Deny => denied = Truth::any([denied, applies]),
                Effect::Allow => {
                    by_name |= named && applies == Truth::Yes;
                    allowed = Truth::any([allowed, applies]);
                }
            }
        }
        match (denied, allowed) {
            (Truth::Yes, _) => Ruling::Denied,
            (_, Truth::No) => Ruling::NotAllowed,
            (Truth::Unknown, _) | (_, Truth::Unknown) => Ruling::Unclear,
            (Truth::No, Truth::Yes) if by_name => Ruling::AllowedByName,
            (Truth::No, Truth::Yes) => Ruling::AllowedToAccount,
        }
    }
}

impl Statement {
    /// Whether it names the asker itself, and whether it applies.
    fn applies(&self, asked: &Asked<'_>) -> (bool, Truth) {
        let (named, demands) = self.demands(asked);
        (named, Truth::all(demands.into_iter().map(|(_, holds)| holds)))
    }

    /// Whether it surely applies.
    pub(super) fn surely_applies(&self, asked: &Asked<'_>) -> bool {
        self.applies(asked).1 == Truth::Yes
    }

    /// What of it surely does not hold for the request.
    pub(super) fn unmet(&self, asked: &Asked<'_>) -> Vec<Demand<'_>> {
        let demands = self.demands(asked).1.into_iter();
        let unmet = demands.filter(|(_, holds)| *holds == Truth::No);
        unmet.map(|(demand, _)| demand).collect()
    }

    /// Whether it names the asker itself, and what it asks of a request, each with whether that holds.
    fn demands(&self, asked: &Asked<'_>) -> (bool, Vec<(Demand<'_>, Truth)>) {
        let (named, principal) = match (&self.principal, &self.not_principal) {
            (Some(principals), None) => principals.hold(asked.by),
            (None, None) => (false, Truth::Yes),
            (_, Some(_)) => (false, Truth::Unknown),
        };
        let action = one_of(&self.action, &self.not_action, |pattern| {
            Truth::of(glob(&pattern.to_ascii_lowercase(), &asked.action.to_ascii_lowercase()))
        });
        let resource = one_of(&self.resource, &self.not_resource, |pattern| {
            text_matches(pattern, |pattern| arn_glob(pattern, asked.on))
        });
        let conditions = self.condition.iter().flat_map(|(operator, keys)| {
            keys.iter().map(move |(key, wanted)| {
                let holds = condition(operator, &asked.known(key), wanted);
                (Demand::Condition { operator, key, wanted }, holds)
            })
        });
        let elements = [
            (Demand::Principal, principal),
            (Demand::Action, action),
            (Demand::Resource, resource),
        ];
        (named, elements.into_iter().chain(conditions).collect())
    }
}

/// `Element` or `NotElement`; a statement has at most one of the two, and one that has neither is not held by it.
fn one_of(element: &Values, not_element: &Values, matches: impl Fn(&str) -> Truth) -> Truth {
    match (element.is_empty(), not_element.is_empty()) {
        (true, true) => Truth::Yes,
        (false, _) => Truth::any(element.iter().map(|pattern| matches(pattern))),
        (true, false) => Truth::any(not_element.iter().map(|pattern| matches(pattern))).not(),
    }
}

impl Principals {
    /// Whether they name the asker itself, and whether they hold it at all.
    fn hold(&self, asker: &Asker) -> (bool, Truth) {
        let kinds = match self {
            Self::Anyone => return (true, Truth::Yes),
            Self::Of(kinds) => kinds,
        };
        let of = |kind: &str| kinds.get(kind).into_iter().flatten();
        match asker {
            Asker::Federated(provider) => (false, Truth::of(of("Federated").any(|named| named == provider))),
            Asker::Role { arn, account } => {
                // A unique ID is the trace of a principal that is gone, and holds nobody.
                let by_name = of("AWS").any(|named| named == "*" || named == arn);
                let root = format!(":iam::{account}:root");
                let by_account = of("AWS").any(|named| named == account || named.ends_with(&root));
                (by_name, Truth::of(by_name || by_account))
            }
        }
    }
}

/// One key under one operator (IAM user guide, "IAM JSON policy elements: Condition operators").
fn condition(operator: &str, known: &Known, wanted: &Values) -> Truth {
    let (for_all, operator) = match operator.split_once(':') {
        Some(("ForAllValues", operator)) => (true, operator),
        Some(("ForAnyValue", operator)) => (false, operator),
        Some(_) => return Truth::Unknown,
        None => (false, operator),
    };
    let (if_exists, operator) = operator
        .strip_suffix("IfExists")
        .map_or((false, operator), |operator| (true, operator));
    if operator == "Null" {
        return match known {
            Known::Unknown => Truth::Unknown,
            Known::Absent => Truth::of(wanted.contains("true")),
            Known::Values(_) => Truth::of(wanted.contains("false")),
        };
    }
    let negated = operator.contains("Not");
    let values = match known {
        Known::Unknown => return Truth::Unknown,
        Known::Absent => return Truth::of(if_exists || for_all || negated),
        Known::Values(values) => values,
    };
    let compare: fn(&str, &str) -> bool = match operator.replace("Not", "").as_str() {
        "StringEquals" => |pattern, value| pattern == value,
        "StringEqualsIgnoreCase" | "Bool" => |pattern, value| pattern.eq_ignore_ascii_case(value),
        "StringLike" => glob,
        "ArnEquals" | "ArnLike" => arn_glob,
        _ => return Truth::Unknown,
    };
    let one = |value: &String| {
        let any = Truth::any(
            wanted
                .iter()
                .map(|pattern| text_matches(pattern, |pattern| compare(pattern, value))),
        );
        if negated { any.not() } else { any }
    };
    if for_all {
        Truth::all(values.iter().map(one))
    } else {
        Truth::any(values.iter().map(one))
    }
}

/// A pattern with a policy variable is not known to match, nor not to.
fn text_matches(pattern: &str, matches: impl Fn(&str) -> bool) -> Truth {
    if pattern.contains("${") {
        Truth::Unknown
    } else {
        Truth::of(matches(pattern))
    }
}

/// ARNs are compared part by part: a wildcard does not reach over a colon of the first five (IAM user guide, "Amazon
/// Resource Name (ARN) condition operators").
fn arn_glob(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| glob(pattern, part))
}

/// Who asks in the tests of what documents say.
#[cfg(test)]
pub(super) mod asking {
    use super::*;

    /// The management role that asks.
    pub(crate) const ROLE: &str = "arn:aws:iam::111111111111:role/mooring/h/m";

    /// The deployer role that it asks for.
    const DEPLOYER: &str = "arn:aws:iam::222222222222:role/mooring/h/default/prod-1";

    /// The provider of the web identity that asks.
    pub(crate) const PROVIDER: &str = "arn:aws:iam::111111111111:oidc-provider/oidc.example.com/id/1";

    fn document(statements: &str) -> Document {
        Document::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)).unwrap()
    }

    /// What is made of these statements and the management role, of which the name and that it has no external ID are
    /// known.
    pub(crate) fn as_management_role<T>(statements: &str, of: impl FnOnce(&Document, &Asked<'_>) -> T) -> T {
        let by = Asker::Role {
            arn: ROLE.to_owned(),
            account: "111111111111".to_owned(),
        };
        let asked = Asked {
            by: &by,
            action: "sts:AssumeRole",
            on: DEPLOYER,
            keys: &|key| match key {
                "aws:principalarn" => Known::Values(vec![ROLE.to_owned()]),
                "sts:externalid" => Known::Absent,
                _ => Known::Unknown,
            },
        };
        of(&document(statements), &asked)
    }

    /// The same of a web identity with this subject, for AWS's own audience.
    pub(crate) fn as_web_identity<T>(
        statements: &str,
        subject: &str,
        of: impl FnOnce(&Document, &Asked<'_>) -> T,
    ) -> T {
        let asked = Asked {
            by: &Asker::Federated(PROVIDER.to_owned()),
            action: "sts:AssumeRoleWithWebIdentity",
            on: "",
            keys: &|key| match key {
                "oidc.example.com/id/1:sub" => Known::Values(vec![subject.to_owned()]),
                "oidc.example.com/id/1:aud" => Known::Values(vec!["sts.amazonaws.com".to_owned()]),
                _ => Known::Unknown,
            },
        };
        of(&document(statements), &asked)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        asking::{ROLE, as_management_role},
        *,
    };

    fn rules(statements: &str) -> Ruling {
        as_management_role(statements, Document::rules)
    }

    #[test]
    fn identity_policies_are_held_by_action_and_resource() {
        for (statement, ruling) in [
            (
                r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::222222222222:role/mooring/h/default/*"}"#,
                Ruling::AllowedToAccount,
            ),
            (
                r#"{"Effect":"Allow","Action":"STS:assume*","Resource":"*"}"#,
                Ruling::AllowedToAccount,
            ),
            (
                r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#,
                Ruling::AllowedToAccount,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::333333333333:role/*"}"#,
                Ruling::NotAllowed,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:TagSession","Resource":"*"}"#,
                Ruling::NotAllowed,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:*","NotResource":"arn:aws:iam::222222222222:role/*"}"#,
                Ruling::NotAllowed,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*"}"#,
                Ruling::Denied,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:*","Resource":"arn:aws:iam::222222222222:role/${aws:username}"}"#,
                Ruling::Unclear,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}"#,
                Ruling::Unclear,
            ),
            (
                r#"{"Effect":"Allow","Action":"sts:*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}"#,
                Ruling::Unclear,
            ),
            ("", Ruling::NotAllowed),
        ] {
            assert_eq!(rules(statement), ruling, "{statement}");
        }
    }

    #[test]
    fn trust_policies_are_held_by_principal_and_condition() {
        let trust = |principal: &str, condition: &str| {
            rules(&format!(
                r#"{{"Effect":"Allow","Principal":{principal},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{condition}}}"#
            ))
        };
        let root = r#"{"AWS":"arn:aws:iam::111111111111:root"}"#;
        let pinned = format!(r#"{{"ArnEquals":{{"aws:PrincipalArn":"{ROLE}"}}}}"#);
        for (principal, condition, ruling) in [
            (root, pinned.as_str(), Ruling::AllowedToAccount),
            (r#"{"AWS":"111111111111"}"#, &pinned, Ruling::AllowedToAccount),
            (&format!(r#"{{"AWS":"{ROLE}"}}"#), "{}", Ruling::AllowedByName),
            (r#""*""#, &pinned, Ruling::AllowedByName),
            (r#"{"AWS":"AROAEXAMPLEEXAMPLE123"}"#, "{}", Ruling::NotAllowed),
            (
                r#"{"AWS":"arn:aws:iam::333333333333:root"}"#,
                &pinned,
                Ruling::NotAllowed,
            ),
            (
                root,
                r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/other"}}"#,
                Ruling::NotAllowed,
            ),
            (
                root,
                r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/mooring/*"}}"#,
                Ruling::AllowedToAccount,
            ),
            (
                root,
                r#"{"StringEquals":{"sts:ExternalId":"shared"}}"#,
                Ruling::NotAllowed,
            ),
            (
                root,
                r#"{"StringEqualsIfExists":{"sts:ExternalId":"shared"}}"#,
                Ruling::AllowedToAccount,
            ),
            (root, r#"{"Null":{"sts:ExternalId":"false"}}"#, Ruling::NotAllowed),
            (
                root,
                r#"{"NumericLessThan":{"aws:MultiFactorAuthAge":"1"}}"#,
                Ruling::Unclear,
            ),
        ] {
            assert_eq!(trust(principal, condition), ruling, "{principal} {condition}");
        }
    }
}
