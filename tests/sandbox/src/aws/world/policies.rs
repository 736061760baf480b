//! Policies as they are kept: text as it was sent, parsed once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use super::Tags;
use crate::aws::authz::{Document, Malformed};

/// A document as text and parsed.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::aws) struct Stored {
    pub(in crate::aws) text: String,
    pub(in crate::aws) document: Document,
}

impl Stored {
    /// Parses an identity policy of an account in `partition`.
    pub(in crate::aws) fn parse(text: &str, partition: &str) -> Result<Self, Malformed> {
        let value: Value = serde_json::from_str(text).map_err(|_| Malformed::syntax())?;
        Ok(Self {
            text: text.to_owned(),
            document: Document::identity(&value, Some(partition))?,
        })
    }
}

/// The size of a document for a quota: "IAM does not count white space" (IAM user guide, `reference_iam-quotas`).
pub(in crate::aws) fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// One version of a managed policy.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Version {
    pub(in crate::aws) created: Timestamp,
    pub(in crate::aws) policy: Stored,
}

/// A managed policy.
#[derive(Clone, Debug)]
pub(in crate::aws) struct ManagedPolicy {
    pub(in crate::aws) name: String,
    pub(in crate::aws) id: String,
    pub(in crate::aws) arn: String,
    pub(in crate::aws) path: String,
    pub(in crate::aws) description: Option<String>,
    pub(in crate::aws) tags: Tags,
    pub(in crate::aws) created: Timestamp,
    pub(in crate::aws) updated: Timestamp,
    /// By number: `v3` is 3. Numbers are not used again.
    pub(in crate::aws) versions: BTreeMap<u32, Version>,
    pub(in crate::aws) default: u32,
    pub(in crate::aws) next: u32,
}

impl ManagedPolicy {
    /// The document of the default version, the one in force.
    pub(in crate::aws) fn document(&self) -> Document {
        self.versions
            .get(&self.default)
            .map(|version| version.policy.document.clone())
            .unwrap_or_default()
    }

    /// A policy of AWS's own: `AdministratorAccess`, `AWSDenyAll`, and `ReadOnlyAccess` as far as it concerns the
    /// services that there are here.
    pub(in crate::aws) fn of_aws(partition: &'static str, arn: &str) -> Option<Arc<Self>> {
        static KNOWN: LazyLock<Mutex<HashMap<String, Arc<ManagedPolicy>>>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = known.get(arn).filter(|_| arn.split(':').nth(1) == Some(partition)) {
            return Some(Arc::clone(policy));
        }
        let name = arn.strip_prefix(&format!("arn:{partition}:iam::aws:policy/"))?;
        let (_, id, text) = AWS.iter().find(|(known, _, _)| *known == name)?;
        let created = Timestamp::UNIX_EPOCH;
        let policy = Stored::parse(text, partition).ok()?;
        let policy = Arc::new(Self {
            name: name.to_owned(),
            id: (*id).to_owned(),
            arn: arn.to_owned(),
            path: "/".to_owned(),
            description: None,
            tags: Tags::default(),
            created,
            updated: created,
            versions: BTreeMap::from([(1, Version { created, policy })]),
            default: 1,
            next: 2,
        });
        known.insert(arn.to_owned(), Arc::clone(&policy));
        Some(policy)
    }
}

const AWS: &[(&str, &str, &str)] = &[
    (
        "AdministratorAccess",
        "ANPAIWMBCKSKIEE64ZLYK",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "AWSDenyAll",
        "ANPAZKAPJZG4P43IZQVYN",
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"DenyAll","Effect":"Deny","Action":["*"],"Resource":"*"}]}"#,
    ),
    (
        "ReadOnlyAccess",
        "ANPAILL3HVNFSB6DCOWYQ",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["eks:Describe*","eks:List*","iam:Generate*","iam:Get*","iam:List*","iam:Simulate*","sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken"],"Resource":"*"}]}"#,
    ),
];
