//! Security Token Service.

mod assume_role;
mod pod_identity;
mod web_identity;

use serde_json::{Value, json};

use super::input::Input;
use super::{unknown_token, written};
use crate::aws::authz::Document;
use crate::aws::contract::{Answer, ApiError, Request};
use crate::aws::world::{Credentials, LONGEST_TOKEN, Role, State, size};

pub(in crate::aws) use pod_identity::{Pod, assume_for_pod};

/// Characters that a session policy may have as plain text.
const SESSION_POLICY_SIZE: usize = 2_048;

/// Answers one request.
pub(in crate::aws) fn answer(state: &mut State, request: &Request) -> Answer {
    let input = Input(&request.input);
    if request.operation == "AssumeRoleWithWebIdentity" {
        return web_identity::answer(state, request, input);
    }
    let caller = request.caller.as_ref().ok_or_else(|| {
        ApiError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )
    })?;
    if state.account(&caller.account).map(|account| account.partition) != Some(request.partition) {
        return Err(unknown_token());
    }
    match request.operation {
        // "No permissions are required to perform this operation", not even an explicit deny stops it.
        "GetCallerIdentity" => Ok(json!({"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn})),
        "AssumeRole" => assume_role::answer(state, request, caller, input),
        other => Err(ApiError::new(
            400,
            "InvalidAction",
            format!("Could not find operation {other} for version 2011-06-15"),
        )),
    }
}

/// The least size of the session token that a request asks for.
fn least_token(input: Input<'_>) -> usize {
    input
        .integer("MinimumSessionTokenSize")
        .and_then(|least| usize::try_from(least).ok())
        .unwrap_or(0)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "ValidationError", message)
}

/// The seconds that a session is to last: one hour when the request does not say.
fn seconds(input: Input<'_>, role: &Role) -> Result<i64, ApiError> {
    let seconds = input.integer("DurationSeconds").unwrap_or(3_600);
    if seconds > role.max_session {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

/// The session policies of a request as one: `Policy` and the managed policies of `PolicyArns` limit together, a
/// statement of any of them allows.
fn session_policy(
    state: &State,
    input: Input<'_>,
    account: &str,
    partition: &str,
) -> Result<Option<(String, Document)>, ApiError> {
    let malformed = |message: String| ApiError::new(400, "MalformedPolicyDocument", message);
    let arns = input.each("PolicyArns", "arn");
    let inline = input.text("Policy");
    if inline.is_none() && arns.is_empty() {
        return Ok(None);
    }
    let length = inline.map_or(0, size);
    if length > SESSION_POLICY_SIZE {
        let percent = (length * 100).div_ceil(SESSION_POLICY_SIZE);
        let message = format!("Packed policy consumes {percent}% of allotted space, please use smaller policy.");
        return Err(ApiError::new(400, "PackedPolicyTooLarge", message));
    }
    let mut texts: Vec<String> = inline.map(str::to_owned).into_iter().collect();
    for arn in &arns {
        let policy = state
            .policy(account, arn)
            .ok_or_else(|| invalid(format!("PolicyArn {arn} is not valid.")))?;
        texts.extend(
            policy
                .versions
                .get(&policy.default)
                .map(|version| version.policy.text.clone()),
        );
    }
    let mut statements = Vec::new();
    for text in &texts {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| malformed("The policy is not in the valid JSON format.".to_owned()))?;
        Document::identity(&value, Some(partition)).map_err(|why| malformed(why.0))?;
        match value["Statement"].as_array() {
            Some(many) => statements.extend(many.iter().cloned()),
            None => statements.push(value["Statement"].clone()),
        }
    }
    if let (Some(inline), true) = (inline, arns.is_empty()) {
        let document = Document::parse(inline).map_err(|why| malformed(why.0))?;
        return Ok(Some((inline.to_owned(), document)));
    }
    for statement in statements.iter_mut().filter_map(Value::as_object_mut) {
        statement.remove("Sid");
    }
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let document = Document::parse(&text).map_err(|why| malformed(why.0))?;
    Ok(Some((text, document)))
}

/// How much of the space for session policy and session tags is used, in percent. AWS packs them in a way of its own;
/// here a policy's share is that of its characters, and four characters of tags are one percent, after the 74 % that
/// the six tags of EKS Pod Identity take (aws/containers-roadmap#2413).
fn packed<'a>(policy: Option<&str>, tags: impl Iterator<Item = (&'a String, &'a String)>) -> Option<usize> {
    let tags: usize = tags.map(|(key, value)| key.len() + value.len()).sum();
    let used = policy.map_or(0, |policy| size(policy) * 100 / SESSION_POLICY_SIZE) + tags / 4;
    (policy.is_some() || tags > 0).then_some(used.clamp(1, 100))
}

/// `Credentials` and `AssumedRoleUser` of an answer.
fn assumed(state: &State, role: &Role, session: &str, credentials: &Credentials) -> Value {
    let partition = state.account(&role.account).map_or("aws", |account| account.partition);
    let token = credentials.session_token.as_ref().map_or(0, String::len);
    json!({
        "SessionTokenSize": token,
        "SessionTokenUtilization": token * 100 / LONGEST_TOKEN,
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "Expiration": credentials.expiration.map(written),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("{}:{session}", role.id),
            "Arn": format!("arn:{partition}:sts::{}:assumed-role/{}/{session}", role.account, role.name),
        },
    })
}
