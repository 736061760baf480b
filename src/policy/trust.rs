//! What a trust policy says to the management role, or to a web identity, and how ours stands in it beside what others
//! wrote. Pure.

use std::collections::BTreeSet;

use super::{
    difference::is_unique_id,
    document::{Document, InvalidDocument, Principals},
    evaluate::{Asked, Asker, Known, Ruling},
    exposure::{Exposure, open_beyond},
    issued::{AUDIENCE, MANAGEMENT_ROLE, deployer_trust},
    lack::is_former,
};
use crate::domain::{
    arn::{ClusterArn, OidcProviderArn, RoleArn},
    hub::{MOORING, management_path},
};

/// The action by which a role is assumed.
pub const ASSUME_ROLE: &str = "sts:AssumeRole";

/// What a trust policy says to `sts:AssumeRole` by the management role, as Argo CD asks: no external ID, no tags. A text
/// that does not parse says nothing that could be told.
#[must_use]
pub fn lets_in(trust: &str, management_role: &RoleArn) -> Ruling {
    Document::parse(trust).map_or(Ruling::Unclear, |document| {
        as_role(management_role, ASSUME_ROLE, "", |asked| document.rules(asked))
    })
}

/// Whom the trust policy of a deployer role of this management role lets in besides, and whether it lets that one in.
#[must_use]
pub fn exposure(trust: &str, management_role: &RoleArn) -> Exposure {
    Exposure {
        open: open_beyond(trust, &deployer_trust(management_role)),
        shuts_out: lets_in(trust, management_role).refuses(),
    }
}

/// Asks for an action on another role as a session of this one, as Argo CD does; a trust policy has no resources.
pub fn as_role<T>(role: &RoleArn, action: &str, on: &str, asks: impl FnOnce(&Asked<'_>) -> T) -> T {
    as_session(role, (action, on), asks, |key| match key {
        // What Argo CD does not send.
        "sts:externalid" | "sts:sourceidentity" | "aws:sourceidentity" | "aws:multifactorauthpresent" => Known::Absent,
        _ => Known::Unknown,
    })
}

/// Whether a trust policy may let in a session of a role of this ARN, whoever makes that role and whatever they send along. A
/// text that does not parse may, and so may the name of one of its sessions.
#[must_use]
pub fn may_let_in(trust: &str, role: &RoleArn) -> bool {
    let by_session = trust.contains(&format!(":assumed-role/{}/", role.name));
    let ruling = Document::parse(trust).map_or(Ruling::Unclear, |document| {
        as_session(
            role,
            (ASSUME_ROLE, ""),
            |asked| document.rules(asked),
            |_| Known::Unknown,
        )
    });
    by_session || !ruling.refuses()
}

/// Asks for an action on something as a session of a role, of which `sent` says what it sends along.
fn as_session<T>(
    role: &RoleArn,
    (action, on): (&str, &str),
    asks: impl FnOnce(&Asked<'_>) -> T,
    sent: impl Fn(&str) -> Known,
) -> T {
    let (arn, account) = (role.to_string(), role.account.to_string());
    let by = Asker::Role {
        arn: arn.clone(),
        account: account.clone(),
    };
    asks(&Asked {
        by: &by,
        action,
        on,
        keys: &|key| match key {
            "aws:principalarn" => Known::Values(vec![arn.clone()]),
            "aws:principalaccount" => Known::Values(vec![account.clone()]),
            "aws:principaltype" => Known::Values(vec!["AssumedRole".to_owned()]),
            "aws:principalisawsservice" => Known::Values(vec!["false".to_owned()]),
            _ => sent(key),
        },
    })
}

/// What a trust policy says to `sts:AssumeRoleWithWebIdentity` with a token of this provider. Its subject and its
/// audience may each be taken as not known (`None`).
#[must_use]
pub fn rules_on_token(
    trust: &Document,
    provider: &OidcProviderArn,
    subject: Option<&str>,
    audience: Option<&str>,
) -> Ruling {
    with_token(provider, subject, audience, |asked| trust.rules(asked))
}

/// What in a trust policy refuses a token of this provider, in words ([`Document::refused_by`]).
#[must_use]
pub fn token_refused_by(trust: &Document, provider: &OidcProviderArn, subject: &str, audience: &str) -> Option<String> {
    with_token(provider, Some(subject), Some(audience), |asked| trust.refused_by(asked))
}

fn with_token<T>(
    provider: &OidcProviderArn,
    subject: Option<&str>,
    audience: Option<&str>,
    asks: impl FnOnce(&Asked<'_>) -> T,
) -> T {
    let (issuer, arn) = (provider.issuer_host_and_path.to_lowercase(), provider.to_string());
    let value = |known: Option<&str>| known.map_or(Known::Unknown, |value| Known::Values(vec![value.to_owned()]));
    asks(&Asked {
        by: &Asker::Federated(arn.clone()),
        action: "sts:AssumeRoleWithWebIdentity",
        on: "",
        keys: &|key| match key.strip_prefix(&issuer) {
            Some(":sub") => value(subject),
            Some(":aud") => value(audience),
            None if key == "aws:federatedprovider" => Known::Values(vec![arn.clone()]),
            // The keys of another issuer are not in the context of this one's tokens.
            None if key.ends_with(":sub") || key.ends_with(":aud") => Known::Absent,
            Some(_) | None => Known::Unknown,
        },
    })
}

/// What a trust policy says to the token that a pod of a service account has from the webhook of EKS. A text that does not
/// parse says nothing that could be told.
#[must_use]
pub fn lets_web_identity_in(trust: &str, provider: &OidcProviderArn, namespace: &str, service_account: &str) -> Ruling {
    let Ok(document) = Document::parse(trust) else {
        return Ruling::Unclear;
    };
    let subject = format!("system:serviceaccount:{namespace}:{service_account}");
    rules_on_token(&document, provider, Some(&subject), Some(AUDIENCE))
}

/// A trust policy without the statement of this `Sid`.
fn without(trust: &str, sid: &str) -> Result<Document, InvalidDocument> {
    let mut document = Document::parse(trust)?;
    document
        .statements
        .retain(|statement| statement.sid.as_deref() != Some(sid));
    Ok(document)
}

/// Takes out principals of whom only the unique ID is left: they let nobody in, and AWS takes no document with one (IAM
/// user guide, "AWS JSON policy elements: Principal").
fn without_ghosts(mut document: Document) -> Document {
    for statement in &mut document.statements {
        let Some(Principals::Of(kinds)) = &mut statement.principal else {
            continue;
        };
        if let Some(named) = kinds.get_mut("AWS") {
            named.retain(|principal| !is_unique_id(principal));
            if named.is_empty() {
                kinds.remove("AWS");
            }
        }
    }
    let names_nobody =
        |principal: &Option<Principals>| matches!(principal, Some(Principals::Of(kinds)) if kinds.is_empty());
    document
        .statements
        .retain(|statement| !names_nobody(&statement.principal));
    document
}

/// The trust policy with the statement that lets the management role in, beside what others wrote there. A statement of
/// ours for a management role of before is replaced.
#[must_use]
pub fn with_ours(trust: &str, management_role: &RoleArn) -> Document {
    let ours = deployer_trust(management_role);
    let Ok(mut document) = without(trust, MANAGEMENT_ROLE).map(without_ghosts) else {
        return ours;
    };
    document.statements.extend(ours.statements);
    document.version = ours.version;
    document
}

/// The role that our statement lets in, where another hub's Mooring wrote it: every management role stands under the path of
/// its hub.
#[must_use]
pub fn of_another_hub(trust: &str, hub: &ClusterArn) -> Option<RoleArn> {
    let ours = management_path(hub);
    let mut named = let_in_by_ours(trust).into_iter();
    named.find(|role| role.path.starts_with(MOORING) && role.path != ours)
}

/// The other role whose statement ours takes the place of (`with_ours`): the management role of another hub, or one of before.
#[must_use]
pub fn replaced(trust: &str, management_role: &RoleArn) -> Option<RoleArn> {
    let mut named = let_in_by_ours(trust).into_iter();
    named.find(|role| role != management_role)
}

/// The roles that statements with the `Sid` of ours let in.
fn let_in_by_ours(trust: &str) -> Vec<RoleArn> {
    let document = Document::parse(trust).ok();
    document
        .iter()
        .flat_map(|document| &document.statements)
        .filter(|statement| statement.sid.as_deref() == Some(MANAGEMENT_ROLE))
        .flat_map(|statement| statement.condition.values())
        .flatten()
        .filter(|(key, _)| key.eq_ignore_ascii_case("aws:PrincipalArn"))
        .flat_map(|(_, values)| values)
        .filter_map(|arn| arn.parse::<RoleArn>().ok())
        .collect()
}

/// What others wrote there: the trust policy without our statement, and without principals of whom only the unique ID is
/// left; `None` where nothing is left.
#[must_use]
pub fn without_ours(trust: &str) -> Option<Document> {
    let document = without_ghosts(without(trust, MANAGEMENT_ROLE).ok()?);
    (!document.statements.is_empty()).then_some(document)
}

/// Whether a statement of another's has the `Sid` of ours, in whose place ours would come: somebody else's, or the one by
/// which another management role comes in.
#[must_use]
pub fn sid_is_taken(trust: &Document, management_role: &RoleArn) -> bool {
    let wanted = deployer_trust(management_role);
    let mut named = trust
        .statements
        .iter()
        .filter(|one| one.sid.as_deref() == Some(MANAGEMENT_ROLE));
    named.any(|one| !wanted.statements.iter().any(|wanted| is_former(one, wanted)))
}

/// Whether our statement stands in a trust policy.
#[must_use]
pub fn has_ours(trust: &str) -> bool {
    let ours = |document: Document| {
        document
            .statements
            .iter()
            .any(|statement| statement.sid.as_deref() == Some(MANAGEMENT_ROLE))
    };
    Document::parse(trust).is_ok_and(ours)
}

/// The principals that others named in a trust policy and of whom only the unique ID is left.
#[must_use]
pub fn ghosts(trust: &str) -> BTreeSet<String> {
    let Ok(document) = without(trust, MANAGEMENT_ROLE) else {
        return BTreeSet::new();
    };
    let named = document
        .statements
        .into_iter()
        .filter_map(|statement| match statement.principal {
            Some(Principals::Of(mut kinds)) => kinds.remove("AWS"),
            Some(Principals::Anyone) | None => None,
        });
    named.flatten().filter(|principal| is_unique_id(principal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn management() -> RoleArn {
        "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e"
            .parse()
            .unwrap()
    }

    fn trust(principal: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"{condition}}}}}"#
        )
    }

    #[test]
    fn each_form_in_which_people_let_a_role_in_is_understood() {
        let arn = management().to_string();
        let by_condition = format!(r#","Condition":{{"ArnLike":{{"aws:PrincipalArn":"{arn}"}}}}"#);
        for (text, ruling) in [
            (trust(&format!(r#"{{"AWS":"{arn}"}}"#), ""), Ruling::AllowedByName),
            (trust(r#"{"AWS":"111111111111"}"#, ""), Ruling::AllowedToAccount),
            (
                trust(r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, &by_condition),
                Ruling::AllowedToAccount,
            ),
            (trust(r#""*""#, &by_condition), Ruling::AllowedByName),
            (
                trust(r#"{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"}"#, ""),
                Ruling::NotAllowed,
            ),
            (trust(r#"{"AWS":"AROAEXAMPLEEXAMPLE123"}"#, ""), Ruling::NotAllowed),
            (
                trust(
                    r#"{"AWS":"111111111111"}"#,
                    r#","Condition":{"StringEquals":{"sts:ExternalId":"x"}}"#,
                ),
                Ruling::NotAllowed,
            ),
            (
                trust(
                    r#"{"AWS":"111111111111"}"#,
                    r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#,
                ),
                Ruling::Unclear,
            ),
            ("not a document".to_owned(), Ruling::Unclear),
        ] {
            assert_eq!(lets_in(&text, &management()), ruling, "{text}");
        }
    }

    #[test]
    fn a_role_made_again_is_let_in_by_all_that_does_not_surely_keep_it_out() {
        let arn = management().to_string();
        let pinned = |arn: &str| {
            let condition = format!(r#","Condition":{{"ArnEquals":{{"aws:PrincipalArn":"{arn}"}}}}"#);
            trust(r#"{"AWS":"arn:aws:iam::111111111111:root"}"#, &condition)
        };
        let only_with = |key: &str| {
            let condition = format!(r#","Condition":{{"StringEquals":{{"{key}":"x"}}}}"#);
            trust(r#"{"AWS":"111111111111"}"#, &condition)
        };
        let session = r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/management-default-b949815e/argocd"}"#;
        for may in [
            "",
            "not a document",
            &deployer_trust(&management()).to_json(),
            &trust(&format!(r#"{{"AWS":"{arn}"}}"#), ""),
            &trust(r#"{"AWS":"111111111111"}"#, ""),
            &trust(r#""*""#, ""),
            &only_with("sts:ExternalId"),
            &only_with("aws:PrincipalTag/team"),
            &pinned("arn:aws:iam::111111111111:role/mooring/*"),
            &trust(session, ""),
        ] {
            assert!(may_let_in(may, &management()), "{may}");
        }
        for not in [
            &trust(r#"{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"}"#, ""),
            &trust(r#"{"AWS":"arn:aws:iam::999999999999:root"}"#, ""),
            &trust(r#"{"AWS":"AROAEXAMPLEEXAMPLE123"}"#, ""),
            &trust(r#"{"Service":"ec2.amazonaws.com"}"#, ""),
            &pinned("arn:aws:iam::111111111111:role/argocd-manager"),
            &only_with("aws:PrincipalAccount"),
        ] {
            assert!(!may_let_in(not, &management()), "{not}");
        }
    }

    #[test]
    fn a_web_identity_is_let_in_by_its_provider_and_by_nothing_else() {
        let provider: OidcProviderArn = OidcProviderArn {
            partition: management().partition,
            account: management().account,
            issuer_host_and_path: "oidc.eks.eu-west-1.amazonaws.com/id/0123".into(),
        };
        let of = |statement: &str| {
            let trust = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
            lets_web_identity_in(&trust, &provider, "argocd", "argocd-server")
        };
        let agent = r#"{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}"#;
        let web = |sub: &str| {
            format!(
                r#"{{"Effect":"Allow","Principal":{{"Federated":"{provider}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringLike":{{"oidc.eks.eu-west-1.amazonaws.com/id/0123:sub":"system:serviceaccount:{sub}"}}}}}}"#
            )
        };
        for (statement, ruling) in [
            (agent.to_owned(), Ruling::NotAllowed),
            (web("argocd:argocd-server"), Ruling::AllowedToAccount),
            (web("argocd:*"), Ruling::AllowedToAccount),
            (format!("{agent},{}", web("argocd:*")), Ruling::AllowedToAccount),
            (web("argocd:argocd-repo-server"), Ruling::NotAllowed),
            (web("argocd:*").replace("0123", "another"), Ruling::NotAllowed),
            (web("${aws:PrincipalTag/x}"), Ruling::Unclear),
            (
                format!("{},{}", web("argocd:*"), web("argocd:*").replace("Allow", "Deny")),
                Ruling::Denied,
            ),
        ] {
            assert_eq!(of(&statement), ruling, "{statement}");
        }
        assert_eq!(
            lets_web_identity_in("no document", &provider, "argocd", "argocd-server"),
            Ruling::Unclear
        );
    }

    #[test]
    fn what_is_missing_is_added_beside_what_others_wrote() {
        let theirs = trust(r#"{"AWS":"arn:aws:iam::111111111111:role/argocd-manager"}"#, "");
        let merged = with_ours(&theirs, &management());
        assert_eq!(merged.statements.len(), 2);
        assert!(!lets_in(&merged.to_json(), &management()).refuses());
        assert_eq!(
            with_ours(&merged.to_json(), &management()),
            merged,
            "and once is enough"
        );
        assert_eq!(with_ours("", &management()), deployer_trust(&management()));
        // A ghost beside others goes alone; one that was alone takes its statement with it. AWS would refuse either.
        let ghost = |principal: &str| with_ours(&trust(principal, ""), &management());
        let two = ghost(r#"{"AWS":["AROAEXAMPLEEXAMPLE123","arn:aws:iam::111111111111:role/argocd-manager"]}"#);
        assert_eq!(two.statements.len(), 2);
        assert!(two.to_json().contains("argocd-manager") && !two.to_json().contains("AROA"));
        let alone = ghost(r#"{"AWS":"AROAEXAMPLEEXAMPLE123"}"#);
        assert_eq!(alone, deployer_trust(&management()));
        assert!(
            without_ours(&merged.to_json())
                .unwrap()
                .means(&Document::parse(&theirs).unwrap())
        );
        assert_eq!(without_ours(&deployer_trust(&management()).to_json()), None);
        // And so they do where ours is taken out again.
        let beside_ours = |principal: &str| {
            let mut document = Document::parse(&trust(principal, "")).unwrap();
            document.statements.extend(deployer_trust(&management()).statements);
            document.to_json()
        };
        let two = beside_ours(r#"{"AWS":["AROAEXAMPLEEXAMPLE123","arn:aws:iam::111111111111:role/argocd-manager"]}"#);
        assert!(without_ours(&two).unwrap().means(&Document::parse(&theirs).unwrap()));
        assert_eq!(ghosts(&two), ["AROAEXAMPLEEXAMPLE123".to_owned()].into());
        assert_eq!(without_ours(&beside_ours(r#"{"AWS":"AROAEXAMPLEEXAMPLE123"}"#)), None);
        assert!(has_ours(&two) && !has_ours(&theirs) && ghosts(&theirs).is_empty());
    }

    #[test]
    fn the_statement_of_another_hub_is_told_from_ours() {
        let hub = ClusterArn {
            region: "eu-west-1".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            name: "hub".parse().unwrap(),
        };
        let of = |arn: &str| of_another_hub(&with_ours("", &arn.parse().unwrap()).to_json(), &hub);
        assert_eq!(of(&management().to_string()), None);
        let before = "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-of-before";
        assert_eq!(of(before), None, "a ManagementRole of before");
        assert_eq!(
            of("arn:aws:iam::111111111111:role/argocd"),
            None,
            "one that is no hub's"
        );
        let theirs = "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-other/management";
        assert_eq!(of(theirs).map(|arn| arn.to_string()).as_deref(), Some(theirs));
        assert_eq!(of_another_hub("no document", &hub), None);
    }
}
