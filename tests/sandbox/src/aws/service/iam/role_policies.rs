//! Inline policies of roles: `PutRolePolicy`, `GetRolePolicy`, `DeleteRolePolicy`, `ListRolePolicies`.

use serde_json::json;

use super::call::{Call, limit, malformed, missing, page};
use super::{render, roles};
use crate::aws::contract::{Answer, ApiError};
use crate::aws::world::{State, Stored, size};

/// Characters of all inline policies of a role together, white space aside.
const INLINE_SIZE: usize = 10_240;

pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let mut role = call.write(state, "iam:PutRolePolicy")?;
    let (name, text) = (call.input.needed("PolicyName")?, call.input.needed("PolicyDocument")?);
    let policy = Stored::parse(text, call.partition).map_err(malformed)?;
    role.inline.insert(name.to_owned(), policy);
    if role.inline.values().map(|policy| size(&policy.text)).sum::<usize>() > INLINE_SIZE {
        return Err(limit(format!(
            "Maximum policy size of {INLINE_SIZE} bytes exceeded for role {}",
            role.name
        )));
    }
    Ok(roles::save(state, role))
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.read(state, "iam:GetRolePolicy")?;
    let name = call.input.needed("PolicyName")?;
    let policy = role.inline.get(name).ok_or_else(|| no_policy(name))?;
    Ok(json!({
        "RoleName": role.name,
        "PolicyName": name,
        "PolicyDocument": render::document(&policy.text),
    }))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let mut role = call.write(state, "iam:DeleteRolePolicy")?;
    let name = call.input.needed("PolicyName")?;
    role.inline.remove(name).ok_or_else(|| no_policy(name))?;
    Ok(roles::save(state, role))
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.read(state, "iam:ListRolePolicies")?;
    page(
        call,
        "PolicyNames",
        role.inline.keys().map(|name| json!(name)).collect(),
    )
}

fn no_policy(name: &str) -> ApiError {
    missing(format!("The role policy with name {name} cannot be found."))
}
