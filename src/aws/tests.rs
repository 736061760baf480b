//! The client against canned answers: what it sends, how it pages, what it makes of errors, and when it retries.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sdk_iam::config::{IdentityCache, Region, SharedAsyncSleep, SharedHttpClient};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::{
    domain::{
        arn::{ClusterArn, PolicyArn, RoleArn},
        eks::{AccessPolicyArn, AccessScope, AuthenticationMode, ClusterState, WantedEntry},
        hub::Hub,
        ownership::Tags,
    },
    policy::{Document, Statement},
};

/// A request, as AWS would see it.
#[derive(Clone, Debug)]
struct Seen {
    host: String,
    /// `AssumeRole` for the query protocol, `GET /clusters/x` for EKS.
    operation: String,
    body: String,
    access_key: String,
}

/// What AWS answers: status, error code of EKS's header, body; or no answer at all.
enum Answer {
    Http(u16, &'static str, String),
    Unreachable,
}

type Handler = Box<dyn FnMut(&Seen) -> Answer + Send>;

/// AWS, canned.
#[derive(Clone)]
struct Canned {
    seen: Arc<Mutex<Vec<Seen>>>,
    handler: Arc<Mutex<Handler>>,
}

impl std::fmt::Debug for Canned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canned")
    }
}

impl Canned {
    fn new(handler: impl FnMut(&Seen) -> Answer + Send + 'static) -> Self {
        Self {
            seen: Arc::default(),
            handler: Arc::new(Mutex::new(Box::new(handler))),
        }
    }

    fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    fn aws(&self) -> Aws {
        self.aws_as(Credentials::new("AKIDOPERATOR", "secret", None, None, "test"))
    }

    fn aws_as(&self, credentials: impl ProvideCredentials + 'static) -> Aws {
        self.aws_with(credentials, &Settings::default())
    }

    fn aws_with(&self, credentials: impl ProvideCredentials + 'static, settings: &Settings) -> Aws {
        let config = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(connect::retries(settings.attempts))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep))
            .http_client(self.http_client());
        Aws::over(&config.build(), settings)
    }

    fn operations(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|seen| seen.operation.clone())
            .collect()
    }

    fn count(&self, operation: &str) -> usize {
        self.operations().iter().filter(|seen| *seen == operation).count()
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        let (host, path) = request.uri().trim_start_matches("https://").split_once('/').unwrap();
        let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
        let operation = action.map_or_else(|| format!("{} /{path}", request.method()), str::to_owned);
        let authorization = request.headers().get("authorization").unwrap_or_default();
        let access_key = authorization
            .split_once("Credential=")
            .map_or("", |(_, rest)| rest.split('/').next().unwrap());
        let seen = Seen {
            host: host.to_owned(),
            operation,
            body: body.clone(),
            access_key: access_key.to_owned(),
        };
        let answer = (self.handler.lock().unwrap())(&seen);
        self.seen.lock().unwrap().push(seen);
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            match answer {
                Answer::Http(status, code, body) => {
                    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                    response.headers_mut().insert("x-amzn-requestid", "request-1");
                    if !code.is_empty() {
                        response.headers_mut().insert("x-amzn-errortype", code);
                    }
                    Ok(response)
                }
                Answer::Unreachable => Err(ConnectorError::io("connection refused".into())),
            }
        })
    }
}

/// Tokio's clock, which the tests pause.
#[derive(Debug)]
struct TokioSleep;

impl aws_sdk_iam::config::AsyncSleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> aws_sdk_iam::config::Sleep {
        aws_sdk_iam::config::Sleep::new(tokio::time::sleep(duration))
    }
}

fn query_error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>request-1</RequestId></ErrorResponse>"
    );
    Answer::Http(status, "", body)
}

fn eks_error(status: u16, code: &'static str, message: &str) -> Answer {
    Answer::Http(status, code, format!(r#"{{"message":"{message}"}}"#))
}

fn result(operation: &str, inner: &str) -> Answer {
    Answer::Http(
        200,
        "",
        format!("<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>"),
    )
}

/// A session that lasts so long, with an access key that tells it apart.
fn session(access_key: &str, lasts: Duration) -> Answer {
    let ends = aws_sdk_iam::primitives::DateTime::from(SystemTime::now() + lasts);
    let ends = ends.fmt(aws_sdk_iam::primitives::DateTimeFormat::DateTime).unwrap();
    result(
        "AssumeRole",
        &format!(
            "<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>{ends}</Expiration></Credentials>"
        ),
    )
}

const HOUR: Duration = Duration::from_hours(1);

fn door(object: &str) -> Door {
    Door {
        provisioner: "arn:aws:iam::222222222222:role/mooring-provisioner".parse().unwrap(),
        external_id: Some("shared/1".to_owned()),
        region: "eu-central-1".parse().unwrap(),
        session_name: format!("{object}@hub"),
        session_policy: Document::new(vec![
            Statement::allow("Role", ["iam:*"]).on(["arn:aws:iam::222222222222:role/x"]),
        ]),
        object: object.to_owned(),
    }
}

/// An account whose answers, once entered, are these.
async fn account(mut handler: impl FnMut(&Seen) -> Answer + Send + 'static) -> (Canned, Account) {
    let canned = Canned::new(move |seen| match seen.operation.as_str() {
        "AssumeRole" => session("ASIASESSION", HOUR),
        _ => handler(seen),
    });
    let account = canned.aws().enter(&door("prod")).await.unwrap();
    (canned, account)
}

fn principal() -> RoleArn {
    "arn:aws:iam::222222222222:role/mooring/a/default/prod-1"
        .parse()
        .unwrap()
}

fn edit() -> AccessPolicyArn {
    AccessPolicyArn::new(crate::domain::name::Partition::Aws, "AmazonEKSEditPolicy").unwrap()
}

fn namespaces(names: &[&str]) -> AccessScope {
    AccessScope::Namespaces(names.iter().map(|name| (*name).to_owned()).collect())
}

const fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test(start_paused = true)]
async fn a_session_is_begun_once_for_each_object_and_cut_down_to_it() {
    let mut sessions = 0;
    let canned = Canned::new(move |seen| match seen.operation.as_str() {
        "AssumeRole" => {
            sessions += 1;
            session(&format!("ASIA{sessions}"), HOUR)
        }
        _ => query_error(404, "NoSuchEntity", "gone"),
    });
    let aws = canned.aws();
    let (prod, dev) = (door("prod"), door("dev"));
    let together = futures::future::join_all((0..5).map(|_| is_send(aws.enter(&prod)))).await;
    assert!(together.iter().all(Result::is_ok));
    assert_eq!(canned.count("AssumeRole"), 1, "five callers share one call");
    aws.enter(&prod).await.unwrap();
    assert_eq!(canned.count("AssumeRole"), 1, "and the next uses it");
    let other = aws.enter(&dev).await.unwrap();
    assert_eq!(canned.count("AssumeRole"), 2, "another object never does");

    other.role(&"x".parse().unwrap()).await.unwrap();
    let seen = canned.seen.lock().unwrap().clone();
    assert_eq!(seen[0].host, "sts.eu-west-1.amazonaws.com");
    assert_eq!(seen[0].access_key, "AKIDOPERATOR");
    for part in [
        "RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fmooring-provisioner",
        "RoleSessionName=prod%40hub",
        "ExternalId=shared%2F1",
        "Policy=%7B%22Version%22",
    ] {
        assert!(seen[0].body.contains(part), "{}", seen[0].body);
    }
    assert!(!seen[0].body.contains("Tags") && !seen[0].body.contains("DurationSeconds"));
    assert_eq!(
        seen.last().unwrap().access_key,
        "ASIA2",
        "calls are made with the object's own session"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_near_its_end_and_one_that_failed_are_not_used() {
    let mut answers = vec![
        session("ASIA3", HOUR),
        session("ASIA2", Duration::from_secs(119)),
        query_error(403, "AccessDenied", "not authorized to perform: sts:AssumeRole"),
    ];
    let canned = Canned::new(move |_| answers.pop().unwrap());
    let aws = canned.aws();
    let denied = aws.enter(&door("prod")).await.unwrap_err();
    assert_eq!((denied.kind, denied.code.as_str()), (ErrorKind::Denied, "AccessDenied"));
    assert_eq!(denied.resource, "arn:aws:iam::222222222222:role/mooring-provisioner");
    assert_eq!(denied.request_id.as_deref(), Some("request-1"));
    for _ in 0..3 {
        aws.enter(&door("prod")).await.unwrap();
    }
    assert_eq!(canned.count("AssumeRole"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_aws_no_longer_takes_is_begun_anew() {
    let mut sessions = 0;
    let canned = Canned::new(move |seen| match seen.operation.as_str() {
        "AssumeRole" => {
            sessions += 1;
            session(&format!("ASIA{sessions}"), HOUR)
        }
        _ if seen.access_key == "ASIA1" => query_error(403, "InvalidClientTokenId", "The security token is invalid"),
        _ => query_error(404, "NoSuchEntity", "gone"),
    });
    let aws = canned.aws();
    let name = "x".parse().unwrap();
    let error = aws.enter(&door("prod")).await.unwrap().role(&name).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::CredentialsUnavailable);
    assert_eq!(aws.enter(&door("prod")).await.unwrap().role(&name).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_once_the_operator_stops() {
    let canned = Canned::new(|_| session("ASIA1", HOUR));
    let aws = canned.aws();
    aws.close();
    let error = aws.enter(&door("prod")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ShuttingDown);
    assert_eq!(canned.operations(), [""; 0]);
}

/// The SDK's own tries are writes as good as the first: none is sent after the permit is gone.
#[tokio::test(start_paused = true)]
async fn no_attempt_is_sent_without_a_permit() {
    let may = Arc::new(AtomicBool::new(true));
    let (gone, left) = (Arc::clone(&may), Arc::new(AtomicUsize::new(usize::MAX)));
    let tries = Arc::clone(&left);
    let canned = Canned::new(move |seen| {
        if seen.operation == "AssumeRole" {
            return session("ASIA1", HOUR);
        }
        if tries.fetch_sub(1, Ordering::SeqCst) == 1 {
            gone.store(false, Ordering::SeqCst);
        }
        query_error(400, "Throttling", "Rate exceeded")
    });
    let permit = Arc::clone(&may);
    let settings = Settings {
        permit: Some(Arc::new(move || permit.load(Ordering::SeqCst))),
        ..Settings::default()
    };
    let aws = canned.aws_with(
        Credentials::new("AKIDOPERATOR", "secret", None, None, "test"),
        &settings,
    );
    let account = aws.enter(&door("one")).await.unwrap();
    for (tries, operation) in [(1, "DeleteRole"), (3, "UpdateAssumeRolePolicy")] {
        may.store(true, Ordering::SeqCst);
        left.store(tries, Ordering::SeqCst);
        let name = "x".parse().unwrap();
        let outcome = match operation {
            "DeleteRole" => account.delete_role(&name).await,
            _ => account.set_trust(&name, &Document::new(Vec::<Statement>::new())).await,
        };
        let error = outcome.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ShuttingDown, "{error}");
        assert!(error.message.contains("does not hold its lease"), "{error}");
        assert_eq!(canned.count(operation), tries);
    }
    assert!(aws.is_closed(), "no further step begins");
    let refused = aws.enter(&door("two")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ShuttingDown);
    let eks = account.cluster(&"prod".parse().unwrap()).await.unwrap_err();
    assert_eq!(eks.kind, ErrorKind::ShuttingDown);
    assert_eq!(canned.operations().len(), 1 + 1 + 3, "one session, and the tries");
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_asked_for_once_and_failures_are_not_remembered() {
    let mut failed = false;
    let canned = Canned::new(move |_| {
        if std::mem::replace(&mut failed, true) {
            result(
                "GetCallerIdentity",
                "<Arn>arn:aws:sts::111111111111:assumed-role/o/s</Arn><Account>111111111111</Account>",
            )
        } else {
            query_error(403, "ExpiredToken", "expired")
        }
    });
    let aws = canned.aws();
    assert_eq!(aws.caller().await.unwrap_err().kind, ErrorKind::CredentialsUnavailable);
    assert_eq!(aws.caller().await.unwrap().account.as_str(), "111111111111");
    aws.caller().await.unwrap();
    assert_eq!(canned.count("GetCallerIdentity"), 2);
}

/// A pod without a role.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        provider::future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(
            "no provider in the chain had any",
        )))
    }
}

#[tokio::test(start_paused = true)]
async fn missing_credentials_are_told_apart_from_a_broken_way() {
    let canned = Canned::new(|_| Answer::Unreachable);
    let error = canned.aws_as(Nobody).caller().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::CredentialsUnavailable, "{error}");
    assert!(error.message.contains("no provider in the chain had any"), "{error}");
    let error = canned.aws().caller().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.message.contains("connection refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_nothing_else_is_tried_again() {
    let mut throttled = 0;
    let (canned, account) = account(move |seen| match seen.operation.as_str() {
        "GetRole" if throttled < 12 => {
            throttled += 1;
            query_error(400, "Throttling", "Rate exceeded")
        }
        "GetRole" => query_error(404, "NoSuchEntity", "gone"),
        _ => query_error(409, "ConcurrentModification", "Wait a few minutes"),
    })
    .await;
    let name = "x".parse().unwrap();
    assert_eq!(account.role(&name).await, Ok(None));
    assert_eq!(canned.count("GetRole"), 13);
    assert_eq!(account.delete_role(&name).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(canned.count("DeleteRole"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_tried_as_often_as_the_operator_is_told() {
    for attempts in [1, 2] {
        let canned = Canned::new(|seen| match seen.operation.as_str() {
            "AssumeRole" => session("ASIA1", HOUR),
            _ => query_error(400, "Throttling", "Rate exceeded"),
        });
        let settings = Settings {
            attempts,
            ..Settings::default()
        };
        let own = Credentials::new("AKIDOPERATOR", "secret", None, None, "test");
        let account = canned.aws_with(own, &settings).enter(&door("one")).await.unwrap();
        let name = "x".parse().unwrap();
        assert_eq!(account.role(&name).await.unwrap_err().kind, ErrorKind::Throttled);
        assert_eq!(canned.count("GetRole"), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_reached_soon_says_so_and_slows_no_other() {
    let canned = Canned::new(|seen| match seen.operation.as_str() {
        "AssumeRole" => session("ASIA1", HOUR),
        "GetRole" => Answer::Unreachable,
        _ => Answer::Http(200, "", r#"{"cluster":{"status":"ACTIVE"}}"#.to_owned()),
    });
    let aws = canned.aws();
    let account = aws.enter(&door("prod")).await.unwrap();
    let name = "x".parse().unwrap();
    assert_eq!(account.role(&name).await.unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(canned.count("GetRole"), 1 + 5, "the account's budget is five retries");
    account.role(&name).await.unwrap_err();
    let before = canned.count("GetRole");
    assert!(before <= 6 + 2, "{before}: it is spent");
    // Another account has a budget of its own, and so has EKS.
    let mut elsewhere = door("prod");
    elsewhere.provisioner.account = "333333333333".parse().unwrap();
    let elsewhere = aws.enter(&elsewhere).await.unwrap();
    elsewhere.role(&name).await.unwrap_err();
    assert_eq!(canned.count("GetRole"), before + 6);
    assert!(account.cluster(&"prod".parse().unwrap()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_read_in_our_words() {
    let (canned, account) = account(|_| {
        let body = r#"{"cluster":{"name":"prod","arn":"arn:aws:eks:eu-central-1:222222222222:cluster/prod","status":"UPDATING",
            "endpoint":"https://X.eks.amazonaws.com","certificateAuthority":{"data":"UEVN"},"version":"1.33",
            "identity":{"oidc":{"issuer":"https://oidc.eks.eu-central-1.amazonaws.com/id/X"}},
            "accessConfig":{"authenticationMode":"API_AND_CONFIG_MAP"},
            "resourcesVpcConfig":{"endpointPublicAccess":false}}}"#;
        Answer::Http(200, "", body.to_owned())
    })
    .await;
    let cluster = account.cluster(&"prod".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(cluster.state, ClusterState::Updating);
    assert_eq!(cluster.authentication_mode, AuthenticationMode::ApiAndConfigMap);
    assert_eq!(cluster.certificate_authority.as_deref(), Some("UEVN"));
    assert!(!cluster.public_endpoint && !cluster.connected);
    assert_eq!(
        canned.seen.lock().unwrap()[1].host,
        "eks.eu-central-1.amazonaws.com",
        "the door's region"
    );
}

#[tokio::test(start_paused = true)]
async fn absent_is_not_failed() {
    let (_, account) = account(|seen| match seen.operation.as_str() {
        "GET /clusters/gone" => eks_error(404, "ResourceNotFoundException", "No cluster found for name: gone."),
        "GET /clusters/denied" => eks_error(403, "AccessDeniedException", "not authorized"),
        _ if seen.operation.contains("/clusters/old/") => eks_error(
            400,
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API]",
        ),
        _ => eks_error(
            404,
            "ResourceNotFoundException",
            "The specified principalArn could not be found.",
        ),
    })
    .await;
    let name = |name: &str| name.parse().unwrap();
    let principal = principal();
    assert_eq!(account.cluster(&name("gone")).await, Ok(None));
    let denied = account.cluster(&name("denied")).await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
    assert_eq!(denied.resource, "arn:aws:eks:eu-central-1:222222222222:cluster/denied");
    assert_eq!(&*denied.acting_as, "arn:aws:iam::222222222222:role/mooring-provisioner");
    assert_eq!(account.access_entry(&name("prod"), &principal).await, Ok(None));
    assert_eq!(account.associations(&name("prod"), &principal).await, Ok(None));
    assert_eq!(account.delete_access_entry(&name("prod"), &principal).await, Ok(()));
    assert_eq!(account.disassociate(&name("prod"), &principal, &edit()).await, Ok(()));
    let disabled = account.access_entry(&name("old"), &principal).await.unwrap_err();
    assert_eq!(disabled.kind, ErrorKind::AccessEntriesDisabled);
    let invisible = account
        .associate(&name("prod"), &principal, &edit(), &AccessScope::Cluster)
        .await
        .unwrap_err();
    assert_eq!(invisible.kind, ErrorKind::EntryNotVisible);
}

#[tokio::test(start_paused = true)]
async fn entries_are_made_without_user_name_and_narrowed_to_no_group() {
    let (canned, account) = account(|_| Answer::Http(200, "", "{}".to_owned())).await;
    let cluster = "prod".parse().unwrap();
    let tags: Tags = [("mooring.dev/uid".to_owned(), "1".to_owned())].into();
    let wanted = WantedEntry {
        principal: principal(),
        groups: ["team-a".to_owned()].into(),
        tags,
    };
    account.create_access_entry(&cluster, &wanted).await.unwrap();
    account
        .set_groups(&cluster, &principal(), &BTreeSet::new(), None)
        .await
        .unwrap();
    account
        .set_groups(&cluster, &principal(), &BTreeSet::new(), Some("arn:x:{{SessionName}}"))
        .await
        .unwrap();
    let seen = canned.seen.lock().unwrap().clone();
    let made: serde_json::Value = serde_json::from_str(&seen[1].body).unwrap();
    assert_eq!(made["kubernetesGroups"], serde_json::json!(["team-a"]));
    assert_eq!(made["type"], "STANDARD");
    assert_eq!(made["tags"]["mooring.dev/uid"], "1");
    assert!(made.get("username").is_none());
    let path =
        "/clusters/prod/access-entries/arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fmooring%2Fa%2Fdefault%2Fprod-1";
    assert_eq!(seen[2].operation, format!("POST {path}"));
    let narrowed: serde_json::Value = serde_json::from_str(&seen[2].body).unwrap();
    assert_eq!(
        narrowed["kubernetesGroups"],
        serde_json::json!([]),
        "an empty list, not nothing"
    );
    assert!(narrowed.get("username").is_none());
    let named: serde_json::Value = serde_json::from_str(&seen[3].body).unwrap();
    assert_eq!(named["username"], "arn:x:{{SessionName}}");
    assert_eq!(named["kubernetesGroups"], serde_json::json!([]));
}

fn listed(scope: &str, next: &str) -> Answer {
    let next = if next.is_empty() {
        "null".to_owned()
    } else {
        format!("\"{next}\"")
    };
    Answer::Http(
        200,
        "",
        format!(
            r#"{{"associatedAccessPolicies":[{{"policyArn":"{}","accessScope":{scope}}}],"nextToken":{next}}}"#,
            edit()
        ),
    )
}

#[tokio::test(start_paused = true)]
async fn a_new_scope_that_shows_late_needs_no_gap() {
    let mut looks = 0;
    let (canned, account) = account(move |seen| {
        if seen.operation.starts_with("GET") {
            looks += 1;
            return listed(
                if looks < 3 {
                    r#"{"type":"cluster","namespaces":[]}"#
                } else {
                    r#"{"type":"namespace","namespaces":["b","a"]}"#
                },
                "",
            );
        }
        Answer::Http(200, "", "{}".to_owned())
    })
    .await;
    let shows = account
        .rescope(
            &"prod".parse().unwrap(),
            &principal(),
            &edit(),
            &namespaces(&["a", "b"]),
        )
        .await
        .unwrap();
    assert!(shows);
    assert!(
        canned
            .operations()
            .iter()
            .all(|operation| !operation.starts_with("DELETE"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_does_not_change_in_place_is_told_and_nothing_is_taken_away() {
    let (canned, account) = account(|seen| {
        if seen.operation.starts_with("GET") {
            return listed(r#"{"type":"cluster","namespaces":[]}"#, "");
        }
        Answer::Http(200, "", "{}".to_owned())
    })
    .await;
    let shows = account
        .rescope(&"prod".parse().unwrap(), &principal(), &edit(), &namespaces(&["a"]))
        .await
        .unwrap();
    assert!(!shows);
    let methods: Vec<_> = canned.operations()[1..]
        .iter()
        .map(|o| o.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(methods, ["POST", "GET", "GET", "GET", "GET"]);
}

/// AWS judges a read of what a role carries by the role's name alone once it is gone (IAM, `Role.Arn`).
#[tokio::test(start_paused = true)]
async fn a_role_that_goes_between_two_reads_is_gone_and_not_refused() {
    let name = "x".parse().unwrap();
    for (there, gone) in [(false, true), (true, false)] {
        let (_, account) = account(move |seen| match seen.operation.as_str() {
            "GetRole" if there => result(
                "GetRole",
                "<Role><Path>/</Path><RoleName>x</RoleName><RoleId>AROAX</RoleId><Arn>arn:aws:iam::222222222222:role/x</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>",
            ),
            "GetRole" => query_error(404, "NoSuchEntity", "The role with name x cannot be found."),
            _ => query_error(403, "AccessDenied", "not authorized to perform"),
        })
        .await;
        let refused = account.role_policies(&name).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Denied);
        assert_eq!(account.gone_since(&name, refused).await.is_ok(), gone);
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_to_their_end() {
    let (canned, account) = account(|seen| match seen.operation.as_str() {
        "ListRolePolicies" if seen.body.contains("Marker=m1") => {
            result("ListRolePolicies", "<PolicyNames><member>b</member></PolicyNames><IsTruncated>false</IsTruncated>")
        }
        "ListRolePolicies" => result(
            "ListRolePolicies",
            "<PolicyNames><member>a</member></PolicyNames><IsTruncated>true</IsTruncated><Marker>m1</Marker>",
        ),
        "ListAttachedRolePolicies" => {
            let (arn, more) = if seen.body.contains("Marker=m1") { ("arn:q", "<IsTruncated>false</IsTruncated>") } else { ("arn:p", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>") };
            result(
                "ListAttachedRolePolicies",
                &format!("<AttachedPolicies><member><PolicyArn>{arn}</PolicyArn></member></AttachedPolicies>{more}"),
            )
        }
        "ListInstanceProfilesForRole" => {
            let (name, more) = if seen.body.contains("Marker=m1") { ("b", "<IsTruncated>false</IsTruncated>") } else { ("a", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>") };
            result(
                "ListInstanceProfilesForRole",
                &format!("<InstanceProfiles><member><Path>/</Path><InstanceProfileName>{name}</InstanceProfileName><InstanceProfileId>AIPA{name}</InstanceProfileId><Arn>arn:{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><Roles/></member></InstanceProfiles>{more}"),
            )
        }
        operation if operation.contains("nextToken=n1") => Answer::Http(200, "", r#"{"associatedAccessPolicies":[{"policyArn":"other","accessScope":{"type":"cluster"}}]}"#.to_owned()),
        _ => listed(r#"{"type":"namespace","namespaces":["a"]}"#, "n1"),
    })
    .await;
    let policies = account.role_policies(&"x".parse().unwrap()).await.unwrap();
    assert_eq!(policies.inline, ["a".to_owned(), "b".to_owned()].into());
    assert_eq!(policies.attached, ["arn:p".to_owned(), "arn:q".to_owned()].into());
    let profiles = account.instance_profiles(&"x".parse().unwrap()).await.unwrap();
    assert_eq!(profiles, ["arn:a".to_owned(), "arn:b".to_owned()].into());
    let found = account
        .associations(&"prod".parse().unwrap(), &principal())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.get(&edit()), Some(&namespaces(&["a"])));
    assert_eq!(found.len(), 2);
    assert_eq!(canned.operations().len(), 1 + 4 + 2 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_role_is_made_whole_and_read_decoded() {
    let role = |operation: &str| {
        result(
            operation,
            "<Role><Path>/mooring/a/</Path><RoleName>X</RoleName><RoleId>AROA1</RoleId><Arn>arn:aws:iam::222222222222:role/mooring/a/X</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>%7B%22a+b%22%3A1%7D</AssumeRolePolicyDocument>\
             <PermissionsBoundary><PermissionsBoundaryArn>arn:aws:iam::aws:policy/AWSDenyAll</PermissionsBoundaryArn></PermissionsBoundary>\
             <Description>theirs</Description><MaxSessionDuration>43200</MaxSessionDuration><Tags><member><Key>k</Key><Value>v</Value></member></Tags></Role>",
        )
    };
    let (canned, account) = account(move |seen| role(&seen.operation)).await;
    let arn: RoleArn = "arn:aws:iam::222222222222:role/mooring/a/X".parse().unwrap();
    let wanted = WantedRole {
        boundary: PolicyArn::deny_all(arn.partition),
        arn,
        trust: Document::new(vec![]),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        description: "Moors prod".to_owned(),
    };
    let made = account.create_role(&wanted).await.unwrap();
    assert_eq!(made.id, "AROA1");
    assert_eq!(made.trust, r#"{"a+b":1}"#);
    assert_eq!(made.boundary.as_deref(), Some("arn:aws:iam::aws:policy/AWSDenyAll"));
    assert_eq!(made.tags["k"], "v");
    assert_eq!(made.created, Some(1_767_225_600));
    assert_eq!(
        made.unlike(&wanted),
        ["description".to_owned(), "longest session".to_owned()].into()
    );
    let as_wanted = Role {
        description: Some(wanted.description.clone()),
        longest_session: Some(LONGEST_SESSION),
        ..made.clone()
    };
    assert!(as_wanted.unlike(&wanted).is_empty());
    let seen = canned.seen.lock().unwrap()[1].clone();
    assert_eq!(seen.host, "iam.amazonaws.com");
    for part in [
        "Path=%2Fmooring%2Fa%2F",
        "RoleName=X",
        "PermissionsBoundary=arn%3A",
        "Tags.member.1.Key=k",
    ] {
        assert!(seen.body.contains(part), "{}", seen.body);
    }
}

#[tokio::test(start_paused = true)]
async fn description_and_longest_session_of_a_role_are_set_together() {
    let (canned, account) = account(|seen| result(&seen.operation, "")).await;
    account.update_role(&"x".parse().unwrap(), "Moors prod").await.unwrap();
    let seen = canned.seen.lock().unwrap().last().unwrap().clone();
    for part in [
        "Action=UpdateRole",
        "RoleName=x",
        "Description=Moors",
        "MaxSessionDuration=3600",
    ] {
        assert!(seen.body.contains(part), "{}", seen.body);
    }
}

/// Whether a role is gone is asked only after a refusal: any other failure says nothing of it.
#[tokio::test(start_paused = true)]
async fn a_read_that_failed_otherwise_is_no_absence() {
    let (_, account) = account(|_| query_error(404, "NoSuchEntity", "gone")).await;
    let name = "x".parse().unwrap();
    let denied = account.delete_role(&name).await;
    assert!(denied.is_ok(), "gone already");
    for (kind, gone) in [
        (ErrorKind::Denied, true),
        (ErrorKind::Throttled, false),
        (ErrorKind::ServerError, false),
    ] {
        let refused = AwsError {
            call: Call::ListRolePolicies,
            kind,
            code: "x".into(),
            message: "x".into(),
            request_id: None,
            resource: "x".into(),
            acting_as: "x".into(),
        };
        assert_eq!(account.gone_since(&name, refused).await.is_ok(), gone, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_there_already_is_used_only_under_its_own_arn() {
    for (there, fine) in [(true, true), (false, false)] {
        let (_, account) = account(move |seen| match seen.operation.as_str() {
            "CreateOpenIDConnectProvider" => query_error(409, "EntityAlreadyExists", "Provider already exists."),
            _ if there => result(
                "GetOpenIDConnectProvider",
                "<ClientIDList><member>sts.amazonaws.com</member></ClientIDList>",
            ),
            _ => query_error(404, "NoSuchEntity", "gone"),
        })
        .await;
        let hub = hub("hub");
        let provider = hub
            .oidc_provider("https://oidc.eks.eu-west-1.amazonaws.com/id/X")
            .unwrap();
        assert_eq!(
            account.create_oidc_provider(&provider, &Tags::new()).await.is_ok(),
            fine
        );
    }
}

fn hub(name: &str) -> Hub {
    Hub {
        cluster: ClusterArn {
            region: "eu-west-1".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            name: name.parse().unwrap(),
        },
        management_role: "default".parse().unwrap(),
    }
}

#[test]
fn session_names_name_hub_and_object_within_the_limit() {
    assert_eq!(session_name(&hub("hub"), "prod-eu"), "prod-eu@hub");
    let mut names = BTreeSet::new();
    for (cluster, object) in [
        ("h", "o".repeat(253)),
        ("h", "o".repeat(252) + "p"),
        ("h2", "o".repeat(253)),
        ("h", "a/b".to_owned()),
        ("h", "ab".to_owned()),
        ("h", "é".to_owned()),
    ] {
        let name = session_name(&hub(cluster), &object);
        assert!((2..=64).contains(&name.len()), "{name}");
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)),
            "{name}"
        );
        assert!(names.insert(name));
    }
    let long = session_name(&hub(&"h".repeat(100)), &"o".repeat(253));
    assert_eq!(long.len(), 64);
    assert!(long.starts_with(&format!("{}@{}-", "o".repeat(36), "h".repeat(18))));
}

#[test]
fn sessions_that_only_prove_are_told_from_argo_cds_within_the_limit() {
    assert_eq!(verify_session_name(&hub("hub"), "prod-eu"), "mooring-verify-prod-eu");
    let mut names = BTreeSet::new();
    for object in [
        "o".repeat(253),
        "o".repeat(252) + "p",
        "a/b".to_owned(),
        "ab".to_owned(),
        "é".to_owned(),
    ] {
        let name = verify_session_name(&hub("hub"), &object);
        assert!(name.starts_with("mooring-verify-") && name.len() <= 64, "{name}");
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)),
            "{name}"
        );
        assert!(names.insert(name));
    }
    assert_eq!(verify_session_name(&hub("hub"), &"o".repeat(49)).len(), 64);
    assert_eq!(verify_session_name(&hub("hub"), &"o".repeat(50)).len(), 64);
}

#[tokio::test]
async fn a_ca_bundle_that_cannot_be_used_is_refused_by_name() {
    let folder = std::env::temp_dir().join(format!("mooring-bundle-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    for (path, says) in [
        (folder.join("missing.pem"), "cannot read"),
        (write("empty.pem", ""), "holds no certificate"),
        (
            write(
                "key.pem",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ),
            "holds no certificate",
        ),
        (
            write(
                "torn.pem",
                "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
            ),
            "not well-formed",
        ),
        (
            write(
                "none.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            "holds no certificate",
        ),
    ] {
        let settings = Settings {
            ca_bundle: Some(path.clone()),
            ..Settings::default()
        };
        let error = Aws::connect(settings).await.unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains(&path.display().to_string()),
            "{error}"
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// An account's request rate: so many a second, and a burst of as many seconds' worth.
fn rate(per_second: f64) -> impl FnMut(&Seen) -> Answer + Send + 'static {
    let (mut tokens, mut last) = (per_second, tokio::time::Instant::now());
    move |_| {
        let now = tokio::time::Instant::now();
        tokens = per_second
            .max(1.0)
            .min(tokens + (now - last).as_secs_f64() * per_second);
        last = now;
        if tokens < 1.0 {
            return query_error(400, "Throttling", "Rate exceeded");
        }
        tokens -= 1.0;
        query_error(404, "NoSuchEntity", "gone")
    }
}

#[tokio::test(start_paused = true)]
async fn passes_get_through_a_throttled_account_within_their_deadline() {
    for per_second in [15.0, 1.5] {
        let (_, account) = account(rate(per_second)).await;
        let name = "x".parse().unwrap();
        // Five passes, each with four calls in flight: as many as are ever admitted at a time.
        let begun = tokio::time::Instant::now();
        let worker = || async {
            for _ in 0..3 {
                assert_eq!(account.role(&name).await, Ok(None));
            }
        };
        futures::future::join_all((0..20).map(|_| worker())).await;
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "{:?} at {per_second}",
            begun.elapsed()
        );
    }
}

// The walker and the reader

fn management_session() -> Answer {
    session("ASIAMANAGEMENT", HOUR)
}

fn web_session() -> Answer {
    let Answer::Http(status, code, body) = management_session() else {
        unreachable!()
    };
    Answer::Http(status, code, body.replace("AssumeRole", "AssumeRoleWithWebIdentity"))
}

impl Canned {
    fn config(&self, credentials: Option<Credentials>) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .identity_cache(IdentityCache::no_cache())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep))
            .http_client(self.http_client());
        if let Some(credentials) = credentials {
            config = config.credentials_provider(SharedCredentialsProvider::new(credentials));
        }
        config.build()
    }

    fn walker(&self) -> Walker {
        Walker::over(self.config(None), &Settings::default())
    }

    fn reader(&self) -> Reader {
        let own = Credentials::new("AKIDPERSON", "secret", None, None, "test");
        Reader::over(self.config(Some(own)), Settings::default())
    }
}

fn role(arn: &str) -> RoleArn {
    arn.parse().unwrap()
}

fn region() -> crate::domain::name::Region {
    "eu-central-1".parse().unwrap()
}

const DEPLOYER: &str = "arn:aws:iam::222222222222:role/mooring/h/default/prod-1";

#[tokio::test(start_paused = true)]
async fn a_walk_asks_as_argo_cd_does_and_needs_no_credentials_of_its_own() {
    let canned = Canned::new(|seen| match seen.operation.as_str() {
        "AssumeRoleWithWebIdentity" => web_session(),
        _ => session("ASIADEPLOYER", HOUR),
    });
    let (walker, region) = (canned.walker(), region());
    let management = role("arn:aws:iam::111111111111:role/management");
    let token = WebToken::new("header.payload.signature".to_owned());
    let session = walker
        .exchange(&region, &management, "mooring-verify-hub", &token)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let session = walker
        .assume(&region, &session, &role(DEPLOYER), "mooring-verify-prod")
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(session.is_fresh());
    let seen = canned.seen.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.host == "sts.eu-central-1.amazonaws.com"));
    assert_eq!(seen[0].access_key, "", "unsigned");
    assert!(seen[0].body.contains("WebIdentityToken=header.payload.signature"));
    assert_eq!(seen[1].access_key, "ASIAMANAGEMENT");
    let sent: BTreeSet<&str> = seen[1]
        .body
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .collect();
    let plain = ["Action", "DurationSeconds", "RoleArn", "RoleSessionName", "Version"];
    assert_eq!(sent, plain.into(), "no external ID, no tags, no policy");
}

/// AWS shows the whole of a request whose signature it does not take, the session token with it.
#[tokio::test(start_paused = true)]
async fn what_aws_repeats_of_a_secret_does_not_get_out() {
    let canned = Canned::new(|seen| {
        if seen.operation == "AssumeRoleWithWebIdentity" && seen.body.contains("good") {
            return web_session();
        }
        let echo = "The Canonical String for this request should have been 'x-amz-security-token:t0ken/+= hunter2.a.b'";
        query_error(403, "SignatureDoesNotMatch", echo)
    });
    let (walker, region) = (canned.walker(), region());
    let management = role("arn:aws:iam::111111111111:role/management");
    let exchange = async |token: &str| {
        let token = WebToken::new(token.to_owned());
        walker
            .exchange(&region, &management, "mooring-verify-hub", &token)
            .await
    };
    let Err(error) = exchange("hunter2.a.b").await else {
        panic!("it was taken")
    };
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(error.message.contains("<not shown>"), "{error}");

    // The session token of the canned session is a single letter: every one of it goes.
    let session = exchange("good").await.unwrap_or_else(|error| panic!("{error}"));
    let Err(error) = walker.assume(&region, &session, &role(DEPLOYER), "n").await else {
        panic!("it was taken")
    };
    assert!(!error.message.contains("t0ken"), "{error}");
}

fn reading_by() -> ReadBy {
    ReadBy {
        region: region(),
        role: "mooring-reader".parse().unwrap(),
        external_id: Some("shared/1".to_owned()),
    }
}

fn identity(account: &str) -> Answer {
    result(
        "GetCallerIdentity",
        &format!("<Arn>arn:aws:iam::{account}:user/somebody</Arn><UserId>A</UserId><Account>{account}</Account>"),
    )
}

fn found(arn: &str) -> Answer {
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
    let name = arn.rsplit('/').next().unwrap();
    result(
        "GetRole",
        &format!(
            "<Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROAX</RoleId><Arn>{arn}</Arn>\
             <CreateDate>2026-01-01T00:00:00Z</CreateDate>\
             <AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument></Role>"
        ),
    )
}

#[tokio::test(start_paused = true)]
async fn documents_are_read_by_the_reader_role_of_the_account() {
    let canned = Canned::new(|seen| match seen.operation.as_str() {
        "GetCallerIdentity" => identity("111111111111"),
        "AssumeRole" => session("ASIAREADER", HOUR),
        _ => found(DEPLOYER),
    });
    let reader = canned.reader();
    let look = reader.role(&reading_by(), &role(DEPLOYER), false).await;
    let Look::Seen(seen) = look else { panic!("{look:?}") };
    assert_eq!((seen.id.as_str(), seen.created), ("AROAX", Some(1_767_225_600)));
    assert!(seen.trust.starts_with(r#"{"Version""#));
    let elsewhere = role("arn:aws:iam::222222222222:role/another/path/prod-1");
    let look = reader.role(&reading_by(), &elsewhere, false).await;
    assert_eq!(
        look,
        Look::Absent,
        "a role of that name under another path is another one"
    );
    let seen = canned.seen.lock().unwrap();
    let entered = seen.iter().find(|seen| seen.operation == "AssumeRole").unwrap();
    assert!(entered.body.contains("role%2Fmooring-reader") && entered.body.contains("ExternalId=shared%2F1"));
    let last = seen.last().unwrap();
    assert_eq!(last.access_key, "ASIAREADER");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_reads_his_own_account_and_says_what_he_could_not_see() {
    for (own, readable) in [("222222222222", true), ("333333333333", false)] {
        let canned = Canned::new(move |seen| match seen.operation.as_str() {
            "GetCallerIdentity" => identity(own),
            "AssumeRole" => query_error(403, "AccessDenied", "User: session-1 is not authorized"),
            _ => found(DEPLOYER),
        });
        let look = canned.reader().role(&reading_by(), &role(DEPLOYER), false).await;
        match look {
            Look::Seen(_) => assert!(readable),
            Look::Absent => panic!("a look that failed is no absence"),
            Look::Unseen(why) => {
                assert!(
                    !readable && why.contains("333333333333") && why.contains("mooring-reader"),
                    "{why}"
                );
                assert!(!why.contains("session-1"), "it differs from hour to hour: {why}");
            }
        }
    }
}
