//! What a suspension means for the conditions.

use std::collections::BTreeSet;

use crate::{
    api::condition::{Finding, Verdict},
    domain::{commands::enforce, eks::AuthenticationMode},
    managed_cluster::{
        Blocked, Part,
        request::Refusal,
        status::{Cut, Kept, SUSPENDED, Suspension},
    },
};

use super::{Bad, RESTART, bad_error, bad_of, bad_stop, of_part, part_of, set, summarise, tell_restart};

/// That the access is away.
pub(super) const NO_ENTRY: &str = "there is no access entry, since spec.mode is Suspended";

/// How everything begins that is told of a suspension that did not take the access away.
pub(in crate::managed_cluster) const ACCESS_STANDS: &str = "spec.mode is Suspended, and Argo CD's access still stands";

/// What holds while access is taken away.
pub(super) fn told(suspension: &Suspension, object: &str) -> Vec<Finding> {
    let Suspension { cut, kept, lost, .. } = suspension;
    let mut parts = match kept {
        Kept::Applied(plan, outcome, facts) => {
            let mut parts: Vec<Finding> = Part::ALL.map(|part| of_part(plan, part)).to_vec();
            if let Some(bad) = outcome.stop().map(bad_stop)
                && let Some(at) = bad.part
            {
                set(&mut parts, at, bad.verdict, bad.reason, &bad.message);
            }
            let secret = Part::Secret.condition();
            let stands = |finding: &Finding| finding.kind == secret && finding.verdict == Verdict::True;
            if let Some(changed) = &facts.server_changed
                && parts.iter().any(stands)
            {
                tell_restart(&mut parts, changed);
            }
            parts
        }
        Kept::Refused(refusal) => {
            let (part, reason) = part_of(refusal);
            let part = part.map(|part| Finding::new(part.condition(), Verdict::False, reason, refusal.to_string()));
            part.into_iter().collect()
        }
        Kept::Waiting(blocked) => {
            let at = blocked.part().condition();
            vec![Finding::new(at, blocked.verdict(), blocked.reason(), blocked.message())]
        }
        Kept::Not(_) => Vec::new(),
    };
    let bad = match cut {
        Cut::Away { .. } => {
            set(&mut parts, Part::AccessEntry, Verdict::False, SUSPENDED, NO_ENTRY);
            Bad {
                part: None,
                verdict: Verdict::False,
                reason: SUSPENDED,
                message: suspended_in_words(kept, lost, object),
                stalled: false,
            }
        }
        Cut::Blocked(blocked) => standing(bad_of(blocked), cut.seen()),
        Cut::Failed(error) => standing(bad_error(error), cut.seen()),
    };
    if let Some(part) = bad.part {
        set(&mut parts, part, bad.verdict, bad.reason, &bad.message);
        if part != Part::AccessEntry {
            let message = format!("waits for {}", part.condition().as_str());
            set(&mut parts, Part::AccessEntry, Verdict::Unknown, "NotReached", &message);
        }
    }
    summarise(parts, &bad)
}

/// What keeps access from being taken away is told as that, whatever else it is.
pub(super) fn standing(bad: Bad, seen: bool) -> Bad {
    let Bad { message, .. } = bad;
    Bad {
        message: format!("{}: {message}", stands(seen)),
        ..bad
    }
}

/// That the access does not come back with the mode alone.
pub(super) fn not_to_be_enforced(refusal: &Refusal) -> String {
    format!("spec.mode Enforce would be refused as the spec is: {refusal}")
}

/// That the access is not away, where an entry was `seen`; and otherwise that nobody knows.
pub(super) fn stands(seen: bool) -> &'static str {
    if seen {
        ACCESS_STANDS
    } else {
        "spec.mode is Suspended, and the access is not known to be taken away"
    }
}

/// What is kept beside the access entry that is gone, as far as it was ever made.
fn what_stays(kept: &Kept) -> &'static str {
    let unmade =
        |part: Part| matches!(kept, Kept::Applied(plan, _, _) if plan.blocked.contains(&Blocked::Suspended { part }));
    match (unmade(Part::DeployerRole), unmade(Part::Secret)) {
        (false, false) => {
            "no access entry stands, the deployer role and the cluster Secret stay, and Applications are left alone. \
             To give the access back"
        }
        (false, true) => {
            "no access entry stands, the deployer role stays, and the cluster Secret was never written. To go on"
        }
        (true, false) => {
            "no access entry stands, there is no deployer role and none is made, the cluster Secret stays, and \
             Applications are left alone. To make the access anew"
        }
        (true, true) => "nothing stands for this cluster, and nothing is made. To moor it",
    }
}

fn suspended_in_words(kept: &Kept, lost: &BTreeSet<String>, object: &str) -> String {
    let mut message = format!(
        "spec.mode is Suspended: {}, run `{}`",
        what_stays(kept),
        enforce(format_args!("mgc {object}"))
    );
    if !lost.is_empty() {
        let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
        message.push_str(". With the entry went what others had given it, which Mooring does not give back: ");
        message.push_str(&lost.join(", "));
    }
    match kept {
        Kept::Applied(plan, outcome, facts) => {
            let mode = facts.cluster.as_ref().map(|cluster| cluster.authentication_mode);
            if mode == Some(AuthenticationMode::ApiAndConfigMap) {
                message.push_str(
                    ". The cluster also takes what ConfigMap kube-system/aws-auth maps: whether that still lets the role in \
                     is told by the condition Connected, and by `mooring revoke ",
                );
                message.push_str(object);
                message.push_str("`, which takes no more away");
            }
            let stopped = outcome.stop().map(|stop| bad_stop(stop).message);
            let restart = facts.server_changed.as_ref().map(|_| RESTART.to_owned());
            let besides: Vec<String> = stopped
                .into_iter()
                .chain(restart)
                .chain(
                    plan.blocked
                        .iter()
                        .filter(|blocked| !matches!(blocked, Blocked::Suspended { .. }))
                        .map(|blocked| format!("{}: {}", blocked.part().condition().as_str(), blocked.message())),
                )
                .collect();
            if !besides.is_empty() {
                message.push_str(". Besides: ");
                message.push_str(&besides.join("; "));
            }
        }
        Kept::Refused(refusal) => {
            message.push_str(". ");
            message.push_str(&not_to_be_enforced(refusal));
        }
        Kept::Waiting(_) | Kept::Not(_) => {
            if let Some(why) = kept.why_not() {
                message.push_str(". What stays could not be looked at: ");
                message.push_str(&why);
                if matches!(kept, Kept::Waiting(_)) {
                    message.push_str(". spec.mode Enforce gives nothing until that is settled either");
                }
            }
        }
    }
    message
}
