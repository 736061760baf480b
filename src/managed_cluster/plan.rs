//! 4. plan: the steps from what was observed to what is desired, or why we must wait. Pure and infallible.

mod adopt;
mod awaiting;
mod entry;
mod hold;
mod not_ours;
mod owner;
mod record;
mod role;
mod secret;
pub mod suspended;
mod suspicion;
mod theirs;
mod trust;
mod unusable;

use crate::{
    api::AccessEntryStatus,
    aws::Role,
    domain::{
        commands::delete_access_entry,
        eks::AccessEntry,
        ownership::{Owner, ROLE_ID_TAG},
    },
};

use super::{
    blocked::Blocked,
    desired::Desired,
    living::Living,
    observe::{Secrets, Spoke},
    step::{Plan, Step, Suspicion},
    unmoved::Unmoved,
};

pub(super) use adopt::is_opened;
pub use awaiting::awaiting;
pub use entry::entry_tags;
pub(super) use entry::username_beside;
pub(super) use hold::{leave_closed, withhold};
pub use owner::KnownEntry;
pub(super) use owner::{hangs_on_its_role, is_handed_over, is_recorded, mark, owns, taken_over};
pub use record::{existing_role, given};
pub use secret::{as_kept, primary};
pub(super) use theirs::kept_for_another;
pub(crate) use theirs::owner_in_words;

use self::{role::Standing, suspicion::suspicion, unusable::unusable_cluster};

/// What earlier passes left to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory<'a> {
    /// Who we are.
    pub owner: &'a Owner,
    /// The unique ID of the role that we recorded when we made it.
    pub recorded_role: Option<&'a str>,
    /// The name of the Secret that we recorded.
    pub recorded_secret: Option<&'a str>,
    /// What an earlier look suspected, long enough ago to act on.
    pub confirmed: Option<&'a Suspicion>,
    /// Scopes that this process gave and that did not show.
    pub unmoved: &'a [Unmoved],
    /// What we recorded of the access entry that is ours, and that the spec gave to it where it was taken over.
    pub given: Option<&'a AccessEntryStatus>,
    /// All `ManagedCluster`s that are there: what bears the UID of another one was left behind.
    pub living: &'a Living,
    /// The deployer role that was looked at, where it stands outside of our path.
    pub role: Option<&'a Role>,
}

impl Memory<'_> {
    /// Whether an access entry is ours.
    fn owns(&self, entry: &AccessEntry) -> bool {
        owns(self.owner, self.known(), entry)
    }

    /// The unique ID of the role that an access entry was made for: as it was recorded of this very one, or else by its tag,
    /// which anybody may take off who may tag.
    fn made_for(&self, entry: &AccessEntry) -> Option<String> {
        let recorded = self.given.filter(|given| given.arn.as_ref() == Some(&entry.arn));
        recorded
            .and_then(|given| given.role_id.clone())
            .or_else(|| entry.tags.get(ROLE_ID_TAG).cloned())
    }

    /// The unique ID of the role that Mooring itself made an access entry for, where that was recorded of this very one.
    fn recorded_for(&self, entry: &AccessEntry) -> Option<&str> {
        let recorded = self.given.filter(|given| given.arn.as_ref() == Some(&entry.arn));
        recorded
            .filter(|given| given.adopted == Some(false))
            .and_then(|given| given.role_id.as_deref())
    }

    /// Whether an access entry that was ours is another's by now.
    fn handed_over(&self, entry: &AccessEntry) -> bool {
        is_handed_over(self.owner, self.known(), entry)
    }

    fn known(&self) -> KnownEntry<'_> {
        KnownEntry {
            recorded: self.given,
            living: self.living,
            role: self.role,
        }
    }
}

/// Plans one pass.
#[must_use]
pub fn plan(desired: &Desired, spoke: &Spoke, secrets: &Secrets, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan::default();
    if let Some(blocked) = unusable_cluster(desired, spoke, memory) {
        plan.blocked.push(blocked);
        // Who may use the role does not hang on what becomes of the cluster.
        if let Standing::Ours(role) = role::standing(desired, spoke, memory) {
            role::plan_role(&mut plan, desired, spoke, role);
        }
        return held_back(plan, desired, spoke, memory);
    }
    plan_spoke(&mut plan, desired, spoke, memory);
    let not_opened = |blocked: &Blocked| matches!(blocked, Blocked::NotAdoptable { .. });
    if plan.blocked.is_empty() {
        secret::plan_secret(&mut plan, desired, secrets, memory);
    } else if plan.blocked.iter().all(Blocked::leaves_access) && secrets.own.iter().any(|own| !own.deleting) {
        // As long as Argo CD has the access, its Secret is to say what the spec says.
        let mut beyond = Plan::default();
        secret::plan_secret(&mut beyond, desired, secrets, memory);
        beyond.steps.retain(Step::keeps_secret);
        plan = plan.followed_by(beyond);
        plan.keeps_secret = true;
    } else if plan.blocked.iter().all(not_opened) {
        // Each thing has an owner of its own, and all of them are asked at once.
        let mut beyond = Plan::default();
        secret::plan_secret(&mut beyond, desired, secrets, memory);
        plan.blocked.extend(beyond.blocked.into_iter().filter(not_opened));
    }
    // Nothing is taken over by halves: a role that Mooring owns is no use where its entry or Secret stays others'. One that
    // was Mooring's before is kept as it should be.
    if plan.adopts() && plan.blocked.iter().any(Blocked::stalled) {
        let ours = matches!(role::standing(desired, spoke, memory), Standing::Ours(_));
        plan.steps.retain(|step| ours && step.keeps_role());
    }
    let mut plan = held_back(plan, desired, spoke, memory);
    if spoke.entry.as_ref().is_some_and(|entry| memory.owns(entry)) && !plan.steps.contains(&Step::DeleteAccessEntry) {
        plan.lets_in(&desired.role.arn.to_string());
    }
    plan
}

/// The plan without what the owners of the account do not let be written.
fn held_back(mut plan: Plan, desired: &Desired, spoke: &Spoke, memory: &Memory<'_>) -> Plan {
    let (adopts, steps) = (plan.adopts(), plan.steps.len());
    withhold(&mut plan, spoke.role.as_ref(), spoke.entry.as_ref());
    if adopts && plan.steps.len() < steps {
        hold::leave_rest(&mut plan);
    }
    if desired.named {
        leave_closed(&mut plan, spoke.role.as_ref(), &desired.role.arn, memory.owner);
    }
    // What is told first is what comes first in the chain: everything before it is said to hold.
    plan.blocked.sort_by_key(Blocked::part);
    plan
}

fn plan_spoke(plan: &mut Plan, desired: &Desired, spoke: &Spoke, memory: &Memory<'_>) {
    let entry = match &spoke.entry {
        Some(entry) if !memory.owns(entry) => match foreign_entry(desired, entry, memory) {
            Ok(()) => Some(entry),
            Err(blocked) => {
                plan.blocked.push(blocked);
                None
            }
        },
        entry => entry.as_ref(),
    };
    let standing = role::standing(desired, spoke, memory);
    if let Standing::Foreign(blocked) = standing {
        plan.blocked.push(blocked);
        let ours = entry.filter(|entry| memory.owns(entry));
        if let Some(entry) = ours {
            entry::plan_narrowing(plan, desired, entry, spoke.associations.as_ref(), memory);
        }
        return;
    }
    if let Some(blocked) = role::foreign_policies(desired, spoke, &standing) {
        plan.blocked.push(blocked);
        plan_beside_policies(plan, desired, spoke, &standing, entry, memory);
        return;
    }
    let made_for = entry
        .filter(|entry| tells_its_role(entry, memory))
        .map(|entry| memory.made_for(entry).unwrap_or_default());
    let suspicion = suspicion(
        &standing,
        entry,
        made_for,
        entry.and_then(|entry| memory.recorded_for(entry)),
    );
    // A role under our name that nobody made yet, or that is not there any more.
    let absent = matches!(standing, Standing::Absent);
    if let Some(blocked) =
        entry.and_then(|entry| of_a_role_gone(desired, spoke, entry, (suspicion.is_some(), absent), memory))
    {
        plan.blocked.push(blocked);
        return;
    }
    if suspicion.is_some() && suspicion.as_ref() != memory.confirmed {
        plan.blocked.push(Blocked::Unconfirmed {
            what: suspicion.as_ref().map(Suspicion::in_words).unwrap_or_default(),
        });
        plan.suspicion = suspicion;
        return;
    }
    let entry_stays = entry.filter(|_| suspicion.is_none());
    plan.suspicion = suspicion;
    if let Some(entry) = entry.filter(|_| entry_stays.is_none()) {
        // The provisioner may do nothing to an entry before it bears our mark.
        if memory.owns(entry) {
            plan.steps.extend(mark(memory.owner, &desired.entry.tags, entry));
        } else {
            plan.steps.push(Step::AdoptAccessEntry {
                arn: entry.arn.clone(),
                tags: desired.entry.tags.clone(),
            });
        }
        plan.steps.push(Step::DeleteAccessEntry);
    }
    let role_id = match standing {
        Standing::Ours(role) => {
            role::plan_role(plan, desired, spoke, role);
            Some(role.id.clone())
        }
        Standing::Adopt(role) => {
            role::plan_adoption(plan, desired, spoke, role);
            Some(role.id.clone())
        }
        Standing::Existing(role) => {
            plan.blocked.extend(role::missing_trust(desired, role));
            Some(role.id.clone())
        }
        Standing::Stranger(role) => {
            role::restore_boundary(plan, desired, spoke, role);
            plan.steps.push(Step::DeleteRole {
                name: desired.role.arn.name.clone(),
            });
            plan.steps.push(Step::CreateRole {
                role: desired.role.clone(),
            });
            None
        }
        Standing::Absent | Standing::Foreign(_) => {
            plan.steps.push(Step::CreateRole {
                role: desired.role.clone(),
            });
            None
        }
    };
    // What a spec takes away is taken away, also while its role lets nobody in.
    if plan.blocked.is_empty() || entry_stays.is_some_and(|_| role_id.is_some() && only_trust_missing(plan)) {
        entry::plan_entry(
            plan,
            desired,
            entry_stays,
            role_id.as_deref(),
            spoke.associations.as_ref(),
            memory,
        );
    }
}

/// Whoever put a policy on the role must not keep what stands from being as the spec says by that: the role's trust and
/// boundary, and what the entry gives on the cluster. Nothing is made, and nothing deleted.
fn plan_beside_policies(
    plan: &mut Plan,
    desired: &Desired,
    spoke: &Spoke,
    standing: &Standing<'_>,
    entry: Option<&AccessEntry>,
    memory: &Memory<'_>,
) {
    let Standing::Ours(role) = standing else { return };
    role::plan_role(plan, desired, spoke, role);
    let ours = entry.filter(|entry| memory.owns(entry));
    let sound = |entry: &&AccessEntry| {
        let made_for = memory.made_for(entry).unwrap_or_default();
        suspicion(standing, Some(entry), Some(made_for), memory.recorded_for(entry)).is_none()
    };
    if let Some(entry) = ours.filter(sound) {
        let role_id = Some(role.id.as_str());
        entry::plan_entry(plan, desired, Some(entry), role_id, spoke.associations.as_ref(), memory);
    }
}

/// What is told of an access entry that others made or have a part in, and whose role is gone: only they can delete it.
fn of_a_role_gone(
    desired: &Desired,
    spoke: &Spoke,
    entry: &AccessEntry,
    (suspected, absent): (bool, bool),
    memory: &Memory<'_>,
) -> Option<Blocked> {
    let why = if suspected && entry::shared(entry, memory) {
        let others = entry::others(desired, entry, spoke.associations.as_ref(), memory);
        if others.is_empty() {
            return None;
        }
        format!("others gave it {}, which Mooring does not take away", others.join(", "))
    } else if !suspected && absent && !tells_its_role(entry, memory) {
        "others made it, and once a role stands there again nobody can tell for which it was made".to_owned()
    } else {
        return None;
    };
    Some(Blocked::StaleEntry {
        arn: entry.arn.clone(),
        why,
        delete: delete_access_entry(&desired.cluster.region, &desired.cluster.name, &entry.principal),
    })
}

/// Whether an access entry that is not ours is taken over.
fn foreign_entry(desired: &Desired, entry: &AccessEntry, memory: &Memory<'_>) -> Result<(), Blocked> {
    if desired.adopt {
        return adopt::entry(desired, entry, memory);
    }
    Err(owner::entry_not_ours(memory.owner, memory.living, entry, true))
}

/// Whether an entry was made by Mooring, which writes on each for which role it is.
fn tells_its_role(entry: &AccessEntry, memory: &Memory<'_>) -> bool {
    entry.tags.contains_key(ROLE_ID_TAG) || memory.owns(entry)
}

fn only_trust_missing(plan: &Plan) -> bool {
    plan.blocked
        .iter()
        .all(|blocked| matches!(blocked, Blocked::TrustMissing { .. }))
}
