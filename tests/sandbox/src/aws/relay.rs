//! Another server at AWS's own addresses: the door of the fake AWS with somebody else behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::StartError;
use super::contract::Service;
use super::wire::{Behind, Onward, Proxy};

/// A running relay: an HTTPS proxy that ends TLS as AWS's hosts and passes every request on as it is, signature and
/// host included. It stops when it is dropped.
pub struct Relay {
    proxy: Proxy,
    onward: Arc<Onward>,
    region: String,
}

/// One request that was passed on.
#[derive(Clone, Debug)]
pub struct Relayed {
    /// The service whose host was called.
    pub service: Service,
    /// The region of that host; for IAM the one that its partition signs with.
    pub region: String,
    /// `CreateRole`; empty if the request names nothing that is known.
    pub operation: String,
    /// Whether the operation changes anything, carried out or not; true for what is not known.
    pub write: bool,
    /// The input, without secrets.
    pub input: Map<String, Value>,
    /// The HTTP status of the answer; `None` if there was none.
    pub status: Option<u16>,
    /// The beginning of an answer that is an error.
    pub refusal: Option<String>,
}

impl Relay {
    /// Listens on a free port of the loopback interface, for a server at `to`. Clients take `region` for their own.
    ///
    /// # Errors
    /// When no port can be opened or no certificate can be made or written.
    pub async fn start(to: SocketAddr, region: &str) -> Result<Self, StartError> {
        let onward = Arc::new(Onward::new(to));
        Ok(Self {
            proxy: Proxy::start(Behind::Other(Arc::clone(&onward))).await?,
            onward,
            region: region.to_owned(),
        })
    }

    /// The environment in which AWS's clients reach that server and no other.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        self.proxy.env(&self.region)
    }

    /// What was passed on so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Relayed> {
        self.onward.seen()
    }
}
