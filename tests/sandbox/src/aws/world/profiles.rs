//! Instance profiles of an account.

use jiff::Timestamp;

use super::Tags;

/// One instance profile: what an instance is started with to act as a role.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Profile {
    pub(in crate::aws) name: String,
    pub(in crate::aws) path: String,
    pub(in crate::aws) id: String,
    pub(in crate::aws) arn: String,
    pub(in crate::aws) created: Timestamp,
    pub(in crate::aws) tags: Tags,
    /// The unique ID of the one role that it may hold.
    pub(in crate::aws) role: Option<String>,
}
