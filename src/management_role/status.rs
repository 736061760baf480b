//! 6. status: what a pass over a `ManagementRole` means. Pure but for the one write at the end.

mod facts;
mod withheld;

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::{Api, core::DeserializeGuard};
use serde_json::Value;

use crate::{
    api::{
        ManagementRole, ManagementRoleStatus,
        condition::{ConditionType, Finding, Verdict, conditions, is_false},
    },
    kubernetes::{
        KubernetesError,
        objects::{self, FIELD_MANAGER},
    },
    managed_cluster::{
        Withheld,
        chain::{self, Removal, as_specified, chain, keep_parts, summarise},
        words::some,
    },
};

use super::{
    apply::{Failure, Outcome, Stop},
    error::Error,
    foreseen::Foreseen,
    members::Members,
    observe::Observed,
    request::{Refusal, Request, RoleOwner},
    step::{Blocked, Part, Plan, Step},
};

/// Every way in which a pass can end.
#[derive(Debug)]
pub enum Pass {
    /// The spec asks for what it cannot have.
    Refused(Refusal),
    /// Everything was looked at, and nothing written but the status: which deployer roles are kept when their objects go is
    /// recorded there all the same, and those that go wait for no more.
    Withheld(Withheld, Plan, BTreeSet<String>),
    /// The plan was carried out as far as it went.
    Applied(Box<Applied>),
    /// The pass could not be carried through.
    Failed(Error),
    /// A pass of a removal could not be carried through.
    RemovalFailed(Error),
    /// The object is being removed, and this is what remains.
    Releasing(String, Option<Blocked>),
    /// The object is being removed and nothing is written for it: what was looked at and is not done.
    ReleaseWithheld(Withheld, Foreseen),
}

/// A pass that went through.
#[derive(Debug)]
pub struct Applied {
    /// What was asked.
    pub request: Request,
    /// What was seen.
    pub observed: Observed,
    /// Who stands on the role.
    pub members: Members,
    /// What was planned.
    pub plan: Plan,
    /// What became of it.
    pub outcome: Outcome,
    /// Deployer roles that were kept, and that nobody can hold any more.
    pub let_go: BTreeSet<String>,
}

/// The first thing that does not hold.
type Bad = chain::Bad<Part>;

fn bad_of(blocked: &Blocked) -> Bad {
    Bad {
        part: blocked.part(),
        verdict: blocked.verdict(),
        reason: blocked.reason(),
        message: blocked.message(),
        stalled: blocked.stalled(),
    }
}

fn bad_error(error: &Error) -> Bad {
    let telling = error.telling();
    Bad {
        part: Some(telling.part),
        verdict: telling.verdict,
        reason: telling.reason,
        message: error.message(),
        stalled: telling.stalled,
    }
}

fn bad_stop(stop: &Stop) -> Bad {
    match stop {
        Stop::Blocked(blocked) => bad_of(blocked),
        Stop::Failed(part, Failure::Aws(error)) => Bad {
            part: Some(*part),
            ..bad_error(&Error::Aws(error.clone()))
        },
        Stop::Failed(part, Failure::OutOfTime) => bad_error(&Error::Step(*part, Failure::OutOfTime)),
        Stop::Failed(part, Failure::Stopping) => bad_error(&Error::Step(*part, Failure::Stopping)),
    }
}

/// What holds after a pass over the object of that name.
#[must_use]
pub fn findings(pass: &Pass, object: &str) -> Vec<Finding> {
    let alone = |reason, message: String, stalled| {
        summarise(
            Vec::new(),
            &Bad {
                part: None,
                verdict: Verdict::False,
                reason,
                message,
                stalled,
            },
        )
    };
    match pass {
        Pass::Refused(refusal) => alone("InvalidSpec", refusal.to_string(), true),
        Pass::Withheld(withheld, plan, _) if plan.is_clean() => {
            let mut findings = held(None);
            findings.push(Finding::new(
                ConditionType::Ready,
                Verdict::True,
                withheld.reason(),
                format!("{}; {BOUND}", withheld.nothing_to_do(&format!("mgr {object}"))),
            ));
            findings
        }
        Pass::Withheld(withheld, plan, _) => withheld::told(*withheld, object, plan),
        Pass::Applied(applied) => {
            let Applied {
                plan, outcome, request, ..
            } = applied.as_ref();
            let bad = outcome.stop().map(bad_stop).or_else(|| plan.in_the_way().map(bad_of));
            bad.map_or_else(
                || {
                    let mut findings = held(Some(&request.role_owner));
                    let mut can_act = can_act(&request.role_owner);
                    if !plan.acting.is_empty() {
                        can_act.push_str(", and it may assume itself as long as cluster Secrets that Mooring did not write need that: ");
                        can_act.push_str(&some(&plan.acting));
                    }
                    // Whatever is left is no obstacle, and worth a word.
                    let (reason, message) = plan.blocked.first().map_or_else(
                        || ("Ready", can_act.clone()),
                        |note| (note.reason(), format!("{can_act}; {}", note.message())),
                    );
                    findings.push(Finding::new(ConditionType::Ready, Verdict::True, reason, message));
                    findings
                },
                |mut bad| {
                    let undone = plan.steps.iter().filter(|step| !outcome.did(step));
                    let undone: Vec<&Step> = undone.filter(|step| Some(step.part()) == bad.part).collect();
                    if bad.stalled && outcome.stop().is_some() && !undone.is_empty() {
                        let words: Vec<String> = undone.iter().map(|step| step.words()).collect();
                        bad.message = format!("{}. Not done until then: {}", bad.message, words.join("; "));
                        withheld::tell_shut_out(&mut bad.message, undone);
                    }
                    if bad.part.is_none() {
                        return summarise(held(Some(&request.role_owner)), &bad);
                    }
                    let mut findings = chain(&bad);
                    // What was refused before it did not keep it from being done.
                    let policy = Part::Policy.condition();
                    if bad.part < Some(Part::Policy) && outcome.stop().is_some() && outcome.policy_done(&plan.steps) {
                        findings.retain(|finding| finding.kind != policy);
                        findings.push(policy_found(plan));
                    }
                    findings
                },
            )
        }
        Pass::Failed(error) => failed(error, false),
        Pass::RemovalFailed(error) => failed(error, true),
        Pass::ReleaseWithheld(withheld, foreseen) => {
            alone(withheld.reason(), foreseen.message(*withheld, object), false)
        }
        Pass::Releasing(message, None) => alone("Releasing", message.clone(), false),
        Pass::Releasing(message, Some(blocked)) => {
            let bad = Bad {
                message: message.clone(),
                ..bad_of(blocked)
            };
            let part = bad.part.filter(|_| !blocked.holds_removals_up());
            let part = part.map(|part| Finding::new(part.condition(), bad.verdict, bad.reason, message));
            // Who waits for the hub would wait for ever, since nothing else looks at it in a removal.
            let found = matches!(blocked, Blocked::ClustersRemain { hub_found: true, .. });
            let hub = found.then(|| Finding::new(ConditionType::HubReady, Verdict::True, "AsSpecified", IS_HUB));
            summarise(part.into_iter().chain(hub).collect(), &bad)
        }
    }
}

/// What holds of a policy that was written, or needed no writing: what had no room in it is missing all the same.
fn policy_found(plan: &Plan) -> Finding {
    let lacking = plan.blocked.iter().filter(|blocked| !blocked.is_note());
    let lacking = lacking
        .filter(|blocked| blocked.part() == Some(Part::Policy))
        .map(bad_of);
    lacking
        .map(|bad| Finding::new(Part::Policy.condition(), bad.verdict, bad.reason, bad.message))
        .next()
        .unwrap_or_else(|| as_specified(Part::Policy))
}

/// What is told of a hub that was not known to be the one.
const IS_HUB: &str = "this operator runs on the hub";

/// What is told of the policy of a role that somebody else owns.
const ITS_OWNERS: &str = "what the role may assume is for its owner to give, and is not looked at";

/// What is no part of `Ready`.
const BOUND: &str = "ServiceAccountsBound says whether Argo CD runs with the role";

/// What is told when all holds. Whether Argo CD's pods run with the role is told by the binding.
fn can_act(owner: &RoleOwner) -> String {
    let what = match owner {
        RoleOwner::Mooring => "the management role may assume every deployer role that is wanted",
        RoleOwner::Existing => "the management role is there, and what it may assume is for its owner to give",
    };
    format!("{what}; {BOUND}")
}

/// How everything begins that is told of an object that is being removed: what is asked for is for that alone.
#[must_use]
pub fn going(message: &str) -> String {
    format!("this ManagementRole is being removed, and waits: {message}")
}

/// A pass that broke off knows of the one part that it broke off at; of the others nothing new.
fn failed(error: &Error, removal: bool) -> Vec<Finding> {
    let mut bad = bad_error(error);
    let read = !matches!(error, Error::Unreadable(_) | Error::Invalid { .. } | Error::Refused(_));
    let part = bad
        .part
        .filter(|_| read)
        .map(|part| Finding::new(part.condition(), bad.verdict, bad.reason, &bad.message));
    if removal {
        bad.message = going(&bad.message);
    }
    summarise(part.into_iter().collect(), &bad)
}

/// Every part holds, as far as it is looked at: of a role that somebody else owns the policy is not.
fn held(owner: Option<&RoleOwner>) -> Vec<Finding> {
    let mut findings = Part::ALL.map(as_specified).to_vec();
    if owner == Some(&RoleOwner::Existing) {
        let policy = Part::Policy.condition();
        findings.retain(|finding| finding.kind != policy);
        findings.push(Finding::new(policy, Verdict::Unknown, "NotLookedAt", ITS_OWNERS));
    }
    findings
}

/// The status without what others write beside us: what the binding tells, a condition and the restarts; and the
/// removals that were begun.
#[must_use]
pub fn own(mut status: ManagementRoleStatus) -> ManagementRoleStatus {
    let theirs = ConditionType::ServiceAccountsBound.as_str();
    status.conditions.retain(|condition| condition.type_ != theirs);
    status.removals.clear();
    status.restarted.clear();
    status
}

/// The whole status after a pass. What the pass did not look at is kept from before.
#[must_use]
pub fn status(
    old: &ManagementRoleStatus,
    object: &str,
    generation: Option<i64>,
    pass: &Pass,
    now: Timestamp,
) -> ManagementRoleStatus {
    let mut findings = findings(pass, object);
    // A mismatch stops every cluster, and ends only when somebody has looked again.
    let mismatch = is_false(&old.conditions, ConditionType::HubReady);
    findings.retain(|f| !(mismatch && f.kind == ConditionType::HubReady && f.verdict == Verdict::Unknown));
    let going = matches!(
        pass,
        Pass::Releasing(..) | Pass::ReleaseWithheld(..) | Pass::RemovalFailed(_)
    );
    let removal = Removal::of(going, old.observed_generation, generation);
    keep_parts::<Part>(&old.conditions, &mut findings, removal);
    let mut status = ManagementRoleStatus {
        observed_generation: generation,
        conditions: conditions(&old.conditions, &findings, generation, now),
        ..old.clone()
    };
    match pass {
        Pass::Applied(applied) => facts::tell(&mut status, applied),
        // A cluster that keeps its deployer role waits until that is recorded, also when both are removed together.
        Pass::Releasing(_, Some(Blocked::ClustersRemain { retained, .. })) => {
            status.retained = retained.iter().cloned().collect();
        }
        Pass::Withheld(_, _, retained) => {
            let kept = old.retained.iter().chain(retained).cloned();
            status.retained = kept.collect::<BTreeSet<String>>().into_iter().collect();
        }
        Pass::Refused(_)
        | Pass::Failed(_)
        | Pass::RemovalFailed(_)
        | Pass::Releasing(..)
        | Pass::ReleaseWithheld(..) => {}
    }
    status
}

/// Writes the status, unless it says the same already; also of an object that cannot be read.
///
/// # Errors
/// When the API server refuses it.
pub async fn write(
    api: &Api<DeserializeGuard<ManagementRole>>,
    object: &str,
    old: &ManagementRoleStatus,
    new: &ManagementRoleStatus,
) -> Result<(), KubernetesError> {
    if old != new {
        let value = serde_json::to_value(new).unwrap_or(Value::Null);
        objects::apply_status(api, object, FIELD_MANAGER, &value).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::Step, *};
    use crate::{
        api::{RoleStatus, condition::find},
        aws::{AwsError, Call, ErrorKind},
        domain::arn::ClusterArn,
    };

    fn hub_cluster() -> ClusterArn {
        ClusterArn {
            region: "eu-west-1".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            name: "hub".parse().unwrap(),
        }
    }

    fn denied(call: Call, request: &str) -> Pass {
        Pass::Failed(Error::Aws(AwsError {
            call,
            kind: ErrorKind::Denied,
            code: "AccessDenied".into(),
            message: "no".into(),
            request_id: Some(request.into()),
            resource: "r".into(),
            acting_as: Arc::from("me"),
        }))
    }

    fn after(old: &ManagementRoleStatus, pass: &Pass, second: i64) -> ManagementRoleStatus {
        status(old, "default", Some(1), pass, Timestamp::from_second(second).unwrap())
    }

    fn verdict(status: &ManagementRoleStatus, kind: ConditionType) -> Option<&str> {
        find(&status.conditions, kind).map(|c| c.status.as_str())
    }

    /// What a pass that saw the hub and its obstacle would leave.
    fn mismatched() -> ManagementRoleStatus {
        let finding = Finding::new(ConditionType::HubReady, Verdict::False, "HubMismatch", "m");
        ManagementRoleStatus {
            conditions: conditions(&[], &[finding], Some(1), Timestamp::UNIX_EPOCH),
            role: Some(RoleStatus {
                arn: "a".into(),
                id: "AROA".into(),
            }),
            assumable: vec!["x".into()],
            retained: vec!["y".into()],
            ..ManagementRoleStatus::default()
        }
    }

    #[test]
    fn a_removal_for_which_nothing_is_written_has_the_reason_of_that() {
        for withheld in [Withheld::Paused, Withheld::ReadOnly] {
            let pass = Pass::ReleaseWithheld(withheld, Foreseen::default());
            let told = after(&mismatched(), &pass, 2);
            let ready = find(&told.conditions, ConditionType::Ready).unwrap();
            assert_eq!(
                (ready.status.as_str(), ready.reason.as_str()),
                ("False", withheld.reason())
            );
            assert!(
                ready.message.contains(&withheld.end("mgr default")),
                "{}",
                ready.message
            );
        }
    }

    #[test]
    fn a_paused_role_that_is_as_specified_leaves_the_binding_to_its_own_condition() {
        let pass = Pass::Withheld(Withheld::Paused, Plan::default(), BTreeSet::new());
        let told = after(&ManagementRoleStatus::default(), &pass, 1);
        let ready = find(&told.conditions, ConditionType::Ready).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "Paused"));
        assert!(ready.message.ends_with(BOUND), "{}", ready.message);
    }

    #[test]
    fn while_nothing_is_written_each_part_tells_what_is_not_done() {
        let name = || "management-default".parse().unwrap();
        let plan = Plan {
            steps: vec![Step::DeleteRole { name: name() }],
            blocked: vec![Blocked::PolicyFull {
                left_out: ["a".to_owned()].into(),
            }],
            ..Plan::default()
        };
        let told = after(
            &ManagementRoleStatus::default(),
            &Pass::Withheld(Withheld::ReadOnly, plan, BTreeSet::new()),
            1,
        );
        let part = |kind| {
            let condition = find(&told.conditions, kind).unwrap();
            (
                condition.status.as_str(),
                condition.reason.as_str(),
                condition.message.clone(),
            )
        };
        assert_eq!(part(ConditionType::HubReady).0, "True");
        assert_eq!(
            part(ConditionType::RoleReady),
            (
                "False",
                "ReadOnly",
                "not done while the operator runs with --read-only: delete role management-default".to_owned()
            )
        );
        assert_eq!(part(ConditionType::PolicyReady).1, "PolicyFull");
        let (_, reason, message) = part(ConditionType::Ready);
        assert_eq!(reason, "ReadOnly");
        assert!(
            message.contains(
                "not done: delete role management-default. What stands in the way besides: the role's policy"
            ),
            "{message}"
        );
    }

    #[test]
    fn a_removal_that_the_role_itself_holds_up_says_so_at_the_role() {
        let held = Blocked::Held {
            arn: "a".into(),
            value: String::new(),
            undone: vec!["delete role a".into()],
            shuts_out: false,
        };
        let remain = Blocked::ClustersRemain {
            names: ["one".to_owned()].into(),
            unreadable: [].into(),
            going: [].into(),
            retained: [].into(),
            hub_found: false,
        };
        for (blocked, reason) in [(held, Some("Held")), (remain, None)] {
            let told = after(
                &ManagementRoleStatus::default(),
                &Pass::Releasing(blocked.message(), Some(blocked)),
                1,
            );
            let of_role = find(&told.conditions, ConditionType::RoleReady).map(|c| c.reason.as_str());
            assert_eq!(of_role.filter(|reason| *reason != "NotLookedAt"), reason);
        }
    }

    #[test]
    fn a_hub_that_a_person_has_confirmed_in_a_removal_is_told_so_that_its_clusters_go() {
        let remain = |hub_found| Blocked::ClustersRemain {
            names: [].into(),
            unreadable: [].into(),
            going: ["one".to_owned()].into(),
            retained: [].into(),
            hub_found,
        };
        let elsewhere = Blocked::NotItsHub {
            object: "default".into(),
            arn: "arn:r".into(),
            hub: Box::new(Blocked::HubNotFound { cluster: hub_cluster() }),
        };
        let told = |old: &ManagementRoleStatus, blocked: Blocked, at| {
            after(old, &Pass::Releasing(blocked.message(), Some(blocked)), at)
        };
        let refused = told(&ManagementRoleStatus::default(), elsewhere, 1);
        let hub = |status: &ManagementRoleStatus| {
            find(&status.conditions, ConditionType::HubReady)
                .unwrap()
                .status
                .clone()
        };
        assert_eq!(hub(&refused), "False");
        assert_eq!(hub(&told(&refused, remain(false), 2)), "False");
        assert_eq!(hub(&told(&refused, remain(true), 2)), "True");
    }

    #[test]
    fn of_clusters_that_remain_those_that_wait_for_a_person_are_told_apart() {
        let names = |name: &str| -> std::collections::BTreeSet<String> { [name.to_owned()].into() };
        let remain = |stay: &str, unreadable: &str, going: &str| {
            let set = |name: &str| if name.is_empty() { [].into() } else { names(name) };
            Blocked::ClustersRemain {
                names: set(stay),
                unreadable: set(unreadable),
                going: set(going),
                retained: [].into(),
                hub_found: false,
            }
        };
        for (blocked, stalled, says) in [
            (
                remain("one", "", ""),
                true,
                "ManagedCluster one still names it: delete that first",
            ),
            (
                remain("", "two", ""),
                true,
                "ManagedCluster two cannot be read, and so counts as naming it: correct it, or delete it (`kubectl describe mgc two` names the field)",
            ),
            (
                remain("", "", "three"),
                false,
                "ManagedCluster three is being removed as well, which comes first",
            ),
            (
                remain("one", "", "three"),
                true,
                "nothing is taken away meanwhile; ManagedCluster three is being removed as well",
            ),
        ] {
            assert_eq!(blocked.stalled(), stalled, "{blocked:?}");
            assert!(blocked.message().contains(says), "{}", blocked.message());
        }
    }

    #[test]
    fn what_is_told_of_a_removal_says_so_first() {
        let going = "this ManagementRole is being removed, and waits: ";
        let failed = Pass::RemovalFailed(Error::Refused(Refusal::OwnRole {
            arn: "a".into(),
            whose: "b",
        }));
        let told = after(&mismatched(), &failed, 2);
        for kind in [ConditionType::Ready, ConditionType::Stalled] {
            let message = &find(&told.conditions, kind).unwrap().message;
            assert!(message.starts_with(going), "{message}");
        }
        // What the parts lacked is nobody's to mend any more.
        let role = find(&told.conditions, ConditionType::RoleReady).map(|role| role.reason.as_str());
        assert_eq!(role, Some("NotLookedAt"));
    }

    #[test]
    fn a_pass_that_broke_off_never_clears_a_mismatch_or_a_record() {
        let old = mismatched();
        for pass in [
            denied(Call::GetRole, "1"),
            denied(Call::AssumeRole, "1"),
            Pass::Failed(Error::Deadline(1)),
            Pass::Failed(Error::Unreadable("x".into())),
            Pass::RemovalFailed(Error::Deadline(1)),
            Pass::Releasing("x".into(), None),
            Pass::ReleaseWithheld(Withheld::Paused, Foreseen::default()),
        ] {
            let told = after(&old, &pass, 2);
            assert_eq!(verdict(&told, ConditionType::HubReady), Some("False"));
            assert_eq!(
                (&told.role, &told.assumable, &told.retained),
                (&old.role, &old.assumable, &old.retained)
            );
        }
    }

    #[test]
    fn the_same_failure_twice_is_the_same_status() {
        let first = after(&ManagementRoleStatus::default(), &denied(Call::AssumeRole, "1"), 1);
        assert_eq!(first, after(&first, &denied(Call::AssumeRole, "2"), 2));
        assert_eq!(verdict(&first, ConditionType::Stalled), Some("True"));
        // The account could not be entered: that says nothing of the hub.
        assert_eq!(verdict(&first, ConditionType::HubReady), Some("Unknown"));
    }

    fn lack() -> crate::policy::Lack {
        crate::policy::Lack {
            denied_by: None,
            gone: ["one".to_owned()].into(),
            statement: None,
            in_place: false,
        }
    }

    #[test]
    fn every_obstacle_is_a_sentence_under_a_reason() {
        let names = || ["one".to_owned()].into();
        for blocked in [
            Blocked::HubNotFound { cluster: hub_cluster() },
            Blocked::HubMismatch {
                cluster: hub_cluster(),
                described: "a".into(),
                here: "b".into(),
            },
            Blocked::HubReplaced {
                object: "default".into(),
                recorded: "a".into(),
                issuer: "b".into(),
                confirmed: None,
            },
            Blocked::RoleLeftBehind {
                object: "default".into(),
                arn: "a".into(),
                owner: "b".into(),
                issuer: "c".into(),
            },
            Blocked::RoleReplaced {
                arn: "a".into(),
                recorded: "b".into(),
                found: "c".into(),
                owner: "d".into(),
            },
            Blocked::UnusableIssuer {
                why: "it has a port".into(),
            },
            Blocked::OidcProviderMissing { arn: "a".into() },
            Blocked::AudienceMissing { arn: "a".into() },
            Blocked::RoleMissing { arn: "a".into() },
            Blocked::SelfTrustMissing {
                arn: "a".into(),
                secrets: names(),
                lack: lack(),
            },
            Blocked::SecretsRemain {
                namespace: "argocd".into(),
                secrets: names(),
            },
            Blocked::RoleNotOurs {
                arn: "a".into(),
                owner: "b".into(),
            },
            Blocked::ForeignPolicyAttached {
                role: "arn:aws:iam::111111111111:role/x".into(),
                policies: names(),
                bounded: true,
            },
            Blocked::Unconfirmed { id: "a".into() },
            Blocked::PolicyFull { left_out: names() },
            Blocked::JustMade,
            Blocked::Propagating,
            Blocked::NamespaceNotServed {
                namespace: "argocd".into(),
            },
            Blocked::ClustersRemain {
                names: names(),
                unreadable: names(),
                going: names(),
                retained: names(),
                hub_found: false,
            },
            Blocked::ClustersRemain {
                names: [].into(),
                unreadable: [].into(),
                going: names(),
                retained: [].into(),
                hub_found: false,
            },
            Blocked::RetainedDeployers {
                object: "default".into(),
                arns: std::collections::BTreeMap::from([("one".to_owned(), None)]),
                unseen: std::collections::BTreeMap::from([("222222222222".into(), "AWS denied it.".into())]),
                closed: ["333333333333".into()].into(),
            },
        ] {
            assert!(
                blocked.reason().starts_with(|c: char| c.is_ascii_uppercase())
                    && blocked.reason().chars().all(char::is_alphabetic)
            );
            assert!(
                blocked.message().split_whitespace().count() >= 5,
                "{}",
                blocked.message()
            );
            let told = after(
                &ManagementRoleStatus::default(),
                &Pass::Releasing(blocked.message(), Some(blocked.clone())),
                1,
            );
            assert_eq!(
                verdict(&told, ConditionType::Stalled).is_some(),
                blocked.stalled(),
                "{blocked:?}"
            );
        }
    }
}
