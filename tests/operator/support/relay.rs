//! A way to a server that can be cut, as a network cuts it: nothing arrives any more, and nobody is told.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// A relay on a loopback port; it ends with this value.
pub(crate) struct Relay {
    address: SocketAddr,
    open: watch::Sender<bool>,
    task: AbortHandle,
}

impl Relay {
    /// In front of an address such as `https://127.0.0.1:6443`.
    pub(crate) async fn to(server: &str) -> Self {
        let target = server.rsplit('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, is_open) = (target.clone(), is_open.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let there = pass_on(from_client, to_server, is_open.clone());
                    tokio::join!(there, pass_on(from_server, to_client, is_open));
                });
            }
        });
        Self {
            address,
            open,
            task: task.abort_handle(),
        }
    }

    /// Its address, for the server's.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Holds back everything from now on.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut open: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        // The sender goes when the relay does: then the connection may end too.
        if open.wait_for(|open| *open).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
