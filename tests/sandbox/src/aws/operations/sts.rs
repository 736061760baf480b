//! AWS Security Token Service, API version 2011-06-15, protocol query.

use super::Operation;

/// The table.
pub const OPERATIONS: &[Operation] = &[];
