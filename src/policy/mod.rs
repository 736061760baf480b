//! IAM policy documents as values: read what AWS returns, compare by meaning, build what we issue. Pure.

pub mod change;
pub mod difference;
pub mod document;
pub mod evaluate;
pub mod exposure;
pub mod issued;
pub mod lack;
mod refused;
pub mod trust;

pub use change::Change;
pub use difference::{Difference, differences, differences_of, in_words, shown};
pub use document::{Document, Effect, InvalidDocument, Principals, Statement};
pub use evaluate::{Asked, Asker, Known, Ruling};
pub use exposure::Exposure;
pub use issued::{
    AUDIENCE, ActionGrant, ExternalId, ITSELF, assume_deployers, deployer_trust, gives, irsa_trust, operator_trust,
    provisioner_trust, reader_trust, session, trusts_itself,
};
pub use lack::Lack;
