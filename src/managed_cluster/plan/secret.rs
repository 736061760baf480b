//! The steps that keep the cluster Secret, and what stands in its way.

use std::collections::BTreeSet;

use crate::{
    argocd::{ADOPT_ANNOTATION, ADOPTED_ANNOTATION, CLUSTER_ANNOTATION, ClusterSecret, WantedSecret},
    domain::eks::ClusterState,
};

use super::{Memory, adopt};
use crate::managed_cluster::{
    blocked::Blocked,
    desired::Desired,
    observe::Secrets,
    step::{Part, Plan, Step},
    words::some,
};

pub(super) fn plan_secret(plan: &mut Plan, desired: &Desired, secrets: &Secrets, memory: &Memory<'_>) {
    let wanted = match &desired.secret {
        None => {
            return plan.blocked.push(Blocked::ClusterNotActive {
                cluster: desired.cluster.clone(),
                state: ClusterState::Creating,
            });
        }
        Some(Err(why)) => return plan.blocked.push(Blocked::UnusableConnection { why: why.to_string() }),
        Some(Ok(wanted)) => wanted,
    };
    let server = wanted.data.get("server").map(String::as_str).unwrap_or_default();
    let name = wanted.data.get("name").map(String::as_str).unwrap_or_default();
    let stands = standing_secrets(secrets).next().is_some();
    let adoptable = secrets.adoptable.as_ref().filter(|_| desired.adopt && !stands);
    let left = |other: &&ClusterSecret| adoptable.is_none_or(|adoptable| adoptable.secret.name != other.name);
    let others: Vec<&ClusterSecret> = secrets.others.iter().filter(left).collect();
    let by_hand = ByHand {
        namespace: &desired.namespace,
        object: &memory.owner.object,
        stands,
        adopts: desired.adopt && !stands,
    };
    if let Some(blocked) = duplicates(&others, &secrets.claimed, (server, name), &by_hand, memory) {
        return plan.blocked.push(blocked);
    }
    if let Some(adoptable) = adoptable {
        tell_others(plan, &adoptable.secret, &taken_over(wanted.clone(), &adoptable.secret));
        return match adopt::secret(wanted, (&desired.cluster, &desired.namespace), adoptable, memory) {
            Ok(changes) => plan.steps.push(Step::ApplySecret {
                secret: taken_over(wanted.clone(), &adoptable.secret),
                uid: Some(adoptable.secret.uid.clone()),
                changed: adoptable.secret.overwritten(wanted),
                adopts: Some(changes),
            }),
            Err(blocked) => plan.blocked.push(blocked),
        };
    }
    let Some(primary) = primary(secrets, &wanted.name, memory.recorded_secret) else {
        if let Some(name) = &secrets.name_taken {
            return plan.blocked.push(Blocked::SecretNotOurs {
                name: name.clone(),
                namespace: desired.namespace.clone(),
                object: memory.owner.object.clone(),
            });
        }
        // Written to now, it would go all the same as soon as its finalizers are off.
        if let Some(going) = secrets.own.iter().find(|own| own.name == wanted.name) {
            return plan.blocked.push(Blocked::SecretGoing {
                name: wanted.name.clone(),
                namespace: desired.namespace.clone(),
                finalizers: going.finalizers.clone(),
                behind: false,
            });
        }
        return plan.steps.push(Step::ApplySecret {
            secret: wanted.clone(),
            uid: None,
            changed: BTreeSet::new(),
            adopts: None,
        });
    };
    let wanted = &as_kept(wanted, Some(primary));
    tell_others(plan, primary, wanted);
    let difference = primary.difference(wanted).unwrap_or_default();
    let undone = difference.in_data();
    if primary.immutable && !undone.is_empty() {
        plan.blocked.push(Blocked::SecretImmutable {
            name: primary.name.clone(),
            namespace: desired.namespace.clone(),
            undone,
        });
    } else {
        if !difference.null.is_empty() {
            plan.steps.push(Step::NullSecretKeys {
                name: primary.name.clone(),
                resource_version: primary.resource_version.clone(),
                keys: difference.null,
            });
        }
        if !difference.changed.is_empty() {
            plan.steps.push(Step::ApplySecret {
                secret: wanted.clone(),
                uid: Some(primary.uid.clone()),
                changed: difference.changed,
                adopts: None,
            });
        }
    }
    // Nobody's: we set none, and with its owner our Secret would go.
    if !primary.owners.is_empty() {
        plan.steps.push(Step::DropOwners {
            name: primary.name.clone(),
            uid: primary.uid.clone(),
            owners: primary.owners.clone(),
        });
    }
    for copy in standing_secrets(secrets).filter(|own| own.name != primary.name) {
        plan.steps.push(Step::DeleteSecret {
            name: copy.name.clone(),
            uid: copy.uid.clone(),
        });
    }
}

/// Other Secrets of the same server or name, whose they are, and what to do about the first kind of them.
fn duplicates(
    others: &[&ClusterSecret],
    claimed: &[String],
    (server, name_in_argocd): (&str, &str),
    by_hand: &ByHand<'_>,
    memory: &Memory<'_>,
) -> Option<Blocked> {
    let namespace = by_hand.namespace;
    let (mut secrets, mut moored, mut by_server, mut by_name) = (Vec::new(), None, Vec::new(), false);
    for other in others {
        if other.deleting || (other.server != server && other.cluster_name != name_in_argocd) {
            continue;
        }
        let shared = if other.server == server { "server" } else { "name" };
        let living = other.owner.as_ref().filter(|owner| memory.living.contains(owner));
        if let Some(owner) = living {
            moored = if other.server == server {
                Some(SAME_CLUSTER)
            } else {
                moored.or(Some(SAME_NAME))
            };
            let object = other.annotation(CLUSTER_ANNOTATION).unwrap_or(owner);
            secrets.push(format!(
                "Secret {namespace}/{} has the same {shared}, that of ManagedCluster {object}",
                other.name
            ));
        } else {
            by_server.extend((other.server == server).then_some(other.name.as_str()));
            by_name |= other.server != server;
            secrets.push(format!("Secret {namespace}/{} has the same {shared}", other.name));
        }
    }
    for other in claimed {
        moored = moored.or(Some(SAME_SERVER_OR_NAME));
        secrets.push(format!("that of ManagedCluster {other} has the same server or name"));
    }
    let next = if let Some(next) = moored {
        next.to_owned()
    } else if let Some(name) = by_server.first() {
        let known_as = others
            .iter()
            .find(|other| other.name == *name)
            .map(|other| other.cluster_name.as_str());
        let renamed = known_as.filter(|known_as| !known_as.is_empty() && *known_as != name_in_argocd);
        by_hand.of_server(name, by_server.len(), renamed)
    } else if by_name {
        "give this one another spec.argocd.name; to rename the other takes its Applications from it".to_owned()
    } else {
        return None;
    };
    Some(Blocked::DuplicateCluster {
        secrets,
        next,
        lets_in: None,
    })
}

/// What to do about the Secret of another object, by what it shares.
const SAME_CLUSTER: &str = "that object moors the same EKS cluster already: delete this one";
const SAME_NAME: &str = "it moors another EKS cluster: give this object another spec.argocd.name, since to rename the other takes its Applications from it";
const SAME_SERVER_OR_NAME: &str = "if that object moors the same EKS cluster, delete one of the two objects; otherwise give one of them another spec.argocd.name";

/// What cluster Secrets are seen against that others wrote.
struct ByHand<'a> {
    namespace: &'a str,
    object: &'a str,
    /// Whether Mooring's own stands.
    stands: bool,
    /// Whether one of others is being taken over.
    adopts: bool,
}

impl ByHand<'_> {
    /// What to do about those of this server: one that alone leads Argo CD there is not to go before ours stands.
    /// `renamed` is the name by which Argo CD and its Applications know the cluster, where the spec would give it another.
    fn of_server(&self, name: &str, count: usize, renamed: Option<&str>) -> String {
        let Self { namespace, object, .. } = self;
        if self.stands {
            "the cluster has Mooring's Secret already, so delete the other".to_owned()
        } else if self.adopts || count > 1 {
            format!(
                "leave one of them and delete the others; the one that is left is taken over with spec.adoptExisting and the annotation {ADOPT_ANNOTATION}"
            )
        } else {
            format!(
                "Argo CD reaches the cluster by that Secret, so have it taken over: set spec.adoptExisting{}, and `kubectl annotate secret -n {namespace} {name} {ADOPT_ANNOTATION}={object}`. Where it is deleted instead, ApplicationSets delete the cluster's Applications before Mooring has written its own",
                renamed.map_or_else(String::new, |renamed| format!(
                    ", and spec.argocd.name to {renamed:?}, its name there"
                ))
            )
        }
    }
}

/// What others wrote on the Secret and stays is told: labels and annotations, by which ApplicationSets choose clusters, and
/// on one that was taken over also keys of Argo CD's.
fn tell_others(plan: &mut Plan, found: &ClusterSecret, wanted: &WantedSecret) {
    let mut others = found.others_marks(wanted);
    if found.adopted() || wanted.annotations.contains_key(ADOPTED_ANNOTATION) {
        others.extend(found.others_keys(wanted));
    }
    if !others.is_empty() {
        let told = format!("{} of cluster Secret {}", some(&others), found.name);
        plan.beside.entry(Part::Secret).or_default().push(told);
    }
}

/// The Secret that is wanted, as it is to be on the one that stands. A Secret is never renamed: Argo CD shards by its UID.
#[must_use]
pub fn as_kept(wanted: &WantedSecret, standing: Option<&ClusterSecret>) -> WantedSecret {
    match standing {
        Some(standing) if standing.adopted() => taken_over(wanted.clone(), standing),
        Some(standing) => WantedSecret {
            name: standing.name.clone(),
            ..wanted.clone()
        },
        None => wanted.clone(),
    }
}

fn taken_over(mut wanted: WantedSecret, standing: &ClusterSecret) -> WantedSecret {
    wanted.name.clone_from(&standing.name);
    wanted
        .annotations
        .insert(ADOPTED_ANNOTATION.to_owned(), "true".to_owned());
    wanted
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
