//! Whether Applications still deploy to a cluster that is being removed, and what that means. Pure.
//!
//! Argo CD cannot take away what an Application deployed once the cluster Secret is gone: it then drops the
//! Application's finalizers and leaves the workloads behind (v3.6.1, `controller/appcontroller.go`,
//! `finalizeApplicationDeletion`).

mod telling;

use crate::{
    api::{
        ManagedClusterStatus, Mode, WhileInUse,
        condition::{ConditionType, find},
    },
    argocd::{Application, ApplicationSet, Change, ClusterSecret, Target, Usage},
    domain::commands::while_in_use,
};

use self::telling::Telling;

use super::{
    blocked::Blocked,
    status::{REMOVED, SUSPENDED},
    step::{Plan, Step},
    words::named,
};

/// What Argo CD has, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// All Applications, of all namespaces.
    pub applications: Vec<Application>,
    /// All ApplicationSets, or why they could not be listed.
    pub sets: Result<Vec<ApplicationSet>, String>,
}

/// Why the access of an object that is suspended is away.
const BY_SUSPENSION: &str = "spec.mode is Suspended, and a removal gives no access back";

/// Why the access of an object that is being removed is away, where it is. One that was suspended before gets none back.
#[must_use]
pub fn cut_off(mode: Mode, old: Option<&ManagedClusterStatus>) -> Option<&'static str> {
    let entry = old.and_then(|old| find(&old.conditions, ConditionType::AccessEntryReady));
    let gone = entry.is_some_and(|entry| [REMOVED, SUSPENDED].contains(&entry.reason.as_str()));
    if mode == Mode::Suspended {
        Some(BY_SUSPENSION)
    } else {
        gone.then_some("its access entry is gone already, and a removal gives no access back")
    }
}

/// A cluster that is being removed, as Argo CD sees it.
#[derive(Clone, Debug)]
pub struct Going<'a> {
    /// The object's own name.
    pub object: &'a str,
    /// Its cluster Secrets: one, unless Argo CD has made a copy. What Argo CD does not take for a cluster's, or what is
    /// being deleted already, is none of them.
    pub secrets: Vec<&'a ClusterSecret>,
    /// The server that was recorded, which a Secret may have had before somebody changed it.
    pub server: Option<&'a str>,
    /// The name in Argo CD that the spec gives it, which a Secret may have had before somebody changed it; `None` where
    /// another cluster has that name.
    pub name: Option<&'a str>,
    /// Argo CD's namespace.
    pub namespace: &'a str,
    /// The namespaces of other Argo CDs: what is in them is no business of this one.
    pub others: Vec<&'a str>,
    /// Why the access is away, where it is: nobody, Argo CD included, can delete anything there by it.
    pub cut_off: Option<&'static str>,
    /// What earlier looks found.
    pub earlier: Earlier,
}

/// What earlier looks of the same removal found of those who use the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Whether one of them found somebody: whoever made those Applications may make them anew.
    pub used: bool,
    /// Whether one of them, long enough ago, found nobody, and neither did any since.
    pub unused: bool,
}

/// The reasons that a removal has while somebody uses the cluster, or may be about to, or nobody looks.
pub const USED: [&str; 3] = ["ApplicationsStillTargeting", "ApplicationsMayReturn", "RemovalsPaused"];

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Nobody uses the cluster.
    Remove,
    /// Nobody uses the cluster at the moment, and somebody may be about to: another look must agree.
    LookAgain(Blocked),
    /// ApplicationSets are to let go of it first, and that is waited for.
    Drain(Plan),
    /// Somebody uses it.
    Wait(Blocked),
}

impl Going<'_> {
    fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<Target> = self.secrets.iter().map(|secret| secret.target()).collect();
        let Some(first) = targets.first().cloned() else {
            return targets;
        };
        let as_specified = Target {
            server: self.server.map_or_else(|| first.server.clone(), str::to_owned),
            name: self.name.map_or_else(|| first.name.clone(), str::to_owned),
            ..first
        };
        targets.push(as_specified);
        targets
    }

    /// Decides what the use of the cluster means for its removal.
    #[must_use]
    pub fn next(&self, policy: WhileInUse, found: &Found) -> Next {
        if self.secrets.is_empty() || policy == WhileInUse::Proceed {
            return Next::Remove;
        }
        let ours = |namespace: &str| !self.others.contains(&namespace);
        let applications: Vec<Application> = found
            .applications
            .iter()
            .filter(|one| ours(&one.namespace))
            .cloned()
            .collect();
        let sets: Vec<ApplicationSet> = found
            .sets
            .iter()
            .flatten()
            .filter(|one| ours(&one.namespace))
            .cloned()
            .collect();
        let used = Usage::gather(&self.targets(), &applications, &sets);
        let told = Telling {
            going: self,
            used: &used,
            sets: found.sets.as_ref().err().map(String::as_str),
        };
        if used.applications.is_empty() && used.unreadable.is_empty() {
            return if self.earlier.unused || !self.may_be_used(&used, found) {
                Next::Remove
            } else {
                told.look_again()
            };
        }
        if policy == WhileInUse::Block {
            return told.block();
        }
        let labelled: Vec<&&ClusterSecret> = self
            .secrets
            .iter()
            .filter(|secret| !secret.surplus_labels().is_empty())
            .collect();
        if labelled.is_empty() {
            return told.drained();
        }
        if let Err(why) = &found.sets {
            return told.undrained(&format!(
                "the labels of its Secret are not dropped, since nobody knows which ApplicationSets would take that for an invitation: {why}"
            ));
        }
        let invited = invited(&labelled, &sets);
        if !invited.is_empty() {
            return told.undrained(&format!(
                "the labels of its Secret are not dropped, since {} would choose the cluster without them: change the selector there, or have the removal wait (`{}`) and delete the Applications yourself",
                named("ApplicationSet", &invited),
                while_in_use(self.object, "Block")
            ));
        }
        let steps = labelled.into_iter().map(|secret| Step::DropLabels {
            name: secret.name.clone(),
            uid: secret.uid.clone(),
            resource_version: secret.resource_version.clone(),
            labels: secret.surplus_labels(),
        });
        Next::Drain(Plan {
            steps: steps.collect(),
            blocked: vec![told.draining()],
            ..Plan::default()
        })
    }

    /// Whether somebody may be about to make an Application for the cluster, though there is none: an Application that was
    /// deleted is made anew within a moment, by whatever made it, and by a controller that is slow some time later.
    fn may_be_used(&self, used: &Usage, found: &Found) -> bool {
        self.earlier.used || !used.makers.is_empty() || !used.elsewhere.is_empty() || found.sets.is_err()
    }

    /// The same for who only looks ahead: what would be written first, and what would be waited for. What a second look
    /// would have to agree on is taken for agreed.
    #[must_use]
    pub fn foresee(&self, policy: WhileInUse, found: &Found) -> Plan {
        match self.next(policy, found) {
            Next::Remove | Next::LookAgain(_) => Plan::default(),
            Next::Wait(blocked) => Plan::waiting(blocked),
            Next::Drain(plan) => plan,
        }
    }
}

/// The ApplicationSets that choose a Secret only once it has lost its labels.
fn invited(secrets: &[&&ClusterSecret], sets: &[ApplicationSet]) -> Vec<String> {
    let gained = |secret: &&&ClusterSecret| {
        let target = secret.target();
        Change::between(Some(&target), Some(&target.drained()), &[], sets).sets_gained
    };
    let mut invited: Vec<String> = secrets.iter().flat_map(gained).map(|(id, _)| id).collect();
    invited.sort();
    invited.dedup();
    invited
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{ByteString, api::core::v1::Secret};
    use serde_json::{Value, json};

    use super::*;

    const SERVER: &str = "https://ABC.gr7.eu-west-1.eks.amazonaws.com";

    fn secret(labels: &Value, annotations: &Value) -> ClusterSecret {
        let mut labels = labels.clone();
        labels["argocd.argoproj.io/secret-type"] = json!("cluster");
        let metadata = json!({"name": "cluster-abc", "uid": "s", "resourceVersion": "7", "labels": labels, "annotations": annotations});
        let mut secret: Secret = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
        let data = [("name", "prod"), ("server", SERVER), ("config", "{}")];
        let data = data.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
        secret.data = Some(data.into());
        ClusterSecret::read(&secret)
    }

    fn application(id: &str, owner: Option<&str>, deleting: bool) -> Application {
        let (namespace, name) = id.split_once('/').unwrap();
        Application {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            destination: Some(crate::argocd::Destination {
                name: "prod".to_owned(),
                server: String::new(),
            }),
            owners: owner.map(str::to_owned).into_iter().collect(),
            deleting,
        }
    }

    fn set(id: &str, generators: &Value) -> ApplicationSet {
        let (namespace, name) = id.split_once('/').unwrap();
        let object = json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"generators": generators}});
        serde_json::from_value(object).unwrap()
    }

    fn by_label() -> Value {
        json!([{"clusters": {"selector": {"matchLabels": {"env": "prod"}}}}])
    }

    fn going(secrets: &[ClusterSecret]) -> Going<'_> {
        Going {
            object: "prod-eu",
            secrets: secrets.iter().collect(),
            server: None,
            name: Some("prod"),
            namespace: "argocd",
            others: Vec::new(),
            cut_off: None,
            earlier: Earlier::default(),
        }
    }

    fn next(
        policy: WhileInUse,
        secrets: &[ClusterSecret],
        applications: &[Application],
        sets: &[ApplicationSet],
    ) -> Next {
        let going = Going {
            others: vec!["argocd-two"],
            ..going(secrets)
        };
        let found = Found {
            applications: applications.to_vec(),
            sets: Ok(sets.to_vec()),
        };
        going.next(policy, &found)
    }

    /// What is told, and whether a person must act.
    fn told(next: Next) -> (String, bool) {
        match next {
            Next::Wait(blocked) => {
                assert!(USED.contains(&blocked.reason()), "{}", blocked.reason());
                (blocked.message(), blocked.stalled())
            }
            other @ (Next::Remove | Next::LookAgain(_) | Next::Drain(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_can_delete_anything_on_a_cluster_whose_access_was_taken_away() {
        let secrets = labelled();
        let applications = [application("argocd/a", None, true)];
        let going = |suspended: bool| Going {
            cut_off: suspended.then_some("spec.mode is Suspended"),
            ..going(&secrets)
        };
        let found = Found {
            applications: applications.to_vec(),
            sets: Ok(Vec::new()),
        };
        for policy in [WhileInUse::Block, WhileInUse::Drain] {
            let look = |suspended: bool| {
                let plan = going(suspended).foresee(policy, &found);
                told(Next::Wait(plan.in_the_way().unwrap().clone()))
            };
            let (hangs, by_a_person) = look(true);
            assert!(
                hangs.contains("spec.mode is Suspended") && hangs.contains("Proceed"),
                "{hangs}"
            );
            assert!(by_a_person);
            assert!(!look(false).0.contains("Suspended"));
        }
    }

    #[test]
    fn who_looks_ahead_is_told_what_comes_first_and_what_is_waited_for() {
        let secrets = labelled();
        let found = Found {
            applications: vec![application("argocd/a", Some("fleet"), false)],
            sets: Ok(vec![set("argocd/fleet", &by_label())]),
        };
        let going = going(&secrets);
        let steps = |policy| {
            let plan = going.foresee(policy, &found);
            let names = plan.steps.iter().map(Step::name).collect::<Vec<_>>();
            (names, plan.in_the_way().map(Blocked::message).unwrap_or_default())
        };
        let (nothing, waits) = steps(WhileInUse::Block);
        assert!(nothing.is_empty() && waits.contains("(argocd/a)"), "{waits}");
        let (first, waits) = steps(WhileInUse::Drain);
        assert_eq!(first, ["DropLabels"]);
        assert!(waits.contains("(argocd/a)") && waits.contains("are dropped"), "{waits}");
        assert_eq!(steps(WhileInUse::Proceed), (Vec::new(), String::new()));
    }

    fn labelled() -> [ClusterSecret; 1] {
        [secret(&json!({"env": "prod"}), &json!({}))]
    }

    #[test]
    fn it_goes_on_only_when_nobody_uses_the_cluster_or_that_does_not_matter() {
        let one = [application("argocd/a", None, false)];
        for policy in [WhileInUse::Block, WhileInUse::Drain, WhileInUse::Proceed] {
            let others = json!([{"clusters": {"selector": {"matchLabels": {"env": "dev"}}}}]);
            assert_eq!(
                next(policy, &labelled(), &[], &[set("argocd/dev", &others)]),
                Next::Remove
            );
            assert_eq!(
                next(policy, &[], &one, &[]),
                Next::Remove,
                "nothing is left to hold on to"
            );
        }
        assert_eq!(next(WhileInUse::Proceed, &labelled(), &one, &[]), Next::Remove);
        let theirs = [application("argocd-two/a", None, false)];
        assert_eq!(
            next(WhileInUse::Block, &labelled(), &theirs, &[]),
            Next::Remove,
            "of another Argo CD"
        );
        let (why, stalled) = told(next(WhileInUse::Block, &labelled(), &one, &[]));
        assert!(
            stalled && why.starts_with("1 Application still deploys to this cluster (argocd/a)"),
            "{why}"
        );
    }

    /// Who is told to delete an Application may only have meant to unregister the cluster.
    #[test]
    fn what_is_deployed_is_not_taken_down_before_a_person_has_chosen() {
        let keep = r#"`kubectl patch mgc prod-eu --type merge -p '{"spec":{"deletion":{"whileInUse":"Proceed"}}}'`"#;
        let drain = r#"`kubectl patch mgc prod-eu --type merge -p '{"spec":{"deletion":{"whileInUse":"Drain"}}}'`"#;
        let delete = "`kubectl delete applications.argoproj.io -n team b`";
        let sets = [set("argocd/shops", &by_label())];
        let owned = || application("argocd/a", Some("shops"), false);
        let alone = || application("team/b", None, false);
        for (applications, says, not) in [
            (vec![owned()], vec![drain], vec!["kubectl delete"]),
            (vec![alone()], vec![delete], vec![]),
            (vec![owned(), alone()], vec![drain, delete], vec![]),
        ] {
            let (why, stalled) = told(next(WhileInUse::Block, &labelled(), &applications, &sets));
            assert!(stalled && why.contains("Decide first"), "{why}");
            let kept = why.find(keep).unwrap_or_else(|| panic!("{why}"));
            for part in says {
                assert!(why.find(part).is_some_and(|at| at > kept), "{part}: {why}");
            }
            for part in not {
                assert!(!why.contains(part), "{part}: {why}");
            }
        }
        let (why, _) = told(next(
            WhileInUse::Block,
            &labelled(),
            &[application("team/b", None, true)],
            &[],
        ));
        assert!(!why.contains("Decide first"), "somebody has: {why}");
    }

    /// What a look says that found nobody, and must be repeated.
    fn again(earlier: Earlier, policy: WhileInUse, sets: Result<Vec<ApplicationSet>, String>) -> Option<String> {
        let secrets = labelled();
        let going = Going {
            earlier,
            others: vec!["argocd-two"],
            ..going(&secrets)
        };
        let found = Found {
            applications: Vec::new(),
            sets,
        };
        assert!(going.foresee(policy, &found).is_clean(), "what follows is foreseen");
        match going.next(policy, &found) {
            Next::Remove => None,
            Next::LookAgain(blocked) => {
                assert!(!blocked.stalled() && blocked.second_look());
                assert!(
                    USED.contains(&blocked.reason()),
                    "an operator that is started anew knows by it"
                );
                Some(blocked.message())
            }
            other @ (Next::Drain(_) | Next::Wait(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_may_be_about_to_make_an_application_is_named_and_looked_for_once_more() {
        let unused = |used: bool| Earlier { used, unused: true };
        let all = || set("argocd/all", &json!([{"clusters": {}}]));
        let lists = || set("team/lists", &json!([{"list": {}}]));
        let mut keeps = set("argocd/keeps", &by_label());
        keeps.deletes = false;
        for policy in [WhileInUse::Block, WhileInUse::Drain] {
            let once = |sets| again(Earlier::default(), policy, Ok(sets));
            let told = once(vec![all(), keeps.clone()]).unwrap();
            assert!(
                told.contains("ApplicationSets argocd/all, argocd/keeps choose") && told.contains("second look"),
                "{told}"
            );
            let told = once(vec![lists()]).unwrap();
            assert!(told.contains("ApplicationSet team/lists does not look at"), "{told}");
            let templated = json!([{"clusters": {"selector": {"matchLabels": {"env": "{{x}}"}}}}]);
            assert!(once(vec![set("argocd/templated", &templated)]).is_some());
            let unseen = again(Earlier::default(), policy, Err("they could not be listed".to_owned())).unwrap();
            assert!(unseen.contains("they could not be listed"), "{unseen}");
            // Whoever made what was there before may be no ApplicationSet at all.
            let was_used = Earlier {
                used: true,
                unused: false,
            };
            let told = again(was_used, policy, Ok(Vec::new())).unwrap();
            assert!(
                told.contains("made anew") && told.contains("No ApplicationSet is seen that would make one"),
                "{told}"
            );
            assert!(!once(vec![all()]).unwrap().contains("No ApplicationSet"));
            // What no look speaks of needs none.
            let elsewhere = json!([{"clusters": {"selector": {"matchLabels": {"env": "dev"}}}}]);
            assert_eq!(once(Vec::new()), None);
            assert_eq!(once(vec![set("argocd/dev", &elsewhere)]), None);
            assert_eq!(once(vec![set("argocd-two/all", &json!([{"clusters": {}}]))]), None);
            // A second look that agrees is enough.
            for used in [false, true] {
                assert_eq!(again(unused(used), policy, Ok(vec![all(), lists()])), None);
            }
        }
        assert_eq!(again(Earlier::default(), WhileInUse::Proceed, Ok(vec![all()])), None);
    }

    #[test]
    fn an_application_of_the_recorded_server_counts_though_the_secret_was_changed() {
        let secrets = labelled();
        let mut one = application("argocd/a", None, false);
        one.destination = Some(crate::argocd::Destination {
            server: "https://OLD/".to_owned(),
            name: String::new(),
        });
        let going = Going {
            server: Some("https://OLD"),
            ..going(&secrets)
        };
        let found = Found {
            applications: vec![one],
            sets: Ok(Vec::new()),
        };
        assert!(matches!(going.next(WhileInUse::Block, &found), Next::Wait(_)));
    }

    #[test]
    fn an_application_of_the_specified_name_counts_though_the_secret_was_renamed() {
        let mut secrets = labelled();
        secrets[0].cluster_name = "renamed".to_owned();
        let found = |name: &str| {
            let mut one = application("argocd/a", None, false);
            one.destination = Some(crate::argocd::Destination {
                server: String::new(),
                name: name.to_owned(),
            });
            Found {
                applications: vec![one],
                sets: Ok(Vec::new()),
            }
        };
        for (name, waits) in [("prod", true), ("renamed", true), ("other", false)] {
            let next = going(&secrets).next(WhileInUse::Block, &found(name));
            assert_eq!(matches!(next, Next::Wait(_)), waits, "{name}: {next:?}");
        }
        // Another cluster has the name by now: what it means is that one.
        let taken = Going {
            name: None,
            ..going(&secrets)
        };
        for (name, waits) in [("prod", false), ("renamed", true)] {
            let next = taken.next(WhileInUse::Block, &found(name));
            assert_eq!(matches!(next, Next::Wait(_)), waits, "{name}: {next:?}");
        }
    }

    #[test]
    fn a_message_names_some_and_counts_all() {
        let many: Vec<Application> = (0..12)
            .map(|n| application(&format!("team/a{n:02}"), None, n < 2))
            .collect();
        let (why, stalled) = told(next(WhileInUse::Block, &labelled(), &many, &[]));
        let start = "12 Applications still deploy to this cluster (team/a00, team/a01, team/a02, team/a03, team/a04 and 7 more), 2 of them being deleted";
        assert!(stalled && why.starts_with(start), "{why}");
        let going: Vec<Application> = many
            .iter()
            .map(|one| Application {
                deleting: true,
                ..one.clone()
            })
            .collect();
        let (why, stalled) = told(next(WhileInUse::Block, &labelled(), &going, &[]));
        assert!(
            !stalled && why.ends_with("and being deleted"),
            "somebody acts already: {why}"
        );
    }

    #[test]
    fn draining_drops_every_label_but_argo_cds_mark_in_one_step() {
        let secrets = [secret(&json!({"env": "prod", "team": "a"}), &json!({}))];
        let sets = [set("argocd/shops", &by_label())];
        let owned = [application("argocd/a", Some("shops"), false)];
        let Next::Drain(plan) = next(WhileInUse::Drain, &secrets, &owned, &sets) else {
            panic!("no plan")
        };
        let [
            Step::DropLabels {
                labels,
                resource_version,
                ..
            },
        ] = plan.steps.as_slice()
        else {
            panic!("{plan:?}")
        };
        assert_eq!(
            (
                labels.iter().map(String::as_str).collect::<Vec<_>>(),
                resource_version.as_str()
            ),
            (vec!["env", "team"], "7")
        );
        // Then it waits for Argo CD, and says who never will.
        let bare = [secret(&json!({}), &json!({}))];
        let (why, stalled) = told(next(WhileInUse::Drain, &bare, &owned, &sets));
        assert!(
            !stalled
                && why.contains("for ApplicationSet argocd/shops to delete")
                && why.contains("waits until they are gone"),
            "{why}"
        );
        let alone = [
            application("argocd/a", Some("shops"), false),
            application("team/b", None, false),
        ];
        let (why, stalled) = told(next(WhileInUse::Drain, &bare, &alone, &sets));
        assert!(
            stalled
                && why.contains("Nobody deletes Application team/b")
                && why.contains("`kubectl delete applications.argoproj.io -n team b`"),
            "{why}"
        );
    }

    #[test]
    fn what_labels_cannot_stop_is_said_under_every_policy() {
        let everywhere = json!([{"matrix": {"generators": [{"git": {}}, {"clusters": {}}]}}]);
        let templated = json!([{"clusters": {"selector": {"matchLabels": {"env": "{{x}}"}}}}]);
        let mut keeps = set("argocd/keeps", &by_label());
        keeps.deletes = false;
        let sets = [
            set("argocd/everywhere", &everywhere),
            set("argocd/templated", &templated),
            set("argocd/listed", &json!([{"list": {}}])),
            keeps,
        ];
        let owned = [application("argocd/a", Some("listed"), false)];
        let bare = [secret(&json!({}), &json!({}))];
        for (policy, secrets, also) in [
            (WhileInUse::Block, labelled(), Some("argocd/keeps leaves behind")),
            (WhileInUse::Drain, bare, None),
        ] {
            let (why, stalled) = told(next(policy, &secrets, &owned, &sets));
            assert!(stalled);
            for part in [
                "ApplicationSet argocd/everywhere would go on without the labels",
                "values: [prod]",
                "ApplicationSet argocd/templated may go on",
                "ApplicationSet argocd/listed makes Applications by generators that do not look at labels (list)",
            ]
            .into_iter()
            .chain(also)
            {
                assert!(why.contains(part), "{policy:?} {part}: {why}");
            }
        }
    }

    #[test]
    fn a_set_that_takes_a_secret_without_labels_for_an_invitation_gets_none() {
        let without =
            json!([{"clusters": {"selector": {"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}}}]);
        let sets = [set("argocd/shops", &by_label()), set("argocd/rest", &without)];
        let owned = [application("argocd/a", Some("shops"), false)];
        let (why, stalled) = told(next(WhileInUse::Drain, &labelled(), &owned, &sets));
        assert!(
            stalled && why.contains("since ApplicationSet argocd/rest would choose the cluster without them"),
            "{why}"
        );
        // Nor is that risked where nobody knows.
        let secrets = labelled();
        let going = going(&secrets);
        let found = Found {
            applications: owned.to_vec(),
            sets: Err("could not list".to_owned()),
        };
        let (why, stalled) = told(going.next(WhileInUse::Drain, &found));
        assert!(stalled && why.contains("could not list"), "{why}");
    }

    #[test]
    fn what_hangs_a_deletion_and_what_cannot_be_read_is_told() {
        let skipping = [secret(
            &json!({}),
            &json!({"argocd.argoproj.io/skip-reconcile": "true"}),
        )];
        let going = [application("argocd/a", None, true)];
        let (why, stalled) = told(next(WhileInUse::Block, &skipping, &going, &[]));
        assert!(
            stalled && why.contains("kubectl annotate secret -n argocd cluster-abc argocd.argoproj.io/skip-reconcile-"),
            "{why}"
        );
        let stays = [application("argocd/a", None, false)];
        let (why, _) = told(next(WhileInUse::Block, &skipping, &stays, &[]));
        let at = |words: &str| why.find(words);
        assert!(
            at("skip-reconcile-").is_some() && at("skip-reconcile-") < at("kubectl delete"),
            "first: {why}"
        );
        let mut odd = application("team/odd", None, false);
        odd.destination = None;
        for policy in [WhileInUse::Block, WhileInUse::Drain] {
            let bare = [secret(&json!({}), &json!({}))];
            let (why, stalled) = told(next(policy, &bare, std::slice::from_ref(&odd), &[]));
            assert!(
                stalled && why.contains("Nobody can tell where Application team/odd deploys"),
                "{why}"
            );
        }
    }
}
