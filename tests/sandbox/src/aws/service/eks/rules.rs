//! What an entry may hold, beyond the shape of the input.

use std::collections::BTreeMap;

use super::errors::{invalid_parameter, invalid_request};
use super::input::Input;
use crate::aws::contract::ApiError;

/// The types of access entries (API reference, `CreateAccessEntry.type`).
const TYPES: &[&str] = &[
    "STANDARD",
    "EC2_LINUX",
    "EC2_WINDOWS",
    "FARGATE_LINUX",
    "EC2",
    "HYBRID_LINUX",
    "HYPERPOD_LINUX",
];
/// What a user name may not begin with (EKS user guide, "Create access entries").
const RESERVED: &[&str] = &["system:", "eks:", "aws:", "amazon:", "iam:"];

/// The type of a new entry.
pub(super) fn kind(cluster: &str, given: Option<&str>) -> Result<String, ApiError> {
    let kind = given.unwrap_or("STANDARD");
    if TYPES.contains(&kind) {
        return Ok(kind.to_owned());
    }
    let message = format!(
        "The specified type {kind} is invalid, it must be one of [{}].",
        TYPES.join(", ")
    );
    Err(invalid_parameter(cluster, message))
}

/// Refuses groups and a user name on entries of nodes, whose user and groups EKS gives.
pub(super) fn of_standard_only(cluster: &str, kind: &str, input: Input<'_>) -> Result<(), ApiError> {
    let given = ["kubernetesGroups", "username"]
        .into_iter()
        .find(|name| input.0.contains_key(*name));
    match given {
        Some(name) if kind != "STANDARD" => Err(invalid_parameter(
            cluster,
            format!("{name} cannot be specified for an access entry of type {kind}."),
        )),
        _ => Ok(()),
    }
}

/// Kubernetes groups.
pub(super) fn groups(cluster: &str, groups: &[String]) -> Result<(), ApiError> {
    match groups.iter().find(|group| group.starts_with("system:")) {
        Some(group) => {
            let message = format!("The kubernetes group name {group} is invalid, it cannot start with system:");
            Err(invalid_parameter(cluster, message))
        }
        None if groups.iter().any(String::is_empty) => Err(invalid_parameter(
            cluster,
            "The kubernetes group name is invalid, it cannot be empty",
        )),
        None => Ok(()),
    }
}

/// A user name: no reserved beginning, and a colon before the name of the session, so that nobody who chooses the name
/// of a session chooses the whole user.
pub(super) fn username(cluster: &str, username: &str) -> Result<(), ApiError> {
    if let Some(prefix) = RESERVED.iter().find(|prefix| username.starts_with(**prefix)) {
        let message = format!("The username {username} is invalid, it cannot start with {prefix}");
        return Err(invalid_parameter(cluster, message));
    }
    let session = username.find("{{SessionName");
    if session.is_some_and(|index| !username[..index].contains(':')) {
        let message = format!("The username {username} is invalid, {{{{SessionName}}}} must be preceded by a colon");
        return Err(invalid_parameter(cluster, message));
    }
    Ok(())
}

/// Tags: `aws:` is AWS's own.
pub(super) fn tags(cluster: &str, tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    match tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        Some(key) => {
            let message = format!("The tag key {key} is invalid, the prefix aws: is reserved for AWS use");
            Err(invalid_parameter(cluster, message))
        }
        None => Ok(()),
    }
}

/// The scope of an association: `None` for the whole cluster, else the namespaces.
pub(super) fn scope(cluster: &str, scope: Input<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let namespaces = scope.texts("namespaces").unwrap_or_default();
    match scope.optional("type") {
        Some("cluster") if namespaces.is_empty() => Ok(None),
        Some("cluster") => Err(invalid_parameter(
            cluster,
            "namespaces cannot be specified when the access scope type is cluster.",
        )),
        Some("namespace") if !namespaces.is_empty() => Ok(Some(namespaces)),
        Some("namespace") => Err(invalid_parameter(
            cluster,
            "namespaces must be specified when the access scope type is namespace.",
        )),
        _ => Err(invalid_parameter(
            cluster,
            "The access scope type must be one of [cluster, namespace].",
        )),
    }
}

/// Access policies go with entries for people and programs, not with those for nodes.
pub(super) fn takes_policies(cluster: &str, kind: &str) -> Result<(), ApiError> {
    if kind == "STANDARD" {
        return Ok(());
    }
    let message = "This operation can only be performed on Access Entries with a type of \"STANDARD\"";
    Err(invalid_request(cluster, message))
}
