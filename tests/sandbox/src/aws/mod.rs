//! The fake AWS: IAM, STS and EKS for many accounts, regions and partitions, on loopback, at AWS's own addresses.

pub mod authz;
pub mod contract;
pub mod eventual;
pub mod operations;
mod service;
pub mod world;
