//! Who may do what: policy documents parsed as IAM parses them, and evaluated as AWS evaluates them.
//!
//! Source: IAM user guide, `reference_policies_evaluation-logic`, `reference_policies_elements_*` and
//! `troubleshoot_access-denied`. Not modelled, because nothing here has them: IAM users and groups, service and
//! resource control policies, VPC endpoint policies.

mod condition;
mod context;
mod document;
mod evaluate;
mod message;
mod pattern;
#[cfg(test)]
mod tests;
mod validate;

pub use context::Context;
pub use document::{Document, Effect, Malformed, PrincipalKind};
pub use evaluate::{Decision, Denial, PolicyType, Principal, evaluate, evaluate_in, trust_decision, trust_only};
pub use message::{access_denied, web_identity_denied};
