//! What is on the hub and cannot be read, with the whole of what is stored.

use kube::{Client, Resource};
use serde_json::Value;

use crate::{kubernetes::objects, run::Error};

/// What is on the hub and cannot be read.
pub(super) struct Unread {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) why: String,
    /// The whole of it.
    pub(super) stored: Value,
}

impl Unread {
    /// A `ManagementRole` that cannot be read.
    #[cfg(test)]
    pub(super) fn of(name: &str, why: &str, stored: Value) -> Self {
        Self {
            kind: "ManagementRole",
            name: name.to_owned(),
            why: why.to_owned(),
            stored,
        }
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
        Ok(stored.map(|stored| Self {
            kind,
            name,
            why,
            stored: serde_json::to_value(&stored).unwrap_or_default(),
        }))
    }
}
