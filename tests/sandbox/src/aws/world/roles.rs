//! Roles.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Stored, Tags};
use crate::aws::authz::Document;

/// A trust policy, with the unique IDs of roles where their ARNs were written.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::aws) struct Trust {
    pub(in crate::aws) value: Value,
    pub(in crate::aws) document: Document,
}

/// A role. Every write makes a new one.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Role {
    pub(in crate::aws) account: String,
    pub(in crate::aws) name: String,
    pub(in crate::aws) path: String,
    pub(in crate::aws) id: String,
    pub(in crate::aws) arn: String,
    pub(in crate::aws) created: Timestamp,
    pub(in crate::aws) description: Option<String>,
    /// Seconds that a session may last at most.
    pub(in crate::aws) max_session: i64,
    pub(in crate::aws) trust: Trust,
    /// The ARN of the permissions boundary.
    pub(in crate::aws) boundary: Option<String>,
    pub(in crate::aws) tags: Tags,
    /// Inline policies by name.
    pub(in crate::aws) inline: BTreeMap<String, Stored>,
    /// Attached managed policies: ARN to name.
    pub(in crate::aws) attached: BTreeMap<String, String>,
}
