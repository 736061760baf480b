//! Applications, cut down to where they deploy and who makes them.
//!
//! Source: argoproj/argo-cd v3.6.1, `util/argo/argo.go` (`GetDestinationServer`),
//! `util/settings/cluster_informer.go` (its indexes by URL and by name).

use std::collections::BTreeMap;

use serde::Deserialize;

/// Where the API server lists all Applications.
pub const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/applications";

/// A cluster as Argo CD knows it: what its cluster Secret says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `data.server`.
    pub server: String,
    /// `data.name`.
    pub name: String,
    /// `data.project`; `None` where that is not known.
    pub project: Option<String>,
    /// The Secret's labels, by which cluster generators select.
    pub labels: BTreeMap<String, String>,
    /// The Secret's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Where an Application deploys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The cluster's URL.
    pub server: String,
    /// The cluster's name in Argo CD.
    pub name: String,
}

impl Destination {
    /// Whether the cluster is named, by its URL without trailing slashes or by its name, as Argo CD compares them.
    ///
    /// Argo CD refuses a destination that gives both. One of the two still tells where the Application has deployed, or
    /// will once somebody corrects it, so either counts.
    #[must_use]
    pub fn names(&self, target: &Target) -> bool {
        let trimmed = |server: &'_ str| server.trim_end_matches('/').to_owned();
        let server = trimmed(&self.server);
        let by_server = !server.is_empty() && server == trimmed(&target.server);
        by_server || (!self.name.is_empty() && self.name == target.name)
    }
}

/// An Application.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub struct Application {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where it deploys; `None` when that cannot be read, so that nobody knows.
    pub destination: Option<Destination>,
    /// The ApplicationSets, in its namespace, that own it.
    pub owners: Vec<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl Application {
    /// Namespace and name, as `argocd app get` takes them.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether it deploys to the cluster. What cannot be read does not, by this: see [`Application::destination`].
    #[must_use]
    pub fn targets(&self, target: &Target) -> bool {
        self.destination
            .as_ref()
            .is_some_and(|destination| destination.names(target))
    }
}

/// What is read of a stored object; the rest of it is passed over.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<Maybe<Spec>>,
}

/// What a definition without a schema may hold in a field's place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Maybe<T> {
    Read(T),
    Odd(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Spec {
    destination: Option<StoredDestination>,
}

#[derive(Deserialize)]
struct StoredDestination {
    server: Option<Maybe<String>>,
    name: Option<Maybe<String>>,
}

/// The part of an object's metadata that matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    api_version: String,
    kind: String,
    name: String,
}

impl From<Stored> for Application {
    fn from(stored: Stored) -> Self {
        let Metadata {
            namespace,
            name,
            deletion_timestamp,
            owner_references,
        } = stored.metadata;
        let is_set = |owner: &Owner| owner.kind == "ApplicationSet" && owner.api_version.starts_with("argoproj.io/");
        let destination = match stored.spec {
            Some(Maybe::Read(Spec { destination })) => destination.and_then(StoredDestination::read),
            Some(Maybe::Odd(_)) | None => None,
        };
        Self {
            namespace,
            name,
            destination,
            owners: owner_references
                .into_iter()
                .filter(is_set)
                .map(|owner| owner.name)
                .collect(),
            deleting: deletion_timestamp.is_some(),
        }
    }
}

impl StoredDestination {
    /// `None` when nothing that was read tells of a cluster, and something could not be read.
    fn read(self) -> Option<Destination> {
        let odd = |field: &Option<Maybe<String>>| matches!(field, Some(Maybe::Odd(_)));
        let unread = odd(&self.server) || odd(&self.name);
        let text = |field: Option<Maybe<String>>| match field {
            Some(Maybe::Read(text)) => text,
            Some(Maybe::Odd(_)) | None => String::new(),
        };
        let read = Destination {
            server: text(self.server),
            name: text(self.name),
        };
        (!unread || read != Destination::default()).then_some(read)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::argocd) fn application(id: &str, destination: &Value) -> Application {
        let (namespace, name) = id.split_once('/').unwrap();
        let object = json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"destination": destination}});
        serde_json::from_value(object).unwrap()
    }

    pub(in crate::argocd) fn target(labels: &[(&str, &str)]) -> Target {
        Target {
            server: "https://ABC.gr7.eu-west-1.eks.amazonaws.com".into(),
            name: "prod".into(),
            project: Some(String::new()),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn a_destination_is_resolved_as_argo_cd_resolves_it() {
        let server = "https://ABC.gr7.eu-west-1.eks.amazonaws.com";
        for (destination, expected) in [
            (json!({"server": server, "namespace": "a"}), true),
            (json!({"server": format!("{server}//")}), true),
            (json!({"server": server.to_lowercase()}), false),
            (json!({"server": format!("{server}:443")}), false),
            (json!({"server": format!(" {server}")}), false),
            (json!({"name": "prod"}), true),
            (json!({"name": "Prod"}), false),
            (json!({"name": "prod\n"}), false),
            (json!({"name": "", "server": ""}), false),
            (json!({"namespace": "prod"}), false),
            (json!({"name": "in-cluster"}), false),
            (json!({"server": "https://kubernetes.default.svc"}), false),
            // Refused by Argo CD, and ours to wait for all the same.
            (json!({"name": "prod", "server": "https://elsewhere"}), true),
            (json!({"name": "elsewhere", "server": server}), true),
        ] {
            let application = application("argocd/a", &destination);
            assert_eq!(application.targets(&target(&[])), expected, "{destination}");
            assert!(application.destination.is_some());
        }
        let trailing = Target {
            server: format!("{server}/"),
            ..target(&[])
        };
        assert!(application("argocd/a", &json!({"server": server})).targets(&trailing));
        let nameless = Target {
            name: String::new(),
            server: String::new(),
            ..target(&[])
        };
        assert!(!application("argocd/a", &json!({"name": "", "server": "/"})).targets(&nameless));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_from_what_is_elsewhere() {
        let read = |object: Value| serde_json::from_value::<Application>(object).unwrap();
        for spec in [
            json!(null),
            json!("x"),
            json!({}),
            json!({"destination": null}),
            json!({"destination": ["prod"]}),
            json!({"destination": {"server": 7}}),
            json!({"destination": {"name": {"is": "prod"}, "server": ""}}),
        ] {
            assert_eq!(read(json!({"spec": spec})).destination, None, "{spec}");
        }
        let half = read(json!({"spec": {"destination": {"server": 7, "name": "prod"}}}));
        assert!(half.targets(&target(&[])), "what can be read is read");
    }

    #[test]
    fn owners_and_deletion_are_read_and_the_rest_is_passed_over() {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {
                "namespace": "team", "name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "labels": {"x": "y"},
                "ownerReferences": [
                    {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shops", "uid": "1"},
                    {"apiVersion": "example.com/v1", "kind": "ApplicationSet", "name": "theirs", "uid": "2"},
                    {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "name": "parent", "uid": "3"},
                ],
            },
            "spec": {"destination": {"name": "prod"}, "source": {"helm": {"values": "secret"}}},
            "status": {"resources": [1, 2, 3]},
        });
        let read: Application = serde_json::from_value(object).unwrap();
        assert_eq!((read.id().as_str(), read.deleting), ("team/a", true));
        assert_eq!(read.owners, ["shops"]);
        assert!(!format!("{read:?}").contains("secret"));
    }
}
