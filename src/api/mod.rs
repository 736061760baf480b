//! What people write and read: the two custom resources, their rules and their conditions. No logic.
//!
//! Every limit is CEL in the CRD, with a sentence that says what to write instead: there is no webhook. Rules at the
//! root of a resource are fixed for ever (a new one would refuse the removal of an old object's finalizer); rules
//! below `spec` are ratcheted by the API server and may be tightened.

#![allow(
    clippy::doc_markdown,
    reason = "people read these words in a terminal, by kubectl explain"
)]
#![allow(unreachable_pub, reason = "the schema derive repeats each type inside a function")]

pub mod allow;
pub mod condition;
pub mod fixed;
pub mod managed_cluster;
pub mod management_role;
pub mod recorded;

pub use allow::{Allow, AllowedAccessPolicy, MOST_CLUSTERS, MOST_NAMED, Scope};
pub use managed_cluster::{
    Access, AccessEntryStatus, AccessPolicy, ArgoCd, ClusterStatus, Deletion, DeletionPolicy, DeployerRole,
    DeployerRoleStatus, DeployerRoleType, ManagedCluster, ManagedClusterSpec, ManagedClusterStatus, Mode, PlanStatus,
    WhileInUse,
};
pub use management_role::{
    AssumePolicy, HubCluster, HubStatus, Identity, IdentityType, MOST_ENTRIES, ManagementRole, ManagementRoleSpec,
    ManagementRoleStatus, OidcProvider, Provisioner, RemovalStatus, RestartedWorkload, RoleSettings, RoleStatus,
};

/// The API group of both resources.
pub const GROUP: &str = "mooring.dev";

/// Annotation: a new value asks for a pass now. Any text; by habit the time.
pub const RECONCILE_REQUESTED_AT: &str = "mooring.dev/reconcile-requested-at";

/// Annotation: `"true"` stops every write for the object, its removal included, until it is taken away.
pub const PAUSED: &str = "mooring.dev/paused";

/// Annotation of a `ManagementRole`: accounts, separated by commas, that are closed for good. Deployer roles that were, or
/// may have been, kept there are not looked for any more.
pub const CLOSED_ACCOUNTS: &str = "mooring.dev/closed-accounts";

/// Annotation of a `ManagementRole`: the OIDC issuer of the hub, by which a person says that this cluster is Argo CD's
/// now, though another one stood under its name before. It confirms that one issuer and no later one.
pub const CONFIRM_HUB: &str = "mooring.dev/confirm-hub";

/// Annotation of a `ManagedCluster`, or of a `ManagementRole` for all that name it: a time, as in 2026-01-31T12:00:00Z.
/// Removals that were asked for until then are meant, however many they are. One that has not come yet counts for
/// nothing.
pub const REMOVALS_CONFIRMED_AT: &str = "mooring.dev/removals-confirmed-at";

/// The finalizer that lets us let go in order.
pub const FINALIZER: &str = "mooring.dev/finalizer";

/// A default that is what an empty object deserialises to, so that a field left out and `{}` never differ.
macro_rules! default_from_empty {
    ($($type:ty),*) => {$(
        impl Default for $type {
            fn default() -> Self {
                #[allow(clippy::expect_used, reason = "every field has a serde default, which a test holds")]
                serde_json::from_value(serde_json::json!({})).expect("an empty object has a default for every field")
            }
        }
    )*};
}
pub(crate) use default_from_empty;
