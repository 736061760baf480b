//! What the operator tells about itself: logs, metrics, and the addresses that probes and Prometheus read.

pub mod http;
pub mod log;
pub mod metrics;
pub mod readiness;

use sha2::{Digest, Sha256};

pub use metrics::Metrics;

/// Eight hex digits that tell one text from another: the same plan has the same hash in every log line.
#[must_use]
pub fn short_hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
