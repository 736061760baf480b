//! The flags by which replicas agree on the one that works: the same for every process that writes.

use std::time::Duration;

use clap::{ArgAction, Args};

use crate::domain::name::KubernetesName;

/// The Lease by which operators agree on the one that works.
pub const CONTROLLER: &str = "mooring-controller";

/// Its namespace, unless another is given.
pub const LEASE_NAMESPACE: &str = "mooring-system";

/// Flags of a process of which only one may work at a time.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub struct LeaseArgs {
    /// Whether replicas agree by a Lease on the one that works, while the others stand by.
    ///
    /// With false the process works at once. Two that do so write against each other, so give it only where there can be
    /// no second one, as on a laptop against a cluster without Mooring.
    #[arg(
        long,
        value_name = "BOOL",
        env = "MOORING_LEADER_ELECT",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    pub leader_elect: bool,

    /// The name of the Lease: by default mooring-controller or mooring-verifier.
    ///
    /// The process needs get, update and create of it. Whoever has another Lease is not held back by this one.
    #[arg(long, value_name = "NAME", env = "MOORING_LEASE_NAME")]
    pub lease_name: Option<KubernetesName>,

    /// The namespace of the Lease. In a pod, its own.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "MOORING_LEASE_NAMESPACE",
        default_value = LEASE_NAMESPACE
    )]
    pub lease_namespace: KubernetesName,

    /// For how long the one that works is waited for when it says no more, from 5s to 5m.
    ///
    /// It renews its Lease seven times in this, and begins no write when two thirds have passed since the last renewal that
    /// went through. So another takes over this long after a kill, and a second after a clean stop.
    #[arg(
        long,
        value_name = "DURATION",
        env = "MOORING_LEASE_DURATION",
        default_value = "15s",
        value_parser = duration
    )]
    pub lease_duration: Duration,

    /// The name under which the process holds the Lease, by default the host's. In a pod, the pod's.
    ///
    /// A suffix of its own is added, so that a process that was started again is another one.
    #[arg(long, value_name = "NAME", env = "MOORING_LEASE_IDENTITY", value_parser = identity)]
    pub lease_identity: Option<String>,
}

/// By which Lease replicas agree on the one that works. Everything is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// The name of the Lease.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its duration, from 5 s to 5 min.
    pub duration: Duration,
    /// The name to hold it under; the host's when there is none.
    pub identity: Option<String>,
}

impl LeaseArgs {
    /// The settings, with the name of the Lease where none is given; `None` without an election.
    #[must_use]
    pub fn settings(self, default_name: &str) -> Option<LeaseSettings> {
        let Self {
            leader_elect,
            lease_name,
            lease_namespace,
            lease_duration,
            lease_identity,
        } = self;
        leader_elect.then(|| LeaseSettings {
            name: lease_name.map_or_else(|| default_name.to_owned(), |name| name.to_string()),
            namespace: lease_namespace.to_string(),
            duration: lease_duration,
            identity: lease_identity,
        })
    }
}

/// The limits are those of `kubernetes::lease`: a shorter one is lost to one slow answer of the API server.
fn duration(text: &str) -> Result<Duration, String> {
    let read = super::duration(text)?;
    if (Duration::from_secs(5)..=Duration::from_mins(5)).contains(&read) {
        Ok(read)
    } else {
        Err(format!(
            "{text} is not the duration of a Lease: write one from 5s to 5m"
        ))
    }
}

/// It stands in a header of each request and in messages.
fn identity(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if (1..=253).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} cannot be the name of a process: write letters, digits, hyphens, dots and underscores, at most 253, as in a pod's name"
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        lease: LeaseArgs,
    }

    fn parse(flags: &[&str]) -> Result<Option<LeaseSettings>, String> {
        let parsed = Alone::try_parse_from(["mooring"].iter().chain(flags));
        parsed
            .map(|alone| alone.lease.settings("mooring-controller"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn replicas_agree_unless_they_are_told_not_to() {
        let settings = parse(&[]).unwrap().unwrap();
        assert_eq!(
            settings,
            LeaseSettings {
                name: "mooring-controller".to_owned(),
                namespace: "mooring-system".to_owned(),
                duration: Duration::from_secs(15),
                identity: None,
            }
        );
        assert!(parse(&["--leader-elect"]).unwrap().is_some());
        assert!(parse(&["--leader-elect=true"]).unwrap().is_some());
        assert_eq!(parse(&["--leader-elect=false"]), Ok(None));
        let other = parse(&[
            "--lease-name=other",
            "--lease-namespace=n",
            "--lease-duration=1m",
            "--lease-identity=pod-1",
        ]);
        let other = other.unwrap().unwrap();
        assert_eq!((other.name.as_str(), other.namespace.as_str()), ("other", "n"));
        assert_eq!(
            (other.duration.as_secs(), other.identity.as_deref()),
            (60, Some("pod-1"))
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in ["4s", "301s", "6m", "15", "0s"] {
            let refused = parse(&[&format!("--lease-duration={wrong}")]).unwrap_err();
            assert!(refused.contains("5s to 5m") || refused.contains("10m"), "{refused}");
        }
        for right in ["5s", "5m"] {
            parse(&[&format!("--lease-duration={right}")]).unwrap();
        }
        let long = "a".repeat(254);
        for wrong in ["", "a b", "a\nb", "é", &long] {
            parse(&[&format!("--lease-identity={wrong}")]).unwrap_err();
        }
        parse(&["--leader-elect=maybe"]).unwrap_err();
        parse(&["--lease-name=Not_A_Name"]).unwrap_err();
    }
}
