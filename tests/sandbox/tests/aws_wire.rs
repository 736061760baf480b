//! The wire of the fake AWS, driven by AWS's own SDK clients: hosts, signatures, protocols, throttling, faults, log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as a test does"
)]

mod clients;

use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use clients::{config, config_with, role, trust};
use mooring_sandbox::aws::contract::Service;
use mooring_sandbox::aws::{ClusterSeed, Credentials, Effect, FakeAws, Fault, Outcome, Rate, Rates, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HUB: &str = "111111111111";
const SPOKE: &str = "222222222222";

async fn aws() -> FakeAws {
    FakeAws::start(Settings::default()).await.unwrap()
}

fn sts(aws: &FakeAws, region: &str, credentials: &Credentials) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(&config(aws, region, credentials))
}

fn iam(aws: &FakeAws, credentials: &Credentials) -> aws_sdk_iam::Client {
    aws_sdk_iam::Client::new(&config(aws, "eu-west-1", credentials))
}

fn eks(aws: &FakeAws, region: &str, credentials: &Credentials) -> aws_sdk_eks::Client {
    aws_sdk_eks::Client::new(&config(aws, region, credentials))
}

/// Sends a text over a new connection and gives everything that comes back.
async fn raw(address: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_account_comes_from_the_credentials_and_partition_and_region_from_the_host() {
    let aws = aws().await;
    aws.add_account("333333333333", "aws-cn");
    let identity = sts(&aws, "eu-west-1", &aws.root(HUB))
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert_eq!(identity.account(), Some(HUB));
    assert_eq!(identity.arn(), Some("arn:aws:iam::111111111111:root"));
    let china = aws.root("333333333333");
    let identity = sts(&aws, "cn-north-1", &china)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert_eq!(identity.arn(), Some("arn:aws-cn:iam::333333333333:root"));
    let (status, code, _) = refusal!(sts(&aws, "eu-west-1", &china).get_caller_identity().send());
    assert_eq!(
        (status, code.as_str()),
        (403, "InvalidClientTokenId"),
        "keys are known in their own partition only"
    );
    aws.add_cluster(ClusterSeed::new(SPOKE, "ap-southeast-2", "prod"));
    let found = eks(&aws, "ap-southeast-2", &aws.root(SPOKE))
        .describe_cluster()
        .name("prod")
        .send()
        .await
        .unwrap();
    assert_eq!(
        found.cluster().unwrap().arn(),
        Some("arn:aws:eks:ap-southeast-2:222222222222:cluster/prod")
    );
    let regions: Vec<String> = aws.log().all().into_iter().map(|call| call.region).collect();
    assert_eq!(regions, ["eu-west-1", "cn-north-1", "eu-west-1", "ap-southeast-2"]);
}

#[tokio::test]
async fn the_proxy_takes_aws_hosts_only_and_never_dials_out() {
    let aws = aws().await;
    for target in [
        "example.com:443",
        "s3.eu-west-1.amazonaws.com:443",
        "sts.eu-west-1.amazonaws.com:80",
        "127.0.0.1:443",
    ] {
        let answer = raw(
            &aws.proxy_url(),
            &format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(
            answer.contains(target) && answer.contains("never dials out"),
            "{answer}"
        );
    }
    let answer = raw(&aws.proxy_url(), "GET http://iam.amazonaws.com/ HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(aws.log().all().is_empty());
}

#[tokio::test]
async fn the_certificate_goes_with_the_sandbox() {
    let aws = aws().await;
    let bundle = aws.ca_bundle();
    assert!(
        std::fs::read_to_string(&bundle)
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    drop(aws);
    // The proxy's task holds the certificate until it has seen that it must stop.
    for _ in 0..100 {
        if !bundle.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} is still there", bundle.display());
}

#[tokio::test]
async fn wrong_credentials_are_refused_in_the_words_of_each_service() {
    let aws = aws().await;
    let root = aws.root(HUB);
    let unknown = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..root.clone()
    };
    let invalid = "The security token included in the request is invalid.".to_owned();
    let answer = refusal!(iam(&aws, &unknown).list_open_id_connect_providers().send());
    assert_eq!(answer, (403, "InvalidClientTokenId".to_owned(), invalid.clone()));
    let answer = refusal!(eks(&aws, "eu-west-1", &unknown).describe_cluster().name("x").send());
    assert_eq!(answer, (403, "UnrecognizedClientException".to_owned(), invalid.clone()));
    let forged = Credentials {
        secret_access_key: "guess".to_owned(),
        ..root.clone()
    };
    let (status, code, message) = refusal!(sts(&aws, "eu-west-1", &forged).get_caller_identity().send());
    assert_eq!((status, code.as_str()), (403, "SignatureDoesNotMatch"));
    assert!(
        message.starts_with("The request signature we calculated does not match"),
        "{message}"
    );
    let (status, code, _) = refusal!(eks(&aws, "eu-west-1", &forged).describe_cluster().name("x").send());
    assert_eq!((status, code.as_str()), (403, "InvalidSignatureException"));
    let arn = role(&aws, HUB, "/", "someone", &json!([]));
    let session = aws.session(&arn, "me", &[]).unwrap();
    let stripped = Credentials {
        session_token: None,
        ..session.clone()
    };
    let answer = refusal!(sts(&aws, "eu-west-1", &stripped).get_caller_identity().send());
    assert_eq!(answer, (403, "InvalidClientTokenId".to_owned(), invalid));
    let identity = sts(&aws, "eu-west-1", &session)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert_eq!(
        identity.arn(),
        Some("arn:aws:sts::111111111111:assumed-role/someone/me")
    );
    assert!(
        aws.log()
            .all()
            .iter()
            .take(5)
            .all(|call| call.account.is_empty() && call.caller.is_none())
    );
}

#[tokio::test]
async fn a_session_that_has_ended_is_refused() {
    let aws = aws().await;
    let arn = role(&aws, HUB, "/", "someone", &json!([]));
    let session = aws.session(&arn, "me", &[]).unwrap();
    aws.advance(Duration::from_mins(61));
    let (status, code, message) = refusal!(iam(&aws, &session).get_role().role_name("someone").send());
    assert_eq!((status, code.as_str()), (403, "ExpiredToken"));
    assert_eq!(message, "The security token included in the request is expired");
    let (status, code, _) = refusal!(eks(&aws, "eu-west-1", &session).describe_cluster().name("x").send());
    assert_eq!((status, code.as_str()), (403, "ExpiredTokenException"));
}

#[tokio::test]
async fn inputs_are_held_against_the_tables_in_aws_words() {
    let aws = aws().await;
    let client = iam(&aws, &aws.root(HUB));
    let answer = refusal!(client.get_role().send());
    let message =
        "1 validation error detected: Value null at 'roleName' failed to satisfy constraint: Member must not be null";
    assert_eq!(answer, (400, "ValidationError".to_owned(), message.to_owned()));
    let long = "x".repeat(65);
    let (_, code, message) = refusal!(client.get_role().role_name(&long).send());
    assert_eq!(code, "ValidationError");
    assert_eq!(
        message,
        format!(
            "1 validation error detected: Value '{long}' at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64"
        )
    );
    let create = client
        .create_role()
        .role_name("a/b")
        .max_session_duration(60)
        .assume_role_policy_document(trust("aws", HUB));
    let (_, _, message) = refusal!(create.send());
    assert!(
        message.starts_with("2 validation errors detected: Value 'a/b' at 'roleName'"),
        "{message}"
    );
    assert!(
        message.contains(
            r"Member must satisfy regular expression pattern: [\w+=,.@-]+; Value '60' at 'maxSessionDuration'"
        )
    );
    assert!(
        message.ends_with("Member must have value greater than or equal to 3600"),
        "{message}"
    );
    let tag = aws_sdk_iam::types::Tag::builder().key("a").value("b*").build().unwrap();
    let (_, _, message) = refusal!(client.tag_role().role_name("r").tags(tag).send());
    assert!(message.contains("Value 'b*' at 'tags.1.member.value'"), "{message}");
    let list = eks(&aws, "eu-west-1", &aws.root(HUB))
        .list_access_policies()
        .max_results(101);
    let (status, code, message) = refusal!(list.send());
    assert_eq!((status, code.as_str()), (400, "InvalidParameterException"));
    assert!(
        message.ends_with("Member must have value less than or equal to 100"),
        "{message}"
    );
}

#[tokio::test]
async fn operations_that_the_fake_does_not_have_are_told_as_such() {
    let aws = aws().await;
    let root = aws.root(HUB);
    let (status, code, message) = refusal!(iam(&aws, &root).list_users().send());
    assert_eq!((status, code.as_str()), (400, "InvalidAction"));
    assert_eq!(message, "Could not find operation ListUsers for version 2010-05-08");
    let (status, code, _) = refusal!(eks(&aws, "eu-west-1", &root).list_nodegroups().cluster_name("x").send());
    assert_eq!((status, code.as_str()), (404, "UnknownOperationException"));
    assert_eq!(aws.log().all()[0].operation, "ListUsers");
}

#[tokio::test]
async fn tags_lists_and_documents_survive_the_query_protocol() {
    let aws = aws().await;
    let client = iam(&aws, &aws.root(HUB));
    let tag = |key: &str, value: &str| {
        aws_sdk_iam::types::Tag::builder()
            .key(key)
            .value(value)
            .build()
            .unwrap()
    };
    let created = client
        .create_role()
        .path("/mooring/a+b/")
        .role_name("r+1")
        .description("a & b <c>")
        .assume_role_policy_document(trust("aws", HUB))
        .tags(tag("mooring.dev/hub", "arn:aws:eks:eu-west-1:1:cluster/x"))
        .tags(tag("k", ""))
        .send()
        .await
        .unwrap();
    let role = created.role().unwrap();
    assert_eq!(role.arn(), "arn:aws:iam::111111111111:role/mooring/a+b/r+1");
    let role = client
        .get_role()
        .role_name("r+1")
        .send()
        .await
        .unwrap()
        .role()
        .unwrap()
        .clone();
    assert_eq!(role.description(), Some("a & b <c>"));
    assert_eq!(role.tags().len(), 2);
    assert!(role.tags().iter().any(|tag| tag.key() == "k" && tag.value().is_empty()));
    assert!(
        role.assume_role_policy_document().unwrap().starts_with("%7B%22"),
        "documents come URL-encoded"
    );
    client
        .untag_role()
        .role_name("r+1")
        .tag_keys("k")
        .tag_keys("mooring.dev/hub")
        .send()
        .await
        .unwrap();
    assert!(
        client
            .list_role_tags()
            .role_name("r+1")
            .send()
            .await
            .unwrap()
            .tags()
            .is_empty()
    );
}

#[tokio::test]
async fn throttling_is_by_account_and_the_log_tells_it() {
    let aws = aws().await;
    aws.throttle(
        Some(SPOKE),
        Rates {
            iam: Some(Rate::per_second(2.0)),
            eks: Some(Rate::per_second(1.0)),
            sts: None,
        },
    );
    let (spoke, hub) = (iam(&aws, &aws.root(SPOKE)), iam(&aws, &aws.root(HUB)));
    for _ in 0..2 {
        spoke.list_open_id_connect_providers().send().await.unwrap();
    }
    let answer = refusal!(spoke.list_open_id_connect_providers().send());
    assert_eq!(answer, (400, "Throttling".to_owned(), "Rate exceeded".to_owned()));
    for _ in 0..5 {
        hub.list_open_id_connect_providers().send().await.unwrap();
    }
    let root = aws.root(SPOKE);
    eks(&aws, "eu-west-1", &root)
        .list_access_policies()
        .send()
        .await
        .unwrap();
    eks(&aws, "eu-west-2", &root)
        .list_access_policies()
        .send()
        .await
        .unwrap();
    let answer = refusal!(eks(&aws, "eu-west-1", &root).list_access_policies().send());
    assert_eq!(
        answer,
        (429, "ThrottlingException".to_owned(), "Rate exceeded".to_owned())
    );
    let throttled: Vec<_> = aws.log().all().into_iter().filter(|call| call.throttled).collect();
    assert_eq!(throttled.len(), 2);
    assert!(throttled.iter().all(|call| call.account == SPOKE));
}

#[tokio::test]
async fn the_sdk_itself_gets_over_throttling_and_over_lost_answers() {
    let aws = aws().await;
    aws.add_cluster(ClusterSeed::new(SPOKE, "eu-west-1", "prod"));
    let arn = role(&aws, SPOKE, "/", "deployer", &json!([]));
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(20));
    let client = aws_sdk_eks::Client::new(&config_with(&aws, "eu-west-1", &aws.root(SPOKE), retries));
    let busy = Effect::Error {
        status: 503,
        code: "ServiceUnavailableException",
        message: "later".to_owned(),
    };
    aws.faults().add(Fault::on("DescribeCluster", busy).first(1)).unwrap();
    client.describe_cluster().name("prod").send().await.unwrap();
    aws.faults()
        .add(
            Fault::on("CreateAccessEntry", Effect::CloseAfter)
                .in_account(SPOKE)
                .nth(1),
        )
        .unwrap();
    let created = client
        .create_access_entry()
        .cluster_name("prod")
        .principal_arn(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        created.access_entry().unwrap().principal_arn(),
        Some(arn.as_str()),
        "the token makes it idempotent"
    );
    let outcomes: Vec<Outcome> = aws.log().all().into_iter().map(|call| call.outcome).collect();
    let refused = Outcome::Refused {
        status: 503,
        code: "ServiceUnavailableException",
    };
    assert_eq!(outcomes, [refused, Outcome::Done, Outcome::Unanswered, Outcome::Done]);
}

#[tokio::test]
async fn faults_close_hang_and_deny() {
    let aws = aws().await;
    aws.add_cluster(ClusterSeed::new(SPOKE, "eu-west-1", "prod"));
    let arn = role(&aws, SPOKE, "/", "deployer", &json!([]));
    let client = eks(&aws, "eu-west-1", &aws.root(SPOKE));
    let create = || client.create_access_entry().cluster_name("prod").principal_arn(&arn);
    aws.faults()
        .add(Fault::on("CreateAccessEntry", Effect::CloseBefore))
        .unwrap();
    create().send().await.unwrap_err();
    aws.faults().clear();
    let listed = client.list_access_entries().cluster_name("prod").send().await.unwrap();
    assert!(listed.access_entries().is_empty(), "closed before it was carried out");
    aws.faults()
        .add(Fault::on("CreateAccessEntry", Effect::AccessDenied))
        .unwrap();
    let (status, code, message) = refusal!(create().send());
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
    assert!(
        message.ends_with("with an explicit deny in a service control policy"),
        "{message}"
    );
    aws.faults().clear();
    let hang = aws.faults().add(Fault::on_any(Effect::Hang)).unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(300), create().send()).await;
    assert!(waiting.is_err(), "it hangs");
    aws.faults().remove(hang);
    create().send().await.unwrap();
    let log = aws.log().all();
    assert!(log.iter().filter(|call| call.fault).map(|call| &call.outcome).eq([
        &Outcome::Closed,
        &Outcome::Refused {
            status: 403,
            code: "AccessDeniedException"
        },
        &Outcome::Hung,
    ]));
}

#[tokio::test]
async fn latency_is_by_service() {
    let settings = Settings {
        latency: Duration::from_millis(80).into(),
        ..Settings::default()
    };
    let aws = FakeAws::start(settings).await.unwrap();
    let client = sts(&aws, "eu-west-1", &aws.root(HUB));
    client.get_caller_identity().send().await.unwrap();
    let start = Instant::now();
    client.get_caller_identity().send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn the_log_tells_who_did_what_and_under_which_conditions_but_no_secret() {
    let aws = aws().await;
    let statement = json!([{"Effect": "Allow", "Action": "iam:*Role", "Resource": "*"}]);
    let arn = role(&aws, HUB, "/team/", "worker", &statement);
    let session = aws.session(&arn, "shift", &[]).unwrap();
    let mark = aws.log().mark();
    iam(&aws, &session)
        .create_role()
        .role_name("made")
        .permissions_boundary("arn:aws:iam::aws:policy/AWSDenyAll")
        .assume_role_policy_document(trust("aws", HUB))
        .send()
        .await
        .unwrap();
    let token = "a.secret.token";
    let client = sts(&aws, "eu-west-1", &session);
    let assume = client
        .assume_role_with_web_identity()
        .role_arn(&arn)
        .role_session_name("me")
        .web_identity_token(token);
    assert_ne!(refusal!(assume.send()).0, 200);
    let calls = aws.log().since(mark);
    let [create, assume] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (create.operation.as_str(), create.write, create.account.as_str()),
        ("CreateRole", true, HUB)
    );
    assert_eq!(
        create.caller.as_ref().unwrap().arn,
        "arn:aws:sts::111111111111:assumed-role/worker/shift"
    );
    assert_eq!(create.text("RoleName"), Some("made"));
    let check = create
        .checks
        .iter()
        .find(|check| check.action == "iam:CreateRole")
        .unwrap();
    assert_eq!(
        check.context["iam:PermissionsBoundary"],
        ["arn:aws:iam::aws:policy/AWSDenyAll"]
    );
    assert_eq!(
        (assume.operation.as_str(), assume.account.as_str()),
        ("AssumeRoleWithWebIdentity", HUB)
    );
    assert!(!format!("{calls:?}").contains(token));
    assert!(
        calls
            .iter()
            .all(|call| !format!("{call:?}").contains(&session.secret_access_key))
    );
    assert_eq!(aws.log().counts(mark)["CreateRole"], 1);
    let root = aws.root(HUB);
    aws.call(&root, Service::Iam, "GetRole", json!({"RoleName": "made"}))
        .unwrap();
    assert_eq!(
        aws.log().since(mark).len(),
        2,
        "what a test does by hand is not in the log"
    );
}

#[tokio::test]
async fn a_call_by_hand_is_validated_and_authorized_as_on_the_wire() {
    let aws = aws().await;
    let arn = role(&aws, HUB, "/", "nobody", &json!([]));
    let session = aws.session(&arn, "me", &[]).unwrap();
    let denied = aws
        .call(&session, Service::Iam, "GetRole", json!({"RoleName": "nobody"}))
        .unwrap_err();
    assert_eq!((denied.status, denied.code), (403, "AccessDenied"));
    assert!(
        denied
            .message
            .contains("is not authorized to perform: iam:GetRole on resource: "),
        "{}",
        denied.message
    );
    assert_eq!(
        aws.call(&aws.root(HUB), Service::Iam, "GetRole", json!({}))
            .unwrap_err()
            .code,
        "ValidationError"
    );
    assert_eq!(
        aws.call(&aws.root(HUB), Service::Iam, "GetRoel", json!({}))
            .unwrap_err()
            .code,
        "InvalidAction"
    );
}

#[tokio::test]
async fn the_pod_identity_agent_gives_what_the_trust_policy_lets_it() {
    let aws = aws().await;
    let root = aws.root(HUB);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "argocd", "aws:SourceAccount": HUB}},
    }]});
    let input = json!({"RoleName": "management", "AssumeRolePolicyDocument": trust.to_string()});
    aws.call(&root, Service::Iam, "CreateRole", input).unwrap();
    let arn = "arn:aws:iam::111111111111:role/management";
    let cluster = "arn:aws:eks:eu-west-1:111111111111:cluster/hub";
    let get = async |namespace: &str, token: Option<&str>| {
        let env = aws
            .pod_identity(arn, cluster, namespace, "controller", "controller-0")
            .unwrap();
        let uri = env[0].1.strip_prefix("http://").unwrap().to_owned();
        let (address, _) = uri.split_once('/').unwrap();
        let own = std::fs::read_to_string(&env[1].1).unwrap();
        let token = token.unwrap_or(&own);
        let request =
            format!("GET /v1/credentials HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
        raw(address, &request).await
    };
    let answer = get("argocd", None).await;
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["AccountId"], HUB);
    let credentials = Credentials {
        access_key_id: body["AccessKeyId"].as_str().unwrap().to_owned(),
        secret_access_key: body["SecretAccessKey"].as_str().unwrap().to_owned(),
        session_token: body["Token"].as_str().map(str::to_owned),
        expiration: None,
    };
    let identity = sts(&aws, "eu-west-1", &credentials)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert!(
        identity
            .arn()
            .unwrap()
            .starts_with("arn:aws:sts::111111111111:assumed-role/management/eks-hub-controller-0-")
    );
    let tags = aws.caller(&credentials).unwrap().session.unwrap().tags;
    assert_eq!(tags["kubernetes-service-account"], "controller");
    assert_eq!(tags.len(), 6);
    assert!(
        get("default", None).await.starts_with("HTTP/1.1 403"),
        "another namespace is refused"
    );
    assert!(
        get("argocd", Some("guess")).await.starts_with("HTTP/1.1 401"),
        "a token that nobody was given"
    );
}
