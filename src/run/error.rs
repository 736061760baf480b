//! Why a command ends before it is done.

use crate::{
    aws::ConnectError,
    kubernetes::{KubernetesError, drive::StoreDropped, lease::Lost},
    telemetry::{http::ListenError, log::LogError},
};

/// Why a process did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Logging could not be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The probes' address could not be bound, or its server ended.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The API server cannot be reached.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// AWS cannot be reached.
    #[error(transparent)]
    Aws(#[from] ConnectError),
    /// Another process works now, or may.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A watch ended.
    #[error(transparent)]
    Watch(#[from] StoreDropped),
    /// There is nothing to plan in the files.
    #[error(
        "there is neither a ManagedCluster nor a ManagementRole in the files: give others, or --all for what is on the hub"
    )]
    NothingToPlan,
    /// A cluster was named that is not there.
    #[error("there is no ManagedCluster {0}: `kubectl get mgc` lists those that are there")]
    NoSuchCluster(String),
    /// A `ManagementRole` was named that is not there.
    #[error("there is no ManagementRole {0}: `kubectl get mgr` lists those that are there")]
    NoSuchManagementRole(String),
    /// The hub that was named is not there.
    #[error(
        "there is no EKS cluster {0}: correct --hub-cluster, --hub-region or --hub-account (`aws eks list-clusters --region REGION` lists those that are there)"
    )]
    NoSuchHub(String),
    /// The `ManagementRole` on the hub is of another hub than the one that was named.
    #[error(
        "ManagementRole {role} on this hub says {stands:?} where {flag} says {given:?}: correct the flag, or name another ManagementRole with --management-role"
    )]
    OtherHub {
        /// The `ManagementRole`.
        role: String,
        /// The flag.
        flag: &'static str,
        /// What was given.
        given: String,
        /// What stands.
        stands: String,
    },
    /// An object cannot be read.
    #[error("the ManagementRole on the hub cannot be read: {0}")]
    Unreadable(serde_json::Error),
    /// Signals cannot be listened to.
    #[error("failed to listen for signals: {0}")]
    Signals(std::io::Error),
}
