//! How a document that was found differs from the one wanted, in words: what must be taken away and what added. Told to
//! people in events, conditions and plans, so everything is bounded, and nothing that somebody wrote into a policy can
//! reach a terminal as anything but text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Serialize, Serializer};

use super::document::{Document, Effect, Principals, Statement, Values, canonical_principal, canonical_principals};
use crate::text::on_one_line;

/// How much of one value is shown, in characters.
const VALUE_LIMIT: usize = 160;
/// How much is told in brief of a difference that there is no room for, in characters.
const BRIEF: usize = 160;
/// How many values of one element are shown.
const VALUES_LIMIT: usize = 6;

/// One thing to change about a document. Shown, and serialised, as the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// What was found is no policy document at all.
    Unreadable,
    /// The language version.
    Version {
        /// As found.
        found: Option<String>,
        /// As wanted.
        wanted: Option<String>,
    },
    /// A statement that is not wanted.
    Surplus(Statement),
    /// A statement that is wanted and not there.
    Missing(Statement),
    /// One element of a statement that both have, by its `Sid`.
    Element {
        /// The statement's `Sid`.
        sid: String,
        /// The element, with the kind of principal or with operator and key: `Principal AWS`, `Action`.
        element: String,
        /// Values that are not wanted.
        surplus: Values,
        /// Values that are wanted and not there.
        missing: Values,
    },
}

/// What must change about a document to make it the one wanted; nothing exactly when both mean the same.
#[must_use]
pub fn differences(found: &Document, wanted: &Document) -> Vec<Difference> {
    let mut all = Vec::new();
    if found.version != wanted.version {
        all.push(Difference::Version {
            found: found.version.clone(),
            wanted: wanted.version.clone(),
        });
    }
    let canonical = |document: &Document| -> BTreeMap<Statement, Statement> {
        let statements = document.statements.iter();
        statements.map(|one| (one.canonical(), one.clone())).collect()
    };
    let (in_found, in_wanted) = (canonical(found), canonical(wanted));
    let beyond = |these: &BTreeMap<Statement, Statement>, those: &BTreeMap<Statement, Statement>| -> Vec<Statement> {
        let these = these.iter().filter(|(meaning, _)| !those.contains_key(meaning));
        these.map(|(_, statement)| statement.clone()).collect()
    };
    let mut missing = beyond(&in_wanted, &in_found);
    for statement in beyond(&in_found, &in_wanted) {
        let twin = missing
            .iter()
            .position(|other| other.sid.is_some() && other.sid == statement.sid);
        let changed = twin.map_or_else(Vec::new, |at| changes(&statement, &missing[at]));
        if let Some(at) = twin.filter(|_| !changed.is_empty()) {
            missing.remove(at);
            all.extend(changed);
        } else {
            all.push(Difference::Surplus(statement));
        }
    }
    all.extend(missing.into_iter().map(Difference::Missing));
    all
}

/// The same for a text as IAM gives it.
#[must_use]
pub fn differences_of(found: &str, wanted: &Document) -> Vec<Difference> {
    Document::parse(found).map_or_else(|_| vec![Difference::Unreadable], |found| differences(&found, wanted))
}

/// All of them in a row, at most about `limit` characters: of what does not fit is told in brief whom it is about, and
/// where that does not fit either, it is counted. What is missing comes first: whoever needs it is kept out.
#[must_use]
pub fn in_words(differences: &[Difference], limit: usize) -> String {
    let length = |text: &str| text.chars().count();
    let mut sorted: Vec<&Difference> = differences.iter().collect();
    sorted.sort_by_key(|difference| !matches!(difference, Difference::Missing(_)));
    let mut words = String::new();
    for (told, difference) in sorted.into_iter().enumerate() {
        let mut one = cut(&difference.to_string(), limit);
        if told > 0 && length(&words) + length(&one) > limit {
            one = cut(one.split(" where ").next().unwrap_or_default(), BRIEF);
        }
        if told > 0 && length(&words) + length(&one) > limit + BRIEF {
            return format!("{words}, and {} more", differences.len() - told);
        }
        if told > 0 {
            words.push_str(", ");
        }
        words.push_str(&one);
    }
    words
}

impl Difference {
    /// Unique IDs that are to be taken away as principals: what is left of roles and users that were deleted.
    #[must_use]
    pub fn ghosts(&self) -> BTreeSet<String> {
        let ghosts = |values: &Values| values.iter().filter(|value| is_unique_id(value)).cloned().collect();
        match self {
            Self::Surplus(statement) => match &statement.principal {
                Some(Principals::Of(kinds)) => kinds.get("AWS").map(ghosts).unwrap_or_default(),
                Some(Principals::Anyone) | None => BTreeSet::new(),
            },
            Self::Element { element, surplus, .. } if element == "Principal AWS" => ghosts(surplus),
            Self::Unreadable | Self::Version { .. } | Self::Missing(_) | Self::Element { .. } => BTreeSet::new(),
        }
    }
}

/// Whether a principal is shown as the unique ID of a role or a user: whoever it was is gone, and a role made anew under
/// the same name is another (IAM user guide, "AWS JSON policy elements: Principal", "IAM role principals").
#[must_use]
pub fn is_unique_id(principal: &str) -> bool {
    (principal.starts_with("AROA") || principal.starts_with("AIDA"))
        && principal.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// The elements of a statement: by name without case, the name as written, and values by what they mean.
type Elements = BTreeMap<String, (String, BTreeMap<String, String>)>;

fn elements(statement: &Statement) -> Elements {
    let mut all = Elements::new();
    let mut put = |name: String, values: Vec<(String, String)>| {
        if !values.is_empty() {
            all.insert(name.to_ascii_lowercase(), (name, values.into_iter().collect()));
        }
    };
    let as_is = |value: &String| (value.clone(), value.clone());
    let effect = effect(statement.effect).to_owned();
    put("Effect".to_owned(), vec![(effect.clone(), effect)]);
    for (element, principals) in [
        ("Principal", &statement.principal),
        ("NotPrincipal", &statement.not_principal),
    ] {
        match principals.as_ref().map(|of| (canonical_principals(of), of)) {
            Some((Principals::Of(_), Principals::Of(kinds))) => {
                for (kind, values) in kinds {
                    let one = |value: &String| (canonical_principal(kind, value), value.clone());
                    put(format!("{element} {kind}"), values.iter().map(one).collect());
                }
            }
            Some(_) => put(element.to_owned(), vec![("*".to_owned(), "*".to_owned())]),
            None => {}
        }
    }
    let lower = |value: &String| (value.to_ascii_lowercase(), value.clone());
    put("Action".to_owned(), statement.action.iter().map(lower).collect());
    put("NotAction".to_owned(), statement.not_action.iter().map(lower).collect());
    put("Resource".to_owned(), statement.resource.iter().map(as_is).collect());
    put(
        "NotResource".to_owned(),
        statement.not_resource.iter().map(as_is).collect(),
    );
    for (operator, keys) in &statement.condition {
        for (key, values) in keys {
            put(
                format!("Condition {operator} {key}"),
                values.iter().map(as_is).collect(),
            );
        }
    }
    all
}

/// Whether two of its condition keys differ in case alone, so that nobody knows which of them AWS heeds.
fn is_ambiguous(statement: &Statement) -> bool {
    let lower = |keys: &BTreeMap<String, Values>| keys.keys().map(|key| key.to_ascii_lowercase()).collect::<Values>();
    statement.condition.values().any(|keys| lower(keys).len() < keys.len())
}

/// What differs between two statements of one `Sid`; nothing where that cannot be told element by element.
fn changes(found: &Statement, wanted: &Statement) -> Vec<Difference> {
    if is_ambiguous(found) || is_ambiguous(wanted) {
        return Vec::new();
    }
    let sid = wanted.sid.clone().unwrap_or_default();
    let (found_elements, wanted_elements) = (elements(found), elements(wanted));
    let names: BTreeSet<&String> = found_elements.keys().chain(wanted_elements.keys()).collect();
    let none = (String::new(), BTreeMap::new());
    let beyond = |these: &BTreeMap<String, String>, those: &BTreeMap<String, String>| -> Values {
        let these = these.iter().filter(|(meaning, _)| !those.contains_key(*meaning));
        these.map(|(_, value)| value.clone()).collect()
    };
    let change = |name: &String| {
        let found = found_elements.get(name).unwrap_or(&none);
        let wanted = wanted_elements.get(name).unwrap_or(&none);
        let (surplus, missing) = (beyond(&found.1, &wanted.1), beyond(&wanted.1, &found.1));
        let element = if wanted.0.is_empty() { &found.0 } else { &wanted.0 };
        (!surplus.is_empty() || !missing.is_empty()).then(|| Difference::Element {
            sid: sid.clone(),
            element: element.clone(),
            surplus,
            missing,
        })
    };
    names.into_iter().filter_map(change).collect()
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: &Option<String>| version.as_deref().map_or_else(|| "none".to_owned(), shown);
        match self {
            Self::Unreadable => f.write_str("replace what is no policy document"),
            Self::Version { found, wanted } => write!(f, "set Version {} (was {})", version(wanted), version(found)),
            Self::Surplus(statement) => write!(f, "take away {}", statement_in_words(&by_sid(statement), statement)),
            Self::Missing(statement) => write!(f, "add {}", statement_in_words(&by_sid(statement), statement)),
            Self::Element {
                sid,
                element,
                surplus,
                missing,
            } => {
                write!(f, "in statement {}, {}:", shown(sid), shown(element))?;
                if !surplus.is_empty() {
                    write!(f, " take away {}", list(element, surplus))?;
                }
                if !missing.is_empty() {
                    let and = if surplus.is_empty() { "" } else { " and" };
                    write!(f, "{and} add {}", list(element, missing))?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn by_sid(statement: &Statement) -> String {
    let sid = statement.sid.as_deref().map(|sid| format!(" {}", shown(sid)));
    format!("statement{}", sid.unwrap_or_default())
}

/// `statement Sid: Allow sts:AssumeRole to arn:... where ArnEquals aws:PrincipalArn is arn:...`
pub(super) fn statement_in_words(label: &str, statement: &Statement) -> String {
    let mut words = format!("{label}: {}", effect(statement.effect));
    let mut say = |before: &str, element: &str, values: &Values| {
        if !values.is_empty() {
            words.push_str(before);
            words.push_str(&list(element, values));
        }
    };
    say(" ", "Action", &statement.action);
    say(" all but ", "NotAction", &statement.not_action);
    let anyone = Values::from(["anyone".to_owned()]);
    for (before, principals) in [
        (" to ", &statement.principal),
        (" to all but ", &statement.not_principal),
    ] {
        match principals {
            None => {}
            Some(Principals::Anyone) => say(before, "Principal", &anyone),
            Some(Principals::Of(kinds)) => {
                let mut before = before;
                for (kind, values) in kinds {
                    say(before, &format!("Principal {kind}"), values);
                    before = " and ";
                }
            }
        }
    }
    say(" on ", "Resource", &statement.resource);
    say(" on all but ", "NotResource", &statement.not_resource);
    let mut before = "where";
    for (operator, keys) in &statement.condition {
        for (key, values) in keys {
            let condition = format!("{} {}", shown(operator), shown(key));
            say(
                &format!(" {before} {condition} is "),
                &format!("Condition {condition}"),
                values,
            );
            before = "and";
        }
    }
    words
}

/// Whether an element, by its operator and key or by the key alone, holds an external ID: it belongs to whoever set it.
pub(super) fn is_external_id(element: &str) -> bool {
    let key = element.rsplit(' ').next().unwrap_or_default();
    key.eq_ignore_ascii_case("sts:ExternalId")
}

/// Values in a row. An external ID belongs to whoever set it and is not shown.
pub(super) fn list(element: &str, values: &Values) -> String {
    if is_external_id(element) {
        return "a value that is not shown".to_owned();
    }
    let one = |value: &String| match (element, is_unique_id(value)) {
        ("Principal AWS", true) => format!("{} (all that is left of a role or user that was deleted)", shown(value)),
        _ => shown(value),
    };
    let mut words: Vec<String> = values.iter().take(VALUES_LIMIT).map(one).collect();
    if values.len() > VALUES_LIMIT {
        words.push(format!("{} more", values.len() - VALUES_LIMIT));
    }
    words.join(", ")
}

/// A text that somebody else chose, fit for a terminal: without control characters, and not without end.
#[must_use]
pub fn shown(text: &str) -> String {
    cut(&on_one_line(text), VALUE_LIMIT)
}

fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let start: String = text.chars().take(limit.saturating_sub(3)).collect();
    format!("{start}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"ManagementRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/m"}}}]}"#;

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    fn words(found: &str) -> Vec<String> {
        let all = differences_of(found, &document(OURS));
        all.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn what_aws_may_rewrite_is_no_difference() {
        for (from, to) in [
            (r#""arn:aws:iam::111111111111:root""#, r#"["111111111111"]"#),
            (
                r#""sts:AssumeRole","sts:TagSession""#,
                r#""STS:tagsession","sts:assumerole""#,
            ),
            ("aws:PrincipalArn", "AWS:principalarn"),
        ] {
            assert!(words(&OURS.replace(from, to)).is_empty(), "{to}");
        }
    }

    #[test]
    fn each_change_is_told_by_what_to_take_away_and_what_to_add() {
        let beside = |statement: &str| OURS.replace(r#""Statement":["#, &format!(r#""Statement":[{statement},"#));
        for (found, told) in [
            (
                beside(
                    r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole"}"#,
                ),
                vec!["take away statement: Allow sts:AssumeRole to arn:aws:iam::999999999999:root"],
            ),
            (
                beside(r#"{"Sid":"X","Effect":"Allow","Principal":"*","Action":"*"}"#),
                vec!["take away statement X: Allow * to anyone"],
            ),
            (
                beside(
                    r#"{"Effect":"Allow","Principal":{"AWS":"AROAEXAMPLE","Service":"ec2.amazonaws.com"},"NotAction":"a:b"}"#,
                ),
                vec![
                    "take away statement: Allow all but a:b to AROAEXAMPLE (all that is left of a role or user that was deleted) and ec2.amazonaws.com",
                ],
            ),
            (
                OURS.replace("role/m", "role/evil"),
                vec![
                    "in statement ManagementRole, Condition ArnEquals aws:PrincipalArn: take away arn:aws:iam::111111111111:role/evil and add arn:aws:iam::111111111111:role/m",
                ],
            ),
            (
                OURS.replace(r#"["sts:AssumeRole","sts:TagSession"]"#, r#""sts:AssumeRole""#),
                vec!["in statement ManagementRole, Action: add sts:TagSession"],
            ),
            (
                OURS.replace("ArnEquals", "ArnLike"),
                vec![
                    "in statement ManagementRole, Condition ArnEquals aws:PrincipalArn: add arn:aws:iam::111111111111:role/m",
                    "in statement ManagementRole, Condition ArnLike aws:PrincipalArn: take away arn:aws:iam::111111111111:role/m",
                ],
            ),
            (
                OURS.replace("Allow", "Deny"),
                vec!["in statement ManagementRole, Effect: take away Deny and add Allow"],
            ),
            (
                OURS.replace("2012-10-17", "2008-10-17"),
                vec!["set Version 2012-10-17 (was 2008-10-17)"],
            ),
            ("{}".to_owned(), vec!["replace what is no policy document"]),
            (
                r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
                vec![
                    "add statement ManagementRole: Allow sts:AssumeRole, sts:TagSession to arn:aws:iam::111111111111:root where ArnEquals aws:PrincipalArn is arn:aws:iam::111111111111:role/m",
                ],
            ),
        ] {
            assert_eq!(words(&found), told);
        }
    }

    #[test]
    fn differences_are_there_exactly_when_the_documents_do_not_mean_the_same() {
        let texts = [
            OURS.to_owned(),
            OURS.replace("role/m", "role/evil"),
            OURS.replace(r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, "{}"),
            OURS.replace(r#""Principal":{"AWS":"arn:aws:iam::111111111111:root"},"#, ""),
            OURS.replace(r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, r#"{"AWS":["*"]}"#),
            OURS.replace(r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, r#""*""#),
            OURS.replace(r#""ArnEquals":"#, r#""Null":{},"ArnEquals":"#),
            OURS.replace(
                r#""aws:PrincipalArn":"#,
                r#""AWS:PrincipalArn":"x","aws:PrincipalArn":"#,
            ),
            OURS.replace(
                r#""aws:PrincipalArn":"#,
                r#""AWS:PrincipalArn":"y","aws:PrincipalArn":"#,
            ),
            OURS.replace(r#""Sid":"ManagementRole","#, ""),
            OURS.replace("ManagementRole", "Other"),
        ];
        for one in &texts {
            for other in &texts {
                let (one, other) = (document(one), document(other));
                let all = differences(&one, &other);
                assert_eq!(all.is_empty(), one.means(&other), "{one:?} {other:?} {all:?}");
            }
        }
    }

    #[test]
    fn what_is_missing_is_told_first_and_who_is_let_in_is_never_only_counted() {
        let root =
            r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}"#;
        let found = format!(r#"{{"Version":"2012-10-17","Statement":[{root}]}}"#);
        let all = differences_of(&found, &document(OURS));
        for limit in [600, 200] {
            let told = in_words(&all, limit);
            assert!(
                told.starts_with("add statement ManagementRole: ")
                    && told.ends_with("take away statement: Allow sts:AssumeRole to arn:aws:iam::111111111111:root"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_ghost_is_told_and_nobody_else() {
        let ghost = OURS.replace("arn:aws:iam::111111111111:root", "AROAEXAMPLEEXAMPLE123");
        let all = differences_of(&ghost, &document(OURS));
        let ghosts: BTreeSet<String> = all.iter().flat_map(Difference::ghosts).collect();
        assert_eq!(ghosts, ["AROAEXAMPLEEXAMPLE123".to_owned()].into());
        let other = OURS.replace("arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:role/AROA");
        let all = differences_of(&other, &document(OURS));
        assert!(all.iter().all(|difference| difference.ghosts().is_empty()));
    }

    #[test]
    fn nothing_that_somebody_wrote_there_reaches_a_terminal_or_is_without_end() {
        let long = "x".repeat(1000);
        let accounts: Vec<String> = (0..40).map(|n| format!("\"arn:aws:iam::{n:012}:root\"")).collect();
        let found = format!(
            r#"{{"Version":"2012-10-17","Statement":[
                {{"Sid":"a\u001b[31m\n","Effect":"Allow","Action":"{long}","Principal":{{"AWS":[{}]}},
                  "Condition":{{"StringEquals":{{"sts:ExternalId":"hunter2"}}}}}}]}}"#,
            accounts.join(",")
        );
        let all = differences_of(&found, &document(OURS));
        let told = in_words(&all, 4000);
        assert!(told.chars().all(|c| !c.is_control()), "{told}");
        assert!(
            told.contains("34 more") && !told.contains("hunter2") && told.len() < 1500,
            "{told}"
        );
        assert!(!serde_json::to_string(&all).unwrap().contains("hunter2"));
        let many: Vec<Difference> = std::iter::repeat_n(all[0].clone(), 30).collect();
        let told = in_words(&many, 300);
        assert!(told.ends_with(" more") && told.chars().count() < 320 + BRIEF, "{told}");
        assert_eq!(in_words(&[], 300), "");
    }
}
