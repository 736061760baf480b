//! Other `ManagedCluster`s of an EKS cluster from which access was taken away: each lets Argo CD in by a role of its own. Pure.

use serde::Serialize;

use super::revoked::{Entry, entry};
use crate::{
    api::{ManagedCluster, Mode},
    domain::{arn::ClusterArn, commands::suspend},
    managed_cluster::{living::Lives, request::Identity},
};

/// What is known of the other `ManagedCluster`s of an EKS cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state")]
pub enum Others {
    /// There is none that lets Argo CD in.
    LetNobodyIn,
    /// These do, or may.
    LetIn {
        /// Each of them.
        objects: Vec<Other>,
    },
    /// Nobody could look.
    NotSeen {
        /// Why.
        why: String,
    },
}

impl Others {
    /// What those that were found come to.
    #[must_use]
    pub fn of(objects: Vec<Other>) -> Self {
        if objects.is_empty() {
            Self::LetNobodyIn
        } else {
            Self::LetIn { objects }
        }
    }
}

/// Another `ManagedCluster` of the same EKS cluster that lets Argo CD in, or may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Why it lets in, or may.
    pub why: String,
    /// What takes its access away.
    pub command: String,
}

/// The reasons of an object for which nothing was made, and is not made by itself either.
const MAKES_NOTHING: [&str; 4] = ["NotAllowed", "InvalidSpec", "Paused", "ReadOnly"];

/// Whether an object that was listed lets Argo CD in on the cluster of the one that was revoked.
#[must_use]
pub fn other(of: &Identity, object: &ManagedCluster) -> Option<Other> {
    let identity = Identity::of(object).ok()?;
    if identity.uid == of.uid || identity.cluster != of.cluster {
        return None;
    }
    let why = match (identity.mode, entry(object)) {
        (Mode::Suspended, Some(Entry::Away | Entry::Never | Entry::NotMade { .. }))
        | (Mode::Observe, Some(Entry::NotMade { .. })) => {
            return None;
        }
        (Mode::Suspended, Some(Entry::Stands { .. }) | None) => {
            "its spec.mode is Suspended, and the operator has not taken its access away yet".to_owned()
        }
        (Mode::Enforce, Some(Entry::NotMade { reason, .. })) if MAKES_NOTHING.contains(&reason.as_str()) => {
            return None;
        }
        (mode @ (Mode::Enforce | Mode::Observe), _) => format!("its spec.mode is {mode:?}"),
    };
    Some(Other {
        command: format!("mooring revoke {}", identity.name),
        name: identity.name,
        why,
    })
}

/// The same of an object that this release cannot read, from what is known of it: what it gave may stand.
#[must_use]
pub fn unreadable(of: &ClusterArn, lives: &Lives) -> Option<Other> {
    (lives.cluster.as_ref() == Some(of)).then(|| Other {
        name: lives.name.clone(),
        why: "this release cannot read it, and so not whether its access was taken away".to_owned(),
        command: suspend(&lives.name),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn object(name: &str, change: impl FnOnce(&mut Value)) -> ManagedCluster {
        let mut object = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": name, "uid": format!("uid-{name}"), "generation": 2},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "clusterName": "prod", "access": {}},
        });
        change(&mut object);
        from_value(object).unwrap()
    }

    fn revoked() -> Identity {
        Identity::of(&object("a", |object| object["spec"]["mode"] = json!("Suspended"))).unwrap()
    }

    #[test]
    fn another_object_of_the_same_eks_cluster_lets_in_until_its_own_access_is_away() {
        let told = |change: fn(&mut Value)| other(&revoked(), &object("b", change));
        let by_revoke = told(|_| {}).unwrap();
        assert_eq!(
            (
                by_revoke.name.as_str(),
                by_revoke.command.as_str(),
                by_revoke.why.as_str()
            ),
            ("b", "mooring revoke b", "its spec.mode is Enforce")
        );
        // What it made before may stand, and of what it never made nothing does.
        assert!(told(|object| object["spec"]["mode"] = json!("Observe")).is_some());
        let never = |object: &mut Value, mode: &str, reason: &str| {
            let ready = json!({"type": "Ready", "status": "False", "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
            object["spec"]["mode"] = json!(mode);
            object["status"] = json!({"observedGeneration": 2, "conditions": [ready]});
        };
        assert!(told(|_| {}).is_some());
        let greedy = |change: &dyn Fn(&mut Value)| super::other(&revoked(), &object("b", change));
        assert_eq!(greedy(&|object| never(object, "Observe", "Observed")), None);
        assert_eq!(greedy(&|object| never(object, "Enforce", "NotAllowed")), None);
        assert!(greedy(&|object| never(object, "Enforce", "Propagating")).is_some());
        assert!(
            greedy(&|object| {
                never(object, "Enforce", "NotAllowed");
                object["status"]["secret"] = json!("s");
            })
            .is_some()
        );
        let suspended = |object: &mut Value, reason: &str| {
            let condition = |kind: &str| json!({"type": kind, "status": "False", "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
            object["spec"]["mode"] = json!("Suspended");
            object["status"] = json!({
                "observedGeneration": 2, "secret": "s", "conditions": [condition("Ready"), condition("AccessEntryReady")],
            });
        };
        let other = |change: &dyn Fn(&mut Value)| other(&revoked(), &object("b", change));
        assert_eq!(other(&|object| suspended(object, "Suspended")), None);
        let waits = "the operator has not taken its access away yet";
        assert!(
            other(&|object| suspended(object, "Paused"))
                .unwrap()
                .why
                .contains(waits)
        );
        assert!(
            other(&|object| object["spec"]["mode"] = json!("Suspended"))
                .unwrap()
                .why
                .contains(waits)
        );
    }

    #[test]
    fn an_object_of_another_eks_cluster_lets_nobody_in_here() {
        let own = object("a", |_| {});
        assert_eq!(other(&revoked(), &own), None, "itself");
        for (field, value) in [
            ("accountId", "333333333333"),
            ("region", "eu-west-2"),
            ("clusterName", "live"),
        ] {
            let elsewhere = object("b", |object| object["spec"][field] = json!(value));
            assert_eq!(other(&revoked(), &elsewhere), None, "{field}");
        }
    }

    #[test]
    fn one_that_cannot_be_read_counts_where_its_cluster_can() {
        let of = revoked().cluster;
        let lives = |cluster| Lives {
            name: "b".into(),
            cluster,
            ..Lives::default()
        };
        let told = unreadable(&of, &lives(Some(of.clone()))).unwrap();
        assert_eq!(
            told.command,
            r#"kubectl patch mgc b --type merge -p '{"spec":{"mode":"Suspended"}}'"#
        );
        assert_eq!(unreadable(&of, &lives(None)), None);
    }
}
