//! Callers of the fake IAM and STS, as the wire would make them of signed requests.

use std::time::Duration;

use mooring_sandbox::aws::contract::{ApiError, Caller, Request, Service};
use mooring_sandbox::aws::operations;
use mooring_sandbox::aws::world::{Credentials, MissingRole, Settings, World};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(crate) const HUB: &str = "111111111111";
pub(crate) const SPOKE: &str = "222222222222";
pub(crate) const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

/// A world with a hub and a spoke account, and writes that are seen at once.
pub(crate) fn world() -> World {
    with(Duration::ZERO)
}

/// A world in which writes take `propagation`.
pub(crate) fn with(propagation: Duration) -> World {
    let world = World::new(Settings {
        propagation,
        ..Settings::default()
    });
    world.add_account(HUB, "aws");
    world.add_account(SPOKE, "aws");
    world
}

/// A world that judges calls on missing roles by the path `/`.
pub(crate) fn lenient() -> World {
    let world = World::new(Settings {
        missing_role: MissingRole::AnyPath,
        ..Settings::default()
    });
    world.add_account(HUB, "aws");
    world
}

pub(crate) fn root(world: &World, account: &str) -> Caller {
    caller(world, &world.root_credentials(account))
}

pub(crate) fn caller(world: &World, credentials: &Credentials) -> Caller {
    world.credentials(&credentials.access_key_id).unwrap().caller
}

/// The caller that an answer of `AssumeRole` makes.
pub(crate) fn assumed(world: &World, answer: &Value) -> Caller {
    let key = answer["Credentials"]["AccessKeyId"].as_str().unwrap();
    world.credentials(key).unwrap().caller
}

pub(crate) fn request(service: Service, caller: Option<&Caller>, operation: &str, input: &Value) -> Request {
    Request {
        service,
        operation: operations::find(service, operation)
            .expect("the operation has a row")
            .name,
        partition: "aws",
        region: "eu-west-1".to_owned(),
        caller: caller.cloned(),
        input: input.as_object().unwrap().clone(),
    }
}

#[allow(clippy::needless_pass_by_value)]
pub(crate) fn iam(world: &World, caller: &Caller, operation: &str, input: Value) -> Result<Value, ApiError> {
    world.iam(&request(Service::Iam, Some(caller), operation, &input))
}

#[allow(clippy::needless_pass_by_value)]
pub(crate) fn sts(world: &World, caller: &Caller, operation: &str, input: Value) -> Result<Value, ApiError> {
    world.sts(&request(Service::Sts, Some(caller), operation, &input))
}

/// The code and message of the error that an answer must be.
#[track_caller]
pub(crate) fn refusal(answer: Result<Value, ApiError>) -> (u16, &'static str, String) {
    let error = answer.unwrap_err();
    (error.status, error.code, error.message)
}

#[track_caller]
pub(crate) fn assert_refused(answer: Result<Value, ApiError>, status: u16, code: &'static str, message: &str) {
    assert_eq!(refusal(answer), (status, code, message.to_owned()));
}

pub(crate) fn trust_of(principal: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}]})
        .to_string()
}

pub(crate) fn root_of(account: &str) -> Value {
    json!({"AWS": format!("arn:aws:iam::{account}:root")})
}

pub(crate) fn allow(actions: &[&str], resource: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]})
        .to_string()
}

/// Makes a role as the account's root and gives its ARN.
pub(crate) fn role(world: &World, account: &str, path: &str, name: &str, trust: &str) -> String {
    let input = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust});
    let answer = iam(world, &root(world, account), "CreateRole", input).unwrap();
    answer["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// Gives a role an inline policy.
pub(crate) fn grant(world: &World, account: &str, role: &str, policy: &str) {
    let input = json!({"RoleName": role, "PolicyName": "grant", "PolicyDocument": policy});
    iam(world, &root(world, account), "PutRolePolicy", input).unwrap();
}

/// A session of a new role with the given inline policy.
pub(crate) fn actor(world: &World, account: &str, name: &str, policy: &str) -> Caller {
    let arn = role(world, account, "/", name, &trust_of(&root_of(account)));
    grant(world, account, name, policy);
    caller(world, &world.session_credentials(&arn, "test", &[]).unwrap())
}

pub(crate) fn get_role(world: &World, account: &str, name: &str) -> Result<Value, ApiError> {
    iam(world, &root(world, account), "GetRole", json!({"RoleName": name})).map(|answer| answer["Role"].clone())
}

/// The trust policy that `GetRole` shows, decoded.
pub(crate) fn shown_trust(world: &World, account: &str, name: &str) -> Value {
    let role = get_role(world, account, name).unwrap();
    decoded(&role["AssumeRolePolicyDocument"])
}

pub(crate) fn decoded(document: &Value) -> Value {
    let text = percent_decode_str(document.as_str().unwrap()).decode_utf8().unwrap();
    serde_json::from_str(&text).unwrap()
}
