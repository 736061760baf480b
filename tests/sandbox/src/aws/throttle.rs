//! Throttling: token buckets, as the services have them, by account (IAM) or by account and region (STS, EKS).
//!
//! AWS does not publish its rates (aws.md 1.6), so there are none until a test or a benchmark sets them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::contract::{ApiError, Service};

/// A token bucket: how many calls a second, and how many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls a second in the long run.
    pub per_second: f64,
    /// The size of the bucket; at least one.
    pub burst: f64,
}

impl Rate {
    /// A rate whose bucket holds one second's worth.
    #[must_use]
    pub fn per_second(per_second: f64) -> Self {
        Self {
            per_second,
            burst: per_second.max(1.0),
        }
    }
}

/// The rates of an account; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// For the whole account.
    pub iam: Option<Rate>,
    /// For each region of the account.
    pub sts: Option<Rate>,
    /// For each region of the account.
    pub eks: Option<Rate>,
}

impl Rates {
    fn of(&self, service: Service) -> Option<Rate> {
        match service {
            Service::Iam => self.iam,
            Service::Sts => self.sts,
            Service::Eks => self.eks,
        }
    }
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

#[derive(Default)]
struct State {
    default: Rates,
    accounts: HashMap<String, Rates>,
    buckets: HashMap<(Service, String, String), Bucket>,
}

/// Every bucket there is.
#[derive(Default)]
pub(crate) struct Throttles {
    state: Mutex<State>,
}

impl Throttles {
    /// Sets the rates of one account, or of all that have none of their own. Buckets start full again.
    pub(crate) fn set(&self, account: Option<&str>, rates: Rates) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match account {
            Some(account) => {
                state.accounts.insert(account.to_owned(), rates);
            }
            None => state.default = rates,
        }
        state.buckets.clear();
    }

    /// Takes a token, or says in the service's words that there is none.
    pub(crate) fn take(&self, service: Service, account: &str, region: &str, now: Instant) -> Result<(), ApiError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let rates = state.accounts.get(account).copied().unwrap_or(state.default);
        let Some(rate) = rates.of(service) else { return Ok(()) };
        let region = if service == Service::Iam { "" } else { region };
        let full = Bucket {
            tokens: rate.burst.max(1.0),
            filled: now,
        };
        let bucket = state
            .buckets
            .entry((service, account.to_owned(), region.to_owned()))
            .or_insert(full);
        let earned = now.saturating_duration_since(bucket.filled).as_secs_f64() * rate.per_second;
        bucket.tokens = (bucket.tokens + earned).min(rate.burst.max(1.0));
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return Err(rate_exceeded(service));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

fn rate_exceeded(service: Service) -> ApiError {
    let (status, code) = match service {
        Service::Iam | Service::Sts => (400, "Throttling"),
        Service::Eks => (429, "ThrottlingException"),
    };
    ApiError::new(status, code, "Rate exceeded")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Rate, Rates, Service, Throttles};

    #[test]
    fn buckets_are_by_account_for_iam_and_by_region_for_eks_and_fill_again() {
        let throttles = Throttles::default();
        throttles.set(
            None,
            Rates {
                iam: Some(Rate::per_second(2.0)),
                eks: Some(Rate::per_second(1.0)),
                sts: None,
            },
        );
        throttles.set(
            Some("slow"),
            Rates {
                iam: Some(Rate::per_second(0.5)),
                ..Rates::default()
            },
        );
        let now = Instant::now();
        let take = |service, account, region, now| throttles.take(service, account, region, now).is_ok();
        assert!(take(Service::Iam, "a", "x", now) && take(Service::Iam, "a", "y", now));
        assert!(!take(Service::Iam, "a", "z", now), "two a second, whatever the region");
        assert!(take(Service::Iam, "b", "x", now), "each account has its own");
        assert!(
            take(Service::Eks, "a", "x", now)
                && take(Service::Eks, "a", "y", now)
                && !take(Service::Eks, "a", "x", now)
        );
        assert!((0..100).all(|_| take(Service::Sts, "a", "x", now)), "no rate, no limit");
        assert!(take(Service::Iam, "slow", "x", now) && !take(Service::Iam, "slow", "x", now + Duration::from_secs(1)));
        assert!(take(Service::Iam, "slow", "x", now + Duration::from_secs(3)));
        assert!(take(Service::Iam, "a", "x", now + Duration::from_millis(500)));
    }
}
