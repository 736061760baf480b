//! The service account issuer of the API server that we run on.

use std::sync::{Arc, Mutex, PoisonError};

use http::Request;
use kube::Client;
use serde::Deserialize;
use tracing::warn;

use super::error::{KubernetesError, call};

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

/// The issuer that the API server's own OIDC discovery document names, as in every service account token's `iss`.
///
/// # Errors
/// When the document cannot be read. The cluster role `system:service-account-issuer-discovery`, which Kubernetes
/// binds to every service account, allows it.
pub async fn issuer(client: &Client) -> Result<String, KubernetesError> {
    let (what, object) = ("read", "the hub's /.well-known/openid-configuration");
    let request = Request::get("/.well-known/openid-configuration")
        .body(Vec::new())
        .map_err(|cause| KubernetesError::new(what, object, kube::Error::HttpError(cause)))?;
    let document: Discovery = call(what, object, client.request(request)).await?;
    Ok(document.issuer)
}

/// The issuer as it was read last, for those who must not wait for a read.
#[derive(Clone, Debug, Default)]
pub struct Here(Arc<Mutex<Option<String>>>);

impl Here {
    /// Reads it anew.
    ///
    /// # Errors
    /// As [`issuer`].
    pub async fn read(&self, client: &Client) -> Result<String, KubernetesError> {
        let read = issuer(client).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        Ok(read)
    }

    /// Reads it for whoever goes on in any case.
    pub async fn look(&self, client: &Client) {
        if let Err(error) = self.read(client).await {
            warn!(%error, "which hub this is will be known once a ManagementRole was looked at");
        }
    }

    /// Reads it where it never was.
    ///
    /// # Errors
    /// As [`issuer`].
    pub async fn know(&self, client: &Client) -> Result<(), KubernetesError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if known {
            Ok(())
        } else {
            self.read(client).await.map(drop)
        }
    }

    /// Whether it is surely none of these.
    #[must_use]
    pub fn is_none_of(&self, known: &[&str]) -> bool {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.as_ref().is_some_and(|read| !known.contains(&read.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    #[tokio::test]
    async fn the_issuer_is_read_from_the_discovery_document() {
        let (client, asked) = answering([(200, json!({ "issuer": "https://issuer.example/id/1", "jwks_uri": "x" }))]);
        assert_eq!(issuer(&client).await.unwrap(), "https://issuer.example/id/1");
        assert_eq!(asked.lock().unwrap()[0].0, "GET /.well-known/openid-configuration");
    }

    #[tokio::test]
    async fn what_was_recorded_differs_only_from_what_was_read() {
        let (client, _) = answering([
            (200, json!({ "issuer": "https://issuer.example/id/1" })),
            refusal(403, "Forbidden"),
        ]);
        let here = Here::default();
        assert!(!here.is_none_of(&["https://issuer.example/id/2"]), "nothing was read");
        here.know(&client).await.unwrap();
        here.read(&client).await.unwrap_err();
        here.know(&client).await.unwrap();
        assert!(here.is_none_of(&["https://issuer.example/id/2"]));
        assert!(!here.is_none_of(&["https://issuer.example/id/2", "https://issuer.example/id/1"]));
    }

    #[tokio::test]
    async fn a_refusal_names_the_document() {
        let (client, _) = answering([refusal(403, "Forbidden")]);
        let error = issuer(&client).await.unwrap_err().to_string();
        assert!(
            error.contains("/.well-known/openid-configuration") && error.contains("RBAC"),
            "{error}"
        );
    }
}
