//! What a removal would do for which nothing is written.

use super::step::Plan;

/// What a removal would do, and what would hold it up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreseen {
    /// As far as it could be seen.
    pub plan: Plan,
    /// What could not be looked at, in words.
    pub unseen: Option<String>,
    /// The access of an object that is suspended besides.
    pub access: Access,
    /// Whether the deployer role is kept, as the spec says.
    pub retains: bool,
}

/// The access of an object that is being removed, and for which nothing is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It goes with the rest: the object is not suspended.
    #[default]
    Wanted,
    /// It is to go first, and an access entry stands.
    Stands,
    /// It is to go first, and nobody could look whether it is away.
    Unseen,
    /// It is to go first, and there is none.
    Away,
}
