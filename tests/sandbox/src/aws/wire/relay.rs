//! Passing requests on: another server answers in AWS's place, and what was asked of it is kept.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use super::{Closed, query, rest_json};
use crate::aws::contract::Service;
use crate::aws::relay::Relayed;

/// Where requests go to, and what went there.
pub(in crate::aws) struct Onward {
    to: SocketAddr,
    seen: Mutex<Vec<Relayed>>,
}

impl Onward {
    pub(in crate::aws) fn new(to: SocketAddr) -> Self {
        Self {
            to,
            seen: Mutex::default(),
        }
    }

    /// What was passed on so far, in the order in which it was answered.
    pub(in crate::aws) fn seen(&self) -> Vec<Relayed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes one request on, with the host that it was sent to: that is what its signature covers.
    pub(super) async fn pass(
        &self,
        endpoint: &Endpoint,
        mut parts: Parts,
        body: Bytes,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        let mut relayed = read(endpoint, &parts, &body);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse::<Uri>().map_err(|_| Closed)?;
        parts.headers.remove(CONNECTION);
        let answer = self.ask(Request::from_parts(parts, Full::new(body))).await;
        relayed.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        if let Ok(answer) = &answer
            && !answer.status().is_success()
        {
            let text: String = String::from_utf8_lossy(answer.body()).chars().take(2_000).collect();
            tracing::debug!(operation = relayed.operation, status = relayed.status, text, "refused");
            relayed.refusal = Some(text);
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(relayed);
        let (mut head, content) = answer?.into_parts();
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        Ok(Response::from_parts(head, Full::new(content)))
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Closed> {
        let stream = TcpStream::connect(self.to).await.map_err(|_| Closed)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Closed)?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|_| Closed)?;
        let (head, body) = answer.into_parts();
        let content = body.collect().await.map_err(|_| Closed)?.to_bytes();
        connection.abort();
        Ok(Response::from_parts(head, content))
    }
}

/// What a request asks for, read as the fake AWS reads it.
fn read(endpoint: &Endpoint, parts: &Parts, body: &Bytes) -> Relayed {
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let (operation, input) = if endpoint.service == Service::Eks {
        let operation = rest_json::operation(endpoint.service, &parts.method, path);
        let input = operation.as_ref().ok().and_then(|operation| {
            let input = rest_json::input(operation, path, query, body);
            input.ok()
        });
        (operation, input.unwrap_or_default())
    } else {
        let form = query::form(&parts.method, query, body);
        let operation = query::operation(endpoint.service, &form);
        let input = operation.as_ref().ok().map(|operation| query::input(operation, &form));
        (operation, input.unwrap_or_default())
    };
    let (name, write) = match operation {
        Ok(operation) => (operation.name.to_owned(), operation.write),
        // Whatever nobody knows may change something.
        Err(refusal) => (refusal.operation, true),
    };
    Relayed {
        service: endpoint.service,
        region: endpoint.region.clone(),
        operation: name,
        write,
        input: without_secrets(input),
        status: None,
        refusal: None,
    }
}

fn without_secrets(mut input: Map<String, Value>) -> Map<String, Value> {
    input.remove("WebIdentityToken");
    input
}
