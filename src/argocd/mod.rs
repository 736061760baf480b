//! Argo CD's side of the contract, as values: cluster Secrets, ours and anybody's, and AppProjects. Pure.

pub mod cluster_secret;
mod fingerprint;
mod lenient;
pub mod parse;
mod project;
mod seen;
mod server;

pub use cluster_secret::{
    CLUSTER_ANNOTATION, Connection, InvalidConnection, OWNER_ANNOTATION, Presentation, SECRET_TYPE, WantedSecret,
};
pub use fingerprint::{fingerprint, fingerprint_of_base64};
pub use parse::{Credentials, SeenCluster};
pub use project::Project;
pub use seen::{ClusterSecret, Difference, concerns, cut_down};
pub use server::Server;
