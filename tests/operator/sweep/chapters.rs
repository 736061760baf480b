//! What happens to a hub and its management role, one after another, and what stands after each.

use mooring_sandbox::{
    aws::contract::Answer,
    stage::{is_ready, ready},
};
use serde_json::{Value, json};

use super::{story, workload};
use crate::support::{
    HUB_ACCOUNT, World, condition,
    hands::{document, loose_trust},
    manifest::VIEW,
};

pub(super) const CLUSTER: &str = "one";

/// What happens, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chapter {
    Create,
    /// The first cluster of an account comes, and the policy has to name it.
    Grow,
    /// Somebody changes everything that can be changed.
    Heal,
    /// Somebody makes another role under its name, with its tags.
    Replace,
    /// The last cluster of the account goes.
    Shrink,
    Delete,
}

pub(super) const CHAPTERS: [Chapter; 6] = [
    Chapter::Create,
    Chapter::Grow,
    Chapter::Heal,
    Chapter::Replace,
    Chapter::Shrink,
    Chapter::Delete,
];

pub(super) async fn begin(world: &World, chapter: Chapter) {
    match chapter {
        Chapter::Create => {
            workload::anew(world).await;
            provider(world, "DeleteOpenIDConnectProvider").ok();
            world.apply(&world.setting.management.clone()).await;
        }
        Chapter::Grow => {
            let spec = json!({"access": {"policies": [{"name": VIEW}]}});
            world.moor(CLUSTER, spec).await;
        }
        Chapter::Heal => drift(world).await,
        Chapter::Replace => {
            let arn = world.hub().management_role_arn(None);
            let role = world.seen_role_named(HUB_ACCOUNT, arn.name.as_str()).unwrap();
            world.remake_management_role(&role.tags);
            world.ask("ManagementRole", "default").await;
        }
        Chapter::Shrink => world.delete("ManagedCluster", CLUSTER).await,
        Chapter::Delete => world.delete("ManagementRole", "default").await,
    }
}

async fn drift(world: &World) {
    let name = world.hub().management_role_arn(None).name.to_string();
    let by_hand = |operation: &str, mut input: Value| {
        input["RoleName"] = json!(name);
        world.iam(HUB_ACCOUNT, operation, input);
    };
    by_hand(
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    by_hand("UntagRole", json!({"TagKeys": ["mooring.dev/uid"]}));
    by_hand("DeleteRolePermissionsBoundary", json!({}));
    by_hand("DeleteRolePolicy", json!({"PolicyName": "mooring-assume-deployers"}));
    by_hand(
        "UpdateRole",
        json!({"Description": "theirs", "MaxSessionDuration": 7200}),
    );
    provider(world, "DeleteOpenIDConnectProvider").unwrap();
    let issuer = world.stage.fleet.hub.issuer();
    let theirs = json!({"Url": issuer, "ClientIDList": ["theirs"]});
    world.iam(HUB_ACCOUNT, "CreateOpenIDConnectProvider", theirs);
    world.ask("ManagementRole", "default").await;
}

/// A call about the hub's OIDC provider.
fn provider(world: &World, operation: &str) -> Answer {
    let issuer = world.stage.fleet.hub.issuer();
    let arn = world.hub().oidc_provider(&issuer).unwrap().to_string();
    world.try_iam(HUB_ACCOUNT, operation, json!({"OpenIDConnectProviderArn": arn}))
}

/// What stands, without what differs from run to run; nothing while the chapter is not over.
pub(super) async fn end(world: &World, chapter: Chapter) -> Option<Value> {
    let object = world.get("ManagementRole", "default").await;
    let cluster = world.get("ManagedCluster", CLUSTER).await;
    let over = match chapter {
        Chapter::Create | Chapter::Heal | Chapter::Replace => object.as_ref().is_some_and(|object| {
            let bound = condition(object, "ServiceAccountsBound").is_some_and(|(_, reason, _)| reason == "Bound");
            is_ready(object) && bound
        }),
        Chapter::Grow => cluster.as_ref().is_some_and(is_ready),
        Chapter::Shrink => cluster.is_none() && object.as_ref().is_some_and(|object| ready(object).0 == "True"),
        Chapter::Delete => object.is_none(),
    };
    if !over {
        return None;
    }
    let arn = world.hub().management_role_arn(None);
    let role = world.seen_role_named(arn.account.as_str(), arn.name.as_str());
    let policy = role.as_ref().map(|_| {
        let name = json!({"RoleName": arn.name.as_str(), "PolicyName": "mooring-assume-deployers"});
        let policy = world.try_iam(arn.account.as_str(), "GetRolePolicy", name).ok();
        policy.map(|policy| document(&policy["PolicyDocument"]))
    });
    let mut status = object.as_ref().map(|object| story::timeless(&object["status"]));
    // Whoever asks for a pass has the restarts forgotten, and the workload itself tells of its own.
    if let Some(status) = status.as_mut().and_then(Value::as_object_mut) {
        status.remove("restarted");
    }
    let provider = provider(world, "GetOpenIDConnectProvider").ok();
    let provider = provider.map(|found| json!({"audiences": found["ClientIDList"], "tags": found["Tags"]}));
    let (bound, restarted) = workload::seen(world).await;
    let end = json!({
        "status": status, "policy": policy, "provider": provider, "bound": bound, "restarted": restarted,
        "finalizers": object.as_ref().map(|object| object["metadata"]["finalizers"].clone()),
        "role": role.as_ref().map(|role| {
            json!({
                "arn": role.arn, "trust": role.trust, "boundary": role.boundary, "tags": role.tags,
                "description": role.description, "longestSession": role.longest_session,
            })
        }),
    });
    let uid = object
        .as_ref()
        .and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned));
    let mut text = end.to_string();
    for (word, instead) in [(uid, "UID"), (role.map(|role| role.id), "ROLE-ID")] {
        if let Some(word) = word {
            text = text.replace(&word, instead);
        }
    }
    Some(serde_json::from_str(&text).unwrap())
}
