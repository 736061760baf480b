//! Instance profiles: `CreateInstanceProfile`, `AddRoleToInstanceProfile`, `ListInstanceProfilesForRole` and their ends.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::call::{Call, conflict, exists, limit, missing, page, request_tags, resource_tags, tagged};
use super::{nothing, render};
use crate::aws::contract::{Answer, ApiError, Check};
use crate::aws::service::{no_role, written};
use crate::aws::world::{Profile, Role, State, Tags};

/// Why a role or a profile is not deleted while the one is in the other.
pub(super) const IN_USE: &str = "Cannot delete entity, must remove roles from instance profile first.";

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.input.needed("InstanceProfileName")?;
    let path = call.input.text("Path").unwrap_or("/");
    let arn = call.arn(&format!("instance-profile{path}{name}"));
    let new = call.input.tags();
    let context: BTreeMap<String, Vec<String>> = request_tags(&new).into_iter().collect();
    let check = |action| Check {
        action,
        resource: arn.clone(),
        context: context.clone(),
    };
    let mut checks = vec![check("iam:CreateInstanceProfile")];
    if !new.is_empty() {
        checks.push(check("iam:TagInstanceProfile"));
    }
    call.authorize(state, &checks)?;

    let tags = tagged(Tags::default(), &new)?;
    if state.latest_profile(call.account, name).is_some() {
        return Err(exists(format!("Instance Profile {name} already exists.")));
    }
    let profile = Profile {
        name: name.to_owned(),
        path: path.to_owned(),
        id: state.new_id("AIPA"),
        arn,
        created: state.timestamp(),
        tags,
        role: None,
    };
    let shown = shown(state, &profile);
    state.write_profile(call.account, name, Some(profile));
    Ok(json!({"InstanceProfile": shown}))
}

/// The profile that a write is about, when the caller may do `action` on it.
fn profile(state: &mut State, call: &Call<'_>, action: &'static str) -> Result<Profile, ApiError> {
    let name = call.input.needed("InstanceProfileName")?;
    let found = state.latest_profile(call.account, name);
    let mut context = BTreeMap::new();
    if let Some(profile) = &found {
        resource_tags(&mut context, &profile.tags);
    }
    let resource = found.as_ref().map_or_else(
        || call.arn(&format!("instance-profile/{name}")),
        |profile| profile.arn.clone(),
    );
    let check = Check {
        action,
        resource,
        context,
    };
    call.authorize(state, &[check])?;
    found.ok_or_else(|| missing(format!("Instance Profile {name} cannot be found.")))
}

fn named_role(state: &State, call: &Call<'_>) -> Result<std::sync::Arc<Role>, ApiError> {
    let name = call.role_name()?;
    state.latest_role(call.account, name).ok_or_else(|| no_role(name))
}

pub(super) fn add_role(state: &mut State, call: &Call<'_>) -> Answer {
    let mut profile = profile(state, call, "iam:AddRoleToInstanceProfile")?;
    let role = named_role(state, call)?;
    let pass = Check {
        action: "iam:PassRole",
        resource: role.arn.clone(),
        context: BTreeMap::new(),
    };
    call.authorize(state, &[pass])?;
    if holds(state, &profile) {
        return Err(limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"));
    }
    profile.role = Some(role.id.clone());
    Ok(save(state, call, profile))
}

pub(super) fn remove_role(state: &mut State, call: &Call<'_>) -> Answer {
    let mut profile = profile(state, call, "iam:RemoveRoleFromInstanceProfile")?;
    let role = named_role(state, call)?;
    if profile.role.as_ref() != Some(&role.id) {
        return Err(missing(format!(
            "Role {} is not in Instance Profile {}.",
            role.name, profile.name
        )));
    }
    profile.role = None;
    Ok(save(state, call, profile))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let profile = profile(state, call, "iam:DeleteInstanceProfile")?;
    if holds(state, &profile) {
        return Err(conflict(IN_USE));
    }
    state.write_profile(call.account, &profile.name, None);
    Ok(nothing())
}

pub(super) fn list_for_role(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.read(state, "iam:ListInstanceProfilesForRole")?;
    let all = state.profiles(call.account);
    let of = all.iter().filter(|profile| profile.role.as_ref() == Some(&role.id));
    let shown = of.map(|profile| shown(state, profile)).collect();
    page(call, "InstanceProfiles", shown)
}

fn save(state: &mut State, call: &Call<'_>, profile: Profile) -> Value {
    let name = profile.name.clone();
    state.write_profile(call.account, &name, Some(profile));
    nothing()
}

/// Whether a role is in it that is still there.
fn holds(state: &State, profile: &Profile) -> bool {
    profile.role.as_ref().is_some_and(|id| state.role_by_id(id).is_some())
}

/// A profile as IAM shows it in a list: without its tags.
fn shown(state: &State, profile: &Profile) -> Value {
    let role = profile.role.as_ref().and_then(|id| state.role_by_id(id));
    let roles: Vec<Value> = role
        .iter()
        .map(|role| render::role_in_list(state, role).into())
        .collect();
    json!({
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": written(profile.created),
        "Roles": roles,
    })
}
