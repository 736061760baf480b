//! What others wrote on a cluster Secret of ours. It stays: their tools may live on it. But by its labels, and by its
//! annotations where a generator filters or a template asks for them, ApplicationSets choose what they deploy to the
//! cluster, so it must not stay unseen.

use std::collections::BTreeSet;

use super::{
    cluster_secret::{SECRET_TYPE, WantedSecret},
    seen::ClusterSecret,
};

/// The label by which Argo CD is told to write what it knows of the cluster on the Secret, and the one that it then writes
/// (Argo CD 3.6.1, `common/common.go`).
const AUTO_LABEL: &str = "argocd.argoproj.io/auto-label-cluster-info";
const VERSION_LABEL: &str = "argocd.argoproj.io/kubernetes-version";

/// The annotations that Argo CD itself writes on cluster Secrets (`util/db/cluster.go`, `util/db/secrets.go`).
const OF_ARGO_CD: [&str; 2] = ["argocd.argoproj.io/refresh", "managed-by"];

/// What is told of a Secret that is immutable.
const IMMUTABLE: &str =
    "immutable: true (a later change of the cluster's endpoint or certificate authority cannot be written)";

/// How the keys of Mooring begin, of which a person sets some.
const OURS: &str = "mooring.dev/";

impl ClusterSecret {
    /// The labels and annotations that others wrote, in words: a label with its value, since generators go by that, an
    /// annotation by its name, since anything may be in it. And that somebody has made the Secret immutable.
    #[must_use]
    pub fn others_marks(&self, wanted: &WantedSecret) -> BTreeSet<String> {
        let asked = wanted.labels.get(AUTO_LABEL).is_some_and(|value| value == "true");
        let labels = self.labels.iter().filter(|(key, _)| {
            let argo_cds = *key == SECRET_TYPE.0 || (asked && *key == VERSION_LABEL);
            !argo_cds && !wanted.labels.contains_key(*key) && !self.our_labels.contains(*key)
        });
        let annotations = self.annotations.keys().filter(|key| {
            let known = OF_ARGO_CD.contains(&key.as_str()) || key.starts_with(OURS);
            !known && !wanted.annotations.contains_key(*key) && !self.our_annotations.contains(*key)
        });
        labels
            .map(|(key, value)| format!("label {key}={value}"))
            .chain(annotations.map(|key| format!("annotation {key}")))
            .chain(self.immutable.then(|| IMMUTABLE.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;
    use crate::argocd::cluster_secret::tests::{connection, presentation};

    #[test]
    fn what_others_wrote_is_told_and_what_argo_cd_or_we_wrote_is_not() {
        let mut presentation = presentation();
        presentation.labels.insert("env".into(), "prod".into());
        let mut wanted = connection().present(&presentation, "uid-1", "prod").unwrap();
        let secret: Secret = serde_json::from_value(json!({"metadata": {
            "name": wanted.name,
            "labels": {
                "argocd.argoproj.io/secret-type": "cluster", "env": "other", "ours-before": "x", "team": "a",
                "argocd.argoproj.io/kubernetes-version": "1.33",
            },
            "annotations": {
                "mooring.dev/uid": "uid-1", "mooring.dev/adopt": "prod", "managed-by": "argocd.argoproj.io",
                "argocd.argoproj.io/refresh": "now", "argocd.argoproj.io/skip-reconcile": "true", "note": "hunter2",
            },
            "managedFields": [
                {"manager": "mooring", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:ours-before": {}}}}},
            ],
        }}))
        .unwrap();
        let told = |wanted: &WantedSecret| Vec::from_iter(ClusterSecret::read(&secret).others_marks(wanted));
        let others = ["annotation argocd.argoproj.io/skip-reconcile", "annotation note"];
        let version = "label argocd.argoproj.io/kubernetes-version=1.33";
        assert_eq!(told(&wanted), [others[0], others[1], version, "label team=a"]);
        wanted.labels.insert(AUTO_LABEL.into(), "true".into());
        assert_eq!(
            told(&wanted),
            [others[0], others[1], "label team=a"],
            "Argo CD was asked for it"
        );
        let mut fixed = secret.clone();
        fixed.immutable = Some(true);
        let told = ClusterSecret::read(&fixed).others_marks(&wanted);
        assert!(told.contains(IMMUTABLE), "{told:?}");
    }
}
