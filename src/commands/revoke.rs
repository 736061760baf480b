//! `mooring revoke`: what was seen of access that was taken away, in words or as JSON.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    access::{
        others::Others,
        revoked::{DELETED, Entry, NOT_OURS, Probe, Revoked, SET_BACK},
    },
    cli::DoctorOutput,
};

/// All of it, in the form that was asked for.
#[must_use]
pub fn print(revoked: &Revoked, output: DoctorOutput) -> String {
    match output {
        DoctorOutput::Json => {
            let mut value = serde_json::to_value(revoked).unwrap_or_default();
            value["revoked"] = Value::Bool(revoked.exit_code() == 0);
            let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
            text.push('\n');
            text
        }
        DoctorOutput::Table => in_words(revoked),
    }
}

fn in_words(revoked: &Revoked) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    let name = &revoked.name;
    match &revoked.entry {
        Entry::Away => line(format!("{name}: the access entry is gone")),
        Entry::Never => line(format!(
            "{name}: there is no access entry, and Mooring has made nothing for it that could be taken away"
        )),
        Entry::Stands { reason, message } => {
            line(format!("{name}: ACCESS STANDS, or may: {reason}"));
            line(format!("  {message}"));
        }
        Entry::NotMade { reason, message } => {
            line(format!(
                "{name}: Mooring has made nothing for it, by its status; whether an access entry stands there all the same could not be looked at: {reason}"
            ));
            line(format!("  {message}"));
        }
    }
    match &revoked.probe {
        Probe::Refused => line(format!(
            "{name}: a fresh token of the deployer role was refused by the cluster (401)"
        )),
        Probe::LetIn(trouble) => {
            line(format!("{name}: THE CLUSTER STILL LETS IT IN: {}", trouble.reason));
            line(format!("  {}", trouble.message));
            line(format!("  next: {}", trouble.next));
        }
        Probe::NotSeen { why } => line(format!("{name}: nobody has seen that it is refused: {why}")),
    }
    match &revoked.others {
        Others::LetNobodyIn => {}
        Others::LetIn { objects } => {
            for other in objects {
                line(format!(
                    "{name}: ManagedCluster {} LETS ARGO CD IN ON THE SAME CLUSTER, or may: {}",
                    other.name, other.why
                ));
                line(format!("  next: {}", other.command));
            }
        }
        Others::NotSeen { why } => {
            line(format!(
                "{name}: whether another ManagedCluster lets Argo CD in on the same cluster could not be looked at: {why}"
            ));
            line(
                "  next: `kubectl get mgc` lists them with account, region and cluster: `mooring revoke` each of this cluster"
                    .to_owned(),
            );
        }
    }
    if revoked.entry == Entry::Away {
        line(
            "still open: requests that the API server had begun to serve, as a watch, an exec or a port-forward, and whatever \
             was made on the cluster with that access, as tokens of its service accounts"
                .to_owned(),
        );
    }
    for warning in &revoked.warnings {
        line(format!("warning: {warning}"));
    }
    for way in &revoked.next {
        line(format!("next: {}", way.command));
        line(format!("  {}", way.what));
    }
    let enforce = format!("kubectl patch mgc {name} --type merge -p '{{\"spec\":{{\"mode\":\"Enforce\"}}}}'");
    line(match &revoked.entry {
        Entry::Away | Entry::Never if revoked.going => {
            "it is being removed, and a removal gives no access back".to_owned()
        }
        Entry::Away => format!("to give the access back: {enforce}"),
        Entry::Never => format!("nothing is made while spec.mode is Suspended; to have it made: {enforce}"),
        Entry::Stands { reason, .. } => left(reason),
        Entry::NotMade { .. } => SOON.to_owned(),
    });
    out
}

const SOON: &str = "spec.mode stays Suspended: whatever access there is, the operator takes away as soon as it can";

/// What becomes of access that stands, by the reason that it does.
fn left(reason: &str) -> String {
    let told = match reason {
        SET_BACK => "spec.mode is not Suspended any more: the operator gives the access back",
        DELETED => "nobody looks after the access entry any more",
        NOT_OURS => "spec.mode stays Suspended, and the operator leaves an entry that is not Mooring's where it is",
        _ => SOON,
    };
    told.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Reason, Trouble, others::Other, revoked::Way};

    fn revoked(probe: Probe) -> Revoked {
        Revoked {
            name: "prod".into(),
            going: false,
            entry: Entry::Away,
            probe,
            others: Others::LetNobodyIn,
            next: Vec::new(),
            warnings: vec!["commit it".into()],
        }
    }

    #[test]
    fn access_that_stands_is_told_with_what_ends_it_and_not_with_how_to_give_it_back() {
        let stands = Revoked {
            entry: Entry::Stands {
                reason: "Paused".into(),
                message: "mooring.dev/paused is set".into(),
            },
            next: vec![Way {
                command: "kubectl annotate mgc prod mooring.dev/paused-".into(),
                what: "then the operator takes the access away".into(),
            }],
            ..revoked(Probe::NotSeen { why: "x".into() })
        };
        let text = print(&stands, DoctorOutput::Table);
        assert!(
            text.contains(
                "next: kubectl annotate mgc prod mooring.dev/paused-\n  then the operator takes the access away\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("spec.mode stays Suspended") && !text.contains("give the access back"),
            "{text}"
        );
        let value: Value = serde_json::from_str(&print(&stands, DoctorOutput::Json)).unwrap();
        assert_eq!(
            value["next"][0]["command"],
            "kubectl annotate mgc prod mooring.dev/paused-"
        );
    }

    #[test]
    fn another_object_that_lets_in_on_the_same_cluster_is_told_with_its_own_command() {
        let left = Revoked {
            others: Others::LetIn {
                objects: vec![Other {
                    name: "second".into(),
                    why: "its spec.mode is Enforce".into(),
                    command: "mooring revoke second".into(),
                }],
            },
            ..revoked(Probe::Refused)
        };
        let text = print(&left, DoctorOutput::Table);
        let says = "prod: ManagedCluster second LETS ARGO CD IN ON THE SAME CLUSTER, or may: its spec.mode is Enforce\n  next: mooring revoke second\n";
        assert!(text.contains(says), "{text}");
        let value: Value = serde_json::from_str(&print(&left, DoctorOutput::Json)).unwrap();
        assert_eq!(value["revoked"], false);
        assert_eq!(value["others"]["objects"][0]["command"], "mooring revoke second");
        let unseen = Revoked {
            others: Others::NotSeen {
                why: "forbidden".into(),
            },
            ..revoked(Probe::Refused)
        };
        assert!(print(&unseen, DoctorOutput::Table).contains("could not be looked at: forbidden"));
    }

    #[test]
    fn what_was_never_made_is_not_told_as_access_that_stands() {
        let nothing = Revoked {
            entry: Entry::NotMade {
                reason: "AccountNotEntered".into(),
                message: "the role does not let us in".into(),
            },
            ..revoked(Probe::NotSeen { why: "x".into() })
        };
        let text = print(&nothing, DoctorOutput::Table);
        assert!(
            !text.contains("ACCESS STANDS") && text.contains("made nothing for it"),
            "{text}"
        );
        assert!(
            text.contains("AccountNotEntered\n  the role does not let us in"),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_promised_that_the_operator_does_not_do() {
        for reason in [SET_BACK, DELETED, NOT_OURS] {
            let stands = Revoked {
                entry: Entry::Stands {
                    reason: reason.into(),
                    message: "m".into(),
                },
                ..revoked(Probe::NotSeen { why: "x".into() })
            };
            let text = print(&stands, DoctorOutput::Table);
            assert!(
                !text.contains("as soon as it can") && text.contains("ACCESS STANDS"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_was_never_made_is_not_told_as_taken_away() {
        let never = Revoked {
            entry: Entry::Never,
            ..revoked(Probe::NotSeen { why: "x".into() })
        };
        let text = print(&never, DoctorOutput::Table);
        assert!(
            text.starts_with("prod: there is no access entry")
                && text.contains("to have it made: kubectl patch mgc prod"),
            "{text}"
        );
        for words in ["is gone", "still open", "give the access back"] {
            assert!(!text.contains(words), "{text}");
        }
    }

    #[test]
    fn both_forms_tell_all_of_it() {
        let text = print(&revoked(Probe::Refused), DoctorOutput::Table);
        for words in [
            "the access entry is gone",
            "refused by the cluster (401)",
            "still open",
            "Enforce",
        ] {
            assert!(text.contains(words), "{text}");
        }
        let residual = revoked(Probe::LetIn(Trouble {
            reason: Reason::ResidualAccess,
            message: "what was met".into(),
            next: "do this".into(),
            candidates: Vec::new(),
        }));
        assert!(print(&residual, DoctorOutput::Table).contains("STILL LETS IT IN: ResidualAccess"));
        let value: Value = serde_json::from_str(&print(&residual, DoctorOutput::Json)).unwrap();
        assert_eq!(value["revoked"], false);
        assert_eq!(value["probe"]["reason"], "ResidualAccess");
        assert_eq!(value["entry"]["state"], "Away");
    }
}
