//! Our words: names, ARNs, the naming of everything we make, ownership, and EKS's facts as plain values.
//!
//! Nothing here knows Kubernetes, an SDK or IO.

pub mod allow;
pub mod arn;
pub mod commands;
pub mod eks;
pub mod glob;
pub mod hub;
pub mod name;
pub mod ownership;
pub mod role_pattern;
