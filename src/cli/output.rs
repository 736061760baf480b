//! The forms in which commands print.

use clap::ValueEnum;

/// The form of what the doctor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorOutput {
    /// A table for people.
    Table,
    /// JSON, one object a cluster.
    Json,
}

/// The form of what a plan says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanOutput {
    /// Text for people; what is unchanged is only counted.
    Text,
    /// JSON, one object a ManagedCluster or ManagementRole.
    Json,
}
