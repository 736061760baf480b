//! The client of the API server that we run on.

use std::time::Duration;

use http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config};

use super::KubernetesError;

/// A client from the pod's service account or, outside a cluster, from the kubeconfig.
///
/// Retries are off: the work queue between passes owns them, and kube's own policy waits up to 1,000 s for a try.
///
/// # Errors
/// When there is neither a service account nor a usable kubeconfig.
pub async fn connect() -> Result<Client, KubernetesError> {
    let fail = |cause| KubernetesError::new("connect to", "the Kubernetes API", cause);
    let config = Config::infer().await.map_err(kube::Error::InferConfig).map_err(fail)?;
    client(config).map_err(fail)
}

/// A client from a given configuration, with retries off and a connect timeout.
///
/// # Errors
/// When the configuration's TLS or authentication material cannot be used.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    // So that the API server's audit log tells who wrote.
    let agent = HeaderValue::from_static(concat!("mooring/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    config.connect_timeout = Some(Duration::from_secs(10));
    Client::try_from(config)
}
