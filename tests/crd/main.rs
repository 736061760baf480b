//! The custom resource definitions, held against a real API server: every rule and limit, and what people read.

#[path = "../common/mod.rs"]
mod common;

mod manifests;
mod rules;
mod schema;
mod shape;
mod update;
