//! botocore, AWS's own client, reads every answer of the fake AWS, and its models are held against the tables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as a test does"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mooring_sandbox::aws::contract::Service;
use mooring_sandbox::aws::operations::{self, Field, Http, Kind, Operation, Pattern, Place, UNBOUNDED};
use mooring_sandbox::aws::{ClusterSeed, FakeAws, Settings};
use mooring_sandbox::python::environment;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const ACCOUNT: &str = "222222222222";
const REGION: &str = "eu-west-1";
const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
const AUDIENCE: &str = "sts.amazonaws.com";

#[tokio::test]
async fn botocore_reads_every_answer_and_its_models_have_every_row() {
    let python = environment("botocore", &here("requirements.txt")).await.unwrap();
    let aws = FakeAws::start(Settings {
        region: REGION.to_owned(),
        ..Settings::default()
    })
    .await
    .unwrap();
    aws.add_cluster(ClusterSeed::new(ACCOUNT, REGION, "prod"));
    let root = aws.root(ACCOUNT);
    let (jwks, token) = web_identity();
    aws.register_issuer(ISSUER, &jwks).unwrap();
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }]});
    let input = json!({"RoleName": "pod", "AssumeRolePolicyDocument": trust.to_string()});
    let role = aws.call(&root, Service::Iam, "CreateRole", input).unwrap();
    let cluster = ClusterSeed::new(ACCOUNT, REGION, "prod").arn();
    let pod = aws
        .pod_identity(
            role["Role"]["Arn"].as_str().unwrap(),
            &cluster,
            "argocd",
            "server",
            "server-0",
        )
        .unwrap();
    let given = json!({
        "tables": operations::all().map(row).collect::<Vec<_>>(),
        "account": ACCOUNT,
        "region": REGION,
        "cluster": "prod",
        "proxy": aws.proxy_url(),
        "root": {"access_key_id": root.access_key_id, "secret_access_key": root.secret_access_key},
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "token": token,
        "pod": pod.into_iter().collect::<BTreeMap<String, String>>(),
    });
    let mut check = Command::new(&python)
        .arg(here("check.py"))
        .env_clear()
        .envs(aws.env())
        .env("HOME", "/nonexistent")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(given.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = check.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = format!("{} operations read", operations::all().count());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), read);
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/botocore").join(file)
}

/// The keys of an issuer, and a token that it signed.
fn web_identity() -> (String, String) {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref()).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = key.public_key().as_ref();
    let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": encode(&point[1..33]), "y": encode(&point[33..])}]});
    let header = json!({"alg": "ES256", "kid": "1"}).to_string();
    let expires = jiff::Timestamp::now().as_second() + 3_600;
    let claims =
        json!({"iss": ISSUER, "aud": [AUDIENCE], "sub": "system:serviceaccount:argocd:server", "exp": expires});
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    (jwks.to_string(), format!("{signed}.{}", encode(signature.as_ref())))
}

fn row(operation: &Operation) -> Value {
    let http = match operation.http {
        Http::Query => Value::Null,
        Http::Rest { method, path } => json!({"method": method, "path": path}),
    };
    json!({
        "service": operation.service.name(),
        "name": operation.name,
        "signed": operation.signed,
        "http": http,
        "errors": operation.errors,
        "input": fields(operation.input),
    })
}

fn fields(all: &[Field]) -> Vec<Value> {
    let place = |place| match place {
        Place::Body => "body",
        Place::Label => "label",
        Place::Query => "query",
    };
    let field = |field: &Field| json!({"name": field.name, "required": field.required, "place": place(field.place), "kind": kind(&field.kind)});
    all.iter().map(field).collect()
}

fn kind(kind: &Kind) -> Value {
    let most = |max: usize| if max == UNBOUNDED { Value::Null } else { json!(max) };
    let text = |min: usize, max: usize, pattern: Option<Pattern>| json!({"type": "string", "limits": [min, most(max)], "pattern": pattern.map(Pattern::regex)});
    let list = |items: (usize, usize), of: Value| json!({"type": "list", "limits": [items.0, most(items.1)], "of": of});
    let structure = |all: &[Field]| json!({"type": "structure", "fields": fields(all)});
    match *kind {
        Kind::Text { min, max, pattern } => text(min, max, pattern),
        Kind::OneOf(choices) => json!({"type": "string", "enum": choices}),
        Kind::Integer { min, max } => json!({"type": "integer", "limits": [min, max]}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Texts {
            items,
            each: (min, max),
            pattern,
        } => list(items, text(min, max, pattern)),
        Kind::Structures { items, of } => list(items, structure(of)),
        Kind::Structure(all) => structure(all),
        Kind::Tags => list((0, 50), structure(operations::TAG)),
        Kind::TagMap => json!({
            "type": "map", "limits": [1, 50],
            "key": text(1, 128, None),
            "value": text(0, 256, None),
        }),
    }
}
