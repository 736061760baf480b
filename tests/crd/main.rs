//! The custom resource definitions, held against a real API server: every rule and limit, and what people read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test that fails says where"
)]

#[path = "../common/mod.rs"]
mod common;

mod manifests;
mod rules;
mod schema;
mod shape;
mod update;
