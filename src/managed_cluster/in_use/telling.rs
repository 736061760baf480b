//! What a removal says of those who use the cluster, and what they are to do. Pure.

use crate::{
    argocd::{ClusterSecret, Grip, Maker, Usage, User},
    domain::commands::{delete_application, free_application, while_in_use},
    managed_cluster::{
        blocked::Blocked,
        words::{SECOND_LOOK, capitalised, named, some},
    },
};

use super::{Going, Next};

/// What is said of those who use the cluster.
pub(super) struct Telling<'a> {
    pub(super) going: &'a Going<'a>,
    pub(super) used: &'a Usage,
    /// Why the ApplicationSets could not be listed.
    pub(super) sets: Option<&'a str>,
}

impl Telling<'_> {
    fn wait(&self, sentences: &[String], stalled: bool) -> Next {
        Next::Wait(self.waits(sentences, stalled, false))
    }

    fn waits(&self, sentences: &[String], stalled: bool, drained: bool) -> Blocked {
        // What hangs every deletion comes before whoever is told to delete something.
        let all = (self.who().into_iter().chain(self.skipping()))
            .chain(sentences.iter().cloned())
            .chain(self.asides());
        let hangs = self.skipped().is_some() || self.going.cut_off.is_some();
        Blocked::ApplicationsStillTargeting {
            why: all.collect::<Vec<_>>().join(". "),
            stalled: stalled || hangs || !self.used.unreadable.is_empty(),
            drained,
        }
    }

    /// Nobody uses it at the moment.
    pub(super) fn look_again(&self) -> Next {
        let mut sentences = vec![format!(
            "no Application deploys to this cluster at the moment, and one may be made anew: the cluster Secret goes once {SECOND_LOOK} finds none either"
        )];
        if self.used.makers.is_empty() && self.used.elsewhere.is_empty() && self.sets.is_none() {
            sentences.push(
                "No ApplicationSet is seen that would make one. Where another Application makes those that were here, or they come from Git, take them out there, or they come back".to_owned(),
            );
        }
        let makers = self.makers(|_| true);
        if !makers.is_empty() {
            let (s, its) = if makers.len() == 1 { ("s", "its") } else { ("", "their") };
            sentences.push(format!(
                "{} choose{s} the cluster by its Secret: if {its} Applications are to stay away, exclude the cluster there",
                named("ApplicationSet", &makers)
            ));
        }
        let elsewhere = &self.used.elsewhere;
        if !elsewhere.is_empty() {
            let does = if elsewhere.len() == 1 { "does" } else { "do" };
            sentences.push(format!(
                "{} {does} not look at cluster Secrets, and may name the cluster",
                named("ApplicationSet", elsewhere)
            ));
        }
        if let Some(why) = self.sets {
            sentences.push(format!("Which ApplicationSets there are could not be seen: {why}"));
        }
        Next::LookAgain(Blocked::ApplicationsMayReturn {
            why: sentences.join(". "),
        })
    }

    /// `Drain`, when the labels are dropped.
    pub(super) fn draining(&self) -> Blocked {
        let (sentences, stalled) = self.let_go_of();
        self.waits(&sentences, stalled, true)
    }

    /// `Block`: nothing is done about them.
    pub(super) fn block(&self) -> Next {
        let mut sentences = Vec::new();
        let stays = self.used.applications.iter().any(|user| !user.deleting);
        if stays && self.going.cut_off.is_none() {
            sentences.push(self.to_keep());
            sentences.extend(self.to_take_down());
        }
        sentences.extend(self.unstoppable());
        self.wait(&sentences, stays)
    }

    /// What lets the removal go on without touching what runs. Argo CD drops the finalizers of an Application whose cluster
    /// it does not know, and leaves what it deployed.
    fn to_keep(&self) -> String {
        let it = if self.used.applications.len() == 1 {
            "it"
        } else {
            "they"
        };
        format!(
            "Decide first what becomes of what {it} deployed, which Argo CD cannot take away any more without the cluster Secret. To keep it running: `{}`, and the removal waits no longer",
            while_in_use(self.going.object, "Proceed")
        )
    }

    /// What takes down what runs, by who made it: what an ApplicationSet makes is made anew where it is deleted by hand.
    fn to_take_down(&self) -> Vec<String> {
        let anew = self.makers(|grip| *grip == Grip::LetsGo);
        let mut sentences = Vec::new();
        if !anew.is_empty() {
            let s = s_for_one(&anew);
            sentences.push(format!(
                "To take it down: `{}` drops the labels of the cluster Secret, by which {} choose{s} the cluster and make{s} Applications anew, for Argo CD to delete them",
                while_in_use(self.going.object, "Drain"),
                named("ApplicationSet", &anew),
            ));
        }
        let alone = self.left_by(&anew);
        if let Some(first) = alone.first() {
            let (to, of) = if sentences.is_empty() {
                ("To take it down", String::new())
            } else {
                ("And", format!(" for {}", named("Application", &alone)))
            };
            let likewise = if alone.len() > 1 {
                ", and the others likewise"
            } else {
                ""
            };
            sentences.push(format!(
                "{to}{of}: `{}`{likewise}. That takes down what it deployed where it has Argo CD's resources finalizer; given another destination, an Application leaves here what it deployed",
                delete_application(first)
            ));
        }
        sentences
    }

    /// The Applications that nobody deletes, where these ApplicationSets delete theirs.
    fn left_by(&self, sets: &[String]) -> Vec<String> {
        let stays = |user: &&User| !user.deleting && !user.owners.iter().any(|owner| sets.contains(owner));
        let users = self.used.applications.iter().filter(stays);
        users.map(|user| user.id.clone()).collect()
    }

    /// What is told while ApplicationSets let go of the cluster, and whether a person must act.
    fn let_go_of(&self) -> (Vec<String>, bool) {
        let lets_go = self.makers(|grip| *grip == Grip::LetsGo);
        let who = if lets_go.is_empty() {
            String::new()
        } else {
            let sets = named("ApplicationSet", &lets_go);
            let its = if lets_go.len() == 1 { "its" } else { "their" };
            let reaches = if self.going.cut_off.is_none() {
                " while Argo CD can still reach the cluster"
            } else {
                ""
            };
            format!(", for {sets} to delete {its} Applications{reaches}")
        };
        let mut sentences = vec![format!(
            "The labels of the cluster Secret are dropped{who}, and it waits until they are gone"
        )];
        let left = self.left_by(&lets_go);
        if let Some(first) = left.first() {
            let (it, likewise) = if left.len() == 1 {
                ("it", "")
            } else {
                ("them", ", and the others likewise")
            };
            sentences.push(format!(
                "Nobody deletes {}: `{}`{likewise}, or give {it} another destination, which leaves here what was deployed. To keep running what is deployed: `{}`",
                named("Application", &left),
                delete_application(first),
                while_in_use(self.going.object, "Proceed")
            ));
        }
        (sentences, !left.is_empty())
    }

    /// `Drain`, after the labels were dropped.
    pub(super) fn drained(&self) -> Next {
        let (mut sentences, stalled) = self.let_go_of();
        sentences.extend(self.unstoppable());
        Next::Wait(self.waits(&sentences, stalled, true))
    }

    /// `Drain`, when the labels cannot be dropped.
    pub(super) fn undrained(&self, why: &str) -> Next {
        let mut sentences = vec![capitalised(why)];
        sentences.extend(self.unstoppable());
        self.wait(&sentences, true)
    }

    /// Who uses the cluster, and how many.
    fn who(&self) -> Option<String> {
        let ids: Vec<String> = self.used.applications.iter().map(|user| user.id.clone()).collect();
        let deleting = self.used.applications.iter().filter(|user| user.deleting).count();
        let going = match deleting {
            0 => String::new(),
            all if all == ids.len() => ", and being deleted".to_owned(),
            some => format!(", {some} of them being deleted"),
        };
        let verb = if ids.len() == 1 {
            "Application still deploys"
        } else {
            "Applications still deploy"
        };
        (!ids.is_empty()).then(|| format!("{} {verb} to this cluster ({}){going}", ids.len(), some(&ids)))
    }

    /// The ApplicationSets of a kind, by namespace and name.
    fn makers(&self, grip: impl Fn(&Grip) -> bool) -> Vec<String> {
        let of = |maker: &&Maker| grip(&maker.grip);
        self.used
            .makers
            .iter()
            .filter(of)
            .map(|maker| maker.id.clone())
            .collect()
    }

    /// The ApplicationSets that go on whatever the Secret's labels are, each kind with what to do about it.
    fn unstoppable(&self) -> Vec<String> {
        let name = self
            .going
            .secrets
            .first()
            .map(|secret| secret.cluster_name.as_str())
            .unwrap_or_default();
        let mut sentences = Vec::new();
        let mut tell = |makers: Vec<String>, says: &dyn Fn(&str, &str) -> String| {
            if !makers.is_empty() {
                sentences.push(says(&named("ApplicationSet", &makers), s_for_one(&makers)));
            }
        };
        tell(self.makers(|grip| *grip == Grip::Unlabelled), &|who, _| {
            format!(
                "{who} would go on without the labels, as `clusters: {{}}` does, and cannot be drained: exclude the cluster there, as by `selector: {{matchExpressions: [{{key: name, operator: NotIn, values: [{name}]}}]}}` beside `clusters`"
            )
        });
        tell(self.makers(|grip| *grip == Grip::Perhaps), &|who, _| {
            format!(
                "{who} may go on without the labels, with a selector that is filled in by a template or cannot be read: exclude the cluster there"
            )
        });
        tell(self.makers(|grip| matches!(grip, Grip::Others(_))), &|who, s| {
            format!(
                "{who} make{s} Applications by generators that do not look at labels ({}): take the cluster out of what they read",
                self.kinds()
            )
        });
        tell(self.makers(|grip| *grip == Grip::Keeps), &|who, s| {
            format!(
                "{who} leave{s} behind what is generated no longer (spec.syncPolicy.applicationsSync): delete those Applications yourself"
            )
        });
        sentences
    }

    /// The kinds of generators that do not look at Secrets.
    fn kinds(&self) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for maker in &self.used.makers {
            if let Grip::Others(of) = &maker.grip {
                kinds.extend(of.iter().map(String::as_str));
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds.join(", ")
    }

    /// The Secret that keeps Argo CD from deleting anything on the cluster.
    fn skipped(&self) -> Option<&str> {
        let skips = |secret: &&&ClusterSecret| secret.target().skips_reconcile();
        self.going.secrets.iter().find(skips).map(|secret| secret.name.as_str())
    }

    /// That no deletion comes to an end as it is.
    fn skipping(&self) -> Option<String> {
        let namespace = self.going.namespace;
        self.skipped().map(|name| {
            format!(
                "The Secret bears argocd.argoproj.io/skip-reconcile, under which Argo CD never ends the deletion of an Application: once deletions may go on, and before you take anything down, take it off with `kubectl annotate secret -n {namespace} {name} argocd.argoproj.io/skip-reconcile-`"
            )
        })
    }

    fn asides(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(why) = self.going.cut_off
            && let Some(first) = self.used.applications.first()
        {
            sentences.push(format!(
                "Argo CD cannot reach the cluster any more, since {why}: the deletion of an Application with a resources finalizer hangs, and what was deployed stays in any case. `{}` lets the removal go on; or take the finalizers off each of them, as by `{}`, and delete it",
                while_in_use(self.going.object, "Proceed"),
                free_application(&first.id)
            ));
        }
        let unreadable = &self.used.unreadable;
        if !unreadable.is_empty() {
            sentences.push(format!(
                "Nobody can tell where {} deploy{}, whose destination cannot be read: correct or delete {}",
                named("Application", unreadable),
                s_for_one(unreadable),
                if unreadable.len() == 1 { "it" } else { "them" }
            ));
        }
        if let Some(why) = self.sets {
            sentences.push(format!("Which ApplicationSets make them could not be seen: {why}"));
        }
        sentences
    }
}

fn s_for_one(names: &[String]) -> &'static str {
    if names.len() == 1 { "s" } else { "" }
}
