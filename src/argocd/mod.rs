//! Argo CD's side of the contract, as values: the cluster Secret. Pure.

pub mod cluster_secret;
mod seen;

pub use cluster_secret::{
    CLUSTER_ANNOTATION, Connection, InvalidConnection, OWNER_ANNOTATION, Presentation, SECRET_TYPE, WantedSecret,
};
pub use seen::{ClusterSecret, Difference, concerns, cut_down};
