//! The door: an HTTP proxy on loopback that takes `CONNECT` for AWS's hosts and is those hosts itself. It never dials
//! out of this machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::Behind;
use super::endpoint::Endpoint;
use super::tls::Authority;
use crate::aws::StartError;

/// The most bytes that a `CONNECT` and its headers may have.
const MAX_HEAD: usize = 16 * 1024;

/// A running proxy; it stops when it is dropped, and every connection with it.
pub(in crate::aws) struct Proxy {
    address: SocketAddr,
    authority: Arc<Authority>,
    task: JoinHandle<Infallible>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface.
    pub(in crate::aws) async fn start(behind: Behind) -> Result<Self, StartError> {
        let authority = Arc::new(Authority::create()?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let task = tokio::spawn(accept(listener, behind, Arc::clone(&authority)));
        Ok(Self {
            address,
            authority,
            task,
        })
    }

    /// What `HTTPS_PROXY` names.
    pub(in crate::aws) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `AWS_CA_BUNDLE` names.
    pub(in crate::aws) fn bundle(&self) -> PathBuf {
        self.authority.bundle()
    }

    /// The environment in which AWS's clients reach what is behind this door and nothing else.
    pub(in crate::aws) fn env(&self, region: &str) -> Vec<(String, String)> {
        let variables = [
            ("HTTPS_PROXY", self.url()),
            ("AWS_CA_BUNDLE", self.bundle().display().to_string()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            ("AWS_REGION", region.to_owned()),
            ("AWS_DEFAULT_REGION", region.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let owned = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        owned.collect()
    }

    /// A folder that goes with the proxy.
    pub(in crate::aws) fn folder(&self) -> &Path {
        self.authority.folder()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, behind: Behind, authority: Arc<Authority>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, behind.clone(), Arc::clone(&authority)));
            }
            // Out of file descriptors, most likely: clients wait in the backlog until some are closed.
            Err(error) => {
                tracing::warn!(%error, "the sandbox's AWS cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut stream: TcpStream, behind: Behind, authority: Arc<Authority>) {
    let _ = stream.set_nodelay(true);
    let target = match target(&mut stream).await {
        Ok(target) => target,
        Err(refusal) => return refuse(stream, refusal).await,
    };
    let host = target.strip_suffix(":443").unwrap_or_default().to_ascii_lowercase();
    let Some(endpoint) = Endpoint::of_host(&host) else {
        let line =
            format!("{target} is not one of the hosts that the sandbox's AWS answers for, and it never dials out\n");
        return refuse(stream, ("403 Forbidden", line)).await;
    };
    let config = match authority.server(&host) {
        Ok(config) => config,
        Err(error) => return refuse(stream, ("500 Internal Server Error", format!("{error}\n"))).await,
    };
    if stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await
        .is_err()
    {
        return;
    }
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
        return;
    };
    let (behind, endpoint) = (&behind, &endpoint);
    let service = service_fn(move |request| behind.answer(endpoint, request));
    // An error here is a client that went away, or a fault that closes the connection: the call log tells which.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Reads the head of a request up to its empty line; gives what `CONNECT` asks for.
async fn target(stream: &mut TcpStream) -> Result<String, (&'static str, String)> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD {
            return Err((
                "431 Request Header Fields Too Large",
                "the head of the request is too large\n".to_owned(),
            ));
        }
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return Err(("400 Bad Request", "the request ends before its head does\n".to_owned())),
            Ok(_) => {}
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["CONNECT", target, _] => Ok((*target).to_owned()),
        _ => Err((
            "405 Method Not Allowed",
            "the sandbox's AWS takes CONNECT only: use https, as AWS does\n".to_owned(),
        )),
    }
}

async fn refuse(mut stream: TcpStream, (status, line): (&str, String)) {
    let length = line.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let _ = stream.write_all((head + &line).as_bytes()).await;
    let _ = stream.shutdown().await;
}
