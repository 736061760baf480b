//! What the call log says: calls by operation and by object, and the least time that the rates allow for them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::Setting;
use crate::aws::{Call, Rate, contract::Service};

/// Calls of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Answered, be it with an error.
    pub(super) answered: usize,
    /// Refused for their rate.
    pub(super) throttled: usize,
}

pub(super) fn by_operation(log: &[Call]) -> BTreeMap<&str, Count> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for call in log {
        let count = counts.entry(call.operation.as_str()).or_default();
        if call.throttled {
            count.throttled += 1;
        } else {
            count.answered += 1;
        }
    }
    counts
}

/// The object that a call was made for: the session's name is `OBJECT@HUB`.
pub(super) fn object(call: &Call) -> Option<&str> {
    let session = if call.operation == "AssumeRole" {
        call.text("RoleSessionName")?
    } else {
        call.caller.as_ref()?.arn.rsplit('/').next()?
    };
    session.split_once('@').map(|(object, _)| object)
}

/// What was done for one object; calls that were throttled are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) sessions: usize,
    pub(super) reads: usize,
    pub(super) writes: usize,
}

impl Work {
    pub(super) fn calls(self) -> usize {
        self.sessions + self.reads + self.writes
    }
}

pub(super) fn by_object(log: &[Call]) -> HashMap<&str, Work> {
    let mut all: HashMap<&str, Work> = HashMap::new();
    for call in log.iter().filter(|call| !call.throttled) {
        let Some(object) = object(call) else { continue };
        let work = all.entry(object).or_default();
        match (call.operation.as_str(), call.write) {
            ("AssumeRole", _) => work.sessions += 1,
            (_, true) => work.writes += 1,
            (_, false) => work.reads += 1,
        }
    }
    all
}

/// The least time in which an account's rates let these calls through, by account: that of its fullest bucket.
pub(super) fn least(setting: &Setting, log: &[Call]) -> BTreeMap<String, Duration> {
    let mut buckets: HashMap<(Service, &str, &str), usize> = HashMap::new();
    for call in log.iter().filter(|call| !call.throttled && !call.account.is_empty()) {
        let region = if call.service == Service::Iam {
            ""
        } else {
            call.region.as_str()
        };
        *buckets
            .entry((call.service, call.account.as_str(), region))
            .or_default() += 1;
    }
    let mut least: BTreeMap<String, Duration> = BTreeMap::new();
    for ((service, account, _), calls) in buckets {
        let rates = setting.rates_of(account);
        let rate = match service {
            Service::Iam => rates.iam,
            Service::Eks => rates.eks,
            Service::Sts => rates.sts,
        };
        let time = rate.map_or(Duration::ZERO, |rate| through(rate, calls));
        let known = least.entry(account.to_owned()).or_default();
        *known = time.max(*known);
    }
    least
}

/// How long a full bucket takes to let so many calls through.
#[allow(clippy::cast_precision_loss, reason = "thousands of calls")]
fn through(rate: Rate, calls: usize) -> Duration {
    let beyond = (calls as f64 - rate.burst.max(1.0)).max(0.0);
    Duration::from_secs_f64(beyond / rate.per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_through_at_once_and_the_rest_at_its_rate() {
        let rate = Rate::per_second(10.0);
        assert_eq!(through(rate, 10), Duration::ZERO);
        assert_eq!(through(rate, 125), Duration::from_millis(11_500));
        assert_eq!(
            through(Rate::per_second(0.5), 3),
            Duration::from_secs(4),
            "a bucket holds at least one"
        );
    }
}
