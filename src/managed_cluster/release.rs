//! Letting go: Secret, access entry, deployer role, and then the finalizer, once a later look is clean.
//!
//! Before anything is taken away, `hold` asks whether it may be: too many removals at once, and Applications that still
//! deploy to the cluster, hold it up. Then `take_away` does it; where nothing may be written, `foresee` says what it would do.

mod deleted;
mod foresee;
mod hold;
mod retain;
mod take_away;
mod telling;

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::controller::Action;
use serde_json::Value;

use crate::{
    api::{FINALIZER, ManagedCluster, ManagedClusterStatus, recorded},
    domain::arn::PolicyArn,
    kubernetes::{finalizer, misfit::misfit, objects},
};

pub(super) use self::deleted::gone;

use super::{
    Context, Error,
    blocked::Blocked,
    conclude, known_status,
    request::{Identity, retains},
    status::{Cut, Pass, Releasing},
    step::Part,
    suspend::cut_off,
    turn::is_suspended,
    withheld::Withheld,
};

/// An object that is being removed.
struct Going<'a> {
    metadata: &'a ObjectMeta,
    identity: &'a Identity,
    /// The boundary of its deployer role, where the spec names one.
    boundary: Option<PolicyArn>,
    /// What its status says.
    old: &'a ManagedClusterStatus,
    /// What it says of its removal that nobody knows.
    unknown: Option<String>,
    /// Which field it does not parse for: the `ManagementRole` keeps no record of a role by it then.
    misfit: Option<String>,
}

impl Going<'_> {
    fn uid(&self) -> &str {
        &self.identity.uid
    }
}

/// How one pass of a removal ended.
#[allow(clippy::large_enum_variant, reason = "there is one for the length of a pass")]
enum Turn {
    /// A person changed the object while it waited.
    Overtaken,
    /// Something is left, or may be.
    Remains(Pass),
    /// Nothing is left for sure.
    Gone,
}

impl Turn {
    fn blocked(blocked: Blocked) -> Self {
        Self::Remains(Pass::Releasing(Releasing::blocked(blocked)))
    }

    fn again(message: &str) -> Self {
        Self::Remains(Pass::Releasing(Releasing::again(message)))
    }

    /// The same with more of what is told while something remains.
    fn with(self, more: impl FnOnce(Releasing) -> Releasing) -> Self {
        match self {
            Self::Remains(Pass::Releasing(releasing)) => Self::Remains(Pass::Releasing(more(releasing))),
            other @ (Self::Overtaken | Self::Remains(_) | Self::Gone) => other,
        }
    }

    /// The same with how long it takes until another look is worth it; with zero it is looked at again soon.
    fn in_time(self, wait: Duration) -> Self {
        self.with(|releasing| Releasing {
            look_in: Some(wait).filter(|wait| !wait.is_zero()),
            ..releasing
        })
    }

    /// The same with what is surely gone.
    fn knowing(self, gone: BTreeSet<Part>) -> Self {
        self.with(|releasing| Releasing { gone, ..releasing })
    }
}

/// Lets go of an object that could be read.
pub(super) async fn known(cluster: &ManagedCluster, context: &Context) -> Result<Action, Error> {
    let identity = Identity::of(cluster).map_err(|error| Error::Unreadable(error.to_string()))?;
    let boundary = cluster
        .spec
        .access
        .deployer_role
        .permissions_boundary
        .as_deref()
        .and_then(|arn| arn.parse().ok());
    let going = Going {
        metadata: &cluster.metadata,
        identity: &identity,
        boundary,
        old: &known_status(cluster, context),
        unknown: None,
        misfit: None,
    };
    Box::pin(release(context, &going)).await
}

/// Lets go of an object that cannot be read, by the names in it that never change and by what was recorded.
pub(super) async fn unparsable(metadata: &ObjectMeta, context: &Context) -> Result<Action, Error> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let read = objects::stored::<ManagedCluster>(&context.client, name).await?;
    let Some(object) = read else {
        return Ok(Action::await_change());
    };
    let value = serde_json::to_value(&object).unwrap_or_default();
    let old = recorded(value.get("status")).map_err(Error::Unreadable)?;
    let going = Going {
        metadata: &object.metadata,
        identity: &Identity::stored(&value, &old).map_err(|error| Error::Unreadable(error.to_string()))?,
        boundary: None,
        old: &old,
        unknown: retains(&value).err(),
        misfit: misfit::<ManagedCluster>(&value),
    };
    Box::pin(release(context, &going)).await
}

/// What a status of any release recorded. What it made is never taken for nothing because another part of it cannot be
/// read. Without the name of role and Secret nothing is let go of; an access entry is known by its tags too, and the rest
/// only helps to tell.
///
/// # Errors
/// Which part of it, and why.
pub fn recorded(status: Option<&Value>) -> Result<ManagedClusterStatus, String> {
    recorded::read(status, |status| {
        Ok(ManagedClusterStatus {
            deployer_role: recorded::part(status, "deployerRole")?,
            secret: recorded::part(status, "secret")?,
            secret_uid: recorded::part(status, "secretUid").ok().flatten(),
            secret_adopted: recorded::part(status, "secretAdopted").ok().flatten(),
            access_entry: recorded::part(status, "accessEntry").ok().flatten(),
            cluster: recorded::part(status, "cluster").ok().flatten(),
            observed_generation: recorded::part(status, "observedGeneration").ok().flatten(),
            conditions: recorded::part(status, "conditions").ok().flatten().unwrap_or_default(),
            ..ManagedClusterStatus::default()
        })
    })
}

async fn release(context: &Context, going: &Going<'_>) -> Result<Action, Error> {
    let (metadata, identity) = (going.metadata, going.identity);
    if !finalizer::bears(metadata, FINALIZER) {
        context.memory.forget(going.uid());
        context.backoff.clear(&identity.uid);
        return Ok(Action::await_change());
    }
    let pass = if let Some(withheld) = Withheld::of(metadata, identity.mode, context.read_only) {
        match Box::pin(foresee::foresee(context, going)).await {
            Some(foreseen) => Some(Pass::ReleaseWithheld(withheld, foreseen)),
            None => return Ok(Action::requeue(Duration::ZERO)),
        }
    } else {
        // What waits gives nobody access meanwhile, whatever it waits for.
        let suspension = Box::pin(cut_off(metadata, identity, going.old, context)).await;
        let (cut, handed_over) = suspension.map_or((None, false), |of| (Some(of.cut), of.handed_over));
        let unsettled = identity.retain && cut.as_ref().is_some_and(may_stand);
        let beside = |mut releasing: Releasing| {
            // What a suspension took away before, nothing gives back.
            if cut.is_none() && is_suspended(going.old) {
                releasing.gone.insert(Part::AccessEntry);
            }
            Releasing {
                cut,
                handed_over: handed_over || releasing.handed_over,
                existing: identity.existing.is_some(),
                ..releasing
            }
        };
        match Box::pin(take_away::take_away(context, going)).await {
            Ok(Turn::Overtaken) => return Ok(Action::requeue(Duration::ZERO)),
            // Of what is kept nothing was looked at, and nobody looks again once the object is gone.
            Ok(Turn::Gone) if unsettled => Some(Pass::Releasing(beside(Releasing {
                gone: BTreeSet::from([Part::Secret]),
                ..Releasing::again(
                    "with spec.mode Enforce the object goes, and its access entry is kept as well: the access then stands, and nothing tells of it any more",
                )
            }))),
            Ok(Turn::Gone) => None,
            Ok(Turn::Remains(Pass::Releasing(releasing))) => Some(Pass::Releasing(beside(releasing))),
            Ok(Turn::Remains(pass)) => Some(pass),
            Err(error) => Some(Pass::Releasing(beside(Releasing::failed(error)))),
        }
    };
    if let Some(pass) = pass {
        return conclude(context, metadata, Some(identity), going.old, pass).await;
    }
    finalizer::remove(&context.api(), metadata, FINALIZER).await?;
    context.memory.forget(going.uid());
    context.backoff.clear(&identity.uid);
    Ok(Action::await_change())
}

/// Whether access that was to be taken away may stand still. An entry of somebody else's is not ours to take away.
fn may_stand(cut: &Cut) -> bool {
    match cut {
        Cut::Away { .. } => false,
        Cut::Blocked(blocked) => !matches!(blocked, Blocked::EntryNotOurs { .. }),
        Cut::Failed(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn access_may_stand_unless_it_is_known_to_be_away_or_is_somebody_elses() {
        let away = Cut::Away {
            deleted: false,
            settled: true,
        };
        assert!(!may_stand(&away));
        let theirs = Blocked::EntryNotOurs {
            owner: "theirs".into(),
            next: "n".into(),
        };
        assert!(!may_stand(&Cut::Blocked(theirs)));
        assert!(may_stand(&Cut::Blocked(Blocked::StoodBack)));
        assert!(may_stand(&Cut::Failed(Error::ShuttingDown)));
    }

    #[test]
    fn each_part_of_a_status_that_can_be_read_is_kept_beside_one_that_cannot() {
        let status = json!({
            "conditions": 7, "plan": "none",
            "deployerRole": {"arn": "arn:r", "id": "AROAR"}, "secret": "cluster-x",
            "accessEntry": {"arn": "arn:e", "policies": ["arn:p"]},
            "cluster": {"accountId": "2", "region": "r", "name": "n", "arn": "arn:c", "endpoint": "https://x"},
        });
        let read = recorded(Some(&status)).unwrap();
        assert_eq!(read.deployer_role.unwrap().id, "AROAR");
        assert_eq!(read.secret.as_deref(), Some("cluster-x"));
        let entry = read.access_entry.unwrap();
        assert_eq!(entry.arn.as_deref(), Some("arn:e"));
        assert!(entry.policies.contains("arn:p"));
        assert_eq!(read.cluster.unwrap().endpoint.as_deref(), Some("https://x"));
        assert!(read.conditions.is_empty());
        for nothing in [None, Some(&serde_json::Value::Null)] {
            assert_eq!(
                recorded(nothing),
                Ok(ManagedClusterStatus::default()),
                "no pass has ended yet"
            );
        }

        let with = |key: &str, value: serde_json::Value| {
            let mut status = status.clone();
            status[key] = value;
            recorded(Some(&status))
        };
        let without = with("accessEntry", json!("arn:e")).unwrap();
        assert!(without.access_entry.is_none() && without.cluster.is_some());
        assert!(
            with("deployerRole", json!(7))
                .unwrap_err()
                .starts_with("status.deployerRole: ")
        );
        assert!(with("secret", json!(7)).unwrap_err().starts_with("status.secret: "));
    }
}
