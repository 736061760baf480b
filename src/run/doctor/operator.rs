//! Whether an operator works. The doctor says what Mooring will mend, and nobody mends while none does.

use jiff::{Timestamp, Unit};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::time::sleep;

use crate::{
    cli::{CONTROLLER, LEASE_NAMESPACE},
    domain::commands::OPERATOR_PODS,
    kubernetes::{
        lease::{Terms, claim::Seen},
        objects,
    },
};

/// What a person should know of the operator's Lease, in a line; `None` where somebody holds it.
pub(in crate::run) async fn missing(client: &Client) -> Option<String> {
    let api: Api<Lease> = Api::namespaced(client.clone(), LEASE_NAMESPACE);
    let look = async || {
        let lease = objects::get_opt(&api, CONTROLLER).await;
        lease.map(|lease| lease.as_ref().map(Seen::of))
    };
    let seen = match look().await {
        Ok(seen) => seen,
        Err(error) => return Some(unseen(&error.to_string())),
    };
    let standing = Standing::of(seen.as_ref(), Timestamp::now());
    if let (Standing::Expired(_), Some(seen)) = (standing, &seen) {
        // By this machine's clock, which may be wrong: whoever holds it renews it meanwhile.
        let terms = Terms {
            duration: seen.duration(),
        };
        sleep(terms.answer()).await;
        match look().await {
            Ok(now) if now.as_ref() != Some(seen) => return None,
            Ok(_) => {}
            Err(error) => return Some(unseen(&error.to_string())),
        }
    }
    standing.words()
}

fn unseen(why: &str) -> String {
    format!("whether an operator works, which would mend what it made, could not be looked at: {why}")
}

/// How things stand with the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Somebody holds it.
    Held,
    /// Whoever held it renews it no more, since then.
    Expired(Timestamp),
    /// It was given up, or nobody ever held it.
    Vacant(Option<Timestamp>),
    /// There is none.
    None,
}

impl Standing {
    fn of(seen: Option<&Seen>, now: Timestamp) -> Self {
        let Some(seen) = seen else { return Self::None };
        match (&seen.holder, seen.renewed) {
            (None, renewed) => Self::Vacant(renewed),
            (Some(_), Some(renewed)) if renewed.checked_add(seen.duration()).is_ok_and(|ends| ends < now) => {
                Self::Expired(renewed)
            }
            // Also where that is later than now: a clock is wrong, and somebody is there.
            (Some(_), Some(_) | None) => Self::Held,
        }
    }

    fn words(self) -> Option<String> {
        let lease = format!("Lease {CONTROLLER} in namespace {LEASE_NAMESPACE}");
        let told = match self {
            Self::Held => return None,
            Self::Expired(since) | Self::Vacant(Some(since)) => {
                let since = since.round(Unit::Second).unwrap_or(since);
                format!("nobody has held the operator's lease since {since} ({lease})")
            }
            Self::Vacant(None) => format!("nobody holds the operator's lease ({lease})"),
            Self::None => format!(
                "there is no {lease}: no operator has worked with it yet, or one runs with another --lease-name or \
                 --lease-namespace, or without a lease"
            ),
        };
        Some(format!(
            "{told}. While no operator works, nothing is made, mended or removed: `{OPERATOR_PODS}`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::fake::{answering, refusal};

    fn lease(holder: &str, renewed: &str) -> (u16, Value) {
        let spec = json!({"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15});
        (200, json!({"metadata": {"name": CONTROLLER, "uid": "u"}, "spec": spec}))
    }

    async fn told(answers: Vec<(u16, Value)>) -> (Option<String>, usize) {
        let (client, asked) = answering(answers);
        let told = missing(&client).await;
        let asked = asked.lock().unwrap().len();
        (told, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_that_works_is_not_worth_a_word() {
        let now = Timestamp::now().to_string();
        assert_eq!(told(vec![lease("a", &now)]).await, (None, 1));
        for later in ["2999-01-01T00:00:00.000000Z", "9999-12-30T22:00:00.999999Z"] {
            assert_eq!(told(vec![lease("a", later)]).await, (None, 1));
        }
        // This machine's clock is ahead, and the lease is renewed before its eyes.
        let (before, after) = ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:02.000000Z");
        assert_eq!(told(vec![lease("a", before), lease("a", after)]).await, (None, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn that_nobody_works_is_told_with_since_when() {
        let at = "2026-01-01T00:00:00.123456Z";
        for (answers, asked, says) in [
            (
                vec![lease("a", at), lease("a", at)],
                2,
                "nobody has held the operator's lease since 2026-01-01T00:00:00Z (Lease mooring-controller in namespace \
                 mooring-system). While no operator works",
            ),
            (
                vec![lease("", at)],
                1,
                "nobody has held the operator's lease since 2026-01-01T00:00:00Z",
            ),
            (
                vec![(200, json!({"metadata": {"name": CONTROLLER}}))],
                1,
                "nobody holds the operator's lease (",
            ),
            (
                vec![refusal(404, "NotFound")],
                1,
                "there is no Lease mooring-controller in namespace mooring-system",
            ),
            (
                vec![refusal(403, "Forbidden")],
                1,
                "whether an operator works, which would mend what it made, could not be looked at: ",
            ),
            (
                vec![lease("a", at), refusal(403, "Forbidden")],
                2,
                "whether an operator works, which would mend what it made, could not be looked at: ",
            ),
        ] {
            let (told, times) = told(answers).await;
            let told = told.unwrap();
            assert!(told.starts_with(says), "{told}");
            assert_eq!((times, told.lines().count()), (asked, 1));
        }
    }
}
