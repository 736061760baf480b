//! What `mooring` prints: each a thin face on the pure parts. Nothing here reaches a network.

pub mod crd;
