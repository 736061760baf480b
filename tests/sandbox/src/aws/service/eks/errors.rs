//! EKS's errors. Messages marked "our words" stand for ones whose wording by AWS was not found.

use serde_json::{Map, Value};

use crate::aws::contract::ApiError;

fn about(cluster: &str, status: u16, code: &'static str, message: impl Into<String>) -> ApiError {
    let fields = Map::from_iter([("clusterName".to_owned(), Value::from(cluster))]);
    ApiError {
        fields,
        ..ApiError::new(status, code, message)
    }
}

pub(super) fn no_cluster(name: &str) -> ApiError {
    about(
        name,
        404,
        "ResourceNotFoundException",
        format!("No cluster found for name: {name}."),
    )
}

pub(super) fn no_entry(cluster: &str) -> ApiError {
    let message = "The specified principalArn could not be found. You can view your available access entries with \
                   'list-access-entries'.";
    about(cluster, 404, "ResourceNotFoundException", message)
}

/// Our words.
pub(super) fn not_associated(cluster: &str, policy: &str) -> ApiError {
    let message = format!("The specified policyArn {policy} is not associated with the access entry.");
    about(cluster, 404, "ResourceNotFoundException", message)
}

pub(super) fn in_use(cluster: &str) -> ApiError {
    let message = "The specified access entry resource is already in use on this cluster.";
    about(cluster, 409, "ResourceInUseException", message)
}

/// Our words; the quota is L-C56B9FC3.
pub(super) fn too_many_entries(cluster: &str, most: usize) -> ApiError {
    let message = format!("The cluster {cluster} has reached the quota of {most} access entries.");
    about(cluster, 400, "ResourceLimitExceededException", message)
}

pub(super) fn invalid_principal(cluster: &str) -> ApiError {
    invalid_parameter(cluster, "The specified principalArn is invalid: invalid principal.")
}

pub(super) fn invalid_parameter(cluster: &str, message: impl Into<String>) -> ApiError {
    about(cluster, 400, "InvalidParameterException", message)
}

pub(super) fn invalid_request(cluster: &str, message: impl Into<String>) -> ApiError {
    about(cluster, 400, "InvalidRequestException", message)
}

/// Our words.
pub(super) fn no_resource(arn: &str) -> ApiError {
    ApiError::new(404, "NotFoundException", format!("No resource found for ARN: {arn}."))
}

/// Our words.
pub(super) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "BadRequestException", message)
}
