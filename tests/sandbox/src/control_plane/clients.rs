//! Ways in: clients, tokens and kubeconfigs.

use std::{path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{HeaderValue, USER_AGENT};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, Config, api::PostParams, config::AuthInfo};

use super::{ControlPlane, Error, guard::write_private, pki::Identity};

/// What the sandbox's own requests call themselves.
const AGENT: &str = "mooring-sandbox";

/// One hour, as a projected volume asks for by default.
const LIFETIME: Duration = Duration::from_hours(1);

impl ControlPlane {
    /// A client of a cluster administrator (group `system:masters`). Each call gives a new one, because a client's
    /// connections belong to the tokio runtime it was made in.
    ///
    /// # Errors
    /// [`Error::Request`] if its TLS settings are refused.
    pub fn admin(&self) -> Result<Client, Error> {
        self.admin_named(AGENT)
    }

    /// As [`ControlPlane::admin`], calling itself `user_agent`, so that [`ControlPlane::writes_by`] can tell it apart.
    ///
    /// # Errors
    /// As [`ControlPlane::admin`], also for a user agent that cannot stand in a header.
    pub fn admin_named(&self, user_agent: &str) -> Result<Client, Error> {
        self.client(certificate(&self.admin), user_agent)
    }

    /// A client that is `user` in `groups`, by certificate, without any object in the cluster.
    ///
    /// # Errors
    /// As [`ControlPlane::admin`]; [`Error::Certificate`] if the certificate cannot be made.
    pub fn client_of_user(&self, user: &str, groups: &[&str]) -> Result<Client, Error> {
        self.client(certificate(&self.authority.user(user, groups)?), AGENT)
    }

    /// A client with this bearer token.
    ///
    /// # Errors
    /// As [`ControlPlane::admin`].
    pub fn client_with_token(&self, token: &str, user_agent: &str) -> Result<Client, Error> {
        let token = Some(token.to_owned().into());
        self.client(
            AuthInfo {
                token,
                ..AuthInfo::default()
            },
            user_agent,
        )
    }

    /// A token of a service account that exists, for one audience, as a projected volume of a pod would hold it (for
    /// one hour). IRSA's audience is `sts.amazonaws.com`; the server's own is [`ControlPlane::issuer`].
    ///
    /// # Errors
    /// [`Error::Request`] when the server refuses, for instance because there is no such service account.
    pub async fn token(&self, namespace: &str, service_account: &str, audience: &str) -> Result<String, Error> {
        self.request_token(namespace, service_account, &[audience], LIFETIME)
            .await
    }

    /// A kubeconfig of a service account that exists, with a token for this API server. Readable by this user only; it
    /// goes with the control plane. The server grants no less than ten minutes.
    ///
    /// # Errors
    /// As [`ControlPlane::token`]; [`Error::File`] when it cannot be written.
    pub async fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<PathBuf, Error> {
        self.kubeconfig_by_way_of(&self.url(), namespace, name, lifetime).await
    }

    /// The same, for a server at another address: an [`ApiProxy`](super::ApiProxy) in front of this one.
    ///
    /// # Errors
    /// As [`ControlPlane::kubeconfig_for_service_account`].
    pub async fn kubeconfig_by_way_of(
        &self,
        url: &str,
        namespace: &str,
        name: &str,
        lifetime: Duration,
    ) -> Result<PathBuf, Error> {
        let token = self.request_token(namespace, name, &[self.issuer()], lifetime).await?;
        let path = self.folder().join(format!("{namespace}.{name}.kubeconfig"));
        let content = self.kubeconfig(url, namespace, &format!("token: {token}"));
        write_private(&path, content.as_bytes()).map_err(Error::file("write", &path))?;
        Ok(path)
    }

    /// The public keys of its service account tokens, a JSON Web Key Set.
    ///
    /// # Errors
    /// [`Error::Request`] when the server does not answer.
    pub async fn jwks(&self) -> Result<serde_json::Value, Error> {
        let failed = |source| Error::request("get the token signing keys")(source);
        let request = http::Request::get("/openid/v1/jwks").body(Vec::new());
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        self.admin()?.request(request).await.map_err(failed)
    }

    async fn request_token(
        &self,
        namespace: &str,
        service_account: &str,
        audiences: &[&str],
        lifetime: Duration,
    ) -> Result<String, Error> {
        let failed = || {
            Error::request(format!(
                "request a token of service account {namespace}/{service_account}"
            ))
        };
        let spec = TokenRequestSpec {
            audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
            expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest {
            spec,
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.admin()?, namespace);
        let answer = api
            .create_token_request(service_account, &PostParams::default(), &request)
            .await;
        Ok(answer
            .map_err(failed())?
            .status
            .map(|status| status.token)
            .unwrap_or_default())
    }

    fn client(&self, auth: AuthInfo, user_agent: &str) -> Result<Client, Error> {
        let failed = || Error::request(format!("make a client of control plane `{}`", self.name()));
        let url = self
            .url()
            .parse()
            .map_err(|error: http::uri::InvalidUri| failed()(kube::Error::HttpError(error.into())))?;
        let agent =
            HeaderValue::from_str(user_agent).map_err(|error| failed()(kube::Error::HttpError(error.into())))?;
        let mut config = Config::new(url);
        config.root_cert = Some(vec![self.authority.der()]);
        config.auth_info = auth;
        config.headers = vec![(USER_AGENT, agent)];
        // A test must see the first answer.
        config.default_retry = false;
        Client::try_from(config).map_err(failed())
    }

    /// A kubeconfig with one cluster and one user, whose fields are `user`.
    pub(super) fn kubeconfig(&self, url: &str, namespace: &str, user: &str) -> String {
        let (name, ca) = (serde_json::json!(self.name()), STANDARD.encode(self.ca_pem()));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\n\
             clusters:\n- name: {name}\n  cluster:\n    server: {url}\n    certificate-authority-data: {ca}\n\
             contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n    namespace: {namespace}\n\
             users:\n- name: {name}\n  user:\n    {user}\n"
        )
    }
}

/// The user fields of a kubeconfig for a certificate.
pub(super) fn certificate_user(identity: &Identity) -> String {
    let (certificate, key) = (STANDARD.encode(&identity.certificate), STANDARD.encode(&identity.key));
    format!("client-certificate-data: {certificate}\n    client-key-data: {key}")
}

fn certificate(identity: &Identity) -> AuthInfo {
    AuthInfo {
        client_certificate_data: Some(STANDARD.encode(&identity.certificate)),
        client_key_data: Some(STANDARD.encode(&identity.key).into()),
        ..AuthInfo::default()
    }
}
