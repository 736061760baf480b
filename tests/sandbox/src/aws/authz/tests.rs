//! The evaluation, held against the IAM user guide and against the documents that Mooring lives by.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Context, Decision, Document, Effect, evaluate};
use crate::aws::contract::{Caller, Check, RoleSession};

fn check(action: &'static str, resource: &str, context: &[(&str, &[&str])]) -> Check {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Check {
        action,
        resource: resource.to_owned(),
        context: context
            .iter()
            .map(|(key, list)| ((*key).to_owned(), values(list)))
            .collect(),
    }
}

fn caller() -> Caller {
    Caller {
        account: "111111111111".to_owned(),
        arn: "arn:aws:sts::111111111111:assumed-role/management/session".to_owned(),
        user_id: "AROAEXAMPLE:session".to_owned(),
        session: Some(RoleSession {
            role_arn: "arn:aws:iam::111111111111:role/mooring/hub/management".to_owned(),
            role_id: "AROAEXAMPLE".to_owned(),
            role_name: "management".to_owned(),
            session_name: "session".to_owned(),
            policy: None,
            tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            transitive: Vec::new(),
            chained: false,
        }),
    }
}

fn holds(condition: &Value, context: &[(&str, &[&str])]) -> bool {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
    let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let check = check("iam:GetRole", "*", context);
    Document::parse(&text)
        .unwrap()
        .effect(&Context::new(&check, Some(&caller())))
        == Some(Effect::Allow)
}

/// Each operator with a value that satisfies it and one that does not.
#[test]
fn operators() {
    for (operator, wanted, yes, no) in [
        ("StringEquals", "Blue*", "Blue*", "Blue1"),
        ("StringNotEquals", "a", "A", "a"),
        ("StringEqualsIgnoreCase", "BLUE", "blue", "blues"),
        ("StringNotEqualsIgnoreCase", "BLUE", "blues", "blue"),
        ("StringLike", "b?u*", "blue", "bu"),
        ("StringNotLike", "b?u*", "bu", "blue"),
        ("NumericEquals", "10", "10.0", "11"),
        ("NumericNotEquals", "10", "11", "10"),
        ("NumericLessThan", "10", "9", "10"),
        ("NumericLessThanEquals", "10", "10", "11"),
        ("NumericGreaterThan", "10", "11", "10"),
        ("NumericGreaterThanEquals", "10", "10", "9"),
        ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", "1767225601"),
        (
            "DateNotEquals",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:01Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "DateLessThan",
            "2026-01-01T00:00:00Z",
            "2025-12-31T23:59:59Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "DateLessThanEquals",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:01Z",
        ),
        (
            "DateGreaterThan",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:01Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "DateGreaterThanEquals",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
            "2025-12-31T23:59:59Z",
        ),
        ("Bool", "true", "TRUE", "false"),
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", "203.0.114.9"),
        ("NotIpAddress", "2001:db8::/32", "2001:db9::1", "2001:db8::1"),
        (
            "ArnEquals",
            "arn:aws:iam::1:role/*",
            "arn:aws:iam::1:role/a/b",
            "arn:aws:iam::1:user/a",
        ),
        (
            "ArnLike",
            "arn:aws:iam::*:role/a",
            "arn:aws:iam::1:role/a",
            "arn:aws:iam::1:x:role/a",
        ),
        (
            "ArnNotEquals",
            "arn:aws:iam::1:role/*",
            "arn:aws:iam::1:user/a",
            "arn:aws:iam::1:role/a",
        ),
        (
            "ArnNotLike",
            "arn:aws:iam::1:role/*",
            "arn:aws:iam::1:user/a",
            "arn:aws:iam::1:role/a",
        ),
    ] {
        let condition = json!({operator: {"test:key": wanted}});
        assert!(holds(&condition, &[("test:key", &[yes])]), "{operator} {wanted} {yes}");
        assert!(!holds(&condition, &[("test:key", &[no])]), "{operator} {wanted} {no}");
        let negated = operator.contains("Not");
        assert_eq!(holds(&condition, &[]), negated, "{operator} without the key");
        assert_eq!(
            holds(&condition, &[("test:key", &[])]),
            negated,
            "{operator} with an empty key"
        );
        let if_exists = json!({format!("{operator}IfExists"): {"test:key": wanted}});
        assert!(holds(&if_exists, &[]), "{operator}IfExists without the key");
        assert!(!holds(&if_exists, &[("test:key", &[no])]), "{operator}IfExists {no}");
        let all = json!({format!("ForAllValues:{operator}"): {"test:key": wanted}});
        assert!(holds(&all, &[]), "ForAllValues:{operator} without the key");
        assert!(holds(&all, &[("test:key", &[yes, yes])]));
        assert!(!holds(&all, &[("test:key", &[yes, no])]), "ForAllValues:{operator}");
        let any = json!({format!("ForAnyValue:{operator}"): {"test:key": wanted}});
        assert!(!holds(&any, &[]), "ForAnyValue:{operator} without the key");
        assert!(holds(&any, &[("test:key", &[no, yes])]), "ForAnyValue:{operator}");
        assert!(!holds(&any, &[("test:key", &[no, no])]));
    }
}

/// "Null": "true" is a key that is absent; several keys and operators must all hold; several values are any of them.
#[test]
fn absence_and_combination() {
    assert!(holds(&json!({"Null": {"test:key": "true"}}), &[]));
    assert!(!holds(&json!({"Null": {"test:key": true}}), &[("test:key", &["x"])]));
    assert!(holds(&json!({"Null": {"test:key": "false"}}), &[("test:key", &["x"])]));
    assert!(!holds(&json!({"Null": {"test:key": "false"}}), &[]));
    let both = json!({"StringEquals": {"test:a": ["1", "2"], "test:b": "3"}, "Bool": {"aws:SecureTransport": true}});
    assert!(holds(&both, &[("test:a", &["2"]), ("test:b", &["3"])]));
    assert!(!holds(&both, &[("test:a", &["2"])]));
    assert!(holds(
        &json!({"StringEquals": {"TEST:Key": "x"}}),
        &[("test:kEY", &["x"])]
    ));
    assert!(holds(
        &json!({"StringNotEquals": {"test:key": ["a", "b"]}}),
        &[("test:key", &["c"])]
    ));
    assert!(!holds(
        &json!({"StringNotEquals": {"test:key": ["a", "b"]}}),
        &[("test:key", &["b"])]
    ));
}

/// `aws:PrincipalArn` of a session is its role's ARN with the path, never the session's.
#[test]
fn keys_of_the_caller() {
    let role = "arn:aws:iam::111111111111:role/mooring/hub/management";
    for (key, value) in [
        ("aws:PrincipalArn", role),
        ("aws:PrincipalAccount", "111111111111"),
        ("aws:userid", "AROAEXAMPLE:session"),
        ("aws:PrincipalTag/TEAM", "blue"),
        ("aws:PrincipalType", "AssumedRole"),
    ] {
        assert!(holds(&json!({"StringEquals": {key: value}}), &[]), "{key}");
    }
    let session = "arn:aws:sts::111111111111:assumed-role/management/session";
    assert!(!holds(&json!({"ArnLike": {"aws:PrincipalArn": session}}), &[]));
}

/// Variables bring in text, not wildcards; without a value they match nothing, unless they have a default. In the
/// old version of the language they are text.
#[test]
fn policy_variables() {
    let like = |pattern: &str| json!({"StringLike": {"test:key": pattern}});
    assert!(holds(
        &like("x-${aws:PrincipalTag/team}-*"),
        &[("test:key", &["x-blue-1"])]
    ));
    assert!(!holds(
        &like("${test:star}"),
        &[("test:star", &["*"]), ("test:key", &["y"])]
    ));
    assert!(!holds(&like("${test:none}*"), &[("test:key", &["y"])]));
    assert!(holds(&like("${test:none, 'y'}"), &[("test:key", &["y"])]));
    assert!(holds(&like("a${*}b"), &[("test:key", &["a*b"])]));
    assert!(!holds(&like("a${*}b"), &[("test:key", &["axb"])]));
    let text = "${aws:PrincipalTag/team}";
    let trust = json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"test:key": text}}}]});
    let check = check("sts:AssumeRole", "*", &[("test:key", &[text])]);
    let document = Document::parse_trust(&trust.to_string()).unwrap();
    assert_eq!(document.effect(&Context::new(&check, None)), Some(Effect::Allow));
}

/// Actions match without regard to case; `NotAction` and `NotResource` are everything else; a wildcard in a resource
/// stays within its part of the ARN.
#[test]
fn actions_and_resources() {
    let role = "arn:aws:iam::1:role/a/b";
    let effect = |statement: Value| {
        let text = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        let check = check("iam:GetRole", role, &[]);
        Document::parse(&text).unwrap().effect(&Context::new(&check, None))
    };
    for (statement, expected) in [
        (json!({"Effect": "Allow", "Action": "IAM:get*", "Resource": "*"}), true),
        (
            json!({"Effect": "Allow", "Action": "iam:GetRol", "Resource": "*"}),
            false,
        ),
        (
            json!({"Effect": "Allow", "Action": "iam:G?tRole", "Resource": role}),
            true,
        ),
        (
            json!({"Effect": "Allow", "NotAction": "iam:Get*", "Resource": "*"}),
            false,
        ),
        (json!({"Effect": "Allow", "NotAction": "eks:*", "Resource": "*"}), true),
        (
            json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:iam::1:role/a/*"}),
            false,
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:iam::1:role/b/*"}),
            true,
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::*:role/a/b"}),
            true,
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::1:role/A/b"}),
            false,
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:i*::*:role/*"}),
            true,
        ),
    ] {
        assert_eq!(
            effect(statement.clone()),
            expected.then_some(Effect::Allow),
            "{statement}"
        );
    }
    let both = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"StringEquals": {"test:key": "x"}}}]});
    let document = Document::parse(&both.to_string()).unwrap();
    let of = |check: &Check| document.effect(&Context::new(check, None));
    assert_eq!(
        of(&check("iam:GetRole", role, &[("test:key", &["x"])])),
        Some(Effect::Deny)
    );
    assert_eq!(
        of(&check("iam:GetRole", role, &[("test:key", &["y"])])),
        Some(Effect::Allow)
    );
}

/// The access-entry half of the provisioner's policy (reference/aws.md 1.12): what each condition holds back.
#[test]
fn the_access_entry_conditions_of_a_provisioner() {
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "CreateEntry", "Effect": "Allow", "Action": "eks:CreateAccessEntry", "Resource": "arn:aws:eks:*:222222222222:cluster/*",
            "Condition": {
                "ArnLike": {"eks:principalArn": "arn:aws:iam::222222222222:role/argocd-fleet/deployer/*"},
                "StringEquals": {"eks:accessEntryType": "STANDARD"},
                "Null": {"eks:username": "true", "eks:kubernetesGroups": "true"}}},
        {"Sid": "Policies", "Effect": "Allow", "Action": ["eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy"],
            "Resource": "arn:aws:eks:*:222222222222:access-entry/*/role/222222222222/*",
            "Condition": {
                "ArnEquals": {"eks:policyArn": ["arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"]},
                "StringEquals": {"eks:accessScope": "cluster"}}}]});
    let document = Document::parse(&policy.to_string()).unwrap();
    let cluster = "arn:aws:eks:eu-west-1:222222222222:cluster/prod";
    let entry = "arn:aws:eks:eu-west-1:222222222222:access-entry/prod/role/222222222222/x/1";
    let good: &[(&str, &[&str])] = &[
        (
            "eks:principalArn",
            &["arn:aws:iam::222222222222:role/argocd-fleet/deployer/x"],
        ),
        ("eks:accessEntryType", &["STANDARD"]),
        ("eks:kubernetesGroups", &[]),
    ];
    let scope: &[(&str, &[&str])] = &[
        (
            "eks:policyArn",
            &["arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"],
        ),
        ("eks:accessScope", &["cluster"]),
    ];
    let allowed =
        |check: &Check| evaluate(std::slice::from_ref(&document), None, None, check, &caller()) == Decision::Allowed;
    assert!(allowed(&check("eks:CreateAccessEntry", cluster, good)));
    assert!(allowed(&check("eks:AssociateAccessPolicy", entry, scope)));
    let changed = |base: &[(&str, &[&str])], key: &str, value: &str| {
        let mut changed = check("eks:CreateAccessEntry", cluster, base);
        changed.context.insert(key.to_owned(), vec![value.to_owned()]);
        changed
    };
    assert!(!allowed(&changed(
        good,
        "eks:principalArn",
        "arn:aws:iam::222222222222:role/admin"
    )));
    assert!(!allowed(&changed(good, "eks:accessEntryType", "EC2")));
    assert!(!allowed(&changed(good, "eks:username", "root")));
    assert!(!allowed(&changed(good, "eks:kubernetesGroups", "admins")));
    assert!(!allowed(&check(
        "eks:CreateAccessEntry",
        "arn:aws:eks:eu-west-1:333333333333:cluster/prod",
        good
    )));
    assert!(!allowed(&check("eks:UpdateAccessEntry", entry, good)));
    assert!(!allowed(&check(
        "eks:AssociateAccessPolicy",
        entry,
        &[scope[0], ("eks:accessScope", &["namespace"])]
    )));
    assert!(!allowed(&check("eks:AssociateAccessPolicy", entry, &[scope[1]])));
}
