//! 5. apply: carries a plan out, and makes no choices. One match over steps; the first that is not done stops the rest.

mod in_account;

use std::{collections::BTreeSet, time::Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tracing::info;

use crate::{
    argocd::ADOPTED_ANNOTATION,
    aws::{Account, Call},
    domain::{
        arn::{ClusterArn, RoleArn},
        eks::AccessPolicyArn,
    },
    kubernetes::objects,
    telemetry::Metrics,
};

use self::in_account::run_in_account;
use super::{
    blocked::Blocked,
    secret_write::{apply_secret, drop_labels, drop_owners, null_keys},
    step::{Part, Step},
    unmoved::Unmoved,
};

pub use super::failure::{Failure, MadeRole, OurEntry, OurSecret, Stop};
use super::failure::{Made, stop};

/// Where a plan is carried out.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The cluster's account; `None` where the plan has no step there.
    pub account: Option<&'a Account>,
    /// The cluster.
    pub cluster: &'a ClusterArn,
    /// The deployer role.
    pub deployer: &'a RoleArn,
    /// The Secrets of Argo CD's namespace.
    pub secrets: &'a Api<Secret>,
    /// When the pass must be over: no step starts after it.
    pub deadline: Instant,
    /// Whether the operator is stopping: no step starts then either.
    pub stopping: &'a (dyn Fn() -> bool + Sync),
    /// Whether a person had the object stand back since the plan was made: no step starts then either.
    pub stood_back: &'a (dyn Fn() -> bool + Sync),
    /// Counters.
    pub metrics: &'a Metrics,
}

/// What became of a plan. Only [`apply`] makes one.
#[derive(Debug, Default)]
pub struct Outcome {
    done: Vec<String>,
    made_role: Option<MadeRole>,
    deleted: BTreeSet<Part>,
    entry: Option<OurEntry>,
    secret: Option<OurSecret>,
    server_changed: bool,
    unmoved: Option<Unmoved>,
    reassociated: Vec<AccessPolicyArn>,
    torn: Vec<AccessPolicyArn>,
    stop: Option<Stop>,
}

impl Outcome {
    /// The steps that were done, in words.
    #[must_use]
    pub fn done(&self) -> &[String] {
        &self.done
    }

    /// Whether a step was done.
    #[must_use]
    pub fn did(&self, step: &Step) -> bool {
        self.done.contains(&step.words())
    }

    /// The role that was made, if one was.
    #[must_use]
    pub fn made_role(&self) -> Option<&MadeRole> {
        self.made_role.as_ref()
    }

    /// Whether the recorded role was deleted.
    #[must_use]
    pub fn role_deleted(&self) -> bool {
        self.deleted.contains(&Part::DeployerRole)
    }

    /// Whether the access entry was deleted.
    #[must_use]
    pub fn entry_deleted(&self) -> bool {
        self.deleted.contains(&Part::AccessEntry)
    }

    /// The access entry that was made or taken over, if one was.
    #[must_use]
    pub fn entry(&self) -> Option<&OurEntry> {
        self.entry.as_ref()
    }

    /// The cluster Secret that was written, if one was.
    #[must_use]
    pub fn secret(&self) -> Option<&OurSecret> {
        self.secret.as_ref()
    }

    /// Whether a cluster Secret was deleted, gone already or not.
    #[must_use]
    pub fn secret_deleted(&self) -> bool {
        self.deleted.contains(&Part::Secret)
    }

    /// Whether a Secret that Argo CD knew was given another server.
    #[must_use]
    pub fn server_changed(&self) -> bool {
        self.server_changed
    }

    /// The scope that was given to an access policy and does not show, if one does not.
    #[must_use]
    pub fn unmoved(&self) -> Option<&Unmoved> {
        self.unmoved.as_ref()
    }

    /// The access policies that were associated anew.
    #[must_use]
    pub fn reassociated(&self) -> &[AccessPolicyArn] {
        &self.reassociated
    }

    /// The access policies that were taken away to be associated anew, which was refused.
    #[must_use]
    pub fn torn(&self) -> &[AccessPolicyArn] {
        &self.torn
    }

    #[cfg(test)]
    pub(super) fn stopped(stop: Stop) -> Self {
        Self {
            stop: Some(stop),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn stopped_after(done: &[&Step], stop: Stop) -> Self {
        Self {
            done: done.iter().map(|step| step.words()).collect(),
            ..Self::stopped(stop)
        }
    }

    /// What stopped the plan, taken out.
    #[must_use]
    pub fn into_stop(self) -> Option<Stop> {
        self.stop
    }

    /// What stopped the plan, if it was stopped.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }
}

/// Carries out the steps in order; steps that may stand beside each other run together. After the first that is not
/// done only those follow that are done despite it ([`Step::despite`]) and whatever else was left out, where only a person
/// can mend what failed.
pub async fn apply(steps: &[Step], site: Site<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut failed: Vec<&Step> = Vec::new();
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let together = 1 + rest.windows(2).take_while(|pair| pair[1].beside(&pair[0])).count();
        let (batch, later) = rest.split_at(together);
        rest = later;
        let (batch, waits): (Vec<&Step>, Vec<&Step>) = batch
            .iter()
            .partition(|step| failed.iter().all(|failed| step.despite(failed)));
        // What is not done now is not there for what follows, either.
        failed.extend(waits);
        if batch.is_empty() {
            continue;
        }
        if let Some(failure) = must_end(site) {
            outcome.stop.get_or_insert(Stop::Failed(first.part(), failure));
            return outcome;
        }
        if (site.stood_back)() {
            outcome.stop.get_or_insert(Stop::Blocked(Blocked::StoodBack));
            return outcome;
        }
        let made = outcome.made_role.clone();
        let results = join_all(batch.iter().map(|step| run(step, site, made.as_ref()))).await;
        let (refused, over) = conclude_all(&mut outcome, batch, results, site.metrics);
        failed.extend(refused);
        if over {
            return outcome;
        }
    }
    outcome
}

/// How a step went that nobody refused.
enum Ran {
    /// It is done; with what it made.
    Done(Made),
    /// EKS took another scope of an access policy, and did not show it within some seconds.
    Unmoved(Unmoved),
    /// The API server has marked the Secret for deletion, and somebody's finalizer keeps it.
    Going(Blocked),
}

/// Why no further step may begin.
fn must_end(site: Site<'_>) -> Option<Failure> {
    if (site.stopping)() {
        return Some(Failure::Stopping);
    }
    (Instant::now() >= site.deadline).then_some(Failure::OutOfTime)
}

/// Concludes the steps that ran together, each of them: also beside one that failed they were done. The steps that only a
/// person can mend, and whether no further one may follow.
fn conclude_all<'a>(
    outcome: &mut Outcome,
    steps: Vec<&'a Step>,
    results: Vec<Result<Ran, Failure>>,
    metrics: &Metrics,
) -> (Vec<&'a Step>, bool) {
    let (mut refused, mut over) = (Vec::new(), false);
    for (step, result) in steps.into_iter().zip(results) {
        match &result {
            Ok(Ran::Done(_)) => {}
            Err(failure) if failure.needs_a_person() => refused.push(step),
            Ok(Ran::Unmoved(_) | Ran::Going(_)) | Err(_) => over = true,
        }
        conclude(outcome, step, result, metrics);
    }
    (refused, over)
}

fn conclude(outcome: &mut Outcome, step: &Step, result: Result<Ran, Failure>, metrics: &Metrics) {
    match result {
        Ok(Ran::Done(made)) => {
            metrics.step_applied(step.name(), "done");
            info!(step = step.name(), "{}", step.words());
            outcome.made_role = made.role.or_else(|| outcome.made_role.take());
            outcome.entry = made.entry.or_else(|| outcome.entry.take());
            outcome.secret = made.secret.or_else(|| outcome.secret.take());
            let deletes = matches!(
                step,
                Step::DeleteRole { .. } | Step::DeleteAccessEntry | Step::DeleteSecret { .. }
            );
            outcome.deleted.extend(deletes.then(|| step.part()));
            outcome.server_changed |= step.changes_server();
            if let Step::Reassociate { policy, .. } = step {
                outcome.reassociated.push(policy.clone());
            }
            outcome.done.push(step.words());
        }
        Ok(Ran::Unmoved(unmoved)) => {
            metrics.step_applied(step.name(), "blocked");
            outcome.unmoved = Some(unmoved);
            let what = step.words();
            outcome
                .stop
                .get_or_insert(Stop::Blocked(Blocked::ScopeUnmoved { what }));
        }
        Ok(Ran::Going(blocked)) => {
            metrics.step_applied(step.name(), "blocked");
            info!(step = step.name(), "{}, and it is not gone yet", step.words());
            outcome.deleted.insert(Part::Secret);
            outcome.stop.get_or_insert(Stop::Blocked(blocked));
        }
        Err(failure) => {
            if let (Step::Reassociate { policy, .. }, Failure::Aws(error)) = (step, &failure)
                && error.call == Call::AssociateAccessPolicy
                && failure.needs_a_person()
            {
                outcome.torn.push(policy.clone());
            }
            // An answer that was lost may have been to a write that was done.
            outcome.server_changed |= step.changes_server() && matches!(failure, Failure::Kubernetes(_));
            let why = stop(step, failure);
            match &why {
                Stop::Failed(_, failure) => metrics.step_failed(step.name(), failure),
                Stop::Blocked(_) => metrics.step_applied(step.name(), "blocked"),
            }
            outcome.stop.get_or_insert(why);
        }
    }
}

async fn run(step: &Step, site: Site<'_>, made: Option<&MadeRole>) -> Result<Ran, Failure> {
    match step {
        Step::ApplySecret { secret, uid, .. } => {
            let uid = apply_secret(site.secrets, secret, uid.as_deref()).await?;
            let written = uid.map(|uid| OurSecret {
                name: secret.name.clone(),
                uid,
                adopted: secret.annotations.contains_key(ADOPTED_ANNOTATION),
            });
            return Ok(Ran::Done(Made {
                secret: written,
                ..Made::default()
            }));
        }
        Step::NullSecretKeys {
            name,
            resource_version,
            keys,
        } => null_keys(site.secrets, name, resource_version, keys).await?,
        Step::DropLabels {
            name,
            uid,
            resource_version,
            labels,
        } => drop_labels(site.secrets, name, (uid, resource_version), labels).await?,
        Step::DropOwners { name, uid, .. } => drop_owners(site.secrets, name, uid).await?,
        Step::DeleteSecret { name, uid } => {
            if let Some(held) = objects::delete(site.secrets, name, uid).await? {
                return Ok(Ran::Going(Blocked::SecretGoing {
                    name: name.clone(),
                    namespace: held.metadata.namespace.clone().unwrap_or_default(),
                    finalizers: held.metadata.finalizers.into_iter().flatten().collect(),
                    behind: true,
                }));
            }
        }
        Step::CreateRole { .. }
        | Step::DeleteRole { .. }
        | Step::SetBoundary { .. }
        | Step::SetTrust { .. }
        | Step::AddTrust { .. }
        | Step::LeaveRole { .. }
        | Step::AdoptRole { .. }
        | Step::AdoptAccessEntry { .. }
        | Step::TagRole { .. }
        | Step::UpdateRole { .. }
        | Step::CreateAccessEntry { .. }
        | Step::SetGroups { .. }
        | Step::SetUsername { .. }
        | Step::TagAccessEntry { .. }
        | Step::DeleteAccessEntry
        | Step::Associate { .. }
        | Step::Rescope { .. }
        | Step::Reassociate { .. }
        | Step::Disassociate { .. } => {
            let Some(account) = site.account else {
                return Err(Failure::NotEntered);
            };
            return Ok(run_in_account(step, account, site, made).await?);
        }
    }
    Ok(Ran::Done(Made::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::{AwsError, ErrorKind},
        domain::eks::AccessScope,
    };

    /// They ran beside each other: what one of them met takes nothing back of what the others did.
    #[test]
    fn of_steps_that_ran_together_each_is_told_whatever_became_of_the_one_before_it() {
        let step = |name: &str| Step::Associate {
            policy: AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}")),
            scope: AccessScope::Cluster,
        };
        let denied = || {
            Failure::Aws(AwsError {
                call: Call::AssociateAccessPolicy,
                kind: ErrorKind::Denied,
                code: "AccessDeniedException".to_owned(),
                message: "no".to_owned(),
                request_id: None,
                resource: "x".to_owned(),
                acting_as: "y".into(),
            })
        };
        let done = || Ok(Ran::Done(Made::default()));
        let (first, second, third) = (step("A"), step("B"), step("C"));
        let together = || vec![&first, &second, &third];
        let metrics = Metrics::new();
        for (results, refused, over) in [
            (vec![Err(Failure::NotEntered), done(), done()], vec![], true),
            (vec![Err(denied()), done(), done()], vec![&first], false),
            (vec![Err(denied()), Err(Failure::OutOfTime), done()], vec![&first], true),
        ] {
            let did: Vec<String> = together()
                .into_iter()
                .zip(&results)
                .filter(|(_, result)| result.is_ok())
                .map(|(step, _)| step.words())
                .collect();
            let mut outcome = Outcome::default();
            let ended = conclude_all(&mut outcome, together(), results, &metrics);
            assert_eq!(ended, (refused, over));
            assert_eq!(outcome.done(), did);
            assert!(
                matches!(outcome.stop(), Some(Stop::Failed(Part::AccessEntry, _))),
                "the first is told"
            );
        }
    }
}
