//! The plan that a manifest leads to once its things are opened, by the code that the operator plans with.

use serde_json::{Value, json};

use super::{
    Found, Hub, Looked, Spoke,
    allowing::is_pattern,
    manifest::{moored_as, shown},
};
use crate::{
    api::{ManagedCluster, ManagementRole},
    argocd::{ADOPT_ANNOTATION, ClusterSecret, WantedSecret},
    domain::ownership::{ADOPT_TAG, HUB_TAG, OBJECT_TAG, Tags},
    managed_cluster::{
        Blocked, Step,
        desired::desired,
        management::Management,
        observe::{Adoptable, Secrets},
        plan::{Memory, plan},
        request::{Refusal, Request},
        words::some,
    },
    policy::trust,
    text::on_one_line,
};

/// What a manifest leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// In words, a line each.
    pub lines: Vec<String>,
    /// Whether something stands in its way.
    pub hindered: bool,
}

/// What it leads to and what stands in its way.
pub(super) fn told(found: &Found, management: &Management, object: &Value, looked: &Looked, spoke: &Spoke) -> Told {
    let duplicates = duplicates(found, looked);
    if !duplicates.is_empty() {
        return Told {
            lines: duplicates,
            hindered: true,
        };
    }
    if let Some(why) = another_server(looked, spoke) {
        return Told {
            lines: vec![why],
            hindered: true,
        };
    }
    let lines = try_lines(found, management, object, looked, spoke);
    let (lines, hindered) = lines.unwrap_or_else(|why| {
        let refused = [format!("In its way: {why}")];
        (refused.into_iter().chain(patterns(looked)).collect(), true)
    });
    Told { lines, hindered }
}

/// The names that are not printed in `allow`, where they would be patterns.
fn patterns(looked: &Looked) -> Option<String> {
    let groups = looked.entry().into_iter().flat_map(|entry| &entry.groups);
    let named = groups
        .chain([&looked.wired.seen.project])
        .filter(|name| is_pattern(name));
    let named: Vec<String> = named.map(|name| format!("{name:?}")).collect();
    (!named.is_empty()).then(|| {
        format!(
            "In its way: {} would be a pattern in spec.allow, which allows every name that it fits, so it is not printed there: give the access entry, or the Secret, a name without *, or allow it by hand if that is meant",
            named.join(", ")
        )
    })
}

/// Whether the `ManagementRole` allows what the manifest asks for, where nothing else is wrong with it.
pub(super) fn is_allowed(management: &Management, object: &Value) -> bool {
    let object: Result<ManagedCluster, _> = serde_json::from_value(object.clone());
    let refused =
        |object: &ManagedCluster| matches!(Request::parse(object, management), Err(Refusal::NotAllowed { .. }));
    !object.as_ref().is_ok_and(refused)
}

fn try_lines(
    found: &Found,
    management: &Management,
    object: &Value,
    looked: &Looked,
    spoke: &Spoke,
) -> Result<(Vec<String>, bool), String> {
    let mut object: ManagedCluster = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    // Where the cluster is moored already, the manifest is of that object.
    let moored = moored_as(found, looked);
    object.metadata.uid = Some(moored.map_or("<UID>", |(uid, _)| uid).to_owned());
    let request = Request::parse(&object, management).map_err(|refusal| refusal.to_string())?;
    let desired = desired(&request, management, spoke.cluster.as_ref());
    let hubs = of_other_hubs(&found.hub, looked, spoke);
    let spoke = opened(&found.hub, looked, spoke, request.identity.existing.is_some());
    let secrets = secrets(looked, &request.identity.name, desired.usable_secret());
    let memory = Memory {
        owner: &request.owner,
        recorded_role: moored.and_then(|(_, lives)| lives.role.as_deref()),
        recorded_secret: None,
        confirmed: None,
        unmoved: &[],
        given: None,
        living: &found.living,
        role: spoke.role_of_others(&request.identity),
    };
    let first = plan(&desired, &spoke, &secrets, &memory);
    // What a second look is asked to confirm is taken for confirmed.
    let confirmed = Memory {
        confirmed: first.suspicion.as_ref(),
        ..memory.clone()
    };
    let plan = match &first.suspicion {
        Some(_) => plan(&desired, &spoke, &secrets, &confirmed),
        None => first.clone(),
    };
    let mut lines = Vec::new();
    let (held, in_its_way) = held_to_namespaces(looked, &request.presentation.namespaces, !request.groups.is_empty());
    lines.extend(held);
    if !plan.steps.is_empty() {
        lines.push("It leads to:".to_owned());
        lines.extend(plan.steps.iter().map(Step::words).map(|words| format!("  {words}")));
    }
    if !hubs.is_empty() {
        lines.push(format!(
            "In its way: {}. With what opens it above, that hub's Argo CD may lose its access, and its Mooring writes nothing there any more: have it removed there first. Where that hub is gone, go on",
            hubs.join("; ")
        ));
    }
    let stays: Vec<&str> = plan.beside.values().flatten().map(String::as_str).collect();
    if !stays.is_empty() {
        lines.push(format!("Others wrote, and it stays: {}", stays.join("; ")));
    }
    lines.extend(
        plan.blocked
            .iter()
            .map(Blocked::message)
            .map(|why| format!("In its way: {why}")),
    );
    Ok((lines, in_its_way || !hubs.is_empty() || !plan.blocked.is_empty()))
}

/// What of it is another hub's by its tags or by whom its trust policy lets in, in words. What is opened to this hub alone was
/// handed over.
fn of_other_hubs(hub: &Hub, looked: &Looked, spoke: &Spoke) -> Vec<String> {
    let own = hub.cluster.to_string();
    let by_tags = |what: String, tags: &Tags| {
        let opened = tags.get(ADOPT_TAG);
        let mark = tags.get(HUB_TAG).filter(|of| **of != own);
        let other = opened.filter(|of| **of != own);
        let object = tags.get(OBJECT_TAG).map_or("an object", String::as_str);
        match (mark, other) {
            _ if opened == Some(&own) => None,
            (Some(of), _) => Some(format!("{what} bears the mark of hub {of} for {object}")),
            (None, Some(of)) => Some(format!("{what} is opened to hub {of}")),
            (None, None) => None,
        }
    };
    let role = spoke.role.as_ref().filter(|_| looked.opens_role(hub));
    let trusting = role.filter(|role| role.tags.get(ADOPT_TAG) != Some(&own));
    let trusts = trusting.and_then(|role| trust::of_another_hub(&role.trust, &hub.cluster));
    let of_role = role.and_then(|role| by_tags(format!("role {}", role.arn), &role.tags));
    let of_entry = looked.opens_entry(hub);
    let of_entry = of_entry.and_then(|entry| by_tags(format!("access entry {}", entry.arn), &entry.tags));
    let trusts = trusts.map(|other| format!("the role's trust policy lets {other} in, another hub's management role"));
    let all = of_role.into_iter().chain(trusts).chain(of_entry);
    all.map(|told| on_one_line(&told)).collect()
}

/// That Argo CD is held to namespaces from then on, where the Secret holds it to none, and whether that may be less than it has.
fn held_to_namespaces(looked: &Looked, namespaces: &[String], by_groups_too: bool) -> (Option<String>, bool) {
    if namespaces.is_empty() || !looked.wired.seen.namespaces.is_empty() {
        return (None, false);
    }
    let held = format!(
        "The Secret names no namespaces. Taken over it holds Argo CD to those of the access policies, and to no cluster-scoped resources: {}",
        some(namespaces)
    );
    if by_groups_too {
        let told = format!(
            "In its way: {held}. Kubernetes groups may give it more: say in spec.argocd.namespaces (and clusterResources) what it is to manage, and set them in the Secret first, or add an access policy for the whole cluster"
        );
        return (Some(told), true);
    }
    (Some(format!("{held}.")), false)
}

/// That the Secret would not be the cluster's: Mooring would write a second one beside it.
fn another_server(looked: &Looked, spoke: &Spoke) -> Option<String> {
    let endpoint = spoke.cluster.as_ref()?.endpoint.as_deref()?;
    let server = &looked.wired.seen.server;
    (server.as_str() != endpoint.trim_end_matches('/')).then(|| {
        format!(
            "In its way: the Secret's server is {}, and the cluster's endpoint is {endpoint}, which Mooring writes: Argo CD would have the cluster twice. Set the Secret's server to the endpoint first, and the destinations of Applications that name the other one, and run this again",
            on_one_line(&server.to_string())
        )
    })
}

/// What clusters stand on, as the `ManagementRole` has it.
pub(super) fn management(hub: &Hub, role: &ManagementRole) -> Result<Management, String> {
    let status = json!({
        "hub": {
            "accountId": hub.cluster.account, "region": hub.cluster.region, "name": hub.cluster.name,
            "arn": hub.cluster.to_string(),
        },
    });
    let mut role = role.clone();
    // What the operator has found on the hub is as it says.
    if role.status.as_ref().is_none_or(|status| status.hub.is_none()) {
        role.status = serde_json::from_value(status).ok();
    }
    Management::read_for_removal(&role).map_err(|none| format!("{none:?}"))
}

/// The account as it is once its owner has done what is said above.
fn opened(hub: &Hub, looked: &Looked, spoke: &Spoke, existing: bool) -> Spoke {
    let mut spoke = spoke.clone();
    if existing {
        // What else somebody else's role may do is not looked at.
        (spoke.role_policies, spoke.instance_profiles) = (None, None);
    }
    let mark = (ADOPT_TAG.to_owned(), hub.cluster.to_string());
    if let Some(role) = spoke.role.as_mut().filter(|_| looked.opens_role(hub)) {
        role.tags.extend([mark.clone()]);
    }
    if let Some(entry) = spoke.entry.as_mut().filter(|_| looked.opens_entry(hub).is_some()) {
        entry.tags.extend([mark]);
    }
    spoke
}

/// The Secret as it is once it is opened.
fn secrets(looked: &Looked, object: &str, wanted: Option<&WantedSecret>) -> Secrets {
    let mut secret = looked.wired.secret.clone();
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(ADOPT_ANNOTATION.to_owned(), object.to_owned());
    let (lost, changes) = looked.wired.seen.taken_over(wanted);
    let secret = ClusterSecret::read(&secret);
    // One of another server is not taken over.
    let server = wanted.and_then(|wanted| wanted.data.get("server"));
    let same = server.is_none_or(|server| *server == secret.server);
    Secrets {
        others: vec![secret.clone()],
        adoptable: same.then_some(Adoptable { secret, lost, changes }),
        ..Secrets::default()
    }
}

/// Other cluster Secrets of the same cluster, or of the same name in Argo CD: with them none is taken over.
fn duplicates(found: &Found, looked: &Looked) -> Vec<String> {
    let own = ClusterSecret::read(&looked.wired.secret);
    let others = found
        .secrets
        .iter()
        .filter(|other| other.name != own.name && !other.deleting);
    // Argo CD takes one without a name, which has the one that is printed from then on.
    let printed = |other: &ClusterSecret| {
        let one = found
            .looked
            .iter()
            .find(|one| one.wired.secret.metadata.name.as_ref() == Some(&other.name));
        one.map_or_else(|| other.cluster_name.clone(), |one| shown(one).to_owned())
    };
    let told = |other: &ClusterSecret| {
        let name = &other.name;
        if other.server == own.server {
            return Some(format!(
                "In its way: Secret {name} has the same server, and Argo CD takes either of the two: delete the one that is not needed, and run this again"
            ));
        }
        if !own.cluster_name.is_empty() && other.cluster_name == own.cluster_name {
            return Some(format!(
                "In its way: Secret {name} is of another server and has the same name in Argo CD, which takes either of the two: give one of the clusters another name in its Secret, and in the Applications that name it, and run this again"
            ));
        }
        (printed(other) == shown(looked)).then(|| {
            format!(
                "In its way: Secret {name} has, or would have, the same name in Argo CD, and one of the two has none yet: give that one a name of its own in its Secret, and run this again"
            )
        })
    };
    others.filter_map(told).collect()
}
