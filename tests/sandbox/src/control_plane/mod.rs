//! The control plane of the sandbox: real etcd and kube-apiserver processes, as envtest runs them.
//!
//! ```no_run
//! # async fn example() -> Result<(), mooring_sandbox::control_plane::Error> {
//! use mooring_sandbox::control_plane::{ControlPlane, Options};
//!
//! let hub = ControlPlane::start(Options::named("hub")).await?;
//! hub.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}").await?;
//! println!("{}", hub.table("/api/v1/namespaces", false).await?);
//! hub.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! There is no controller manager: nothing collects garbage, no pods run and no Deployment rolls. A test that needs
//! such objects, or their status, writes them itself. Everything listens on loopback and is gone, files included, as
//! soon as the process that started it is, however that ended.

mod api_server;
mod apply;
pub mod assets;
mod audit;
mod clients;
mod error;
mod etcd;
pub(crate) mod guard;
mod pki;
mod proxy;
mod table;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::OnceCell;

use self::{
    api_server::Port,
    etcd::Etcd,
    guard::{Guarded, new_folder, write_private},
    pki::{Authority, Identity},
};
pub use self::{
    assets::prepare,
    audit::{AuditMark, AuditedCall},
    error::Error,
    proxy::{About, ApiCall, ApiEffect, ApiFault, ApiFaultId, ApiFaults, ApiProxy, ApiRequest},
};

/// What a control plane is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What errors, kubeconfigs and logs call it.
    pub name: String,
    /// The issuer of its service account tokens, an HTTPS URL. By default one as EKS would give, with a random id.
    pub issuer: Option<String>,
    /// Whether to keep an audit log, for [`ControlPlane::writes_by`].
    pub audit: bool,
    /// Whom to ask about bearer tokens that are not its own: the URL of a `TokenReview` (v1) webhook. The API server
    /// remembers a token that was accepted for 10 s, and one that was refused not at all.
    pub authentication_webhook: Option<String>,
    /// Whom to ask about requests that RBAC does not allow: the URL of a `SubjectAccessReview` (v1) webhook. Its answers
    /// are not remembered. While it cannot be reached, RBAC alone decides.
    pub authorization_webhook: Option<String>,
    /// Further flags of kube-apiserver, after all others.
    pub extra_args: Vec<String>,
}

impl Options {
    /// A control plane with an audit log, no webhooks, and an issuer of its own.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            issuer: None,
            audit: true,
            authentication_webhook: None,
            authorization_webhook: None,
            extra_args: Vec::new(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::named("hub")
    }
}

/// A running Kubernetes API server with an etcd behind it. Dropping it stops it.
pub struct ControlPlane {
    // First, so that the server stops before its etcd does.
    server: Guarded,
    etcd: Arc<Etcd>,
    port: Port,
    name: String,
    issuer: String,
    audit: bool,
    authority: Authority,
    admin: Identity,
}

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

impl ControlPlane {
    /// Starts one and waits until it is ready: about 3 s on a quiet machine, and minutes more the first time on a
    /// machine that does not have the programs yet (see [`assets`]). Several stand side by side and share one etcd.
    ///
    /// # Errors
    /// [`Error::Assets`] without the programs; [`Error::Ended`] and [`Error::NotReady`] with the end of the server's log.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let assets = prepare().await?;
        let etcd = Etcd::shared(&assets, &options.name).await?;
        let issuer = options.issuer.clone().unwrap_or_else(random_issuer);
        let authority = Authority::new()?;
        let admin = authority.user("mooring-sandbox:admin", &["system:masters"])?;
        let port = Port::hold()?;
        let temporary = std::env::temp_dir();
        let folder = new_folder(&temporary, "mooring-kube-").map_err(Error::file("create a folder in", temporary))?;
        let server = api_server::spawn(&options, &assets, &etcd, &port, &authority, &issuer, &folder)
            .inspect_err(|_| drop(std::fs::remove_dir_all(&folder)))?;
        let Options { name, audit, .. } = options;
        let plane = Self {
            server,
            etcd,
            port,
            name,
            issuer,
            audit,
            authority,
            admin,
        };
        let kubeconfig = plane.admin_kubeconfig();
        let content = plane.kubeconfig(&plane.url(), "default", &clients::certificate_user(&plane.admin));
        write_private(&kubeconfig, content.as_bytes()).map_err(Error::file("write", kubeconfig))?;
        api_server::ready(&plane.server, &plane.name, &plane.admin()?).await?;
        Ok(plane)
    }

    /// The one that all tests of a process share, started by the first who asks. It is for what leaves nothing behind:
    /// dry runs and reads. It stops when the process ends.
    ///
    /// # Errors
    /// As [`ControlPlane::start`]; the next who asks tries again.
    pub async fn shared() -> Result<&'static Self, Error> {
        SHARED.get_or_try_init(|| Self::start(Options::named("shared"))).await
    }

    /// What it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it answers, for instance `https://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        self.port.url()
    }

    /// The certificate authority of its server certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// The issuer in its service account tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its folder, for a test's own files: only this user can enter it, and it is removed with the control plane.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// The folder of the etcd that it shares with the others of this process.
    #[must_use]
    pub fn etcd_folder(&self) -> &Path {
        self.etcd.folder()
    }

    /// A kubeconfig of a cluster administrator, for other programs. Readable by this user only.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder().join("admin.kubeconfig")
    }

    /// Starts a proxy in front of it, whose faults fall on those whose kubeconfig leads there.
    ///
    /// # Errors
    /// [`Error::Proxy`] when it cannot be started.
    pub async fn proxy(&self) -> Result<ApiProxy, Error> {
        ApiProxy::start(self).await
    }

    /// The last lines of the API server's own log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }

    /// Stops the server and removes its files; etcd too if this was the last of the process.
    pub async fn stop(self) {
        // Dropping waits for the guard. A runtime that is shutting down drops it right here instead.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

/// As EKS writes them: the region is a real one, the id is 32 hexadecimal digits in upper case.
fn random_issuer() -> String {
    let id: String = (0..32).map(|_| fastrand::digit(16).to_ascii_uppercase()).collect();
    format!("https://oidc.eks.eu-west-1.amazonaws.com/id/{id}")
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane")
            .field("name", &self.name)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
