//! The commands of the AWS CLI that more than one message prints for people to run.

use std::fmt::Display;

use super::ownership::{ADOPT_TAG, ADOPTED_TAG, HOLD_TAG, HUB_TAG, OBJECT_TAG, UID_TAG};

/// Deletes the access entry of a principal.
#[must_use]
pub fn delete_access_entry(region: impl Display, cluster: impl Display, principal: impl Display) -> String {
    format!("aws eks delete-access-entry --region {region} --cluster-name {cluster} --principal-arn {principal}")
}

/// Opens a role to a hub, for its owner.
#[must_use]
pub fn open_role(name: impl Display, hub: impl Display) -> String {
    format!("aws iam tag-role --role-name {name} --tags Key={ADOPT_TAG},Value={hub}")
}

/// Opens an access entry, by its ARN, to a hub, for its owner.
#[must_use]
pub fn open_access_entry(region: impl Display, arn: impl Display, hub: impl Display) -> String {
    format!("aws eks tag-resource --region {region} --resource-arn {arn} --tags {ADOPT_TAG}={hub}")
}

/// Takes off a role what Mooring leaves on it with the role: its boundary, and our tags.
#[must_use]
pub fn free_role(name: impl Display) -> String {
    let tags = [HUB_TAG, UID_TAG, OBJECT_TAG, ADOPTED_TAG, ADOPT_TAG].join(" ");
    format!(
        "aws iam delete-role-permissions-boundary --role-name {name} && aws iam untag-role --role-name {name} --tag-keys {tags}"
    )
}

/// Takes the tag that holds it off an access entry, by its ARN.
#[must_use]
pub fn let_go_of_access_entry(region: impl Display, arn: impl Display) -> String {
    format!("aws eks untag-resource --region {region} --resource-arn {arn} --tag-keys {HOLD_TAG}")
}
