//! The address that probes and Prometheus read: `/healthz`, `/readyz` and `/metrics`. Nothing there is secret, and
//! nothing there changes anything.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
    routing::get,
};
use tokio::{net::TcpListener, sync::oneshot};

use super::{metrics::Metrics, readiness::Readiness};

/// How long open connections may take to end after the stop.
const DRAIN: Duration = Duration::from_secs(5);

const TEXT: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; charset=utf-8");
const OPEN_METRICS: (HeaderName, &str) = (
    CONTENT_TYPE,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
);

/// The address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address} for probes and metrics: {source}; choose another address with --listen")]
pub struct ListenError {
    /// The address that was asked for.
    pub address: SocketAddr,
    #[source]
    source: io::Error,
}

/// A server that listens, and answers once it is served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn bind(address: SocketAddr, readiness: Readiness, metrics: Metrics) -> Result<Self, ListenError> {
        let fail = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let router = Router::new()
            .route("/healthz", get(async || ([TEXT], "ok\n")))
            .route("/readyz", get(ready).with_state(readiness))
            .route("/metrics", get(exposition).with_state(metrics));
        Ok(Self {
            listener,
            address,
            router,
        })
    }

    /// The address that was bound, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves, and then for up to five seconds on connections that are open.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self {
            listener,
            address: _,
            router,
        } = self;
        let (stopped, stop) = oneshot::channel();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            shutdown.await;
            // The receiver is gone only when serving has ended by itself.
            let _ = stopped.send(());
        });
        tokio::select! {
            ended = serving => ended,
            () = async {
                // A sender that is dropped without a word means that serving has ended.
                if stop.await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(DRAIN).await;
            } => Ok(()),
        }
    }
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, [(HeaderName, &'static str); 1], String) {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [TEXT], report.lines)
}

async fn exposition(State(metrics): State<Metrics>) -> (StatusCode, [(HeaderName, &'static str); 1], String) {
    match metrics.text() {
        Ok(text) => (StatusCode::OK, [OPEN_METRICS], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [TEXT],
            format!("the metrics could not be written: {error}\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::timeout,
    };

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn listening(readiness: &Readiness, metrics: &Metrics) -> Server {
        let address = "127.0.0.1:0".parse().unwrap();
        Server::bind(address, readiness.clone(), metrics.clone()).await.unwrap()
    }

    #[tokio::test]
    async fn probes_and_metrics_are_answered_until_the_stop() {
        let (readiness, metrics) = (Readiness::default(), Metrics::new());
        let gate = readiness.gate("crd", "the CustomResourceDefinition");
        let server = listening(&readiness, &metrics).await;
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(stopped.map(|_| ())));

        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let waiting = get(address, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
        assert!(
            waiting.ends_with("[-]crd: waiting for the CustomResourceDefinition\n"),
            "{waiting}"
        );
        gate.open();
        let ready = get(address, "/readyz").await;
        assert!(
            ready.starts_with("HTTP/1.1 200") && ready.ends_with("[+]crd\n"),
            "{ready}"
        );
        let exposed = get(address, "/metrics").await;
        assert!(
            exposed.contains("content-type: application/openmetrics-text"),
            "{exposed}"
        );
        assert!(exposed.ends_with("# EOF\n"), "{exposed}");

        stop.send(()).unwrap();
        timeout(Duration::from_secs(4), serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(
            TcpStream::connect(address).await.is_err(),
            "the listener outlived the stop"
        );
    }

    #[tokio::test]
    async fn a_connection_that_hangs_does_not_hold_the_stop_up_for_ever() {
        let server = listening(&Readiness::default(), &Metrics::new()).await;
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(stopped.map(|_| ())));
        let mut hanging = TcpStream::connect(address).await.unwrap();
        hanging.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.send(()).unwrap();
        timeout(DRAIN + Duration::from_secs(3), serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_refused_with_the_flag_to_change() {
        let taken = listening(&Readiness::default(), &Metrics::new()).await;
        let error = Server::bind(taken.address(), Readiness::default(), Metrics::new())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("--listen"), "{error}");
    }
}
