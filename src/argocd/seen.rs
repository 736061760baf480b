//! Cluster Secrets as they are found, cut down to what decisions need: no credential of anybody's stays in memory.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference},
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    application::Target,
    cluster_secret::{ADOPTED_ANNOTATION, KEYS, OPAQUE, OWNER_ANNOTATION, SECRET_TYPE, WantedSecret},
    difference::Difference,
    parse,
};
use crate::domain::ownership::FIELD_MANAGER;

/// Cuts a Secret down before it is kept: values other than `server` and `name` are replaced by their hashes, and of
/// `managedFields` only our own entries stay. Of `config` the ARN of the role that Argo CD assumes is kept, and the
/// settings that we wrote ourselves.
///
/// `stringData`, which holds that alone, marks it as cut down. The API server never returns that field (Kubernetes API,
/// `Secret`), so nobody can make a value pass for its own hash.
pub fn cut_down(secret: &mut Secret) {
    let hashed = is_cut_down(secret);
    if !hashed {
        let role = assumed_role(secret).map(|arn| (ROLE.to_owned(), arn));
        secret.string_data = Some(role.into_iter().chain(our_settings(secret)).collect());
    }
    for (key, ByteString(value)) in secret.data.iter_mut().flatten() {
        if !hashed && is_hashed(key) {
            *value = hash(value).into_bytes();
        }
    }
    // What kubectl keeps of the whole Secret, its credentials too.
    if let Some(annotations) = &mut secret.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(fields) = &mut secret.metadata.managed_fields {
        fields.retain(is_ours);
    }
}

/// Where `kubectl apply` keeps what it was given.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where a Secret that was cut down says which role Argo CD assumes.
const ROLE: &str = "roleARN";

/// Argo CD's keys that say how it treats a cluster.
const SETTINGS: [&str; 4] = ["namespaces", "clusterResources", "project", "shard"];

/// Those that we wrote: what others put there may be anything, a credential too.
fn our_settings(secret: &Secret) -> Vec<(String, String)> {
    let ours = our_fields(secret, "/f:data");
    let data = secret.data.iter().flatten();
    data.filter(|(key, _)| SETTINGS.contains(&key.as_str()) && ours.contains(*key))
        .map(|(key, ByteString(value))| (key.clone(), String::from_utf8_lossy(value).into_owned()))
        .collect()
}

fn is_cut_down(secret: &Secret) -> bool {
    secret.string_data.is_some()
}

/// The role that Argo CD assumes by a whole Secret, as its own rules read it.
fn assumed_role(secret: &Secret) -> Option<String> {
    let seen = parse::read(secret).ok()?;
    seen.credentials.role().map(str::to_owned)
}

fn is_hashed(key: &str) -> bool {
    key != "server" && key != "name"
}

fn hash(value: &[u8]) -> String {
    format!("sha256:{}", STANDARD.encode(Sha256::digest(value)))
}

/// A cluster Secret as it was found, cut down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterSecret {
    /// Its name.
    pub name: String,
    /// Its namespace, Argo CD's.
    #[serde(skip)]
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
    /// `data.server` as Argo CD reads it: without trailing slashes.
    pub server: String,
    /// `data.name`.
    pub cluster_name: String,
    /// The ARN of the role that Argo CD assumes by it.
    pub role: Option<String>,
    /// The UID of the `ManagedCluster` that it was written for.
    pub owner: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Who keeps it from going when it is deleted.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub finalizers: BTreeSet<String>,
    /// Whether it is recorded for one that was taken over, whatever is on it now.
    #[serde(skip)]
    pub taken_over: bool,
    /// Its type, which nobody can change (Kubernetes API, `Secret`).
    #[serde(skip)]
    pub kind: String,
    /// Whether `immutable: true` is set on it, which nobody can take back (Kubernetes, "Immutable Secrets").
    pub immutable: bool,
    /// What its `ownerReferences` name, by kind and name: with the last of these that goes Kubernetes deletes it.
    pub owners: BTreeSet<String>,
    values: BTreeMap<String, String>,
    /// The settings of Argo CD's that we wrote.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) our_labels: BTreeSet<String>,
    pub(super) our_annotations: BTreeSet<String>,
    pub(super) our_keys: BTreeSet<String>,
}

fn owner_in_words(owner: &OwnerReference) -> String {
    format!("{} {}", owner.kind, owner.name)
}

/// Whether a Secret was written for this owner, or stands in the way of the one wanted: by its server or its name in
/// Argo CD. Tells without reading the whole, for among thousands of Secrets few concern an object.
#[must_use]
pub fn concerns(secret: &Secret, owner: &str, wanted: Option<&WantedSecret>) -> bool {
    let annotations = secret.metadata.annotations.as_ref();
    let is_own = annotations
        .and_then(|all| all.get(OWNER_ANNOTATION))
        .is_some_and(|uid| uid == owner);
    let bytes = |key: &str| {
        let value = secret.data.as_ref().and_then(|data| data.get(key));
        value.map_or(&[][..], |ByteString(bytes)| bytes.as_slice())
    };
    let claims = |wanted: &WantedSecret| {
        let is = |key: &str, value: &[u8]| wanted.data.get(key).is_some_and(|text| text.as_bytes() == value);
        let mut server = bytes("server");
        while let Some(shorter) = server.strip_suffix(b"/") {
            server = shorter;
        }
        is("server", server) || is("name", bytes("name"))
    };
    is_own || wanted.is_some_and(claims)
}

impl ClusterSecret {
    /// Reads a Secret that `cut_down` has prepared, or a whole one.
    #[must_use]
    pub fn read(secret: &Secret) -> Self {
        let text = |key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key));
            value
                .map(|ByteString(bytes)| String::from_utf8_lossy(bytes).into_owned())
                .unwrap_or_default()
        };
        let cut_down = is_cut_down(secret);
        let hashed = |(key, ByteString(value)): (&String, &ByteString)| {
            let value = if cut_down && is_hashed(key) {
                String::from_utf8_lossy(value).into_owned()
            } else {
                hash(value)
            };
            (key.clone(), value)
        };
        let metadata = &secret.metadata;
        let annotations = metadata.annotations.clone().unwrap_or_default();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            server: text("server").trim_end_matches('/').to_owned(),
            cluster_name: text("name"),
            role: if cut_down {
                secret.string_data.as_ref().and_then(|kept| kept.get(ROLE)).cloned()
            } else {
                assumed_role(secret)
            },
            owner: annotations.get(OWNER_ANNOTATION).cloned(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.iter().flatten().cloned().collect(),
            taken_over: false,
            kind: secret.type_.clone().unwrap_or_else(|| OPAQUE.to_owned()),
            immutable: secret.immutable == Some(true),
            owners: metadata.owner_references.iter().flatten().map(owner_in_words).collect(),
            values: secret.data.iter().flatten().map(hashed).collect(),
            settings: if cut_down {
                let settings = secret
                    .string_data
                    .iter()
                    .flatten()
                    .filter(|(key, _)| SETTINGS.contains(&key.as_str()));
                settings.map(|(key, value)| (key.clone(), value.clone())).collect()
            } else {
                our_settings(secret).into_iter().collect()
            },
            labels: metadata.labels.clone().unwrap_or_default(),
            annotations,
            our_labels: our_fields(secret, "/f:metadata/f:labels"),
            our_annotations: our_fields(secret, "/f:metadata/f:annotations"),
            our_keys: our_fields(secret, "/f:data"),
        }
    }

    /// An annotation's value.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// Whether it was taken over from others: keys of Argo CD's that they set stay. Where that is not recorded, it decides
    /// that our field manager wrote the mark, since it is copied with a manifest and set by hand; where nothing is ours by
    /// `managedFields`, as after a restore, the mark has to do.
    #[must_use]
    pub fn adopted(&self) -> bool {
        let written_by_us = self.our_annotations.is_empty() || self.our_annotations.contains(ADOPTED_ANNOTATION);
        self.taken_over || (written_by_us && self.annotations.contains_key(ADOPTED_ANNOTATION))
    }

    /// The labels that our field manager wrote: what it wrote and no spec says goes with its next write.
    #[must_use]
    pub fn our_labels(&self) -> &BTreeSet<String> {
        &self.our_labels
    }

    /// The annotations that our field manager wrote.
    #[must_use]
    pub fn our_annotations(&self) -> &BTreeSet<String> {
        &self.our_annotations
    }

    /// Whether anything on it was applied by our field manager.
    #[must_use]
    pub fn written_by_us(&self) -> bool {
        [&self.our_labels, &self.our_annotations, &self.our_keys]
            .iter()
            .any(|ours| !ours.is_empty())
    }

    /// Whether a data key is set at all.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| *value != hash(b""))
    }

    /// Whether a data key has another value than the one wanted, or none is wanted.
    #[must_use]
    pub fn differs(&self, key: &str, wanted: &WantedSecret) -> bool {
        let wanted = wanted.data.get(key).map(|value| hash(value.as_bytes()));
        self.values.get(key) != wanted.as_ref()
    }

    /// Argo CD's keys that others set and the spec does not.
    #[must_use]
    pub fn others_keys(&self, wanted: &WantedSecret) -> BTreeSet<String> {
        KEYS.iter()
            .filter(|key| self.values.contains_key(**key) && !wanted.data.contains_key(**key))
            .filter(|key| !self.our_keys.contains(**key))
            .map(|key| (*key).to_owned())
            .collect()
    }

    /// What stands on it otherwise than it is wanted, by name: what of others a write overwrites. `config` is told apart, and
    /// a server that Argo CD reads as the same is the same.
    #[must_use]
    pub fn overwritten(&self, wanted: &WantedSecret) -> BTreeSet<String> {
        let keys = wanted.data.keys().filter(|key| *key != "config" && *key != "server");
        let keys = keys.filter(|key| self.has(key) && self.differs(key, wanted));
        let mut all: BTreeSet<String> = keys.map(|key| format!("data {key}")).collect();
        for (what, wanted, found) in [
            ("label", &wanted.labels, &self.labels),
            ("annotation", &wanted.annotations, &self.annotations),
        ] {
            let other = wanted
                .iter()
                .filter(|(key, value)| found.get(*key).is_some_and(|found| found != *value));
            all.extend(other.map(|(key, _)| format!("{what} {key}")));
        }
        all
    }

    /// Whether a key has this value, or is not there where there is to be none.
    pub(super) fn holds(&self, key: &str, value: Option<&String>) -> bool {
        self.values.get(key) == value.map(|value| hash(value.as_bytes())).as_ref()
    }

    /// Whether Argo CD takes it for a cluster's.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.labels.get(SECRET_TYPE.0).is_some_and(|kind| kind == SECRET_TYPE.1)
    }

    /// Its labels but for Argo CD's own mark: those by which ApplicationSets may have chosen it, whoever set them.
    #[must_use]
    pub fn surplus_labels(&self) -> BTreeSet<String> {
        self.labels
            .keys()
            .filter(|key| *key != SECRET_TYPE.0)
            .cloned()
            .collect()
    }

    /// The cluster that it is to Argo CD. Its project is not known once the Secret was cut down.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            server: self.server.clone(),
            name: self.cluster_name.clone(),
            project: None,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
        }
    }

    /// What must be done to make this Secret the wanted one; `None` when it is.
    ///
    /// Which labels to drop is in our entry of `managedFields`: the live labels may hold somebody else's.
    #[must_use]
    pub fn difference(&self, wanted: &WantedSecret) -> Option<Difference> {
        let surplus_key = |key: &str| self.values.contains_key(key) && !wanted.data.contains_key(key);
        let values: BTreeMap<String, String> = wanted
            .data
            .iter()
            .map(|(key, value)| (key.clone(), hash(value.as_bytes())))
            .collect();
        let mut changed = unlike("data", &values, &self.values);
        changed.extend(unlike("label", &wanted.labels, &self.labels));
        changed.extend(unlike("annotation", &wanted.annotations, &self.annotations));
        changed.extend(surplus("label", &self.our_labels, &wanted.labels));
        changed.extend(surplus("annotation", &self.our_annotations, &wanted.annotations));
        let keys = self.our_keys.iter().filter(|key| surplus_key(key));
        changed.extend(keys.map(|key| format!("data {key}")));
        let difference = Difference {
            changed,
            null: if self.adopted() {
                BTreeSet::new()
            } else {
                self.others_keys(wanted)
            },
        };
        (difference != Difference::default()).then_some(difference)
    }
}

/// What is wanted and not there, or there with another value.
fn unlike(what: &str, wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> BTreeSet<String> {
    let other = wanted.iter().filter(|(key, value)| found.get(*key) != Some(value));
    other.map(|(key, _)| format!("{what} {key}")).collect()
}

/// What is ours and no longer wanted.
fn surplus(what: &str, ours: &BTreeSet<String>, wanted: &BTreeMap<String, String>) -> BTreeSet<String> {
    let other = ours.iter().filter(|key| !wanted.contains_key(*key));
    other.map(|key| format!("{what} {key}")).collect()
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
}

/// The keys of a map, `/f:metadata/f:labels` say, that our own field manager applied.
fn our_fields(secret: &Secret, of: &str) -> BTreeSet<String> {
    let entries = secret.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| is_ours(entry) && entry.operation.as_deref() == Some("Apply"))
        .filter_map(|entry| entry.fields_v1.as_ref())
        .filter_map(|fields| fields.0.pointer(of))
        .filter_map(Value::as_object)
        .flat_map(|keys| keys.keys())
        .filter_map(|key| key.strip_prefix("f:"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::argocd::cluster_secret::tests::{connection, presentation};

    fn wanted() -> WantedSecret {
        connection().present(&presentation(), "uid-1", "prod").unwrap()
    }

    fn stored(wanted: &WantedSecret) -> Secret {
        let mut secret = whole(wanted);
        cut_down(&mut secret);
        secret
    }

    fn whole(wanted: &WantedSecret) -> Secret {
        let keys = |map: &BTreeMap<String, String>| -> Value {
            map.keys()
                .map(|key| (format!("f:{key}"), json!({})))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let fields = json!({"f:metadata": {"f:labels": keys(&wanted.labels), "f:annotations": keys(&wanted.annotations)}, "f:data": keys(&wanted.data)});
        let mut secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": wanted.name, "uid": "s", "resourceVersion": "1",
                "labels": wanted.labels, "annotations": wanted.annotations,
                "managedFields": [
                    {"manager": "mooring", "operation": "Apply", "fieldsV1": fields},
                    {"manager": "somebody", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
                ],
            },
        }))
        .unwrap();
        secret.data = Some(
            wanted
                .data
                .iter()
                .map(|(k, v)| (k.clone(), ByteString(v.clone().into_bytes())))
                .collect(),
        );
        secret
    }

    #[test]
    fn what_another_manager_applied_is_not_ours_in_a_whole_secret_either() {
        let fields = json!({"f:metadata": {"f:labels": {"f:theirs": {}}}, "f:data": {"f:shard": {}}});
        let secret: Secret = serde_json::from_value(json!({"metadata": {
            "name": "a", "labels": {"theirs": "x"},
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": fields}],
        }}))
        .unwrap();
        let whole = ClusterSecret::read(&secret);
        assert!(whole.our_labels.is_empty() && whole.our_keys.is_empty(), "{whole:?}");
    }

    #[test]
    fn a_setting_that_we_wrote_is_shown_and_nobody_elses() {
        let mut held = wanted();
        held.data.insert("namespaces".into(), "web".into());
        held.data.insert("shard".into(), "hunter2".into());
        let change = |secret: &Secret| {
            let now = ClusterSecret::read(secret);
            let changed = wanted().values_from(Some(&now)).into_iter();
            let changed = changed.map(|(key, before, _)| (key, before.unwrap_or_default()));
            changed.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(change(&stored(&held))["namespaces"], "web");
        let mut theirs = whole(&held);
        let fields = &mut theirs.metadata.managed_fields.as_mut().unwrap()[0].fields_v1;
        fields.as_mut().unwrap().0["f:data"] = json!({"f:namespaces": {}});
        assert!(!format!("{:?}", ClusterSecret::read(&theirs)).contains("hunter2"));
        cut_down(&mut theirs);
        let told = format!("{:?}", change(&theirs));
        assert!(told.contains("web") && !told.contains("hunter2"), "{told}");
        assert!(!format!("{theirs:?}").contains("hunter2"));
    }

    #[test]
    fn what_we_wrote_is_what_we_want() {
        assert_eq!(ClusterSecret::read(&stored(&wanted())).difference(&wanted()), None);
    }

    #[test]
    fn a_secret_concerns_its_owner_and_whoever_wants_its_server_or_its_name() {
        let mut secret = stored(&wanted());
        assert!(concerns(&secret, "uid-1", None));
        assert!(!concerns(&secret, "uid-2", None));
        let mut other = wanted();
        other.data.insert("server".into(), "https://elsewhere".into());
        assert!(concerns(&secret, "uid-2", Some(&other)), "the same name");
        other.data.insert("name".into(), "another".into());
        assert!(!concerns(&secret, "uid-2", Some(&other)));
        secret
            .data
            .as_mut()
            .unwrap()
            .insert("server".into(), ByteString(b"https://elsewhere//".to_vec()));
        assert!(concerns(&secret, "uid-2", Some(&other)), "as Argo CD reads it");
        assert!(!concerns(&Secret::default(), "uid-2", Some(&other)));
    }

    #[test]
    fn no_credential_stays() {
        let mut secret = stored(&wanted());
        let before = secret.data.clone();
        assert!(before.as_ref().unwrap()["config"].0.starts_with(b"sha256:"));
        let role = ClusterSecret::read(&secret).role;
        assert_eq!(role.as_deref(), Some("arn:aws:iam::111122223333:role/argocd-prod"));
        let kept = BTreeMap::from([(ROLE.to_owned(), role.unwrap())]);
        assert_eq!(secret.string_data, Some(kept), "and nothing else");
        cut_down(&mut secret);
        assert_eq!(secret.data, before, "cutting down twice changes nothing");
    }

    /// By a program too: the management role may have to assume itself for it.
    #[test]
    fn of_a_secret_that_runs_a_program_the_role_stays_and_nothing_else() {
        let role = "arn:aws:iam::111122223333:role/argocd-prod";
        let exec = json!({
            "command": "argocd-k8s-auth", "args": ["aws", "--cluster-name", "prod", "--role-arn", role],
            "env": {"AWS_SECRET_ACCESS_KEY": "hunter2"},
        });
        let config = json!({"execProviderConfig": exec, "bearerToken": "hunter2"}).to_string();
        let mut secret: Secret = serde_json::from_value(json!({"metadata": {"name": "by-exec"}})).unwrap();
        secret.data = Some(BTreeMap::from([("config".to_owned(), ByteString(config.into_bytes()))]));
        assert_eq!(ClusterSecret::read(&secret).role.as_deref(), Some(role));
        cut_down(&mut secret);
        assert_eq!(ClusterSecret::read(&secret).role.as_deref(), Some(role));
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(
            secret.string_data,
            Some(BTreeMap::from([(ROLE.to_owned(), role.to_owned())]))
        );
    }

    #[test]
    fn a_value_that_looks_like_its_own_hash_is_a_change() {
        for key in ["config", "name", "server"] {
            let forged = hash(wanted().data[key].as_bytes()).into_bytes();
            let mut secret = stored(&wanted());
            // As the API server gives it: whole, and without stringData.
            secret.string_data = None;
            secret.data = Some(
                wanted()
                    .data
                    .into_iter()
                    .map(|(k, v)| (k, ByteString(v.into_bytes())))
                    .collect(),
            );
            secret.data.as_mut().unwrap().insert(key.to_owned(), ByteString(forged));
            let whole = ClusterSecret::read(&secret);
            cut_down(&mut secret);
            for seen in [whole, ClusterSecret::read(&secret)] {
                assert!(
                    seen.difference(&wanted()).is_some_and(|d| !d.changed.is_empty()),
                    "{key}"
                );
            }
        }
    }

    #[test]
    fn a_key_of_ours_that_is_taken_out_of_the_spec_goes_with_the_one_write() {
        let mut with_project = wanted();
        with_project.data.insert("project".into(), "team".into());
        let secret = stored(&with_project);
        assert_eq!(
            ClusterSecret::read(&secret).difference(&wanted()),
            Some(Difference {
                changed: ["data project".to_owned()].into(),
                null: BTreeSet::new()
            })
        );
    }

    #[test]
    fn a_label_taken_out_of_the_spec_is_dropped_and_a_foreign_one_is_left() {
        let mut with_label = wanted();
        with_label.labels.insert("team".into(), "a".into());
        let mut secret = stored(&with_label);
        let difference = ClusterSecret::read(&secret).difference(&wanted()).unwrap();
        assert_eq!(difference.changed, ["label team".to_owned()].into());
        secret
            .metadata
            .labels
            .as_mut()
            .unwrap()
            .insert("theirs".into(), "x".into());
        assert_eq!(ClusterSecret::read(&secret).difference(&with_label), None);
    }

    #[test]
    fn somebody_elses_shard_is_nulled_and_unknown_keys_are_left() {
        let mut secret = stored(&wanted());
        let data = secret.data.as_mut().unwrap();
        data.insert("shard".into(), ByteString(b"3".to_vec()));
        data.insert("unknown".into(), ByteString(b"x".to_vec()));
        let difference = ClusterSecret::read(&secret).difference(&wanted()).unwrap();
        assert_eq!(
            difference,
            Difference {
                changed: BTreeSet::new(),
                null: ["shard".to_owned()].into()
            }
        );
    }

    #[test]
    fn a_trailing_slash_is_trimmed_as_argo_cd_does() {
        let mut secret = stored(&wanted());
        secret
            .data
            .as_mut()
            .unwrap()
            .insert("server".into(), ByteString(b"https://x//".to_vec()));
        assert_eq!(ClusterSecret::read(&secret).server, "https://x");
    }
}
