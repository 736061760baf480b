//! Customer managed policies: `CreatePolicy`, `GetPolicy`, `DeletePolicy` and their versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{
    Call, conflict, exists, invalid, limit, malformed, missing, page, request_tags, resource_tags, tagged,
};
use super::{nothing, render};
use crate::aws::contract::{Answer, ApiError, Check};
use crate::aws::service::written;
use crate::aws::world::{ManagedPolicy, State, Stored, Tags, Version, size};

/// Characters of a managed policy, white space aside.
const POLICY_SIZE: usize = 6_144;
/// Versions that a managed policy may have.
const MOST_VERSIONS: usize = 5;

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.input.needed("PolicyName")?;
    let path = call.input.text("Path").unwrap_or("/");
    let arn = call.arn(&format!("policy{path}{name}"));
    let new = call.input.tags();
    let context: BTreeMap<String, Vec<String>> = request_tags(&new).into_iter().collect();
    let check = |action| Check {
        action,
        resource: arn.clone(),
        context: context.clone(),
    };
    let mut checks = vec![check("iam:CreatePolicy")];
    if !new.is_empty() {
        checks.push(check("iam:TagPolicy"));
    }
    call.authorize(state, &checks)?;

    let tags = tagged(Tags::default(), &new)?;
    let policy = document(call)?;
    let taken = state
        .account(call.account)
        .and_then(|account| account.policies.get(&name.to_lowercase())?.latest());
    if taken.is_some() {
        return Err(exists(format!(
            "A policy called {name} already exists. Duplicate names are not allowed."
        )));
    }
    let created = state.timestamp();
    let policy = ManagedPolicy {
        name: name.to_owned(),
        id: state.new_id("ANPA"),
        arn,
        path: path.to_owned(),
        description: call.input.text("Description").map(str::to_owned),
        tags,
        created,
        updated: created,
        versions: BTreeMap::from([(1, Version { created, policy })]),
        default: 1,
        next: 2,
    };
    let shown = render::policy(state, call.account, &policy);
    state.write_policy(call.account, name, Some(policy));
    Ok(json!({"Policy": shown}))
}

fn document(call: &Call<'_>) -> Result<Stored, ApiError> {
    let text = call.input.needed("PolicyDocument")?;
    if size(text) > POLICY_SIZE {
        return Err(limit(format!("Cannot exceed quota for PolicySize: {POLICY_SIZE}")));
    }
    Stored::parse(text, call.partition).map_err(malformed)
}

/// The policy that a call is about, when the caller may do `action` on it.
fn policy(
    state: &mut State,
    call: &Call<'_>,
    action: &'static str,
    read: fn(&State, &str, &str) -> Option<Arc<ManagedPolicy>>,
) -> Result<Arc<ManagedPolicy>, ApiError> {
    let arn = call.input.needed("PolicyArn")?;
    let found = read(state, call.account, arn);
    let mut context = BTreeMap::new();
    if let Some(policy) = &found {
        resource_tags(&mut context, &policy.tags);
    }
    let check = Check {
        action,
        resource: arn.to_owned(),
        context,
    };
    call.authorize(state, &[check])?;
    found.ok_or_else(|| missing(format!("Policy {arn} was not found.")))
}

/// A policy of the account, to be changed. AWS's own cannot be.
fn own(state: &mut State, call: &Call<'_>, action: &'static str) -> Result<ManagedPolicy, ApiError> {
    let policy = policy(state, call, action, State::latest_policy)?;
    if policy.arn.contains(":iam::aws:") {
        return Err(ApiError::new(
            403,
            "AccessDenied",
            format!("Cannot modify the AWS managed policy {}", policy.arn),
        ));
    }
    Ok(Arc::unwrap_or_clone(policy))
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let policy = policy(state, call, "iam:GetPolicy", State::policy)?;
    Ok(json!({"Policy": render::policy(state, call.account, &policy)}))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let policy = own(state, call, "iam:DeletePolicy")?;
    if state.uses(call.account, &policy.arn) != (0, 0) {
        return Err(conflict("Cannot delete a policy attached to entities."));
    }
    if policy.versions.len() > 1 {
        return Err(conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy.",
        ));
    }
    state.write_policy(call.account, &policy.name, None);
    Ok(nothing())
}

pub(super) fn create_version(state: &mut State, call: &Call<'_>) -> Answer {
    let mut policy = own(state, call, "iam:CreatePolicyVersion")?;
    let stored = document(call)?;
    if policy.versions.len() >= MOST_VERSIONS {
        return Err(limit(format!(
            "A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must delete an existing version."
        )));
    }
    let number = policy.next;
    policy.next += 1;
    policy.updated = state.timestamp();
    policy.versions.insert(
        number,
        Version {
            created: policy.updated,
            policy: stored,
        },
    );
    if call.input.flag("SetAsDefault") {
        policy.default = number;
    }
    let mut shown = version(&policy, number).ok_or_else(|| no_version(&policy.arn, number))?;
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("Document");
    }
    let name = policy.name.clone();
    state.write_policy(call.account, &name, Some(policy));
    Ok(json!({"PolicyVersion": shown}))
}

pub(super) fn get_version(state: &mut State, call: &Call<'_>) -> Answer {
    let policy = policy(state, call, "iam:GetPolicyVersion", State::policy)?;
    let number = number(call)?;
    let shown = version(&policy, number).ok_or_else(|| no_version(&policy.arn, number))?;
    Ok(json!({"PolicyVersion": shown}))
}

/// The newest first, without their documents.
pub(super) fn list_versions(state: &mut State, call: &Call<'_>) -> Answer {
    let policy = policy(state, call, "iam:ListPolicyVersions", State::policy)?;
    let numbers = policy.versions.keys().rev();
    let mut shown: Vec<Value> = numbers.filter_map(|number| version(&policy, *number)).collect();
    for version in shown.iter_mut().filter_map(Value::as_object_mut) {
        version.remove("Document");
    }
    page(call, "Versions", shown)
}

pub(super) fn delete_version(state: &mut State, call: &Call<'_>) -> Answer {
    let mut policy = own(state, call, "iam:DeletePolicyVersion")?;
    let number = number(call)?;
    if number == policy.default {
        return Err(conflict("Cannot delete the default version of a policy."));
    }
    policy
        .versions
        .remove(&number)
        .ok_or_else(|| no_version(&policy.arn, number))?;
    policy.updated = state.timestamp();
    let name = policy.name.clone();
    state.write_policy(call.account, &name, Some(policy));
    Ok(nothing())
}

fn number(call: &Call<'_>) -> Result<u32, ApiError> {
    let id = call.input.needed("VersionId")?;
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    number.ok_or_else(|| invalid(format!("Version id {id} is not valid.")))
}

fn no_version(arn: &str, number: u32) -> ApiError {
    missing(format!(
        "Policy {arn} version v{number} does not exist or is not attachable."
    ))
}

fn version(policy: &ManagedPolicy, number: u32) -> Option<Value> {
    let version = policy.versions.get(&number)?;
    Some(json!({
        "Document": render::document(&version.policy.text),
        "VersionId": format!("v{number}"),
        "IsDefaultVersion": number == policy.default,
        "CreateDate": written(version.created),
    }))
}
