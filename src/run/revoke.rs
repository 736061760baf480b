//! `mooring revoke`: the edges. What it comes to is judged by [`crate::access::revoked`].

use std::time::{Duration, Instant};

use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{
    Error, Guarded,
    doctor::{edges, operator},
};
use crate::{
    access::{
        Subject,
        others::{Other, Others, other, unreadable},
        revoked::{
            DELETED, Entry, FIELD_MANAGER, NOT_LOOKED_AT, NOT_OURS, NOT_SEEN, Probe, Revoked, SET_BACK, by_hand, entry,
            probe, warnings, ways,
        },
    },
    api::{ManagedCluster, ManagementRole, Mode, RECONCILE_REQUESTED_AT},
    cli::RevokeArgs,
    kubernetes::{KubernetesError, connect::connect, objects},
    managed_cluster::{living::Lives, request::Identity},
};

/// How often the object is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long the operator may say nothing before it is looked whether one works at all, and how often then: one that died is
/// missed only when its lease has expired. One that works acts on a change of the mode within a second or two.
const SILENT: Duration = Duration::from_secs(3);

/// How long what the operator says of somebody else's entry may be of before: it is asked to look again, and does so within
/// seconds.
const SETTLED: Duration = Duration::from_secs(10);

/// How far apart two probes are.
const AGAIN: Duration = Duration::from_secs(5);

/// How often more it is tried where the cluster could not be asked.
const UNSEEN_TRIES: u32 = 2;

/// How long a cluster may go on letting in what it has let in: kube-apiserver knows an accepted token for seconds, and
/// EKS says that a change of an access entry takes effect within some.
const LATE: Duration = Duration::from_mins(1);

/// Takes the access to a cluster away, and waits until that was seen, at most as long as was said. `progress` is told a
/// line at a time.
///
/// # Errors
/// When there is no such cluster, or the API server refuses the change: nothing was done then.
pub async fn revoke(args: &RevokeArgs, progress: impl Fn(&str)) -> Result<Revoked, Error> {
    let client = connect(None, None).await?;
    let api = Api::<ManagedCluster>::all(client.clone());
    let name = &args.cluster;
    let found = objects::get_opt(&api, name).await?;
    let found = found.ok_or_else(|| Error::NoSuchCluster(name.clone()))?;
    let warnings = warnings(&found.metadata);
    let before = found.spec.mode == Mode::Suspended;
    let going = found.metadata.deletion_timestamp.is_some();
    if going && found.spec.mode == Mode::Observe {
        progress(&format!(
            "warning: {name} is being removed, which spec.mode Observe held up: with Suspended the removal goes on, of its cluster Secret and deployer role too"
        ));
    }
    if before {
        progress(&format!("{name} is Suspended already"));
        // What it says of the entry may be of some minutes ago. Where this is refused, the next look comes by itself.
        let asked = json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: jiff::Timestamp::now().to_string()}}});
        let _ = objects::merge(&api, name, FIELD_MANAGER, &asked).await;
    } else {
        let patch = json!({"metadata": {"uid": found.metadata.uid}, "spec": {"mode": "Suspended"}});
        objects::merge(&api, name, FIELD_MANAGER, &patch).await?;
        progress(&format!("set spec.mode of {name} to Suspended"));
    }
    for warning in &warnings {
        progress(&format!("warning: {warning}"));
    }
    if let Others::LetIn { objects } = others(&client, &found).await {
        for other in objects {
            progress(&format!(
                "warning: ManagedCluster {} is of the same EKS cluster, and {}: {}",
                other.name, other.why, other.command
            ));
        }
    }
    // From here on something was done, and what comes of it is told whatever fails.
    let deadline = Instant::now() + args.timeout;
    let (entry, object) = Box::pin(entry_gone(&client, found, (before, deadline), &progress)).await;
    // Whoever has deleted the entry by hand need not wait for the operator to be told what the cluster does.
    let unsaid = matches!(&entry, Entry::Stands { reason, .. } if reason == NOT_LOOKED_AT);
    let probe = match &entry {
        Entry::Stands { .. } if unsaid => Box::pin(refused(&client, &object, args, deadline, &progress)).await,
        Entry::Away => Box::pin(refused(&client, &object, args, deadline, &progress)).await,
        Entry::Stands { .. } => Probe::NotSeen {
            why: "the access entry may still be there".to_owned(),
        },
        Entry::Never | Entry::NotMade { .. } => Probe::NotSeen {
            why: "there is no deployer role to ask with".to_owned(),
        },
    };
    let entry = if unsaid && probe == Probe::Refused {
        Entry::Away
    } else {
        entry
    };
    Ok(Revoked {
        name: name.clone(),
        going: object.metadata.deletion_timestamp.is_some(),
        next: ways(&object, &entry),
        entry,
        probe,
        // Looked at again: whoever was warned may have revoked them meanwhile.
        others: others(&client, &object).await,
        warnings,
    })
}

/// What other objects of the same EKS cluster let in. Not being able to look is no reason not to take this one's access away.
async fn others(client: &Client, object: &ManagedCluster) -> Others {
    let of = match Identity::of(object) {
        Ok(of) => of,
        Err(error) => return Others::NotSeen { why: error.to_string() },
    };
    match listed(client, &of).await {
        Ok(found) => Others::of(found),
        Err(error) => Others::NotSeen { why: error.to_string() },
    }
}

async fn listed(client: &Client, of: &Identity) -> Result<Vec<Other>, KubernetesError> {
    let mut found = Vec::new();
    for object in objects::list(&Api::<Guarded<ManagedCluster>>::all(client.clone())).await? {
        match &object.0 {
            Ok(object) => found.extend(other(of, object)),
            Err(broken) => {
                let name = broken.metadata.name.as_deref().unwrap_or_default();
                if let Some(stored) = objects::stored::<ManagedCluster>(client, name).await? {
                    let lives = Lives::stored(&serde_json::to_value(&stored).unwrap_or_default());
                    found.extend(unreadable(&of.cluster, &lives));
                }
            }
        }
    }
    Ok(found)
}

/// Waits for the operator's word, and gives it with the object as it was last seen. `suspended_before` the mode was set by an
/// earlier command, and some seconds are left for the operator to look again. What does without the operator is told as
/// soon as the operator is known to keep anybody waiting: there is an emergency.
async fn entry_gone(
    client: &Client,
    mut object: ManagedCluster,
    (suspended_before, deadline): (bool, Instant),
    progress: &impl Fn(&str),
) -> (Entry, ManagedCluster) {
    let api = Api::<ManagedCluster>::all(client.clone());
    let name = object.name_any();
    let (settled, mut look) = (Instant::now() + SETTLED, Instant::now() + SILENT);
    let (mut told, mut warned, mut offered, mut unseen) = (String::new(), false, false, 0);
    loop {
        let (last, line, unsaid) = match objects::get_opt(&api, &name).await {
            Ok(found) => {
                let ended = ended(found.as_ref(), &object);
                object = found.unwrap_or(object);
                if let Some(ended) = ended {
                    return (ended, object);
                }
                unseen = 0;
                said(&object)
            }
            Err(error) => {
                unseen += 1;
                let why = format!("the object could not be looked at: {error}");
                (stands(NOT_SEEN, &why), format!("{why}; trying again"), unseen == 1)
            }
        };
        if line != told {
            progress(&line);
            told = line;
        }
        let now = Instant::now();
        // Where nothing was changed, whatever it says may be of before.
        let old = suspended_before || may_be_old(&last);
        let left = is_left_to_others(&last) && (now >= settled || !old);
        if left || now >= deadline {
            return (last, object);
        }
        let mut waits = !unsaid;
        if unsaid && !warned && now >= look {
            if let Some(missing) = operator::missing(client).await {
                progress(&format!("warning: {missing}"));
                warned = true;
                waits = true;
            }
            look = Instant::now() + SILENT;
        }
        if let Some(way) = by_hand(&object, &last).filter(|_| waits && !offered) {
            offered = true;
            progress(&format!("to take it away now: {}, {}", way.command, way.what));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What ends the wait for the operator's word: the object is not the one that was asked for any more, or not as asked.
fn ended(found: Option<&ManagedCluster>, asked: &ManagedCluster) -> Option<Entry> {
    let Some(found) = found else {
        return Some(stands(
            DELETED,
            "the ManagedCluster was deleted meanwhile, and nobody says any more whether its removal took the access entry away",
        ));
    };
    if found.metadata.uid != asked.metadata.uid {
        let anew = "the ManagedCluster was deleted and made anew meanwhile, and the new one was not revoked";
        return Some(stands(SET_BACK, anew));
    }
    (found.spec.mode != Mode::Suspended).then(|| {
        let mode = format!("somebody has set spec.mode back to {:?} meanwhile", found.spec.mode);
        stands(SET_BACK, &mode)
    })
}

/// Whether what the operator says may be of before: an entry of others may have been deleted since.
fn may_be_old(said: &Entry) -> bool {
    matches!(said, Entry::Stands { reason, .. } if reason == NOT_OURS)
}

fn stands(reason: &str, message: &str) -> Entry {
    Entry::Stands {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// What the operator says of the entry, in words too, and whether it has said nothing yet.
fn said(object: &ManagedCluster) -> (Entry, String, bool) {
    let Some(last) = entry(object) else {
        let nothing = "the operator has not looked at the object since the mode was set";
        return (
            stands(NOT_LOOKED_AT, nothing),
            "waiting for the operator".to_owned(),
            true,
        );
    };
    let line = match &last {
        Entry::Away => "the operator has taken the access entry away".to_owned(),
        Entry::Never => "the operator has looked: there is no access entry, and nothing was ever made".to_owned(),
        Entry::Stands { reason, message } | Entry::NotMade { reason, message } => {
            format!("the operator says {reason}: {message}")
        }
    };
    (last, line, false)
}

/// Whether only somebody else ends what the operator says, which is not waited for.
fn is_left_to_others(said: &Entry) -> bool {
    let (reason, made) = match said {
        Entry::Away | Entry::Never => return true,
        Entry::Stands { reason, .. } => (reason, true),
        Entry::NotMade { reason, .. } => (reason, false),
    };
    let is = |all: &[&str]| all.contains(&reason.as_str());
    // What was never made stands behind nothing that is to come.
    is(&["Paused", "ReadOnly", "Held", NOT_OURS])
        || (!made
            && is(&[
                "AccountNotEntered",
                "ManagementRoleMissing",
                "ManagementRoleNotReady",
                "NamespaceNotServed",
            ]))
}

/// What is told of a probe that is worth another. What keeps a walk from being made mostly passes, and nobody is kept waiting
/// long for what does not.
fn again(seen: &Probe, tries: u32) -> Option<String> {
    match seen {
        Probe::LetIn(trouble) => Some(format!("not yet: {}", trouble.reason)),
        Probe::NotSeen { why } => (tries > 0).then(|| format!("could not look, and tries again: {why}")),
        Probe::Refused => None,
    }
}

/// Walks the chain with tokens of Argo CD's service accounts until the cluster refuses them, or has let them in for too
/// long.
async fn refused(
    client: &Client,
    object: &ManagedCluster,
    args: &RevokeArgs,
    deadline: Instant,
    progress: &impl Fn(&str),
) -> Probe {
    let role = &object.spec.management_role;
    let role = objects::get_opt(&Api::<ManagementRole>::all(client.clone()), role).await;
    let role = match role {
        Ok(role) => role,
        Err(error) => return Probe::NotSeen { why: error.to_string() },
    };
    let subject = match Subject::read(object, role.as_ref()) {
        Ok(subject) => subject,
        Err(trouble) => return Probe::NotSeen { why: trouble.message },
    };
    let edges = match edges(client.clone(), args.ca_bundle.clone()).await {
        Ok(edges) => edges,
        Err(error) => return Probe::NotSeen { why: error.to_string() },
    };
    progress("asking the cluster whether it still knows the deployer role");
    let until = deadline.min(Instant::now() + LATE);
    let mut tries = UNSEEN_TRIES;
    loop {
        let seen = probe(&Box::pin(edges.walk(&subject)).await.walk);
        match again(&seen, tries).filter(|_| Instant::now() < until) {
            Some(line) => progress(&line),
            None => return seen,
        }
        tries -= u32::from(matches!(seen, Probe::NotSeen { .. }));
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_that_could_not_be_made_is_tried_again_some_times_and_a_refusal_is_what_was_asked_for() {
        let unseen = Probe::NotSeen {
            why: "STS failed".to_owned(),
        };
        assert!(again(&unseen, UNSEEN_TRIES).unwrap().ends_with("STS failed"));
        assert_eq!(again(&unseen, 0), None);
        assert_eq!(again(&Probe::Refused, UNSEEN_TRIES), None);
    }

    #[test]
    fn what_stands_is_waited_for_and_what_was_never_made_is_not_where_the_operator_waits_itself() {
        let stands = |reason: &str| super::stands(reason, "");
        let not_made = |reason: &str| Entry::NotMade {
            reason: reason.to_owned(),
            message: String::new(),
        };
        for reason in ["Paused", "ReadOnly", "Held", "AccessEntryNotOurs"] {
            assert!(
                is_left_to_others(&stands(reason)) && is_left_to_others(&not_made(reason)),
                "{reason}"
            );
        }
        for reason in ["AccountNotEntered", "ManagementRoleMissing", "ManagementRoleNotReady"] {
            assert!(
                !is_left_to_others(&stands(reason)) && is_left_to_others(&not_made(reason)),
                "{reason}"
            );
        }
        assert!(may_be_old(&stands(NOT_OURS)) && !may_be_old(&stands("Paused")));
        assert!(is_left_to_others(&Entry::Away) && is_left_to_others(&Entry::Never));
        assert!(
            !is_left_to_others(&not_made("AwsUnavailable")),
            "it is looked at again soon"
        );
        assert!(!is_left_to_others(&stands(NOT_LOOKED_AT)));
    }

    #[test]
    fn an_object_that_is_not_as_asked_any_more_ends_the_wait() {
        let object = |uid: &str, mode: &str| -> ManagedCluster {
            serde_json::from_value(json!({
                "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "prod", "uid": uid},
                "spec": {"accountId": "222222222222", "region": "eu-west-1", "mode": mode, "access": {}},
            }))
            .unwrap()
        };
        let asked = object("u", "Enforce");
        let reason = |found: Option<&ManagedCluster>| match ended(found, &asked) {
            Some(Entry::Stands { reason, .. }) => Some(reason),
            Some(Entry::Away | Entry::Never | Entry::NotMade { .. }) => panic!("it says nothing of the entry"),
            None => None,
        };
        assert_eq!(reason(Some(&object("u", "Suspended"))), None);
        assert_eq!(reason(Some(&object("u", "Enforce"))).as_deref(), Some(SET_BACK));
        assert_eq!(reason(Some(&object("another", "Suspended"))).as_deref(), Some(SET_BACK));
        assert_eq!(reason(None).as_deref(), Some(DELETED));
    }
}
