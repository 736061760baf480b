//! What people see of the definitions: explain, columns, names, and the answers to common mistakes.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    common::{send, server},
    manifests::{Kind, merged, with},
    rules::all_rules,
    schema::nodes,
};

#[test]
fn every_field_explains_itself() {
    for kind in Kind::ALL {
        for node in nodes(&kind.schema()) {
            if node.path.ends_with("{}") || (node.path.ends_with("[]") && node.schema["type"] == "string") {
                continue;
            }
            let text = node.schema["description"].as_str().unwrap_or_default();
            let words = text.split_whitespace().count();
            assert!(
                words >= 4 && text.ends_with('.'),
                "{kind:?}: {} says {text:?}",
                node.path
            );
            assert!(!text.contains("derived type"), "{kind:?}: {} says {text:?}", node.path);
            for value in node.schema["enum"].as_array().into_iter().flatten() {
                let value = value.as_str().unwrap();
                assert!(
                    text.contains(value),
                    "{kind:?}: {} does not tell what {value} means",
                    node.path
                );
            }
        }
    }
}

/// Null beside absent would be a third state that every rule on presence has to know.
#[test]
fn nothing_in_a_spec_is_nullable() {
    for kind in Kind::ALL {
        for node in nodes(&kind.schema())
            .iter()
            .filter(|node| node.path.starts_with("spec"))
        {
            assert!(node.schema["nullable"].is_null(), "{kind:?}: {}", node.path);
        }
    }
}

/// Rules at the root are not ratcheted: one that is added or tightened later refuses the status, and the removal of the
/// finalizer, of objects that were made before it. These are all there will ever be.
#[test]
fn rules_at_the_root_are_fixed_for_ever() {
    let at_root: Vec<Value> = Kind::ALL
        .map(|kind| kind.schema()["x-kubernetes-validations"].clone())
        .into();
    assert_eq!(
        at_root,
        [
            json!([{
                "message": "the name of a ManagementRole becomes part of IAM paths: at most 63 lower-case letters, digits and hyphens",
                "rule": "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
            }]),
            json!([{
                "message": "the object's name is no EKS cluster name: write the cluster's name in spec.clusterName",
                "rule": "has(self.spec.clusterName) || self.metadata.name.matches('^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$')",
            }]),
        ]
    );
    assert_eq!(
        all_rules().iter().filter(|rule| !rule.path.starts_with("spec")).count(),
        2
    );
}

#[test]
fn names_columns_and_subresources() {
    for (kind, plural, short) in [
        (Kind::ManagementRole, "managementroles", "mgr"),
        (Kind::ManagedCluster, "managedclusters", "mgc"),
    ] {
        let definition = kind.definition();
        let names = &definition["spec"]["names"];
        assert_eq!(names["categories"], json!(["mooring"]));
        assert_eq!(
            (&names["shortNames"], &names["plural"]),
            (&json!([short]), &json!(plural))
        );
        assert_eq!(definition["spec"]["scope"], "Cluster");
        let version = &definition["spec"]["versions"][0];
        assert_eq!(version["subresources"], json!({"status": {}}));
        assert_eq!(version["schema"]["openAPIV3Schema"]["required"], json!(["spec"]));
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        for column in columns {
            let from = column["jsonPath"].as_str().unwrap();
            assert!(
                from.starts_with(".status.") || column["name"] == "Age",
                "{kind:?}: {column}"
            );
        }
        let narrow = columns.iter().filter(|column| column["priority"].is_null());
        let narrow: Vec<_> = narrow.map(|column| column["name"].as_str().unwrap()).collect();
        let proof = match kind {
            Kind::ManagementRole => "Bound",
            Kind::ManagedCluster => "Connected",
        };
        assert_eq!(
            narrow,
            ["Account", "Region", "Cluster", "Ready", "Reason", proof, "Age"]
        );
    }
}

/// Formats that it does not know, budgets near their end, lists without a type: the server says so in a warning.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_takes_the_definitions_without_a_warning() {
    let client = server().await.admin().unwrap();
    for kind in Kind::ALL {
        let plural = kind.path().rsplit('/').next().unwrap();
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.mooring.dev");
        let live = client
            .request::<Value>(http::Request::get(&path).body(vec![]).unwrap())
            .await
            .unwrap();
        let conditions = live["status"]["conditions"].as_array().unwrap();
        assert!(
            !conditions
                .iter()
                .any(|condition| condition["type"] == "NonStructuralSchema"),
            "{conditions:#?}"
        );
        let again = merged(
            &kind.definition(),
            &json!({"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}}),
        );
        let answer = send(&client, "PUT", &path, &again, true).await;
        assert_eq!((answer.result.map(drop).is_ok(), answer.warnings), (true, vec![]));
        let created = send(&client, "POST", kind.path(), &kind.full()[0], true).await;
        assert_eq!((created.result.map(drop).is_ok(), created.warnings), (true, vec![]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn common_mistakes_are_told_apart() {
    let client = server().await.admin().unwrap();
    let smallest = Kind::ManagedCluster.smallest();
    let refusal = async |object: Value| {
        let answer = send(&client, "POST", Kind::ManagedCluster.path(), &object, true).await;
        answer.result.unwrap_err().message
    };
    let typo = refusal(merged(
        &smallest,
        &json!({"spec": {"argocd": {"lables": {"env": "prod"}}}}),
    ))
    .await;
    assert!(
        typo.contains(r#"strict decoding error: unknown field "spec.argocd.lables""#),
        "{typo}"
    );
    // YAML reads it as a number, and the server looks at types before it looks at rules: the description says so.
    let unquoted = refusal(with(&smallest, "spec.accountId", json!(222_222_222_222_u64))).await;
    assert!(
        unquoted.contains(r#"spec.accountId: Invalid value: "integer": spec.accountId in body must be of type string"#),
        "{unquoted}"
    );
    let schema = Kind::ManagedCluster.schema();
    let account = schema
        .pointer("/properties/spec/properties/accountId/description")
        .unwrap();
    assert!(
        account
            .as_str()
            .unwrap()
            .contains("12 digits in quotation marks, as in \"222222222222\"")
    );
    let mut bare = smallest.clone();
    bare.as_object_mut().unwrap().remove("spec");
    let bare = refusal(bare).await;
    assert!(bare.contains("spec: Required value"), "{bare}");
}

/// A status in a manifest is not stored, and one that the operator writes leaves the generation alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_a_subresource_and_fills_the_columns() {
    let server = server().await;
    let client = server.admin().unwrap();
    let kind = Kind::ManagedCluster;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = format!("columns-{now}");
    let status = json!({
        "observedGeneration": 1,
        "cluster": {"accountId": "222222222222", "region": "eu-west-1", "name": "prod", "arn": "arn:aws:eks:eu-west-1:222222222222:cluster/prod"},
        "conditions": [{"type": "Ready", "status": "False", "reason": "NotAllowed", "message": "ask the platform team", "lastTransitionTime": "2026-11-01T00:00:00Z"}],
    });
    let manifest = merged(&kind.smallest(), &json!({"metadata": {"name": name}, "status": status}));
    let created = send(&client, "POST", kind.path(), &manifest, false)
        .await
        .result
        .unwrap();
    assert!(created["status"].is_null(), "{created}");
    let path = format!("{}/{name}", kind.path());
    let with_status = merged(&created, &json!({"status": status}));
    let stored = send(&client, "PUT", &format!("{path}/status"), &with_status, false)
        .await
        .result
        .unwrap();
    assert_eq!(
        (&stored["metadata"]["generation"], &stored["status"]["cluster"]["name"]),
        (&json!(1), &json!("prod"))
    );
    let table = server.table(kind.path(), false).await.unwrap();
    let row = table.lines().find(|line| line.starts_with(&name)).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(
        cells[1..6],
        ["222222222222", "eu-west-1", "prod", "False", "NotAllowed"],
        "{table}"
    );
    send(&client, "DELETE", &path, &json!({}), false).await.result.unwrap();
}
