//! The chain from Argo CD's pods to the Kubernetes API of a cluster, walked for real, the way Argo CD walks it.
//!
//! - [`chain`]     the hops, and what a walk found at each (pure)
//! - [`reason`]    every reason why a hop does not hold (pure)
//! - [`subject`]   what is to be walked, read from the two resources (pure)
//! - [`destination`]  where a token may be sent (pure)
//! - [`mending`]   whether Mooring mends by itself what it made (pure)
//! - [`scope`]     what Argo CD must be allowed on the cluster, as a handful of questions (pure)
//! - [`observe`]   takes each hop, and reads what explains a refusal (edges)
//! - [`evidence`]  what that brought, as plain values: never a token
//! - [`judge`](mod@judge)     evidence to findings (pure)
//! - [`others`]    other objects that let in on the same cluster (pure)
//! - [`status`]    the condition `Connected` (one write)
//!
//! A walk changes nothing on any cluster nor in AWS, and asks little: in steady state one token and one exchange for
//! each `ServiceAccount` (shared by all clusters of a `ManagementRole`), one `AssumeRole`, one `/version` and at most
//! a dozen access reviews for a cluster. Documents are read only where something was refused.

pub mod chain;
pub mod destination;
pub mod evidence;
pub mod judge;
pub mod mending;
pub mod observe;
pub mod others;
pub mod reason;
pub mod revoked;
pub mod scope;
pub mod status;
pub mod subject;

pub use chain::{Examined, Found, Hop, Trouble, Walk};
pub use judge::judge;
pub use reason::Reason;
pub use subject::Subject;
