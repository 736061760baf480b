//! Runs the present operator, and takes down what it leaves behind.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use mooring_sandbox::aws::{Effect, Fault};
use serde_json::{Value, json};

use super::{Files, GOING, KEPT, STANDING, SUSPENDED, full, others};
use crate::support::{World, hands::SeenRole, message};

/// What stands in for what differs from run to run.
pub(super) const UID: &str = "@uid@";
pub(super) const ROLE_ID: &str = "@role-id@";
pub(super) const ENTRY_ID: &str = "@entry-id@";
pub(super) const SECRET_UID: &str = "@secret-uid@";
/// The hash of an authority that is not this world's.
const NO_AUTHORITY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
pub(super) const TIME: &str = "2026-01-01T00:00:00Z";

/// Brings every object to where it is recorded.
pub(super) async fn all(world: &World) -> Files {
    world.moor("full", full()).await;
    world.moor("plain", json!({})).await;
    world.moor("going", json!({})).await;
    world.moor(SUSPENDED, json!({})).await;
    world.moor(KEPT, json!({"deletion": {"policy": "Retain"}})).await;
    for name in ["full", "plain", GOING, SUSPENDED, KEPT] {
        world.is_ready("ManagedCluster", name).await;
    }
    others::moor(world).await;
    world
        .patch("ManagedCluster", SUSPENDED, json!({"spec": {"mode": "Suspended"}}))
        .await;
    world.until_reason("ManagedCluster", SUSPENDED, "Suspended").await;
    world.whole_pass("ManagedCluster", SUSPENDED).await;
    let kept = kept_role(world).await;
    world.delete("ManagedCluster", KEPT).await;
    world.until_gone("ManagedCluster", KEPT).await;
    world
        .moor("refused", json!({"access": {"kubernetesGroups": ["not-a-team"]}}))
        .await;
    world.until_reason("ManagedCluster", "refused", "NotAllowed").await;
    let refused = Fault::on("DeleteRole", Effect::AccessDenied).in_session("going@hub");
    world.stage.aws.faults().add(refused).unwrap();
    world.delete("ManagedCluster", GOING).await;
    let told = |object: &Value| message(object).contains("iam:DeleteRole");
    world.until("ManagedCluster", GOING, told).await;

    let mut files = Files::new();
    for name in STANDING.into_iter().chain([GOING]) {
        files.insert(format!("{name}.json"), cluster(world, name).await);
    }
    files.insert("default.json".to_owned(), management_role(world).await);
    files.insert(format!("{KEPT}.json"), kept);
    files
}

/// What a cluster that is removed with Retain leaves in its account: its role.
async fn kept_role(world: &World) -> Value {
    let mut file = cluster(world, KEPT).await;
    for gone in ["object", "secret", "entry"] {
        file.as_object_mut().unwrap().remove(gone);
    }
    file
}

async fn cluster(world: &World, name: &str) -> Value {
    let object = world.get("ManagedCluster", name).await.unwrap();
    let arn = object["status"]["deployerRole"]["arn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let role = arn.rsplit('/').next().filter(|name| !name.is_empty()).and_then(|role| {
        let account = world.cluster(name).account.clone();
        world.seen_role_named(&account, role)
    });
    let principal = json!({"principalArn": arn});
    let entry = (!arn.is_empty())
        .then(|| world.try_eks(name, "DescribeAccessEntry", principal.clone()).ok())
        .flatten()
        .map(|answer| {
            let entry = &answer["accessEntry"];
            let associated = world.eks(name, "ListAssociatedAccessPolicies", principal);
            let policies = associated["associatedAccessPolicies"].as_array().unwrap().iter();
            let policy =
                |policy: &Value| json!({"policyArn": policy["policyArn"], "accessScope": policy["accessScope"]});
            json!({
                "principalArn": entry["principalArn"], "kubernetesGroups": entry["kubernetesGroups"],
                "tags": entry["tags"], "policies": policies.map(policy).collect::<Vec<_>>(),
            })
        });
    let secret = world.secret(name).await.map(|secret| without_authority(&secret));
    placed(&object, role.as_ref(), json!({"entry": entry, "secret": secret}))
}

/// The Secret without the certificate authority, which the sandbox makes anew in each run.
fn without_authority(secret: &Secret) -> Value {
    let mut secret = secret.clone();
    let config = secret.data.as_mut().unwrap().get_mut("config").unwrap();
    let mut value: Value = serde_json::from_slice(&config.0).unwrap();
    value["tlsClientConfig"]["caData"] = json!("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==");
    config.0 = value.to_string().into_bytes();
    serde_json::to_value(secret).unwrap()
}

async fn management_role(world: &World) -> Value {
    let object = world.get("ManagementRole", "default").await.unwrap();
    let arn = world.hub().management_role_arn(None);
    let role = world.seen_role_named(arn.account.as_str(), arn.name.as_str());
    let input = json!({"RoleName": arn.name.as_str(), "PolicyName": "mooring-assume-deployers"});
    let policy = world.iam(arn.account.as_str(), "GetRolePolicy", input);
    let policy = crate::support::hands::document(&policy["PolicyDocument"]);
    placed(&object, role.as_ref(), json!({"policy": policy}))
}

/// The file of one object, without what differs from run to run.
fn placed(object: &Value, role: Option<&SeenRole>, rest: Value) -> Value {
    let mut file = json!({
        "object": object,
        "role": role.map(|role| {
            json!({"arn": role.arn, "trust": role.trust, "boundary": role.boundary, "tags": role.tags})
        }),
    });
    crate::support::manifest::merge(&mut file, rest);
    plain(&mut file);
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let mut text = file.to_string().replace(uid, UID);
    if let Some(role) = role {
        text = text.replace(&role.id, ROLE_ID);
    }
    let status = &object["status"];
    let entry = status["accessEntry"]["arn"]
        .as_str()
        .and_then(|arn| arn.rsplit('/').next());
    for (unique, instead) in [(entry, ENTRY_ID), (status["secretUid"].as_str(), SECRET_UID)] {
        text = unique.map_or_else(|| text.clone(), |unique| text.replace(unique, instead));
    }
    serde_json::from_str(&text).unwrap()
}

fn plain(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("creationTimestamp") {
                members.remove("resourceVersion");
                if !members.contains_key("finalizers") {
                    // A Secret's own UID; that of the object stands in it as a placeholder.
                    members.remove("uid");
                }
            }
            for (key, value) in members {
                let time = ["creationTimestamp", "deletionTimestamp", "lastTransitionTime", "time"];
                if key == "managedFields" {
                    in_order(value);
                }
                if time.contains(&key.as_str()) && value.is_string() {
                    *value = json!(TIME);
                } else if key == "certificateAuthoritySha256" {
                    *value = json!(NO_AUTHORITY);
                } else {
                    plain(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The API server has the fields' owners in the order of their last writes, to the second: in which second one falls is chance.
fn in_order(fields: &mut Value) {
    let owners = fields.as_array_mut().unwrap();
    owners.sort_by_key(|owner| ["manager", "operation", "subresource"].map(|key| owner[key].to_string()));
}

/// Writes the folder of a version anew.
pub(super) fn write(folder: &Path, files: &Files) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    for (name, file) in files {
        let text = serde_json::to_string_pretty(file).unwrap() + "\n";
        std::fs::write(folder.join(name), text).unwrap();
    }
    println!("wrote {}", folder.display());
}
