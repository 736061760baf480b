//! What a change means: whether a cluster is walked again before its time. Decides only.

use std::collections::HashMap;

use crate::api::{ManagedCluster, ManagementRole, PAUSED, RECONCILE_REQUESTED_AT, condition::ConditionType};

/// What of a `ManagedCluster` makes a new walk worth while. Its condition `Connected`, which comes back through the
/// watch after each write, does not.
#[derive(PartialEq, Eq)]
pub(super) struct Matters {
    uid: Option<String>,
    generation: Option<i64>,
    annotations: [Option<String>; 2],
    secret: Option<String>,
    role: Option<String>,
    endpoint: Option<String>,
    certificate_authority: Option<String>,
    holds: Vec<(String, String, String)>,
}

impl Matters {
    pub(super) fn of(cluster: &ManagedCluster) -> Self {
        let status = cluster.status.clone().unwrap_or_default();
        let annotation = |key: &str| {
            cluster
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(key))
                .cloned()
        };
        let described = status.cluster.unwrap_or_default();
        Self {
            uid: cluster.metadata.uid.clone(),
            generation: cluster.metadata.generation,
            annotations: [RECONCILE_REQUESTED_AT, PAUSED].map(annotation),
            secret: status.secret,
            role: status.deployer_role.map(|role| role.id),
            endpoint: described.endpoint,
            certificate_authority: described.certificate_authority_sha256,
            holds: status
                .conditions
                .into_iter()
                .filter(|condition| condition.type_ != ConditionType::Connected.as_str())
                .map(|condition| (condition.type_, condition.status, condition.reason))
                .collect(),
        }
    }
}

/// The same of a `ManagementRole`.
#[derive(PartialEq, Eq)]
pub(super) struct RoleMatters(
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Vec<(String, String)>,
);

impl RoleMatters {
    pub(super) fn of(role: &ManagementRole) -> Self {
        let status = role.status.clone().unwrap_or_default();
        let holds = status.conditions.into_iter();
        Self(
            role.metadata.uid.clone(),
            role.metadata.generation,
            status.role.map(|role| role.arn),
            status.hub.and_then(|hub| hub.issuer),
            holds.map(|condition| (condition.type_, condition.status)).collect(),
        )
    }
}

/// Whether something is new to a table; what is gone is forgotten.
pub(super) fn is_new<M: PartialEq>(known: &mut HashMap<String, M>, name: String, matters: Option<M>) -> bool {
    match matters {
        None => {
            known.remove(&name);
            false
        }
        Some(matters) => {
            let new = known.get(&name) != Some(&matters);
            known.insert(name, matters);
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(connected: &str, ready: &str) -> ManagedCluster {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "prod", "uid": "c", "generation": 1},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {}},
            "status": {"conditions": [condition("Ready", ready), condition("Connected", connected)], "secret": "s"},
        }))
        .unwrap()
    }

    #[test]
    fn our_own_write_is_no_reason_to_walk_again_and_what_matters_is() {
        let mut known = HashMap::new();
        let mut new = |cluster: &ManagedCluster| is_new(&mut known, "prod".to_owned(), Some(Matters::of(cluster)));
        assert!(new(&cluster("Unknown", "False")));
        assert!(!new(&cluster("False", "False")));
        assert!(new(&cluster("False", "True")));
        let mut edited = cluster("True", "True");
        edited.metadata.generation = Some(2);
        assert!(new(&edited));
        edited.status.as_mut().unwrap().secret = Some("other".into());
        assert!(new(&edited) && !new(&edited));
        assert!(!is_new::<Matters>(&mut known, "prod".to_owned(), None));
        assert!(
            is_new(&mut known, "prod".to_owned(), Some(Matters::of(&edited))),
            "made anew"
        );
    }
}
