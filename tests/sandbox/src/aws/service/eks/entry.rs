//! An access entry, and what it makes of a caller.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::epoch;
use crate::aws::contract::Caller;

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

    /// What the entry gives to a caller, if it is the caller's: same unique ID, not same ARN.
    pub(super) fn access(&self, caller: &Caller) -> Option<Access> {
        let (id, session) = caller.user_id.split_once(':').unwrap_or((&caller.user_id, ""));
        (id == self.principal_id).then(|| Access {
            principal_arn: self.principal.clone(),
            username: self
                .username
                .replace("{{AccountID}}", &caller.account)
                .replace("{{SessionNameRaw}}", session)
                .replace("{{SessionName}}", &session.replace('@', "-")),
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
