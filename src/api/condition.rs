//! Conditions: their types, and how a new set is laid over the old one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::text::without_passwords;

/// The type of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The EKS cluster is there and in a state to be used.
    ClusterReady,
    /// The `ManagementRole` lets this cluster in, and its role may assume the deployer role.
    ManagementRoleReady,
    /// The deployer role is as the spec says.
    DeployerRoleReady,
    /// The access entry and its policies are as the spec says.
    AccessEntryReady,
    /// The cluster Secret is as the spec says.
    SecretReady,
    /// `ManagementRole`: the hub is the cluster that the operator runs on.
    HubReady,
    /// `ManagementRole`: the hub's OIDC provider is there.
    OidcProviderReady,
    /// `ManagementRole`: the role and its trust are as the spec says.
    RoleReady,
    /// `ManagementRole`: the role may assume every deployer role that is wanted.
    PolicyReady,
    /// `ManagementRole`: Argo CD's service accounts name the role, and its pods run with it. Written by the binding alone,
    /// and no part of the summary.
    ServiceAccountsBound,
    /// The summary.
    Ready,
    /// There only when true: nothing will change until a person acts.
    Stalled,
    /// The chain was walked to the cluster's API server. Written by the verifier alone; `Ready` does not include it.
    Connected,
}

impl ConditionType {
    /// The type as it stands in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterReady => "ClusterReady",
            Self::ManagementRoleReady => "ManagementRoleReady",
            Self::DeployerRoleReady => "DeployerRoleReady",
            Self::AccessEntryReady => "AccessEntryReady",
            Self::SecretReady => "SecretReady",
            Self::HubReady => "HubReady",
            Self::OidcProviderReady => "OidcProviderReady",
            Self::RoleReady => "RoleReady",
            Self::PolicyReady => "PolicyReady",
            Self::ServiceAccountsBound => "ServiceAccountsBound",
            Self::Ready => "Ready",
            Self::Stalled => "Stalled",
            Self::Connected => "Connected",
        }
    }
}

/// `True`, `False` or `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It could not be looked at, or has not been yet.
    Unknown,
}

impl Verdict {
    /// The verdict as it stands in the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it speaks of.
    pub kind: ConditionType,
    /// Whether it holds.
    pub verdict: Verdict,
    /// One word in `CamelCase`.
    pub reason: &'static str,
    /// A sentence that names the next action; at most 4,096 characters are kept, and no password of a URL.
    pub message: String,
}

impl Finding {
    /// A finding.
    pub fn new(kind: ConditionType, verdict: Verdict, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            verdict,
            reason,
            message: message.into(),
        }
    }
}

/// The conditions that follow from findings: the time of the last transition is kept unless the verdict changes.
#[must_use]
pub fn conditions(old: &[Condition], findings: &[Finding], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    findings
        .iter()
        .map(|finding| {
            let kept = old
                .iter()
                .find(|c| c.type_ == finding.kind.as_str() && c.status == finding.verdict.as_str())
                .map(|c| c.last_transition_time.clone());
            Condition {
                type_: finding.kind.as_str().to_owned(),
                status: finding.verdict.as_str().to_owned(),
                reason: finding.reason.to_owned(),
                message: without_passwords(&finding.message).chars().take(4096).collect(),
                observed_generation: generation,
                last_transition_time: kept.unwrap_or(Time(now)),
            }
        })
        .collect()
}

/// The condition of a type, if it is there.
#[must_use]
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Whether a condition is there and false.
#[must_use]
pub fn is_false(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == Verdict::False.as_str())
}

/// All conditions but those of a type: what another writer has put there is neither ours to repeat nor a difference.
#[must_use]
pub fn without(mut conditions: Vec<Condition>, kind: ConditionType) -> Vec<Condition> {
    conditions.retain(|condition| condition.type_ != kind.as_str());
    conditions
}

/// Whether a condition is there and true.
#[must_use]
pub fn holds(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == Verdict::True.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_moves_only_with_the_verdict() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let finding = |verdict, reason| [Finding::new(ConditionType::Ready, verdict, reason, "m")];
        let first = conditions(&[], &finding(Verdict::False, "A"), Some(1), at(1));
        let second = conditions(&first, &finding(Verdict::False, "B"), Some(2), at(2));
        assert_eq!(second[0].last_transition_time, Time(at(1)));
        assert_eq!(
            (second[0].reason.as_str(), second[0].observed_generation),
            ("B", Some(2))
        );
        let third = conditions(&second, &finding(Verdict::True, "C"), Some(2), at(3));
        assert_eq!(third[0].last_transition_time, Time(at(3)));
        assert!(holds(&third, ConditionType::Ready) && !holds(&third, ConditionType::Stalled));
    }
}
