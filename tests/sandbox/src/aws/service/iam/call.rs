//! What the operations of IAM have in common: authorization, quotas, paging.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::aws::authz::Malformed;
use crate::aws::contract::{ApiError, Caller, Check, Request};
use crate::aws::service::input::Input;
use crate::aws::service::no_role;
use crate::aws::world::{Role, State, Tags};

/// Tags that one resource may have.
const MOST_TAGS: usize = 50;

/// One call.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) caller: &'a Caller,
    pub(super) account: &'a str,
    pub(super) partition: &'static str,
    pub(super) input: Input<'a>,
}

impl Call<'_> {
    /// An ARN in the caller's account: `role/path/name`.
    pub(super) fn arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.account)
    }

    pub(super) fn role_name(&self) -> Result<&str, ApiError> {
        self.input.needed("RoleName")
    }

    /// Authorizes checks.
    pub(super) fn authorize(&self, state: &mut State, checks: &[Check]) -> Result<(), ApiError> {
        state.authorize(self.caller, checks, self.request)
    }

    /// The role that a read is about, as reads see it, when the caller may do `action` on it.
    pub(super) fn read(&self, state: &mut State, action: &'static str) -> Result<Arc<Role>, ApiError> {
        let role = state.role(self.account, self.role_name()?);
        self.role(state, action, role, &[])
    }

    /// The role that a write is about, as it was last written, when the caller may do `action` on it.
    pub(super) fn write(&self, state: &mut State, action: &'static str) -> Result<Role, ApiError> {
        self.write_with(state, action, &[])
    }

    /// As `write`, with further condition keys.
    pub(super) fn write_with(
        &self,
        state: &mut State,
        action: &'static str,
        keys: &[(String, Vec<String>)],
    ) -> Result<Role, ApiError> {
        let role = state.latest_role(self.account, self.role_name()?);
        self.role(state, action, role, keys).map(Arc::unwrap_or_clone)
    }

    fn role(
        &self,
        state: &mut State,
        action: &'static str,
        role: Option<Arc<Role>>,
        keys: &[(String, Vec<String>)],
    ) -> Result<Arc<Role>, ApiError> {
        let name = self.role_name()?;
        let mut context: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Some(role) = &role {
            resource_tags(&mut context, &role.tags);
            if BOUNDED.contains(&action) {
                context.extend(role.boundary.clone().map(|arn| (BOUNDARY.to_owned(), vec![arn])));
            }
        }
        context.extend(keys.iter().cloned());
        let resource = role
            .as_ref()
            .map_or_else(|| self.arn(&format!("role/{name}")), |role| role.arn.clone());
        let check = Check {
            action,
            resource,
            context,
        };
        let Some(role) = role else {
            state.authorize_missing_role(self.caller, &check, self.request)?;
            return Err(no_role(name));
        };
        self.authorize(state, &[check])?;
        Ok(role)
    }
}

/// The condition key that holds the ARN of a permissions boundary.
pub(super) const BOUNDARY: &str = "iam:PermissionsBoundary";

/// The actions on an existing role that have `iam:PermissionsBoundary`: the boundary that the role has. For
/// `CreateRole` and `PutRolePermissionsBoundary` it is the boundary that is asked for.
const BOUNDED: &[&str] = &[
    "iam:AttachRolePolicy",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:GetRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
];

/// `aws:ResourceTag/*`, and `iam:ResourceTag/*` which says the same.
pub(super) fn resource_tags(context: &mut BTreeMap<String, Vec<String>>, tags: &Tags) {
    for (key, value) in tags.iter() {
        context.insert(format!("aws:ResourceTag/{key}"), vec![value.to_owned()]);
        context.insert(format!("iam:ResourceTag/{key}"), vec![value.to_owned()]);
    }
}

/// `aws:RequestTag/*` and `aws:TagKeys`.
pub(super) fn request_tags(tags: &[(String, String)]) -> Vec<(String, Vec<String>)> {
    let each = tags
        .iter()
        .map(|(key, value)| (format!("aws:RequestTag/{key}"), vec![value.clone()]));
    let keys = tags.iter().map(|(key, _)| key.clone()).collect();
    each.chain([("aws:TagKeys".to_owned(), keys)]).collect()
}

/// Refuses tags that IAM refuses, and more than a resource may have.
pub(super) fn tagged(mut tags: Tags, new: &[(String, String)]) -> Result<Tags, ApiError> {
    for (index, (key, _)) in new.iter().enumerate() {
        if new[..index]
            .iter()
            .any(|(other, _)| other.to_lowercase() == key.to_lowercase())
        {
            return Err(invalid(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for system use"));
        }
    }
    tags.set(new);
    if tags.len() > MOST_TAGS {
        return Err(limit("The number of tags has reached the maximum limit."));
    }
    Ok(tags)
}

/// One page of a list by `Marker` and `MaxItems` (100 when left out), with `IsTruncated`.
pub(super) fn page(call: &Call<'_>, name: &str, items: Vec<Value>) -> Result<Value, ApiError> {
    let from = match call.input.text("Marker") {
        None => 0,
        Some(marker) => {
            place(marker).ok_or_else(|| ApiError::new(400, "ValidationError", format!("Invalid Marker: {marker}")))?
        }
    };
    let most = call
        .input
        .integer("MaxItems")
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(100);
    let rest = items.len().saturating_sub(from);
    let mut output = Map::new();
    let truncated = rest > most;
    output.insert(name.to_owned(), items.into_iter().skip(from).take(most).collect());
    output.insert("IsTruncated".to_owned(), json!(truncated));
    if truncated {
        output.insert("Marker".to_owned(), json!(format!("AAIA{:08x}", from + most)));
    }
    Ok(Value::Object(output))
}

fn place(marker: &str) -> Option<usize> {
    usize::from_str_radix(marker.strip_prefix("AAIA")?, 16).ok()
}

pub(super) fn malformed(why: Malformed) -> ApiError {
    ApiError::new(400, "MalformedPolicyDocument", why.0)
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidInput", message)
}

pub(super) fn limit(message: impl Into<String>) -> ApiError {
    ApiError::new(409, "LimitExceeded", message)
}

pub(super) fn missing(message: impl Into<String>) -> ApiError {
    ApiError::new(404, "NoSuchEntity", message)
}

pub(super) fn exists(message: impl Into<String>) -> ApiError {
    ApiError::new(409, "EntityAlreadyExists", message)
}

pub(super) fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::new(409, "DeleteConflict", message)
}
