//! Mooring moors Amazon EKS clusters to Argo CD.
//!
//! Layers, each knowing only those to its left:
//! `domain <- policy <- aws <- {managed_cluster, management_role, access} <- run <- main`;
//! `api`, `argocd`, `kubernetes` and `telemetry` are side leaves, and `text` is under all. A test holds this.

pub mod access;
pub mod api;
pub mod argocd;
pub mod aws;
pub mod cli;
pub mod commands;
pub mod domain;
pub mod kubernetes;
pub mod managed_cluster;
pub mod management_role;
pub mod policy;
pub mod run;
pub mod telemetry;
pub mod text;
