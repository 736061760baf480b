//! Whom a trust policy lets in beside those whom another one does, in words. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    difference::{is_unique_id, shown},
    document::{Document, Effect, Principals, Statement, Values, canonical_principal},
};
use crate::domain::glob::glob;

/// Who may come in by a trust policy that was found and who may not, of what has to be known before what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// Whom it lets in besides ([`open_beyond`]).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub open: BTreeSet<String>,
    /// Whether it surely lets none of those in whom it is for.
    pub shuts_out: bool,
}

/// Who may come in by a trust policy that was found and not by the one that is wanted. Conditions on `aws:PrincipalArn` and
/// on a token's subject are told by their values; that there are others, or statements that deny, is told and not weighed.
/// Nobody where the text is no policy document.
#[must_use]
pub fn open_beyond(found: &str, wanted: &Document) -> BTreeSet<String> {
    let Ok(found) = Document::parse(found) else {
        return BTreeSet::new();
    };
    let let_in = |document: &Document| -> BTreeSet<String> { document.statements.iter().flat_map(let_in).collect() };
    let denies = found
        .statements
        .iter()
        .any(|statement| statement.effect == Effect::Deny);
    let unless = if denies { ", unless it denies that" } else { "" };
    let (now, then) = (let_in(&found), let_in(wanted));
    now.difference(&then).map(|who| format!("{who}{unless}")).collect()
}

/// Whom a statement lets in.
fn let_in(statement: &Statement) -> BTreeSet<String> {
    let none = BTreeSet::new();
    if statement.effect == Effect::Deny || !may_assume(statement) {
        return none;
    }
    let narrowed = |key: &str| {
        let keys = statement.condition.iter().filter(|(operator, _)| narrows(operator));
        let mut keys = keys.flat_map(|(_, keys)| keys);
        let found = keys.find(|(name, _)| name.to_ascii_lowercase().ends_with(key));
        found.map(|(_, values)| values)
    };
    // A pattern names nobody: it is told as a condition.
    let exact = |arns: &&Values| !arns.iter().any(|arn| arn.contains(['*', '?']));
    let (arns, subjects) = (narrowed(PRINCIPAL).filter(exact), narrowed(SUBJECT));
    let mut all = match &statement.principal {
        Some(Principals::Anyone) => by_arn(&["*".to_owned()].into(), arns),
        Some(Principals::Of(kinds)) => {
            let of = |kind: &str| kinds.get(kind).unwrap_or(&none);
            let services = of("Service").iter();
            let services = services.map(|service| format!("AWS service {}", shown(service)));
            let whose = subjects.map_or_else(
                || vec!["every token".to_owned()],
                |subjects| subjects.iter().map(|subject| shown(subject)).collect(),
            );
            let tokens = of("Federated").iter();
            let tokens =
                tokens.flat_map(|provider| whose.iter().map(move |whose| format!("{whose} of {}", shown(provider))));
            by_arn(of("AWS"), arns)
                .into_iter()
                .chain(services)
                .chain(tokens)
                .collect()
        }
        None => {
            let others = statement.not_principal.iter();
            others
                .map(|_| "anybody in AWS whom it does not name".to_owned())
                .collect()
        }
    };
    let keys = statement.condition.values().flat_map(BTreeMap::keys);
    let told = |key: &String| {
        let key = key.to_ascii_lowercase();
        key.ends_with(PRINCIPAL) && arns.is_some()
            || key.ends_with(SUBJECT) && subjects.is_some()
            || key.ends_with(":aud")
    };
    if keys.filter(|key| !told(key)).count() > 0 {
        all = all.iter().map(|who| format!("{who}, under its conditions")).collect();
    }
    all
}

/// The key of who asks, in small letters.
const PRINCIPAL: &str = "aws:principalarn";

/// How the key of a token's subject ends; its issuer stands before that.
const SUBJECT: &str = ":sub";

/// Whether the statement speaks of an action by which a role is assumed.
fn may_assume(statement: &Statement) -> bool {
    let by_which = [
        "sts:assumerole",
        "sts:assumerolewithwebidentity",
        "sts:assumerolewithsaml",
    ];
    let assumes = |action: &String| {
        let action = action.to_ascii_lowercase();
        by_which.iter().any(|by_which| glob(&action, by_which))
    };
    !statement.not_action.is_empty() || statement.action.iter().any(assumes)
}

/// Whether a condition with this operator holds a statement to the values that it names.
fn narrows(operator: &str) -> bool {
    let operator = operator.to_ascii_lowercase();
    let positive = [
        "stringequals",
        "stringequalsignorecase",
        "stringlike",
        "arnequals",
        "arnlike",
    ];
    positive.contains(&operator.as_str())
}

/// Principals of kind `AWS`, held to these ARNs where a condition does that.
fn by_arn(principals: &Values, narrowed: Option<&Values>) -> BTreeSet<String> {
    if let (Some(arns), false) = (narrowed, principals.is_empty()) {
        return arns.iter().map(|arn| shown(arn)).collect();
    }
    let living = principals.iter().filter(|principal| !is_unique_id(principal));
    living
        .map(|principal| match canonical_principal("AWS", principal).as_str() {
            "*" => "anybody in AWS".to_owned(),
            account if account.len() == 12 && !account.contains(':') => {
                format!("whomever account {account} lets assume it")
            }
            named => shown(named),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{arn::OidcProviderArn, name::Partition},
        policy::{deployer_trust, irsa_trust},
    };

    const MANAGEMENT: &str = "arn:aws:iam::111111111111:role/mooring/hub/management-default";

    fn open(statements: &str) -> Vec<String> {
        let wanted = deployer_trust(&MANAGEMENT.parse().unwrap());
        let found = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        open_beyond(&found, &wanted).into_iter().collect()
    }

    fn allow(principal: &str, more: &str) -> String {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"{more}}}"#)
    }

    #[test]
    fn whom_a_trust_policy_lets_in_besides_is_told_by_what_its_principals_mean() {
        // IAM user guide, "AWS JSON policy elements: Principal".
        let account = ["whomever account 111111111111 lets assume it"];
        for (principal, told) in [
            (r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, account),
            (r#"{"AWS":"111111111111"}"#, account),
            (r#"{"AWS":"*"}"#, ["anybody in AWS"]),
            (r#""*""#, ["anybody in AWS"]),
            (
                r#"{"AWS":"arn:aws:iam::333333333333:user/x"}"#,
                ["arn:aws:iam::333333333333:user/x"],
            ),
            (r#"{"Service":"ec2.amazonaws.com"}"#, ["AWS service ec2.amazonaws.com"]),
        ] {
            assert_eq!(open(&allow(principal, "")), told, "{principal}");
        }
        assert_eq!(
            open(&allow(r#"{"AWS":"AROAEXAMPLE"}"#, "")),
            [""; 0],
            "it lets nobody in"
        );
        let others = allow(r#"{"AWS":"333333333333"}"#, "").replace("Principal", "NotPrincipal");
        assert_eq!(open(&others), ["anybody in AWS whom it does not name"]);
    }

    #[test]
    fn a_condition_on_who_asks_is_told_instead_of_the_account() {
        let root = r#"{"AWS":"arn:aws:iam::111111111111:root"}"#;
        let by = |operator: &str, arn: &str| {
            open(&allow(
                root,
                &format!(r#","Condition":{{"{operator}":{{"aws:principalARN":"{arn}"}}}}"#),
            ))
        };
        let other = "arn:aws:iam::111111111111:role/other";
        assert_eq!(by("ArnLike", other), [other]);
        assert_eq!(by("StringEquals", MANAGEMENT), [""; 0], "who is let in anyway");
        let anybody = "whomever account 111111111111 lets assume it";
        assert_eq!(by("ArnLike", "*"), [format!("{anybody}, under its conditions")]);
        assert_eq!(by("ArnNotEquals", other), [format!("{anybody}, under its conditions")]);
        let external = open(&allow(root, r#","Condition":{"StringEquals":{"sts:ExternalId":"x"}}"#));
        assert_eq!(external, [format!("{anybody}, under its conditions")]);
        let denied = allow(root, "") + "," + &allow(root, "").replace("Allow", "Deny");
        assert_eq!(open(&denied), [format!("{anybody}, unless it denies that")]);
    }

    #[test]
    fn a_token_is_told_by_its_provider_and_subject() {
        let provider = "arn:aws:iam::111111111111:oidc-provider/oidc.example/id/X";
        let federated = |condition: &str| {
            let statement = allow(&format!(r#"{{"Federated":"{provider}"}}"#), condition);
            open(&statement.replace("AssumeRole", "AssumeRoleWithWebIdentity"))
        };
        assert_eq!(federated(""), [format!("every token of {provider}")]);
        let subject = r#","Condition":{"StringLike":{"oidc.example/id/X:sub":"system:serviceaccount:*"}}"#;
        assert_eq!(federated(subject), [format!("system:serviceaccount:* of {provider}")]);
    }

    #[test]
    fn of_several_subjects_only_the_ones_beyond_are_told() {
        let provider = OidcProviderArn {
            partition: Partition::Aws,
            account: "111111111111".parse().unwrap(),
            issuer_host_and_path: "oidc.eks.eu-west-1.amazonaws.com/id/3985F804CEEBDFA4BEC11CDA080E685E".to_owned(),
        };
        let trust = |accounts: &[&str]| {
            let accounts: Vec<_> = accounts.iter().map(|name| name.parse().unwrap()).collect();
            irsa_trust(&provider, &"argocd".parse().unwrap(), &accounts)
        };
        let wanted = trust(&["a", "b", "c"]);
        let beyond = |found: &Document| open_beyond(&found.to_json(), &wanted);
        assert_eq!(beyond(&trust(&["a", "b"])), BTreeSet::new(), "less is no more");
        let apart = [trust(&["a"]), trust(&["b", "c"])].map(|document| document.statements);
        assert_eq!(
            beyond(&Document::new(apart.concat())),
            BTreeSet::new(),
            "it means the same"
        );
        let told = [format!("system:serviceaccount:argocd:evil of {provider}")];
        assert_eq!(beyond(&trust(&["a", "b", "c", "evil"])), told.into());
    }

    #[test]
    fn what_lets_nobody_assume_the_role_is_not_told() {
        let all = r#"{"AWS":"*"}"#;
        for (action, told) in [
            ("sts:TagSession", false),
            ("iam:GetRole", false),
            ("sts:AssumeRole", true),
            ("STS:assume*", true),
            ("sts:*", true),
            ("*", true),
        ] {
            let statement = allow(all, "").replace("sts:AssumeRole", action);
            assert_eq!(open(&statement).len(), usize::from(told), "{action}");
            assert_eq!(open(&statement.replace("Allow", "Deny")), [""; 0], "{action}");
        }
        let but = allow(all, "").replace(r#""Action":"sts:AssumeRole""#, r#""NotAction":"sts:TagSession""#);
        assert_eq!(open(&but), ["anybody in AWS"]);
        assert_eq!(open_beyond("no document", &Document::new(Vec::new())), BTreeSet::new());
    }
}
