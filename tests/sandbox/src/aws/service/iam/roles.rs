//! Roles: `CreateRole`, `GetRole`, `UpdateRole`, `UpdateAssumeRolePolicy`, `DeleteRole`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::boundaries;
use super::call::{BOUNDARY, Call, conflict, exists, limit, malformed, request_tags, tagged};
use super::{nothing, profiles, render};
use crate::aws::contract::{Answer, ApiError, Check};
use crate::aws::service::written;
use crate::aws::world::{Role, State, Tags, Trust, size};

/// Characters of a trust policy, white space aside (quota L-C07B4B0D; 8,192 on request).
const TRUST_SIZE: usize = 2_048;

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.role_name()?;
    let path = call.input.text("Path").unwrap_or("/");
    let arn = call.arn(&format!("role{path}{name}"));
    let new = call.input.tags();
    let boundary = call.input.text("PermissionsBoundary");
    authorize_create(state, call, &arn, boundary, &new)?;

    let tags = tagged(Tags::default(), &new)?;
    let trust = trust(state, call, "AssumeRolePolicyDocument")?;
    if let Some(boundary) = boundary {
        boundaries::exists(state, call, boundary)?;
    }
    if state.latest_role(call.account, name).is_some() {
        return Err(exists(format!("Role with name {name} already exists.")));
    }
    let roles = state.account(call.account).map_or(0, |account| {
        account.roles.values().filter(|role| role.latest().is_some()).count()
    });
    if roles >= state.settings.roles_per_account {
        let most = state.settings.roles_per_account;
        return Err(limit(format!("Cannot exceed quota for RolesPerAccount: {most}")));
    }
    let role = Role {
        account: call.account.to_owned(),
        name: name.to_owned(),
        path: path.to_owned(),
        id: state.new_id("AROA"),
        arn,
        created: state.timestamp(),
        description: call.input.text("Description").map(str::to_owned),
        max_session: call.input.integer("MaxSessionDuration").unwrap_or(3_600),
        trust,
        boundary: boundary.map(str::to_owned),
        tags,
        inline: BTreeMap::new(),
        attached: BTreeMap::new(),
    };
    let shown = render::role(state, &role);
    state.write_role(call.account, name, Some(role));
    Ok(json!({"Role": shown}))
}

fn authorize_create(
    state: &mut State,
    call: &Call<'_>,
    arn: &str,
    boundary: Option<&str>,
    tags: &[(String, String)],
) -> Result<(), ApiError> {
    let requested: BTreeMap<String, Vec<String>> = request_tags(tags).into_iter().collect();
    let mut context = requested.clone();
    context.extend(boundary.map(|boundary| (BOUNDARY.to_owned(), vec![boundary.to_owned()])));
    let mut checks = vec![Check {
        action: "iam:CreateRole",
        resource: arn.to_owned(),
        context,
    }];
    if !tags.is_empty() {
        checks.push(Check {
            action: "iam:TagRole",
            resource: arn.to_owned(),
            context: requested,
        });
    }
    call.authorize(state, &checks)
}

/// The trust policy in an input: not too long, well formed, its principals known.
fn trust(state: &State, call: &Call<'_>, member: &str) -> Result<Trust, ApiError> {
    let text = call.input.needed(member)?;
    if size(text) > TRUST_SIZE {
        return Err(limit(format!("Cannot exceed quota for ACLSizePerRole: {TRUST_SIZE}")));
    }
    state.trust(text, call.partition).map_err(malformed)
}

pub(super) fn get(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.read(state, "iam:GetRole")?;
    let mut shown = render::role(state, &role);
    let used = state.last_used(&role.id).map_or_else(
        || json!({}),
        |(time, region)| json!({"LastUsedDate": written(*time), "Region": region}),
    );
    shown.insert("RoleLastUsed".into(), used);
    Ok(json!({"Role": shown}))
}

/// What is left out keeps its value.
pub(super) fn update(state: &mut State, call: &Call<'_>) -> Answer {
    let mut role = call.write(state, "iam:UpdateRole")?;
    if let Some(description) = call.input.text("Description") {
        role.description = Some(description.to_owned()).filter(|text| !text.is_empty());
    }
    if let Some(seconds) = call.input.integer("MaxSessionDuration") {
        role.max_session = seconds;
    }
    save(state, role);
    // Of all writes to a role this one has an output in AWS's model: an empty one.
    Ok(json!({}))
}

pub(super) fn update_trust(state: &mut State, call: &Call<'_>) -> Answer {
    let mut role = call.write(state, "iam:UpdateAssumeRolePolicy")?;
    role.trust = trust(state, call, "PolicyDocument")?;
    Ok(save(state, role))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.write(state, "iam:DeleteRole")?;
    if !role.attached.is_empty() {
        return Err(conflict("Cannot delete entity, must detach all policies first."));
    }
    if !role.inline.is_empty() {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    if state.is_in_profile(call.account, &role.id) {
        return Err(conflict(profiles::IN_USE));
    }
    state.write_role(call.account, &role.name, None);
    Ok(nothing())
}

/// Writes a changed role.
pub(super) fn save(state: &mut State, role: Role) -> Value {
    let (account, name) = (role.account.clone(), role.name.clone());
    state.write_role(&account, &name, Some(role));
    nothing()
}
