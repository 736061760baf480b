//! Our finalizer. kube's own lets go when a cleanup only asked to be called again, and does not take objects that do
//! not parse; here the caller says when it is done, and only the object's metadata is ever read.
//!
//! Every write carries the resourceVersion, so that the finalizers of others survive; a lost race is tried again on
//! what is there now.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    error::{KubernetesError, call},
    objects::{FIELD_MANAGER, describe},
};

/// How often a lost race is tried again at once; then the conflict is the caller's.
const TRIES: usize = 5;

/// How far a removal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Everything that stood behind the object is gone: the finalizer may go.
    Done,
    /// Something is still there: hold on, and look again.
    Waiting,
}

/// What [`add`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The object bears the finalizer.
    Held,
    /// The object is being removed without the finalizer, is gone, or was made anew: make nothing for it.
    TooLate,
}

/// True when the object bears the finalizer.
#[must_use]
pub fn bears(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|each| each == finalizer)
}

/// Makes sure that the object bears the finalizer, before anything is made for it. Starts from `seen`, the metadata
/// at hand, and reads again only when that turns out stale.
///
/// # Errors
/// When the API server refuses or does not answer, or the object changed under every try.
pub async fn add<K>(api: &Api<K>, seen: &ObjectMeta, finalizer: &str) -> Result<Hold, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut current = Some(seen.clone());
    let mut tries = TRIES;
    while let Some(meta) = current {
        if bears(&meta, finalizer) {
            return Ok(Hold::Held);
        }
        if meta.deletion_timestamp.is_some() {
            return Ok(Hold::TooLate);
        }
        let with = meta.finalizers.iter().flatten().cloned().chain([finalizer.to_owned()]);
        tries -= 1;
        match write(api, &meta, with.collect(), "add a finalizer to", tries).await? {
            Written::Yes => return Ok(Hold::Held),
            Written::Gone => return Ok(Hold::TooLate),
            Written::Stale => current = read(api, seen).await?,
        }
    }
    Ok(Hold::TooLate)
}

/// Takes the finalizer off. An object that is gone, was made anew or does not bear it is fine.
///
/// # Errors
/// When the API server refuses or does not answer, or the object changed under every try.
pub async fn remove<K>(api: &Api<K>, seen: &ObjectMeta, finalizer: &str) -> Result<(), KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    // What is at hand may be older than the finalizer; only what is there now may say that it does not bear it.
    let mut current = if bears(seen, finalizer) {
        Some(seen.clone())
    } else {
        read(api, seen).await?
    };
    let mut tries = TRIES;
    while let Some(meta) = current.filter(|meta| bears(meta, finalizer)) {
        let without = meta
            .finalizers
            .iter()
            .flatten()
            .filter(|each| *each != finalizer)
            .cloned();
        tries -= 1;
        match write(api, &meta, without.collect(), "take a finalizer off", tries).await? {
            Written::Yes | Written::Gone => return Ok(()),
            Written::Stale => current = read(api, seen).await?,
        }
    }
    Ok(())
}

enum Written {
    Yes,
    /// The object changed since it was read.
    Stale,
    Gone,
}

async fn write<K>(
    api: &Api<K>,
    meta: &ObjectMeta,
    finalizers: Vec<String>,
    what: &'static str,
    tries_left: usize,
) -> Result<Written, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = meta.name.as_deref().unwrap_or_default();
    // Without a version nothing would guard the finalizers of others.
    let Some(patch) = patch(meta, &finalizers) else {
        return Ok(Written::Stale);
    };
    let patch = Patch::Merge(patch);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let answer = api.patch_metadata(name, &params, &patch);
    match call(what, &describe(api, name), answer).await {
        Ok(_) => Ok(Written::Yes),
        Err(error) if error.is_not_found() => Ok(Written::Gone),
        Err(error) if error.is_conflict() && tries_left > 0 => Ok(Written::Stale),
        Err(error) => Err(error),
    }
}

fn patch(meta: &ObjectMeta, finalizers: &[String]) -> Option<Value> {
    let resource_version = meta.resource_version.as_deref()?;
    Some(json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } }))
}

/// The object's metadata as it is now; `None` when it is gone or another has its name.
async fn read<K>(api: &Api<K>, seen: &ObjectMeta) -> Result<Option<ObjectMeta>, KubernetesError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = seen.name.as_deref().unwrap_or_default();
    let found = call("get", &describe(api, name), api.get_metadata_opt(name)).await?;
    Ok(found.map(|object| object.metadata).filter(|meta| meta.uid == seen.uid))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::from_value;

    use super::*;
    use crate::kubernetes::fake::{Asked, answering, refusal};

    const OURS: &str = "example.com/hold";

    fn meta(version: &str, finalizers: &[&str], deleting: bool) -> Value {
        let deleted = deleting.then_some("2026-01-01T00:00:00Z");
        json!({
            "name": "a", "namespace": "n", "uid": "1", "resourceVersion": version,
            "finalizers": finalizers, "deletionTimestamp": deleted,
        })
    }

    fn found(meta: &Value) -> (u16, Value) {
        (
            200,
            json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": meta }),
        )
    }

    fn api(answers: Vec<(u16, Value)>) -> (Api<ConfigMap>, Asked) {
        let (client, asked) = answering(answers);
        (Api::namespaced(client, "n"), asked)
    }

    fn patches(asked: &Asked) -> Vec<Value> {
        let asked = asked.lock().unwrap();
        asked
            .iter()
            .filter(|(line, _)| line.starts_with("PATCH"))
            .map(|(_, body)| body.clone())
            .collect()
    }

    fn seen(meta: Value) -> ObjectMeta {
        from_value(meta).unwrap()
    }

    #[tokio::test]
    async fn adding_keeps_the_finalizers_of_others_and_is_guarded_by_the_version() {
        let (api, asked) = api(vec![found(&meta("8", &["other", OURS], false))]);
        let hold = add(&api, &seen(meta("7", &["other"], false)), OURS).await.unwrap();
        assert_eq!(hold, Hold::Held);
        assert_eq!(
            patches(&asked),
            [json!({ "metadata": { "resourceVersion": "7", "finalizers": ["other", OURS] } })]
        );
    }

    #[tokio::test]
    async fn adding_twice_asks_for_nothing() {
        let (api, asked) = api(Vec::new());
        assert_eq!(
            add(&api, &seen(meta("7", &[OURS], false)), OURS).await.unwrap(),
            Hold::Held
        );
        assert!(asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_object_that_is_removed_or_made_anew_meanwhile_is_not_held() {
        let (none, _) = api(Vec::new());
        assert_eq!(
            add(&none, &seen(meta("7", &[], true)), OURS).await.unwrap(),
            Hold::TooLate
        );
        let (gone, _) = api(vec![refusal(404, "NotFound")]);
        assert_eq!(
            add(&gone, &seen(meta("7", &[], false)), OURS).await.unwrap(),
            Hold::TooLate
        );
        let mut other = meta("9", &[], false);
        other["uid"] = json!("2");
        let (anew, _) = api(vec![refusal(409, "Conflict"), found(&other)]);
        assert_eq!(
            add(&anew, &seen(meta("7", &[], false)), OURS).await.unwrap(),
            Hold::TooLate
        );
    }

    #[tokio::test]
    async fn a_lost_race_is_tried_again_on_what_is_there_now() {
        let (api, asked) = api(vec![
            refusal(409, "Conflict"),
            found(&meta("8", &["new", OURS], true)),
            found(&meta("9", &["new"], true)),
        ]);
        remove(&api, &seen(meta("7", &[OURS], true)), OURS).await.unwrap();
        assert_eq!(
            patches(&asked)[1],
            json!({ "metadata": { "resourceVersion": "8", "finalizers": ["new"] } })
        );
    }

    #[tokio::test]
    async fn a_race_that_is_always_lost_ends_as_a_conflict() {
        let turn = || [refusal(409, "Conflict"), found(&meta("8", &[OURS], true))];
        let (api, asked) = api((0..TRIES).flat_map(|_| turn()).collect());
        let error = remove(&api, &seen(meta("7", &[OURS], true)), OURS).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(patches(&asked).len(), TRIES);
    }

    #[tokio::test]
    async fn removing_looks_again_before_it_believes_that_there_is_nothing_to_remove() {
        let (api, asked) = api(vec![found(&meta("8", &[OURS], true)), found(&meta("9", &[], true))]);
        remove(&api, &seen(meta("7", &[], true)), OURS).await.unwrap();
        assert_eq!(patches(&asked).len(), 1);
    }

    #[tokio::test]
    async fn removing_from_what_is_gone_is_fine_and_a_refusal_is_not() {
        let (gone, _) = api(vec![refusal(404, "NotFound")]);
        remove(&gone, &seen(meta("7", &[OURS], true)), OURS).await.unwrap();
        let (denied, _) = api(vec![refusal(403, "Forbidden")]);
        let error = remove(&denied, &seen(meta("7", &[OURS], true)), OURS)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("could not take a finalizer off configmaps/a in namespace n: "),
            "{error}"
        );
    }
}
