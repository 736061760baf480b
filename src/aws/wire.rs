//! How a call is sent: told in logs and metrics, and retried on its account's own budget.

use std::{
    collections::HashMap,
    error::Error,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use aws_sdk_iam::{
    config::{
        http::HttpResponse,
        retry::{RetryPartition, TokenBucket},
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use super::{calls::Call, connect::Observer, error::AwsError};

/// Sends calls, and tells of each.
#[derive(Clone)]
pub(super) struct Wire {
    observer: Option<Observer>,
}

impl Wire {
    pub(super) fn new(observer: Option<Observer>) -> Self {
        Self { observer }
    }

    pub(super) async fn call<O, E>(
        &self,
        call: Call,
        resource: &str,
        acting_as: &Arc<str>,
        request: impl Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<O, AwsError>
    where
        O: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let row = call.row();
        let begun = Instant::now();
        // The SDK's futures are large, and a pass holds several of them.
        let outcome = Box::pin(request).await;
        let duration = begun.elapsed();
        let outcome = outcome.map_err(|error| AwsError::from_sdk(call, resource, acting_as, &error));
        let (label, request_id) = match &outcome {
            Ok(answer) => ("ok", answer.request_id()),
            Err(error) => (error.kind.label(), error.request_id.as_deref()),
        };
        tracing::debug!(
            service = row.service.name(),
            operation = row.operation,
            resource,
            outcome = label,
            request_id,
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            "AWS call"
        );
        if let Some(observer) = &self.observer {
            observer(row.service.name(), row.operation, label, duration);
        }
        outcome
    }
}

/// What the SDK may spend on retries, apart for each account (and region, for EKS): by default it is one for all
/// accounts of the process, and one account's trouble would use it up for every other.
#[derive(Default)]
pub(super) struct Partitions(Mutex<HashMap<String, RetryPartition>>);

impl Partitions {
    pub(super) fn of(&self, name: &str) -> RetryPartition {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = partitions.get(name) {
            return known.clone();
        }
        // Throttling costs nothing: admission bounds the calls, and waiting is all there is to do. A connection that
        // fails costs a fifth of what there is, so that an account that cannot be reached says so after some seconds
        // instead of making every pass wait through fifteen attempts. A call that goes through gives back what its
        // retries took, or one token; time gives one a second.
        let bucket = TokenBucket::builder()
            .capacity(100)
            .throttling_retry_cost(0)
            .retry_cost(10)
            .timeout_retry_cost(20)
            .refill_rate(1.0)
            .build();
        let made = RetryPartition::custom(name.to_owned()).token_bucket(bucket).build();
        partitions.insert(name.to_owned(), made.clone());
        made
    }
}
