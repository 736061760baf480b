//! Resources as IAM shows them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::aws::service::written;
use crate::aws::world::{ManagedPolicy, Role, State, Tags};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A policy document as IAM returns it: "URL-encoded compliant with RFC 3986".
pub(super) fn document(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

pub(super) fn tags(tags: &Tags) -> Vec<Value> {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

pub(super) fn role(state: &State, role: &Role) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("Path".into(), json!(role.path));
    shown.insert("RoleName".into(), json!(role.name));
    shown.insert("RoleId".into(), json!(role.id));
    shown.insert("Arn".into(), json!(role.arn));
    shown.insert("CreateDate".into(), json!(written(role.created)));
    shown.insert(
        "AssumeRolePolicyDocument".into(),
        json!(document(&state.render(&role.trust))),
    );
    shown.insert("MaxSessionDuration".into(), json!(role.max_session));
    if let Some(description) = &role.description {
        shown.insert("Description".into(), json!(description));
    }
    if let Some(arn) = &role.boundary {
        let boundary = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
        shown.insert("PermissionsBoundary".into(), boundary);
    }
    if role.tags.len() > 0 {
        shown.insert("Tags".into(), json!(tags(&role.tags)));
    }
    shown
}

/// A role as lists of other things show it: with what identifies it and its trust policy alone.
pub(super) fn role_in_list(state: &State, role: &Role) -> Map<String, Value> {
    let mut shown = self::role(state, role);
    for more in ["MaxSessionDuration", "Description", "PermissionsBoundary", "Tags"] {
        shown.remove(more);
    }
    shown
}

pub(super) fn policy(state: &State, account: &str, policy: &ManagedPolicy) -> Map<String, Value> {
    let (attached, boundary) = state.uses(account, &policy.arn);
    let mut shown = Map::new();
    shown.insert("PolicyName".into(), json!(policy.name));
    shown.insert("PolicyId".into(), json!(policy.id));
    shown.insert("Arn".into(), json!(policy.arn));
    shown.insert("Path".into(), json!(policy.path));
    shown.insert("DefaultVersionId".into(), json!(format!("v{}", policy.default)));
    shown.insert("AttachmentCount".into(), json!(attached));
    shown.insert("PermissionsBoundaryUsageCount".into(), json!(boundary));
    shown.insert("IsAttachable".into(), json!(true));
    shown.insert("CreateDate".into(), json!(written(policy.created)));
    shown.insert("UpdateDate".into(), json!(written(policy.updated)));
    if let Some(description) = &policy.description {
        shown.insert("Description".into(), json!(description));
    }
    if policy.tags.len() > 0 {
        shown.insert("Tags".into(), json!(tags(&policy.tags)));
    }
    shown
}
