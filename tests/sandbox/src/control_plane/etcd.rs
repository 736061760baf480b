//! One etcd for all control planes of this process; each has a key prefix of its own.

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{
    Error,
    assets::Assets,
    guard::{Environment, Guarded, new_folder},
};

/// Held weakly: etcd stops when the last control plane does.
static RUNNING: Mutex<Weak<Etcd>> = Mutex::const_new(Weak::new());

const PATIENCE: Duration = Duration::from_secs(30);

/// A running etcd on Unix sockets, so that it needs no port. Nothing is synced to disk: it is thrown away.
#[derive(Debug)]
pub(super) struct Etcd {
    server: Guarded,
}

impl Etcd {
    /// The etcd of this process, started if there is none. `name` is the control plane that asks, for errors.
    pub(super) async fn shared(assets: &Assets, name: &str) -> Result<Arc<Self>, Error> {
        let mut running = RUNNING.lock().await;
        if let Some(etcd) = running.upgrade().filter(|etcd| etcd.server.exited().is_none()) {
            return Ok(etcd);
        }
        let etcd = Arc::new(Self::start(assets, name).await?);
        *running = Arc::downgrade(&etcd);
        Ok(etcd)
    }

    async fn start(assets: &Assets, name: &str) -> Result<Self, Error> {
        let temporary = std::env::temp_dir();
        let folder = new_folder(&temporary, "mooring-etcd-").map_err(Error::file("create a folder in", temporary))?;
        let peers = format!("unix://{}", folder.join("p").display());
        let etcd = Self {
            server: Self::spawn(assets, &folder, &peers)?,
        };
        let start = Instant::now();
        loop {
            let last = match UnixStream::connect(etcd.socket()) {
                Ok(_) => return Ok(etcd),
                Err(error) => error.to_string(),
            };
            let (server, name, log) = ("etcd", name.to_owned(), || etcd.server.log_tail());
            if let Some(code) = etcd.server.exited() {
                return Err(Error::Ended {
                    server,
                    name,
                    code,
                    log: log(),
                });
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::NotReady {
                    server,
                    name,
                    waited: start.elapsed(),
                    last,
                    log: log(),
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn spawn(assets: &Assets, folder: &PathBuf, peers: &str) -> Result<Guarded, Error> {
        let clients = format!("unix://{}", folder.join("c").display());
        let args = [
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
            format!("--data-dir={}", folder.join("data").display()),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
        ];
        Guarded::spawn(&assets.etcd, args, folder, folder, &Environment::Only(&[])).map_err(Error::file("use", folder))
    }

    fn socket(&self) -> PathBuf {
        self.server.folder().join("c")
    }

    /// What `--etcd-servers` takes.
    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The folder that goes when etcd does.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.server.folder()
    }
}
