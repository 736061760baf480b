//! What the operator tells about itself: logs, metrics, and the addresses that probes and Prometheus read.

pub mod http;
pub mod log;
pub mod metrics;
pub mod readiness;
