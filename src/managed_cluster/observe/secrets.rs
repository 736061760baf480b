//! The cluster Secrets in Argo CD's namespace: which are ours, and which stand in the way.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, runtime::reflector::Store};

use crate::{
    api::ManagedClusterStatus,
    argocd::{ClusterSecret, WantedSecret, concerns, cut_down, parse},
    kubernetes::{KubernetesError, objects},
    managed_cluster::living::Living,
};

/// The cluster Secrets in Argo CD's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Those that bear our annotation: one, unless Argo CD has made a copy.
    pub own: Vec<ClusterSecret>,
    /// Others that have the server or the name in Argo CD of the one wanted.
    pub others: Vec<ClusterSecret>,
    /// Other `ManagedCluster`s that are writing a Secret with the server or the name of the one wanted.
    pub claimed: Vec<String>,
    /// The name that our Secret would have, where a Secret without our annotation has it.
    pub name_taken: Option<String>,
    /// The one among the others that could be taken over: the only one in the way, and of the same server.
    pub adoptable: Option<Adoptable>,
}

/// A cluster Secret that others made, looked at whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoptable {
    /// The Secret.
    pub secret: ClusterSecret,
    /// Of its config, what Mooring does not write.
    pub lost: Vec<String>,
    /// What is changed when it is taken over, in words. No value of a credential is in it.
    pub changes: String,
}

/// By what a Secret is known to be ours.
///
/// One that bears our annotation is not always: people copy manifests, annotations and all, to write another cluster's;
/// and Argo CD copies our Secret under another name, with the same server. And one of ours may have lost it: `argocd
/// cluster add --upsert`, `kubectl replace` and Terraform write labels and annotations anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// The UID of the object that it is looked for.
    pub owner: &'a str,
    /// The name that was recorded.
    pub name: Option<&'a str>,
    /// The UID that was recorded with the name; `None` where a status of before says nothing of it.
    pub uid: Option<&'a str>,
    /// Whether that one was taken over.
    pub adopted: bool,
    /// The servers that it has or had.
    pub servers: Vec<&'a str>,
    /// The UIDs of all objects that are there: what bears another's is that one's.
    pub living: &'a Living,
}

impl<'a> Known<'a> {
    /// What a status recorded.
    #[must_use]
    pub fn recorded(owner: &'a str, old: &'a ManagedClusterStatus, living: &'a Living) -> Self {
        let server = old.cluster.as_ref().and_then(|cluster| cluster.endpoint.as_deref());
        Self {
            owner,
            name: old.secret.as_deref(),
            uid: old.secret_uid.as_deref(),
            adopted: old.secret_adopted == Some(true),
            servers: server.into_iter().collect(),
            living,
        }
    }

    /// Whether a Secret is ours: by its annotation, or by what was recorded where that is lost. Another living object's
    /// annotation on it is never written over.
    #[must_use]
    pub fn owns(&self, secret: &ClusterSecret) -> bool {
        match secret.owner.as_deref() {
            Some(owner) if owner == self.owner => self.is_ours(secret),
            Some(owner) if self.living.contains(owner) => false,
            Some(_) | None => {
                let same = self.uid.map_or_else(|| secret.written_by_us(), |uid| uid == secret.uid);
                same && self.name == Some(&secret.name)
            }
        }
    }

    /// Reads a Secret that was cut down, with what is recorded of it.
    #[must_use]
    pub fn read(&self, secret: &Secret) -> ClusterSecret {
        let mut read = ClusterSecret::read(secret);
        let same = self.name == Some(&read.name) && self.uid == Some(&read.uid);
        read.taken_over = self.adopted && same;
        read
    }

    /// Where nothing is known, the annotation has to do.
    fn is_ours(&self, secret: &ClusterSecret) -> bool {
        let nothing = self.name.is_none() && self.servers.is_empty();
        let same = |server: &&str| server.trim_end_matches('/') == secret.server;
        nothing || self.name == Some(&secret.name) || self.servers.iter().any(same)
    }
}

/// Whether a cluster Secret that is not ours has a name in Argo CD: what names it then means that one.
#[must_use]
pub fn is_anothers_name(store: &Store<Secret>, name: &str, own: &Secrets) -> bool {
    let ours = |secret: &ClusterSecret| own.own.iter().any(|own| own.uid == secret.uid);
    let all = store.state().into_iter().map(|secret| ClusterSecret::read(&secret));
    all.filter(|secret| secret.is_cluster() && !ours(secret))
        .any(|secret| secret.cluster_name == name)
}

/// Looks at the cluster Secrets that the watch has gathered: those of the object, and those that stand in the way of
/// the one wanted.
#[must_use]
pub fn secrets(store: &Store<Secret>, wanted: Option<&WantedSecret>, known: &Known<'_>) -> Secrets {
    let mut found = Secrets::default();
    for secret in store.state() {
        let recorded = known.name.is_some() && known.name == secret.metadata.name.as_deref();
        if !recorded && !concerns(&secret, known.owner, wanted) {
            continue;
        }
        let read = known.read(&secret);
        if known.owns(&read) {
            found.own.push(read);
        } else if concerns(&secret, "", wanted) {
            found.others.push(read);
        }
    }
    found.own.sort_by(|a, b| a.name.cmp(&b.name));
    found.others.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Looks at all Secrets of an object, whatever it wants now: those that the watch has gathered, and the one under the
/// recorded name where it is not among them. The watch may lag, and does not bring a Secret whose label somebody took off.
///
/// # Errors
/// When the API server could not be asked.
pub async fn own_secrets(
    store: &Store<Secret>,
    api: &Api<Secret>,
    known: &Known<'_>,
) -> Result<Secrets, KubernetesError> {
    let mut found = secrets(store, None, known);
    if let Some(name) = known.name {
        found.look_under(api, name, known).await?;
    }
    Ok(found)
}

impl Secrets {
    /// Whether one of the object's stands under this name.
    fn stands_as(&self, name: &str) -> bool {
        self.own.iter().any(|own| own.name == name && !own.deleting)
    }

    /// Looks at one name where none of the object's is known to stand: a Secret without Argo CD's label is not in the watch.
    ///
    /// # Errors
    /// When the API server could not be asked.
    pub async fn look_under(
        &mut self,
        api: &Api<Secret>,
        name: &str,
        known: &Known<'_>,
    ) -> Result<(), KubernetesError> {
        if self.stands_as(name) {
            return Ok(());
        }
        if let Some(mut secret) = objects::get_opt(api, name).await? {
            cut_down(&mut secret);
            let secret = known.read(&secret);
            self.own.retain(|own| own.name != name);
            if secret.owner.as_deref() == Some(known.owner) || known.owns(&secret) {
                self.others.retain(|other| other.name != name);
                self.own.push(secret);
                self.own.sort_by(|a, b| a.name.cmp(&b.name));
            } else {
                self.name_taken = Some(secret.name);
            }
        }
        Ok(())
    }
}

/// Looks at the one Secret in the way that could be taken over. The watch keeps no more than hashes of what it holds.
///
/// # Errors
/// When the API server could not be asked.
pub async fn adoptable(
    api: &Api<Secret>,
    found: &Secrets,
    wanted: &WantedSecret,
) -> Result<Option<Adoptable>, KubernetesError> {
    let server = wanted.data.get("server").map(String::as_str).unwrap_or_default();
    let mut others = found.others.iter().filter(|other| !other.deleting);
    let (Some(other), None) = (others.next(), others.next()) else {
        return Ok(None);
    };
    if other.server != server {
        return Ok(None);
    }
    let Some(mut whole) = objects::get_opt(api, &other.name).await? else {
        return Ok(None);
    };
    let (lost, changes) = match parse::read(&whole) {
        Ok(seen) => seen.taken_over(Some(wanted)),
        Err(_) => (
            Vec::new(),
            "its config, which Argo CD cannot read, is written anew".to_owned(),
        ),
    };
    cut_down(&mut whole);
    let secret = ClusterSecret::read(&whole);
    Ok((secret.server == server).then_some(Adoptable { secret, lost, changes }))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use kube::runtime::{reflector::store::Writer, watcher::Event};

    use super::*;
    use crate::{kubernetes::fake::answering, managed_cluster::living::Lives};

    /// Whether somebody applied the Secret as Mooring does.
    fn secret(name: &str, annotations: &serde_json::Value, ours: bool) -> ClusterSecret {
        let manager = if ours { "mooring" } else { "argocd" };
        let fields = serde_json::json!({"f:data": {"f:server": {}}});
        let fields = serde_json::json!([{"manager": manager, "operation": "Apply", "fieldsV1": fields}]);
        let metadata = serde_json::json!({"name": name, "uid": format!("of-{name}"), "annotations": annotations, "managedFields": fields});
        let mut secret: Secret = serde_json::from_value(serde_json::json!({ "metadata": metadata })).unwrap();
        cut_down(&mut secret);
        ClusterSecret::read(&secret)
    }

    #[test]
    fn a_secret_that_lost_our_annotation_is_ours_by_what_was_recorded_and_anothers_never_is() {
        let mut living = Living::default();
        for uid in ["uid-1", "uid-2"] {
            living.insert(uid.to_owned(), Lives::default());
        }
        let known = |name, uid| Known {
            owner: "uid-1",
            name,
            uid,
            adopted: false,
            servers: Vec::new(),
            living: &living,
        };
        let bare = serde_json::json!({});
        let recorded = known(Some("ours"), Some("of-ours"));
        assert!(recorded.owns(&secret("ours", &bare, false)), "by name and UID");
        let forged = serde_json::json!({"mooring.dev/uid": "nobody"});
        assert!(recorded.owns(&secret("ours", &forged, false)));
        let anothers = serde_json::json!({"mooring.dev/uid": "uid-2"});
        assert!(!recorded.owns(&secret("ours", &anothers, true)));
        assert!(!recorded.owns(&secret("theirs", &bare, true)));
        let made_anew = known(Some("ours"), Some("of-another"));
        assert!(!made_anew.owns(&secret("ours", &bare, true)), "somebody made it anew");
        // A status of before says no UID.
        let former = known(Some("ours"), None);
        assert!(former.owns(&secret("ours", &bare, true)), "our field manager wrote it");
        assert!(!former.owns(&secret("ours", &bare, false)));
        assert!(!known(None, None).owns(&secret("ours", &bare, true)));
    }

    /// People copy manifests, annotations and all; and Argo CD copies our Secret under another name.
    #[test]
    fn a_secret_with_our_annotation_is_ours_by_its_name_or_by_its_server() {
        let secret = |name: &str, server: &str| {
            let mut secret: Secret = serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).unwrap();
            secret.data = Some([("server".to_owned(), ByteString(server.into()))].into());
            cut_down(&mut secret);
            ClusterSecret::read(&secret)
        };
        let living = Living::default();
        let known = |name, servers: &[&'static str]| Known {
            owner: "uid-1",
            name,
            uid: None,
            adopted: false,
            servers: servers.to_vec(),
            living: &living,
        };
        let both = known(Some("ours"), &["https://ours/"]);
        assert!(both.is_ours(&secret("ours", "https://new")), "the server changes");
        assert!(both.is_ours(&secret("copy", "https://ours")), "Argo CD's copy");
        assert!(!both.is_ours(&secret("theirs", "https://theirs")), "a copied manifest");
        assert!(known(None, &["https://ours"]).is_ours(&secret("copy", "https://ours")));
        assert!(!known(None, &["https://ours"]).is_ours(&secret("ours", "https://theirs")));
        assert!(
            known(None, &[]).is_ours(&secret("any", "https://any")),
            "the annotation has to do"
        );
        let status: ManagedClusterStatus = serde_json::from_value(serde_json::json!({
            "secret": "ours", "secretUid": "of-ours", "secretAdopted": true, "conditions": [],
            "cluster": {"accountId": "2", "region": "r", "name": "n", "arn": "arn:c", "endpoint": "https://ours"},
        }))
        .unwrap();
        let recorded = Known::recorded("uid-1", &status, &living);
        let expected = Known {
            uid: Some("of-ours"),
            adopted: true,
            ..both
        };
        assert_eq!(
            recorded,
            Known {
                servers: vec!["https://ours"],
                ..expected
            }
        );
    }

    /// An Application that names that cluster means the other one, and holds nobody else's removal up.
    #[test]
    fn a_name_is_anothers_where_a_cluster_secret_that_is_not_ours_has_it() {
        let secret = |name: &str, cluster: &str, label: &str| {
            let labels = serde_json::json!({ "argocd.argoproj.io/secret-type": label });
            let metadata = serde_json::json!({"name": name, "uid": format!("of-{name}"), "labels": labels});
            let mut secret: Secret = serde_json::from_value(serde_json::json!({ "metadata": metadata })).unwrap();
            let data = [("name", cluster), ("server", "https://x")];
            secret.data = Some(
                data.into_iter()
                    .map(|(key, value)| (key.to_owned(), ByteString(value.into())))
                    .collect(),
            );
            cut_down(&mut secret);
            secret
        };
        let ours = secret("ours", "prod", "cluster");
        let own = Secrets {
            own: vec![ClusterSecret::read(&ours)],
            ..Secrets::default()
        };
        let mut copy = ours.clone();
        copy.metadata.name = Some("renamed".to_owned());
        for (beside, expected, case) in [
            (None, false, "ours alone"),
            (Some(copy), false, "ours by its UID"),
            (
                Some(secret("theirs", "prod", "cluster")),
                true,
                "another cluster has it",
            ),
            (Some(secret("theirs", "other", "cluster")), false, "another name"),
            (Some(secret("theirs", "prod", "repository")), false, "no cluster's"),
        ] {
            let mut writer = Writer::default();
            writer.apply_watcher_event(&Event::Init);
            for secret in beside.into_iter().chain([ours.clone()]) {
                writer.apply_watcher_event(&Event::InitApply(secret));
            }
            writer.apply_watcher_event(&Event::InitDone);
            assert_eq!(is_anothers_name(&writer.as_reader(), "prod", &own), expected, "{case}");
        }
    }

    /// The only Secret in the way, of the same server also when it is read whole; one of another server is not even read.
    #[tokio::test]
    async fn only_the_one_secret_in_the_way_that_is_of_the_same_server_could_be_taken_over() {
        let secret = |name: &str, server: &str| -> Secret {
            let mut secret: Secret = serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).unwrap();
            let data = [("name", "prod"), ("server", server), ("config", "{}")];
            secret.data = Some(
                data.into_iter()
                    .map(|(key, value)| (key.to_owned(), ByteString(value.into())))
                    .collect(),
            );
            secret
        };
        let seen = |name: &str, server: &str| {
            let mut secret = secret(name, server);
            cut_down(&mut secret);
            ClusterSecret::read(&secret)
        };
        let (here, elsewhere) = ("https://here", "https://elsewhere");
        let wanted = WantedSecret {
            name: "wanted".to_owned(),
            data: [("server".to_owned(), here.to_owned())].into(),
            labels: [].into(),
            annotations: [].into(),
        };
        let mut going = seen("going", here);
        going.deleting = true;
        for (others, whole, reads, could) in [
            (vec![seen("by-hand", here), going], here, 1, true),
            (vec![seen("by-hand", here), seen("second", elsewhere)], here, 0, false),
            (vec![seen("by-hand", elsewhere)], elsewhere, 0, false),
            (vec![seen("by-hand", here)], elsewhere, 1, false),
            (Vec::new(), here, 0, false),
        ] {
            let answer = serde_json::to_value(secret("by-hand", whole)).unwrap();
            let (client, asked) = answering([(200, answer)]);
            let found = Secrets {
                others,
                ..Secrets::default()
            };
            let api = Api::namespaced(client, "argocd");
            let adoptable = adoptable(&api, &found, &wanted).await.unwrap();
            let name = adoptable.map(|adoptable| adoptable.secret.name);
            assert_eq!(name.as_deref(), could.then_some("by-hand"), "{found:?}");
            assert_eq!(asked.lock().unwrap().len(), reads, "{found:?}");
        }
    }
}
