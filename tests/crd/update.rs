//! What never changes: refused in every direction, also by way of null.

use serde_json::{Value, json};

use crate::{
    common::{send, server},
    manifests::{
        Kind::{self, ManagedCluster as Cluster, ManagementRole as Role},
        merged, with, without,
    },
    rules::{Rule, all_rules},
};

/// A field that never changes: its rule, another value, and whether it can be left out at all.
struct Fixed {
    kind: Kind,
    path: &'static str,
    says: &'static str,
    other: Value,
    optional: bool,
}

fn fixed() -> Vec<Fixed> {
    let fixed = |kind, path, says, other, optional| Fixed {
        kind,
        path,
        says,
        other,
        optional,
    };
    vec![
        fixed(
            Cluster,
            "spec.accountId",
            "accountId never changes: make a new ManagedCluster for the other account, and delete this one",
            json!("333333333333"),
            false,
        ),
        fixed(
            Cluster,
            "spec.region",
            "region never changes: make a new ManagedCluster for the other region, and delete this one",
            json!("eu-central-1"),
            false,
        ),
        fixed(
            Cluster,
            "spec.clusterName",
            "clusterName never changes: make a new ManagedCluster for the other cluster, and delete this one",
            json!("other"),
            true,
        ),
        fixed(
            Cluster,
            "spec.managementRole",
            "managementRole never changes: delete this ManagedCluster and make it again under the other ManagementRole",
            json!("other"),
            false,
        ),
        fixed(
            Cluster,
            "spec.access.deployerRole.name",
            "access.deployerRole.name never changes: a role cannot be renamed; delete this ManagedCluster and make it again",
            json!("other"),
            true,
        ),
        fixed(
            Cluster,
            "spec.access.deployerRole",
            "deployerRole.type and arn never change: delete this ManagedCluster and make it again with the other role",
            json!({"type": "Existing", "arn": "arn:aws:iam::222222222222:role/argocd"}),
            false,
        ),
        fixed(
            Role,
            "spec.cluster.name",
            "cluster never changes: make a new ManagementRole for the other hub",
            json!("other"),
            false,
        ),
        fixed(
            Role,
            "spec.cluster.region",
            "cluster never changes: make a new ManagementRole for the other hub",
            json!("eu-central-1"),
            false,
        ),
        fixed(
            Role,
            "spec.argocdNamespace",
            "argocdNamespace never changes: make a new ManagementRole for the other Argo CD",
            json!("other"),
            false,
        ),
        fixed(
            Role,
            "spec.identity",
            "identity never changes, since every deployer role trusts it: make a new ManagementRole and move the ManagedClusters to it",
            json!({"type": "Existing", "roleArn": "arn:aws:iam::111111111111:role/other"}),
            false,
        ),
        fixed(
            Role,
            "spec.role.name",
            "role.name never changes: a role cannot be renamed, and every deployer role trusts it",
            json!("other"),
            true,
        ),
    ]
}

/// Everything else may: another value for each field of the full manifests that is not fixed.
fn free() -> Vec<(Kind, Value)> {
    vec![
        (
            Kind::ManagedCluster,
            json!({
                "access": {
                    "policies": [{"name": "AmazonEKSEditPolicy"}],
                    "kubernetesGroups": null,
                    "deployerRole": {"permissionsBoundary": null, "tags": {"team": "other"}},
                },
                "argocd": {"name": "renamed", "project": null, "labels": null, "annotations": {"a": "b"}, "namespaces": null, "clusterResources": null, "shard": 2},
                "mode": "Suspended",
                "adoptExisting": false,
                "deletion": {"policy": "Delete", "whileInUse": "Proceed"},
            }),
        ),
        (
            Kind::ManagementRole,
            json!({
                "serviceAccounts": ["argocd-server", "another"],
                "oidcProvider": "Require",
                "role": {"permissionsBoundary": "other", "tags": null},
                "assumePolicy": "Explicit",
                "provisioner": {"roleName": "other", "externalId": null},
                "allow": [{"accounts": ["*"]}],
            }),
        ),
    ]
}

/// Creates the object for real, since a dry run leaves nothing behind to update.
async fn created(kind: Kind, object: &Value, name: &str) -> Value {
    let client = server().await.admin().unwrap();
    let object = with(object, "metadata.name", json!(name));
    send(&client, "POST", kind.path(), &object, false).await.result.unwrap()
}

async fn remove(kind: Kind, name: &str) {
    let client = server().await.admin().unwrap();
    let path = format!("{}/{name}", kind.path());
    send(&client, "DELETE", &path, &json!({}), false).await.result.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_changes_is_refused_in_every_direction() {
    let client = server().await.admin().unwrap();
    for kind in Kind::ALL {
        let full = created(kind, &kind.full()[0], "fixed-full").await;
        let bare = created(kind, &kind.smallest(), "fixed-bare").await;
        for Fixed {
            path,
            says,
            other,
            optional,
            ..
        } in fixed().into_iter().filter(|fixed| fixed.kind == kind)
        {
            let mut changes = vec![("one to two", with(&full, path, other.clone()))];
            if optional {
                changes.push(("one to null", with(&full, path, Value::Null)));
                changes.push(("one to absent", without(&full, path).unwrap()));
                changes.push(("absent to two", with(&bare, path, other)));
            }
            for (direction, object) in changes {
                let path_of = format!("{}/{}", kind.path(), object["metadata"]["name"].as_str().unwrap());
                let answer = send(&client, "PUT", &path_of, &object, true).await;
                let refusal = answer
                    .result
                    .expect_err(&format!("{kind:?} {path} {direction} was let through"));
                let told = refusal.causes.iter().any(|cause| cause.message.ends_with(says));
                assert!(told, "{kind:?} {path} {direction}: {}", refusal.message);
            }
            let same = format!("{}/fixed-full", kind.path());
            send(&client, "PUT", &same, &full, true).await.result.unwrap();
        }
        remove(kind, "fixed-full").await;
        remove(kind, "fixed-bare").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_may_change() {
    let client = server().await.admin().unwrap();
    for (kind, change) in free() {
        let full = created(kind, &kind.full()[0], "free").await;
        let object = merged(&full, &json!({"spec": change}));
        let path = format!("{}/free", kind.path());
        let stored = send(&client, "PUT", &path, &object, true).await.result.unwrap();
        assert_eq!(stored["metadata"]["generation"], 2);
        remove(kind, "free").await;
    }
}

#[test]
fn every_rule_on_a_change_is_tried() {
    let tried = fixed();
    for Rule { kind, message, .. } in all_rules().into_iter().filter(Rule::on_update) {
        let found = tried.iter().any(|fixed| fixed.kind == kind && fixed.says == message);
        assert!(
            found,
            "no case of update.rs is refused by this rule of {kind:?}: {message}"
        );
    }
}
