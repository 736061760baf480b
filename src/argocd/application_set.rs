//! ApplicationSets, cut down to which clusters their generators choose.
//!
//! Source: argoproj/argo-cd v3.6.1, `applicationset/generators/{cluster,matrix,merge,generator_spec_processor}.go` and
//! `pkg/apis/application/v1alpha1/applicationset_types.go`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{
    application::{Metadata, Target},
    selector::{Answer, Known, Selector},
};

/// Where the API server lists all ApplicationSets.
pub const APPLICATION_SETS: &str = "/apis/argoproj.io/v1alpha1/applicationsets";

/// How deep generators may be nested: Argo CD takes one combination within another, and no more.
const DEEPEST: usize = 4;

/// Whether a generator chooses a cluster. In order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// It does not.
    No,
    /// It does not look at cluster Secrets: what it lists, or finds in Git, may name any cluster.
    Elsewhere,
    /// It may: a template is filled in with what does not stand in the manifest, or the manifest cannot be read.
    Perhaps,
    /// It does.
    Yes,
}

impl Choice {
    /// Whether the cluster's Secret is, or may be, what it is chosen by.
    #[must_use]
    pub fn by_secret(self) -> bool {
        self >= Self::Perhaps
    }
}

impl From<Answer> for Choice {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::No => Self::No,
            Answer::Perhaps => Self::Perhaps,
            Answer::Yes => Self::Yes,
        }
    }
}

/// An ApplicationSet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub struct ApplicationSet {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it deletes Applications that it generates no longer (`spec.syncPolicy.applicationsSync`).
    pub deletes: bool,
    generators: Vec<Generator>,
}

/// One generator: each kind that is set generates, and what they give is filtered together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Generator {
    kinds: Vec<Kind>,
    filter: Option<Selector>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Clusters { selector: Selector, flat: bool },
    Matrix(Vec<Generator>),
    Merge(Vec<Generator>),
    Other(String),
    Unreadable,
}

impl ApplicationSet {
    /// Namespace and name, as `argocd appset get` takes them.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether it makes Applications for a cluster with this Secret.
    #[must_use]
    pub fn chooses(&self, target: &Target) -> Choice {
        let choices = self.generators.iter().map(|generator| generator.chooses(target));
        choices.max().unwrap_or(Choice::No)
    }

    /// The kinds of generators that choose clusters without looking at their Secrets, as in `git` and `list`.
    #[must_use]
    pub fn others(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for generator in &self.generators {
            generator.others(&mut found);
        }
        found
    }
}

impl Generator {
    fn read(generator: &Value, depth: usize) -> Self {
        let Some(fields) = generator.as_object() else {
            return Self {
                kinds: vec![Kind::Unreadable],
                filter: None,
            };
        };
        let set = fields.iter().filter(|(_, value)| !value.is_null());
        let kinds = set.clone().filter(|(key, _)| *key != "selector");
        Self {
            kinds: kinds.map(|(key, value)| Kind::read(key, value, depth)).collect(),
            filter: set
                .clone()
                .find(|(key, _)| *key == "selector")
                .map(|(_, value)| Selector::read(value)),
        }
    }

    fn chooses(&self, target: &Target) -> Choice {
        let kinds = self.kinds.iter().map(|kind| self.one_chooses(kind, target));
        kinds.max().unwrap_or(Choice::No)
    }

    fn one_chooses(&self, kind: &Kind, target: &Target) -> Choice {
        let chooses = kind.chooses(target);
        let Some(filter) = self.filter.as_ref().filter(|_| chooses.by_secret()) else {
            return chooses;
        };
        let passes = match kind {
            Kind::Clusters { flat: false, .. } => filter.matches_by(|key| parameter(target, key)),
            // What others give beside it, or in its place, is not known.
            Kind::Clusters { .. } | Kind::Matrix(_) | Kind::Merge(_) | Kind::Other(_) | Kind::Unreadable => {
                Answer::Perhaps
            }
        };
        chooses.min(passes.into())
    }

    fn others<'a>(&'a self, found: &mut BTreeSet<&'a str>) {
        for kind in &self.kinds {
            match kind {
                Kind::Other(name) => {
                    found.insert(name);
                }
                Kind::Matrix(within) | Kind::Merge(within) => {
                    for generator in within {
                        generator.others(found);
                    }
                }
                Kind::Clusters { .. } | Kind::Unreadable => {}
            }
        }
    }
}

impl Kind {
    fn read(key: &str, value: &Value, depth: usize) -> Self {
        let within = || -> Option<Vec<Generator>> {
            let list = value.get("generators")?.as_array()?;
            (depth < DEEPEST).then(|| list.iter().map(|one| Generator::read(one, depth + 1)).collect())
        };
        match key {
            "clusters" if value.is_object() => Self::Clusters {
                selector: Selector::read(value.get("selector").unwrap_or(&Value::Null)),
                flat: value.get("flatList") == Some(&Value::Bool(true)),
            },
            "matrix" => within().map_or(Self::Unreadable, Self::Matrix),
            "merge" => within().map_or(Self::Unreadable, Self::Merge),
            "clusters" => Self::Unreadable,
            other => Self::Other(other.to_owned()),
        }
    }

    fn chooses(&self, target: &Target) -> Choice {
        match self {
            Self::Clusters { selector, .. } => selector.matches(&target.labels).into(),
            // The product of its generators: nothing where one gives nothing.
            Self::Matrix(within) => {
                let choices: Vec<Choice> = within.iter().map(|generator| generator.chooses(target)).collect();
                let none = choices.contains(&Choice::No);
                let most = choices.into_iter().max().filter(|_| !none);
                most.unwrap_or(Choice::No)
            }
            // The first gives, and the others only change what it gave.
            Self::Merge(within) => within.first().map_or(Choice::No, |base| base.chooses(target)),
            Self::Other(_) => Choice::Elsewhere,
            Self::Unreadable => Choice::Perhaps,
        }
    }
}

/// What the cluster generator gives under a key, as far as the Secret alone tells (`getClusterParameters`).
fn parameter<'a>(target: &'a Target, key: &str) -> Known<'a> {
    let of = |map: &'a std::collections::BTreeMap<String, String>, key: &str| {
        map.get(key).map_or(Known::Absent, |value| Known::Value(value))
    };
    match key {
        "name" => Known::Value(&target.name),
        "server" => Known::Value(&target.server),
        "project" => target.project.as_deref().map_or(Known::Nothing, Known::Value),
        _ => match (
            key.strip_prefix("metadata.labels."),
            key.strip_prefix("metadata.annotations."),
        ) {
            (Some(label), _) => of(&target.labels, label),
            (_, Some(annotation)) => of(&target.annotations, annotation),
            (None, None) => Known::Nothing,
        },
    }
}

/// What is read of a stored object; the rest of it is passed over.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    generators: Value,
    #[serde(default)]
    sync_policy: Value,
}

impl From<Stored> for ApplicationSet {
    fn from(stored: Stored) -> Self {
        let Stored { metadata, spec } = stored;
        let generators = match &spec.generators {
            Value::Null => Vec::new(),
            Value::Array(all) => all.iter().map(|one| Generator::read(one, 0)).collect(),
            odd @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                vec![Generator::read(odd, DEEPEST)]
            }
        };
        let sync = spec.sync_policy.get("applicationsSync").and_then(Value::as_str);
        Self {
            namespace: metadata.namespace,
            name: metadata.name,
            deletes: !matches!(sync, Some("create-only" | "create-update")),
            generators,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::argocd::application::tests::target;

    pub(in crate::argocd) fn set(id: &str, generators: &Value) -> ApplicationSet {
        let (namespace, name) = id.split_once('/').unwrap();
        let object = json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"generators": generators}});
        serde_json::from_value(object).unwrap()
    }

    fn chooses(generator: &Value, labels: &[(&str, &str)]) -> Choice {
        set("argocd/a", &json!([generator])).chooses(&target(labels))
    }

    fn clusters(selector: &Value) -> Value {
        json!({"clusters": {"selector": selector}})
    }

    fn prod() -> Value {
        clusters(&json!({"matchLabels": {"env": "prod"}}))
    }

    #[test]
    fn a_cluster_generator_chooses_by_the_secrets_labels() {
        use Choice::{No, Yes};
        for (generator, labelled, bare) in [
            (json!({"clusters": {}}), Yes, Yes),
            (clusters(&json!({})), Yes, Yes),
            (prod(), Yes, No),
            (clusters(&json!({"matchLabels": {"env": "dev"}})), No, No),
            (
                clusters(&json!({"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]})),
                No,
                Yes,
            ),
            (
                clusters(&json!({"matchLabels": {"argocd.argoproj.io/secret-type": "cluster"}})),
                Yes,
                Yes,
            ),
        ] {
            let kind = ("argocd.argoproj.io/secret-type", "cluster");
            assert_eq!(chooses(&generator, &[("env", "prod"), kind]), labelled, "{generator}");
            assert_eq!(chooses(&generator, &[kind]), bare, "{generator}");
        }
    }

    #[test]
    fn combinations_choose_as_argo_cd_combines_them() {
        use Choice::{Elsewhere, No, Perhaps, Yes};
        let (git, list) = (json!({"git": {"repoURL": "x"}}), json!({"list": {"elements": []}}));
        let matrix = |within: Value| json!({"matrix": {"generators": within}});
        let merge = |within: Value| json!({"merge": {"mergeKeys": ["server"], "generators": within}});
        for (generator, labelled, bare) in [
            (git.clone(), Elsewhere, Elsewhere),
            (matrix(json!([git, prod()])), Yes, No),
            (matrix(json!([prod(), git])), Yes, No),
            (matrix(json!([git, {"clusters": {}}])), Yes, Yes),
            (matrix(json!([git, list])), Elsewhere, Elsewhere),
            (matrix(json!([matrix(json!([list, prod()])), git])), Yes, No),
            (matrix(json!([merge(json!([{"clusters": {}}, prod()])), git])), Yes, Yes),
            // The base of a merge decides.
            (merge(json!([prod(), {"clusters": {}}])), Yes, No),
            (merge(json!([list, prod()])), Elsewhere, Elsewhere),
            (matrix(json!([])), No, No),
            (matrix(json!("x")), Perhaps, Perhaps),
            (json!({"clusters": []}), Perhaps, Perhaps),
            (json!("x"), Perhaps, Perhaps),
            // Each kind that is set generates.
            (
                json!({"clusters": {"selector": {"matchLabels": {"env": "prod"}}}, "list": {}}),
                Yes,
                Elsewhere,
            ),
            (json!({"clusters": null, "git": {}}), Elsewhere, Elsewhere),
            // What the first gives fills in the second.
            (
                matrix(json!([
                    git,
                    clusters(&json!({"matchLabels": {"env": "{{.path.basename}}"}}))
                ])),
                Perhaps,
                No,
            ),
        ] {
            // A label whose value a template gives is still one that must be there.
            let bare = if generator.to_string().contains("{{") {
                Perhaps
            } else {
                bare
            };
            assert_eq!(chooses(&generator, &[("env", "prod")]), labelled, "{generator}");
            assert_eq!(chooses(&generator, &[]), bare, "{generator}");
        }
        assert_eq!(set("argocd/none", &json!([])).chooses(&target(&[])), No);
        assert_eq!(set("argocd/odd", &json!({"clusters": {}})).chooses(&target(&[])), Yes);
        let many = set("argocd/many", &json!([git, prod()]));
        assert_eq!(
            (many.chooses(&target(&[("env", "prod")])), many.chooses(&target(&[]))),
            (Yes, Elsewhere)
        );
        assert_eq!(many.others(), BTreeSet::from(["git"]));
    }

    #[test]
    fn a_filter_behind_a_generator_is_held_against_what_the_secret_gives() {
        use Choice::{No, Perhaps, Yes};
        let filtered = |labels: Value| json!({"clusters": {}, "selector": {"matchLabels": labels}});
        for (labels, expected) in [
            (json!({"name": "prod"}), Yes),
            (json!({"name": "dev"}), No),
            (json!({"server": "https://ABC.gr7.eu-west-1.eks.amazonaws.com"}), Yes),
            (json!({"project": ""}), Yes),
            (json!({"metadata.labels.env": "prod"}), Yes),
            (json!({"metadata.labels.team": "a"}), No),
            (json!({"metadata.annotations.env": "prod"}), No),
            (json!({"values.tier": "one"}), Perhaps),
            (json!({"nameNormalized": "prod"}), Perhaps),
        ] {
            assert_eq!(
                chooses(&filtered(labels.clone()), &[("env", "prod")]),
                expected,
                "{labels}"
            );
        }
        let flat = json!({"clusters": {"flatList": true}, "selector": {"matchLabels": {"name": "dev"}}});
        assert_eq!(chooses(&flat, &[]), Perhaps);
        let around = json!({"matrix": {"generators": [{"clusters": {}}, {"git": {}}]}, "selector": {"matchLabels": {"name": "dev"}}});
        assert_eq!(chooses(&around, &[]), Perhaps, "the other may give another name");
        let other = json!({"git": {}, "selector": {"matchLabels": {"name": "dev"}}});
        assert_eq!(chooses(&other, &[]), Choice::Elsewhere);
    }

    #[test]
    fn whether_it_deletes_is_read_from_its_policy() {
        for (policy, deletes) in [
            (json!(null), true),
            (json!({}), true),
            (json!({"applicationsSync": "sync"}), true),
            (json!({"applicationsSync": "create-delete"}), true),
            (json!({"applicationsSync": "create-only"}), false),
            (json!({"applicationsSync": "create-update"}), false),
        ] {
            let object = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"syncPolicy": policy}});
            let read: ApplicationSet = serde_json::from_value(object).unwrap();
            assert_eq!((read.deletes, read.id().as_str()), (deletes, "n/a"), "{policy}");
        }
    }

    #[test]
    fn nested_without_end_is_not_followed() {
        let mut deep = json!({"clusters": {}});
        for _ in 0..60 {
            deep = json!({"matrix": {"generators": [deep]}});
        }
        assert_eq!(chooses(&deep, &[]), Choice::Perhaps);
    }

    /// Anything that may stand where generators are expected.
    fn anything() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "clusters",
            "matrix",
            "merge",
            "git",
            "generators",
            "selector",
            "matchLabels",
            "matchExpressions",
            "key",
            "operator",
            "values",
            "In",
            "DoesNotExist",
            "env",
            "prod",
            "{{x}}",
            "flatList",
            "name",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is written, it is read; and draining never has a cluster chosen that asks for a label to be there.
        #[test]
        fn nothing_that_may_be_written_stumbles(generators in anything(), rest in anything()) {
            let object = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"generators": generators, "syncPolicy": rest}});
            let set: ApplicationSet = serde_json::from_value(object).unwrap();
            let (labelled, bare) = (set.chooses(&target(&[("env", "prod")])), set.chooses(&target(&[])));
            let negative = generators.to_string().contains("DoesNotExist");
            prop_assert!(negative || bare <= labelled, "{labelled:?} {bare:?} {generators}");
            let application = json!({"metadata": {}, "spec": generators});
            let application: crate::argocd::Application = serde_json::from_value(application).unwrap();
            prop_assert!(!application.targets(&target(&[])) || generators.to_string().contains("prod"));
        }
    }
}
