//! What the services answer. Inputs come decoded and validated by the tables of operations (`operations/`): what is
//! checked here is what the shape of an input does not tell.

pub(in crate::aws) mod eks;
pub(in crate::aws) mod iam;
mod input;
pub(in crate::aws) mod sts;

use jiff::Timestamp;

use super::contract::ApiError;

pub(in crate::aws) use input::strings;

/// A time as IAM and STS write it: `2026-11-23T15:29:31Z`.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `NoSuchEntity` for a role, by its name or the last part of its ARN.
pub(in crate::aws) fn no_role(name: &str) -> ApiError {
    let name = name.rsplit('/').next().unwrap_or(name);
    ApiError::new(
        404,
        "NoSuchEntity",
        format!("The role with name {name} cannot be found."),
    )
}

/// What AWS says of an access key that it does not know in this partition.
fn unknown_token() -> ApiError {
    ApiError::new(
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    )
}
