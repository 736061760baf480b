//! What Argo CD itself runs into when the world changes under it: each is refused as an impostor is, the doctor says
//! why, and mended it holds again.

use std::time::Duration;

use mooring::access::{Hop, Reason};
use mooring_sandbox::aws::{AuthenticationMode, BearerToken};
use serde_json::{Value, json};

use super::{Act, HUB_ACCOUNT, Met, NAMESPACE, SERVICE_ACCOUNT, SPOKE, Scene, Told, judged, tokens};
use crate::support::{
    World,
    hands::{SeenRole, document, iam_tags, policy_arn},
    manifest::{ADMIN, EDIT, VIEW},
};

/// Where Argo CD mints its tokens: in the hub's region.
const REGION: &str = "eu-west-1";
const ENTRY_GONE: &str = "401: access denied because ARN is not mapped";
const OF_ANOTHER: &str = "was made for another principal of that name, which was deleted since";

/// What the access policies do not allow.
pub(super) async fn of_the_policies(scene: &mut Scene) {
    let associate = |scene: &Scene, policy: &str, namespaces: &[&str]| {
        let kind = if namespaces.is_empty() { "cluster" } else { "namespace" };
        let scope = json!({"type": kind, "namespaces": namespaces});
        let input = json!({"policyArn": policy_arn(policy), "accessScope": scope});
        scene.world.entry(SPOKE, "AssociateAccessPolicy", input);
    };
    let narrow = (Hop::Authorization, "403: configmaps", Reason::ScopeTooNarrow);

    scene.hands().disassociate(ADMIN);
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    scene.doctored("an association that was removed", met, narrow).await;

    associate(scene, VIEW, &[]);
    scene
        .meets(Act::List, "default")
        .await
        .unwrap_or_else(|met| panic!("{}", met.said));
    let met = scene.meets(Act::Create, "default").await.expect_err("let in");
    scene
        .doctored("a verb that the policy does not have", met, narrow)
        .await;
    scene.hands().disassociate(VIEW);

    associate(scene, EDIT, &["team-*", "default"]);
    scene
        .meets(Act::Create, "default")
        .await
        .unwrap_or_else(|met| panic!("{}", met.said));
    let met = scene.meets(Act::Create, "kube-system").await.expect_err("let in");
    scene.doctored("a namespace outside the scope", met, narrow).await;
    scene.hands().disassociate(EDIT);

    associate(scene, ADMIN, &[]);
    scene.chain_holds("the policies").await;
}

/// Whom the deployer role trusts, and how the cluster asks.
pub(super) async fn of_the_trust(scene: &mut Scene) {
    let trusted = scene.world.seen_role(SPOKE).unwrap().trust.to_string();
    let trust = |scene: &Scene, document: &str| {
        scene
            .world
            .role(SPOKE, "UpdateAssumeRolePolicy", json!({"PolicyDocument": document}));
    };
    let refused = (
        Hop::DeployerRole,
        "AccessDenied: User: arn:aws:sts::",
        Reason::RefusedByTrustPolicy,
    );

    let root = format!("arn:aws:iam::{HUB_ACCOUNT}:root");
    trust(scene, &trusted.replace(&root, "arn:aws:iam::333333333333:root"));
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    scene
        .doctored("a trust in the root of another account", met, refused)
        .await;
    trust(scene, &trusted);

    let mode = |scene: &Scene, mode: AuthenticationMode| {
        let spec = scene.world.cluster(SPOKE).clone();
        let aws = &scene.world.stage.aws;
        aws.update_cluster(&spec.account, &spec.region, SPOKE, |seed| {
            seed.authentication_mode = mode
        })
        .unwrap();
    };
    mode(scene, AuthenticationMode::ConfigMap);
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    let expected = (
        Hop::Authentication,
        "the authentication mode is CONFIG_MAP",
        Reason::AuthenticationModeConfigMap,
    );
    scene
        .doctored("a cluster that takes no access entries", met, expected)
        .await;
    mode(scene, AuthenticationMode::Api);
    scene.chain_holds("the trust and the mode").await;
}

const ASSUME: &str = "mooring-assume-deployers";

/// The management role, made anew.
pub(super) async fn of_the_management_role(scene: &mut Scene) {
    let world = &scene.world;
    let arn = world.hub().management_role_arn(None);
    let (name, path) = (arn.name.as_str(), arn.path.clone());
    let seen = world.seen_role_named(HUB_ACCOUNT, name).unwrap();
    let policy = json!({"RoleName": name, "PolicyName": ASSUME});
    let kept = document(&world.iam(HUB_ACCOUNT, "GetRolePolicy", policy.clone())["PolicyDocument"]).to_string();
    let give = |world: &World| {
        let mut input = policy.clone();
        input["PolicyDocument"] = json!(kept);
        world.iam(HUB_ACCOUNT, "PutRolePolicy", input);
    };
    let drop = |world: &World| {
        world.iam(HUB_ACCOUNT, "DeleteRolePolicy", policy.clone());
        world.iam(HUB_ACCOUNT, "DeleteRole", json!({"RoleName": name}));
    };
    let former = scene.session(&scene.management());
    // It is somebody on the cluster itself too, for once.
    direct(world, "CreateAccessEntry", json!({}));
    let view = json!({"policyArn": policy_arn(VIEW), "accessScope": {"type": "cluster"}});
    direct(world, "AssociateAccessPolicy", view);
    by_itself(scene).await.unwrap_or_else(|met| panic!("{}", met.said));

    drop(world);
    make(world, HUB_ACCOUNT, name, "/", &seen);
    give(world);
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    let denied = "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity";
    let expected = (Hop::ManagementRole, denied, Reason::ManagementRoleMissing);
    scene
        .doctored("a management role of that name under another path", met, expected)
        .await;

    let world = &scene.world;
    drop(world);
    make(world, HUB_ACCOUNT, name, &path, &seen);
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    let denied = "AccessDenied: User: arn:aws:sts::";
    let expected = (Hop::DeployerRole, denied, Reason::RefusedByIdentityPolicy);
    scene
        .doctored("a management role made anew, without its policy", met, expected)
        .await;
    give(&scene.world);
    scene.chain_holds("the management role made anew").await;

    let met = scene.assume(&former, &scene.deployer(SPOKE)).expect_err("let in");
    let name = "a session of the management role that was there before";
    scene.row(name, met, Hop::DeployerRole, denied, Told::Nobody);
    let met = by_itself(scene).await.expect_err("let in");
    let subject = judged::subject(&scene.world).await;
    let judged = judged::bearer(&scene.world, subject, &scene.management(), 1_200);
    let expected = (Hop::Authentication, OF_ANOTHER, Reason::StalePrincipal);
    scene.judged(
        "a management role of which the ID alone is another",
        met,
        expected,
        judged,
    );
    direct(&scene.world, "DeleteAccessEntry", json!({}));
}

/// An operation on an entry of the management role itself.
fn direct(world: &World, operation: &str, mut input: Value) {
    input["principalArn"] = json!(world.hub().management_role_arn(None).to_string());
    if operation == "CreateAccessEntry" {
        let role = world.seen_role_named(HUB_ACCOUNT, world.hub().management_role_arn(None).name.as_str());
        input["tags"] = json!({"mooring.dev/role-id": role.unwrap().id});
    }
    world.eks(SPOKE, operation, input);
}

/// What the management role meets at the cluster without any deployer role.
async fn by_itself(scene: &Scene) -> Result<(), Met> {
    let pod = scene.pod().await?;
    let token = BearerToken::new(SPOKE, REGION).sign(&pod).unwrap();
    let client = scene
        .world
        .stage
        .server(SPOKE)
        .unwrap()
        .client_with_token(&token, "argocd");
    scene.does(client.unwrap(), Act::List, "default").await
}

/// Makes a role as it was seen, under this path.
fn make(world: &World, account: &str, name: &str, path: &str, seen: &SeenRole) {
    let mut input = json!({
        "RoleName": name, "Path": path, "AssumeRolePolicyDocument": seen.trust.to_string(), "Tags": iam_tags(&seen.tags),
    });
    input["PermissionsBoundary"] = json!(seen.boundary);
    world.iam(account, "CreateRole", input);
}

/// The access entry, taken away.
pub(super) async fn of_the_entry(scene: &mut Scene) {
    let before = scene.session(&scene.deployer(SPOKE));
    // Signed while the entry was there, and not shown to anybody yet.
    let signed = BearerToken::new(SPOKE, REGION).sign(&before).unwrap();
    let tags = scene.world.seen_entry(SPOKE).unwrap().tags;
    scene.world.entry(SPOKE, "DeleteAccessEntry", json!({}));
    let gone = (Hop::Authentication, ENTRY_GONE, Reason::NoAccessEntry);
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    scene
        .doctored("a session of a role whose entry is gone", met, gone)
        .await;
    let later = BearerToken::new(SPOKE, REGION).sign(&before).unwrap();
    for (name, token) in [
        ("a session from before the entry was deleted", later),
        ("a token from before the entry was deleted", signed),
    ] {
        let client = scene
            .world
            .stage
            .server(SPOKE)
            .unwrap()
            .client_with_token(&token, "argocd");
        let met = scene
            .does(client.unwrap(), Act::List, "default")
            .await
            .expect_err("let in");
        let subject = judged::subject(&scene.world).await;
        let judged = judged::bearer(&scene.world, subject, &scene.deployer(SPOKE), token.len());
        scene.judged(name, met, gone, judged);
    }
    entry(&scene.world, &json!(tags));
    scene.chain_holds("the entry").await;
}

/// Gives the deployer role its entry.
fn entry(world: &World, tags: &Value) {
    world.entry(SPOKE, "CreateAccessEntry", json!({"tags": tags}));
    let admin = json!({"policyArn": policy_arn(ADMIN), "accessScope": {"type": "cluster"}});
    world.entry(SPOKE, "AssociateAccessPolicy", admin);
}

/// The deployer role, made anew.
pub(super) async fn of_the_deployer_role(scene: &mut Scene) {
    let world = &scene.world;
    let arn = world.deployer(SPOKE);
    let (account, name, path) = (arn.account.as_str(), arn.name.as_str(), arn.path.clone());
    let seen = world.seen_role(SPOKE).unwrap();
    world.role(SPOKE, "DeleteRole", json!({}));
    make(world, account, name, &path, &seen);
    assert_eq!(world.seen_role(SPOKE).unwrap().tags, seen.tags, "it bears our tags");
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    let expected = (Hop::Authentication, OF_ANOTHER, Reason::StalePrincipal);
    scene
        .doctored("a deployer role made anew, with our tags", met, expected)
        .await;

    let world = &scene.world;
    world.role(SPOKE, "DeleteRole", json!({}));
    make(world, account, name, "/elsewhere/", &seen);
    let met = scene.meets(Act::List, "default").await.expect_err("let in");
    let expected = (
        Hop::DeployerRole,
        "AccessDenied: User: arn:aws:sts::",
        Reason::DeployerRoleMissing,
    );
    scene
        .doctored("a deployer role of that name under another path", met, expected)
        .await;
    // What such a role comes to at the cluster, which does not see the path.
    let elsewhere = scene.session(&format!("arn:aws:iam::{account}:role/elsewhere/{name}"));
    let token = BearerToken::new(SPOKE, REGION).sign(&elsewhere).unwrap();
    let client = scene
        .world
        .stage
        .server(SPOKE)
        .unwrap()
        .client_with_token(&token, "argocd");
    let met = scene
        .does(client.unwrap(), Act::List, "default")
        .await
        .expect_err("let in");
    scene.row(
        "a session of that name under another path, at the cluster",
        met,
        Hop::Authentication,
        OF_ANOTHER,
        Told::Nobody,
    );

    let world = &scene.world;
    world.role(SPOKE, "DeleteRole", json!({}));
    make(world, account, name, &path, &seen);
    world.entry(SPOKE, "DeleteAccessEntry", json!({}));
    entry(
        world,
        &json!({"mooring.dev/role-id": world.seen_role(SPOKE).unwrap().id}),
    );
    scene.chain_holds("the deployer role made anew").await;
}

/// What is kept for too long.
pub(super) async fn of_time(scene: &mut Scene) {
    let hub = &scene.world.stage.hub;
    let web_identity = hub
        .token(NAMESPACE, SERVICE_ACCOUNT, "sts.amazonaws.com")
        .await
        .unwrap();
    let minted = BearerToken::new(SPOKE, REGION);
    let minted = minted.sign(&scene.session(&scene.deployer(SPOKE))).unwrap();
    let server = scene.world.stage.server(SPOKE).unwrap();
    let client = server.client_with_token(&minted, "argocd").unwrap();
    if let Err(met) = scene.does(client.clone(), Act::List, "default").await {
        panic!("{}", met.said);
    }
    // The API server remembers whom it let in for 10 s, and asks then.
    scene.world.stage.aws.age_tokens(Duration::from_secs(15 * 60 + 2));
    let replayed = scene
        .world
        .eventually("the API server asks again", async || {
            scene.does(client.clone(), Act::List, "default").await.err()
        })
        .await;
    let expected = (
        Hop::Authentication,
        "X-Amz-Date parameter is expired (15 minute expiration)",
        Reason::Unauthorized,
    );
    // The clocks of the clusters are ahead now, so that Argo CD's own tokens are as old.
    scene
        .doctored("a token that is replayed after 15 minutes", replayed, expected)
        .await;

    scene.world.stage.aws.advance(Duration::from_mins(61));
    let met = tokens::exchange(&scene.world, &web_identity, &scene.management());
    let expected = (
        Hop::ManagementRole,
        "ExpiredTokenException: Token expired",
        Reason::TokenRejected,
    );
    scene
        .doctored("a web identity token of an hour ago", met, expected)
        .await;
}
