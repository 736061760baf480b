//! What `mooring` prints: each a thin face on the pure parts. Nothing here reaches a network.

pub mod bootstrap;
pub mod crd;
mod definition;
pub mod doctor;
pub mod import;
pub mod manifests;
pub mod plan;
pub mod render;
pub mod revoke;
mod schema;
mod script;

/// What a command has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// For standard output.
    pub out: String,
    /// For standard error: what a person should know beside it, a sentence each.
    pub notes: Vec<String>,
    /// Why the command fails although it printed what it could, a sentence each.
    pub failures: Vec<String>,
}
