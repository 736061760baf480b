//! A whole hub and its spokes on one machine, offline: a real Kubernetes API server, and a fake AWS that answers at
//! AWS's own addresses. Tests, the demo and the benchmarks stand on it.

pub mod argocd;
pub mod aws;
pub mod bench;
pub mod control_plane;
pub mod demo;
pub mod e2e;
pub mod ministack;
pub mod python;
pub mod stage;
pub mod up;
