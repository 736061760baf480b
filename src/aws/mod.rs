//! The operator's one AWS client, in our words: the only folder that names `aws_*`, and nothing of theirs is public.
//!
//! - [`Aws`] is connected once; a pass is admitted by account ([`Aws::admit`]), enters it with a session of its own
//!   ([`Aws::enter`]) and works in the [`Account`] that comes back. Fairness between passes lies in `limits`.
//! - One [`AwsError`] tells what failed, as whom, on what, and what to do next.
//! - One table says which calls there are and what each needs ([`CALLS`]); the policies that the operator must be
//!   given are generated from it ([`grants`]).
//!
//! - [`Walker`] takes the hops of the chain with tokens that it is given, and [`Reader`] reads what explains a refusal:
//!   both belong to whoever proves the chain, and use nothing of the operator's.
//!
//! Retries inside a call belong to the SDK (`connect`, `session`); waiting between passes belongs to the caller.

mod adoption_policy;
mod cache;
mod calls;
mod connect;
mod eks;
mod error;
pub mod grants;
mod hint;
mod iam;
mod limits;
mod permit;
mod presign;
mod reader;
mod reader_policy;
mod role;
mod session;
mod session_policy;
mod sts;
mod walker;
mod wire;

#[cfg(test)]
mod tests;

pub use calls::{CALLS, Call, Guard, Need, Row, Service, Target};
pub use connect::{ConnectError, LeftOut, Observer, Settings, authorities};
pub use error::{AwsError, ErrorKind, classify};
pub use iam::decoded;
pub use limits::{Admission, Lane, ShuttingDown};
pub use permit::Permit;
pub use reader::{Look, ReadBy, Reader, RoleDocuments, SpokeCluster, SpokeEntry};
pub use role::{LONGEST_SESSION, OidcProvider, Role, RolePolicies, WantedRole};
pub use session::{Account, Aws, Door, session_name, verify_session_name};
pub use sts::Caller;
pub use walker::{EksToken, RoleSession, Walker, WebToken};
