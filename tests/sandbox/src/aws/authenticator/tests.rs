//! Tokens of a deployer role, shown to the authenticator of its cluster: whole, tampered with, stale, and of others.

use std::time::SystemTime;

use serde_json::json;

use super::*;
use crate::aws::contract::Service::{Eks, Iam};
use crate::aws::{
    AuthenticationMode, ClusterSeed, Credentials, Effect, FakeAws, Fault, RoleMapping, Settings, Unmapped,
};

const ACCOUNT: &str = "222222222222";
const REGION: &str = "eu-west-1";

struct Stage {
    aws: FakeAws,
}

impl Stage {
    /// A cluster `prod` with an access entry for `deployer`.
    async fn new() -> Self {
        let aws = FakeAws::start(Settings::default()).await.unwrap();
        aws.add_account(ACCOUNT, "aws");
        aws.add_cluster(ClusterSeed::new(ACCOUNT, REGION, "prod"));
        let stage = Self { aws };
        stage.role("deployer");
        stage.entry("CreateAccessEntry", json!({"kubernetesGroups": ["deployers"]}));
        stage
    }

    fn role(&self, name: &str) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "sts:AssumeRole"}]});
        let input = json!({"RoleName": name, "Path": "/mooring/hub/", "AssumeRolePolicyDocument": trust.to_string()});
        self.aws
            .call(&self.aws.root(ACCOUNT), Iam, "CreateRole", input)
            .unwrap();
    }

    fn entry(&self, operation: &str, mut input: Value) {
        input["clusterName"] = json!("prod");
        input["principalArn"] = json!(arn("deployer"));
        self.aws.call(&self.aws.root(ACCOUNT), Eks, operation, input).unwrap();
    }

    fn session(&self, role: &str) -> Credentials {
        self.aws.session(&arn(role), "argocd@hub", &[]).unwrap()
    }

    fn mode(&self, mode: AuthenticationMode) {
        self.aws
            .update_cluster(ACCOUNT, REGION, "prod", |seed| seed.authentication_mode = mode)
            .unwrap();
    }

    async fn review_on(&self, region: &str, cluster: &str, token: &str) -> Result<User, Refusal> {
        let key = (ACCOUNT.to_owned(), region.to_owned(), cluster.to_owned());
        let core = &self.aws.core;
        let reviewed = core.authenticator.review(core, &key, token).await;
        reviewed.map(|found| found.user)
    }

    async fn review(&self, token: &str) -> Result<User, Refusal> {
        self.review_on(REGION, "prod", token).await
    }

    /// What is said of a token that differs from a good one.
    async fn refusal(&self, change: impl FnOnce(&mut BearerToken)) -> String {
        let mut token = BearerToken::new("prod", REGION);
        change(&mut token);
        let token = token.sign(&self.session("deployer")).unwrap();
        self.review(&token).await.unwrap_err().to_string()
    }

    /// What is said of a good token whose presigned URL was edited afterwards.
    async fn edited(&self, edit: impl FnOnce(String) -> String) -> String {
        let url = BearerToken::new("prod", REGION)
            .presign(&self.session("deployer"))
            .unwrap();
        let token = BearerToken::wrap(&edit(url));
        self.review(&token).await.unwrap_err().to_string()
    }
}

fn arn(role: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/mooring/hub/{role}")
}

fn good(stage: &Stage, role: &str) -> String {
    BearerToken::new("prod", REGION).sign(&stage.session(role)).unwrap()
}

#[tokio::test]
async fn a_token_of_the_role_of_an_entry_is_its_user() {
    let stage = Stage::new().await;
    let user = stage.review(&good(&stage, "deployer")).await.unwrap();
    // The path of the role is not in it, and an @ is a - there.
    assert_eq!(
        user.username,
        "arn:aws:sts::222222222222:assumed-role/deployer/argocd-hub"
    );
    assert_eq!(user.groups, ["deployers"]);
    assert!(
        user.uid.starts_with("aws-iam-authenticator:222222222222:AROA"),
        "{}",
        user.uid
    );
    let reviews = stage.aws.token_reviews().since(0);
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].outcome, Ok(user));
    // The client's region need not be the cluster's, and every kind of endpoint will do.
    for (host, region) in [
        ("sts.us-east-1.amazonaws.com", "us-east-1"),
        ("sts-fips.us-east-1.amazonaws.com", "us-east-1"),
        ("sts.eu-central-1.api.aws", "eu-central-1"),
        ("sts.amazonaws.com", "us-east-1"),
    ] {
        let mut token = BearerToken::new("prod", region);
        host.clone_into(&mut token.host);
        let token = token.sign(&stage.session("deployer")).unwrap();
        stage
            .review(&token)
            .await
            .unwrap_or_else(|error| panic!("{host}: {error}"));
    }
}

#[tokio::test]
async fn a_token_is_asked_of_sts_as_over_the_wire() {
    let stage = Stage::new().await;
    stage.review(&good(&stage, "deployer")).await.unwrap();
    let calls = stage.aws.log().all();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].operation, "GetCallerIdentity");
    assert_eq!(calls[0].caller.as_ref().unwrap().account, ACCOUNT);
}

#[tokio::test]
async fn what_is_not_exactly_a_presigned_get_caller_identity_is_refused_before_sts_is_asked() {
    let stage = Stage::new().await;
    let format = |why: &str| format!("input token was not properly formatted: {why}");
    let host = |host: &str| format(&format!("unexpected hostname {host:?} in pre-signed URL"));
    for name in [
        "sts.eu-west-1.amazonaws.com.evil.example",
        "evil.example",
        "iam.amazonaws.com",
        "sts.eu-west-1.amazonaws.com:443",
        "STS.eu-west-1.amazonaws.com",
        "sts.cn-north-1.amazonaws.com.cn",
        "vpce-0123-sts.eu-west-1.vpce.amazonaws.com",
    ] {
        let said = stage.refusal(|token| name.clone_into(&mut token.host)).await;
        assert_eq!(said, host(name));
    }
    let with = |more: &'static str| stage.refusal(move |token| token.path_and_query.push_str(more));
    assert_eq!(
        with("&X-Amz-Foo=1").await,
        format("non-whitelisted query parameter \"X-Amz-Foo\"")
    );
    let twice = format("query parameter with multiple values not supported");
    assert_eq!(with("&Version=2011-06-15").await, twice);
    assert_eq!(with("&aCTION=GetCallerIdentity").await, twice);
    let path = |path: &'static str| stage.refusal(move |token| path.clone_into(&mut token.path_and_query));
    assert_eq!(
        path("/x?Action=GetCallerIdentity&Version=2011-06-15").await,
        format("unexpected path in pre-signed URL")
    );
    let action = format("unexpected action parameter in pre-signed URL");
    assert_eq!(path("/?Action=AssumeRole&Version=2011-06-15").await, action);
    assert_eq!(path("/?Version=2011-06-15").await, action);
    assert_eq!(
        stage.refusal(|token| token.cluster = None).await,
        format("client did not sign the x-k8s-aws-id header in the pre-signed URL")
    );
    let expires = |seconds: &str| format(&format!("invalid X-Amz-Expires parameter in pre-signed URL: {seconds}"));
    assert_eq!(
        stage.refusal(|token| token.expires = Duration::from_secs(901)).await,
        expires("901")
    );
    let replace = |from: &'static str, to: &'static str| stage.edited(move |url| url.replace(from, to));
    assert_eq!(replace("X-Amz-Expires=60", "X-Amz-Expires=-1").await, expires("-1"));
    assert_eq!(replace("X-Amz-Expires=60", "Version=2011-06-15").await, twice);
    assert_eq!(
        replace("https://", "http://").await,
        format("unexpected scheme \"http\" in pre-signed URL")
    );
    assert_eq!(
        replace("X-Amz-Date=2", "X-Amz-Date=x2")
            .await
            .split('"')
            .next()
            .unwrap(),
        format("error parsing X-Amz-Date parameter ")
    );
    let dateless = stage.edited(|url| {
        let start = url.find("&X-Amz-Date=").unwrap();
        let end = start + 1 + url[start + 1..].find('&').unwrap();
        format!("{}{}", &url[..start], &url[end..])
    });
    assert_eq!(
        dateless.await,
        format("X-Amz-Date parameter must be present in pre-signed URL")
    );
    for broken in ["&Version=%zz", "&a;b=c"] {
        let said = stage.edited(|url| url + broken).await;
        assert_eq!(said, format("malformed query parameter"));
    }
    assert!(stage.aws.log().all().is_empty(), "STS was asked");
}

#[tokio::test]
async fn the_envelope_of_a_token_is_exact() {
    let stage = Stage::new().await;
    let token = good(&stage, "deployer");
    let said = async |token: &str| stage.review(token).await.unwrap_err().to_string();
    let base64 = "input token was not properly formatted: illegal base64 data: it must be base64url without padding";
    assert_eq!(said(&format!("{token}=")).await, base64);
    assert_eq!(said(&format!("{token}+")).await, base64);
    assert_eq!(
        said(token.trim_start_matches("k8s-aws-v1.")).await,
        "input token was not properly formatted: token is missing expected \"k8s-aws-v1.\" prefix"
    );
    let long = "input token was not properly formatted: token is too large";
    assert_eq!(said(&format!("k8s-aws-v1.{}", "A".repeat(4_086))).await, long);
    let longest = format!("k8s-aws-v1.{}", "A".repeat(4_085));
    assert_eq!(longest.len(), 4_096);
    assert_ne!(said(&longest).await, long);
    // A session whose token carries much makes such a token, without anybody's doing.
    let tags: Vec<(String, String)> = (0..12).map(|tag| (format!("tag-{tag}"), "x".repeat(250))).collect();
    let credentials = stage.aws.session(&arn("deployer"), "argocd", &tags).unwrap();
    let token = BearerToken::new("prod", REGION).sign(&credentials).unwrap();
    assert_eq!(said(&token).await, long);
}

#[tokio::test]
async fn sts_holds_the_signature_to_this_cluster_and_the_credentials_to_their_end() {
    let stage = Stage::new().await;
    stage.aws.add_cluster(ClusterSeed::new(ACCOUNT, REGION, "other"));
    let token = good(&stage, "deployer");
    let said = stage.review_on(REGION, "other", &token).await.unwrap_err().to_string();
    let mismatch = "sts getCallerIdentity failed: error from AWS (expected 200, got 403): SignatureDoesNotMatch: ";
    assert!(said.starts_with(mismatch), "{said}");
    // An edit that passes every check of the form: the access key of somebody else.
    let other = stage.aws.root(ACCOUNT).access_key_id;
    let own = stage.session("deployer");
    let url = BearerToken::new("prod", REGION).presign(&own).unwrap();
    let forged = BearerToken::wrap(&url.replace(&own.access_key_id, &other));
    let said = stage.review(&forged).await.unwrap_err().to_string();
    assert!(said.starts_with(mismatch), "{said}");
    let said = stage
        .refusal(|token| token.signed_at = SystemTime::now() + Duration::from_mins(16))
        .await;
    assert!(said.contains("Signature not yet current"), "{said}");
    stage.aws.advance(Duration::from_mins(61));
    let said = stage.review(&token).await.unwrap_err().to_string();
    assert!(said.contains("ExpiredToken: "), "{said}");
}

#[tokio::test]
async fn a_token_is_taken_again_for_fifteen_minutes_and_no_longer() {
    let stage = Stage::new().await;
    let token = good(&stage, "deployer");
    stage.review(&token).await.unwrap();
    stage.aws.age_tokens(Duration::from_secs(14 * 60 + 30));
    stage.review(&token).await.unwrap();
    stage.aws.age_tokens(Duration::from_secs(31));
    let said = stage.review(&token).await.unwrap_err().to_string();
    let expired = "input token was not properly formatted: X-Amz-Date parameter is expired (15 minute expiration) ";
    assert!(said.starts_with(expired), "{said}");
    let other = Stage::new().await;
    let said = other
        .refusal(|token| token.signed_at = SystemTime::now() - Duration::from_secs(15 * 60 + 2))
        .await;
    assert!(said.starts_with(expired), "{said}");
}

#[tokio::test]
async fn an_entry_is_for_the_very_role_that_it_was_made_for() {
    let stage = Stage::new().await;
    stage.role("stranger");
    let unmapped = |role: &str, why: Unmapped| {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/argocd@hub");
        Err(Refusal::Unmapped { arn, why })
    };
    let stranger = stage.review(&good(&stage, "stranger")).await;
    assert_eq!(stranger, unmapped("stranger", Unmapped::NoEntry));
    let root = BearerToken::new("prod", REGION).sign(&stage.aws.root(ACCOUNT)).unwrap();
    assert!(matches!(
        stage.review(&root).await,
        Err(Refusal::Unmapped {
            why: Unmapped::NoEntry,
            ..
        })
    ));
    let input = json!({"RoleName": "deployer"});
    stage
        .aws
        .call(&stage.aws.root(ACCOUNT), Iam, "DeleteRole", input)
        .unwrap();
    stage.role("deployer");
    let principal = arn("deployer");
    let made_anew = stage.review(&good(&stage, "deployer")).await;
    assert_eq!(made_anew, unmapped("deployer", Unmapped::OtherId { principal }));
    stage.entry("DeleteAccessEntry", json!({}));
    let removed = stage.review(&good(&stage, "deployer")).await;
    assert_eq!(removed, unmapped("deployer", Unmapped::NoEntry));
    stage.entry("CreateAccessEntry", json!({}));
    stage.review(&good(&stage, "deployer")).await.unwrap();
    stage.aws.remove_cluster(ACCOUNT, REGION, "prod").unwrap();
    let gone = stage.review(&good(&stage, "deployer")).await;
    assert_eq!(gone, unmapped("deployer", Unmapped::NoCluster));
}

#[tokio::test]
async fn the_mode_says_whether_entries_and_aws_auth_count() {
    let stage = Stage::new().await;
    let map = |role_arn: &str| {
        let mapping = RoleMapping {
            role_arn: role_arn.to_owned(),
            username: "{{AccountID}}:{{SessionName}}".to_owned(),
            groups: vec!["system:masters".to_owned()],
        };
        let set = |seed: &mut ClusterSeed| seed.aws_auth = vec![mapping];
        stage.aws.update_cluster(ACCOUNT, REGION, "prod", set).unwrap();
    };
    let user = async || stage.review(&good(&stage, "deployer")).await.map(|user| user.username);
    let by_entry = "arn:aws:sts::222222222222:assumed-role/deployer/argocd-hub".to_owned();
    let by_map = format!("{ACCOUNT}:argocd-hub");

    stage.mode(AuthenticationMode::ConfigMap);
    let why = |result: Result<String, Refusal>| match result {
        Err(Refusal::Unmapped { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(user().await), Unmapped::NotInConfigMap);
    // aws-auth knows roles without their path.
    map(&arn("deployer"));
    assert_eq!(why(user().await), Unmapped::NotInConfigMap);
    map(&format!("arn:aws:iam::{ACCOUNT}:role/deployer"));
    assert_eq!(user().await, Ok(by_map.clone()));

    stage.mode(AuthenticationMode::ApiAndConfigMap);
    assert_eq!(user().await, Ok(by_entry));
    // A mapping outlives the entry, and the role that it names.
    stage.entry("DeleteAccessEntry", json!({}));
    assert_eq!(user().await, Ok(by_map));
    stage.mode(AuthenticationMode::Api);
    assert_eq!(why(user().await), Unmapped::NoEntry);
}

#[tokio::test]
async fn partitions_have_their_own_sts() {
    let stage = Stage::new().await;
    stage.aws.add_account("333333333333", "aws-cn");
    stage
        .aws
        .add_cluster(ClusterSeed::new("333333333333", "cn-north-1", "prod"));
    let key = ("333333333333".to_owned(), "cn-north-1".to_owned(), "prod".to_owned());
    let core = &stage.aws.core;
    let mut token = BearerToken::new("prod", "cn-north-1");
    let own = token.sign(&stage.aws.root("333333333333")).unwrap();
    // In China, and nobody's there: STS was asked and answered.
    let said = core.authenticator.review(core, &key, &own).await.unwrap_err();
    assert!(matches!(said, Refusal::Unmapped { .. }), "{said}");
    for host in ["sts.amazonaws.com", "sts.us-gov-west-1.amazonaws.com"] {
        host.clone_into(&mut token.host);
        let foreign = token.sign(&stage.aws.root("333333333333")).unwrap();
        let said = core.authenticator.review(core, &key, &foreign).await.unwrap_err();
        let expected = format!("unexpected hostname {host:?} in pre-signed URL");
        assert_eq!(said, Refusal::Format(expected));
    }
}

#[tokio::test]
async fn faults_of_sts_fall_on_it_too() {
    let stage = Stage::new().await;
    let fault = Fault::on("GetCallerIdentity", Effect::CloseBefore);
    stage.aws.faults().add(fault).unwrap();
    assert_eq!(
        stage.review(&good(&stage, "deployer")).await,
        Err(Refusal::Sts("error during GET: EOF".to_owned()))
    );
}
