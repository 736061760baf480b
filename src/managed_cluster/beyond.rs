//! What an object gives that its spec does not, while nothing is changed for it since the spec asks for more than it may have.
//! Nobody takes that away from its access entry meanwhile: what the spec of before gave, which is kept, and what somebody else
//! added since, look alike. So it is told; and so is who else may use its deployer role by now.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::{AccessEntryStatus, ManagedCluster, ManagedClusterStatus},
    aws::{Account, Role},
    domain::{
        eks::{AccessEntry, Associations},
        name::{InvalidName, Region},
    },
    policy::{self, deployer_trust, trust},
};

use super::{
    Context, Error,
    census::living,
    management::Management,
    observe,
    plan::{self, KnownEntry, owns, username_beside},
    request::{Identity, Refusal, associations},
    status::Pass,
    step::Part,
    turn::{admitted, door, lane, management},
    words::{SHUTS_OUT, scope_in_words, trust_in_words},
};

/// What is told of the parts of an object that is refused.
pub type Beside = BTreeMap<Part, String>;

/// A pass of an object that is refused: what stands for it is looked at; `None` when a person changed the object before its
/// turn came. A look that fails hides nothing of the refusal.
pub(super) async fn refused(
    cluster: &ManagedCluster,
    old: &ManagedClusterStatus,
    refusal: Refusal,
    context: &Context,
) -> Option<Pass> {
    let stands = old.access_entry.as_ref().is_some_and(|entry| entry.arn.is_some());
    if !stands || !matches!(refusal, Refusal::NotAllowed { .. }) {
        return Some(Pass::Refused(refusal, Beside::new()));
    }
    let (Ok(identity), Ok(management)) = (
        Identity::of(cluster),
        management(context, &cluster.spec.management_role),
    ) else {
        return Some(Pass::Refused(refusal, Beside::new()));
    };
    let lane = lane(&cluster.metadata, old);
    let Ok(_admission) = admitted(&cluster.metadata, &identity, lane, context).await? else {
        return Some(Pass::Failed(Error::ShuttingDown));
    };
    let look = Box::pin(look(cluster, &identity, &management, old, context));
    let found = tokio::time::timeout(context.timing.pass_deadline, look).await;
    let found = found.unwrap_or_else(|_| Ok(Beside::new())).unwrap_or_default();
    Some(Pass::Refused(refusal, found))
}

async fn look(
    cluster: &ManagedCluster,
    identity: &Identity,
    management: &Management,
    old: &ManagedClusterStatus,
    context: &Context,
) -> Result<Beside, Error> {
    let account = context.aws.enter(&door(identity, management)).await?;
    let role = role(&account, identity, management, old);
    let entry = entry(cluster, &account, (identity, management), old, context);
    let (role, entry) = tokio::join!(Box::pin(role), Box::pin(entry));
    // What was seen of the one is told whether or not the other could be looked at.
    let told = [
        (Part::DeployerRole, role.unwrap_or_default()),
        (Part::AccessEntry, entry.unwrap_or_default()),
    ];
    Ok(told
        .into_iter()
        .filter_map(|(part, told)| Some((part, told?)))
        .collect())
}

/// What became of the deployer role that was made, where others have no part in it.
async fn role(
    account: &Account,
    identity: &Identity,
    management: &Management,
    old: &ManagedClusterStatus,
) -> Result<Option<String>, Error> {
    let Some(recorded) = old.deployer_role.as_ref().filter(|_| identity.existing.is_none()) else {
        return Ok(None);
    };
    let deployer = identity.deployer(&management.hub);
    let Some(role) = account.role(&deployer.name).await? else {
        return Ok(Some(NO_ROLE.to_owned()));
    };
    let ours = role.id == recorded.id && identity.adopted.is_none();
    let opened = if ours {
        loosened(&role, management, identity)
    } else {
        Vec::new()
    };
    Ok((!opened.is_empty()).then(|| format!("once the spec is allowed Mooring will {}", opened.join(" and "))))
}

/// What somebody took from a deployer role that keeps others out, as what is to be done about it.
fn loosened(role: &Role, management: &Management, identity: &Identity) -> Vec<String> {
    let name = identity.deployer(&management.hub).name;
    let differences = policy::differences_of(&role.trust, &deployer_trust(&management.role));
    let exposure = trust::exposure(&role.trust, &management.role);
    let restored = (!differences.is_empty()).then(|| trust_in_words(&name, (&exposure, SHUTS_OUT), &differences));
    let boundary = role.boundary.is_none();
    let boundary = boundary.then(|| format!("set the permissions boundary of {name}, which has none any more"));
    restored.into_iter().chain(boundary).collect()
}

/// That the role of an object that is refused is gone.
const NO_ROLE: &str = "its deployer role is gone, and is made anew once the spec is allowed";

async fn entry(
    cluster: &ManagedCluster,
    account: &Account,
    (identity, management): (&Identity, &Management),
    old: &ManagedClusterStatus,
    context: &Context,
) -> Result<Option<String>, Error> {
    let deployer = identity.deployer(&management.hub);
    let living = living(context).await?;
    let (owner, recorded) = (identity.owner(&management.hub), old.access_entry.as_ref());
    let known = KnownEntry {
        recorded,
        living: &living,
        role: None,
    };
    let found = Box::pin(observe::entry_with_role(account, identity, &deployer, &owner, known)).await?;
    let known = KnownEntry {
        role: found.role_of_others(identity),
        ..known
    };
    let Some(entry) = &found.entry else {
        return Ok(Some(GONE.to_owned()));
    };
    if !owns(&owner, known, entry) {
        return Ok(None);
    }
    let policies = Box::pin(account.associations(&identity.cluster.name, &deployer)).await?;
    let surplus = surplus(cluster, entry, &policies.unwrap_or_default(), recorded);
    Ok(surplus
        .ok()
        .filter(|surplus| !surplus.is_empty())
        .map(|surplus| in_words(&surplus)))
}

/// That the access of an object that is refused is gone.
const GONE: &str = "its access entry is gone, and is made anew once the spec is allowed";

fn in_words(surplus: &[String]) -> String {
    format!(
        "its access entry gives {}, which the spec does not, and which is taken away once the spec is allowed",
        surplus.join(", ")
    )
}

/// What an entry of ours gives that the spec does not, in words; of one that was taken over, without what others gave, which
/// stays in any case.
///
/// # Errors
/// When the spec names an access policy that is none.
fn surplus(
    cluster: &ManagedCluster,
    entry: &AccessEntry,
    found: &Associations,
    recorded: Option<&AccessEntryStatus>,
) -> Result<Vec<String>, InvalidName> {
    let access = &cluster.spec.access;
    let wanted = associations(access, cluster.spec.region.parse::<Region>()?.partition())?;
    let shared = plan::taken_over(recorded, entry);
    let ours = |given: bool| !shared || given;
    let policies = found.iter().filter(|(policy, scope)| match wanted.get(policy) {
        Some(wanted) => !wanted.covers(scope),
        None => ours(recorded.is_some_and(|recorded| recorded.policies.contains(policy.as_str()))),
    });
    let policies =
        policies.map(|(policy, scope)| format!("access policy {} in {}", policy.name(), scope_in_words(scope)));
    let spec: BTreeSet<String> = access.kubernetes_groups.iter().cloned().collect();
    let groups = entry.groups.difference(&spec);
    let groups = groups
        .filter(|group| ours(recorded.is_some_and(|recorded| recorded.kubernetes_groups.contains(*group))))
        .map(|group| format!("Kubernetes group {group}"));
    let username = entry.others_username().filter(|_| !shared).map(username_beside);
    Ok(policies.chain(groups).chain(username).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::eks::{AccessPolicyArn, AccessScope};

    fn policy(name: &str) -> AccessPolicyArn {
        AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"))
    }

    #[test]
    fn what_an_entry_gives_beyond_the_spec_is_named_but_for_what_others_gave_one_that_was_taken_over() {
        let cluster: ManagedCluster = serde_json::from_value(json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": "prod"},
            "spec": {"accountId": "222222222222", "region": "eu-west-1", "access": {
                "policies": [{"name": "View", "namespaces": ["a"]}, {"name": "Edit"}], "kubernetesGroups": ["ours"],
            }},
        }))
        .unwrap();
        let scope = |names: &[&str]| AccessScope::Namespaces(names.iter().map(|name| (*name).to_owned()).collect());
        let entry = AccessEntry {
            arn: "arn:e".into(),
            groups: ["ours", "former"].map(str::to_owned).into(),
            ..AccessEntry::default()
        };
        let recorded = |adopted: bool| AccessEntryStatus {
            arn: Some("arn:e".into()),
            adopted: Some(adopted),
            policies: [policy("Former").as_str().to_owned()].into(),
            ..AccessEntryStatus::default()
        };
        let found: Associations = [
            (policy("View"), AccessScope::Cluster),
            (policy("Edit"), scope(&["a"])),
            (policy("Former"), scope(&["b"])),
            (policy("Admin"), AccessScope::Cluster),
        ]
        .into();
        let told = |entry: &AccessEntry, adopted| surplus(&cluster, entry, &found, Some(&recorded(adopted))).unwrap();
        assert_eq!(
            told(&entry, false),
            [
                "access policy Admin in the whole cluster",
                "access policy Former in namespaces b",
                "access policy View in the whole cluster",
                "Kubernetes group former",
            ]
        );
        assert_eq!(
            told(&entry, true),
            [
                "access policy Former in namespaces b",
                "access policy View in the whole cluster",
            ]
        );
        let narrower = [(policy("View"), scope(&["a"]))].into();
        let bare = AccessEntry {
            groups: BTreeSet::new(),
            ..entry
        };
        let nothing = surplus(&cluster, &bare, &narrower, Some(&recorded(false))).unwrap();
        assert!(nothing.is_empty(), "{nothing:?}");
    }
}
