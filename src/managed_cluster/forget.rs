//! What a status ceases to name, since it is gone. Pure.
//!
//! Nothing of ours is lost by that. EKS gives the ARN of an access entry to no other, and an entry that Mooring deletes bears
//! its tags by then; a Secret is found by its annotation, and the removal itself remembers its name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{AccessEntryStatus, ManagedClusterStatus, condition::find};

use super::{
    status::{Cut, Pass, REMOVED, Releasing},
    step::Part,
};

/// Forgets what a pass has deleted, or has seen gone after an earlier one did; and an entry that is another's by now.
pub(super) fn forget(status: &mut ManagedClusterStatus, old: &[Condition], pass: &Pass) {
    match pass {
        Pass::Suspended(suspension) => {
            if suspension.handed_over || is_away(&suspension.cut) {
                forget_entry(status);
            }
        }
        Pass::Releasing(releasing) => {
            let away = releasing.cut.as_ref().is_some_and(is_away) || is_gone(releasing, old, Part::AccessEntry);
            if releasing.handed_over || away {
                forget_entry(status);
            }
            if is_gone(releasing, old, Part::Secret) {
                (status.secret, status.secret_uid, status.secret_adopted) = (None, None, None);
            }
        }
        Pass::Refused(..)
        | Pass::Waiting(_)
        | Pass::Withheld(..)
        | Pass::Applied(..)
        | Pass::Failed(_)
        | Pass::ReleaseWithheld(..) => {}
    }
}

/// Whether an access entry was deleted, or two looks found none.
fn is_away(cut: &Cut) -> bool {
    matches!(cut, Cut::Away { deleted, settled } if *deleted || *settled)
}

/// Whether two passes of a removal found a part gone.
fn is_gone(releasing: &Releasing, old: &[Condition], part: Part) -> bool {
    let before = find(old, part.condition()).is_some_and(|told| told.reason == REMOVED);
    before && releasing.gone.contains(&part)
}

/// What others had given to it is told until the access is given back.
fn forget_entry(status: &mut ManagedClusterStatus) {
    let lost = status.access_entry.take().map(|entry| entry.lost).unwrap_or_default();
    if !lost.is_empty() {
        status.access_entry = Some(AccessEntryStatus {
            lost,
            ..AccessEntryStatus::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        api::condition::{Finding, Verdict, conditions},
        managed_cluster::status::{Kept, Suspension},
    };

    fn recorded(lost: &[&str]) -> ManagedClusterStatus {
        ManagedClusterStatus {
            secret: Some("cluster-x".to_owned()),
            access_entry: Some(AccessEntryStatus {
                arn: Some("arn:entry".to_owned()),
                adopted: Some(true),
                policies: BTreeSet::from(["arn:policy".to_owned()]),
                lost: lost.iter().map(|lost| (*lost).to_owned()).collect(),
                ..AccessEntryStatus::default()
            }),
            ..ManagedClusterStatus::default()
        }
    }

    fn suspended(cut: Cut) -> Pass {
        Pass::Suspended(Box::new(Suspension {
            cut,
            kept: Kept::Not(None),
            lost: BTreeSet::new(),
            handed_over: false,
        }))
    }

    #[test]
    fn an_access_entry_is_named_until_it_was_deleted_or_two_looks_found_none() {
        for (deleted, settled, named) in [(false, false, true), (true, false, false), (false, true, false)] {
            let mut status = recorded(&[]);
            forget(&mut status, &[], &suspended(Cut::Away { deleted, settled }));
            assert_eq!(status.access_entry.is_some(), named, "{deleted} {settled}");
            assert!(status.secret.is_some(), "the Secret stays");
        }
        let mut status = recorded(&["user name x"]);
        let away = Cut::Away {
            deleted: true,
            settled: false,
        };
        forget(&mut status, &[], &suspended(away));
        let entry = status.access_entry.unwrap();
        assert!(entry.lost.contains("user name x"), "what went with it is told");
        assert_eq!((entry.arn, entry.adopted, entry.policies.len()), (None, None, 0));
    }

    #[test]
    fn an_access_entry_that_is_anothers_by_now_is_named_no_more() {
        for handed_over in [false, true] {
            let blocked = Cut::Blocked(crate::managed_cluster::Blocked::EntryNotOurs {
                owner: "hub x made it".to_owned(),
                next: "have it removed there".to_owned(),
            });
            let pass = Pass::Suspended(Box::new(Suspension {
                cut: blocked,
                kept: Kept::Not(None),
                lost: BTreeSet::new(),
                handed_over,
            }));
            let mut status = recorded(&[]);
            forget(&mut status, &[], &pass);
            assert_eq!(status.access_entry.is_none(), handed_over);
        }
    }

    #[test]
    fn a_removal_names_what_it_took_away_until_another_pass_finds_it_gone() {
        let releasing = |gone: &[Part]| {
            Pass::Releasing(Releasing {
                gone: gone.iter().copied().collect(),
                ..Releasing::again("looking once more")
            })
        };
        let told = |part: Part| Finding::new(part.condition(), Verdict::False, REMOVED, "gone");
        let both = [Part::AccessEntry, Part::Secret];
        let before = conditions(&[], &both.map(told), None, jiff::Timestamp::UNIX_EPOCH);
        for (old, gone, names) in [
            (&[][..], &both[..], (true, true)),
            (&before, &both, (false, false)),
            (&before, &both[..1], (false, true)),
            (&before, &[], (true, true)),
        ] {
            let mut status = recorded(&[]);
            forget(&mut status, old, &releasing(gone));
            assert_eq!(
                (status.access_entry.is_some(), status.secret.is_some()),
                names,
                "{gone:?}"
            );
        }
    }
}
