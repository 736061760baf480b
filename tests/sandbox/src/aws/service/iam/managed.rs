//! Managed policies on roles: `AttachRolePolicy`, `DetachRolePolicy`, `ListAttachedRolePolicies`.

use serde_json::json;

use super::call::{Call, limit, missing, page};
use super::roles;
use crate::aws::contract::Answer;
use crate::aws::world::State;

/// Managed policies that one role may have (quota L-0DA4ABF3; 25 on request).
const MOST_ATTACHED: usize = 20;

/// The condition key that holds the ARN of the policy.
fn policy_key(arn: &str) -> [(String, Vec<String>); 1] {
    [("iam:PolicyARN".to_owned(), vec![arn.to_owned()])]
}

pub(super) fn attach(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.input.needed("PolicyArn")?;
    let mut role = call.write_with(state, "iam:AttachRolePolicy", &policy_key(arn))?;
    let policy = state
        .latest_policy(call.account, arn)
        .ok_or_else(|| missing(format!("Policy {arn} does not exist or is not attachable.")))?;
    role.attached.insert(arn.to_owned(), policy.name.clone());
    if role.attached.len() > MOST_ATTACHED {
        return Err(limit(format!(
            "Cannot exceed quota for PoliciesPerRole: {MOST_ATTACHED}"
        )));
    }
    Ok(roles::save(state, role))
}

pub(super) fn detach(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.input.needed("PolicyArn")?;
    let mut role = call.write_with(state, "iam:DetachRolePolicy", &policy_key(arn))?;
    role.attached
        .remove(arn)
        .ok_or_else(|| missing(format!("Policy {arn} was not found.")))?;
    Ok(roles::save(state, role))
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.read(state, "iam:ListAttachedRolePolicies")?;
    let prefix = call.input.text("PathPrefix").unwrap_or("/");
    let under = |arn: &str| {
        arn.split_once(":policy")
            .is_some_and(|(_, path)| path.starts_with(prefix))
    };
    let attached = role.attached.iter().filter(|(arn, _)| under(arn));
    page(
        call,
        "AttachedPolicies",
        attached
            .map(|(arn, name)| json!({"PolicyName": name, "PolicyArn": arn}))
            .collect(),
    )
}
