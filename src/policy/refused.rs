//! Which statement of a document refuses a request, and by what, in words. Told to people, so it is bounded and fit for a
//! terminal, as [`super::Difference`] is. Pure.

use super::{
    difference::{is_unique_id, list, shown, statement_in_words},
    document::{Document, Effect, Principals, Statement, Values},
    evaluate::{Asked, Asker, Demand, Known, Ruling},
};

/// How many statements are told.
const TOLD: usize = 2;

impl Document {
    /// What in this document refuses a request: the statements that deny it, or else those for whoever asks that
    /// come nearest to allowing it, each with what of it does not hold. A statement goes by its `Sid`, or else by its number. `None` where the
    /// document does not surely refuse it.
    #[must_use]
    pub fn refused_by(&self, asked: &Asked<'_>) -> Option<String> {
        match self.rules(asked) {
            Ruling::Denied => Some(self.denials(asked)),
            Ruling::NotAllowed => Some(self.nearest(asked)),
            Ruling::AllowedToAccount | Ruling::AllowedByName | Ruling::Unclear => None,
        }
    }

    fn of(&self, effect: Effect) -> impl Iterator<Item = (String, &Statement)> {
        let all = self.statements.iter().enumerate();
        all.filter(move |(_, statement)| statement.effect == effect)
            .map(|(at, statement)| (label(at, statement), statement))
    }

    fn denials(&self, asked: &Asked<'_>) -> String {
        let denials = self.of(Effect::Deny);
        let applying = denials.filter(|(_, statement)| statement.surely_applies(asked));
        some(
            applying
                .map(|(label, statement)| statement_in_words(&label, statement))
                .collect(),
        )
    }

    /// The statements for whoever asks that come nearest. What others are let in by is no way for him, however near.
    fn nearest(&self, asked: &Asked<'_>) -> String {
        let unmet = self
            .of(Effect::Allow)
            .map(|(label, statement)| (label, statement, statement.unmet(asked)));
        let about: Vec<_> = unmet.filter(|(_, _, unmet)| !unmet.contains(&Demand::Action)).collect();
        if about.is_empty() {
            return format!("no statement of it allows {}", asked.action);
        }
        let for_asker = || about.iter().filter(|(_, _, unmet)| !unmet.contains(&Demand::Principal));
        let Some(least) = for_asker().map(|(_, _, unmet)| unmet.len()).min() else {
            let gone = about.iter().filter(|(_, statement, _)| names_gone(statement));
            let gone = gone.map(|(label, statement, _)| format!("{label} lets in {}", lets_in(statement)));
            let gone = some(gone.collect());
            let sep = if gone.is_empty() { "" } else { "; " };
            return format!("no statement of it lets in {}{sep}{gone}", shown(who(asked.by)));
        };
        let nearest = for_asker().filter(|(_, _, unmet)| unmet.len() == least);
        some(
            nearest
                .map(|(label, statement, unmet)| {
                    let why: Vec<String> = unmet.iter().map(|demand| lacks(statement, *demand, asked)).collect();
                    format!("{label} {}", why.join(", and "))
                })
                .collect(),
        )
    }
}

fn who(asker: &Asker) -> &str {
    let (Asker::Role { arn, .. } | Asker::Federated(arn)) = asker;
    arn
}

/// Whether a statement names a principal that was deleted, who may have been whoever asks.
fn names_gone(statement: &Statement) -> bool {
    let Some(Principals::Of(kinds)) = &statement.principal else {
        return false;
    };
    kinds.get("AWS").into_iter().flatten().any(|named| is_unique_id(named))
}

fn lets_in(statement: &Statement) -> String {
    statement.principal.as_ref().map_or_else(String::new, principals)
}

fn label(at: usize, statement: &Statement) -> String {
    match &statement.sid {
        Some(sid) => format!("statement {}", shown(sid)),
        None => format!("statement number {}", at + 1),
    }
}

fn some(told: Vec<String>) -> String {
    let more = told.len().saturating_sub(TOLD);
    let words = told.into_iter().take(TOLD).collect::<Vec<_>>().join("; ");
    if more > 0 {
        format!("{words}; and {more} more like it")
    } else {
        words
    }
}

/// What of a statement does not hold, as the end of a sentence about it.
fn lacks(statement: &Statement, demand: Demand<'_>, asked: &Asked<'_>) -> String {
    match demand {
        Demand::Principal => format!("lets in {}, and not {}", lets_in(statement), shown(who(asked.by))),
        Demand::Action => format!("is not for {}", asked.action),
        Demand::Resource if statement.resource.is_empty() => {
            format!("leaves out {}", list("NotResource", &statement.not_resource))
        }
        Demand::Resource => format!("is for {}", list("Resource", &statement.resource)),
        Demand::Condition { operator, key, wanted } => {
            let condition = format!("Condition {} {}", shown(operator), shown(key));
            let has = match asked.known(key) {
                Known::Values(values) => list(&condition, &values.into_iter().collect::<Values>()),
                Known::Absent | Known::Unknown => "none".to_owned(),
            };
            format!(
                "has {condition} {}, and the request has {has}",
                list(&condition, wanted)
            )
        }
    }
}

fn principals(principals: &Principals) -> String {
    match principals {
        Principals::Anyone => "anyone".to_owned(),
        Principals::Of(kinds) if kinds.values().all(Values::is_empty) => "nobody".to_owned(),
        Principals::Of(kinds) => {
            let one = |(kind, values): (&String, &Values)| list(&format!("Principal {kind}"), values);
            kinds.iter().map(one).collect::<Vec<_>>().join(" and ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::evaluate::asking::{PROVIDER, ROLE, as_management_role, as_web_identity};

    fn told(statements: &str) -> Option<String> {
        as_management_role(statements, Document::refused_by)
    }

    fn trust(sid: &str, principal: &str, condition: &str) -> String {
        format!(
            r#"{{{sid}"Effect":"Allow","Principal":{principal},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{condition}}}"#
        )
    }

    const OURS: &str = r#""Sid":"ManagementRole","#;
    const ROOT: &str = r#"{"AWS":"arn:aws:iam::111111111111:root"}"#;
    const PINNED: &str = r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/mooring/h/m"}}"#;

    #[test]
    fn the_statement_and_what_of_it_does_not_hold_are_named() {
        for (statements, words) in [
            (
                trust(
                    OURS,
                    ROOT,
                    r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/mooring/h/m"},"StringEquals":{"sts:ExternalId":"hunter2"}}"#,
                ),
                "statement ManagementRole has Condition StringEquals sts:ExternalId a value that is not shown, and the request \
                 has none",
            ),
            (
                trust(
                    "",
                    ROOT,
                    r#"{"ArnLike":{"AWS:PrincipalArn":"arn:aws:iam::111111111111:role/other*"}}"#,
                ),
                "statement number 1 has Condition ArnLike AWS:PrincipalArn arn:aws:iam::111111111111:role/other*, and the \
                 request has arn:aws:iam::111111111111:role/mooring/h/m",
            ),
            (
                trust(OURS, r#"{"AWS":"AROAEXAMPLEEXAMPLE123"}"#, "{}"),
                "no statement of it lets in arn:aws:iam::111111111111:role/mooring/h/m; statement ManagementRole lets in \
                 AROAEXAMPLEEXAMPLE123 (all that is left of a role or user that was deleted)",
            ),
            (
                format!(
                    "{},{}",
                    r#"{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"Bool":{"sts:ExternalId":"x"}}}"#,
                    trust("", r#"{"AWS":"arn:aws:iam::333333333333:root"}"#, PINNED)
                ),
                "no statement of it lets in arn:aws:iam::111111111111:role/mooring/h/m",
            ),
            (
                // The one for somebody else lacks less, and is no way for us.
                format!(
                    "{},{}",
                    trust("", r#"{"AWS":"arn:aws:iam::333333333333:root"}"#, "{}"),
                    trust(
                        OURS,
                        ROOT,
                        r#"{"StringEquals":{"sts:ExternalId":"hunter2"},"Bool":{"sts:ExternalId":"x"}}"#
                    )
                ),
                "statement ManagementRole has Condition Bool sts:ExternalId a value that is not shown, and the request has \
                 none, and has Condition StringEquals sts:ExternalId a value that is not shown, and the request has none",
            ),
            (
                format!(
                    "{},{}",
                    trust(OURS, ROOT, PINNED).replace("sts:AssumeRole\",\"", ""),
                    trust(OURS, ROOT, PINNED).replace("sts:AssumeRole\",\"", "")
                ),
                "no statement of it allows sts:AssumeRole",
            ),
            (String::new(), "no statement of it allows sts:AssumeRole"),
            (
                format!(
                    r#"{},{{"Effect":"Deny","Principal":"*","Action":"*","Condition":{{"ArnEquals":{{"aws:PrincipalArn":"{ROLE}"}}}}}}"#,
                    trust(OURS, ROOT, PINNED)
                ),
                "statement number 2: Deny * to anyone where ArnEquals aws:PrincipalArn is arn:aws:iam::111111111111:role/mooring/h/m",
            ),
            (
                r#"{"Sid":"A","Effect":"Allow","Action":"sts:*","Resource":"arn:aws:iam::333333333333:role/*"}"#
                    .to_owned(),
                "statement A is for arn:aws:iam::333333333333:role/*",
            ),
            (
                r#"{"Sid":"A","Effect":"Allow","Action":"sts:*","NotResource":"arn:aws:iam::222222222222:role/*"}"#
                    .to_owned(),
                "statement A leaves out arn:aws:iam::222222222222:role/*",
            ),
        ] {
            assert_eq!(told(&statements).as_deref(), Some(words), "{statements}");
        }
    }

    #[test]
    fn of_several_providers_the_statement_for_the_one_that_asks_is_told() {
        let statement = |provider: &str, sub: &str| {
            format!(
                r#"{{"Effect":"Allow","Principal":{{"Federated":"{provider}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringEquals":{{"oidc.example.com/id/1:sub":"{sub}","oidc.example.com/id/1:aud":"x"}}}}}}"#
            )
        };
        let another = PROVIDER.replace("/1", "/2");
        let subject = "system:serviceaccount:argocd:argocd-server";
        let told = |statements: &str| as_web_identity(statements, subject, Document::refused_by).unwrap();
        // That of the other provider differs in the provider and the audience, ours in the audience and the subject.
        let both = format!("{},{}", statement(&another, subject), statement(PROVIDER, "another"));
        let words = told(&both);
        assert!(
            words.starts_with("statement number 2 has Condition StringEquals oidc.example.com/id/1:aud x,")
                && !words.contains(&another),
            "{words}"
        );
        assert_eq!(
            told(&statement(&another, subject)),
            format!("no statement of it lets in {PROVIDER}")
        );
    }

    #[test]
    fn nothing_is_told_where_it_is_not_sure() {
        assert_eq!(told(&trust(OURS, ROOT, PINNED)), None);
        let unclear = r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#;
        assert_eq!(told(&trust(OURS, ROOT, unclear)), None);
    }

    #[test]
    fn it_is_bounded_and_shows_no_secret() {
        let long = "x".repeat(1000);
        let one = trust(
            &format!(r#""Sid":"a\u001b[31m{long}","#),
            ROOT,
            r#"{"StringEquals":{"sts:ExternalId":"hunter2"}}"#,
        );
        let words = told(&vec![one; 20].join(",")).unwrap();
        assert!(words.ends_with("; and 18 more like it"), "{words}");
        assert!(
            words.chars().all(|c| !c.is_control()) && !words.contains("hunter2") && words.len() < 1000,
            "{words}"
        );
    }
}
