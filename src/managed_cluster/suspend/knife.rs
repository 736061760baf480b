//! The access entry of what is suspended: looked at, and taken away.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;

use crate::{
    api::ManagedClusterStatus,
    aws::{Account, ErrorKind},
    domain::eks::AccessEntry,
    managed_cluster::{
        Context, Error,
        apply::{self, Outcome, Site, Stop},
        census::living_as_known,
        failure::Failure,
        log_plan,
        management::Management,
        memory::SHOWN_LATE,
        observe,
        plan::{self, KnownEntry, suspended},
        request::Identity,
        status::{Cut, Kept, Suspension},
        step::Plan,
        tell, turn,
    },
};

/// How long a suspension looks at what others gave to the entry that it deletes.
const LOOK_AT_OTHERS: Duration = Duration::from_secs(5);

/// What takes an access entry away.
pub(super) struct Knife<'a> {
    pub(super) metadata: &'a ObjectMeta,
    pub(super) identity: &'a Identity,
    pub(super) old: &'a ManagedClusterStatus,
    pub(super) management: &'a Management,
    pub(super) context: &'a Context,
    pub(super) account: &'a Account,
    pub(super) deadline: Instant,
}

impl Knife<'_> {
    /// What would be deleted, and what stands; and whether that was ours, and is another's by now.
    pub(super) async fn look(&self) -> Result<(Plan, Option<AccessEntry>, bool), Error> {
        let identity = self.identity;
        let deployer = identity.deployer(&self.management.hub);
        let living = living_as_known(self.context).await;
        let owner = identity.owner(&self.management.hub);
        let known = KnownEntry {
            recorded: self.old.access_entry.as_ref(),
            living: &living,
            role: None,
        };
        let found = observe::entry_with_role(self.account, identity, &deployer, &owner, known).await?;
        let known = KnownEntry {
            role: found.role_of_others(identity),
            ..known
        };
        let entry = found.entry.clone();
        let plan = suspended::cut(&owner, known, entry.as_ref());
        let handed_over = entry
            .as_ref()
            .is_some_and(|entry| plan::is_handed_over(&owner, known, entry));
        log_plan(&identity.name, &plan);
        Ok((plan, entry, handed_over))
    }

    /// Deletes the entry. With what became of that comes what others gave to it, and went with it, now or before.
    pub(super) async fn cut(&self) -> Result<Suspension, Error> {
        let Self {
            metadata,
            identity,
            old,
            management,
            context,
            account,
            deadline,
        } = *self;
        let (plan, entry, handed_over) = self.look().await?;
        let site = Site {
            account: Some(account),
            cluster: &identity.cluster,
            deployer: &identity.deployer(&management.hub),
            secrets: &Api::namespaced(context.client.clone(), &management.namespace),
            deadline,
            stopping: &|| context.aws.is_closed(),
            stood_back: &|| context.withdrawn(metadata),
            metrics: &context.metrics,
        };
        let others = match &entry {
            Some(entry) if !plan.steps.is_empty() => self.others(entry).await,
            Some(_) | None => BTreeSet::new(),
        };
        if !others.is_empty() && !context.withdrawn(metadata) {
            // Told before it goes: an operator that is killed in between must not be the only one that knew.
            let told = tell::going_too(context, metadata, &others);
            let _ = tokio::time::timeout(LOOK_AT_OTHERS, told).await;
        }
        let outcome = apply::apply(&plan.steps, site).await;
        let given = old.access_entry.as_ref();
        let mut lost = given.map(|entry| entry.lost.clone()).unwrap_or_default();
        if outcome.entry_deleted() {
            lost.extend(others);
        }
        // What was deleted before shows up in a read from before that. It is deleted once more, which harms nobody, and no news.
        let arn = entry.as_ref().map(|entry| &entry.arn);
        let before = (context.memory).was_healed(&identity.uid, arn, SHOWN_LATE);
        let news = outcome.entry_deleted() && !before;
        if outcome.entry_deleted() {
            context.memory.healed(&identity.uid, arn.cloned());
            // The removal, which comes next, looks at the entry too.
            if metadata.deletion_timestamp.is_some() {
                context.memory.deleted(&identity.uid, arn.cloned());
            }
        }
        Ok(Suspension {
            cut: cut_of((&plan, before), outcome, news, metadata.generation, old),
            kept: Kept::Not(None),
            lost,
            handed_over,
        })
    }

    /// What others gave to the entry that is about to go. It is looked at for a moment only: the access goes all the same.
    async fn others(&self, entry: &AccessEntry) -> BTreeSet<String> {
        let given = self.old.access_entry.as_ref();
        if !plan::taken_over(given, entry) {
            return BTreeSet::new();
        }
        let deployer = self.identity.deployer(&self.management.hub);
        let look = Box::pin(self.account.associations(&self.identity.cluster.name, &deployer));
        match tokio::time::timeout(LOOK_AT_OTHERS, look).await {
            Ok(Ok(policies)) => suspended::lost(entry, Ok(&policies.unwrap_or_default()), given),
            Ok(Err(error)) => suspended::lost(entry, Err(&error.code), given),
            Err(_) => suspended::lost(entry, Err("EKS did not answer in time"), given),
        }
    }
}

/// What became of the entry. `deleted` is that it was news; `before`, that this process had deleted the very entry already.
fn cut_of(
    (plan, before): (&Plan, bool),
    outcome: Outcome,
    deleted: bool,
    generation: Option<i64>,
    old: &ManagedClusterStatus,
) -> Cut {
    // An entry that was made just now may not be seen yet: that there is none is believed when a second look agrees. One of an
    // earlier spec does not: the access may have been given back since by an operator that could not write that down.
    let settled = !outcome.entry_deleted() && turn::is_suspended(old) && old.observed_generation == generation;
    match (outcome.into_stop(), plan.in_the_way()) {
        // AWS judges by the tags of an entry, and one that is gone has none.
        (Some(Stop::Failed(_, Failure::Aws(error))), _) if before && error.kind == ErrorKind::Denied => Cut::Away {
            deleted: false,
            settled: false,
        },
        (Some(Stop::Failed(part, failure)), _) => Cut::Failed(Error::Step(part, failure)),
        (Some(Stop::Blocked(blocked)), _) => Cut::Blocked(blocked),
        (None, Some(blocked)) => Cut::Blocked(blocked.clone()),
        (None, None) => Cut::Away { deleted, settled },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::condition::{ConditionType, Finding, Verdict, conditions},
        managed_cluster::status::SUSPENDED,
    };

    #[test]
    fn a_look_at_another_spec_is_no_second_look() {
        let away = Finding::new(ConditionType::AccessEntryReady, Verdict::False, SUSPENDED, "m");
        let old = ManagedClusterStatus {
            observed_generation: Some(3),
            conditions: conditions(&[], &[away], Some(3), Timestamp::UNIX_EPOCH),
            ..ManagedClusterStatus::default()
        };
        let settled = |generation, old: &ManagedClusterStatus| {
            let cut = cut_of((&Plan::default(), false), Outcome::default(), false, generation, old);
            matches!(cut, Cut::Away { settled: true, .. })
        };
        assert!(settled(Some(3), &old));
        // The mode was Enforce in between, and what was made then may not show yet.
        assert!(!settled(Some(5), &old));
        assert!(!settled(None, &ManagedClusterStatus::default()));
    }
}
