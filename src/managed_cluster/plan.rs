//! 4. plan: the steps from what was observed to what is desired, or why we must wait. Pure and infallible.

use std::collections::BTreeSet;

use crate::{
    argocd::ClusterSecret,
    aws::Role,
    domain::{
        eks::{AccessEntry, Associations, AuthenticationMode, ClusterState},
        ownership::{Marked, Owner, ROLE_ID_TAG, Tags, missing_tags},
    },
    policy::Document,
};

use super::{
    blocked::Blocked,
    desired::Desired,
    observe::{Secrets, Spoke},
    step::{Plan, Step, Suspicion},
};

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
}

/// Plans one pass.
#[must_use]
pub fn plan(desired: &Desired, spoke: &Spoke, secrets: &Secrets, memory: &Memory<'_>) -> Plan {
    let mut plan = Plan::default();
    if let Some(blocked) = unusable_cluster(spoke) {
        plan.blocked.push(blocked);
        return plan;
    }
    plan_spoke(&mut plan, desired, spoke, memory);
    if plan.blocked.is_empty() {
        plan_secret(&mut plan, desired, secrets, memory);
    }
    // What is told first is what comes first in the chain: everything before it is said to hold.
    plan.blocked.sort_by_key(Blocked::part);
    plan
}

fn unusable_cluster(spoke: &Spoke) -> Option<Blocked> {
    let Some(cluster) = &spoke.cluster else {
        return Some(Blocked::ClusterNotFound);
    };
    if cluster.connected {
        return Some(Blocked::ConnectedCluster);
    }
    if cluster.authentication_mode == AuthenticationMode::ConfigMap {
        return Some(Blocked::AccessEntriesDisabled);
    }
    match cluster.state {
        ClusterState::Active | ClusterState::Updating => None,
        state @ (ClusterState::Creating
        | ClusterState::Pending
        | ClusterState::Deleting
        | ClusterState::Failed
        | ClusterState::Unknown) => Some(Blocked::ClusterNotActive { state }),
    }
}

/// Whose the role is that stands under the name.
enum Standing<'a> {
    Absent,
    Ours(&'a Role),
    /// Bears our tags, and an ID that we did not record: made by somebody else, or by a pass that could not record it.
    Stranger(&'a Role),
    /// Not to be touched: somebody else's, or not fully there yet.
    Foreign(Blocked),
}

fn standing<'a>(desired: &Desired, spoke: &'a Spoke, memory: &Memory<'_>) -> Standing<'a> {
    let Some(role) = &spoke.role else {
        return Standing::Absent;
    };
    let not_ours = |owner: String| {
        Standing::Foreign(Blocked::RoleNotOurs {
            arn: role.arn.clone(),
            owner,
        })
    };
    let recorded = memory.recorded_role == Some(role.id.as_str());
    // Right after it was made, AWS may give a role's unique ID in the place of its ARN (see `Role::arn`).
    if recorded && role.arn == role.id {
        return Standing::Foreign(Blocked::RolePropagating);
    }
    if role.arn != desired.role.arn.to_string() {
        return not_ours(format!("ours would be {}", desired.role.arn));
    }
    match memory.owner.judge(&role.tags) {
        // Our own role whose tags were changed by hand keeps the ID that we recorded, which nobody can give another.
        _ if recorded => Standing::Ours(role),
        Marked::Ours => Standing::Stranger(role),
        other @ (Marked::Unmarked | Marked::Another { .. }) => not_ours(owner_in_words(&other)),
    }
}

/// Whose a thing is, for a message.
pub(super) fn owner_in_words(marked: &Marked) -> String {
    match marked {
        Marked::Ours => "it is ours".to_owned(),
        Marked::Another { hub, object } => format!("hub {hub} made it for {object}"),
        Marked::Unmarked => "it bears no tag of Mooring's".to_owned(),
    }
}

fn plan_spoke(plan: &mut Plan, desired: &Desired, spoke: &Spoke, memory: &Memory<'_>) {
    let entry = match &spoke.entry {
        Some(entry) if memory.owner.judge(&entry.tags) != Marked::Ours => {
            plan.blocked.push(Blocked::EntryNotOurs {
                owner: owner_in_words(&memory.owner.judge(&entry.tags)),
            });
            None
        }
        entry => entry.as_ref(),
    };
    let standing = standing(desired, spoke, memory);
    if let Standing::Foreign(blocked) = standing {
        plan.blocked.push(blocked);
        return;
    }
    if let Some(blocked) = foreign_policies(desired, spoke) {
        plan.blocked.push(blocked);
        // Whoever put a policy on the role must not keep its trust and boundary from being restored by that.
        if let Standing::Ours(role) = standing {
            plan_role(plan, desired, role);
        }
        return;
    }
    let suspicion = suspicion(&standing, entry);
    if suspicion.is_some() && suspicion.as_ref() != memory.confirmed {
        plan.blocked.push(Blocked::Unconfirmed {
            what: suspicion_in_words(suspicion.as_ref()),
        });
        plan.suspicion = suspicion;
        return;
    }
    let entry_stays = entry.filter(|_| suspicion.is_none());
    plan.suspicion = suspicion;
    if entry.is_some() && entry_stays.is_none() {
        plan.steps.push(Step::DeleteAccessEntry);
    }
    let role_id = match standing {
        Standing::Ours(role) => {
            plan_role(plan, desired, role);
            Some(role.id.clone())
        }
        Standing::Stranger(role) => {
            restore_boundary(plan, desired, role);
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
    if plan.blocked.is_empty() {
        plan_entry(
            plan,
            desired,
            entry_stays,
            role_id.as_deref(),
            spoke.associations.as_ref(),
        );
    }
}

/// A deployer role has no permissions. With AWSDenyAll as its boundary, policies on it change nothing, and are not
/// looked for; with another boundary they are, and nothing goes on while there are any.
fn foreign_policies(desired: &Desired, spoke: &Spoke) -> Option<Blocked> {
    let policies = spoke.role_policies.as_ref()?;
    let names: BTreeSet<String> = policies.inline.iter().chain(&policies.attached).cloned().collect();
    (!names.is_empty()).then(|| Blocked::ForeignPolicyAttached {
        role: desired.role.arn.to_string(),
        policies: names,
    })
}

/// What only a deletion heals: a role of ours by its tags alone, or an entry that was made for another role than the
/// one that stands there. EKS pins an entry to the role's unique ID and never shows it (EKS API, `AccessEntry`).
fn suspicion(standing: &Standing<'_>, entry: Option<&AccessEntry>) -> Option<Suspicion> {
    let (role_id, stranger) = match standing {
        Standing::Ours(role) => (Some(role.id.as_str()), None),
        Standing::Stranger(role) => (None, Some(role.id.clone())),
        Standing::Absent | Standing::Foreign(_) => (None, None),
    };
    let made_for = |entry: &AccessEntry| entry.tags.get(ROLE_ID_TAG).cloned().unwrap_or_default();
    let entry_made_for = entry
        .map(made_for)
        .filter(|made_for| Some(made_for.as_str()) != role_id);
    (stranger.is_some() || entry_made_for.is_some()).then_some(Suspicion {
        role_id: stranger,
        entry_made_for,
    })
}

fn suspicion_in_words(suspicion: Option<&Suspicion>) -> String {
    match suspicion {
        Some(Suspicion { role_id: Some(id), .. }) => format!(
            "a role of our name and tags with ID {id} was not recorded as made by us: it is never used, and is made afresh"
        ),
        Some(Suspicion {
            entry_made_for: Some(id),
            ..
        }) => format!(
            "the access entry was made for role ID {id:?}, which is not the deployer role's any more: the entry is made afresh"
        ),
        Some(Suspicion {
            role_id: None,
            entry_made_for: None,
        })
        | None => String::new(),
    }
}

/// The provisioner may change or delete a role only while it has the boundary that the account's owner knows.
fn restore_boundary(plan: &mut Plan, desired: &Desired, role: &Role) {
    if role.boundary.as_deref() != Some(desired.role.boundary.to_string().as_str()) {
        plan.steps.push(Step::SetBoundary {
            name: desired.role.arn.name.clone(),
            boundary: desired.role.boundary.clone(),
        });
    }
}

fn plan_role(plan: &mut Plan, desired: &Desired, role: &Role) {
    let name = &desired.role.arn.name;
    restore_boundary(plan, desired, role);
    if !Document::parse(&role.trust).is_ok_and(|trust| trust.means(&desired.role.trust)) {
        plan.steps.push(Step::SetTrust {
            name: name.clone(),
            trust: desired.role.trust.clone(),
        });
    }
    if !missing_tags(&desired.role.tags, &role.tags).is_empty() {
        plan.steps.push(Step::TagRole {
            name: name.clone(),
            tags: desired.role.tags.clone(),
        });
    }
}

fn plan_entry(
    plan: &mut Plan,
    desired: &Desired,
    entry: Option<&AccessEntry>,
    role_id: Option<&str>,
    found: Option<&Associations>,
) {
    let nothing = Associations::new();
    let found = match entry {
        None => {
            let role_id = role_id.map(str::to_owned);
            plan.steps.push(Step::CreateAccessEntry {
                entry: desired.entry.clone(),
                role_id,
            });
            &nothing
        }
        Some(entry) => {
            if entry.groups != desired.entry.groups {
                plan.steps.push(Step::SetGroups {
                    groups: desired.entry.groups.clone(),
                });
            }
            let tags = entry_tags(&desired.entry.tags, role_id);
            if !missing_tags(&tags, &entry.tags).is_empty() {
                plan.steps.push(Step::TagAccessEntry {
                    arn: entry.arn.clone(),
                    tags,
                });
            }
            found.unwrap_or(&nothing)
        }
    };
    // Widening comes before narrowing, so that there is no moment without access.
    let mut narrowing = Vec::new();
    let mut widening = Vec::new();
    for (policy, scope) in &desired.associations {
        let (policy, wanted) = (policy.clone(), scope.clone());
        match found.get(&policy) {
            None => plan.steps.push(Step::Associate { policy, scope: wanted }),
            Some(scope) if *scope == wanted => {}
            Some(scope) if wanted.covers(scope) => widening.push(Step::Rescope { policy, scope: wanted }),
            Some(_) => narrowing.push(Step::Rescope { policy, scope: wanted }),
        }
    }
    plan.steps.append(&mut widening);
    plan.steps.append(&mut narrowing);
    for policy in found.keys().filter(|policy| !desired.associations.contains_key(policy)) {
        plan.steps.push(Step::Disassociate { policy: policy.clone() });
    }
}

/// The tags of an entry: the role's, and the role's unique ID.
#[must_use]
pub fn entry_tags(tags: &Tags, role_id: Option<&str>) -> Tags {
    let mut tags = tags.clone();
    tags.extend(role_id.map(|id| (ROLE_ID_TAG.to_owned(), id.to_owned())));
    tags
}

fn plan_secret(plan: &mut Plan, desired: &Desired, secrets: &Secrets, memory: &Memory<'_>) {
    let wanted = match &desired.secret {
        None => {
            return plan.blocked.push(Blocked::ClusterNotActive {
                state: ClusterState::Creating,
            });
        }
        Some(Err(why)) => return plan.blocked.push(Blocked::UnusableConnection { why: why.to_string() }),
        Some(Ok(wanted)) => wanted,
    };
    let server = wanted.data.get("server").map(String::as_str).unwrap_or_default();
    let name = wanted.data.get("name").map(String::as_str).unwrap_or_default();
    let duplicates: Vec<String> = secrets
        .others
        .iter()
        .filter(|other| !other.deleting && (other.server == server || other.cluster_name == name))
        .map(|other| {
            let shared = if other.server == server { "server" } else { "name" };
            format!("{} has the same {shared}", other.name)
        })
        .chain(
            secrets
                .claimed
                .iter()
                .map(|other| format!("that of ManagedCluster {other} has the same server or name")),
        )
        .collect();
    if !duplicates.is_empty() {
        return plan.blocked.push(Blocked::DuplicateCluster { secrets: duplicates });
    }
    let Some(primary) = primary(secrets, &wanted.name, memory.recorded_secret) else {
        if let Some(name) = &secrets.name_taken {
            return plan.blocked.push(Blocked::SecretNotOurs { name: name.clone() });
        }
        // Written to now, it would go all the same as soon as its finalizers are off.
        if secrets.own.iter().any(|own| own.name == wanted.name) {
            return plan.blocked.push(Blocked::SecretGoing {
                name: wanted.name.clone(),
            });
        }
        return plan.steps.push(Step::ApplySecret {
            secret: wanted.clone(),
            uid: None,
        });
    };
    if let Some(difference) = primary.difference(wanted) {
        if !difference.null.is_empty() {
            plan.steps.push(Step::NullSecretKeys {
                name: primary.name.clone(),
                resource_version: primary.resource_version.clone(),
                keys: difference.null,
            });
        }
        if difference.apply {
            // A Secret is never renamed: Argo CD shards by its UID.
            let mut secret = wanted.clone();
            secret.name.clone_from(&primary.name);
            plan.steps.push(Step::ApplySecret {
                secret,
                uid: Some(primary.uid.clone()),
            });
        }
    }
    for copy in standing_secrets(secrets).filter(|own| own.name != primary.name) {
        plan.steps.push(Step::DeleteSecret {
            name: copy.name.clone(),
            uid: copy.uid.clone(),
        });
    }
}

fn standing_secrets(secrets: &Secrets) -> impl Iterator<Item = &ClusterSecret> {
    secrets.own.iter().filter(|own| !own.deleting)
}

/// Of the Secrets that bear our annotation, the one that is kept: Argo CD shards by its UID, so it stays the same one.
#[must_use]
pub fn primary<'a>(secrets: &'a Secrets, wanted_name: &str, recorded: Option<&str>) -> Option<&'a ClusterSecret> {
    let named = |name: &str| standing_secrets(secrets).find(|own| own.name == name);
    recorded
        .and_then(named)
        .or_else(|| named(wanted_name))
        .or_else(|| standing_secrets(secrets).next())
}
