//! A faulting proxy between a client and the API server: plain HTTP on loopback in front of it, a log of every request,
//! and the faults that a test asks for. Tokens go through it unchanged.

mod call;
mod faults;
mod watch;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http::{
    Request, Response, StatusCode,
    header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER},
};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::SendRequest,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex as AsyncMutex,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsConnector;

pub use self::{
    call::ApiRequest,
    faults::{About, ApiEffect, ApiFault, ApiFaultId, ApiFaults},
};
use super::{ControlPlane, Error};

/// One request that came through.
#[derive(Debug, Clone)]
pub struct ApiCall {
    /// What was asked.
    pub request: ApiRequest,
    /// The HTTP status that the API server answered; none where it was not asked.
    pub code: Option<u16>,
    /// Whether a fault fell on it.
    pub fault: bool,
}

impl ApiCall {
    /// Whether it was carried out and may have changed something.
    #[must_use]
    pub fn wrote(&self) -> bool {
        self.request.is_write() && self.code.is_some_and(|code| code < 300)
    }
}

/// A running proxy. It stops when it is dropped, with all of its connections.
pub struct ApiProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<Infallible>,
}

struct Shared {
    faults: ApiFaults,
    log: Mutex<Vec<ApiCall>>,
    server: SocketAddr,
    tls: TlsConnector,
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
struct Closed;

type Body = Either<Full<Bytes>, StreamBody<watch::Lines>>;

impl ApiProxy {
    /// Listens on a free port of the loopback interface, in front of this API server.
    pub(super) async fn start(server: &ControlPlane) -> Result<Self, Error> {
        let refused = |why: String| Error::Proxy(why);
        let mut roots = RootCertStore::empty();
        let authority = server.authority.der();
        roots
            .add(authority.into())
            .map_err(|error| refused(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listen = async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            listener.local_addr().map(|address| (listener, address))
        };
        let (listener, address) = listen.await.map_err(|error| refused(error.to_string()))?;
        let target = server.url().trim_start_matches("https://").to_owned();
        let shared = Arc::new(Shared {
            faults: ApiFaults::default(),
            log: Mutex::default(),
            server: target.parse().map_err(|_| refused(format!("{target} is no address")))?,
            tls: TlsConnector::from(Arc::new(tls)),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> &ApiFaults {
        &self.shared.faults
    }

    /// A place in the log, for [`ApiProxy::since`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.shared.log().len()
    }

    /// These requests, from a mark on, in the order in which they came to their end.
    #[must_use]
    pub fn since(&self, mark: usize, about: &About) -> Vec<ApiCall> {
        let log = self.shared.log();
        let calls = log.iter().skip(mark);
        calls.filter(|call| about.covers(&call.request)).cloned().collect()
    }

    /// Every request so far.
    #[must_use]
    pub fn all(&self) -> Vec<ApiCall> {
        self.shared.log().clone()
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn log(&self) -> std::sync::MutexGuard<'_, Vec<ApiCall>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, request: ApiRequest, code: Option<u16>, fault: bool) {
        self.log().push(ApiCall { request, code, fault });
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            connections.spawn(connection(stream, Arc::clone(&shared)));
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection, with one of its own to the API server.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let upstream = AsyncMutex::new(None);
    let (shared, upstream) = (&shared, &upstream);
    let service = service_fn(move |request| answer(shared, upstream, request));
    // An error here is a client that went away, or a fault that closes the connection.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Upstream = AsyncMutex<Option<SendRequest<Full<Bytes>>>>;

async fn answer(
    shared: &Arc<Shared>,
    upstream: &Upstream,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let asked = ApiRequest::read(&parts.method, path, query, &body);
    let effect = shared.faults.strike(&asked);
    match effect {
        Some(ApiEffect::Refuse(code)) => {
            shared.write(asked, None, true);
            return Ok(refusal(code));
        }
        Some(ApiEffect::Hang) => {
            shared.write(asked, None, true);
            return std::future::pending().await;
        }
        Some(ApiEffect::Close) => {
            shared.write(asked, None, true);
            return Err(Closed);
        }
        Some(ApiEffect::HangAfter | ApiEffect::CloseAfter | ApiEffect::Lag(_)) | None => {}
    }
    let response = forward(shared, upstream, Request::from_parts(parts, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    let watched = asked.verb == "watch";
    let code = Some(head.status.as_u16());
    if watched {
        shared.write(asked, code, effect.is_some());
        if effect == Some(ApiEffect::CloseAfter) {
            return Err(Closed);
        }
        let lines = watch::lines(body, Arc::clone(shared));
        return Ok(Response::from_parts(head, Either::Right(StreamBody::new(lines))));
    }
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    shared.write(asked, code, effect.is_some());
    match effect {
        Some(ApiEffect::HangAfter) => std::future::pending().await,
        Some(ApiEffect::CloseAfter) => Err(Closed),
        _ => Ok(Response::from_parts(head, Either::Left(Full::new(body)))),
    }
}

/// Sends a request on, by the connection that there is or by a new one.
async fn forward(
    shared: &Shared,
    upstream: &Upstream,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Closed> {
    let mut sender = upstream.lock().await;
    let usable = match sender.as_mut() {
        Some(sender) => sender.ready().await.is_ok(),
        None => false,
    };
    if !usable {
        *sender = Some(connect(shared).await?);
    }
    if let Ok(host) = HeaderValue::from_str(&shared.server.to_string()) {
        request.headers_mut().insert(HOST, host);
    }
    let sender = sender.as_mut().ok_or(Closed)?;
    sender.send_request(request).await.map_err(|_| Closed)
}

async fn connect(shared: &Shared) -> Result<SendRequest<Full<Bytes>>, Closed> {
    let stream = TcpStream::connect(shared.server).await.map_err(|_| Closed)?;
    let _ = stream.set_nodelay(true);
    let name = ServerName::from(shared.server.ip());
    let stream = shared.tls.connect(name, stream).await.map_err(|_| Closed)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Closed)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A refusal in the API server's own form.
fn refusal(code: u16) -> Response<Body> {
    let (reason, message) = match code {
        403 => ("Forbidden", "a fault of the sandbox refuses it"),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        _ => ("InternalError", "an error on the server: a fault of the sandbox"),
    };
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(status.to_string()))));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if code == 429 {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
