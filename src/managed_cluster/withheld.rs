//! Why nothing is written for an object, though everything is looked at and told. One notion for both kinds. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    api::{ManagedCluster, Mode, PAUSED},
    domain::commands::enforce,
};

/// Who has stopped every write but that of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The operator runs with `--read-only`: nothing is written for any object.
    ReadOnly,
    /// The object bears the annotation `mooring.dev/paused`.
    Paused,
    /// `spec.mode` is Observe.
    Observe,
}

impl Withheld {
    /// The reasons of all.
    pub(crate) const REASONS: [&str; 3] = ["ReadOnly", "Paused", "Observe"];

    /// Why nothing is written for an object of this metadata and mode, by an operator that is or is not read-only.
    #[must_use]
    pub fn of(metadata: &ObjectMeta, mode: Mode, read_only: bool) -> Option<Self> {
        if read_only {
            return Some(Self::ReadOnly);
        }
        if paused(metadata) {
            return Some(Self::Paused);
        }
        (mode == Mode::Observe).then_some(Self::Observe)
    }

    /// The reason of the conditions.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ReadOnly => "ReadOnly",
            Self::Paused => "Paused",
            Self::Observe => "Observe",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::ReadOnly => "the operator runs with --read-only",
            Self::Paused => "mooring.dev/paused is set",
            Self::Observe => "spec.mode is Observe",
        }
    }

    /// What ends it for an object, as in "mgc prod".
    #[must_use]
    pub fn end(self, object: &str) -> String {
        match self {
            Self::ReadOnly => "start the operator without --read-only (MOORING_READ_ONLY), for all objects".to_owned(),
            Self::Paused => format!("run `kubectl annotate {object} {PAUSED}-`"),
            Self::Observe => format!("run `{}`", enforce(object)),
        }
    }

    /// That nothing is done of what would be, for an object, as in "mgc prod".
    #[must_use]
    pub fn nothing_done(self, object: &str) -> String {
        format!(
            "{}, so the operator does nothing of this: {}",
            self.why(),
            self.end(object)
        )
    }

    /// What is told when there is nothing to do.
    #[must_use]
    pub fn nothing_to_do(self, object: &str) -> String {
        format!("everything is as the spec says; {}", self.until(object))
    }

    /// That nothing is written, and until when.
    #[must_use]
    pub fn until(self, object: &str) -> String {
        format!(
            "nothing will be written while {}; to have it written again, {}",
            self.why(),
            self.end(object)
        )
    }

    /// What is told at one part of what is not done there.
    #[must_use]
    pub fn undone(self, undone: &[String]) -> String {
        format!("not done while {}: {}", self.why(), undone.join("; "))
    }

    /// What is told of what is not done, of what would stand in its way, and of what ends it.
    #[must_use]
    pub fn not_done(self, object: &str, undone: &[String], in_the_way: &[String]) -> String {
        let mut told = if undone.is_empty() {
            format!("{}, so nothing is written", self.why())
        } else {
            format!("{}, so this is not done: {}", self.why(), undone.join("; "))
        };
        if in_the_way.is_empty() {
            told.push_str(". To let it go on, ");
        } else {
            told.push_str(". What stands in the way besides: ");
            told.push_str(&in_the_way.join("; "));
            told.push_str(". Once that is settled, ");
        }
        told.push_str(&self.end(object));
        told
    }

    /// What is told where nothing could be written even if it were let to.
    #[must_use]
    pub fn in_vain(self, in_the_way: &[String]) -> String {
        format!(
            "{}, and without that it would stop here too: {}",
            self.why(),
            in_the_way.join("; ")
        )
    }

    /// What is told of a removal that waits.
    #[must_use]
    pub fn removal_waits(self, object: &str) -> String {
        format!(
            "the object is being removed, and {}: {} to let the removal go on",
            self.why(),
            self.end(object)
        )
    }

    /// The same of an object that is suspended besides, and whose access is not known to be away.
    #[must_use]
    pub fn removal_leaves_access(self, object: &str) -> String {
        format!(
            "{}, so Mooring neither takes that away nor removes this object: {} to let it do both",
            self.why(),
            self.end(object)
        )
    }

    /// What is told of a removal that waits, with what is still to do, and what would hold that up, each in words.
    #[must_use]
    pub fn with(mut told: String, undone: &[String], in_the_way: &[String]) -> String {
        if !undone.is_empty() {
            told.push_str(". What is then done: ");
            told.push_str(&undone.join("; "));
        }
        if !in_the_way.is_empty() {
            told.push_str(". What holds it up besides: ");
            told.push_str(&in_the_way.join("; "));
        }
        told
    }
}

/// Whether a person has stopped every write for an object: by the annotation with any value but `false`. Who writes a
/// reason into it, or `yes`, in an emergency means to stop.
#[must_use]
pub fn paused(metadata: &ObjectMeta) -> bool {
    let annotations = metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(PAUSED))
        .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

/// Whether a person has changed, paused or deleted an object since it was seen like this: what is written from then on is
/// not what they want any more. `now` is as the watch has it.
pub(crate) fn overtaken(seen: &ObjectMeta, now: Option<&ObjectMeta>) -> bool {
    let asked = |metadata: &ObjectMeta| {
        let going = metadata.deletion_timestamp.is_some();
        (metadata.uid.clone(), metadata.generation, going, paused(metadata))
    };
    now.is_none_or(|now| asked(now) != asked(seen))
}

/// Whether nothing new may be made for a cluster, whatever stands already: the management role's policy, which others
/// write from the whole set of clusters, does not grow for it.
#[must_use]
pub fn stands_back(cluster: &ManagedCluster) -> bool {
    paused(&cluster.metadata) || cluster.spec.mode != Mode::Enforce
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_operator_comes_before_the_object_and_the_annotation_before_the_mode() {
        let metadata = |value: &str| -> ObjectMeta {
            serde_json::from_value(json!({"annotations": {"mooring.dev/paused": value}})).unwrap()
        };
        let (set, unset) = (metadata("true"), metadata("false"));
        for (metadata, mode, read_only, expected) in [
            (&unset, Mode::Enforce, false, None),
            (&unset, Mode::Suspended, false, None),
            (&unset, Mode::Observe, false, Some(Withheld::Observe)),
            (&set, Mode::Enforce, false, Some(Withheld::Paused)),
            (&set, Mode::Observe, false, Some(Withheld::Paused)),
            (&unset, Mode::Enforce, true, Some(Withheld::ReadOnly)),
            (&set, Mode::Suspended, true, Some(Withheld::ReadOnly)),
        ] {
            assert_eq!(
                Withheld::of(metadata, mode, read_only),
                expected,
                "{mode:?} {read_only}"
            );
        }
    }

    #[test]
    fn any_value_but_false_pauses() {
        let metadata =
            |annotations| -> ObjectMeta { serde_json::from_value(json!({ "annotations": annotations })).unwrap() };
        for value in ["true", "True", "yes", "1", "INC-42", ""] {
            assert!(paused(&metadata(json!({ PAUSED: value }))), "{value:?}");
        }
        for value in ["false", "False"] {
            assert!(!paused(&metadata(json!({ PAUSED: value }))), "{value:?}");
        }
        assert!(!paused(&metadata(json!({"mooring.dev/paused-until": "x"}))));
    }

    #[test]
    fn each_says_what_ends_it() {
        let object = "mgc prod";
        for (withheld, end) in [
            (Withheld::ReadOnly, "without"),
            (Withheld::Paused, "`kubectl annotate mgc prod mooring.dev/paused-`"),
            (
                Withheld::Observe,
                r#"`kubectl patch mgc prod --type merge -p '{"spec":{"mode":"Enforce"}}'`"#,
            ),
        ] {
            let waits = withheld.removal_waits(object);
            assert!(waits.contains(end), "{waits}");
            let leaves = withheld.removal_leaves_access(object);
            assert!(leaves.contains(end) && leaves.contains(withheld.why()), "{leaves}");
            assert_eq!(Withheld::with(waits.clone(), &[], &[]), waits);
            let told = Withheld::with(waits, &["a".into(), "b".into()], &["c".into()]);
            assert!(
                told.ends_with("What is then done: a; b. What holds it up besides: c"),
                "{told}"
            );
            let told = withheld.nothing_to_do(object);
            assert!(told.contains(withheld.why()) && told.contains(end), "{told}");
            let (undone, in_the_way) = (["a".to_owned(), "b".to_owned()], ["c".to_owned()]);
            let told = withheld.not_done(object, &undone, &[]);
            assert!(
                told.contains("so this is not done: a; b. To let it go on, ") && told.contains(end),
                "{told}"
            );
            let told = withheld.not_done(object, &[], &in_the_way);
            assert!(
                told.contains("so nothing is written. What stands in the way besides: c. Once") && told.contains(end),
                "{told}"
            );
            let told = withheld.undone(&undone);
            assert_eq!(told, format!("not done while {}: a; b", withheld.why()), "no order");
        }
    }

    #[test]
    fn what_a_person_did_since_an_object_was_seen_is_heard() {
        let metadata = |more: serde_json::Value| -> ObjectMeta {
            let mut metadata = json!({"uid": "1", "generation": 1});
            metadata
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            serde_json::from_value(metadata).unwrap()
        };
        let seen = metadata(json!({}));
        for (now, expected, case) in [
            (json!({}), false, "nothing"),
            (
                json!({"labels": {"a": "b"}, "resourceVersion": "9"}),
                false,
                "what no pass is made of",
            ),
            (json!({"generation": 2}), true, "edited"),
            (json!({"uid": "2"}), true, "made again"),
            (json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), true, "deleted"),
            (json!({"annotations": {"mooring.dev/paused": "true"}}), true, "paused"),
        ] {
            assert_eq!(overtaken(&seen, Some(&metadata(now))), expected, "{case}");
        }
        assert!(overtaken(&seen, None), "gone");
    }
}
