//! Manifests in, server-side applied.

use std::time::{Duration, Instant};

use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde_json::Value;

use super::{ControlPlane, Error};

/// The field manager of everything that the sandbox applies.
const FIELD_MANAGER: &str = "mooring-sandbox";

const CRD: &str = "CustomResourceDefinition";
const PATIENCE: Duration = Duration::from_secs(30);

impl ControlPlane {
    /// Server-side applies every document of a YAML text, of any kind the server knows: namespaces first, then custom
    /// resource definitions, which are waited for, then the rest in the order written. What has no namespace goes to
    /// `default`. Returns the objects as the server stored them, in the order they were applied.
    ///
    /// # Errors
    /// [`Error::Manifest`] for what is no Kubernetes object, [`Error::Request`] for what the server refuses (what came
    /// before it stays), [`Error::NotEstablished`] for a definition that is never served.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<Vec<DynamicObject>, Error> {
        let client = self.admin()?;
        let mut manifests = parse(yaml)?;
        manifests.sort_by_key(|manifest| match manifest.gvk.kind.as_str() {
            "Namespace" => 0,
            CRD => 1,
            _ => 2,
        });
        let mut applied = Vec::with_capacity(manifests.len());
        for manifest in &manifests {
            let object = apply(&client, manifest).await?;
            if manifest.gvk.kind == CRD {
                served(&client, &object.name_any()).await?;
            }
            applied.push(object);
        }
        Ok(applied)
    }
}

struct Manifest {
    gvk: GroupVersionKind,
    namespace: Option<String>,
    name: String,
    object: Value,
}

impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = self
            .namespace
            .as_ref()
            .map(|namespace| format!("{namespace}/"))
            .unwrap_or_default();
        write!(f, "{} {namespace}{}", self.gvk.kind, self.name)
    }
}

fn parse(yaml: &str) -> Result<Vec<Manifest>, Error> {
    // Definitions of other projects are megabytes; the parser's budgets are for text from strangers.
    let options = serde_saphyr::options! { budget: None };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(yaml, options).map_err(|error| Error::Manifest {
            document: 0,
            reason: error.to_string(),
        })?;
    documents
        .into_iter()
        .enumerate()
        .map(|(index, document)| manifest(index + 1, document))
        .collect()
}

fn manifest(document: usize, object: Value) -> Result<Manifest, Error> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let needed = |path: &str| {
        let reason = || {
            format!(
                "`{}` is missing or not a string",
                path.trim_start_matches('/').replace('/', ".")
            )
        };
        text(path).ok_or_else(|| Error::Manifest {
            document,
            reason: reason(),
        })
    };
    let version = needed("/apiVersion")?;
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let gvk = GroupVersionKind::gvk(group, version, &needed("/kind")?);
    let (namespace, name) = (text("/metadata/namespace"), needed("/metadata/name")?);
    Ok(Manifest {
        gvk,
        namespace,
        name,
        object,
    })
}

async fn apply(client: &kube::Client, manifest: &Manifest) -> Result<DynamicObject, Error> {
    let failed = || Error::request(format!("apply {manifest}"));
    let (resource, capabilities) = discovery::pinned_kind(client, &manifest.gvk).await.map_err(failed())?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(
            client.clone(),
            manifest.namespace.as_deref().unwrap_or("default"),
            &resource,
        ),
    };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&manifest.name, &params, &Patch::Apply(&manifest.object))
        .await
        .map_err(failed())
}

/// Established comes first, and discovery shows the kind a moment later: a client needs both.
async fn served(client: &kube::Client, name: &str) -> Result<(), Error> {
    let failed = || Error::request(format!("get custom resource definition {name}"));
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", CRD);
    let api: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &discovery::pinned_kind(client, &gvk).await.map_err(failed())?.0,
    );
    let start = Instant::now();
    loop {
        let definition = api.get(name).await.map_err(failed())?.data;
        let conditions = definition.pointer("/status/conditions").cloned().unwrap_or_default();
        if established(&conditions) && discovered(client, &definition).await {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            let (name, conditions) = (name.to_owned(), conditions.to_string());
            return Err(Error::NotEstablished {
                name,
                waited: start.elapsed(),
                conditions,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn established(conditions: &Value) -> bool {
    let mut conditions = conditions.as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

async fn discovered(client: &kube::Client, definition: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind) = (
        text(&definition["spec"]["group"]),
        text(&definition["spec"]["names"]["kind"]),
    );
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|version| version["served"] == true) {
        let gvk = GroupVersionKind::gvk(&group, &text(&version["name"]), &kind);
        if discovery::pinned_kind(client, &gvk).await.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_counted_and_empty_ones_skipped() {
        let yaml = "# only a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\nkind: X\n";
        let error = parse(yaml).err().unwrap().to_string();
        assert_eq!(
            error,
            "document 2 of the manifest: `apiVersion` is missing or not a string"
        );
    }

    #[test]
    fn group_and_version_are_split() {
        let found = parse("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\n").unwrap();
        let found = found.first().unwrap();
        assert_eq!((found.gvk.group.as_str(), found.gvk.version.as_str()), ("apps", "v1"));
        assert_eq!(found.to_string(), "Deployment b/a");
    }

    #[test]
    fn a_definition_of_megabytes_is_read() {
        let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n".to_owned();
        let keys = (0..50_000).map(|index| format!("  key{index}: {{a: [b, c]}}\n"));
        let yaml = std::iter::once(head).chain(keys).collect::<String>();
        assert_eq!(parse(&yaml).unwrap().len(), 1);
    }
}
