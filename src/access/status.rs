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

use super::chain::{Found, Hop, Trouble, Walk};

/// The name under which the API server records the one condition that is the verifier's. The operator's own writes go
/// by another, so that neither drops what the other wrote.
pub const FIELD_MANAGER: &str = "mooring-verifier";

/// What a walk means: broken before unknown before holding.
#[must_use]
pub fn finding(walk: &Walk) -> Finding {
    if let Some((hop, trouble)) = walk.broken() {
        return told(Verdict::False, Some(hop), trouble);
    }
    if let Some((hop, trouble)) = walk.unknown() {
        return told(Verdict::Unknown, Some(hop), trouble);
    }
    if walk.holds() {
        let mut message = "every hop from Argo CD's service accounts to the cluster's API server was walked".to_owned();
        if let Found::Passed { seen } = walk.at(Hop::Authorization)
            && let Some((_, unasked)) = seen.split_once("; ")
        {
            message.push_str("; ");
            message.push_str(unasked);
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

/// The condition that is to be written; `None` when the object says so already.
#[must_use]
pub fn changed(object: &ManagedCluster, finding: &Finding, now: jiff::Timestamp) -> Option<Condition> {
    let old = object.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let new = conditions(old, std::slice::from_ref(finding), object.metadata.generation, now).pop()?;
    (find(old, ConditionType::Connected) != Some(&new)).then_some(new)
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
        let mut hops: BTreeMap<Hop, Found> = Hop::ALL
            .into_iter()
            .map(|hop| (hop, Found::Passed { seen: "seen".into() }))
            .collect();
        hops.extend(over.iter().cloned());
        Walk { hops }
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
    fn nothing_is_written_when_nothing_changed() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let mut object = cluster();
        let holds = finding(&walk(&[]));
        let first = changed(&object, &holds, at(1)).unwrap();
        object.status.as_mut().unwrap().conditions.push(first.clone());
        assert_eq!(changed(&object, &holds, at(2)), None);
        let broken = finding(&walk(&[(
            Hop::Endpoint,
            Found::Failed(trouble(Reason::ConnectionRefused)),
        )]));
        let second = changed(&object, &broken, at(3)).unwrap();
        assert_eq!(
            (second.status.as_str(), second.reason.as_str()),
            ("False", "ConnectionRefused")
        );
        object.metadata.generation = Some(4);
        let same = changed(&object, &holds, at(4)).unwrap();
        assert_eq!(same.last_transition_time, first.last_transition_time);
    }
}
