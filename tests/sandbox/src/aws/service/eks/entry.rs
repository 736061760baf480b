//! An access entry, and what it makes of a caller.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::epoch;
use crate::aws::identity::Identity;

/// An access entry as the service keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) cluster: String,
    pub(super) principal: String,
    /// The unique ID of the principal when the entry was made. The API never shows it, and a principal made anew
    /// under the same ARN does not match it (API reference, `AccessEntry.principalArn`).
    pub(super) principal_id: String,
    pub(super) arn: String,
    pub(super) groups: Vec<String>,
    pub(super) username: String,
    pub(super) kind: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) associations: BTreeMap<String, AssociatedPolicy>,
    /// What the entry was created with, so that a repeated request can be told from a second one.
    pub(super) token: Option<(String, Value)>,
}

/// An access policy associated with an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct AssociatedPolicy {
    /// Its ARN.
    pub policy_arn: String,
    /// The namespaces that it is limited to, wildcards allowed; `None` is the whole cluster.
    pub namespaces: Option<Vec<String>>,
    /// When it was first associated.
    pub associated: Timestamp,
    /// When its scope last changed.
    pub modified: Timestamp,
}

/// What a cluster's authenticator makes of a caller with an access entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The ARN of the principal of the entry.
    pub principal_arn: String,
    /// The Kubernetes user, its `{{SessionName}}` filled in.
    pub username: String,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The access policies.
    pub policies: Vec<AssociatedPolicy>,
}

impl Entry {
    pub(super) fn describe(&self) -> Value {
        json!({
            "clusterName": self.cluster,
            "principalArn": self.principal,
            "kubernetesGroups": self.groups,
            "accessEntryArn": self.arn,
            "createdAt": epoch(self.created),
            "modifiedAt": epoch(self.modified),
            "tags": self.tags,
            "username": self.username,
            "type": self.kind,
        })
    }

    /// Whether the entry names the principal of an identity, be it the very one that the entry was made for or not.
    pub(super) fn names(&self, identity: &Identity) -> bool {
        Principal::parse(&self.principal).is_some_and(|principal| {
            let canonical = principal.canonical(&self.principal);
            canonical.eq_ignore_ascii_case(&identity.canonical_arn)
        })
    }

    /// What the entry gives to an identity, if it is its own: same unique ID, not only same name.
    pub(super) fn access(&self, identity: &Identity) -> Option<Access> {
        (identity.user_id == self.principal_id && self.names(identity)).then(|| Access {
            principal_arn: self.principal.clone(),
            username: identity.fill(&self.username),
            groups: self.groups.clone(),
            policies: self.associations.values().cloned().collect(),
        })
    }
}

impl AssociatedPolicy {
    pub(super) fn describe(&self) -> Value {
        let scope = match &self.namespaces {
            None => json!({"type": "cluster", "namespaces": []}),
            Some(namespaces) => json!({"type": "namespace", "namespaces": namespaces}),
        };
        json!({
            "policyArn": self.policy_arn,
            "accessScope": scope,
            "associatedAt": epoch(self.associated),
            "modifiedAt": epoch(self.modified),
        })
    }
}

/// The parts of a principal's ARN that an entry is named by.
pub(super) struct Principal<'a> {
    pub(super) account: &'a str,
    /// `role` or `user`.
    pub(super) kind: &'a str,
    /// Its name, without its path.
    pub(super) name: &'a str,
}

impl<'a> Principal<'a> {
    /// Reads `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
    pub(super) fn parse(arn: &'a str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", _, "iam", "", account, resource] = parts.as_slice() else {
            return None;
        };
        let (kind, path) = resource.split_once('/')?;
        let name = path.rsplit('/').next()?;
        (matches!(kind, "role" | "user") && !name.is_empty()).then_some(Self { account, kind, name })
    }

    /// Its ARN without its path, as an authenticator knows it.
    fn canonical(&self, arn: &str) -> String {
        let partition = arn.split(':').nth(1).unwrap_or_default();
        format!("arn:{partition}:iam::{}:{}/{}", self.account, self.kind, self.name)
    }

    /// The user name that EKS gives when none is asked for: the ARN that the principal has in STS.
    pub(super) fn username(&self, arn: &str, partition: &str) -> String {
        match self.kind {
            "role" => format!(
                "arn:{partition}:sts::{}:assumed-role/{}/{{{{SessionName}}}}",
                self.account, self.name
            ),
            _ => arn.to_owned(),
        }
    }
}
