//! What Argo CD must be told by a person: its application controller keeps what it knew of a cluster under the server that
//! the Secret had before, watches and all, until it is started again (argo-cd, issue 14410).

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, core::PartialObjectMeta};
use tracing::warn;

use crate::kubernetes::objects;

use super::now;

/// The label of its pods, in Argo CD's own manifests and in its Helm chart.
const CONTROLLER: &str = "app.kubernetes.io/name=argocd-application-controller";

/// How long it is told at most: its pods may bear other labels, and then nobody sees that they were started again.
const TOLD_FOR: Duration = Duration::from_hours(24);

/// A server that was changed under an Argo CD that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerChanged {
    /// When.
    pub at: Timestamp,
    /// Argo CD's namespace.
    pub namespace: String,
}

impl ServerChanged {
    /// The same of a Secret that is as the spec says.
    #[must_use]
    pub fn message(&self) -> String {
        format!("as the spec says; {}", self.told())
    }

    /// What happened, and what a person has to do.
    #[must_use]
    pub fn told(&self) -> String {
        let Self { at, namespace } = self;
        format!(
            "the server in it changed at {at}, and Argo CD's application controller keeps what it knew of the one before until it is started again: `kubectl -n {namespace} rollout restart statefulset -l {CONTROLLER}`"
        )
    }
}

/// What is left to tell: `just_now` says that the server was changed in this pass, `told` when it last was, as recorded.
pub(super) async fn left_to_tell(
    client: &Client,
    namespace: &str,
    just_now: bool,
    told: Option<Timestamp>,
) -> Option<ServerChanged> {
    let changed = |at| ServerChanged {
        at,
        namespace: namespace.to_owned(),
    };
    if just_now {
        return Some(changed(now()));
    }
    let at = told?;
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(client.clone(), namespace);
    let started = match objects::list_labelled(&pods, CONTROLLER).await {
        Ok(pods) => pods
            .iter()
            .filter_map(|pod| pod.metadata.creation_timestamp.as_ref())
            .map(|created| created.0)
            .collect(),
        Err(error) => {
            warn!(%error, "Argo CD's application controller cannot be looked at");
            Vec::new()
        }
    };
    is_left(at, &started, now()).then(|| changed(at))
}

/// Whether the controller may still know what was before.
fn is_left(changed: Timestamp, started: &[Timestamp], now: Timestamp) -> bool {
    let restarted = !started.is_empty() && started.iter().all(|started| *started > changed);
    !restarted && now.duration_since(changed).unsigned_abs() < TOLD_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn it_is_told_until_every_pod_was_started_after_it_or_for_a_day() {
        for (started, now, left) in [
            (vec![], 10, true),
            (vec![at(-5)], 10, true),
            (vec![at(0)], 10, true),
            (vec![at(1)], 10, false),
            // Of several, the old one still runs.
            (vec![at(-5), at(5)], 10, true),
            (vec![at(3), at(5)], 10, false),
            (vec![at(-5)], 86_399, true),
            (vec![at(-5)], 86_400, false),
            (vec![], 86_400, false),
        ] {
            assert_eq!(is_left(at(0), &started, at(now)), left, "{started:?} at {now}");
        }
    }

    #[test]
    fn the_command_names_argo_cds_own_namespace() {
        let changed = ServerChanged {
            at: at(0),
            namespace: "argo".to_owned(),
        };
        assert!(
            changed
                .message()
                .contains("kubectl -n argo rollout restart statefulset")
        );
    }
}
