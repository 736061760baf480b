//! The EKS Pod Identity agent: an HTTP endpoint that gives a pod the credentials of its role.
//!
//! On a node it listens on a link-local address; here on loopback, which the SDKs' container provider takes as well.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;
use super::contract::ApiError;
use super::dispatch::Core;
use super::world::Credentials;

/// A pod, and the role that its association gives it.
#[derive(Clone)]
struct Pod {
    role_arn: String,
    cluster_arn: String,
    namespace: String,
    service_account: String,
    name: String,
}

type Pods = Arc<Mutex<HashMap<String, Pod>>>;

/// A running agent; it stops when it is dropped.
pub(super) struct Agent {
    address: SocketAddr,
    folder: PathBuf,
    pods: Pods,
    task: JoinHandle<Infallible>,
}

impl Agent {
    /// Listens on a free port of the loopback interface; the pods' tokens go into `folder`.
    pub(super) async fn start(core: Arc<Core>, folder: &Path) -> Result<Self, StartError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let pods = Pods::default();
        let task = tokio::spawn(accept(listener, core, Arc::clone(&pods)));
        Ok(Self {
            address,
            folder: folder.to_owned(),
            pods,
            task,
        })
    }

    /// Makes a pod known, and gives the environment that the Pod Identity webhook would give it.
    pub(super) fn bind(
        &self,
        role_arn: &str,
        cluster_arn: &str,
        namespace: &str,
        service_account: &str,
        name: &str,
    ) -> Result<Vec<(String, String)>, StartError> {
        let token = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.folder.join(format!("eks-pod-identity-token-{}", pods.len()));
        fs::write(&file, &token).map_err(|source| StartError::folder(&file, source))?;
        let pod = Pod {
            role_arn: role_arn.to_owned(),
            cluster_arn: cluster_arn.to_owned(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            name: name.to_owned(),
        };
        pods.insert(token, pod);
        Ok(vec![
            (
                "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
                format!("http://{}/v1/credentials", self.address),
            ),
            (
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned(),
                file.display().to_string(),
            ),
        ])
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, core: Arc<Core>, pods: Pods) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let (core, pods) = (Arc::clone(&core), Arc::clone(&pods));
            connections.spawn(async move {
                let service =
                    service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&core, &pods, &request))));
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

fn answer(core: &Core, pods: &Pods, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/v1/credentials" {
        return text(
            StatusCode::NOT_FOUND,
            "the Pod Identity agent answers at /v1/credentials only",
        );
    }
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let pod = pods.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
    let Some(pod) = pod else {
        return text(
            StatusCode::UNAUTHORIZED,
            "Service account token cannot be empty or unknown",
        );
    };
    let credentials = core.world.assume_for_pod(
        &pod.role_arn,
        &pod.cluster_arn,
        &pod.namespace,
        &pod.service_account,
        &pod.name,
    );
    match credentials {
        Ok(credentials) => text(StatusCode::OK, &document(&pod.role_arn, &credentials)),
        Err(ApiError {
            status, code, message, ..
        }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            text(status, &format!("[{code}]: (fault: client) {message}"))
        }
    }
}

fn document(role_arn: &str, credentials: &Credentials) -> String {
    json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "Token": credentials.session_token,
        "Expiration": credentials.expiration.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        "AccountId": role_arn.split(':').nth(4),
    })
    .to_string()
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}
