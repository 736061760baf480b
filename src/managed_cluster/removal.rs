//! The plan of letting go: Secret, access entry, deployer role. Pure, and needs only what never changes.

use std::collections::BTreeSet;

use crate::{
    api::{AccessEntryStatus, ManagedClusterStatus},
    argocd::ClusterSecret,
    aws::Role,
    domain::{
        arn::{PolicyArn, RoleArn},
        commands::free_role,
        eks::{AccessEntry, Associations},
        ownership::{ADOPT_TAG, Marked, Owner},
    },
    policy::{Document, trust},
};

use super::{
    blocked::Blocked,
    living::Living,
    observe::{Secrets, Spoke},
    plan::{
        self, KnownEntry, is_handed_over, is_opened, kept_for_another, leave_closed, mark, owns, username_beside,
        withhold,
    },
    request::Identity,
    step::{Part, Plan, Step},
};

/// What is to be known of things that were taken over: what others wrote there is left to them.
#[derive(Clone, Copy, Debug)]
pub struct TakenOver<'a> {
    /// Whether the role stands outside of our path, and others may have a part in its trust policy.
    pub role: bool,
    /// What was recorded of the access entry, what the spec gave to it among that, and who else may have it; its role is
    /// the one that is looked at.
    pub entry: KnownEntry<'a>,
}

impl<'a> TakenOver<'a> {
    /// What is known of the things of one object.
    #[must_use]
    pub fn of(identity: &Identity, status: &'a ManagedClusterStatus, living: &'a Living) -> Self {
        Self {
            role: identity.adopted.is_some(),
            entry: KnownEntry {
                recorded: status.access_entry.as_ref(),
                living,
                role: None,
            },
        }
    }
}

impl<'a> TakenOver<'a> {
    /// What is known of the access entry beside its role, where others may have a part in that.
    fn beside(self, deployer: &RoleArn, spoke: &'a Spoke) -> KnownEntry<'a> {
        let role = spoke.role.as_ref();
        KnownEntry {
            role: role.filter(|role| self.role && role.arn == deployer.to_string()),
            ..self.entry
        }
    }

    /// Whether the access entry that stands was the object's, and is another's by now.
    #[must_use]
    pub fn is_handed_over(self, deployer: &RoleArn, owner: &Owner, spoke: &'a Spoke) -> bool {
        let known = self.beside(deployer, spoke);
        (spoke.entry.as_ref()).is_some_and(|entry| is_handed_over(owner, known, entry))
    }
}

/// Plans a removal. `spoke` is `None` when nothing in the account is to be touched, or when the account cannot be
/// entered: the Secret goes all the same, since nothing may deploy there any more.
#[must_use]
pub fn plan_removal(
    deployer: &RoleArn,
    boundary: &PolicyArn,
    owner: &Owner,
    recorded_role: Option<&str>,
    spoke: Option<&Spoke>,
    secrets: &Secrets,
    taken_over: TakenOver<'_>,
) -> Plan {
    let mut plan = Plan::default();
    for secret in secrets.own.iter().filter(|secret| !secret.deleting) {
        plan.steps.push(Step::DeleteSecret {
            name: secret.name.clone(),
            uid: secret.uid.clone(),
        });
    }
    if let Some(held) = held(secrets) {
        plan.blocked.push(held);
        return plan;
    }
    let Some(spoke) = spoke else { return plan };
    let entry = spoke.entry.as_ref();
    let known = taken_over.beside(deployer, spoke);
    match entry {
        Some(entry) if owns(owner, known, entry) => {
            leave_entry(&mut plan, owner, entry, spoke.associations.as_ref(), known.recorded);
        }
        Some(entry) => {
            let marked = owner.judge(&entry.tags);
            if is_handed_over(owner, known, entry) || marked != Marked::Unmarked {
                let whose = plan::owner_in_words(&marked);
                let left = format!("access entry {}, which is another's ({whose})", entry.arn);
                plan.beside.entry(Part::AccessEntry).or_default().push(left);
            }
        }
        None => {}
    }
    let whole = Whole {
        deployer,
        boundary,
        owner,
        recorded_role,
        shared: taken_over.role,
        living: taken_over.entry.living,
    };
    plan_role(&mut plan, &whole, spoke);
    withhold(&mut plan, spoke.role.as_ref(), spoke.entry.as_ref());
    if taken_over.role {
        leave_closed(&mut plan, spoke.role.as_ref(), deployer, owner);
    }
    // What is held and is not ours to remove keeps nothing.
    plan.blocked.retain(|blocked| !blocked.is_note());
    plan
}

/// Plans the removal of what is suspended. The access goes whole and before anything else, whatever the rest waits for
/// (`first`); `rest` is planned as if the entry were away already, and with nothing of the account where that is kept.
#[must_use]
pub fn plan_suspended(
    identity: &Identity,
    owner: &Owner,
    taken_over: TakenOver<'_>,
    spoke: &Spoke,
    first: Plan,
    rest: impl FnOnce(Option<&Spoke>) -> Plan,
) -> Plan {
    let known = KnownEntry {
        role: spoke.role_of_others(identity),
        ..taken_over.entry
    };
    let cut = plan::suspended::cut(owner, known, spoke.entry.as_ref());
    let left = (!identity.retain).then(|| Spoke {
        entry: None,
        ..spoke.clone()
    });
    cut.followed_by(first).followed_by(rest(left.as_ref()))
}

/// What stays of the Secrets although it is deleted, for as long as somebody's finalizer is on it. Argo CD goes on using it,
/// so nothing behind it may go.
fn held(secrets: &Secrets) -> Option<Blocked> {
    let held = |secret: &&ClusterSecret| secret.deleting || !secret.finalizers.is_empty();
    secrets.own.iter().find(held).map(|secret| Blocked::SecretGoing {
        name: secret.name.clone(),
        namespace: secret.namespace.clone(),
        finalizers: secret.finalizers.clone(),
        behind: true,
    })
}

impl Plan {
    /// This plan, and another one behind it.
    #[must_use]
    pub fn followed_by(mut self, mut next: Self) -> Self {
        self.steps.append(&mut next.steps);
        self.blocked.append(&mut next.blocked);
        for (part, mut beside) in next.beside {
            self.beside.entry(part).or_default().append(&mut beside);
        }
        self.suspicion = self.suspicion.or(next.suspicion);
        self.keeps_secret |= next.keeps_secret;
        self
    }
}

/// Whether the role that stands under the deployer role's name was made for the object, or taken over for it, by its tags.
/// On a role of others (`shared`) they alone say nothing: whoever forges them has not opened it to us.
#[must_use]
pub fn bears_our_mark(deployer: &RoleArn, owner: &Owner, shared: bool, role: &Role) -> bool {
    let opened = !shared || is_opened(&role.tags, owner);
    role.arn == deployer.to_string() && opened && owner.judge(&role.tags) == Marked::Ours
}

/// The deployer role that is let go of.
struct Whole<'a> {
    deployer: &'a RoleArn,
    boundary: &'a PolicyArn,
    owner: &'a Owner,
    recorded_role: Option<&'a str>,
    /// Whether others may have a part in it.
    shared: bool,
    /// Who else may have it.
    living: &'a Living,
}

fn plan_role(plan: &mut Plan, whole: &Whole<'_>, spoke: &Spoke) {
    let Whole {
        deployer,
        boundary,
        owner,
        recorded_role,
        shared,
        living,
    } = *whole;
    let Some(role) = &spoke.role else { return };
    // Right after it was made, AWS may give a role's unique ID in the place of its ARN (see `Role::arn`).
    let marked = owner.judge(&role.tags) == Marked::Ours;
    if role.arn == role.id && (marked || recorded_role == Some(role.id.as_str())) {
        plan.blocked.push(Blocked::RolePropagating);
        return;
    }
    if role.arn == deployer.to_string()
        && let Some(whose) = kept_for_another(owner, living, role, shared)
    {
        let left = format!("role {}, which is another's by now ({whose})", role.arn);
        plan.beside.entry(Part::DeployerRole).or_default().push(left);
        return;
    }
    if !bears_our_mark(deployer, owner, shared, role)
        && (role.arn != deployer.to_string() || recorded_role != Some(role.id.as_str()))
    {
        if role.arn == deployer.to_string() && marked {
            let left = format!(
                "role {}, with what Mooring wrote in its trust policy: without the tag {ADOPT_TAG} of this hub nothing may be written to it",
                role.arn
            );
            plan.beside.entry(Part::DeployerRole).or_default().push(left);
        }
        return;
    }
    let policies: BTreeSet<String> = spoke
        .role_policies
        .iter()
        .flat_map(|of| of.inline.iter().chain(&of.attached))
        .cloned()
        .collect();
    if !policies.is_empty() {
        plan.blocked.push(Blocked::ForeignPolicyAttached {
            role: role.arn.clone(),
            policies,
            forged: false,
            closed: false,
        });
        return;
    }
    if shared && Document::parse(&role.trust).is_err() {
        let left = format!(
            "role {}, whose trust policy cannot be read, so nothing is taken out of it",
            role.arn
        );
        return plan.beside.entry(Part::DeployerRole).or_default().push(left);
    }
    let name = deployer.name.clone();
    let deny_all = PolicyArn::deny_all(deployer.partition);
    let stays = Some(boundary)
        .filter(|boundary| role.has_boundary(boundary))
        .unwrap_or(&deny_all);
    let others = trust::without_ours(&role.trust).filter(|_| shared);
    if others.is_some() {
        let left = format!(
            "role {}, whose trust policy others have a part in; its permissions boundary {stays}, which Mooring set, and Mooring's tags stay too: once nothing else needs them, `{}` takes them off",
            role.arn,
            free_role(&deployer.name)
        );
        plan.beside.entry(Part::DeployerRole).or_default().push(left);
        if !trust::has_ours(&role.trust) {
            return;
        }
    }
    // The provisioner may only change or delete a role that has a boundary it knows, which AWSDenyAll always is: what the spec
    // names may never have been let in, or not be any more.
    let known = others.is_some() && role.has_boundary(boundary) || role.has_boundary(&deny_all);
    if !known {
        plan.steps.push(Step::SetBoundary {
            name: name.clone(),
            boundary: deny_all,
            found: role.boundary.clone(),
        });
    }
    plan.steps.push(match others {
        Some(trust) => Step::LeaveRole {
            name,
            trust,
            ghosts: trust::ghosts(&role.trust),
        },
        None => Step::DeleteRole { name },
    });
}

/// An entry of ours goes. From one that was taken over, and to which others gave something, what the spec gave goes.
fn leave_entry(
    plan: &mut Plan,
    owner: &Owner,
    entry: &AccessEntry,
    found: Option<&Associations>,
    recorded: Option<&AccessEntryStatus>,
) {
    let given = recorded.cloned().unwrap_or_default();
    let policies = found.map(|found| found.keys().collect::<Vec<_>>()).unwrap_or_default();
    let (ours, others): (Vec<_>, Vec<_>) = policies
        .into_iter()
        .partition(|policy| given.policies.contains(policy.as_str()));
    let groups: BTreeSet<String> = entry.groups.difference(&given.kubernetes_groups).cloned().collect();
    let username = entry.others_username().map(username_beside);
    let nothing = others.is_empty() && groups.is_empty() && username.is_none();
    if nothing || !plan::taken_over(recorded, entry) {
        plan.steps.extend(mark(owner, &owner.tags(), entry));
        return plan.steps.push(Step::DeleteAccessEntry);
    }
    let names: Vec<&str> = others
        .iter()
        .map(|policy| policy.name())
        .chain(groups.iter().map(String::as_str))
        .chain(username.as_deref())
        .collect();
    let left = format!("access entry {}, with {} of others", entry.arn, names.join(", "));
    plan.beside.entry(Part::AccessEntry).or_default().push(left);
    if entry.groups != groups || !ours.is_empty() {
        plan.steps.extend(mark(owner, &owner.tags(), entry));
    }
    if entry.groups != groups {
        plan.steps.push(Step::SetGroups {
            groups,
            found: entry.groups.clone(),
        });
    }
    for policy in ours {
        if let Some(scope) = found.and_then(|found| found.get(policy)) {
            plan.steps.push(Step::Disassociate {
                policy: policy.clone(),
                found: scope.clone(),
            });
        }
    }
}
