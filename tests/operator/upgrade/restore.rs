//! Puts what a release left behind into a world of today, before any operator runs there.

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{
    Files, KEPT,
    record::{ENTRY_ID, ROLE_ID, SECRET_UID, UID},
};
use crate::{
    adopt::by_hand_manager,
    support::{World, hands::iam_tags},
};

pub(super) async fn all(world: &World, files: &Files) {
    // Who is trusted stands before the role that trusts it: the management role, and that of a role that was taken over.
    by_hand_manager(world);
    one(world, "ManagementRole", "default", &files["default.json"]).await;
    for (file, stored) in files.iter().filter(|(file, _)| *file != "default.json") {
        let name = file.trim_end_matches(".json");
        if name == KEPT {
            role(world, stored, "of-an-object-that-is-gone");
            continue;
        }
        one(world, "ManagedCluster", name, stored).await;
    }
}

async fn one(world: &World, kind: &str, name: &str, stored: &Value) {
    let api = world.stage.mooring(kind).unwrap();
    let mut object = stored["object"].clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    let going = metadata.remove("deletionTimestamp").is_some();
    metadata.remove("deletionGracePeriodSeconds");
    let fields = metadata.remove("managedFields").unwrap();
    metadata.remove("uid");
    let parsed: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let made = api.create(&PostParams::default(), &parsed).await.unwrap();
    let uid = made.metadata.uid.clone().unwrap();

    let role_id = stored["role"].as_object().map(|_| role(world, stored, &uid));
    let known = |value: &Value| -> Value {
        let text = value.to_string().replace(UID, &uid);
        let text = text.replace(ROLE_ID, role_id.as_deref().unwrap_or_default());
        serde_json::from_str(&text).unwrap()
    };
    let (mut entry_id, mut secret_uid) = (String::new(), String::new());
    if stored["entry"].is_object() {
        entry_id = entry(world, name, &known(&stored["entry"]));
    }
    if stored["secret"].is_object() {
        secret_uid = secret(world, name, &known(&stored["secret"])).await;
    }
    let status = known(&object["status"]).to_string();
    let status = status.replace(ENTRY_ID, &entry_id).replace(SECRET_UID, &secret_uid);
    put_status(&api, name, &serde_json::from_str(&status).unwrap()).await;
    put_fields(&api, name, &fields).await;
    if going {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

/// Makes the recorded role, and gives its unique ID.
fn role(world: &World, stored: &Value, uid: &str) -> String {
    let role = &stored["role"];
    let arn = role["arn"].as_str().unwrap();
    let account = arn.split(':').nth(4).unwrap();
    let (path, name) = arn.split_once(":role").unwrap().1.rsplit_once('/').unwrap();
    let tags = serde_json::from_str(&role["tags"].to_string().replace(UID, uid)).unwrap();
    let input = json!({
        "RoleName": name, "Path": format!("{path}/"), "AssumeRolePolicyDocument": role["trust"].to_string(),
        "PermissionsBoundary": role["boundary"], "Tags": iam_tags(&tags),
    });
    let answer = world.iam(account, "CreateRole", input);
    if stored["policy"].is_object() {
        let input = json!({
            "RoleName": name, "PolicyName": "mooring-assume-deployers", "PolicyDocument": stored["policy"].to_string(),
        });
        world.iam(account, "PutRolePolicy", input);
    }
    answer["Role"]["RoleId"].as_str().unwrap().to_owned()
}

/// Makes the recorded entry, and gives what its ARN ends with.
fn entry(world: &World, cluster: &str, entry: &Value) -> String {
    let input = json!({
        "principalArn": entry["principalArn"], "kubernetesGroups": entry["kubernetesGroups"], "tags": entry["tags"],
    });
    let answer = world.eks(cluster, "CreateAccessEntry", input);
    for policy in entry["policies"].as_array().unwrap() {
        let mut input = policy.clone();
        input["principalArn"] = entry["principalArn"].clone();
        world.eks(cluster, "AssociateAccessPolicy", input);
    }
    let arn = answer["accessEntry"]["accessEntryArn"].as_str().unwrap();
    arn.rsplit('/').next().unwrap().to_owned()
}

/// Makes the recorded Secret, and gives its UID. The certificate authority of this world's cluster is another, as if EKS had
/// rotated it.
async fn secret(world: &World, cluster: &str, secret: &Value) -> String {
    let mut secret = secret.clone();
    let metadata = secret["metadata"].as_object_mut().unwrap();
    let fields = metadata.remove("managedFields").unwrap();
    for key in ["uid", "creationTimestamp", "resourceVersion"] {
        metadata.remove(key);
    }
    let secrets = world.secrets();
    let parsed = serde_json::from_value(secret).unwrap();
    let mut made = secrets.create(&PostParams::default(), &parsed).await.unwrap();
    made.metadata.managed_fields = serde_json::from_value(fields).unwrap();
    let name = made.metadata.name.clone().unwrap();
    secrets.replace(&name, &PostParams::default(), &made).await.unwrap();
    assert!(world.secret(cluster).await.is_some());
    made.metadata.uid.unwrap()
}

async fn put_status(api: &Api<DynamicObject>, name: &str, status: &Value) {
    let mut object = api.get(name).await.unwrap();
    object.data["status"] = status.clone();
    api.replace_status(name, &PostParams::default(), &object).await.unwrap();
}

/// Gives the fields back to those who owned them.
async fn put_fields(api: &Api<DynamicObject>, name: &str, fields: &Value) {
    let mut object = api.get(name).await.unwrap();
    object.metadata.managed_fields = serde_json::from_value(fields.clone()).unwrap();
    api.replace(name, &PostParams::default(), &object).await.unwrap();
}
