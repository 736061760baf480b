//! Single objects: read, server-side apply, delete, and nothing that could write over another's change unseen.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions},
    core::{ApiResource, Request},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    error::{KubernetesError, call},
    misfit::misfit,
};

pub use crate::domain::ownership::FIELD_MANAGER;

/// The resource as kubectl names it: `secrets`, `deployments.apps`. Read from the path, so that it works for kinds that
/// are known only at run time.
pub(crate) fn resource<K: Resource>(api: &Api<K>) -> String {
    resource_at(api.resource_url())
}

fn resource_at(path: &str) -> String {
    let plural = path.rsplit('/').next().unwrap_or_default();
    let mut path = path.split('/').skip(1);
    match (path.next(), path.next()) {
        (Some("apis"), Some(group)) => format!("{plural}.{group}"),
        _ => plural.to_owned(),
    }
}

/// The object as kubectl takes it, for messages: `secrets/a in namespace argocd`.
pub(crate) fn describe<K: Resource>(api: &Api<K>, name: &str) -> String {
    let resource = resource(api);
    match api.namespace() {
        Some(namespace) => format!("{resource}/{name} in namespace {namespace}"),
        None => format!("{resource}/{name}"),
    }
}

/// The object as it is now, `None` when it does not exist.
///
/// # Errors
/// When the API server refuses or does not answer; a failed read is never "absent".
pub async fn get_opt<K>(api: &Api<K>, name: &str) -> Result<Option<K>, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    call("get", &describe(api, name), api.get_opt(name)).await
}

/// The object of this name as it is stored, whether or not it can be read as its kind.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn stored<K>(client: &Client, name: &str) -> Result<Option<DynamicObject>, KubernetesError>
where
    K: Resource<DynamicType: Default>,
{
    let kind = ApiResource::erase::<K>(&K::DynamicType::default());
    get_opt(&Api::<DynamicObject>::all_with(client.clone(), &kind), name).await
}

/// Why the object of this name cannot be read as its kind, with the field that it is for; `None` where it can, or is gone.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn misfit_of_stored<K>(client: &Client, name: &str) -> Result<Option<String>, KubernetesError>
where
    K: Resource<DynamicType: Default> + DeserializeOwned,
{
    let object = stored::<K>(client, name).await?;
    let value = object.and_then(|object| serde_json::to_value(object).ok());
    Ok(value.as_ref().and_then(misfit::<K>))
}

/// The status of an object as it is stored; the default when there is none yet, `None` when it cannot be read.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn stored_status<K, S>(client: &Client, name: &str) -> Result<Option<S>, KubernetesError>
where
    K: Resource<DynamicType: Default>,
    S: DeserializeOwned + Default,
{
    let object = stored::<K>(client, name).await?;
    let status = object.and_then(|object| object.data.get("status").cloned());
    Ok(status.map_or_else(|| Some(S::default()), |status| serde_json::from_value(status).ok()))
}

/// All objects as they are now, page by page.
///
/// # Errors
/// When the API server refuses or does not answer: half a list is never returned.
pub async fn list<K>(api: &Api<K>) -> Result<Vec<K>, KubernetesError>
where
    K: Resource<DynamicType: Default> + Clone + DeserializeOwned + Debug,
{
    list_chosen(api, ListParams::default()).await
}

/// The objects that a label selector finds, page by page.
///
/// # Errors
/// When the API server refuses or does not answer: half a list is never returned.
pub async fn list_labelled<K>(api: &Api<K>, labels: &str) -> Result<Vec<K>, KubernetesError>
where
    K: Resource<DynamicType: Default> + Clone + DeserializeOwned + Debug,
{
    list_chosen(api, ListParams::default().labels(labels)).await
}

/// The objects that these parameters choose, page by page.
///
/// # Errors
/// When the API server refuses or does not answer: half a list is never returned.
pub async fn list_chosen<K>(api: &Api<K>, params: ListParams) -> Result<Vec<K>, KubernetesError>
where
    K: Resource<DynamicType: Default> + Clone + DeserializeOwned + Debug,
{
    let what = K::plural(&K::DynamicType::default()).into_owned();
    let mut params = params.limit(500);
    let mut all = Vec::new();
    loop {
        let page = call("list", &what, api.list(&params)).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// All objects under a path of the API, as in `/apis/apps/v1/deployments`, page by page and each read as `T`: of objects
/// that are many and large, no more is kept than `T` takes. `None` when the API server serves no such kind.
///
/// # Errors
/// When the API server refuses or does not answer, or an object is none that `T` can be read from: half a list is never
/// returned.
pub async fn read_all<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    page_size: u32,
) -> Result<Option<Vec<T>>, KubernetesError> {
    let what = resource_at(path);
    let mut params = ListParams::default().limit(page_size);
    let mut all = Vec::new();
    loop {
        let page = async {
            let request = Request::new(path).list(&params).map_err(kube::Error::BuildRequest)?;
            client.request::<Page<T>>(request).await
        };
        let page = match call("list", &what, page).await {
            Ok(page) => page,
            // A kind that goes away between two pages takes its objects with it.
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(Some(all)),
        }
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<T>,
}

/// Server-side apply with force: the fields that `object` sets become ours and get its values; those that we set
/// before and no longer set are dropped; the fields of others stay. `object` must name its `apiVersion`, `kind` and
/// `metadata.name`.
///
/// An apply that changes nothing leaves the resourceVersion alone.
///
/// # Errors
/// When the API server refuses the object or does not answer.
pub async fn apply<K>(api: &Api<K>, name: &str, object: &(impl Serialize + Debug)) -> Result<K, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    call(
        "apply",
        &describe(api, name),
        api.patch(name, &params, &Patch::Apply(object)),
    )
    .await
}

/// Server-side apply without force, for one field manager of its own: a field that another one has set to another value
/// is left alone, and the whole apply refused. What the manager applied before and `object` does not have is let go.
/// An `object` with `metadata.uid` is never made, and with `metadata.resourceVersion` only written as it was read.
///
/// # Errors
/// [`super::Failure::Conflict`] when another manager holds a field, or the object is not the one that was read; else when
/// the API server refuses the object or does not answer.
pub async fn apply_gently<K>(
    api: &Api<K>,
    name: &str,
    manager: &str,
    object: &(impl Serialize + Debug),
) -> Result<K, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let (params, patch) = (PatchParams::apply(manager), Patch::Apply(object));
    call("apply", &describe(api, name), api.patch(name, &params, &patch)).await
}

/// Merges a patch into an object under the name of a field manager, as `kubectl` does. One with
/// `metadata.resourceVersion` is only merged into what was read.
///
/// # Errors
/// [`super::Failure::Conflict`] when the object changed since it was read; else when the API server refuses the patch or
/// does not answer.
pub async fn merge<K>(
    api: &Api<K>,
    name: &str,
    manager: &str,
    patch: &(impl Serialize + Debug),
) -> Result<K, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(patch);
    call("patch", &describe(api, name), api.patch(name, &params, &patch)).await
}

/// Server-side apply of the status, with nothing but the object's identity beside it, so that no part of a spec is
/// ever claimed. `manager` tells the writers of one status apart: each owns only the conditions that it sets.
///
/// # Errors
/// When the API server refuses the status or does not answer; a missing object is [`super::Failure::NotFound`].
pub async fn apply_status<K>(api: &Api<K>, name: &str, manager: &str, status: &Value) -> Result<K, KubernetesError>
where
    K: Resource<DynamicType: Default> + Clone + DeserializeOwned + Debug,
{
    let patch = Patch::Apply(status_patch::<K>(name, status));
    let params = PatchParams::apply(manager).force();
    let answer = api.patch_status(name, &params, &patch);
    call("write the status of", &describe(api, name), answer).await
}

fn status_patch<K: Resource<DynamicType: Default>>(name: &str, status: &Value) -> Value {
    let dynamic = K::DynamicType::default();
    json!({
        "apiVersion": K::api_version(&dynamic),
        "kind": K::kind(&dynamic),
        "metadata": { "name": name },
        "status": status,
    })
}

/// Deletes the object with this UID. One that is gone already is fine. Gives it back where something keeps it from going
/// at once: a finalizer.
///
/// # Errors
/// [`super::Failure::Conflict`] when another object has the name now; else when the API server refuses or does not
/// answer.
pub async fn delete<K>(api: &Api<K>, name: &str, uid: &str) -> Result<Option<K>, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    match call("delete", &describe(api, name), api.delete(name, &params)).await {
        Ok(answer) => Ok(answer.left().filter(|left| left.meta().deletion_timestamp.is_some())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        apps::v1::Deployment,
        core::v1::{Node, Secret},
    };
    use kube::{api::DynamicObject, core::ApiResource};

    use super::*;
    use crate::kubernetes::{
        Failure,
        fake::{answering, refusal},
    };

    #[test]
    fn a_status_patch_claims_nothing_but_the_status() {
        assert_eq!(
            status_patch::<Deployment>("web", &json!({ "replicas": 1 })),
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": { "name": "web" },
                "status": { "replicas": 1 },
            })
        );
    }

    #[tokio::test]
    async fn objects_are_named_as_kubectl_takes_them() {
        let (client, _) = answering([]);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), "argocd");
        assert_eq!(describe(&secrets, "a"), "secrets/a in namespace argocd");
        assert_eq!(describe(&Api::<Node>::all(client.clone()), "n"), "nodes/n");
        let dynamic = Api::all_with(client, &ApiResource::erase::<Deployment>(&()));
        assert_eq!(describe::<DynamicObject>(&dynamic, "d"), "deployments.apps/d");
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_last_page_or_not_at_all() {
        let page = |names: &[&str], token: &str| {
            let items: Vec<_> = names
                .iter()
                .map(|name| json!({ "metadata": { "name": name } }))
                .collect();
            (
                200,
                json!({ "kind": "NodeList", "apiVersion": "v1", "metadata": { "continue": token }, "items": items }),
            )
        };
        let (client, asked) = answering([page(&["a", "b"], "t1"), page(&["c"], "")]);
        let nodes = list(&Api::<Node>::all(client)).await.unwrap();
        assert_eq!(nodes.len(), 3);
        assert_eq!(asked.lock().unwrap()[1].0, "GET /api/v1/nodes?&limit=500&continue=t1");

        let (client, _) = answering([page(&["a"], "t1"), refusal(410, "Expired")]);
        assert!(list(&Api::<Node>::all(client)).await.is_err());
    }

    #[tokio::test]
    async fn many_objects_are_read_page_by_page_and_no_more_of_them_than_is_asked_for() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Brief {
            spec: u8,
        }
        let path = "/apis/example.com/v1/things";
        let page = |numbers: &[u8], token: &str| {
            let items: Vec<_> = numbers
                .iter()
                .map(|number| json!({ "spec": number, "status": "much" }))
                .collect();
            (200, json!({ "metadata": { "continue": token }, "items": items }))
        };
        let (client, asked) = answering([page(&[1, 2], "t1"), page(&[3], "")]);
        let found = read_all::<Brief>(&client, path, 2).await.unwrap().unwrap();
        assert_eq!(found, [1, 2, 3].map(|spec| Brief { spec }));
        assert_eq!(
            asked.lock().unwrap()[1].0,
            "GET /apis/example.com/v1/things?&limit=2&continue=t1"
        );

        let (client, _) = answering([
            refusal(404, "NotFound"),
            refusal(403, "Forbidden"),
            page(&[1], "t1"),
            refusal(410, "Expired"),
        ]);
        assert_eq!(read_all::<Brief>(&client, path, 2).await.unwrap(), None, "no such kind");
        let refused = read_all::<Brief>(&client, path, 2).await.unwrap_err();
        assert!(
            refused.to_string().starts_with("could not list things.example.com: "),
            "{refused}"
        );
        assert!(
            read_all::<Brief>(&client, path, 2).await.is_err(),
            "half a list is none"
        );
        let (client, _) = answering([(200, json!({ "metadata": {}, "items": [{ "spec": "odd" }] }))]);
        assert!(read_all::<Brief>(&client, path, 2).await.is_err());
    }

    #[tokio::test]
    async fn a_missing_object_is_none_and_a_refused_read_is_not() {
        let (client, _) = answering([refusal(404, "NotFound"), refusal(403, "Forbidden")]);
        let nodes: Api<Node> = Api::all(client);
        assert!(get_opt(&nodes, "n").await.unwrap().is_none());
        assert_eq!(get_opt(&nodes, "n").await.unwrap_err().failure(), Failure::Forbidden);
    }

    #[tokio::test]
    async fn apply_is_forced_under_our_name_and_status_under_the_name_given() {
        let node = || {
            (
                200,
                json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } }),
            )
        };
        let (client, asked) = answering([node(), node()]);
        let nodes: Api<Node> = Api::all(client);
        let object = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } });
        apply(&nodes, "n", &object).await.unwrap();
        apply_status(&nodes, "n", "example-verifier", &json!({})).await.unwrap();
        let asked = asked.lock().unwrap();
        let lines: Vec<_> = asked.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!(
            lines,
            [
                "PATCH /api/v1/nodes/n?&force=true&fieldManager=mooring",
                "PATCH /api/v1/nodes/n/status?&force=true&fieldManager=example-verifier",
            ]
        );
    }

    #[tokio::test]
    async fn what_is_shared_with_others_is_written_under_a_name_of_its_own_and_never_by_force() {
        let node = || {
            (
                200,
                json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n" } }),
            )
        };
        let (client, asked) = answering([node(), node(), refusal(409, "Conflict")]);
        let nodes: Api<Node> = Api::all(client);
        let object = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n", "uid": "u" } });
        apply_gently(&nodes, "n", "example-bind", &object).await.unwrap();
        merge(&nodes, "n", "example-bind", &json!({})).await.unwrap();
        let held = apply_gently(&nodes, "n", "example-bind", &object).await;
        assert!(held.unwrap_err().is_conflict());
        let asked = asked.lock().unwrap();
        for (line, _) in asked.iter() {
            assert_eq!(line, "PATCH /api/v1/nodes/n?&fieldManager=example-bind");
        }
    }

    #[tokio::test]
    async fn a_deletion_names_the_uid_and_an_absent_object_is_fine() {
        let (client, asked) = answering([refusal(404, "NotFound"), refusal(409, "Conflict")]);
        let nodes: Api<Node> = Api::all(client);
        delete(&nodes, "n", "u-1").await.unwrap();
        assert!(delete(&nodes, "n", "u-1").await.unwrap_err().is_conflict());
        assert_eq!(asked.lock().unwrap()[0].1["preconditions"], json!({ "uid": "u-1" }));
    }
}
