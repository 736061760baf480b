//! What an object says that does not parse, and what was recorded of it. Pure.

use serde_json::Value;

use super::Identity;
use crate::{
    api::ManagedClusterStatus,
    domain::{arn::RoleArn, hub::MOORING, name::InvalidName},
    policy,
};

impl Identity {
    /// The same of an object that does not parse, with what was recorded: the deployer role never changes, so where the
    /// object says another one, or none, it is what says so that cannot be read.
    ///
    /// # Errors
    /// As [`Identity::read`].
    pub fn stored(object: &Value, status: &ManagedClusterStatus) -> Result<Self, InvalidName> {
        let identity = Self::read(object)?;
        let recorded = status.deployer_role.as_ref().and_then(|role| role.arn.parse().ok());
        Ok(match recorded {
            Some(recorded) if identity.named() != Some(&recorded) => identity.on(recorded),
            Some(_) | None => identity,
        })
    }

    /// The same with the deployer role that was recorded.
    fn on(self, recorded: RoleArn) -> Self {
        let ours = recorded.path.starts_with(MOORING);
        Self {
            role_name: None,
            existing: None,
            adopted: (!ours).then(|| recorded.clone()),
            unsure: !ours,
            recorded: Some(recorded),
            ..self
        }
    }
}

/// Whether a removal keeps role and entry, as an object says it that may not parse.
///
/// # Errors
/// What it says that this release does not know. Nothing is removed by a guess.
pub fn retains(object: &Value) -> Result<bool, String> {
    let unknown = |field: &str, value: &Value| {
        Err(format!(
            "{field} is {}, which this release of Mooring does not know: set spec.deletion.policy to Delete or to Retain",
            policy::shown(&value.to_string())
        ))
    };
    match object.pointer("/spec/deletion") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Object(deletion)) => match deletion.get("policy") {
            None | Some(Value::Null) => Ok(false),
            Some(Value::String(policy)) if policy == "Delete" => Ok(false),
            Some(Value::String(policy)) if policy == "Retain" => Ok(true),
            Some(other) => unknown("spec.deletion.policy", other),
        },
        Some(other) => unknown("spec.deletion", other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::DeployerRoleStatus,
        domain::{arn::ClusterArn, hub::Hub},
    };

    fn hub() -> Hub {
        Hub {
            cluster: ClusterArn {
                region: "eu-west-1".parse().unwrap(),
                account: "111111111111".parse().unwrap(),
                name: "hub".parse().unwrap(),
            },
            management_role: "default".parse().unwrap(),
        }
    }

    /// A later release may say it in another form.
    #[test]
    fn where_an_object_does_not_say_its_role_any_more_what_was_recorded_does() {
        let hub = hub();
        let of = |access: Value, recorded: Option<&str>| {
            let object = json!({"metadata": {"name": "prod", "uid": "u"}, "spec": {
                "accountId": "222222222222", "region": "eu-west-1", "access": access,
            }});
            let status = ManagedClusterStatus {
                deployer_role: recorded.map(|arn| DeployerRoleStatus {
                    arn: arn.to_owned(),
                    id: "AROA1".to_owned(),
                }),
                ..ManagedClusterStatus::default()
            };
            let identity = Identity::stored(&object, &status).unwrap();
            let id = identity.recorded_role(&status).map(str::to_owned);
            (identity.deployer(&hub).to_string(), identity, id)
        };
        let derived = of(json!({}), None).0;
        let chosen = "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/a-name-of-its-own";
        for access in [
            json!("everything"),
            json!({"deployerRole": "mine"}),
            json!({"role": {"name": "x"}}),
        ] {
            assert_eq!(of(access.clone(), None).0, derived, "{access}");
            let (deployer, identity, id) = of(access.clone(), Some(chosen));
            assert_eq!((deployer.as_str(), id.as_deref()), (chosen, Some("AROA1")), "{access}");
            assert!(identity.named().is_none() && !identity.unsure, "{access}");
        }
        let theirs = "arn:aws:iam::222222222222:role/argocd";
        // Whether it was taken over, or is used as somebody else's, nobody can read: the ID alone makes nothing ours.
        let (deployer, identity, id) = of(json!("everything"), Some(theirs));
        assert_eq!((deployer.as_str(), id), (theirs, None));
        assert!(identity.unsure && identity.adopted.is_some());
        for (role, ours) in [
            (json!({"arn": theirs}), Some("AROA1")),
            (json!({"type": "Existing", "arn": theirs}), None),
        ] {
            let (deployer, identity, id) = of(json!({"deployerRole": role}), Some(theirs));
            assert_eq!((deployer.as_str(), id.as_deref()), (theirs, ours));
            assert!(!identity.unsure && identity.existing.is_some() == ours.is_none());
        }
    }

    #[test]
    fn a_deletion_policy_that_is_not_known_is_taken_for_none_that_is() {
        for (deletion, expected) in [
            (Value::Null, Ok(false)),
            (json!({}), Ok(false)),
            (json!({"policy": null}), Ok(false)),
            (json!({"policy": "Delete"}), Ok(false)),
            (json!({"policy": "Retain"}), Ok(true)),
            (
                json!({"policy": "KeepEntry"}),
                Err("spec.deletion.policy is \"KeepEntry\""),
            ),
            (json!({"policy": 7}), Err("spec.deletion.policy is 7")),
            (json!("Retain"), Err("spec.deletion is \"Retain\"")),
            (json!({"policy": "delete"}), Err("spec.deletion.policy is \"delete\"")),
        ] {
            let object = json!({"metadata": {"name": "prod"}, "spec": {
                "accountId": "222222222222", "region": "eu-west-1", "deletion": deletion,
            }});
            let identity = Identity::read(&object).unwrap();
            match (retains(&object), expected) {
                (Ok(retain), expected) => {
                    assert_eq!(Ok(retain), expected, "{deletion}");
                    assert_eq!(identity.retain, retain, "{deletion}");
                }
                (Err(told), expected) => {
                    assert!(told.starts_with(expected.unwrap_err()) && identity.retain, "{told}");
                }
            }
        }
    }
}
