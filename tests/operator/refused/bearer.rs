//! Bearer tokens that the cluster's API server does not take: ill made, or well made by somebody who has no entry.

use std::time::{Duration, SystemTime};

use kube::{Client, Config};
use mooring::access::{Hop, Reason};
use mooring_sandbox::{
    aws::{BearerToken, ClusterSeed, Credentials, contract::Service},
    control_plane::ControlPlane,
};
use serde_json::{Value, json};

use super::{Act, Met, NAMESPACE, SERVICE_ACCOUNT, SPOKE, Scene, TOOLS, judged, roles::strong};
use crate::support::{
    HUB_ACCOUNT,
    hands::{loose_trust, policy_arn},
    manifest::VIEW,
};

/// Where Argo CD mints its tokens: in the hub's region.
const REGION: &str = "eu-west-1";
const QUARTER: Duration = Duration::from_mins(15);

/// What is wrong with a token before it is signed, or after.
enum Wrong {
    Made(fn(&mut BearerToken)),
    Text(fn(String) -> String),
    Url(fn(String) -> String),
}

use Wrong::{Made, Text, Url};

type Way = (&'static str, &'static str, Wrong);

/// What is asked, and of whom.
fn asking() -> Vec<Way> {
    vec![
        (
            "a token for another cluster's name",
            "SignatureDoesNotMatch",
            Made(|token| token.cluster = Some(TOOLS.to_owned())),
        ),
        (
            "a token that does not sign the cluster's name",
            "client did not sign the x-k8s-aws-id header",
            Made(|token| token.cluster = None),
        ),
        (
            "a token by way of a host that is not AWS's",
            "unexpected hostname \"sts.eu-west-1.amazonaws.com.example.org\"",
            Made(|token| "sts.eu-west-1.amazonaws.com.example.org".clone_into(&mut token.host)),
        ),
        (
            "a token by way of a region that there is not",
            "unexpected hostname \"sts.eu-nowhere-9.amazonaws.com\"",
            Made(|token| "sts.eu-nowhere-9.amazonaws.com".clone_into(&mut token.host)),
        ),
        (
            "a token by way of an endpoint of one's own",
            "unexpected hostname \"127.0.0.1:4566\"",
            Made(|token| "127.0.0.1:4566".clone_into(&mut token.host)),
        ),
        (
            "a token by way of another partition's STS",
            "unexpected hostname \"sts.cn-north-1.amazonaws.com.cn\"",
            Made(|token| "sts.cn-north-1.amazonaws.com.cn".clone_into(&mut token.host)),
        ),
        (
            "a token by way of another service of AWS",
            "unexpected hostname \"iam.amazonaws.com\"",
            Made(|token| "iam.amazonaws.com".clone_into(&mut token.host)),
        ),
        (
            "a token that shows AWS's host as a user name",
            "unexpected hostname \"sts.eu-west-1.amazonaws.com@example.org\"",
            Url(|url| url.replace("amazonaws.com/", "amazonaws.com@example.org/")),
        ),
        (
            "a token over http",
            "unexpected scheme \"http\"",
            Url(|url| url.replace("https://", "http://")),
        ),
        (
            "a token for another path",
            "unexpected path",
            Made(|token| "/latest?Action=GetCallerIdentity&Version=2011-06-15".clone_into(&mut token.path_and_query)),
        ),
        (
            "a presigned URL for another action",
            "unexpected action parameter",
            Made(|token| "/?Action=GetSessionToken&Version=2011-06-15".clone_into(&mut token.path_and_query)),
        ),
        (
            "a token with a query parameter more",
            "non-whitelisted query parameter \"Tags\"",
            Made(|token| token.path_and_query.push_str("&Tags=x")),
        ),
        (
            "a token with a query parameter twice",
            "query parameter with multiple values",
            Made(|token| token.path_and_query.push_str("&action=GetCallerIdentity")),
        ),
    ]
}

/// When, and in which form.
fn forms() -> Vec<Way> {
    vec![
        (
            "a token that was signed 15 minutes ago",
            "X-Amz-Date parameter is expired (15 minute expiration)",
            Made(|token| token.signed_at = SystemTime::now() - QUARTER - Duration::from_secs(2)),
        ),
        (
            "a token that is signed for later",
            "Signature not yet current",
            Made(|token| token.signed_at = SystemTime::now() + QUARTER + Duration::from_mins(1)),
        ),
        (
            "a token that is to live longer",
            "invalid X-Amz-Expires parameter in pre-signed URL: 901",
            Made(|token| token.expires = QUARTER + Duration::from_secs(1)),
        ),
        (
            "a token with another signature",
            "SignatureDoesNotMatch",
            Url(|url| {
                let (rest, _) = url.rsplit_once("X-Amz-Signature=").unwrap();
                format!("{rest}X-Amz-Signature={}", "0".repeat(64))
            }),
        ),
        (
            "a token with padding",
            "illegal base64 data",
            Text(|token| format!("{token}=")),
        ),
        (
            "a token of another version",
            "missing expected \"k8s-aws-v1.\" prefix",
            Text(|token| token.replace("k8s-aws-v1.", "k8s-aws-v2.")),
        ),
    ]
}

pub(super) async fn malformed(scene: &mut Scene) {
    let subject = judged::subject(&scene.world).await;
    let deployer = scene.deployer(SPOKE);
    for (name, said, wrong) in asking().into_iter().chain(forms()) {
        let mut token = BearerToken::new(SPOKE, REGION);
        if let Made(change) = &wrong {
            change(&mut token);
        }
        let url = token.presign(&scene.session(&deployer)).unwrap();
        let token = match wrong {
            Made(_) => BearerToken::wrap(&url),
            Url(change) => BearerToken::wrap(&change(url)),
            Text(change) => change(BearerToken::wrap(&url)),
        };
        let met = shown(scene, SPOKE, &token).await;
        let judged = judged::bearer(&scene.world, subject.clone(), &deployer, token.len());
        let expected = (Hop::Authentication, said, Reason::Unauthorized);
        scene.judged(name, met, expected, judged);
    }
    let mut token = BearerToken::new(SPOKE, REGION);
    token.path_and_query.push_str(&"&X-Amz-Security-Token=x".repeat(180));
    let token = token.sign(&scene.session(&deployer)).unwrap();
    let met = shown(scene, SPOKE, &token).await;
    let judged = judged::bearer(&scene.world, subject, &deployer, token.len());
    let expected = (Hop::Authentication, "token is too large", Reason::TokenTooLarge);
    scene.judged("a token that is too long", met, expected, judged);
}

/// What somebody with a token meets at a cluster.
async fn shown(scene: &Scene, cluster: &str, token: &str) -> Met {
    let server: &ControlPlane = scene.world.stage.server(cluster).unwrap();
    let client = server.client_with_token(token, "argocd").unwrap();
    scene.does(client, Act::List, "default").await.expect_err("let in")
}

/// Well made tokens, of those who have no entry there.
pub(super) async fn of_others(scene: &mut Scene) {
    let world = &scene.world;
    let (management, deployer) = (world.hub().management_role_arn(None), world.deployer(SPOKE));
    let account = deployer.account.as_str();
    let similar = strong(world, account, &deployer.path, &format!("{}-2", deployer.name));
    let namesake = strong(world, "333333333333", &deployer.path, deployer.name.as_str());
    let admin = format!("arn:aws:iam::{account}:role/admin");
    let (management, deployer) = (management.to_string(), deployer.to_string());
    let unmapped = "no access entry has it as its principal";
    let ways: [(&'static str, &str); 5] = [
        ("the management role itself at the cluster", &management),
        (
            "the deployer role of another cluster at this one",
            &scene.deployer(TOOLS),
        ),
        ("a role of the account with a longer name", &similar),
        ("a role of the deployer's name and path in another account", &namesake),
        ("an administrator of the account at the cluster", &admin),
    ];
    let subject = judged::subject(world).await;
    for (name, role) in ways {
        let token = BearerToken::new(SPOKE, REGION).sign(&scene.session(role)).unwrap();
        let met = shown(scene, SPOKE, &token).await;
        let told = judged::bearer(&scene.world, subject.clone(), role, token.len());
        scene.judged(name, met, (Hop::Authentication, unmapped, Reason::NoAccessEntry), told);
    }
    let token = BearerToken::new("hub", REGION).sign(&scene.session(&deployer)).unwrap();
    let met = shown(scene, "hub", &token).await;
    let name = "this deployer role at another cluster: the hub";
    scene.row(name, met, Hop::Authentication, unmapped, super::Told::Nobody);
    let root = scene.world.stage.aws.root(account_of(&deployer));
    let token = BearerToken::new(SPOKE, REGION).sign(&root).unwrap();
    let met = shown(scene, SPOKE, &token).await;
    let name = "the root of the cluster's own account at the cluster";
    scene.row(name, met, Hop::Authentication, unmapped, super::Told::Nobody);

    // Half of what a session is.
    let session = scene.session(&deployer);
    let other = scene.session(&deployer);
    for (name, said, credentials) in [
        (
            "a session without its session token",
            "InvalidClientTokenId",
            Credentials {
                session_token: None,
                ..session.clone()
            },
        ),
        (
            "the session token of another session",
            "InvalidClientTokenId",
            Credentials {
                session_token: other.session_token.clone(),
                ..session.clone()
            },
        ),
        (
            "the key of another session",
            "SignatureDoesNotMatch",
            Credentials {
                secret_access_key: other.secret_access_key.clone(),
                ..session
            },
        ),
    ] {
        let token = BearerToken::new(SPOKE, REGION).sign(&credentials).unwrap();
        let met = shown(scene, SPOKE, &token).await;
        let told = judged::bearer(&scene.world, subject.clone(), &deployer, token.len());
        scene.judged(name, met, (Hop::Authentication, said, Reason::Unauthorized), told);
    }
    // What Argo CD begins with is not what it ends with.
    let hub = &scene.world.stage.hub;
    let token = hub
        .token(NAMESPACE, SERVICE_ACCOUNT, "sts.amazonaws.com")
        .await
        .unwrap();
    let met = shown(scene, SPOKE, &token).await;
    let told = judged::bearer(&scene.world, subject, &deployer, token.len());
    scene.judged(
        "the service account's own token, shown to the cluster",
        met,
        (
            Hop::Authentication,
            "missing expected \"k8s-aws-v1.\" prefix",
            Reason::Unauthorized,
        ),
        told,
    );
}

fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap()
}

/// A cluster in China, which has no API server here: its authenticator is asked as one would ask it.
pub(super) async fn in_another_partition(scene: &mut Scene) {
    let (account, region, cluster) = ("555555555555", "cn-north-1", "beijing");
    let aws = &scene.world.stage.aws;
    aws.add_account(account, "aws-cn");
    aws.add_cluster(ClusterSeed::new(account, region, cluster));
    let root = aws.root(account);
    let call = |service, operation: &str, input| aws.call_in(region, &root, service, operation, input).unwrap();
    let trust = loose_trust(HUB_ACCOUNT).replace("arn:aws:", "arn:aws-cn:");
    let trust = trust.replace(HUB_ACCOUNT, account);
    let role = json!({"RoleName": "deployer", "AssumeRolePolicyDocument": trust});
    let role = call(Service::Iam, "CreateRole", role)["Role"]["Arn"]
        .as_str()
        .unwrap()
        .to_owned();
    let principal = json!({"clusterName": cluster, "principalArn": role});
    call(Service::Eks, "CreateAccessEntry", principal.clone());
    let policy = json!({
        "clusterName": cluster, "principalArn": role, "accessScope": {"type": "cluster"},
        "policyArn": policy_arn(VIEW).replace("arn:aws:", "arn:aws-cn:"),
    });
    call(Service::Eks, "AssociateAccessPolicy", policy);

    let webhook = aws.webhooks(account, region, cluster).authentication;
    let of_role = |host: Option<&str>| {
        let mut token = BearerToken::new(cluster, region);
        if let Some(host) = host {
            host.clone_into(&mut token.host);
        }
        token.sign(&scene.session(&role)).unwrap()
    };
    assert!(takes(&webhook, &of_role(None)).await, "its own STS leads there");
    assert!(!takes(&webhook, &of_role(Some("sts.amazonaws.com"))).await);
    let refusal = scene.world.stage.aws.token_reviews().last_refusal().unwrap();
    let met = Met {
        hop: Hop::Authentication,
        said: format!("401: {refusal}"),
    };
    scene.row(
        "a token by way of the global STS, at a cluster of another partition",
        met,
        Hop::Authentication,
        "unexpected hostname \"sts.amazonaws.com\"",
        super::Told::Nobody,
    );
}

/// Whether a cluster's authenticator takes a token.
async fn takes(webhook: &str, token: &str) -> bool {
    let path = webhook.splitn(4, '/').nth(3).unwrap();
    let base = webhook.strip_suffix(path).unwrap();
    let client = Client::try_from(Config::new(base.parse().unwrap())).unwrap();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let request = http::Request::post(format!("/{path}"))
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .unwrap();
    let answer: Value = client.request(request).await.unwrap();
    answer["status"]["authenticated"] == json!(true)
}
