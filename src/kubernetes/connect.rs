//! The client of the API server that we run on.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request, header::USER_AGENT};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::filter::FilterLayer;

use super::{KubernetesError, error::NotLeading};

/// How long a connection may be silent while an answer is awaited. A watch ends after 290 s and is given 5 s more
/// (kube-runtime 5.0.0, `watcher.rs`); a list that is never answered has no other end, and whoever waits for it sees
/// nothing any more.
const SILENCE: Duration = Duration::from_mins(5);

/// Asked before each write whether it may be sent.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// A client from the pod's service account or, outside a cluster, from the kubeconfig. `process` tells this one from its
/// like in the API server's audit log; with a permit, nothing but reads is sent while it says no.
///
/// Retries are off: the work queue between passes owns them, and kube's own policy waits up to 1,000 s for a try.
///
/// # Errors
/// When there is neither a service account nor a usable kubeconfig.
pub async fn connect(process: Option<&str>, permit: Option<Permit>) -> Result<Client, KubernetesError> {
    let fail = |cause| KubernetesError::new("connect to", "the Kubernetes API", cause);
    let config = Config::infer().await;
    let config = config.map_err(|none| fail(kube::Error::InferConfig(none)))?;
    client(config, process, permit).map_err(fail)
}

/// The same from a given configuration, with retries off, and with an end to waiting for a connection or an answer.
///
/// # Errors
/// When the configuration's TLS or authentication material cannot be used.
pub fn client(mut config: Config, process: Option<&str>, permit: Option<Permit>) -> kube::Result<Client> {
    config.default_retry = false;
    config.headers.push((USER_AGENT, agent(process)));
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(SILENCE);
    let builder = ClientBuilder::try_from(config)?;
    Ok(match permit {
        Some(permit) => builder.with_layer(&FilterLayer::new(asking(permit))).build(),
        None => builder.build(),
    })
}

/// So that the API server's audit log tells who wrote.
fn agent(process: Option<&str>) -> HeaderValue {
    const PLAIN: &str = concat!("mooring/", env!("CARGO_PKG_VERSION"));
    let named = process.and_then(|process| HeaderValue::try_from(format!("{PLAIN} ({process})")).ok());
    named.unwrap_or(HeaderValue::from_static(PLAIN))
}

/// Around the whole client, so that no write of anybody can be forgotten.
fn asking(permit: Permit) -> impl FnMut(Request<Body>) -> Result<Request<Body>, NotLeading> + Clone {
    move |request| {
        if request.method().is_safe() || permit() {
            Ok(request)
        } else {
            Err(NotLeading)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api,
        api::{DeleteParams, Patch, PatchParams, PostParams},
    };
    use serde_json::json;
    use tokio::net::TcpListener;
    use tower::Layer;

    use super::*;
    use crate::kubernetes::{Failure, error::call, fake::service};

    #[tokio::test]
    async fn no_write_is_sent_without_a_permit_and_every_read_is() {
        let object = json!({"metadata": {"name": "a"}});
        let (server, asked) = service((0..6).map(|_| (200, object.clone())));
        let may = Arc::new(AtomicBool::new(true));
        let permit: Permit = {
            let may = Arc::clone(&may);
            Arc::new(move || may.load(Ordering::SeqCst))
        };
        let client = Client::new(FilterLayer::new(asking(permit)).layer(server), "n");
        let api: Api<ConfigMap> = Api::default_namespaced(client);
        let (post, patch) = (PostParams::default(), PatchParams::default());
        let empty = ConfigMap::default();
        let merge = Patch::Merge(json!({}));
        for allowed in [true, false] {
            may.store(allowed, Ordering::SeqCst);
            let outcomes = [
                call("create", "a", api.create(&post, &empty)).await.map(drop),
                call("patch", "a", api.patch("a", &patch, &merge)).await.map(drop),
                call("delete", "a", api.delete("a", &DeleteParams::default()))
                    .await
                    .map(drop),
            ];
            for outcome in outcomes {
                match outcome {
                    Ok(()) => assert!(allowed),
                    Err(error) => {
                        assert!(!allowed, "{error}");
                        assert_eq!(error.failure(), Failure::NotLeading);
                        assert!(error.to_string().ends_with(
                            "a: this process does not hold its lease, and writes nothing; the one that does goes on"
                        ));
                    }
                }
            }
        }
        call("get", "a", api.get("a")).await.unwrap();
        let methods: Vec<String> = asked
            .lock()
            .unwrap()
            .iter()
            .map(|(line, _)| line.split(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(methods, ["POST", "PATCH", "DELETE", "GET"]);
    }

    #[test]
    fn the_agent_names_the_process_where_it_can() {
        let text = |process| agent(process).to_str().unwrap().to_owned();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(text(Some("pod-a_1")), format!("mooring/{version} (pod-a_1)"));
        for plain in [None, Some("a\nb")] {
            assert_eq!(text(plain), format!("mooring/{version}"));
        }
    }

    #[tokio::test]
    async fn a_list_that_is_never_answered_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = client(Config::new(url.parse().unwrap()), None, None).unwrap();
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
