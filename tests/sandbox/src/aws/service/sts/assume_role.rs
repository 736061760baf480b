//! `AssumeRole`.

use std::collections::BTreeMap;

use serde_json::json;

use super::{assumed, invalid, least_token, packed, seconds, session_policy};
use crate::aws::authz::{Decision, access_denied};
use crate::aws::contract::{Answer, ApiError, Caller, Check, Request, RoleSession};
use crate::aws::service::input::Input;
use crate::aws::world::{NewSession, Role, State};

/// The longest session that a role's credentials can open, in seconds.
const CHAINED: i64 = 3_600;
/// Session tags that a request may bring.
const MOST_TAGS: usize = 50;

pub(super) fn answer(state: &mut State, request: &Request, caller: &Caller, input: Input<'_>) -> Answer {
    let (arn, name) = (input.needed("RoleArn")?, input.needed("RoleSessionName")?);
    let Some(session) = &caller.session else {
        return Err(ApiError::new(
            403,
            "AccessDenied",
            "Roles may not be assumed by root accounts.",
        ));
    };
    for member in ["SourceIdentity", "ProvidedContexts"] {
        if input.has(member) {
            return Err(invalid(format!("The sandbox does not model {member}.")));
        }
    }
    let (tags, transitive) = tags(input, session)?;
    let account = arn.split(':').nth(4).unwrap_or_default();
    let policy = session_policy(state, input, account, request.partition)?;

    let role = state.role_by_arn(arn);
    let checks = checks(input, arn, name, role.as_deref(), &tags, &transitive);
    authorize(state, request, caller, role.as_deref(), &checks)?;
    let role = role.ok_or_else(|| access_denied(request.service, &caller.arn, &checks[0], None))?;
    if input.has("TokenCode") || input.has("SerialNumber") {
        let message = "MultiFactorAuthentication failed with invalid MFA one time pass code. ";
        return Err(ApiError::new(403, "AccessDenied", message));
    }
    if input
        .integer("DurationSeconds")
        .is_some_and(|seconds| seconds > CHAINED)
    {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    let used = packed(policy.as_ref().map(|(text, _)| text.as_str()), tags.iter());
    let new = NewSession {
        seconds: seconds(input, &role)?,
        tags,
        transitive,
        policy,
        chained: true,
        least_token: least_token(input),
        ..NewSession::named(name)
    };
    let credentials = state.open_session(&role, new);
    let mut output = assumed(state, &role, name, &credentials);
    if let Some(used) = used {
        output["PackedPolicySize"] = json!(used);
    }
    Ok(output)
}

/// The tags that the new session will have, those handed down included, and which of them go further.
fn tags(input: Input<'_>, session: &RoleSession) -> Result<(BTreeMap<String, String>, Vec<String>), ApiError> {
    let refuse = |message: &str| Err(ApiError::new(400, "InvalidParameterValue", message));
    let passed = input.tags();
    let mut transitive = input.texts("TransitiveTagKeys");
    if passed.len() > MOST_TAGS {
        return refuse("The number of session tags exceeds the limit of 50.");
    }
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    for (index, (key, _)) in passed.iter().enumerate() {
        if passed[..index].iter().any(|(other, _)| same(key, other)) {
            return refuse("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
        }
        if session.transitive.iter().any(|inherited| same(key, inherited)) {
            return refuse(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            );
        }
    }
    if transitive
        .iter()
        .any(|key| !passed.iter().any(|(passed, _)| same(key, passed)))
    {
        return refuse("The specified transitive tag key must be included in the requested tags.");
    }
    let mut tags: BTreeMap<String, String> = passed.into_iter().collect();
    for key in &session.transitive {
        if let Some(value) = session.tags.get(key) {
            tags.insert(key.clone(), value.clone());
        }
        transitive.push(key.clone());
    }
    Ok((tags, transitive))
}

/// `sts:AssumeRole`, and `sts:TagSession` when the session gets tags.
fn checks(
    input: Input<'_>,
    arn: &str,
    name: &str,
    role: Option<&Role>,
    tags: &BTreeMap<String, String>,
    transitive: &[String],
) -> Vec<Check> {
    let mut context: BTreeMap<String, Vec<String>> = BTreeMap::new();
    context.insert("sts:RoleSessionName".to_owned(), vec![name.to_owned()]);
    if let Some(id) = input.text("ExternalId") {
        context.insert("sts:ExternalId".to_owned(), vec![id.to_owned()]);
    }
    for (key, value) in role.iter().flat_map(|role| role.tags.iter()) {
        context.insert(format!("aws:ResourceTag/{key}"), vec![value.to_owned()]);
        context.insert(format!("iam:ResourceTag/{key}"), vec![value.to_owned()]);
    }
    for (key, value) in tags {
        context.insert(format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    context.insert("aws:TagKeys".to_owned(), tags.keys().cloned().collect());
    context.insert("sts:TransitiveTagKeys".to_owned(), transitive.to_vec());
    let check = |action| Check {
        action,
        resource: arn.to_owned(),
        context: context.clone(),
    };
    let mut checks = vec![check("sts:AssumeRole")];
    if !tags.is_empty() {
        checks.push(check("sts:TagSession"));
    }
    checks
}

/// A role that does not exist is refused as one that trusts nobody; across accounts no policy type is named.
fn authorize(
    state: &mut State,
    request: &Request,
    caller: &Caller,
    role: Option<&Role>,
    checks: &[Check],
) -> Result<(), ApiError> {
    state.used(caller, request);
    let Some(role) = role else { return Ok(()) };
    let policies = state.policies_of(caller);
    for check in checks {
        if let Decision::Denied(denial) = state.decide_trust(&policies, role, check, caller, request) {
            let named = (role.account == caller.account).then_some(denial);
            return Err(access_denied(request.service, &caller.arn, check, named));
        }
    }
    Ok(())
}
