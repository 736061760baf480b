//! What is on the hub and cannot be read, with the whole of what is stored.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, Resource};
use serde_json::Value;

use crate::{api::RemovalStatus, kubernetes::objects, managed_cluster::management::unparsable, run::Error};

/// What is on the hub and cannot be read.
pub(super) struct Unread {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) why: String,
    /// The whole of it.
    pub(super) stored: Value,
    /// Its metadata.
    pub(super) metadata: ObjectMeta,
    /// The removals that it records, where it is a `ManagementRole`.
    pub(super) removals: Vec<RemovalStatus>,
}

impl Unread {
    /// One of a kind, of which this is `stored`.
    fn new(kind: &'static str, name: String, why: String, stored: Value) -> Self {
        let removals = stored.pointer("/status/removals").cloned();
        Self {
            metadata: serde_json::from_value(stored["metadata"].clone()).unwrap_or_default(),
            removals: removals
                .and_then(|all| serde_json::from_value(all).ok())
                .unwrap_or_default(),
            kind,
            name,
            why,
            stored,
        }
    }

    /// One that cannot be read, as it is stored.
    #[cfg(test)]
    pub(super) fn stored(kind: &'static str, name: &str, why: &str, stored: Value) -> Self {
        Self::new(kind, name.to_owned(), why.to_owned(), stored)
    }

    /// The namespace of its Argo CD, where it is a `ManagementRole` that tells that.
    pub(super) fn namespace(&self) -> Option<String> {
        let role = unparsable::read(&self.stored).ok()?;
        Some(role.spec.argocd_namespace)
    }

    /// Asks for what is stored; `None` where it is gone.
    pub(super) async fn ask<K>(
        client: &Client,
        kind: &'static str,
        name: String,
        why: String,
    ) -> Result<Option<Self>, Error>
    where
        K: Resource<DynamicType: Default>,
    {
        let stored = objects::stored::<K>(client, &name).await?;
        Ok(stored.map(|stored| {
            let stored = serde_json::to_value(&stored).unwrap_or_default();
            Self::new(kind, name, why, stored)
        }))
    }
}
