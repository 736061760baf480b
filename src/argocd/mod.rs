//! Argo CD's side of the contract, as values: cluster Secrets, ours and anybody's, and AppProjects. Pure.

mod changes;
pub mod cluster_secret;
mod lenient;
pub mod parse;
mod project;
mod seen;

pub use changes::Changed;
pub use cluster_secret::{
    CLUSTER_ANNOTATION, Connection, InvalidConnection, OWNER_ANNOTATION, Presentation, SECRET_TYPE, WantedSecret,
};
pub use parse::{Credentials, SeenCluster};
pub use project::Project;
pub use seen::{ClusterSecret, Difference, concerns, cut_down};
