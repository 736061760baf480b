//! Tags of roles: `TagRole`, `UntagRole`, `ListRoleTags`.

use super::call::{Call, page, request_tags, tagged};
use super::{render, roles};
use crate::aws::contract::Answer;
use crate::aws::world::State;

pub(super) fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let tags = call.input.tags();
    let mut role = call.write_with(state, "iam:TagRole", &request_tags(&tags))?;
    role.tags = tagged(role.tags, &tags)?;
    Ok(roles::save(state, role))
}

pub(super) fn untag(state: &mut State, call: &Call<'_>) -> Answer {
    let keys = call.input.texts("TagKeys");
    let mut role = call.write_with(state, "iam:UntagRole", &[("aws:TagKeys".to_owned(), keys.clone())])?;
    role.tags.unset(&keys);
    Ok(roles::save(state, role))
}

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    let role = call.read(state, "iam:ListRoleTags")?;
    page(call, "Tags", render::tags(&role.tags))
}
