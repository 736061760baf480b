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
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(text).into();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}
