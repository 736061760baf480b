//! What may be taken over, and what is refused: things that Terraform, eksctl or a person made, or that a lost object
//! or hub left behind. Pure.
//!
//! Two people say so, and neither alone is enough. Whoever owns the `ManagedCluster` sets `adoptExisting`; and whoever
//! owns the account sets the tag `mooring.dev/adopt`, to the ARN of the hub, on the role and on the entry. What this
//! very hub made for an object that is no more needs no tag: the account opened it to this hub already.

use crate::{
    argocd::{ADOPT_ANNOTATION, CLUSTER_ANNOTATION, OPAQUE, WantedSecret},
    aws::Role,
    domain::{
        arn::{ClusterArn, name_in},
        commands,
        eks::AccessEntry,
        name::RoleName,
        ownership::{ADOPT_TAG, Marked, Owner, Tags},
    },
    policy::{Document, Principals, trust::sid_is_taken},
    text::on_one_line,
};

use super::{
    Memory,
    not_ours::one_too_many,
    owner::{marked_by, open_command},
    owner_in_words,
    theirs::{anothers, made_by},
};
use crate::managed_cluster::{
    blocked::{Blocked, ONE_TOO_MANY},
    desired::Desired,
    living::Lives,
    observe::{Adoptable, Spoke},
    step::Part,
    words::some,
};

/// Whether the object may take over a thing with these tags. `always` it must be opened, also when this hub made it. `how`
/// is the command that opens it, `held` what to do where another object that is there has it.
///
/// # Errors
/// Who has it, or what is missing.
fn open(
    tags: &Tags,
    memory: &Memory<'_>,
    always: bool,
    how: impl FnOnce() -> String,
    held: impl FnOnce(Option<&Lives>) -> String,
) -> Result<(), String> {
    let hub = memory.owner.hub.to_string();
    if let Marked::Another { hub: of, uid, .. } = memory.owner.judge(tags) {
        let Some(uid) = uid else {
            return Err(owner_in_words(&memory.owner.judge(tags)));
        };
        if of == hub && memory.living.contains(&uid) {
            return Err(format!(
                "{}, which is there still: {}",
                owner_in_words(&memory.owner.judge(tags)),
                held(memory.living.get(&uid))
            ));
        }
        if of == hub && !always {
            return Ok(());
        }
        if of != hub && !tags.contains_key(ADOPT_TAG) {
            return Err(format!(
                "{}: have it removed there first. Where that hub is gone, the owner of the account opens it to this one by the tag {ADOPT_TAG}={hub}: {}. If its owner has handed it over to that hub, delete this ManagedCluster, which leaves it as it is and takes only its cluster Secret away, with which the Applications go that ApplicationSets made for it{}",
                owner_in_words(&memory.owner.judge(tags)),
                how(),
                still_used(memory)
            ));
        }
    }
    match tags.get(ADOPT_TAG) {
        Some(opened) if *opened == hub => Ok(()),
        Some(opened) => {
            let made = made_by(&memory.owner.judge(tags));
            Err(format!(
                "{made}its tag {ADOPT_TAG} opens it to {}, and this hub is {hub}",
                on_one_line(opened)
            ))
        }
        None => Err(format!(
            "the owner of the account has not opened it to this hub, which takes the tag {ADOPT_TAG}={hub} on it: {}",
            how()
        )),
    }
}

/// What becomes meanwhile of access that the object has given by what is another hub's now.
fn still_used(memory: &Memory<'_>) -> String {
    memory.recorded_secret.map_or_else(String::new, |secret| {
        format!(
            ". Meanwhile Argo CD goes on to use it by cluster Secret {secret}, for as long as it lets Argo CD in: `mooring doctor {}` tells",
            memory.owner.object
        )
    })
}

fn in_account(cluster: &ClusterArn, command: &str) -> String {
    format!("in account {}, `{command}`", cluster.account)
}

/// Whether its owner has opened a thing to this hub.
pub(in crate::managed_cluster) fn is_opened(tags: &Tags, owner: &Owner) -> bool {
    tags.get(ADOPT_TAG) == Some(&owner.hub.to_string())
}

/// The command by which its owner opens a role to this hub.
pub(super) fn open_role(name: &RoleName, owner: &Owner) -> String {
    commands::open_role(name, &owner.hub)
}

/// Whether the role that stands there is taken over.
///
/// # Errors
/// Why it is not.
pub(super) fn role<'a>(
    desired: &Desired,
    role: &'a Role,
    spoke: &Spoke,
    memory: &Memory<'_>,
) -> Result<&'a Role, Blocked> {
    let refused = |why: String| Blocked::NotAdoptable {
        what: format!("role {}", role.arn),
        why,
        part: Part::DeployerRole,
    };
    let name = &desired.role.arn.name;
    if let Some(other) = memory.living.stands_on(&role.id, &memory.owner.uid) {
        return Err(refused(format!(
            "{}ManagedCluster {}, which is there still, has recorded it as its deployer role: {}",
            made_by(&memory.owner.judge(&role.tags)),
            other.name,
            one_too_many(desired, Some(other))
        )));
    }
    if memory.owner.judge(&role.tags) == Marked::Unmarked
        && let Some(whose) = anothers(memory.owner, memory.living, role)
    {
        return Err(refused(format!(
            "{whose}: have it removed there first. Where that hub is gone, the owner of the account opens it to this one by the tag {ADOPT_TAG}={}",
            memory.owner.hub
        )));
    }
    let (how, held) = (
        || in_account(&desired.cluster, &open_role(name, memory.owner)),
        |holder: Option<&Lives>| one_too_many(desired, holder),
    );
    // Whoever may ask for a cluster may name any role of this hub's: one that was kept for another cluster is its owner's to
    // open.
    let always = desired.named || desired.chosen && !made_for(desired, role);
    open(&role.tags, memory, always, how, held).map_err(refused)?;
    let (Some(policies), Some(profiles)) = (&spoke.role_policies, &spoke.instance_profiles) else {
        return Err(refused("what it carries was not looked at".to_owned()));
    };
    let policies: Vec<&str> = policies
        .inline
        .iter()
        .chain(&policies.attached)
        .map(String::as_str)
        .collect();
    if !policies.is_empty() {
        return Err(refused(format!(
            "it carries policies ({}), and a deployer role has no permissions: something else uses it, or they are to be taken off",
            policies.join(", ")
        )));
    }
    if let Some(profile) = profiles.first() {
        return Err(refused(in_profiles(name, profile, profiles.len())));
    }
    let Ok(trust) = Document::parse(&role.trust) else {
        return Err(refused("its trust policy cannot be read".to_owned()));
    };
    let services = principals(&trust, "Service");
    if !services.is_empty() {
        return Err(refused(format!(
            "its trust policy lets services of AWS in ({}): something else runs with it, or may",
            services.join(", ")
        )));
    }
    // What bears a mark is handed over by its owner, with the statement by which its former hub came in; and under our path the
    // whole trust policy is ours.
    let marked = memory.owner.judge(&role.tags);
    if desired.named && marked == Marked::Unmarked && sid_is_taken(&trust, &desired.management_role) {
        return Err(refused(SID_IS_TAKEN.to_owned()));
    }
    if let Some(ghost) = principals(&trust, "AWS").into_iter().find(|named| is_unique_id(named)) {
        return Err(refused(format!(
            "its trust policy names {ghost}, which is the trace of a principal that is gone, and AWS takes no document with it: take it out"
        )));
    }
    Ok(role)
}

/// Whether the role says that it was made for this very cluster.
fn made_for(desired: &Desired, role: &Role) -> bool {
    role.cluster().is_some_and(|(name, region)| {
        name == desired.cluster.name.as_str() && region == desired.cluster.region.as_str()
    })
}

/// Why a role is not taken over in whose trust policy ours would come in the place of what others wrote.
const SID_IS_TAKEN: &str = "its trust policy has a statement ManagementRole that Mooring did not write for this management role, and Mooring writes its own by that Sid: have its owner give that statement another Sid, which changes nothing of what it says, or take it out where nobody needs it";

/// Why a role that instance profiles hold is not taken over, and what to do: the boundary would take from the instances
/// what they may do, and whoever is on one could act as Argo CD does.
fn in_profiles(role: &RoleName, profile: &str, count: usize) -> String {
    let name = name_in(profile);
    let more = match count {
        1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    format!(
        "it is in instance profile {profile}{more}, so instances run with it, or may: once none needs it, `aws iam remove-role-from-instance-profile --instance-profile-name {name} --role-name {role}`; or name a role that only Argo CD uses in a new ManagedCluster"
    )
}

/// Whether the access entry that stands there is taken over.
///
/// # Errors
/// Why it is not.
pub(super) fn entry(desired: &Desired, entry: &AccessEntry, memory: &Memory<'_>) -> Result<(), Blocked> {
    let refused = |why: String| Blocked::NotAdoptable {
        what: format!("the access entry of {}", desired.entry.principal),
        why,
        part: Part::AccessEntry,
    };
    if let Some(other) = memory.living.owner_of_entry(&entry.arn, &memory.owner.uid) {
        return Err(refused(format!(
            "ManagedCluster {}, which is there still, has recorded it as its own: {ONE_TOO_MANY}",
            other.name
        )));
    }
    let how = || in_account(&desired.cluster, &open_command(entry, memory.owner));
    open(&entry.tags, memory, false, how, |holder| marked_by(holder, entry)).map_err(refused)?;
    if entry.kind == "STANDARD" {
        Ok(())
    } else {
        Err(refused(format!(
            "it is of type {}, which is for nodes, and takes no access policies",
            entry.kind
        )))
    }
}

/// Whether the cluster Secret that stands there is taken over; gives what that changes, in words.
///
/// # Errors
/// Why it is not.
pub(super) fn secret(
    wanted: &WantedSecret,
    (cluster_of, namespace): (&ClusterArn, &str),
    found: &Adoptable,
    memory: &Memory<'_>,
) -> Result<String, Blocked> {
    let secret = &found.secret;
    let refused = |why: String| Blocked::NotAdoptable {
        what: format!("cluster Secret {}", secret.name),
        why,
        part: Part::Secret,
    };
    // A watch that lags can show as the object's own what an earlier pass has taken over.
    let another = |owner: &&String| **owner != memory.owner.uid && memory.living.contains(owner);
    if let Some(owner) = secret.owner.as_ref().filter(another) {
        let object = secret.annotation(CLUSTER_ANNOTATION).unwrap_or(owner);
        let holder = memory.living.get(owner).and_then(|holder| holder.cluster.as_ref());
        let next = match holder {
            Some(cluster) if cluster != cluster_of => {
                format!(
                    "it moors {cluster} by it: leave the Secret to that one, and set spec.adoptExisting to false here"
                )
            }
            Some(_) | None => ONE_TOO_MANY.to_owned(),
        };
        return Err(refused(format!(
            "it is ManagedCluster {}'s, which is there still: {next}",
            on_one_line(object)
        )));
    }
    let object = &memory.owner.object;
    if secret.annotation(ADOPT_ANNOTATION) != Some(object.as_str()) {
        return Err(refused(format!(
            "the owner of Argo CD has not opened it to this object, which takes the annotation {ADOPT_ANNOTATION}: {object} on it: `kubectl annotate secret -n {namespace} {} {ADOPT_ANNOTATION}={object}`",
            secret.name
        )));
    }
    let name = wanted.data.get("name").map(String::as_str).unwrap_or_default();
    if !secret.cluster_name.is_empty() && secret.cluster_name != name {
        return Err(refused(format!(
            "Argo CD and its Applications know the cluster as {:?} by it, and by the spec it would be {name:?}: set spec.argocd.name to the former",
            secret.cluster_name
        )));
    }
    if secret.has("project") && secret.differs("project", wanted) {
        return Err(refused(
            "it belongs to another Argo CD project than spec.argocd.project says: set that to its project".to_owned(),
        ));
    }
    if !found.lost.is_empty() {
        return Err(refused(format!(
            "its config has {}, which Mooring does not write and would be lost: take it out first, or keep this Secret by hand",
            found.lost.join(" and ")
        )));
    }
    if !secret.owners.is_empty() {
        return Err(refused(format!(
            "it is {}'s (metadata.ownerReferences): with that Kubernetes deletes it, and whatever made it may write it again. Have that let go of it, and take the references off",
            some(&secret.owners)
        )));
    }
    if secret.kind != OPAQUE {
        return Err(refused(format!(
            "its type is {:?}, which nobody can change, and Mooring writes Secrets of type {OPAQUE}: make it anew with that type while Argo CD's ApplicationSet controller is stopped, which else deletes the Applications of a cluster whose Secret goes; or keep it by hand",
            secret.kind
        )));
    }
    let difference = secret.difference(wanted).unwrap_or_default();
    if secret.immutable && difference.changed_data().next().is_some() {
        return Err(refused(
            "it is immutable, and what the spec gives differs from what it has: make it anew without `immutable: true`, or keep it by hand".to_owned(),
        ));
    }
    Ok(found.changes.clone())
}

/// The principals of one kind that a trust policy lets in.
pub(super) fn principals(trust: &Document, kind: &str) -> Vec<String> {
    let named = trust
        .statements
        .iter()
        .filter_map(|statement| match &statement.principal {
            Some(Principals::Of(kinds)) => kinds.get(kind),
            Some(Principals::Anyone) | None => None,
        });
    let mut all: Vec<String> = named.flatten().cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// `AROA...` and `AIDA...`: what stands in the place of the ARN of a principal that is gone (IAM user guide, "AWS JSON
/// policy elements: Principal").
fn is_unique_id(principal: &str) -> bool {
    let id = |prefix: &str| {
        principal
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= 12 && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
    };
    id("AROA") || id("AIDA")
}
