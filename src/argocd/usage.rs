//! Who uses a cluster in Argo CD: the Applications that deploy there, and the ApplicationSets that make them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    application::{Application, Target},
    application_set::{ApplicationSet, Choice},
    cluster_secret::SECRET_TYPE,
};

/// The annotation of a cluster Secret by which Argo CD leaves the cluster alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";

/// Who uses a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The Applications that deploy there, in order of their names.
    pub applications: Vec<User>,
    /// Those whose destination cannot be read, by namespace and name.
    pub unreadable: Vec<String>,
    /// The ApplicationSets that make Applications for it, or own some that are there.
    pub makers: Vec<Maker>,
    /// The ApplicationSets that own none that is there and do not look at Secrets: what they list, or find in Git, may name
    /// the cluster. By namespace and name.
    pub elsewhere: Vec<String>,
}

/// An Application that deploys to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Namespace and name.
    pub id: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The ApplicationSets that own it, by namespace and name.
    pub owners: Vec<String>,
}

/// An ApplicationSet that makes Applications for the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Namespace and name.
    pub id: String,
    /// Whether it lets go of the cluster when its Secret loses its labels.
    pub grip: Grip,
}

/// What an ApplicationSet does when the cluster's Secret loses its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grip {
    /// It deletes its Applications for the cluster.
    LetsGo,
    /// It goes on: a cluster generator chooses the Secret without its labels too, as `clusters: {}` does.
    Unlabelled,
    /// It may go on: what its generator asks for is filled in by a template, or cannot be read.
    Perhaps,
    /// It goes on as far as anybody can tell: generators of these kinds do not look at Secrets.
    Others(BTreeSet<String>),
    /// It generates its Applications no longer, and leaves them (`applicationsSync`).
    Keeps,
    /// It owns Applications, and could not be found.
    Unseen,
}

impl Target {
    /// The same cluster with no label but Argo CD's own mark of a cluster Secret.
    #[must_use]
    pub fn drained(&self) -> Self {
        let mut bare = self.clone();
        bare.labels.retain(|key, _| key == SECRET_TYPE.0);
        bare
    }

    /// Whether Argo CD is told to leave the cluster alone. Applications that are being deleted then stay for ever: they
    /// are not worked on either (v3.6.1, `controller/sharding/cache.go`, which reads the value as Go's `ParseBool`).
    #[must_use]
    pub fn skips_reconcile(&self) -> bool {
        skips_reconcile(&self.annotations)
    }
}

/// The same of a Secret's annotations.
pub(super) fn skips_reconcile(annotations: &BTreeMap<String, String>) -> bool {
    let value = annotations.get(SKIP_RECONCILE).map(String::as_str);
    matches!(value, Some("1" | "t" | "T" | "TRUE" | "true" | "True"))
}

impl Usage {
    /// Gathers who uses a cluster that Argo CD knows by these Secrets.
    #[must_use]
    pub fn gather(targets: &[Target], applications: &[Application], sets: &[ApplicationSet]) -> Self {
        let mut used = Self::default();
        for application in applications {
            if targets.iter().any(|target| application.targets(target)) {
                let owner = |name: &String| format!("{}/{name}", application.namespace);
                used.applications.push(User {
                    id: application.id(),
                    deleting: application.deleting,
                    owners: application.owners.iter().map(owner).collect(),
                });
            } else if application.destination.is_none() {
                used.unreadable.push(application.id());
            }
        }
        used.applications.sort_by(|a, b| a.id.cmp(&b.id));
        used.unreadable.sort();
        let owners: BTreeSet<&String> = used.applications.iter().flat_map(|user| &user.owners).collect();
        let mut makers: BTreeMap<String, Grip> = owners.into_iter().map(|id| (id.clone(), Grip::Unseen)).collect();
        for set in sets {
            let most = |targets: &mut dyn Iterator<Item = Target>| {
                targets.map(|target| set.chooses(&target)).max().unwrap_or(Choice::No)
            };
            let now = most(&mut targets.iter().cloned());
            if makers.contains_key(&set.id()) || now.by_secret() {
                let bare = most(&mut targets.iter().map(Target::drained));
                makers.insert(set.id(), grip(set, bare));
            } else if now == Choice::Elsewhere {
                used.elsewhere.push(set.id());
            }
        }
        used.elsewhere.sort();
        used.makers = makers.into_iter().map(|(id, grip)| Maker { id, grip }).collect();
        used
    }
}

fn grip(set: &ApplicationSet, bare: Choice) -> Grip {
    match bare {
        Choice::Yes => Grip::Unlabelled,
        Choice::Perhaps => Grip::Perhaps,
        Choice::Elsewhere => Grip::Others(set.others().into_iter().map(str::to_owned).collect()),
        Choice::No if !set.deletes => Grip::Keeps,
        Choice::No => Grip::LetsGo,
    }
}

/// What a change of a cluster Secret means to Applications and ApplicationSets: those that come to use the cluster, and
/// those that no longer do. By namespace and name, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Applications whose destination names the cluster only afterwards.
    pub gained: Vec<String>,
    /// Applications whose destination names it no longer. What they deployed stays where it is, and nobody keeps it.
    pub lost: Vec<String>,
    /// ApplicationSets that come to choose the cluster; `true`: for sure.
    pub sets_gained: Vec<(String, bool)>,
    /// ApplicationSets that choose it no longer, and so delete what they made for it; `true`: for sure.
    pub sets_lost: Vec<(String, bool)>,
}

impl Change {
    /// Compares a cluster before and after; `None` where Argo CD does not know it.
    #[must_use]
    pub fn between(
        before: Option<&Target>,
        after: Option<&Target>,
        applications: &[Application],
        sets: &[ApplicationSet],
    ) -> Self {
        let mut change = Self::default();
        for application in applications {
            let targets = |target: Option<&Target>| target.is_some_and(|target| application.targets(target));
            match (targets(before), targets(after)) {
                (false, true) => change.gained.push(application.id()),
                (true, false) => change.lost.push(application.id()),
                (true, true) | (false, false) => {}
            }
        }
        for set in sets {
            let chooses = |target: Option<&Target>| target.map_or(Choice::No, |target| set.chooses(target));
            let (old, new) = (chooses(before), chooses(after));
            if !old.by_secret() && new.by_secret() {
                change.sets_gained.push((set.id(), new == Choice::Yes));
            } else if old.by_secret() && !new.by_secret() {
                change.sets_lost.push((set.id(), old == Choice::Yes));
            }
        }
        change.gained.sort();
        change.lost.sort();
        change.sets_gained.sort();
        change.sets_lost.sort();
        change
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::argocd::{
        application::tests::{application, target},
        application_set::tests::set,
    };

    fn owned(id: &str, by: &str) -> Application {
        Application {
            owners: vec![by.to_owned()],
            ..application(id, &json!({"name": "prod"}))
        }
    }

    fn by_label(value: &str) -> Value {
        json!([{"clusters": {"selector": {"matchLabels": {"env": value}}}}])
    }

    #[test]
    fn who_uses_a_cluster_is_named_with_who_keeps_making_it() {
        let applications = [
            owned("argocd/shop-prod", "shops"),
            owned("team/listed", "lists"),
            owned("team/orphan", "gone"),
            application(
                "argocd/alone",
                &json!({"server": "https://ABC.gr7.eu-west-1.eks.amazonaws.com/"}),
            ),
            application("argocd/elsewhere", &json!({"name": "dev"})),
            application("argocd/odd", &json!({"name": 7})),
        ];
        let sets = [
            set("argocd/shops", &by_label("prod")),
            set("argocd/everywhere", &json!([{"clusters": {}}])),
            set("argocd/other", &by_label("dev")),
            set("team/lists", &json!([{"list": {}}, {"git": {}}])),
            set("team/shops", &json!([{"list": {}}])),
        ];
        let used = Usage::gather(&[target(&[("env", "prod")])], &applications, &sets);
        let ids: Vec<&str> = used.applications.iter().map(|user| user.id.as_str()).collect();
        assert_eq!(ids, ["argocd/alone", "argocd/shop-prod", "team/listed", "team/orphan"]);
        assert_eq!(used.unreadable, ["argocd/odd"]);
        let makers: Vec<(&str, &Grip)> = used
            .makers
            .iter()
            .map(|maker| (maker.id.as_str(), &maker.grip))
            .collect();
        let others = Grip::Others(["git".to_owned(), "list".to_owned()].into());
        assert_eq!(
            makers,
            [
                ("argocd/everywhere", &Grip::Unlabelled),
                ("argocd/shops", &Grip::LetsGo),
                ("team/gone", &Grip::Unseen),
                ("team/lists", &others),
            ]
        );
        assert_eq!(used.elsewhere, ["team/shops"], "what it lists may name the cluster");
        let without = Usage::gather(&[], &applications, &sets);
        assert_eq!((without.applications, without.makers), (vec![], vec![]));
    }

    #[test]
    fn a_copy_of_the_secret_is_used_too() {
        let copy = target(&[("env", "test")]);
        let used = Usage::gather(&[target(&[]), copy], &[], &[set("argocd/tests", &by_label("test"))]);
        assert_eq!(used.makers.len(), 1);
    }

    #[test]
    fn skip_reconcile_is_read_as_argo_cd_reads_it() {
        for (value, skips) in [
            ("true", true),
            ("1", true),
            ("T", true),
            ("false", false),
            ("yes", false),
            ("tRUE", false),
        ] {
            let mut target = target(&[]);
            target.annotations.insert(SKIP_RECONCILE.to_owned(), value.to_owned());
            assert_eq!(target.skips_reconcile(), skips, "{value}");
        }
        assert!(!target(&[]).skips_reconcile());
    }

    #[test]
    fn a_set_that_deletes_nothing_does_not_let_go() {
        let mut shops = set("argocd/shops", &by_label("prod"));
        shops.deletes = false;
        let used = Usage::gather(&[target(&[("env", "prod")])], &[], &[shops]);
        assert_eq!(used.makers[0].grip, Grip::Keeps);
    }

    #[test]
    fn a_change_tells_who_gains_and_who_loses() {
        let applications = [
            application("a/by-name", &json!({"name": "prod"})),
            application(
                "a/by-server",
                &json!({"server": "https://ABC.gr7.eu-west-1.eks.amazonaws.com"}),
            ),
            application("a/new-name", &json!({"name": "prod-2"})),
        ];
        let templated = json!([{"clusters": {"selector": {"matchLabels": {"tier": "1", "env": "{{x}}"}}}}]);
        let sets = [
            set("a/prod", &by_label("prod")),
            set("a/test", &by_label("test")),
            set("a/all", &json!([{"clusters": {}}])),
            set("a/tier", &templated),
            set("a/listed", &json!([{"list": {}}])),
        ];
        let before = target(&[("env", "prod")]);
        let after = Target {
            name: "prod-2".into(),
            ..target(&[("env", "test"), ("tier", "1")])
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let change = Change::between(Some(&before), Some(&after), &applications, &sets);
        assert_eq!(
            (change.gained, change.lost),
            (names(&["a/new-name"]), names(&["a/by-name"]))
        );
        assert_eq!(
            change.sets_gained,
            [("a/test".to_owned(), true), ("a/tier".to_owned(), false)]
        );
        assert_eq!(change.sets_lost, [("a/prod".to_owned(), true)]);
        let made = Change::between(None, Some(&before), &applications, &sets);
        assert_eq!(made.gained, names(&["a/by-name", "a/by-server"]));
        assert_eq!(
            made.sets_gained,
            [("a/all".to_owned(), true), ("a/prod".to_owned(), true)]
        );
        assert_eq!(
            Change::between(Some(&before), Some(&before), &applications, &sets),
            Change::default()
        );
    }

    proptest! {
        /// What is gained one way is lost the other, and whoever lets go under `gather` is lost by draining.
        #[test]
        fn gain_and_loss_mirror_each_other(
            one in prop::collection::btree_map("[ab]", "[ab]", 0..3),
            two in prop::collection::btree_map("[ab]", "[ab]", 0..3),
            asked in prop::collection::vec(("[ab]", "[ab]", any::<bool>()), 0..4),
        ) {
            let sets: Vec<ApplicationSet> = asked
                .iter()
                .enumerate()
                .map(|(number, (key, value, not))| {
                    let operator = if *not { "NotIn" } else { "In" };
                    let selector = json!({"matchExpressions": [{"key": key, "operator": operator, "values": [value]}]});
                    set(&format!("n/{number}"), &json!([{"clusters": {"selector": selector}}]))
                })
                .collect();
            let of = |labels: &BTreeMap<String, String>| Target { labels: labels.clone(), ..target(&[]) };
            let (one, two) = (of(&one), of(&two));
            let there = Change::between(Some(&one), Some(&two), &[], &sets);
            let back = Change::between(Some(&two), Some(&one), &[], &sets);
            prop_assert_eq!(&there.sets_gained, &back.sets_lost);
            prop_assert_eq!(&there.sets_lost, &back.sets_gained);
            let drained = Change::between(Some(&one), Some(&one.drained()), &[], &sets);
            let used = Usage::gather(std::slice::from_ref(&one), &[], &sets);
            for maker in used.makers {
                let lost = drained.sets_lost.iter().any(|(id, _)| *id == maker.id);
                prop_assert_eq!(lost, maker.grip == Grip::LetsGo);
            }
        }
    }
}
