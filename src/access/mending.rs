//! Whether Mooring mends by itself what it made, for the words that follow a broken hop. Pure.
//!
//! The one place that knows: what keeps the operator from writing for an object is asked here and nowhere else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};

use crate::{
    api::{
        DeployerRoleType, IdentityType, ManagedCluster, ManagementRole, Mode, RECONCILE_REQUESTED_AT,
        condition::{ConditionType, find, holds},
    },
    managed_cluster::Withheld,
};

/// The reason of a condition whose part bears the tag `mooring.dev/hold`.
const HELD: &str = "Held";

/// The reason of a role that was taken over and that its owner has closed again.
const NOT_OPENED: &str = "NotOpened";

/// What the operator does about an object of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mending {
    /// As kubectl takes it: `mgc prod`.
    object: String,
    /// Why the operator writes nothing for it, and what ends that; `None` when it does write.
    held: Option<(String, String)>,
    /// The role is somebody else's by the spec, so the operator never writes to it.
    role_is_theirs: bool,
    /// The owner of the role has closed it to this hub, and the rest is mended.
    role_is_closed: bool,
    /// The object is being removed, and what was made for it.
    going: bool,
}

impl Mending {
    /// Of a `ManagedCluster`.
    #[must_use]
    pub fn of_cluster(cluster: &ManagedCluster) -> Self {
        let conditions = cluster.status.as_ref().map(|status| status.conditions.as_slice());
        Self {
            role_is_theirs: cluster.spec.access.deployer_role.kind == DeployerRoleType::Existing,
            ..Self::of(
                "mgc",
                &cluster.metadata,
                cluster.spec.mode,
                conditions.unwrap_or_default(),
            )
        }
    }

    /// Of a `ManagementRole`.
    #[must_use]
    pub fn of_role(role: &ManagementRole) -> Self {
        let conditions = role.status.as_ref().map(|status| status.conditions.as_slice());
        Self {
            role_is_theirs: role.spec.identity.kind == IdentityType::Existing,
            ..Self::of("mgr", &role.metadata, Mode::Enforce, conditions.unwrap_or_default())
        }
    }

    fn of(kind: &str, metadata: &ObjectMeta, mode: Mode, conditions: &[Condition]) -> Self {
        let name = metadata.name.as_deref().unwrap_or_default();
        let object = format!("{kind} {name}");
        // The flag of the operator is known by what the operator says.
        let ready = find(conditions, ConditionType::Ready).map(|ready| ready.reason.as_str());
        let read_only = ready == Some(Withheld::ReadOnly.reason());
        let look = || format!("kubectl describe {object}");
        let closed = find(conditions, ConditionType::Stalled).is_some_and(|stalled| stalled.reason == NOT_OPENED);
        let held = if metadata.deletion_timestamp.is_some() {
            Some(("it is being removed".to_owned(), look()))
        } else if let Some(withheld) = Withheld::of(metadata, mode, read_only) {
            Some((withheld.why().to_owned(), withheld.end(&object)))
        } else if conditions.iter().any(|condition| condition.reason == HELD) {
            Some(("the owner of the account holds a part of it".to_owned(), look()))
        } else if holds(conditions, ConditionType::Stalled) && !closed {
            let reason = find(conditions, ConditionType::Stalled).map(|stalled| stalled.reason.as_str());
            let why = format!("it is stalled ({})", reason.unwrap_or_default());
            Some((why, look()))
        } else {
            None
        };
        Self {
            object,
            held,
            role_is_theirs: false,
            role_is_closed: closed,
            going: metadata.deletion_timestamp.is_some(),
        }
    }

    /// Whether the object is being removed.
    #[must_use]
    pub fn is_going(&self) -> bool {
        self.going
    }

    /// The same of what is done to the object's role, which may be somebody else's.
    #[must_use]
    pub fn will_to_role(&self, does: &str) -> String {
        if self.role_is_theirs {
            format!("the role is its owner's (type Existing) and Mooring never writes to it: have them {does}")
        } else if self.role_is_closed {
            format!(
                "Mooring would {does}, but the role's owner has closed it to Mooring ({NOT_OPENED}): kubectl describe {} has the command that opens it",
                self.object
            )
        } else {
            self.will(does)
        }
    }

    /// Whether the role is somebody else's by the spec.
    #[must_use]
    pub fn role_is_theirs(&self) -> bool {
        self.role_is_theirs
    }

    /// Says who did something to what Mooring made, as in "deleted it", and who undoes it.
    #[must_use]
    pub fn undone(&self, what: &str, does: &str) -> String {
        if self.going {
            format!(
                "Mooring did, since it is being removed: kubectl describe {} says how far that is",
                self.object
            )
        } else {
            format!("somebody {what}: {}", self.will(does))
        }
    }

    /// The same of what is done to the object's role.
    #[must_use]
    pub fn undone_to_role(&self, what: &str, does: &str) -> String {
        if self.going && !self.role_is_theirs {
            return self.undone(what, does);
        }
        format!("somebody {what}: {}", self.will_to_role(does))
    }

    /// Says who does this, and how to have it done now: `does` is in the infinitive, as in "make it again".
    #[must_use]
    pub fn will(&self, does: &str) -> String {
        let object = &self.object;
        match &self.held {
            None => format!(
                "Mooring will {does} at its next pass (kubectl annotate {object} {RECONCILE_REQUESTED_AT}=\"$(date)\" \
                 --overwrite asks for one)"
            ),
            Some((why, ends)) => {
                format!("Mooring would {does}, but writes nothing for {object} while {why}: {ends}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        access::subject::tests::{cluster, role},
        api::PAUSED,
    };

    #[test]
    fn what_mooring_will_not_do_is_not_promised() {
        let mut object = cluster();
        let will = |object: &ManagedCluster| Mending::of_cluster(object).will("make it again");
        assert_eq!(
            will(&object),
            "Mooring will make it again at its next pass (kubectl annotate mgc prod \
             mooring.dev/reconcile-requested-at=\"$(date)\" --overwrite asks for one)"
        );
        let stalled = json!({"type": "Stalled", "status": "True", "reason": "NotAllowed", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        object.status.as_mut().unwrap().conditions = vec![serde_json::from_value(stalled).unwrap()];
        assert_eq!(
            will(&object),
            "Mooring would make it again, but writes nothing for mgc prod while it is stalled (NotAllowed): kubectl \
             describe mgc prod"
        );
        object.metadata.annotations = Some([(PAUSED.to_owned(), "true".to_owned())].into());
        let said = will(&object);
        assert!(
            said.ends_with("run `kubectl annotate mgc prod mooring.dev/paused-`"),
            "{said}"
        );
        object.metadata.annotations = None;
        object.spec.mode = Mode::Observe;
        assert!(will(&object).contains("while spec.mode is Observe: run `kubectl patch mgc prod --type merge"));
        // What is kept while the access is away is mended; of the access itself the hop says so.
        object.spec.mode = Mode::Suspended;
        object.status.as_mut().unwrap().conditions.clear();
        assert!(will(&object).starts_with("Mooring will make it again"));
        object.spec.mode = Mode::Enforce;
        let ready = json!({"type": "Ready", "status": "False", "reason": "ReadOnly", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        object.status.as_mut().unwrap().conditions = vec![serde_json::from_value(ready).unwrap()];
        assert!(will(&object).contains("while the operator runs with --read-only"));
        let held = json!({"type": "DeployerRoleReady", "status": "False", "reason": "Held", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        object.status.as_mut().unwrap().conditions = vec![serde_json::from_value(held).unwrap()];
        assert!(will(&object).contains("while the owner of the account holds a part of it"));
        let closed = json!({"type": "Stalled", "status": "True", "reason": "NotOpened", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        object.status.as_mut().unwrap().conditions = vec![serde_json::from_value(closed).unwrap()];
        assert!(
            will(&object).starts_with("Mooring will make it again"),
            "all but the role"
        );
        let said = Mending::of_cluster(&object).will_to_role("mend it");
        assert!(
            said.contains("the role's owner has closed it to Mooring (NotOpened)"),
            "{said}"
        );
        object.spec.access.deployer_role.kind = DeployerRoleType::Existing;
        let said = Mending::of_cluster(&object).will_to_role("make it again");
        assert!(
            said.ends_with("have them make it again") && !said.contains("Mooring will"),
            "{said}"
        );
        object.status.as_mut().unwrap().conditions.clear();
        object.spec.access.deployer_role.kind = DeployerRoleType::Managed;
        assert_eq!(
            Mending::of_cluster(&object).will_to_role("x"),
            will(&object).replace("make it again", "x")
        );
        let mut role = role();
        assert!(Mending::of_role(&role).will("x").starts_with("Mooring will x at"));
        role.metadata.annotations = Some([(PAUSED.to_owned(), "true".to_owned())].into());
        assert!(Mending::of_role(&role).will("x").contains("mgr default"));
    }
}
