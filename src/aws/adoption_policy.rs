//! What a provisioner role may do to roles that others made. Pure.

use std::collections::BTreeSet;

use super::{
    calls::{Guard, Target},
    grants::{allow, hub_tag},
};
use crate::{
    domain::{allow::Allowance, arn::PolicyArn, glob::Glob, hub::Hub, name::AccountId, ownership::ADOPT_TAG},
    policy::Statement,
};

/// Roles outside of our path that `allow` names: the account's owner opens one by a tag of his own, and without it
/// nothing there is changed.
pub(super) fn adoptions(
    hub: &Hub,
    account: &AccountId,
    covering: &[&Allowance],
    boundaries: &[PolicyArn],
) -> Vec<Statement> {
    let own = [Glob(account.to_string())];
    let named: BTreeSet<String> = covering
        .iter()
        .flat_map(|entry| &entry.deployer_roles)
        .flat_map(|pattern| pattern.in_accounts(&own))
        .collect();
    if named.is_empty() {
        return Vec::new();
    }
    let boundaries = match boundaries {
        [] => vec![PolicyArn::deny_all(hub.partition())],
        given => given.to_vec(),
    };
    let opened = format!("aws:ResourceTag/{ADOPT_TAG}");
    let on = |sid: &str, guard: Guard| allow(sid, Target::AdoptedRole, guard).on(&named);
    vec![
        on("AdoptRead", Guard::Resource),
        on("AdoptWrite", Guard::Boundary)
            .when("StringEquals", "iam:PermissionsBoundary", boundaries)
            .when("StringEquals", &opened, [&hub.cluster]),
        on("AdoptTag", Guard::OurTags)
            .when("StringEquals", &hub_tag("RequestTag"), [&hub.cluster])
            .when("StringEquals", &opened, [&hub.cluster]),
    ]
}
