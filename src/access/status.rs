//! The condition `Connected`: what a walk means to the people who read the object. Pure but for the one write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, core::DeserializeGuard};
use serde_json::json;

use crate::{
    api::{
        ManagedCluster,
        condition::{ConditionType, Finding, Verdict, conditions, find},
    },
    kubernetes::{KubernetesError, objects},
};

use super::{
    chain::{Found, Hop, Trouble, Walk},
    reason::Reason,
};

/// The name under which the API server records the one condition that is the verifier's. The operator's own writes go
/// by another, so that neither drops what the other wrote.
pub const FIELD_MANAGER: &str = "mooring-verifier";

/// What a walk means: broken before unknown before holding.
#[must_use]
pub fn finding(walk: &Walk) -> Finding {
    if let Some((hop, trouble)) = walk.broken() {
        // Access that was taken away and stands all the same is no less a connection.
        let stands = [Reason::ResidualAccess, Reason::AccessStands].contains(&trouble.reason);
        let verdict = if stands { Verdict::True } else { Verdict::False };
        return told(verdict, Some(hop), trouble);
    }
    if let Some((hop, trouble)) = walk.unknown() {
        return told(Verdict::Unknown, Some(hop), trouble);
    }
    if walk.holds() {
        let mut message = "every hop from Argo CD's service accounts to the cluster's API server was walked".to_owned();
        for found in walk.hops.values() {
            if let Found::Passed { notes, .. } = found {
                message.extend(notes.iter().flat_map(|note| ["; ", note]));
            }
        }
        return Finding::new(ConditionType::Connected, Verdict::True, "ChainHolds", message);
    }
    let reached = Hop::ALL.map(|hop| {
        format!(
            "{hop}: {}",
            if walk.hops.contains_key(&hop) {
                "looked at"
            } else {
                "not reached"
            }
        )
    });
    let message = format!("the walk did not come to an end ({})", reached.join(", "));
    Finding::new(ConditionType::Connected, Verdict::Unknown, "NotReached", message)
}

/// What there is to say of a chain that could not be walked at all.
#[must_use]
pub fn not_walked(trouble: &Trouble) -> Finding {
    told(Verdict::Unknown, None, trouble)
}

fn told(verdict: Verdict, hop: Option<Hop>, trouble: &Trouble) -> Finding {
    let mut message = String::new();
    if let Some(hop) = hop {
        message = format!("{hop}: ");
    }
    message.push_str(&trouble.message);
    if !trouble.candidates.is_empty() {
        let candidates: Vec<&str> = trouble.candidates.iter().map(|reason| reason.as_str()).collect();
        message.push_str(". It may be ");
        message.push_str(&candidates.join(", "));
    }
    message.push_str(". Next: ");
    message.push_str(&trouble.next);
    Finding::new(ConditionType::Connected, verdict, trouble.reason.as_str(), message)
}

/// The condition that is to be written; `None` when the object says so already. `there` is what the object says, and
/// `written` what was written last: an object that comes from a watch may be older than that. `generation` is that of the
/// spec that was walked, which is not always the object's by now.
#[must_use]
pub fn changed(
    there: &[Condition],
    written: Option<&Condition>,
    finding: &Finding,
    generation: Option<i64>,
    now: jiff::Timestamp,
) -> Option<Condition> {
    let there = find(there, ConditionType::Connected);
    let old = written.or(there).map_or(&[][..], std::slice::from_ref);
    let new = conditions(old, std::slice::from_ref(finding), generation, now).pop()?;
    let said = there == Some(&new) && written.is_none_or(|written| *written == new);
    (!said).then_some(new)
}

/// Writes the condition, and nothing else.
///
/// # Errors
/// When the API server refuses it.
pub async fn write(
    api: &Api<DeserializeGuard<ManagedCluster>>,
    name: &str,
    condition: &Condition,
) -> Result<(), KubernetesError> {
    let status = json!({ "conditions": [condition] });
    objects::apply_status(api, name, FIELD_MANAGER, &status).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::access::{Found, Reason, subject::tests::cluster};

    fn walk(over: &[(Hop, Found)]) -> Walk {
        let mut hops: BTreeMap<Hop, Found> = Hop::ALL.into_iter().map(|hop| (hop, passed(&[]))).collect();
        hops.extend(over.iter().cloned());
        Walk { hops }
    }

    fn passed(notes: &[&str]) -> Found {
        Found::Passed {
            seen: "seen".into(),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        }
    }

    fn trouble(reason: Reason) -> Trouble {
        Trouble {
            reason,
            message: "what failed".into(),
            next: "do this".into(),
            candidates: Vec::new(),
        }
    }

    #[test]
    fn access_that_was_taken_away_and_stands_is_no_lack_of_connection() {
        for (reason, verdict) in [
            (Reason::Suspended, Verdict::False),
            (Reason::AccessStands, Verdict::True),
            (Reason::ResidualAccess, Verdict::True),
        ] {
            let found = finding(&walk(&[(Hop::Authentication, Found::Failed(trouble(reason)))]));
            assert_eq!((found.verdict, found.reason), (verdict, reason.as_str()));
        }
    }

    #[test]
    fn broken_comes_before_unknown_and_unknown_before_holding() {
        let private = (Hop::Endpoint, Found::Unknown(trouble(Reason::PrivateEndpoint)));
        let denied = (Hop::DeployerRole, Found::Failed(trouble(Reason::RefusedByTrustPolicy)));
        let late = (Hop::Authorization, Found::Failed(trouble(Reason::ScopeTooNarrow)));
        for (over, verdict, reason) in [
            (vec![], Verdict::True, "ChainHolds"),
            (vec![private.clone()], Verdict::Unknown, "PrivateEndpoint"),
            (vec![private, denied.clone()], Verdict::False, "RefusedByTrustPolicy"),
            (vec![late, denied], Verdict::False, "RefusedByTrustPolicy"),
            (vec![(Hop::Token, Found::NotReached)], Verdict::Unknown, "NotReached"),
        ] {
            let finding = finding(&walk(&over));
            assert_eq!((finding.verdict, finding.reason), (verdict, reason), "{over:?}");
        }
    }

    #[test]
    fn a_message_names_the_hop_the_candidates_and_what_to_do() {
        let undetermined = Trouble {
            candidates: vec![Reason::RefusedByIdentityPolicy, Reason::RefusedByServiceControlPolicy],
            ..trouble(Reason::Undetermined)
        };
        assert_eq!(
            finding(&walk(&[(Hop::DeployerRole, Found::Failed(undetermined))])).message,
            "deployer role: what failed. It may be RefusedByIdentityPolicy, RefusedByServiceControlPolicy. Next: do this"
        );
    }

    #[test]
    fn a_chain_that_holds_is_told_with_what_that_leaves_open() {
        let noted = [
            (Hop::Token, passed(&["one; two"])),
            (Hop::Authorization, passed(&["three", "four"])),
        ];
        assert_eq!(
            finding(&walk(&noted)).message,
            "every hop from Argo CD's service accounts to the cluster's API server was walked; one; two; three; four"
        );
    }

    #[test]
    fn nothing_is_written_when_nothing_changed() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let mut object = cluster();
        let conditions_of = |object: &ManagedCluster| object.status.clone().unwrap_or_default().conditions;
        let holds = finding(&walk(&[]));
        let first = changed(&conditions_of(&object), None, &holds, Some(1), at(1)).unwrap();
        assert_eq!(
            changed(&conditions_of(&object), Some(&first), &holds, Some(1), at(1)),
            Some(first.clone()),
            "somebody took it away"
        );
        object.status.as_mut().unwrap().conditions.push(first.clone());
        assert_eq!(changed(&conditions_of(&object), None, &holds, Some(1), at(2)), None);
        assert_eq!(
            changed(&conditions_of(&object), Some(&first), &holds, Some(1), at(2)),
            None
        );
        let broken = finding(&walk(&[(
            Hop::Endpoint,
            Found::Failed(trouble(Reason::ConnectionRefused)),
        )]));
        let second = changed(&conditions_of(&object), Some(&first), &broken, Some(1), at(3)).unwrap();
        assert_eq!(
            (second.status.as_str(), second.reason.as_str()),
            ("False", "ConnectionRefused")
        );
        let mended = changed(&conditions_of(&object), Some(&second), &holds, Some(1), at(4))
            .expect("the object is as it was before the second");
        assert_eq!(mended.last_transition_time.0, at(4), "it was broken in between");
        object.metadata.generation = Some(4);
        assert_eq!(
            changed(&conditions_of(&object), None, &holds, Some(1), at(4)),
            None,
            "what was walked is another spec"
        );
        let same = changed(&conditions_of(&object), None, &holds, Some(4), at(4)).unwrap();
        assert_eq!(same.observed_generation, Some(4));
        assert_eq!(same.last_transition_time, first.last_transition_time);
    }
}
