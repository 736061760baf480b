//! The labels and annotations of a cluster Secret that a manifest says. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Looked;
use crate::{argocd::ClusterSecret, commands::definition::may_be_named};

/// The labels and annotations that the spec says. What Mooring wrote, it takes away where the spec does not say it. Of what
/// people wrote labels are said, by which `ApplicationSet`s choose; their annotations stay on the Secret unsaid, since
/// anything may stand in one: some tools keep the whole Secret there.
pub(super) fn marks(looked: &Looked) -> [(&'static str, BTreeMap<String, String>); 2] {
    let secret = ClusterSecret::read(&looked.wired.secret);
    let metadata = &looked.wired.secret.metadata;
    let said = |field: &'static str, all: Option<&BTreeMap<String, String>>, says: &dyn Fn(&str) -> bool| {
        let mut all = all.cloned().unwrap_or_default();
        all.retain(|key, _| may_be_named(field, key) && says(key));
        (field, all)
    };
    let label = |key: &str| secret.our_labels().contains(key) || !key.starts_with("argocd.argoproj.io/");
    let annotation = |key: &str| secret.our_annotations().contains(key);
    [
        said("labels", metadata.labels.as_ref(), &label),
        said("annotations", metadata.annotations.as_ref(), &annotation),
    ]
}

/// The annotations that stay on the Secret and that its manifest does not say.
pub(super) fn unsaid_annotations(looked: &Looked, manifest: &Value) -> Vec<String> {
    let said = &manifest["spec"]["argocd"]["annotations"];
    let all = looked.wired.secret.metadata.annotations.iter().flatten();
    let unsaid = all.filter(|(key, _)| may_be_named("annotations", key) && said.get(key.as_str()).is_none());
    unsaid.map(|(key, _)| key.clone()).collect()
}
