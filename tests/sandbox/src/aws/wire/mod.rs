//! The wire: HTTP requests in, answers of the services out, as AWS's clients expect them.

mod encoding;
pub(crate) mod endpoint;
mod proxy;
mod query;
mod relay;
mod rest_json;
mod sigv4;
mod tls;

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;

pub(super) use proxy::Proxy;
pub(super) use relay::Onward;

use self::endpoint::Endpoint;
use self::sigv4::Received;
use super::contract::{ApiError, Service};
use super::dispatch::{Arrival, Core, Unknown};

/// A request that names no operation of the service.
struct Refusal {
    operation: String,
    error: ApiError,
}

/// An answer as it goes over the wire.
struct Rendered {
    status: StatusCode,
    content_type: &'static str,
    /// `x-amzn-errortype`.
    error_type: Option<&'static str>,
    body: String,
}

/// The connection is closed without an answer: a fault that was asked for, or nobody behind the door.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(super) struct Closed;

/// Who is behind the door.
#[derive(Clone)]
pub(super) enum Behind {
    /// The fake AWS.
    Fake(Arc<Core>),
    /// Another server that stands for AWS.
    Other(Arc<Onward>),
}

impl Behind {
    /// Answers one request to one of AWS's hosts that came through the door.
    async fn answer(&self, endpoint: &Endpoint, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        match self {
            Self::Fake(core) => exchange(core, endpoint, &parts, &body).await,
            Self::Other(onward) => onward.pass(endpoint, parts, body).await,
        }
    }
}

/// Answers one request to one of AWS's hosts. A cluster's authenticator asks STS this way, without a connection: as on
/// the wire in all else, signature, faults, throttling and the call log included.
pub(super) async fn exchange(
    core: &Core,
    endpoint: &Endpoint,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response<Full<Bytes>>, Closed> {
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let request_id = request_id();
    let query_protocol = endpoint.service != Service::Eks;
    let form = if query_protocol {
        query::form(&parts.method, query, body)
    } else {
        Vec::new()
    };
    let operation = if query_protocol {
        query::operation(endpoint.service, &form)
    } else {
        rest_json::operation(endpoint.service, &parts.method, path)
    };
    let (name, answer) = match operation {
        Ok(operation) => {
            let received = Received {
                method: parts.method.as_str(),
                path,
                query,
                headers: &parts.headers,
                body: body.as_ref(),
            };
            let caller = if operation.signed {
                sigv4::verify(&received, endpoint, &core.world).map(Some)
            } else {
                Ok(None)
            };
            let input = if query_protocol {
                Ok(query::input(operation, &form))
            } else {
                rest_json::input(operation, path, query, body)
            };
            let arrival = Arrival {
                at: Timestamp::now(),
                endpoint,
                operation,
                caller,
                access_key: sigv4::access_key(&received).unwrap_or_default(),
                input,
            };
            (operation.name.to_owned(), core.receive(arrival).await.ok_or(Closed)?)
        }
        Err(Refusal { operation, error }) => {
            core.refuse(&Unknown {
                at: Timestamp::now(),
                endpoint,
                operation: &operation,
                error: &error,
            });
            (operation, Err(error))
        }
    };
    let rendered = if query_protocol {
        query::render(
            endpoint.service,
            &name,
            &answer,
            &request_id,
            accepts_only_json(&parts.headers),
        )
    } else {
        rest_json::render(answer)
    };
    Ok(respond(rendered, &request_id))
}

fn respond(rendered: Rendered, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(rendered.body)));
    *response.status_mut() = rendered.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), value);
    }
    if let Some(error_type) = rendered.error_type {
        headers.insert(
            HeaderName::from_static("x-amzn-errortype"),
            HeaderValue::from_static(error_type),
        );
    }
    response
}

fn accepts_only_json(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes() == b"application/json")
}

/// A request ID: a UUID of version 4.
fn request_id() -> String {
    uuid()
}

/// A UUID of version 4.
pub(crate) fn uuid() -> String {
    let random = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{random:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}
