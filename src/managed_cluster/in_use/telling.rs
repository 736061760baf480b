//! What a removal says of those who use the cluster, and what they are to do. Pure.

use crate::{
    argocd::{ClusterSecret, Grip, Maker, Usage, User},
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
        let all = self
            .who()
            .into_iter()
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
                "No ApplicationSet is seen that would make one. Another Application may, or who made the last one: it is to be taken out there".to_owned(),
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
        let told = "The labels of the cluster Secret are dropped, for ApplicationSets to delete their Applications while Argo CD can still reach the cluster, and it waits until they are gone";
        self.waits(&[told.to_owned()], false, true)
    }

    /// `Block`: nothing is done about them.
    pub(super) fn block(&self) -> Next {
        let mut sentences = Vec::new();
        let stays = self.used.applications.iter().any(|user| !user.deleting);
        if stays {
            if self.going.cut_off.is_none() {
                let advice = if self.used.applications.len() == 1 {
                    "it deployed. Delete it, or give it another destination"
                } else {
                    "they deployed. Delete them, or give them another destination"
                };
                sentences.push(format!(
                    "Without the cluster Secret Argo CD could not take away what {advice}"
                ));
            }
            let anew = self.makers(|grip| *grip == Grip::LetsGo);
            if !anew.is_empty() {
                sentences.push(format!(
                    "{} choose{} the cluster by the labels of its Secret and make{} them anew, until spec.deletion.whileInUse is Drain, which drops the labels",
                    named("ApplicationSet", &anew), s_for_one(&anew), s_for_one(&anew)
                ));
            }
        }
        sentences.extend(self.unstoppable());
        if stays && self.going.cut_off.is_none() {
            sentences.push(
                "With spec.deletion.whileInUse: Proceed the removal does not wait, and what was deployed is left behind"
                    .to_owned(),
            );
        }
        self.wait(&sentences, stays)
    }

    /// `Drain`, after the labels were dropped.
    pub(super) fn drained(&self) -> Next {
        let lets_go = self.makers(|grip| *grip == Grip::LetsGo);
        let stays = |user: &&User| !user.deleting && !user.owners.iter().any(|owner| lets_go.contains(owner));
        let left: Vec<String> = self
            .used
            .applications
            .iter()
            .filter(stays)
            .map(|user| user.id.clone())
            .collect();
        let mut sentences =
            vec!["The labels of the cluster Secret are dropped, and it waits until they are gone".to_owned()];
        if !left.is_empty() {
            sentences.push(format!(
                "Nobody deletes {}: do so, or give {} another destination",
                named("Application", &left),
                if left.len() == 1 { "it" } else { "them" }
            ));
        }
        sentences.extend(self.unstoppable());
        Next::Wait(self.waits(&sentences, !left.is_empty(), true))
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

    fn asides(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(name) = self.skipped() {
            let namespace = self.going.namespace;
            sentences.push(format!(
                "The Secret bears argocd.argoproj.io/skip-reconcile, under which Argo CD never ends the deletion of an Application: take it off with `kubectl annotate secret -n {namespace} {name} argocd.argoproj.io/skip-reconcile-`"
            ));
        }
        if let Some(why) = self.going.cut_off
            && !self.used.applications.is_empty()
        {
            sentences.push(format!(
                "Argo CD cannot reach the cluster any more, since {why}: the deletion of an Application with a resources finalizer hangs. Delete such Applications without cascade, give them another destination, or set spec.deletion.whileInUse to Proceed: what was deployed stays"
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
