//! `AssumeRoleWithWebIdentity`: the token of a Kubernetes service account for a role (IRSA).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mooring_sandbox::aws::contract::{ApiError, Service};
use mooring_sandbox::aws::world::World;
use serde_json::{Value, json};

use crate::support::*;

const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/HUB";
const HOST: &str = "oidc.eks.eu-west-1.amazonaws.com/id/HUB";
const SUBJECT: &str = "system:serviceaccount:argocd:argocd-server";

enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwks(&self, kid: &str) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = match self {
            Self::Rsa(pair) => {
                // RSAPublicKey of RFC 8017: nine bytes of DER before the 256 of the modulus, the exponent 65537 last.
                let der = pair.public_key().as_ref();
                let (modulus, exponent) = (&der[9..265], &der[der.len() - 3..]);
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": text(modulus), "e": text(exponent)})
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
        };
        json!({"keys": [key]}).to_string()
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let algorithm = if matches!(self, Self::Rsa(_)) { "RS256" } else { "ES256" };
        let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"}).to_string();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims(world: &World) -> Value {
    let now = world.now().as_second();
    json!({"iss": ISSUER, "sub": SUBJECT, "aud": ["sts.amazonaws.com"], "iat": now, "nbf": now, "exp": now + 600})
}

/// A hub with a provider, a role that trusts one service account exactly, and the issuer's key.
fn hub(signer: &Signer) -> (World, String) {
    let world = world();
    let provider = json!({"Url": ISSUER, "ClientIDList": ["sts.amazonaws.com"]});
    iam(&world, &root(&world, HUB), "CreateOpenIDConnectProvider", provider).unwrap();
    world.register_issuer(ISSUER, &signer.jwks("one")).unwrap();
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::{HUB}:oidc-provider/{HOST}")},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {format!("{HOST}:sub"): SUBJECT, format!("{HOST}:aud"): "sts.amazonaws.com"}}}]});
    let arn = role(&world, HUB, "/", "management", &trust.to_string());
    (world, arn)
}

fn assume(world: &World, arn: &str, token: &str) -> Result<Value, ApiError> {
    let input = json!({"RoleArn": arn, "RoleSessionName": "pod", "WebIdentityToken": token});
    world.sts(&request(Service::Sts, None, "AssumeRoleWithWebIdentity", &input))
}

#[test]
fn a_token_of_the_right_service_account_opens_a_session() {
    for signer in [Signer::rsa(), Signer::ec()] {
        let (world, arn) = hub(&signer);
        let answer = assume(&world, &arn, &signer.sign("one", &claims(&world))).unwrap();
        assert_eq!(answer["SubjectFromWebIdentityToken"], SUBJECT);
        assert_eq!(answer["Audience"], "sts.amazonaws.com");
        assert_eq!(answer["Provider"], format!("arn:aws:iam::{HUB}:oidc-provider/{HOST}"));
        let caller = assumed(&world, &answer);
        assert_eq!(caller.arn, "arn:aws:sts::111111111111:assumed-role/management/pod");
        assert!(!caller.session.unwrap().chained);
    }
}

/// The negative test that most people skip: the same service account in another namespace.
#[test]
fn any_other_subject_is_not_authorized() {
    let signer = Signer::rsa();
    let (world, arn) = hub(&signer);
    for subject in [
        "system:serviceaccount:other:argocd-server",
        "system:serviceaccount:argocd:default",
    ] {
        let mut claims = claims(&world);
        claims["sub"] = json!(subject);
        let refused = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        assert_refused(
            assume(&world, &arn, &signer.sign("one", &claims)),
            403,
            "AccessDenied",
            refused,
        );
    }
    let token = signer.sign("one", &claims(&world));
    let missing = assume(&world, "arn:aws:iam::111111111111:role/none", &token);
    assert_refused(
        missing,
        403,
        "AccessDenied",
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
    );
}

#[test]
fn tokens_that_are_not_what_they_say() {
    let signer = Signer::rsa();
    let (world, arn) = hub(&signer);
    let bad =
        |token: &str, message: &str| assert_refused(assume(&world, &arn, token), 400, "InvalidIdentityToken", message);
    let with = |claim: &str, value: Value| {
        let mut claims = claims(&world);
        claims[claim] = value;
        signer.sign("one", &claims)
    };
    bad(
        "not.a.token",
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
    );
    bad(&with("aud", json!("kubernetes")), "Incorrect token audience");
    bad(
        &with("iss", json!("https://other.example")),
        "No OpenIDConnect provider found in your account for https://other.example",
    );
    let forged = Signer::rsa().sign("one", &claims(&world));
    bad(&forged, "The ID Token provided has an invalid signature");
    let unknown = signer.sign("two", &claims(&world));
    bad(
        &unknown,
        "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
    );
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode("{\"alg\":\"none\",\"kid\":\"one\"}"),
        URL_SAFE_NO_PAD.encode(claims(&world).to_string())
    );
    bad(&unsigned, "The ID Token provided has an invalid signature");
    let other_account = role(&world, SPOKE, "/", "r", &trust_of(&root_of(HUB)));
    let no_provider = assume(&world, &other_account, &signer.sign("one", &claims(&world)));
    assert!(
        refusal(no_provider)
            .2
            .starts_with("No OpenIDConnect provider found in your account for")
    );
}

#[test]
fn tokens_expire() {
    let signer = Signer::rsa();
    let (world, arn) = hub(&signer);
    let token = signer.sign("one", &claims(&world));
    assume(&world, &arn, &token).unwrap();
    world.advance(Duration::from_secs(601));
    let (status, code, message) = refusal(assume(&world, &arn, &token));
    assert_eq!((status, code), (400, "ExpiredTokenException"));
    assert!(message.starts_with("Token expired: current date/time "), "{message}");
}

/// A web identity is no role chain: the role's own maximum holds.
#[test]
fn durations() {
    let signer = Signer::rsa();
    let (world, arn) = hub(&signer);
    let token = signer.sign("one", &claims(&world));
    let input = json!({"RoleArn": arn, "RoleSessionName": "pod", "WebIdentityToken": token, "DurationSeconds": 43_200});
    let request = request(Service::Sts, None, "AssumeRoleWithWebIdentity", &input);
    let refused = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    assert_refused(world.sts(&request), 400, "ValidationError", refused);
    iam(
        &world,
        &root(&world, HUB),
        "UpdateRole",
        json!({"RoleName": "management", "MaxSessionDuration": 43_200}),
    )
    .unwrap();
    world.sts(&request).unwrap();
}
