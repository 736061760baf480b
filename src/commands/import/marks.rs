//! The labels and annotations of a cluster Secret that a manifest says. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Looked;
use crate::argocd::ClusterSecret;

/// Labels and annotations that a `ManagedCluster` may not name (the rules of its definition).
const NOT_NAMED: [&str; 10] = [
    "app.kubernetes.io/instance",
    "argocd.argoproj.io/hydrate",
    "argocd.argoproj.io/installation-id",
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/kubernetes-version",
    "argocd.argoproj.io/refresh",
    "argocd.argoproj.io/secret-type",
    "argocd.argoproj.io/tracking-id",
    "kubectl.kubernetes.io/last-applied-configuration",
    "managed-by",
];

/// Whether a spec may name a label or an annotation.
fn may_be_named(key: &str) -> bool {
    !key.starts_with("mooring.dev/") && !NOT_NAMED.contains(&key)
}

/// The labels and annotations that the spec says. What Mooring wrote, it takes away where the spec does not say it. Of what
/// people wrote labels are said, by which `ApplicationSet`s choose; their annotations stay on the Secret unsaid, since
/// anything may stand in one: some tools keep the whole Secret there.
pub(super) fn marks(looked: &Looked) -> [(&'static str, BTreeMap<String, String>); 2] {
    let secret = ClusterSecret::read(&looked.wired.secret);
    let metadata = &looked.wired.secret.metadata;
    let said = |all: Option<&BTreeMap<String, String>>, says: &dyn Fn(&str) -> bool| {
        let mut all = all.cloned().unwrap_or_default();
        all.retain(|key, _| may_be_named(key) && says(key));
        all
    };
    let label = |key: &str| secret.our_labels().contains(key) || !key.starts_with("argocd.argoproj.io/");
    let annotation = |key: &str| secret.our_annotations().contains(key);
    [
        ("labels", said(metadata.labels.as_ref(), &label)),
        ("annotations", said(metadata.annotations.as_ref(), &annotation)),
    ]
}

/// The annotations that stay on the Secret and that its manifest does not say.
pub(super) fn unsaid_annotations(looked: &Looked, manifest: &Value) -> Vec<String> {
    let said = &manifest["spec"]["argocd"]["annotations"];
    let all = looked.wired.secret.metadata.annotations.iter().flatten();
    let unsaid = all.filter(|(key, _)| may_be_named(key) && said.get(key.as_str()).is_none());
    unsaid.map(|(key, _)| key.clone()).collect()
}
