//! `ManagedCluster`s and `ManagementRole`s from files, as strictly as `kubectl apply` reads them: a field that the
//! custom resource definitions do not have is refused with its path. CEL rules are the API server's to check.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt::Display,
    fs,
    io::{self, Read},
    path::Path,
};

use kube::{CustomResourceExt, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::schema;
use crate::{
    api::{GROUP, ManagedCluster, ManagementRole},
    cli::Source,
    domain::{allow::letters_apart, arn::RoleArn, name::AccountId},
};

/// How the files are named that `kubectl` reads of a directory.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Our kinds.
const KINDS: [&str; 2] = ["ManagedCluster", "ManagementRole"];

/// What files hold for us.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The `ManagementRole`s, in the order of the files.
    pub roles: Vec<ManagementRole>,
    /// The `ManagedCluster`s, in the order of the files.
    pub clusters: Vec<ManagedCluster>,
    /// What is neither of the two, a sentence each.
    pub passed_over: Vec<String>,
    /// What should be one of the two and cannot be read, a sentence each.
    pub invalid: Vec<String>,
    seen: BTreeSet<String>,
}

impl Manifests {
    /// Reads all of the sources, one after another.
    ///
    /// # Errors
    /// When a source cannot be read at all, with its name.
    pub fn read(sources: &[Source]) -> Result<Self, String> {
        let mut manifests = Self::default();
        for source in sources {
            match source {
                Source::File(path) if path.is_dir() => manifests.add_directory(path)?,
                Source::File(path) => manifests.add_file(path)?,
                Source::Stdin => {
                    let mut text = String::new();
                    let read = std::io::stdin().read_to_string(&mut text);
                    read.map_err(|error| format!("{source} cannot be read: {error}"))?;
                    manifests.add(source, &text);
                }
            }
        }
        Ok(manifests)
    }

    fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        self.add(&path.display(), &text);
        Ok(())
    }

    /// Adds the manifests in a directory, in the order of their names and, as `kubectl apply -f` does, not those in
    /// directories in it.
    fn add_directory(&mut self, path: &Path) -> Result<(), String> {
        let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let extension = file.extension().and_then(OsStr::to_str);
            if file.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(format!(
                "{} holds no file that ends in .{}",
                path.display(),
                EXTENSIONS.join(", .")
            ));
        }
        files.sort();
        files.iter().try_for_each(|file| self.add_file(file))
    }

    /// Adds the documents of one text, YAML or JSON. `origin` names it for people.
    pub fn add(&mut self, origin: &impl Display, text: &str) {
        match serde_saphyr::from_multiple::<Value>(text) {
            Err(error) => self.invalid.push(format!("{origin} is not YAML: {error}")),
            Ok(documents) => {
                for (index, document) in documents.into_iter().enumerate() {
                    self.add_document(&format!("{origin}, document {}", index + 1), document);
                }
            }
        }
    }

    fn add_document(&mut self, place: &str, document: Value) {
        let Value::Object(mut object) = document else {
            if !document.is_null() {
                self.invalid.push(format!("{place} is not a Kubernetes object"));
            }
            return;
        };
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if (version.as_str(), kind.as_str()) == ("v1", "List") {
            if let Some(Value::Array(items)) = object.remove("items") {
                for (index, item) in items.into_iter().enumerate() {
                    self.add_document(&format!("{place}, item {}", index + 1), item);
                }
            }
            return;
        }
        // Open Cluster Management has a kind ManagedCluster too, so the group decides.
        if version.split('/').next() != Some(GROUP) {
            let kind = if kind.is_empty() {
                "an object without a kind"
            } else {
                &kind
            };
            self.passed_over
                .push(format!("{place}: passed over {kind} {version}").trim_end().to_owned());
            return;
        }
        if !KINDS.contains(&kind.as_str()) {
            let near = KINDS.into_iter().min_by_key(|known| letters_apart(known, &kind));
            let near = near.unwrap_or_default();
            self.invalid.push(format!(
                "{place}: {GROUP} has no kind {kind}: is {near} meant? (There are {}.)",
                KINDS.join(" and ")
            ));
            return;
        }
        if version != format!("{GROUP}/v1alpha1") {
            self.invalid.push(format!(
                "{place}: apiVersion {version} is not known to this release: write {GROUP}/v1alpha1"
            ));
            return;
        }
        let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
        let Some(name) = name
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
        else {
            self.invalid.push(format!(
                "{place}: {kind} has no metadata.name: offline it cannot be generated"
            ));
            return;
        };
        let place = format!("{place}, {kind} {name}");
        if !self.seen.insert(format!("{kind} {name}")) {
            self.invalid
                .push(format!("{place}: there was one of that kind and name before it"));
            return;
        }
        let result = if kind == "ManagedCluster" {
            typed(object).map(|cluster| self.clusters.push(cluster))
        } else {
            typed(object).map(|role| self.roles.push(role))
        };
        if let Err(problems) = result {
            self.invalid
                .extend(problems.into_iter().map(|problem| format!("{place}: {problem}")));
        }
    }
}

/// Reads one object, cut down to what a person writes: its name, the UID where the file has one, and the spec.
fn typed<T>(object: Map<String, Value>) -> Result<T, Vec<String>>
where
    T: CustomResourceExt + Resource + DeserializeOwned,
{
    let mut problems = Vec::new();
    let mut kept = Map::new();
    for (key, mut value) in object {
        match key.as_str() {
            "apiVersion" | "kind" => drop(kept.insert(key, value)),
            "metadata" => {
                schema::drop_nulls(&mut value);
                if let Value::Object(metadata) = &mut value {
                    // An annotation is how a person pauses or confirms.
                    metadata.retain(|key, _| matches!(key.as_str(), "name" | "uid" | "annotations" | "labels"));
                }
                kept.insert(key, value);
            }
            "spec" => {
                // The API server drops nulls before it sets defaults.
                schema::drop_nulls(&mut value);
                kept.insert(key, value);
            }
            // Written by the operator; `kubectl get -o yaml` shows it.
            "status" => {}
            unknown => problems.push(format!(
                "{unknown} is not a field: the fields here are apiVersion, kind, metadata and spec"
            )),
        }
    }
    let definition = serde_json::to_value(T::crd()).unwrap_or_default();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    match (kept.get("spec"), schema) {
        (Some(spec), Some(schema)) => problems.extend(schema::violations(spec, schema, "spec")),
        _ => problems.push("spec is missing".to_owned()),
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(Value::Object(kept)).map_err(|error| vec![error.to_string()])
}

/// The hub's account as far as it can be known offline: the one given, or that of the role that `identity` names.
///
/// # Errors
/// Names the flag that is missing.
pub fn hub_account(role: &ManagementRole, given: Option<&AccountId>) -> Result<AccountId, String> {
    let named = role
        .spec
        .identity
        .role_arn
        .as_deref()
        .and_then(|arn| arn.parse::<RoleArn>().ok());
    given.cloned().or_else(|| named.map(|arn| arn.account)).ok_or_else(|| {
        format!(
            "ManagementRole {} does not say in which AWS account its hub is, and nothing is asked of AWS here: add --hub-account with the 12 digits of the account of EKS cluster {} in {}",
            role.metadata.name.as_deref().unwrap_or_default(),
            role.spec.cluster.name,
            role.spec.cluster.region
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Manifests {
        let mut manifests = Manifests::default();
        manifests.add(&"a.yaml", text);
        manifests
    }

    fn cluster(spec: &str) -> String {
        format!("apiVersion: mooring.dev/v1alpha1\nkind: ManagedCluster\nmetadata: {{name: prod}}\nspec: {spec}\n")
    }

    const GOOD: &str = r#"{accountId: "222222222222", region: eu-west-1, access: {kubernetesGroups: [a]}}"#;

    #[track_caller]
    fn refused(spec: &str, because: &[&str]) {
        let manifests = read(&cluster(spec));
        assert!(manifests.clusters.is_empty());
        for part in because {
            assert!(
                manifests.invalid.iter().any(|problem| problem.contains(part)),
                "{part}: {:?}",
                manifests.invalid
            );
        }
        assert!(
            manifests
                .invalid
                .iter()
                .all(|problem| problem.starts_with("a.yaml, document 1, ManagedCluster prod: "))
        );
    }

    #[test]
    fn defaults_are_those_of_the_api_server() {
        let manifests = read(&cluster(GOOD));
        assert_eq!(manifests.invalid, Vec::<String>::new());
        assert_eq!(manifests.clusters[0].spec.management_role, "default");
        let nulls = r#"{accountId: "222222222222", region: eu-west-1, managementRole: null, access: {policies: null, kubernetesGroups: [a]}}"#;
        assert_eq!(read(&cluster(nulls)).clusters, manifests.clusters);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_path() {
        refused(
            r#"{accountId: "222222222222", region: eu-west-1, access: {policies: [{name: A, namespace: [x]}]}}"#,
            &["spec.access.policies[0].namespace is not a field", "name", "namespaces"],
        );
        refused(
            r#"{accountId: "222222222222", region: eu-west-1, modus: Enforce, access: {}}"#,
            &["spec.modus is not a field"],
        );
        let outside = read(&format!("{}metadta: {{}}\n", cluster(GOOD)));
        assert!(
            outside.invalid[0].contains("metadta is not a field"),
            "{:?}",
            outside.invalid
        );
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_refused_with_its_path() {
        refused(
            "{accountId: 222222222222, access: {policies: [{}], kubernetesGroups: a}, deletion: {policy: Keep}, mode: Suspend}",
            &[
                "spec.accountId is a number: write text, in quotation marks",
                "spec.region is missing",
                "spec.access.policies[0].name is missing",
                "spec.access.kubernetesGroups is text: write a list",
                "spec.deletion.policy is \"Keep\": write Delete or Retain",
                "spec.mode is \"Suspend\": write Enforce or Observe or Suspended",
            ],
        );
        assert!(
            read("apiVersion: mooring.dev/v1alpha1\nkind: ManagementRole\nmetadata: {name: a}\n").invalid[0]
                .contains("spec is missing")
        );
    }

    #[test]
    fn other_kinds_are_passed_over_and_lists_are_opened() {
        let text = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: x}}\n---\n---\napiVersion: cluster.open-cluster-management.io/v1\nkind: ManagedCluster\nmetadata: {{name: x}}\n---\n{}---\n{}",
            cluster(GOOD),
            serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
                {"apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "two", "uid": "u", "resourceVersion": "1", "annotations": {"mooring.dev/paused": "true"}},
                 "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {"kubernetesGroups": ["a"]}},
                 "status": {"secret": "x"}}]})
        );
        let manifests = read(&text);
        assert_eq!(manifests.invalid, Vec::<String>::new());
        let names: Vec<_> = manifests
            .clusters
            .iter()
            .map(|cluster| cluster.metadata.name.as_deref().unwrap())
            .collect();
        assert_eq!(names, ["prod", "two"]);
        assert_eq!(manifests.clusters[1].metadata.uid.as_deref(), Some("u"));
        let annotations = manifests.clusters[1].metadata.annotations.as_ref().unwrap();
        assert_eq!(
            annotations["mooring.dev/paused"], "true",
            "what a person says by them counts in a plan"
        );
        assert_eq!(manifests.clusters[1].status, None);
        assert_eq!(manifests.passed_over.len(), 2, "{:?}", manifests.passed_over);
        assert!(manifests.passed_over[0].ends_with("passed over Namespace v1"));
    }

    #[test]
    fn a_kind_that_our_group_does_not_have_is_refused() {
        for (written, meant) in [
            ("ManagedClustr", "ManagedCluster"),
            ("managedcluster", "ManagedCluster"),
            ("ManagementRoles", "ManagementRole"),
        ] {
            let text = cluster(GOOD).replace("ManagedCluster", written);
            let manifests = read(&text);
            let told = manifests.invalid.join(" ");
            assert!(
                told.contains(&format!("no kind {written}: is {meant} meant?")),
                "{told}"
            );
            assert!(manifests.passed_over.is_empty());
        }
    }

    #[test]
    fn one_object_is_given_once_and_in_a_version_that_is_known() {
        let twice = read(&format!("{}---\n{}", cluster(GOOD), cluster(GOOD)));
        assert!(
            twice.invalid[0].contains("document 2, ManagedCluster prod: there was one"),
            "{:?}",
            twice.invalid
        );
        let newer = read(&cluster(GOOD).replace("v1alpha1", "v2"));
        assert!(
            newer.invalid[0].contains("apiVersion mooring.dev/v2 is not known"),
            "{:?}",
            newer.invalid
        );
        let nameless = read(&cluster(GOOD).replace("name: prod", "generateName: x-"));
        assert!(
            nameless.invalid[0].contains("no metadata.name"),
            "{:?}",
            nameless.invalid
        );
        assert!(read("a: [").invalid[0].starts_with("a.yaml is not YAML: "));
    }
}
