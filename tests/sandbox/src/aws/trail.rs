//! The authorization checks that a call led to, so that the call log can tell them.
//!
//! Services and the world are synchronous: a call is carried out on one thread from beginning to end. So the trail
//! lies with the thread, and neither the services nor the contract know of the log.

use std::cell::RefCell;

use super::contract::Check;

thread_local! {
    static TRAIL: RefCell<Vec<Check>> = const { RefCell::new(Vec::new()) };
}

/// Notes checks that are about to be decided, whatever the decision.
pub(in crate::aws) fn note(checks: &[Check]) {
    TRAIL.with_borrow_mut(|trail| trail.extend_from_slice(checks));
}

/// Carries something out and gives the checks that it noted.
pub(crate) fn collect<T>(work: impl FnOnce() -> T) -> (T, Vec<Check>) {
    TRAIL.with_borrow_mut(Vec::clear);
    let result = work();
    (result, TRAIL.take())
}
