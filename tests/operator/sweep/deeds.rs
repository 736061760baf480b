//! What people do by hand in the scenarios.

use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams};
use mooring::policy::deployer_trust;
use mooring_sandbox::aws::contract::Service;
use serde_json::{Value, json};

use crate::{
    adopt::{Wired, by_hand_manager},
    letting_go::{make, set},
    support::{
        HUB_ACCOUNT, World,
        hands::{iam_tags, loose_trust, policy_arn},
        manifest::{ADMIN, EDIT, VIEW},
    },
};

/// The group that the hand-made entry gives.
pub(super) const THEIR_GROUP: &str = "team-theirs";

/// Somebody wired the cluster by hand: role, access entry and cluster Secret; and all of them are opened to be taken over.
pub(super) async fn wired(world: &World, name: &str) {
    let manager = by_hand_manager(world);
    Wired::by_hand(world, name, &manager).await.open(world).await;
}

/// Argo CD deploys there: an Application, made by an `ApplicationSet` that chooses clusters by a label.
pub(super) async fn deployed_to(world: &World, name: &str) {
    let chosen = json!({"clusters": {"selector": {"matchLabels": {"env": "test"}}}});
    set(world, &format!("argocd/sets-{name}"), json!([chosen])).await;
    let spec = json!({"destination": {"name": name}});
    let id = format!("argocd/shop-{name}");
    make(world, "Application", &id, spec, Some(&format!("sets-{name}"))).await;
}

/// Another team's pipeline makes the role that Argo CD is to enter with.
pub(super) fn their_role(world: &World, name: &str) {
    let trust = deployer_trust(&world.hub().management_role_arn(None));
    let trust = serde_json::to_string(&trust).unwrap();
    let input = json!({"RoleName": format!("argocd-{name}"), "AssumeRolePolicyDocument": trust});
    world.iam(&world.cluster(name).account, "CreateRole", input);
}

/// Everything that is made is changed in every field that can be changed.
pub(super) async fn drift(world: &World, name: &str) {
    world.role(
        name,
        "UpdateAssumeRolePolicy",
        json!({"PolicyDocument": loose_trust(HUB_ACCOUNT)}),
    );
    world.role(name, "UntagRole", json!({"TagKeys": ["mooring.dev/uid"]}));
    world.role(name, "DeleteRolePermissionsBoundary", json!({}));
    world.role(
        name,
        "UpdateRole",
        json!({"Description": "theirs", "MaxSessionDuration": 7200}),
    );
    world.entry(
        name,
        "UpdateAccessEntry",
        json!({"kubernetesGroups": ["theirs"], "username": "theirs"}),
    );
    let associate = |policy: &str, scope: Value| {
        let input = json!({"policyArn": policy_arn(policy), "accessScope": scope});
        world.entry(name, "AssociateAccessPolicy", input);
    };
    associate(ADMIN, json!({"type": "cluster"}));
    associate(VIEW, json!({"type": "namespace", "namespaces": ["kube-system"]}));
    let gone = json!({"policyArn": policy_arn(EDIT)});
    world.entry(name, "DisassociateAccessPolicy", gone);
    let arn = world.seen_entry(name).unwrap().arn;
    untag_entry(world, name, &arn);
    let secret = world.secret(name).await.unwrap().metadata.name.unwrap();
    let theirs = json!({"data": {"config": ByteString(b"{}".to_vec()), "shard": ByteString(b"7".to_vec())}});
    let patch = Patch::Merge(theirs);
    world
        .secrets()
        .patch(&secret, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

fn untag_entry(world: &World, name: &str, arn: &str) {
    let spec = world.cluster(name);
    let aws = &world.stage.aws;
    let keys = ["mooring.dev/uid", "mooring.dev/hub", "mooring.dev/object"];
    let input = json!({"resourceArn": arn, "tagKeys": keys});
    aws.call_in(
        &spec.region,
        &aws.root(&spec.account),
        Service::Eks,
        "UntagResource",
        input,
    )
    .unwrap();
}

/// Somebody deletes the deployer role and makes another in its place, with our tags.
pub(super) fn another_role(world: &World, name: &str) {
    let role = world.seen_role(name).unwrap();
    world.role(name, "DeleteRole", json!({}));
    let path = role.arn.split_once(":role").unwrap().1.rsplit_once('/').unwrap().0;
    let input = json!({
        "Path": format!("{path}/"), "AssumeRolePolicyDocument": loose_trust(HUB_ACCOUNT), "Tags": iam_tags(&role.tags),
        "PermissionsBoundary": role.boundary,
    });
    world.role(name, "CreateRole", input);
}
