//! Requests signed by AWS's own signing crate, verified and tampered with.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::Request;

use super::{Endpoint, Received, World, verify};
use crate::aws::contract::{ApiError, Caller};
use crate::aws::world::{Credentials, Settings};

const ACCOUNT: &str = "111111111111";

/// How a request is signed.
struct Signing<'a> {
    uri: &'a str,
    region: &'a str,
    service: &'a str,
    time: SystemTime,
    location: SignatureLocation,
}

impl Signing<'_> {
    fn of(uri: &str) -> Signing<'_> {
        let time = SystemTime::now();
        Signing {
            uri,
            region: "eu-west-1",
            service: "eks",
            time,
            location: SignatureLocation::Headers,
        }
    }

    fn sign(&self, credentials: &Credentials, body: &str) -> Request<String> {
        let identity = aws_credential_types::Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "test",
        );
        let identity = identity.into();
        let mut settings = SigningSettings::default();
        settings.signature_location = self.location;
        if self.location == SignatureLocation::QueryParams {
            settings.expires_in = Some(Duration::from_mins(1));
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let host = self
            .uri
            .trim_start_matches("https://")
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        let mut request = Request::builder()
            .method(if body.is_empty() { "GET" } else { "POST" })
            .uri(self.uri)
            .header("host", host)
            .header("x-k8s-aws-id", "prod   eu")
            .body(body.to_owned())
            .unwrap();
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable = SignableRequest::new(
            request.method().as_str(),
            self.uri,
            headers,
            SignableBody::Bytes(body.as_bytes()),
        );
        let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request
    }
}

fn check(world: &World, request: &Request<String>) -> Result<Caller, ApiError> {
    let endpoint = Endpoint::of_host(request.headers()["host"].to_str().unwrap()).unwrap();
    let received = Received {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        body: request.body().as_bytes(),
    };
    verify(&received, &endpoint, world)
}

fn world() -> (World, Credentials) {
    let world = World::new(Settings::default());
    let root = world.root_credentials(ACCOUNT);
    (world, root)
}

fn refusal(result: Result<Caller, ApiError>) -> (&'static str, String) {
    let error = result.unwrap_err();
    (error.code, error.message)
}

const ENTRY: &str = "https://eks.eu-west-1.amazonaws.com/clusters/prod/access-entries/arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa%2Bb?z=1&a=x%20y&a=%2B";

#[test]
fn a_good_signature_names_its_caller_and_a_changed_request_is_refused() {
    let (world, root) = world();
    let signed = Signing::of(ENTRY).sign(&root, "{\"a\":1}");
    assert_eq!(check(&world, &signed).unwrap().account, ACCOUNT);
    let mut body = signed.clone();
    body.body_mut().push(' ');
    let mut path = signed.clone();
    *path.uri_mut() = ENTRY.replace("prod", "prop").parse().unwrap();
    let mut query = signed.clone();
    *query.uri_mut() = ENTRY.replace("z=1", "z=2").parse().unwrap();
    let mut header = signed.clone();
    header.headers_mut().insert("x-k8s-aws-id", "other".parse().unwrap());
    for changed in [body, path, query, header] {
        let (code, message) = refusal(check(&world, &changed));
        assert_eq!(code, "InvalidSignatureException", "{changed:?}");
        assert!(
            message.starts_with("The request signature we calculated does not match"),
            "{message}"
        );
    }
    let mut blanks = signed;
    blanks.headers_mut().insert("x-k8s-aws-id", "prod eu".parse().unwrap());
    check(&world, &blanks).unwrap();
}

#[test]
fn a_presigned_request_is_verified_with_the_headers_that_it_signs() {
    let (world, root) = world();
    let uri = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15";
    let signing = Signing {
        service: "sts",
        location: SignatureLocation::QueryParams,
        ..Signing::of(uri)
    };
    let signed = signing.sign(&root, "");
    assert!(
        signed.headers().get("authorization").is_none() && signed.uri().query().unwrap().contains("X-Amz-Signature=")
    );
    check(&world, &signed).unwrap();
    let mut other = signed.clone();
    other
        .headers_mut()
        .insert("x-k8s-aws-id", "another-cluster".parse().unwrap());
    assert_eq!(refusal(check(&world, &other)).0, "SignatureDoesNotMatch");
    let mut none = signed;
    *none.uri_mut() = uri.parse().unwrap();
    let expected = (
        "MissingAuthenticationToken",
        "Request is missing Authentication Token".to_owned(),
    );
    assert_eq!(refusal(check(&world, &none)), expected);
}

#[test]
fn the_scope_must_be_that_of_the_endpoint() {
    let (world, root) = world();
    let region = Signing {
        region: "eu-west-2",
        ..Signing::of(ENTRY)
    }
    .sign(&root, "");
    let (code, message) = refusal(check(&world, &region));
    assert_eq!(
        (code, message.trim()),
        (
            "InvalidSignatureException",
            "Credential should be scoped to a valid region."
        )
    );
    let service = Signing {
        service: "sts",
        ..Signing::of(ENTRY)
    }
    .sign(&root, "");
    let (_, message) = refusal(check(&world, &service));
    assert_eq!(message.trim(), "Credential should be scoped to correct service: 'eks'.");
    let iam = Signing {
        region: "us-east-1",
        service: "iam",
        ..Signing::of("https://iam.amazonaws.com/")
    };
    check(&world, &iam.sign(&root, "Action=ListRoles")).unwrap();
    let iam = Signing {
        service: "iam",
        ..Signing::of("https://iam.amazonaws.com/")
    };
    assert_eq!(
        refusal(check(&world, &iam.sign(&root, "a=b"))).0,
        "SignatureDoesNotMatch",
        "IAM is signed for us-east-1"
    );
}

#[test]
fn clocks_may_differ_by_five_minutes_for_eks_and_fifteen_for_sts() {
    let (world, root) = world();
    let minutes = Duration::from_mins;
    let now = SystemTime::now();
    let sts = |time| Signing {
        time,
        service: "sts",
        ..Signing::of("https://sts.eu-west-1.amazonaws.com/")
    };
    let eks = |time| Signing {
        time,
        ..Signing::of(ENTRY)
    };
    check(&world, &eks(now - minutes(4)).sign(&root, "x")).unwrap();
    let (code, message) = refusal(check(&world, &eks(now - minutes(6)).sign(&root, "x")));
    assert_eq!(code, "InvalidSignatureException");
    assert!(
        message.starts_with("Signature expired: ") && message.ends_with(" - 5 min.)"),
        "{message}"
    );
    check(&world, &sts(now - minutes(14)).sign(&root, "x")).unwrap();
    let (code, message) = refusal(check(&world, &sts(now - minutes(16)).sign(&root, "x")));
    assert_eq!(code, "SignatureDoesNotMatch");
    assert!(message.ends_with(" - 15 min.)"), "{message}");
    let (_, message) = refusal(check(&world, &sts(now + minutes(16)).sign(&root, "x")));
    assert!(
        message.starts_with("Signature not yet current: ") && message.ends_with(" + 15 min.)"),
        "{message}"
    );
}

#[test]
fn an_authorization_header_that_lacks_something_is_told_what() {
    let (world, root) = world();
    let signed = Signing::of(ENTRY).sign(&root, "");
    let header = signed.headers()["authorization"].to_str().unwrap().to_owned();
    let with = |value: &str| {
        let mut request = signed.clone();
        request.headers_mut().insert("authorization", value.parse().unwrap());
        refusal(check(&world, &request))
    };
    let (code, message) = with(&header[..header.find(", Signature=").unwrap()]);
    assert_eq!(
        (code, message.as_str()),
        (
            "IncompleteSignatureException",
            "Authorization header requires 'Signature' parameter."
        )
    );
    assert!(
        with(&header.replace("/aws4_request", ""))
            .1
            .starts_with("Credential must have exactly 5 slash-delimited elements")
    );
    assert_eq!(with("Basic eDp5").0, "IncompleteSignatureException");
    assert_eq!(
        with(&header.replace("host;", "")).0,
        "InvalidSignatureException",
        "the host must be signed"
    );
}
