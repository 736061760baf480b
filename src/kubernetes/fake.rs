//! An API server for unit tests: it gives the answers it was told to, in order, and keeps what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::Service;

/// What was asked: the method with the path, and the body, `Null` when there was none.
pub(crate) type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A client whose calls get these answers, and what it asks for. A call too many gets a connection error.
pub(crate) fn answering(answers: impl IntoIterator<Item = (u16, Value)>) -> (Client, Asked) {
    let (service, asked) = service(answers);
    (Client::new(service, "default"), asked)
}

/// The same before it is made a client.
pub(crate) fn service(
    answers: impl IntoIterator<Item = (u16, Value)>,
) -> (
    impl Service<http::Request<Body>, Response = http::Response<Body>, Error = std::io::Error, Future: Send + 'static>
    + Send
    + 'static,
    Asked,
) {
    let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect_bytes().await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            log.lock().unwrap().push((line, body));
            let next = answers.lock().unwrap().pop_front();
            let (status, answer) = next.ok_or_else(|| std::io::Error::other("one call too many"))?;
            let response = http::Response::builder().status(status);
            Ok::<_, std::io::Error>(response.body(Body::from(answer.to_string().into_bytes())).unwrap())
        }
    });
    (service, asked)
}

/// The body of a refusal.
pub(crate) fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": format!("refused: {reason}"), "reason": reason, "code": code,
    });
    (code, status)
}
