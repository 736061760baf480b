//! Permissions boundaries: `PutRolePermissionsBoundary`, `DeleteRolePermissionsBoundary`.

use super::call::{BOUNDARY, Call, missing};
use super::roles;
use crate::aws::contract::{Answer, ApiError};
use crate::aws::world::State;

/// Refuses a boundary that is not a managed policy of AWS or of the account.
pub(super) fn exists(state: &State, call: &Call<'_>, arn: &str) -> Result<(), ApiError> {
    let found = state.latest_policy(call.account, arn);
    found
        .map(drop)
        .ok_or_else(|| missing(format!("Scope ARN: {arn} does not exist or is not attachable.")))
}

pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.input.needed("PermissionsBoundary")?;
    let requested = [(BOUNDARY.to_owned(), vec![arn.to_owned()])];
    let mut role = call.write_with(state, "iam:PutRolePermissionsBoundary", &requested)?;
    exists(state, call, arn)?;
    role.boundary = Some(arn.to_owned());
    Ok(roles::save(state, role))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let mut role = call.write(state, "iam:DeleteRolePermissionsBoundary")?;
    if role.boundary.take().is_none() {
        return Err(missing(format!("No permission boundary for role {}.", role.name)));
    }
    Ok(roles::save(state, role))
}
