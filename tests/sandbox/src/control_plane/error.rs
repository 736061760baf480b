use std::{io, path::PathBuf, time::Duration};

use super::assets::AssetsError;

/// What can go wrong with a control plane of the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// etcd and kube-apiserver could not be had.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// A file of the control plane could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was being done, for instance `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// No port could be held on loopback.
    #[error("cannot hold a port on 127.0.0.1 for the API server: {0}")]
    Port(io::Error),
    /// The faulting proxy in front of the API server could not be started.
    #[error("cannot start the proxy in front of the API server: {0}")]
    Proxy(String),
    /// A key or certificate could not be made.
    #[error("cannot make the {subject} of the control plane: {source}")]
    Certificate {
        /// Which key or certificate.
        subject: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server ended before it was ready.
    #[error("{server} of control plane `{name}` ended with exit code {code} before it was ready; its log ends:\n{log}")]
    Ended {
        /// `etcd` or `kube-apiserver`.
        server: &'static str,
        /// The control plane's name.
        name: String,
        /// The server's exit code; above 128 it is 128 and the signal.
        code: String,
        /// The last lines of the server's own log.
        log: String,
    },
    /// A server runs, but was not ready in time.
    #[error("{server} of control plane `{name}` was not ready after {waited:?} ({last}); its log ends:\n{log}")]
    NotReady {
        /// `etcd` or `kube-apiserver`.
        server: &'static str,
        /// The control plane's name.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// What the last look at it said.
        last: String,
        /// The last lines of the server's own log.
        log: String,
    },
    /// The API server refused or failed a request.
    #[error("cannot {action}: {source}")]
    Request {
        /// What was asked, and of which resource.
        action: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
    /// A manifest is not YAML, or not a Kubernetes object.
    #[error("document {document} of the manifest: {reason}")]
    Manifest {
        /// Counted from 1, empty documents left out; 0 when the text as a whole is not YAML.
        document: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A custom resource definition was accepted but not established.
    #[error("custom resource definition {name} was not established after {waited:?}: {conditions}")]
    NotEstablished {
        /// The definition's name.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// Its conditions, as the API server shows them.
        conditions: String,
    },
    /// The audit log was asked for on a control plane that keeps none.
    #[error("control plane `{0}` keeps no audit log: start it with `Options {{ audit: true, .. }}`")]
    AuditOff(String),
    /// The audit log did not show the fence request in time.
    #[error("the audit log {path} did not catch up within {waited:?}")]
    AuditBehind {
        /// The log.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
}

impl Error {
    /// For `map_err` on a call of the API server.
    pub(super) fn request(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Request {
            action,
            source: Box::new(source),
        }
    }

    /// For `map_err` on a file operation.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
