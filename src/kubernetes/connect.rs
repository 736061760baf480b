//! The client of the API server that we run on.

use std::time::Duration;

use http::{HeaderValue, header::USER_AGENT};
use kube::{Client, Config};

use super::KubernetesError;

/// How long a connection may be silent while an answer is awaited. A watch ends after 290 s and is given 5 s more
/// (kube-runtime 5.0.0, `watcher.rs`); a list that is never answered has no other end, and whoever waits for it sees
/// nothing any more.
const SILENCE: Duration = Duration::from_mins(5);

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

/// A client from a given configuration, with retries off, and with an end to waiting for a connection or an answer.
///
/// # Errors
/// When the configuration's TLS or authentication material cannot be used.
pub fn client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    // So that the API server's audit log tells who wrote.
    let agent = HeaderValue::from_static(concat!("mooring/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(SILENCE);
    Client::try_from(config)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_list_that_is_never_answered_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = client(Config::new(url.parse().unwrap())).unwrap();
        let list = tokio::spawn(async move { client.list_core_api_versions().await });
        let (mut taken, _) = listener.accept().await.unwrap();
        let mut head = [0; 16];
        tokio::io::AsyncReadExt::read_exact(&mut taken, &mut head)
            .await
            .unwrap();
        // From here on only the clock moves.
        tokio::time::pause();
        assert!(list.await.unwrap().is_err());
    }
}
