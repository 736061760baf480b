//! What Argo CD does to reach a cluster: a pod's token for the management role, that for the role which the cluster
//! Secret names, and that for a bearer token, shown to the server which the Secret names.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, Config, api::ListParams, config::AuthInfo};
use serde_json::{Value, json};

use super::{Stage, StageError};
use crate::aws::{BearerToken, Credentials, contract::ApiError, contract::Service::Sts};

/// What a cluster Secret says, as Argo CD reads it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The server.
    pub server: String,
    config: Value,
}

impl Destination {
    /// Reads a cluster Secret.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(secret: &Secret) -> Result<Self, StageError> {
        let text = |key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key));
            value
                .and_then(|value| String::from_utf8(value.0.clone()).ok())
                .ok_or_else(|| StageError::new(format!("the cluster Secret has no {key}")))
        };
        Ok(Self {
            server: text("server")?,
            config: serde_json::from_str(&text("config")?)?,
        })
    }

    fn text(&self, part: &str, member: &str) -> &str {
        self.config[part][member].as_str().unwrap_or_default()
    }

    /// A client with a new token, of a new session of the role that the Secret names. It is made by way of the hub's own
    /// region, wherever the cluster is.
    ///
    /// # Errors
    /// When AWS refuses the role, or the Secret's certificate authority is none.
    pub fn client(&self, stage: &Stage, pod: &Credentials) -> Result<Client, StageError> {
        let session = format!("argocd-{:08x}", fastrand::u32(..));
        let input = json!({"RoleArn": self.text("awsAuthConfig", "roleARN"), "RoleSessionName": session});
        let answer = stage.aws.call(pod, Sts, "AssumeRole", input)?;
        let wrong = |what: &str| StageError::new(format!("{}: {what}", self.server));
        let credentials = Credentials::of_answer(&answer).ok_or_else(|| wrong("AssumeRole gave no credentials"))?;
        let token = BearerToken::new(self.text("awsAuthConfig", "clusterName"), &stage.fleet.hub.region)
            .sign(&credentials)
            .map_err(|error| wrong(&error.to_string()))?;
        let authority = STANDARD.decode(self.text("tlsClientConfig", "caData"));
        let authority = authority.map_err(|error| wrong(&format!("caData: {error}")))?;
        let mut config = Config::new(self.server.parse().map_err(|_| wrong("not a URL"))?);
        config.root_cert = Some(vec![
            der(&String::from_utf8_lossy(&authority)).ok_or_else(|| wrong("caData is no certificate"))?,
        ]);
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }
}

/// The certificate of one PEM block.
fn der(pem: &str) -> Option<Vec<u8>> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).ok()
}

impl Stage {
    /// The credentials that a pod of a service account of the hub gets for a role, by IRSA.
    ///
    /// # Errors
    /// What AWS says.
    pub async fn pod(&self, namespace: &str, service_account: &str, role: &str) -> Result<Credentials, ApiError> {
        let token = self.hub.token(namespace, service_account, "sts.amazonaws.com").await;
        let token = token.map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))?;
        let input = json!({"RoleArn": role, "RoleSessionName": "pod", "WebIdentityToken": token});
        let anybody = self.aws.root(&self.fleet.hub.account);
        let answer = self.aws.call(&anybody, Sts, "AssumeRoleWithWebIdentity", input)?;
        Credentials::of_answer(&answer).ok_or_else(|| ApiError::new(500, "InternalFailure", "no credentials"))
    }

    /// The cluster Secret that was written for a `ManagedCluster`, whatever labels it bears.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn cluster_secret(&self, namespace: &str, object: &str) -> Result<Option<Secret>, StageError> {
        let api: Api<Secret> = Api::namespaced(self.client()?, namespace);
        let of = |secret: &Secret| {
            let annotations = secret.metadata.annotations.as_ref();
            let name = annotations.and_then(|all| all.get("mooring.dev/managed-cluster"));
            name.is_some_and(|name| name == object)
        };
        Ok(api.list(&ListParams::default()).await?.into_iter().find(of))
    }
}
