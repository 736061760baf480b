//! Identity and Access Management.
//!
//! Condition keys of each action are those of the service authorization reference, "Actions, resources, and
//! condition keys for AWS Identity and Access Management".

mod boundaries;
mod call;
mod managed;
mod policies;
mod profiles;
mod providers;
mod render;
mod role_policies;
mod role_tags;
mod roles;

use serde_json::Value;

use super::input::Input;
use super::unknown_token;
use crate::aws::contract::{Answer, ApiError, Request};
use crate::aws::world::State;
use call::Call;

/// Answers one request.
pub(in crate::aws) fn answer(state: &mut State, request: &Request) -> Answer {
    let caller = request.caller.as_ref().ok_or_else(|| {
        ApiError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )
    })?;
    let partition = state.account(&caller.account).map(|account| account.partition);
    if partition != Some(request.partition) {
        return Err(unknown_token());
    }
    let call = Call {
        request,
        caller,
        account: &caller.account,
        partition: request.partition,
        input: Input(&request.input),
    };
    match request.operation {
        "CreateRole" => roles::create(state, &call),
        "GetRole" => roles::get(state, &call),
        "UpdateRole" => roles::update(state, &call),
        "UpdateAssumeRolePolicy" => roles::update_trust(state, &call),
        "DeleteRole" => roles::delete(state, &call),
        "TagRole" => role_tags::tag(state, &call),
        "UntagRole" => role_tags::untag(state, &call),
        "ListRoleTags" => role_tags::list(state, &call),
        "PutRolePolicy" => role_policies::put(state, &call),
        "GetRolePolicy" => role_policies::get(state, &call),
        "DeleteRolePolicy" => role_policies::delete(state, &call),
        "ListRolePolicies" => role_policies::list(state, &call),
        "ListAttachedRolePolicies" => managed::list(state, &call),
        "AttachRolePolicy" => managed::attach(state, &call),
        "DetachRolePolicy" => managed::detach(state, &call),
        "PutRolePermissionsBoundary" => boundaries::put(state, &call),
        "DeleteRolePermissionsBoundary" => boundaries::delete(state, &call),
        "CreateOpenIDConnectProvider" => providers::create(state, &call),
        "GetOpenIDConnectProvider" => providers::get(state, &call),
        "ListOpenIDConnectProviders" => providers::list(state, &call),
        "AddClientIDToOpenIDConnectProvider" => providers::add_client(state, &call),
        "TagOpenIDConnectProvider" => providers::tag(state, &call),
        "DeleteOpenIDConnectProvider" => providers::delete(state, &call),
        "CreateInstanceProfile" => profiles::create(state, &call),
        "AddRoleToInstanceProfile" => profiles::add_role(state, &call),
        "RemoveRoleFromInstanceProfile" => profiles::remove_role(state, &call),
        "DeleteInstanceProfile" => profiles::delete(state, &call),
        "ListInstanceProfilesForRole" => profiles::list_for_role(state, &call),
        "CreatePolicy" => policies::create(state, &call),
        "GetPolicy" => policies::get(state, &call),
        "DeletePolicy" => policies::delete(state, &call),
        "CreatePolicyVersion" => policies::create_version(state, &call),
        "ListPolicyVersions" => policies::list_versions(state, &call),
        "GetPolicyVersion" => policies::get_version(state, &call),
        "DeletePolicyVersion" => policies::delete_version(state, &call),
        other => Err(ApiError::new(
            400,
            "InvalidAction",
            format!("Could not find operation {other} for version 2010-05-08"),
        )),
    }
}

/// The output of an operation that has none in AWS's model: the answer then has no result element at all.
fn nothing() -> Value {
    Value::Null
}
