//! Policy documents, and everything that reads what others wrote.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use mooring::{
    argocd::{ClusterSecret, cut_down},
    domain::{
        arn::{PolicyArn, RoleArn},
        hub::Hub,
        name::{AccountId, ClusterName, KubernetesName, Region, RoleName},
    },
    managed_cluster::request::Identity,
    policy::{Document, Effect, Principals, Statement, differences, in_words},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn texts(pattern: &'static str) -> impl Strategy<Value = BTreeSet<String>> {
    proptest::collection::btree_set(pattern, 0..3)
}

fn principals() -> impl Strategy<Value = Option<Principals>> {
    let kinds = proptest::collection::btree_map(
        proptest::sample::select(vec!["AWS".to_owned(), "Service".to_owned(), "Federated".to_owned()]),
        texts("(\\*|[0-9]{12}|arn:aws:iam::[0-9]{12}:(root|role/[a-z]{1,3})|AROA[A-Z]{4})"),
        0..3,
    );
    proptest::option::of(prop_oneof![Just(Principals::Anyone), kinds.prop_map(Principals::Of)])
}

fn statement() -> impl Strategy<Value = Statement> {
    let conditions = proptest::collection::btree_map(
        "(StringEquals|ArnEquals)",
        proptest::collection::btree_map("(aws|sts):[A-Za-z]{1,3}", texts("[a-z*]{0,3}"), 0..3),
        0..2,
    );
    (
        proptest::option::of("[A-Z][a-z]{0,3}"),
        any::<bool>(),
        (principals(), principals()),
        (texts("sts:[A-Za-z*]{1,3}"), texts("iam:[A-Z]")),
        (texts("arn:aws:[a-z*]{1,3}"), texts("[*]")),
        conditions,
    )
        .prop_map(|(sid, allow, principals, actions, resources, condition)| Statement {
            sid,
            effect: if allow { Effect::Allow } else { Effect::Deny },
            principal: principals.0,
            not_principal: principals.1,
            action: actions.0,
            not_action: actions.1,
            resource: resources.0,
            not_resource: resources.1,
            condition,
        })
}

fn document() -> impl Strategy<Value = Document> {
    proptest::collection::vec(statement(), 0..4).prop_map(Document::new)
}

/// The document as another writer might print it: lists for single values, other case where IAM does not heed it,
/// account IDs for root ARNs, keys and statements the other way round.
fn rewritten(document: &Document) -> String {
    fn widen(value: &mut Value, case: bool) {
        match value {
            Value::String(text) => *value = json!([if case { text.to_ascii_uppercase() } else { text.clone() }]),
            Value::Array(list) => {
                list.reverse();
                let again = list.first().cloned();
                list.extend(again);
                if case {
                    for one in list.iter_mut() {
                        *one = one.as_str().unwrap().to_ascii_uppercase().into();
                    }
                }
            }
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(&document.to_json()).unwrap();
    let statements = value["Statement"].as_array_mut().unwrap();
    statements.reverse();
    for statement in statements {
        let statement = statement.as_object_mut().unwrap();
        for (element, value) in statement.iter_mut() {
            match element.as_str() {
                "Action" | "NotAction" => widen(value, true),
                "Resource" | "NotResource" => widen(value, false),
                "Principal" | "NotPrincipal" => {
                    for (kind, value) in value.as_object_mut().into_iter().flatten() {
                        widen(value, false);
                        if kind == "AWS" {
                            for one in value.as_array_mut().unwrap() {
                                let text = one.as_str().unwrap();
                                if let Some(account) =
                                    text.strip_prefix("arn:aws:iam::").and_then(|t| t.strip_suffix(":root"))
                                {
                                    *one = account.into();
                                } else if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
                                    *one = format!("arn:aws:iam::{text}:root").into();
                                }
                            }
                        }
                    }
                }
                "Effect" => *value = value.as_str().unwrap().to_ascii_lowercase().into(),
                "Condition" => {
                    for keys in value.as_object_mut().unwrap().values_mut() {
                        let keys = keys.as_object_mut().unwrap();
                        let lower: BTreeSet<String> = keys.keys().map(|key| key.to_ascii_lowercase()).collect();
                        let distinct = lower.len() == keys.len();
                        let all: Vec<_> = std::mem::take(keys).into_iter().collect();
                        for (key, mut value) in all {
                            widen(&mut value, false);
                            keys.insert(if distinct { key.to_ascii_uppercase() } else { key }, value);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    value.to_string()
}

/// JSON of any shape, with the keys that we read.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "(222222222222|eu-west-1|prod|Retain|Allow|\\*)".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let keys = "(metadata|name|uid|spec|accountId|region|clusterName|access|deployerRole|deletion|policy|managementRole|Version|Statement|Effect|Action|Principal|Condition|[a-z]{1,3})";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(keys, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn secret() -> impl Strategy<Value = Secret> {
    let data = proptest::collection::btree_map(
        "(server|name|config|shard|[a-z]{1,3})",
        proptest::collection::vec(any::<u8>(), 0..12),
        0..5,
    );
    (data, proptest::option::of(json_value()), any::<bool>()).prop_map(|(data, fields, string_data)| {
        let mut secret: Secret = serde_json::from_value(json!({"metadata": {
            "managedFields": [{"manager": "mooring", "operation": "Apply", "fieldsV1": fields}],
        }}))
        .unwrap();
        secret.data = Some(data.into_iter().map(|(key, value)| (key, ByteString(value))).collect());
        secret.string_data = string_data.then(|| BTreeMap::from([("x".to_owned(), "y".to_owned())]));
        secret
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_document_reads_back(document in document()) {
        prop_assert_eq!(Document::parse(&document.to_json()).unwrap(), document.clone());
        prop_assert_eq!(Document::parse(&document.to_pretty_json()).unwrap(), document);
    }

    #[test]
    fn meaning_is_an_equivalence_that_ignores_what_aws_ignores(a in document(), b in document()) {
        prop_assert!(a.means(&a));
        prop_assert_eq!(a.means(&b), b.means(&a));
        let again = Document::parse(&rewritten(&a)).unwrap();
        prop_assert!(a.means(&again) && again.means(&a), "{} {}", a.to_json(), again.to_json());
    }

    #[test]
    fn differences_are_told_exactly_where_the_meaning_is_another(a in document(), b in document(), without in 0..4_usize) {
        let mut less = a.clone();
        if !less.statements.is_empty() {
            less.statements.remove(without % a.statements.len());
        }
        let again = Document::parse(&rewritten(&a)).unwrap();
        for (found, wanted) in [(&a, &b), (&a, &less), (&less, &a), (&a, &again), (&again, &less)] {
            let all = differences(found, wanted);
            prop_assert_eq!(all.is_empty(), found.means(wanted), "{:?}", all);
            prop_assert!(in_words(&all, 200).chars().count() < 400);
            prop_assert!(all.iter().all(|one| !one.to_string().is_empty()));
        }
        // What is told of one way is told of the other.
        prop_assert_eq!(differences(&a, &less).is_empty(), differences(&less, &a).is_empty());
    }

    #[test]
    fn one_more_value_is_another_meaning(mut document in document(), at in 0..4_usize) {
        document.statements.push(Statement::allow("Ours", ["sts:AssumeRole"]));
        let before = document.clone();
        let at = at % before.statements.len();
        document.statements[at].resource.insert("arn:aws:s3:::theirs".into());
        prop_assert!(!document.means(&before));
    }

    #[test]
    fn no_reader_panics(text in ".{0,80}", value in json_value()) {
        let _ = Document::parse(&text);
        let _ = Document::parse(&value.to_string());
        let _ = Identity::read(&value);
        let _ = (text.parse::<RoleArn>(), text.parse::<PolicyArn>(), text.parse::<AccountId>(), text.parse::<Region>());
        let _ = (text.parse::<ClusterName>(), text.parse::<KubernetesName>(), text.parse::<RoleName>());
    }

    #[test]
    fn what_parses_as_an_arn_prints_as_it_was_and_holds_no_pattern(text in "arn:aws(-cn)?:iam::(aws|[0-9]{12}):(role|policy)(/[a-z*?$]{1,4}){1,3}") {
        let printed = text.parse::<RoleArn>().map(|arn| arn.to_string())
            .or_else(|_| text.parse::<PolicyArn>().map(|arn| arn.to_string()));
        if let Ok(printed) = printed {
            prop_assert_eq!(&printed, &text);
            prop_assert!(!printed.contains(['*', '?', '$']));
        }
    }

    #[test]
    fn any_secret_is_read_and_cut_down_to_the_same(secret in secret()) {
        let whole = ClusterSecret::read(&secret);
        let mut cut = secret.clone();
        cut_down(&mut cut);
        prop_assert_eq!(&ClusterSecret::read(&cut), &whole);
        let once = cut.clone();
        cut_down(&mut cut);
        prop_assert_eq!(cut, once);
    }

    #[test]
    fn names_of_a_hub_are_always_names(cluster in "[0-9A-Za-z][A-Za-z0-9_-]{0,99}", account in "[0-9]{12}") {
        let hub = Hub { cluster: arn(&account, &cluster), management_role: "default".parse().unwrap() };
        let role = hub.deployer_role(&arn(&account, &cluster));
        prop_assert_eq!(role.to_string().parse::<RoleArn>().unwrap(), role);
    }
}

fn arn(account: &str, cluster: &str) -> mooring::domain::arn::ClusterArn {
    mooring::domain::arn::ClusterArn {
        region: "eu-west-1".parse().unwrap(),
        account: account.parse().unwrap(),
        name: cluster.parse().unwrap(),
    }
}
