//! The webhooks that make an API server an EKS cluster: on loopback, each cluster with two paths of its own. An API
//! server sends them `TokenReview`s and `SubjectAccessReview`s, both of version v1.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;
use super::authorizer;
use super::dispatch::Core;
use super::service::eks::Key;

const AUTHENTICATE: &str = "authenticate";
const AUTHORIZE: &str = "authorize";

/// Where a cluster's API server asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterWebhooks {
    /// Who has a bearer token: the URL of a `TokenReview` webhook.
    pub authentication: String,
    /// Whether a user's access policies allow a request: the URL of a `SubjectAccessReview` webhook.
    pub authorization: String,
}

/// The running webhooks; they stop when this is dropped.
pub(super) struct Webhooks {
    address: SocketAddr,
    task: JoinHandle<Infallible>,
}

impl Webhooks {
    /// Listens on a free port of the loopback interface.
    pub(super) async fn start(core: Arc<Core>) -> Result<Self, StartError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let task = tokio::spawn(accept(listener, core));
        Ok(Self { address, task })
    }

    /// The webhooks of a cluster, be it there already or not.
    pub(super) fn of(&self, (account, region, name): &Key) -> ClusterWebhooks {
        let url = |what: &str| format!("http://{}/{account}/{region}/{name}/{what}", self.address);
        ClusterWebhooks {
            authentication: url(AUTHENTICATE),
            authorization: url(AUTHORIZE),
        }
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, core: Arc<Core>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let core = Arc::clone(&core);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(&core, request));
                    // An error here is an API server that stopped.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the sandbox's EKS webhooks cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(core: &Core, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let [account, region, name, what] = parts.as_slice() else {
        return Ok(respond(StatusCode::NOT_FOUND, &json!({"message": "no such webhook"})));
    };
    let cluster = ((*account).to_owned(), (*region).to_owned(), (*name).to_owned());
    let Ok(mut review) = serde_json::from_slice::<Value>(&body) else {
        let message = json!({"message": "the body is not JSON"});
        return Ok(respond(StatusCode::BAD_REQUEST, &message));
    };
    let spec = review["spec"].take();
    let status = match (*what, review["kind"].as_str()) {
        (AUTHENTICATE, Some("TokenReview")) => {
            let token = spec["token"].as_str().unwrap_or_default();
            let found = core.authenticator.review(core, &cluster, token).await;
            found.map_or_else(|_| json!({"authenticated": false}), |found| found.status())
        }
        (AUTHORIZE, Some("SubjectAccessReview")) => authorizer::review(&core.eks, &cluster, &spec),
        _ => {
            let message =
                json!({"message": "a TokenReview goes to .../authenticate, a SubjectAccessReview to .../authorize"});
            return Ok(respond(StatusCode::BAD_REQUEST, &message));
        }
    };
    // What was asked is not sent back: it holds the token.
    let answer = json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "status": status});
    Ok(respond(StatusCode::OK, &answer))
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
