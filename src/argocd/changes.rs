//! What a write changes of a cluster Secret that stands, in values that may be shown: no credential is among them.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::text::NOT_SHOWN;

use super::{application::Target, cluster_secret::WantedSecret, seen::ClusterSecret};

/// A value by what it is of, what it is now, and what it will be.
pub type Changed = (String, Option<String>, Option<String>);

impl WantedSecret {
    /// The certificate authority that Argo CD will hold the server to, as PEM.
    #[must_use]
    pub fn certificate_authority(&self) -> Option<Vec<u8>> {
        let config: serde_json::Value = serde_json::from_str(self.data.get("config")?).ok()?;
        let encoded = config.pointer("/tlsClientConfig/caData")?.as_str()?;
        STANDARD.decode(encoded).ok()
    }

    /// The cluster that it is to Argo CD once it is written over the one that stands, where labels and annotations of
    /// others stay.
    #[must_use]
    pub fn target_over(&self, now: Option<&ClusterSecret>) -> Target {
        let mut target = self.target();
        if let Some(now) = now {
            let kept = |all: &BTreeMap<String, String>, ours: &BTreeSet<String>| {
                let others = all.iter().filter(|(key, _)| !ours.contains(*key));
                others
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect::<Vec<_>>()
            };
            for (key, value) in kept(&now.labels, &now.our_labels) {
                target.labels.entry(key).or_insert(value);
            }
            for (key, value) in kept(&now.annotations, &now.our_annotations) {
                target.annotations.entry(key).or_insert(value);
            }
        }
        target
    }

    /// What this one has otherwise than the one that stands: labels, annotations, and Argo CD's keys. `config` holds a
    /// certificate authority and is only named; what somebody else wrote into a key is not known here, and what we wrote is.
    #[must_use]
    pub fn values_from(&self, now: Option<&ClusterSecret>) -> Vec<Changed> {
        let empty = BTreeMap::new();
        let nothing = BTreeSet::new();
        let of = |get: fn(&ClusterSecret) -> &BTreeMap<String, String>| now.map_or(&empty, get);
        let mut values = Vec::new();
        for key in self.data.keys().chain(now.iter().flat_map(|now| &now.our_keys)) {
            let shown = |value: &String| {
                if key == "config" {
                    "as EKS describes the cluster"
                } else {
                    value
                }
                .to_owned()
            };
            let after = self.data.get(key);
            let same = now.is_some_and(|now| now.holds(key, after));
            let before = now.and_then(|now| match key.as_str() {
                "server" => Some(now.server.clone()),
                "name" => Some(now.cluster_name.clone()),
                _ => now
                    .settings
                    .get(key)
                    .cloned()
                    .or_else(|| now.has(key).then(|| NOT_SHOWN.to_owned())),
            });
            if !same && !values.iter().any(|(of, ..): &Changed| of.as_str() == key) {
                values.push((key.clone(), before, after.map(shown)));
            }
        }
        for (what, wanted, found, ours) in [
            (
                "label",
                &self.labels,
                of(|now| &now.labels),
                now.map(|now| &now.our_labels),
            ),
            (
                "annotation",
                &self.annotations,
                of(|now| &now.annotations),
                now.map(|now| &now.our_annotations),
            ),
        ] {
            for (key, value) in wanted.iter().filter(|(key, value)| found.get(*key) != Some(value)) {
                values.push((format!("{what} {key}"), found.get(key).cloned(), Some(value.clone())));
            }
            let ours = ours.unwrap_or(&nothing);
            for key in ours.iter().filter(|key| !wanted.contains_key(*key)) {
                values.push((format!("{what} {key}"), found.get(key).cloned(), None));
            }
        }
        values
    }
}
