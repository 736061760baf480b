//! Argo CD's namespace: every cluster Secret by Argo CD's own rules, the AppProjects, and one setting.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};

use crate::{
    access::evidence::ArgoCdEvidence,
    argocd::{Project, SECRET_TYPE, SETTINGS, SeenCluster, Settings, parse},
    aws::Look,
    kubernetes::{Failure, error::call, objects},
};

/// How many objects a page has.
const PAGE: u32 = 200;

pub(super) async fn look(client: &Client, namespace: &str) -> ArgoCdEvidence {
    let (malformed, projects, settings) = futures::future::join3(
        malformed(client, namespace),
        projects(client, namespace),
        settings(client, namespace),
    )
    .await;
    ArgoCdEvidence {
        malformed,
        projects,
        settings,
    }
}

/// One cluster Secret, read now.
pub(super) async fn secret(client: &Client, namespace: &str, name: &str) -> Look<Result<SeenCluster, String>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match objects::get_opt(&api, name).await {
        // Without its label it is no cluster to Argo CD.
        Ok(Some(secret)) if is_cluster(&secret) => Look::Seen(parse::read(&secret)),
        Ok(Some(_) | None) => Look::Absent,
        Err(error) => Look::Unseen(error.to_string()),
    }
}

fn is_cluster(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    let label = labels.and_then(|labels| labels.get(SECRET_TYPE.0));
    secret.metadata.deletion_timestamp.is_none() && label.is_some_and(|value| value == SECRET_TYPE.1)
}

async fn malformed(client: &Client, namespace: &str) -> Look<Vec<(String, String)>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut params = ListParams::default()
        .labels(&format!("{}={}", SECRET_TYPE.0, SECRET_TYPE.1))
        .limit(PAGE);
    let mut found = Vec::new();
    loop {
        // Each page is judged and let go of: what is secret in it stays nowhere.
        let page = match call("list", "cluster secrets", api.list(&params)).await {
            Ok(page) => page,
            Err(error) => return Look::Unseen(error.to_string()),
        };
        for secret in &page.items {
            if let Err(why) = parse::read(secret) {
                found.push((secret.metadata.name.clone().unwrap_or_default(), why));
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Look::Seen(found),
        }
    }
}

async fn projects(client: &Client, namespace: &str) -> Look<Vec<Project>> {
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("argoproj.io", "v1alpha1", "AppProject"),
        "appprojects",
    );
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    match call("list", "appprojects.argoproj.io", api.list(&ListParams::default())).await {
        Ok(list) => Look::Seen(list.items.iter().map(project).collect()),
        Err(error) if error.failure() == Failure::NotFound => Look::Absent,
        Err(error) => Look::Unseen(error.to_string()),
    }
}

fn project(object: &DynamicObject) -> Project {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    Project::read(name, object.data.get("spec").unwrap_or(&serde_json::Value::Null))
}

async fn settings(client: &Client, namespace: &str) -> Look<Settings> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    match objects::get_opt(&api, SETTINGS).await {
        Ok(Some(map)) => Look::Seen(Settings::read(&map.data.unwrap_or_default())),
        Ok(None) => Look::Absent,
        Err(error) => Look::Unseen(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    fn secret_of(name: &str, config: &str) -> Value {
        use base64::Engine;
        let encoded = base64::prelude::BASE64_STANDARD.encode(config);
        json!({"metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "cluster"}}, "data": {"config": encoded}})
    }

    #[tokio::test]
    async fn a_malformed_secret_of_anybodys_is_named_page_by_page() {
        let page = |items: Vec<Value>, token: &str| {
            let list =
                json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {"continue": token}, "items": items});
            (200, list)
        };
        let (client, asked) = answering([
            page(vec![secret_of("good", "{}")], "more"),
            page(vec![secret_of("bad", r#"{"bearerToken":{"hunter2":1}}"#)], ""),
        ]);
        let found = malformed(&client, "argocd").await;
        let why = "data.config.bearerToken is object, and must be a string".to_owned();
        assert_eq!(found, Look::Seen(vec![("bad".to_owned(), why)]));
        assert!(
            asked.lock().unwrap()[0]
                .0
                .contains("labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster")
        );
    }

    #[tokio::test]
    async fn a_missing_crd_is_nothing_to_say_and_a_refusal_is() {
        let (client, _) = answering([refusal(404, "NotFound"), refusal(403, "Forbidden")]);
        assert_eq!(projects(&client, "argocd").await, Look::Absent);
        assert!(matches!(projects(&client, "argocd").await, Look::Unseen(why) if why.contains("appprojects")));
    }

    #[tokio::test]
    async fn argo_cds_settings_are_read_and_unknown_where_they_cannot_be_read() {
        let data = json!({"application.sync.impersonation.enabled": "true"});
        let (client, asked) = answering([
            (200, json!({"metadata": {"name": "argocd-cm"}, "data": data})),
            (200, json!({"metadata": {"name": "argocd-cm"}})),
            refusal(404, "NotFound"),
            refusal(403, "Forbidden"),
        ]);
        for impersonation in [true, false] {
            let read = settings(&client, "argocd").await.known();
            assert_eq!(read.impersonation, impersonation);
        }
        assert_eq!(settings(&client, "argocd").await, Look::Absent);
        assert!(matches!(settings(&client, "argocd").await, Look::Unseen(why) if why.contains("argocd-cm")));
        assert_eq!(
            asked.lock().unwrap()[0].0,
            "GET /api/v1/namespaces/argocd/configmaps/argocd-cm"
        );
    }

    #[tokio::test]
    async fn a_secret_without_its_label_is_no_cluster() {
        let mut bare = secret_of("a", "{}");
        bare["metadata"]["labels"] = json!({});
        let (client, _) = answering([(200, bare), (200, secret_of("a", "{}"))]);
        assert_eq!(secret(&client, "argocd", "a").await, Look::Absent);
        assert!(matches!(secret(&client, "argocd", "a").await, Look::Seen(Ok(_))));
    }
}
