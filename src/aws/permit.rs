//! Whether an attempt may be sent at all. The SDK retries inside a call for minutes, and each of its attempts is as good a
//! write as the first: so it is asked before each, and not only before a step.

use std::{error::Error, fmt, sync::Arc};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

/// Asked before each attempt of each call whether it may be sent.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// An attempt that was not sent, since another process may be at work by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold its lease, and calls nothing; the one that does goes on")]
pub(super) struct NotPermitted;

/// Whether that is what an error came from.
pub(super) fn was_not_permitted(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<NotPermitted>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Asks at the last moment, when the request is signed and its credentials are there, which may have taken a while.
#[derive(Clone)]
pub(super) struct Ask(pub(super) Permit);

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").finish_non_exhaustive()
    }
}

impl Intercept for Ask {
    fn name(&self) -> &'static str {
        "Permit"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if (self.0)() { Ok(()) } else { Err(NotPermitted.into()) }
    }
}
