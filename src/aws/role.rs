//! IAM's things as plain values.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    domain::{
        arn::{PolicyArn, RoleArn},
        ownership::Tags,
    },
    policy::Document,
};

/// How long a session of a role of ours may last at most, in seconds: what IAM gives a role for which nothing is asked (IAM
/// `CreateRole`, `MaxSessionDuration`).
pub const LONGEST_SESSION: i32 = 3_600;

/// A role, as `GetRole` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Role {
    /// The ARN in the exact case that AWS keeps. Right after creation AWS may briefly give the unique ID instead
    /// (Terraform AWS provider, `iam/role.go`, `waitRoleARNIsNotUniqueID`).
    pub arn: String,
    /// The unique ID, `AROA...`, which AWS never gives twice.
    pub id: String,
    /// When it was made, in seconds since 1970 by AWS's clock.
    pub created: Option<i64>,
    /// The name, in the exact case that AWS keeps.
    pub name: String,
    /// The trust policy as text, percent-decoded. What does not parse is drift.
    pub trust: String,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// The description, where there is one.
    pub description: Option<String>,
    /// How long its sessions may last at most, in seconds; `None` where IAM does not say.
    pub longest_session: Option<i32>,
    /// The tags.
    pub tags: Tags,
}

impl Role {
    /// Whether it has this permissions boundary.
    #[must_use]
    pub fn has_boundary(&self, boundary: &PolicyArn) -> bool {
        self.boundary.as_deref() == Some(boundary.to_string().as_str())
    }

    /// The cluster that a deployer role was made for, by name and region, as its description tells; `None` where it does not.
    #[must_use]
    pub fn cluster(&self) -> Option<(&str, &str)> {
        let description = self.description.as_deref()?.strip_prefix("Argo CD on ")?;
        let cluster = description.split_once(" deploys to ")?.1;
        cluster.split_once(" with this role")?.0.split_once(" in ")
    }

    /// What `UpdateRole` would set back to have it as `wanted`, by name.
    #[must_use]
    pub fn unlike(&self, wanted: &WantedRole) -> BTreeSet<String> {
        let described = self.description.as_deref().unwrap_or_default() == wanted.description;
        let lasts = self.longest_session.unwrap_or(LONGEST_SESSION) == LONGEST_SESSION;
        [(described, "description"), (lasts, "longest session")]
            .into_iter()
            .filter(|(same, _)| !same)
            .map(|(_, what)| what.to_owned())
            .collect()
    }
}

/// A role that we want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WantedRole {
    /// The ARN, which says path and name.
    pub arn: RoleArn,
    /// The trust policy.
    pub trust: Document,
    /// The permissions boundary.
    pub boundary: PolicyArn,
    /// The tags that mark it as ours, and the user's.
    pub tags: Tags,
    /// For people; at most 1,000 characters (IAM `CreateRole`, `Description`).
    pub description: String,
}

/// The policies that a role carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RolePolicies {
    /// Names of the inline policies.
    pub inline: BTreeSet<String>,
    /// ARNs of the attached managed policies.
    pub attached: BTreeSet<String>,
}

impl RolePolicies {
    /// Whether the role carries no policy at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inline.is_empty() && self.attached.is_empty()
    }
}

/// An IAM OIDC provider, as far as we care: thumbprints are IAM's affair (IAM user guide, "Obtain the thumbprint").
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OidcProvider {
    /// The audiences that it accepts.
    pub client_ids: BTreeSet<String>,
}
