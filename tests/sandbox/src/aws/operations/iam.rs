//! AWS Identity and Access Management, API version 2010-05-08, protocol query.

use super::Operation;

/// The table.
pub const OPERATIONS: &[Operation] = &[];
