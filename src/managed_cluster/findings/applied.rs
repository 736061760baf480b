//! What a pass that carried out a plan, or some of it, means for each part.

use super::{
    BESIDE, Bad, bad_of, bad_stop,
    chain::{chain, not_reached, summarise},
    set, tell_restart, with, with_others,
};
use crate::{
    api::condition::{ConditionType, Finding, Verdict},
    managed_cluster::{
        apply::Outcome,
        blocked::Blocked,
        status::Facts,
        step::{Part, Plan, Step},
    },
};

/// What it asks for.
pub(super) const RESTART: &str = "its application controller is to be restarted once, as SecretReady says";

/// That a change of the access policies went half way.
const BARE: &str = "Argo CD has no access policy and no group on this cluster now";

/// What holds after a plan was carried out, as far as it was.
pub(super) fn told(plan: &Plan, outcome: &Outcome, facts: &Facts) -> Vec<Finding> {
    if let Some(stop) = outcome.stop() {
        let mut bad = bad_stop(stop);
        bad.message.push_str(&not_done(plan, outcome, &bad, facts.bare));
        if facts.bare {
            bad.message = format!("{BARE}: {}", bad.message);
        }
        // What is in the way of a part before it held nothing of it up, and does not hold for that.
        let before = plan.in_the_way().filter(|blocked| Some(blocked.part()) < bad.part);
        let mut told = chain(before.map(bad_of).as_ref().unwrap_or(&bad));
        if let Some(part) = bad.part {
            set(&mut told, part, bad.verdict, bad.reason, &bad.message);
        }
        // What only describes a role keeps nothing behind it from being as it should be.
        if plan.steps.iter().all(|step| outcome.did(step) || step.only_describes()) {
            let behind = Part::ALL.into_iter().filter(|part| Some(*part) > bad.part);
            for part in behind {
                told.retain(|finding| finding.kind != part.condition());
                told.push(of_part(plan, part));
            }
            if let Some(changed) = &facts.server_changed {
                tell_restart(&mut told, changed);
            }
        }
        return told;
    }
    let mut parts = Part::ALL.map(|part| of_part(plan, part)).to_vec();
    if let Some(blocked) = plan.in_the_way() {
        let mut bad = bad_of(blocked);
        if let Some(changed) = facts.server_changed.as_ref().filter(|_| plan.keeps_secret) {
            tell_restart(&mut parts, changed);
            bad.message = format!("{}; {RESTART}", bad.message);
        }
        return summarise(parts, &bad);
    }
    let mut notes: Vec<String> = plan.blocked.iter().map(Blocked::message).collect();
    let held = !notes.is_empty();
    if let Some(changed) = &facts.server_changed {
        tell_restart(&mut parts, changed);
        notes.push(RESTART.to_owned());
    }
    let beside: Vec<&str> = plan.beside.values().flatten().map(String::as_str).collect();
    if !beside.is_empty() {
        notes.push(format!("{BESIDE}: {}", beside.join("; ")));
    }
    let reason = if held { "Held" } else { "Moored" };
    // What of it works is not for the operator to say, which never tries.
    let made = if held {
        "role, access entry and cluster Secret are in place"
    } else {
        "everything is as the spec says"
    };
    notes.insert(
        0,
        format!("{made}; Connected, where a verifier runs, says whether Argo CD gets through"),
    );
    let message = notes.join("; ");
    with(
        parts,
        Finding::new(ConditionType::Ready, Verdict::True, reason, message),
    )
}

/// What stays undone at the part where only a person lets it go on. On a `bare` entry an association that was to be made anew
/// is away already.
fn not_done(plan: &Plan, outcome: &Outcome, bad: &Bad, bare: bool) -> String {
    let undone = |step: &&Step| Some(step.part()) == bad.part && !outcome.did(step);
    let words = |step: &Step| {
        if let Step::Reassociate { policy, scope, .. } = step
            && bare
        {
            let (policy, scope) = (policy.clone(), scope.clone());
            return Step::Associate { policy, scope }.words();
        }
        step.words()
    };
    let undone: Vec<String> = plan.steps.iter().filter(undone).map(words).collect();
    if !bad.stalled || undone.is_empty() {
        return String::new();
    }
    format!(". Not done until then: {}", undone.join("; "))
}

/// What a plan says of a part once its steps are done.
pub(super) fn of_part(plan: &Plan, part: Part) -> Finding {
    let here: Vec<&Blocked> = plan.blocked.iter().filter(|blocked| blocked.part() == part).collect();
    let words = || {
        let words: Vec<String> = here.iter().map(|blocked| blocked.message()).collect();
        words.join("; ")
    };
    if let Some(blocked) = here.iter().find(|blocked| !blocked.is_note()) {
        return Finding::new(part.condition(), blocked.verdict(), blocked.reason(), words());
    }
    let kept = |blocked: &&Blocked| plan.keeps_secret && part == Part::Secret && blocked.leaves_access();
    let stuck = (plan.blocked.iter()).filter(|blocked| !blocked.lets_through() && !kept(blocked));
    if let Some(stuck) = stuck.map(Blocked::part).min().filter(|stuck| *stuck < part) {
        return not_reached(part, stuck);
    }
    match here.first() {
        Some(note) => Finding::new(part.condition(), Verdict::True, note.reason(), words()),
        None => with_others(plan, part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managed_cluster::apply::{Failure, Stop};

    fn tag() -> Step {
        Step::TagRole {
            name: "prod".parse().unwrap(),
            tags: [("mooring.dev/hub".to_owned(), "h".to_owned())].into(),
            missing: ["mooring.dev/hub".to_owned()].into(),
        }
    }

    fn keys() -> Step {
        Step::NullSecretKeys {
            name: "cluster-prod".to_owned(),
            resource_version: "1".to_owned(),
            keys: ["namespaces".to_owned()].into(),
        }
    }

    fn found(told: &[Finding], part: Part) -> (Verdict, &str) {
        let of_part = |finding: &&Finding| finding.kind == part.condition();
        let finding = told.iter().find(of_part).unwrap();
        (finding.verdict, finding.reason)
    }

    #[test]
    fn what_was_done_though_a_tag_was_refused_is_told_as_done() {
        let plan = Plan {
            steps: vec![tag(), keys()],
            ..Plan::default()
        };
        let (tag, keys) = (tag(), keys());
        let refused = || Stop::Failed(Part::DeployerRole, Failure::OutOfTime);
        for (done, secret) in [
            (vec![&keys], (Verdict::True, "AsSpecified")),
            (vec![], (Verdict::Unknown, "NotReached")),
            (vec![&tag], (Verdict::Unknown, "NotReached")),
        ] {
            let told = told(&plan, &Outcome::stopped_after(&done, refused()), &Facts::default());
            assert_eq!(found(&told, Part::Secret), secret, "{done:?}");
            assert_eq!(found(&told, Part::DeployerRole).0, Verdict::Unknown);
        }
    }

    #[test]
    fn a_secret_that_is_kept_beside_an_obstacle_is_told_as_kept() {
        let attached = Blocked::ForeignPolicyAttached {
            role: "arn:aws:iam::222222222222:role/x".to_owned(),
            policies: ["theirs".to_owned()].into(),
            forged: false,
            closed: true,
        };
        for (keeps_secret, secret) in [
            (true, (Verdict::True, "AsSpecified")),
            (false, (Verdict::Unknown, "NotReached")),
        ] {
            let plan = Plan {
                blocked: vec![attached.clone()],
                keeps_secret,
                ..Plan::default()
            };
            let told = told(&plan, &Outcome::default(), &Facts::default());
            assert_eq!(found(&told, Part::Secret), secret);
            assert_eq!(
                found(&told, Part::DeployerRole),
                (Verdict::False, "ForeignPolicyAttached")
            );
        }
    }
}
