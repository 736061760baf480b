//! Real API servers as EKS clusters: who gets in with a bearer token, what access policies and groups let them do, and
//! the way there from a service account of the hub.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as a test does"
)]

mod clients;

use std::time::{Duration, Instant, SystemTime};

use clients::{config, trust};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use mooring_sandbox::aws::contract::Service::{Eks, Iam};
use mooring_sandbox::aws::{AuthenticationMode, BearerToken, ClusterSeed, Credentials, Refusal, Settings, Unmapped};
use mooring_sandbox::control_plane::ControlPlane;
use mooring_sandbox::stage::{ClusterSpec, Fleet, Stage};
use serde_json::{Value, json};

const HUB: &str = "111111111111";
const SPOKE: &str = "222222222222";
const REGION: &str = "eu-west-1";
const AUDIENCE: &str = "sts.amazonaws.com";

/// A stage whose clusters are real, with a deployer role and its access entry on `prod`.
struct World {
    stage: Stage,
}

impl World {
    async fn raise(fleet: Fleet) -> Self {
        let stage = Stage::start(fleet, Settings::default()).await.unwrap();
        let world = Self { stage };
        world.role(SPOKE, "deployer", &trust("aws", HUB));
        world.on_entry("CreateAccessEntry", &json!({}));
        world
    }

    fn role(&self, account: &str, name: &str, trust: &str) {
        let root = self.stage.aws.root(account);
        let input = json!({"RoleName": name, "Path": "/mooring/", "AssumeRolePolicyDocument": trust});
        self.stage.aws.call(&root, Iam, "CreateRole", input).unwrap();
    }

    /// An operation on the deployer's entry.
    fn on_entry(&self, operation: &str, input: &Value) {
        let mut whole = json!({"clusterName": "prod", "principalArn": arn("deployer")});
        for (name, value) in input.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let root = self.stage.aws.root(SPOKE);
        self.stage.aws.call(&root, Eks, operation, whole).unwrap();
    }

    fn associate(&self, policy: &str, namespaces: &[&str]) {
        let kind = if namespaces.is_empty() { "cluster" } else { "namespace" };
        let input = json!({"policyArn": policy_arn(policy), "accessScope": {"type": kind, "namespaces": namespaces}});
        self.on_entry("AssociateAccessPolicy", &input);
    }

    fn disassociate(&self, policy: &str) {
        self.on_entry("DisassociateAccessPolicy", &json!({"policyArn": policy_arn(policy)}));
    }

    fn session(&self, role: &str) -> Credentials {
        // A name of its own for each session, so that the API server has not seen its token before.
        let name = format!("argocd-{:08x}", fastrand::u32(..));
        self.stage.aws.session(&arn(role), &name, &[]).unwrap()
    }

    fn prod(&self) -> &ControlPlane {
        self.stage.server("prod").unwrap()
    }

    /// A client of `prod` as Argo CD is one, with a token that no server has seen yet.
    fn client(&self, role: &str) -> Client {
        self.client_with(role, |_| {})
    }

    fn client_with(&self, role: &str, change: impl FnOnce(&mut BearerToken)) -> Client {
        let mut token = BearerToken::new("prod", REGION);
        change(&mut token);
        let token = token.sign(&self.session(role)).unwrap();
        self.prod().client_with_token(&token, "argocd").unwrap()
    }

    /// Why the last token, which was whole, was refused.
    fn unmapped(&self) -> Unmapped {
        match self.refusal() {
            Refusal::Unmapped { why, .. } => why,
            other @ (Refusal::Format(_) | Refusal::Sts(_)) => panic!("{other}"),
        }
    }

    /// Why the authenticator refused the last token.
    fn refusal(&self) -> Refusal {
        self.stage.aws.token_reviews().last_refusal().expect("a refusal")
    }
}

fn arn(role: &str) -> String {
    format!("arn:aws:iam::{SPOKE}:role/mooring/{role}")
}

fn policy_arn(name: &str) -> String {
    format!("arn:aws:eks::aws:cluster-access-policy/{name}")
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

fn config_maps(client: &Client, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), namespace)
}

/// The HTTP status of a request: 200 for one that was carried out.
fn status<T>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(other) => panic!("{other}"),
    }
}

async fn list(client: &Client, namespace: &str) -> u16 {
    status(config_maps(client, namespace).list(&ListParams::default()).await)
}

async fn create(client: &Client, namespace: &str, name: &str) -> u16 {
    let api = config_maps(client, namespace);
    status(api.create(&PostParams::default(), &config_map(name)).await)
}

async fn path(client: &Client, path: &str) -> u16 {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    status(client.request_text(request).await)
}

fn fleet() -> Fleet {
    Fleet {
        hub: ClusterSpec::new(HUB, REGION, "hub"),
        spokes: vec![
            ClusterSpec::new(SPOKE, REGION, "prod"),
            ClusterSpec::new(SPOKE, REGION, "elsewhere"),
        ],
    }
}

/// One spoke that is real, and one that is not.
fn one_spoke() -> Fleet {
    let mut fleet = fleet();
    fleet.spokes[0].server = true;
    fleet
}

#[tokio::test]
async fn policies_scopes_and_groups_decide_what_a_deployer_may_do() {
    let world = World::raise(one_spoke()).await;
    let prod = world.prod();
    for namespace in ["apps", "dev-1", "other"] {
        let manifest = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        prod.apply_yaml(&manifest).await.unwrap();
    }

    // DescribeCluster leads there, and nowhere for a cluster without a server.
    let sdk = aws_sdk_eks::Client::new(&config(&world.stage.aws, REGION, &world.stage.aws.root(SPOKE)));
    let described = sdk.describe_cluster().name("prod").send().await.unwrap();
    let cluster = described.cluster().unwrap();
    assert_eq!(cluster.endpoint(), Some(prod.url().as_str()));
    assert!(world.stage.server("elsewhere").is_err());

    // An entry without a policy: known, and allowed what everybody who is known is.
    let deployer = world.client("deployer");
    assert_eq!(list(&deployer, "apps").await, 403);
    assert_eq!(path(&deployer, "/version").await, 200);
    assert_eq!(path(&deployer, "/metrics").await, 403);

    // The same client from here on: what is associated is asked at each request.
    world.associate("AmazonEKSViewPolicy", &[]);
    assert_eq!(list(&deployer, "apps").await, 200);
    assert_eq!(create(&deployer, "apps", "a").await, 403);
    let roles: Api<ClusterRole> = Api::all(deployer.clone());
    assert_eq!(status(roles.list(&ListParams::default()).await), 403);

    world.associate("AmazonEKSEditPolicy", &["apps", "dev-*"]);
    assert_eq!(create(&deployer, "apps", "a").await, 200);
    assert_eq!(create(&deployer, "dev-1", "a").await, 200);
    assert_eq!(create(&deployer, "other", "a").await, 403);
    let deleted = config_maps(&deployer, "apps")
        .delete("a", &DeleteParams::default())
        .await;
    assert_eq!(status(deleted), 200);
    let namespaces: Api<Namespace> = Api::all(deployer.clone());
    assert_eq!(status(namespaces.delete("dev-1", &DeleteParams::default()).await), 403);

    // Narrowed by the same operation.
    world.associate("AmazonEKSEditPolicy", &["dev-*"]);
    assert_eq!(create(&deployer, "apps", "b").await, 403);
    world.disassociate("AmazonEKSEditPolicy");
    assert_eq!(create(&deployer, "dev-1", "b").await, 403);

    world.associate("AmazonEKSClusterAdminPolicy", &[]);
    assert_eq!(create(&deployer, "other", "a").await, 200);
    assert_eq!(path(&deployer, "/metrics").await, 200);
    assert_eq!(status(roles.list(&ListParams::default()).await), 200);
    // "The IAM principal has no permissions assigned by any access policies" while it impersonates somebody.
    let mut request = http::Request::get("/api/v1/namespaces/apps/configmaps")
        .body(Vec::new())
        .unwrap();
    request
        .headers_mut()
        .insert("impersonate-user", "somebody".parse().unwrap());
    assert_eq!(status(deployer.request_text(request).await), 403);

    world.disassociate("AmazonEKSClusterAdminPolicy");
    world.disassociate("AmazonEKSViewPolicy");
    assert_eq!(list(&deployer, "apps").await, 403);

    // Groups work through RBAC alone. The user is told anew with the next token.
    prod.apply_yaml(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: viewers},\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin},\n\
         subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: platform}]}",
    )
    .await
    .unwrap();
    world.on_entry("UpdateAccessEntry", &json!({"kubernetesGroups": ["platform"]}));
    let grouped = world.client("deployer");
    let begun = Instant::now();
    while list(&grouped, "apps").await != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "RBAC never let the group in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pods: Api<Pod> = Api::namespaced(grouped, "apps");
    assert_eq!(status(pods.list(&ListParams::default()).await), 200);
    // The server's own administrator was never asked about.
    assert_eq!(list(&prod.admin().unwrap(), "apps").await, 200);
}

/// What is wrong with a token before it is signed.
type Change = fn(&mut BearerToken);

#[tokio::test]
async fn a_spoke_refuses_every_token_that_is_not_exactly_right() {
    let world = World::raise(one_spoke()).await;
    world.associate("AmazonEKSClusterAdminPolicy", &[]);
    assert_eq!(list(&world.client("deployer"), "default").await, 200);
    refuses_malformed_tokens(&world).await;
    refuses_other_principals(&world).await;
    heeds_the_authentication_mode(&world).await;

    // A token that was good, and that this server has not seen: 15 minutes later it is not.
    world.on_entry("CreateAccessEntry", &json!({}));
    assert_eq!(list(&world.client("deployer"), "default").await, 403);
    let kept = world.client("deployer");
    world.stage.aws.age_tokens(Duration::from_secs(15 * 60 + 2));
    assert_eq!(list(&kept, "default").await, 401);
    let said = world.refusal().to_string();
    assert!(said.contains("X-Amz-Date parameter is expired"), "{said}");
}

async fn refuses_malformed_tokens(world: &World) {
    let cases: [(&str, Change); 9] = [
        ("SignatureDoesNotMatch", |token| {
            token.cluster = Some("elsewhere".to_owned());
        }),
        ("did not sign the x-k8s-aws-id header", |token| token.cluster = None),
        ("X-Amz-Date parameter is expired (15 minute expiration)", |token| {
            token.signed_at = SystemTime::now() - Duration::from_secs(15 * 60 + 2);
        }),
        ("Signature not yet current", |token| {
            token.signed_at = SystemTime::now() + Duration::from_mins(16);
        }),
        ("unexpected hostname \"sts.example.com\"", |token| {
            "sts.example.com".clone_into(&mut token.host);
        }),
        // What AWS_ENDPOINT_URL_STS leads to.
        ("unexpected hostname \"127.0.0.1:4566\"", |token| {
            "127.0.0.1:4566".clone_into(&mut token.host);
        }),
        ("unexpected hostname \"sts.cn-north-1.amazonaws.com.cn\"", |token| {
            "sts.cn-north-1.amazonaws.com.cn".clone_into(&mut token.host);
        }),
        ("non-whitelisted query parameter \"Tags\"", |token| {
            token.path_and_query.push_str("&Tags=x");
        }),
        ("query parameter with multiple values", |token| {
            token.path_and_query.push_str("&Version=2011-06-15");
        }),
    ];
    for (expected, change) in cases {
        assert_eq!(
            list(&world.client_with("deployer", change), "default").await,
            401,
            "{expected}"
        );
        let said = world.refusal().to_string();
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let good = || {
        BearerToken::new("prod", REGION)
            .sign(&world.session("deployer"))
            .unwrap()
    };
    for (expected, token) in [
        ("illegal base64 data", format!("{}=", good())),
        ("token is too large", format!("{}{}", good(), "A".repeat(4_096))),
        (
            "missing expected \"k8s-aws-v1.\" prefix",
            good().replace("k8s-aws-v1.", "k8s-aws-v2."),
        ),
    ] {
        let client = world.prod().client_with_token(&token, "argocd").unwrap();
        assert_eq!(list(&client, "default").await, 401, "{expected}");
        let said = world.refusal().to_string();
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

async fn refuses_other_principals(world: &World) {
    world.role(SPOKE, "stranger", &trust("aws", HUB));
    assert_eq!(list(&world.client("stranger"), "default").await, 401);
    assert_eq!(world.unmapped(), Unmapped::NoEntry);

    // A role that was deleted and made anew under its name is another one, and so it stays until the entry is.
    let root = world.stage.aws.root(SPOKE);
    let name = json!({"RoleName": "deployer"});
    world.stage.aws.call(&root, Iam, "DeleteRole", name).unwrap();
    world.role(SPOKE, "deployer", &trust("aws", HUB));
    assert_eq!(list(&world.client("deployer"), "default").await, 401);
    let principal = arn("deployer");
    assert_eq!(world.unmapped(), Unmapped::OtherId { principal });
    world.on_entry("DeleteAccessEntry", &json!({}));
    world.on_entry("CreateAccessEntry", &json!({}));
    world.associate("AmazonEKSClusterAdminPolicy", &[]);
    assert_eq!(list(&world.client("deployer"), "default").await, 200);
}

async fn heeds_the_authentication_mode(world: &World) {
    // In the modes that have it, aws-auth stands in for an entry that is gone; and CONFIG_MAP has no entries at all.
    let mode = |mode: AuthenticationMode| {
        let set = |seed: &mut ClusterSeed| seed.authentication_mode = mode;
        world.stage.aws.update_cluster(SPOKE, REGION, "prod", set).unwrap();
    };
    // Who asks is known when aws-auth has been heard of.
    let until = async |code: u16| {
        let deadline = Instant::now() + Duration::from_mins(1);
        while list(&world.client("deployer"), "default").await != code {
            assert!(Instant::now() < deadline, "not {code}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    mode(AuthenticationMode::ConfigMap);
    assert_eq!(list(&world.client("deployer"), "default").await, 401);
    assert_eq!(world.unmapped(), Unmapped::NotInConfigMap);
    world.prod().apply_yaml(&aws_auth(&arn("deployer"))).await.unwrap();
    let without_path = format!("arn:aws:iam::{SPOKE}:role/deployer");
    world.prod().apply_yaml(&aws_auth(&without_path)).await.unwrap();
    until(200).await;
    mode(AuthenticationMode::ApiAndConfigMap);
    let kept = world.client("deployer");
    assert_eq!(list(&kept, "default").await, 200);
    world.on_entry("DeleteAccessEntry", &json!({}));
    // A token that the API server remembers for its 10 s is a user still, whose policies are gone at once.
    assert_eq!(list(&kept, "default").await, 403);
    assert_eq!(list(&world.client("deployer"), "default").await, 200);
    let maps = config_maps(&world.prod().admin().unwrap(), "kube-system");
    maps.delete("aws-auth", &DeleteParams::default()).await.unwrap();
    until(401).await;
    assert_eq!(world.unmapped(), Unmapped::NoEntry);
    world.prod().apply_yaml(&aws_auth(&without_path)).await.unwrap();
    until(200).await;
    mode(AuthenticationMode::Api);
    assert_eq!(list(&world.client("deployer"), "default").await, 401);
    assert_eq!(world.unmapped(), Unmapped::NoEntry);
}

/// The `ConfigMap` by which people let a role in.
fn aws_auth(role_arn: &str) -> String {
    let roles = json!([{"rolearn": role_arn, "username": "argocd", "groups": ["system:masters"]}]);
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "aws-auth", "namespace": "kube-system"},
        "data": {"mapRoles": roles.to_string()},
    })
    .to_string()
}

/// Everything in between made by hand as Mooring makes it: a service account's token, two roles, an entry.
#[tokio::test]
async fn a_service_account_of_the_hub_comes_to_a_spoke_and_no_other_does() {
    // The hub is a cluster of itself too.
    let mut fleet = fleet();
    fleet.hub.server = true;
    fleet.spokes[0].server = true;
    let world = World::raise(fleet).await;
    world.associate("AmazonEKSClusterAdminPolicy", &[]);
    let (hub, aws) = (&world.stage.hub, &world.stage.aws);
    for manifest in [
        "{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: argocd-server, namespace: argocd}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: other, namespace: argocd}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: argocd-server, namespace: default}}",
    ] {
        hub.apply_yaml(manifest).await.unwrap();
    }
    let root = aws.root(HUB);
    let provider = json!({"Url": hub.issuer(), "ClientIDList": [AUDIENCE]});
    aws.call(&root, Iam, "CreateOpenIDConnectProvider", provider).unwrap();
    let host = hub.issuer().trim_start_matches("https://");
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{HUB}:oidc-provider/{host}")},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {
            format!("{host}:sub"): "system:serviceaccount:argocd:argocd-server", format!("{host}:aud"): AUDIENCE}}}]});
    world.role(HUB, "management", &trust.to_string());
    let assume = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": arn("deployer")}]});
    let policy = json!({"RoleName": "management", "PolicyName": "assume", "PolicyDocument": assume.to_string()});
    aws.call(&root, Iam, "PutRolePolicy", policy).unwrap();

    // A token of the hub's own TokenRequest, verified with the hub's own keys.
    let token = hub.token("argocd", "argocd-server", AUDIENCE).await.unwrap();
    let management = assume_by(&world, &token).await.unwrap();
    let sts = aws_sdk_sts::Client::new(&config(aws, REGION, &management));
    let request = sts.assume_role().role_arn(arn("deployer")).role_session_name("argocd");
    let answer = request.send().await.unwrap();
    let deployer = credentials(answer.credentials().unwrap());
    let client = |server: &ControlPlane, cluster: &str, signer: &Credentials| {
        let token = BearerToken::new(cluster, REGION).sign(signer).unwrap();
        server.client_with_token(&token, "argocd").unwrap()
    };
    assert_eq!(
        create(&client(world.prod(), "prod", &deployer), "default", "a").await,
        200
    );
    // The management role itself has no entry, and the deployer's is on its own cluster.
    assert_eq!(list(&client(world.prod(), "prod", &management), "default").await, 401);
    assert_eq!(list(&client(hub, "hub", &deployer), "default").await, 401);

    // The hub, reached as a cluster by the management role; its own tokens go on working.
    let principal = format!("arn:aws:iam::{HUB}:role/mooring/management");
    let entry = json!({"clusterName": "hub", "principalArn": principal, "kubernetesGroups": []});
    aws.call(&root, Eks, "CreateAccessEntry", entry).unwrap();
    let association = json!({"clusterName": "hub", "principalArn": principal,
        "policyArn": policy_arn("AmazonEKSViewPolicy"), "accessScope": {"type": "namespace", "namespaces": ["argo*"]}});
    aws.call(&root, Eks, "AssociateAccessPolicy", association).unwrap();
    let viewer = client(hub, "hub", &management);
    assert_eq!(list(&viewer, "argocd").await, 200);
    assert_eq!(list(&viewer, "default").await, 403);
    let own = hub.token("argocd", "argocd-server", hub.issuer()).await.unwrap();
    let own = hub.client_with_token(&own, "test").unwrap();
    assert_eq!(path(&own, "/version").await, 200);
    assert_eq!(list(&own, "argocd").await, 403);

    refuses_other_identities(&world, &token).await;
}

/// Whatever differs is refused, each for its own reason. `token` is the right one.
async fn refuses_other_identities(world: &World, token: &str) {
    let (hub, aws) = (&world.stage.hub, &world.stage.aws);
    let denied = (
        "AccessDenied",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    );
    let invalid = "InvalidIdentityToken";
    let tokens = [
        (hub.token("argocd", "other", AUDIENCE).await, denied),
        (hub.token("default", "argocd-server", AUDIENCE).await, denied),
        (
            hub.token("argocd", "argocd-server", "kubernetes").await,
            (invalid, "Incorrect token audience"),
        ),
        (
            hub.token("argocd", "argocd-server", hub.issuer()).await,
            (invalid, "Incorrect token audience"),
        ),
    ];
    for (token, expected) in tokens {
        assert_refused(world, &token.unwrap(), expected).await;
    }
    // The same service account of another cluster: its issuer has no provider here.
    let prod = world.prod();
    for manifest in [
        "{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: argocd-server, namespace: argocd}}",
    ] {
        prod.apply_yaml(manifest).await.unwrap();
    }
    let foreign = prod.token("argocd", "argocd-server", AUDIENCE).await.unwrap();
    let message = format!("No OpenIDConnect provider found in your account for {}", prod.issuer());
    assert_refused(world, &foreign, (invalid, &message)).await;
    // The hub's claims under the other cluster's signature, and the other way round.
    let splice = |claims: &str, signed: &str| {
        let (claims, signed): (Vec<&str>, Vec<&str>) = (claims.split('.').collect(), signed.split('.').collect());
        [claims[0], claims[1], signed[2]].join(".")
    };
    let signature = (invalid, "The ID Token provided has an invalid signature");
    assert_refused(world, &splice(token, &foreign), signature).await;
    let key = "Couldn't retrieve verification key from your identity provider,  please reference \
               AssumeRoleWithWebIdentity documentation for requirements";
    let head = foreign.split('.').next().unwrap();
    let rest = token.split_once('.').unwrap().1;
    assert_refused(world, &format!("{head}.{rest}"), (invalid, key)).await;
    // The token was for an hour.
    aws.advance(Duration::from_mins(61));
    let (code, message) = refusal(world, token).await;
    assert_eq!(code, "ExpiredTokenException");
    assert!(message.starts_with("Token expired: current date/time "), "{message}");
}

async fn assume_by(world: &World, token: &str) -> Result<Credentials, (String, String)> {
    use aws_sdk_sts::error::ProvideErrorMetadata as _;
    // Unsigned: the credentials are nobody's.
    let sts = aws_sdk_sts::Client::new(&config(&world.stage.aws, REGION, &Credentials::default()));
    let request = sts
        .assume_role_with_web_identity()
        .role_arn(format!("arn:aws:iam::{HUB}:role/mooring/management"))
        .role_session_name("argocd")
        .web_identity_token(token);
    match request.send().await {
        Ok(answer) => Ok(credentials(answer.credentials().unwrap())),
        Err(error) => {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            Err((text(error.code()), text(error.message())))
        }
    }
}

async fn refusal(world: &World, token: &str) -> (String, String) {
    assume_by(world, token).await.expect_err("must be refused")
}

async fn assert_refused(world: &World, token: &str, (code, message): (&str, &str)) {
    assert_eq!(refusal(world, token).await, (code.to_owned(), message.to_owned()));
}

fn credentials(given: &aws_sdk_sts::types::Credentials) -> Credentials {
    Credentials {
        access_key_id: given.access_key_id().to_owned(),
        secret_access_key: given.secret_access_key().to_owned(),
        session_token: Some(given.session_token().to_owned()),
        expiration: None,
    }
}
