//! What a trust policy lacks that somebody else keeps, as what its owner is to do about it. Pure.
//!
//! Of what others wrote there nothing is told but what has to go, in words: their conditions may hold external IDs, which
//! are for them to show.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    difference::{is_unique_id, shown},
    document::{Document, Effect, Principals, Statement},
    evaluate::Ruling,
    issued::{deployer_trust, trusts_itself},
    trust::{ASSUME_ROLE, as_role, lets_in},
};
use crate::domain::arn::RoleArn;

/// How many principals that are gone are named.
const GONE: usize = 5;

/// What a trust policy lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// The statements that deny it, in words: nothing that is added heals that.
    pub denied_by: Option<String>,
    /// Unique IDs of principals that were deleted: as long as one is named, AWS takes no new version of the document (IAM
    /// user guide, "AWS JSON policy elements: Principal").
    pub gone: BTreeSet<String>,
    /// The statement that is to be added.
    pub statement: Option<Box<Statement>>,
    /// Whether that takes the place of one of Mooring's for the same role, or for one that is gone, since no two statements
    /// may have one `Sid`.
    pub in_place: bool,
}

/// What the trust policy of a deployer role lacks to let the management role in; `None` where it may let it in.
#[must_use]
pub fn lacks(trust: &str, management_role: &RoleArn) -> Option<Lack> {
    lack(
        trust,
        management_role,
        deployer_trust(management_role).statements.pop()?,
    )
}

/// What the trust policy of a role lacks to let the role assume itself; `None` where it may.
#[must_use]
pub fn lacks_itself(trust: &str, role: &RoleArn) -> Option<Lack> {
    lack(trust, role, trusts_itself(role))
}

fn lack(trust: &str, role: &RoleArn, mut wanted: Statement) -> Option<Lack> {
    let ruling = lets_in(trust, role);
    let document = Document::parse(trust).ok().filter(|_| ruling.refuses())?;
    let denied_by = (ruling == Ruling::Denied)
        .then(|| as_role(role, ASSUME_ROLE, "", |asked| document.refused_by(asked)))
        .flatten();
    let mut allowing = document.clone();
    allowing.statements.retain(|one| one.effect == Effect::Allow);
    let missing = as_role(role, ASSUME_ROLE, "", |asked| allowing.rules(asked)).refuses();
    let twin = document.statements.iter().find(|one| one.sid == wanted.sid);
    let in_place = twin.is_some_and(|twin| is_former(twin, &wanted));
    if twin.is_some() && !in_place {
        wanted.sid = None;
    }
    Some(Lack {
        denied_by,
        gone: gone(&document),
        statement: missing.then(|| Box::new(wanted)),
        in_place,
    })
}

/// Whether a statement is one of Mooring's that lets nobody in but whom the one `wanted` does: it may go for that one. One for
/// another role is by what another Argo CD comes in, as long as nobody knows better.
pub(super) fn is_former(statement: &Statement, wanted: &Statement) -> bool {
    let bare = |of: &Statement, values_too: bool| {
        let mut of = of.canonical();
        of.principal = None;
        for values in of.condition.values_mut().flat_map(BTreeMap::values_mut) {
            if !values_too {
                values.clear();
            }
        }
        of
    };
    let dead = matches!(&statement.principal, Some(Principals::Of(kinds))
        if kinds.len() == 1 && kinds.get("AWS").is_some_and(|named| named.iter().all(|one| is_unique_id(one))));
    bare(statement, !dead) == bare(wanted, !dead)
}

fn gone(document: &Document) -> BTreeSet<String> {
    let named = document
        .statements
        .iter()
        .flat_map(|one| [&one.principal, &one.not_principal]);
    named
        .filter_map(|principals| match principals {
            Some(Principals::Of(kinds)) => kinds.get("AWS"),
            Some(Principals::Anyone) | None => None,
        })
        .flatten()
        .filter(|principal| is_unique_id(principal))
        .cloned()
        .collect()
}

impl Lack {
    /// What is to be done, after "have its owner".
    #[must_use]
    pub fn words(&self) -> String {
        let mut todo = Vec::new();
        if let Some(by) = &self.denied_by {
            todo.push(format!("take out of it what denies that ({by})"));
        }
        if !self.gone.is_empty() {
            let ids: Vec<String> = self.gone.iter().take(GONE).map(|id| shown(id)).collect();
            let more = self.gone.len() - ids.len();
            let more = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            todo.push(format!(
                "take {}{more} out of it (what is left of roles or users that were deleted: AWS takes no trust policy that names one)",
                ids.join(", ")
            ));
        }
        if let Some(statement) = &self.statement {
            let json = statement.to_json();
            todo.push(match (self.in_place, &statement.sid) {
                (true, Some(sid)) => format!(
                    "set this statement in the place of its statement {sid}, and leave all else that stands there: {json}"
                ),
                _ => format!("add this statement to its list Statement, beside all that stands there: {json}"),
            });
        }
        todo.join("; then ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "an-external-id-of-theirs";

    fn management() -> RoleArn {
        "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e"
            .parse()
            .unwrap()
    }

    fn theirs() -> Value {
        json!({
            "Sid": "Theirs", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"},
            "Condition": {"StringEquals": {"sts:ExternalId": SECRET}},
        })
    }

    fn text(statements: &[Value]) -> String {
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// What follows when an owner does what he is told.
    fn obeyed(statements: &[Value], lack: &Lack) -> Vec<Value> {
        let told: Option<Value> = lack.words().split_once(": {").map(|(_, json)| {
            let json = format!("{{{json}");
            serde_json::from_str(&json).unwrap()
        });
        let sid = lack.statement.as_ref().and_then(|statement| statement.sid.clone());
        let mut stands = statements.to_vec();
        stands.retain(|one| {
            let denies = lack.denied_by.is_some() && one["Effect"] == "Deny";
            let replaced = lack.in_place && one["Sid"] == json!(sid);
            let gone = one["Principal"]["AWS"]
                .as_str()
                .is_some_and(|who| lack.gone.contains(who));
            !(denies || replaced || gone)
        });
        stands.extend(told);
        stands
    }

    #[test]
    fn who_does_what_he_is_told_lets_the_role_in_and_is_told_nothing_of_what_others_wrote() {
        let ours = |role: &str| serde_json::to_value(&deployer_trust(&role.parse().unwrap()).statements[0]).unwrap();
        let of_another = ours("arn:aws:iam::111111111111:role/m/of-another");
        let mut of_a_ghost = of_another.clone();
        of_a_ghost["Principal"]["AWS"] = json!("AROAEXAMPLEEXAMPLE456");
        let mut of_before = ours(&management().to_string());
        of_before["Principal"]["AWS"] = json!("333333333333");
        let another_of_the_name = json!({
            "Sid": "ManagementRole", "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:iam::111111111111:role/argocd-manager"},
            "Condition": {"StringEquals": {"sts:ExternalId": SECRET}},
        });
        let ghost =
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "AROAEXAMPLEEXAMPLE123"}});
        let deny = json!({
            "Sid": "No", "Effect": "Deny", "Action": "*", "Principal": "*",
            "Condition": {"StringNotEquals": {"sts:ExternalId": SECRET}},
        });
        for (stands, says) in [
            (
                vec![],
                "add this statement to its list Statement, beside all that stands there: {",
            ),
            (vec![theirs()], "add this statement to its list Statement"),
            (
                vec![theirs(), of_before],
                "in the place of its statement ManagementRole, and leave all else",
            ),
            (
                vec![theirs(), of_a_ghost],
                "in the place of its statement ManagementRole, and leave all else",
            ),
            // By that another Argo CD comes in.
            (vec![theirs(), of_another], "add this statement to its list Statement"),
            (vec![another_of_the_name], "add this statement to its list Statement"),
            (
                vec![theirs(), ghost],
                "take AROAEXAMPLEEXAMPLE123 out of it (what is left",
            ),
            (
                vec![theirs(), deny.clone()],
                "take out of it what denies that (statement No: Deny",
            ),
            (
                vec![ours(&management().to_string()), deny],
                "take out of it what denies that",
            ),
        ] {
            let lack = lacks(&text(&stands), &management()).unwrap();
            let words = lack.words();
            assert!(words.contains(says), "{words}");
            assert!(!words.contains(SECRET) && !words.contains("argocd-manager"), "{words}");
            assert!(!serde_json::to_string(&lack).unwrap().contains(SECRET), "{lack:?}");
            let after = obeyed(&stands, &lack);
            assert_eq!(lacks(&text(&after), &management()), None, "{words}");
            // AWS takes a Sid once in a document.
            let sids: Vec<&str> = after.iter().filter_map(|one| one["Sid"].as_str()).collect();
            assert_eq!(sids.len(), sids.iter().collect::<BTreeSet<_>>().len(), "{sids:?}");
            assert!(after.len() + 1 >= stands.len(), "nobody else's goes but what has to");
        }
    }

    #[test]
    fn a_role_is_told_how_it_may_assume_itself() {
        let lack = lacks_itself(&text(&[theirs()]), &management()).unwrap();
        assert!(lack.words().contains(r#"{"Sid":"Itself""#), "{}", lack.words());
        let after = obeyed(&[theirs()], &lack);
        assert_eq!(lacks_itself(&text(&after), &management()), None);
    }

    #[test]
    fn nothing_is_lacking_where_it_is_not_sure() {
        assert_eq!(lacks("no document", &management()), None);
        assert_eq!(lacks(&deployer_trust(&management()).to_json(), &management()), None);
    }

    #[test]
    fn many_that_are_gone_are_counted() {
        let ghosts: Vec<Value> = (0..9)
            .map(|n| json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("AROAEXAMPLE{n}")}}))
            .collect();
        let words = lacks(&text(&ghosts), &management()).unwrap().words();
        assert!(
            words.starts_with("take AROAEXAMPLE0,") && words.contains("AROAEXAMPLE4 and 4 more out"),
            "{words}"
        );
    }
}
