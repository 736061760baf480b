//! Kubernetes IO in general terms: read, apply, delete, hold by a finalizer, watch, drive a queue, report events,
//! and be the only one of many who does.
//!
//! Nothing here knows a kind of ours, nor anything else of ours: what is specific is handed in.

pub mod backoff;
pub mod coalesce;
pub mod connect;
pub mod drive;
pub mod error;
pub mod events;
#[cfg(test)]
pub(crate) mod fake;
pub mod fields;
pub mod finalizer;
pub mod issuer;
pub mod lease;
pub mod misfit;
pub mod objects;
pub mod pods;
pub mod ready;
pub mod reflect;

pub use error::{Failure, KubernetesError};
