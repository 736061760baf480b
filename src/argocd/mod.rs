//! Argo CD's side of the contract, as values: cluster Secrets, ours and anybody's, AppProjects, and which Applications
//! and ApplicationSets use a cluster. Pure.

mod application;
mod application_set;
mod beside;
mod changes;
pub mod cluster_secret;
mod difference;
mod fingerprint;
mod lenient;
pub mod parse;
mod program;
mod project;
mod seen;
mod selector;
mod server;
mod settings;
mod usage;

pub use application::{APPLICATIONS, Application, Destination, Target};
pub use application_set::{APPLICATION_SETS, ApplicationSet, Choice};
pub use changes::Changed;
pub use cluster_secret::{
    ADOPT_ANNOTATION, ADOPTED_ANNOTATION, CLUSTER_ANNOTATION, Connection, InvalidConnection, OPAQUE, OWNER_ANNOTATION,
    Presentation, SECRET_TYPE, WantedSecret,
};
pub use difference::Difference;
pub use fingerprint::{certificates_in_base64, fingerprint, fingerprint_of_base64};
pub use parse::{Credentials, SeenCluster};
pub use program::Program;
pub use project::Project;
pub use seen::{ClusterSecret, concerns, cut_down};
pub use selector::{Answer, Selector};
pub use server::Server;
pub use settings::Settings;
pub use usage::{Change, Grip, Maker, SKIP_RECONCILE, Usage, User};

/// The ConfigMap of Argo CD's settings, in its namespace (Argo CD's manual, "argocd-cm.yaml example").
pub const SETTINGS: &str = "argocd-cm";
