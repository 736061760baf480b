//! The plan that a manifest leads to once its things are opened, by the code that the operator plans with.

use serde_json::{Value, json};

use super::{Found, Hub, Looked, Spoke, manifest::moored_as};
use crate::{
    api::{ManagedCluster, ManagementRole},
    argocd::{ADOPT_ANNOTATION, ClusterSecret, WantedSecret},
    domain::ownership::ADOPT_TAG,
    managed_cluster::{
        Blocked, Step,
        desired::desired,
        management::Management,
        observe::{Adoptable, Secrets},
        plan::{Memory, plan},
        request::{Refusal, Request},
    },
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
    let lines = try_lines(found, management, object, looked, spoke);
    let (lines, hindered) = lines.unwrap_or_else(|why| (vec![format!("In its way: {why}")], true));
    Told { lines, hindered }
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
    let spoke = opened(&found.hub, looked, spoke);
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
    if !plan.steps.is_empty() {
        lines.push("It leads to:".to_owned());
        lines.extend(plan.steps.iter().map(Step::words).map(|words| format!("  {words}")));
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
    Ok((lines, !plan.blocked.is_empty()))
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
fn opened(hub: &Hub, looked: &Looked, spoke: &Spoke) -> Spoke {
    let mut spoke = spoke.clone();
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
    let shared = |other: &ClusterSecret| {
        let server = (other.server == own.server).then_some("server");
        // Argo CD takes one without a name, which nobody can ask for by it.
        let named = !own.cluster_name.is_empty() && other.cluster_name == own.cluster_name;
        server.or_else(|| named.then_some("name"))
    };
    let told = |other: &ClusterSecret| {
        shared(other).map(|what| {
            format!(
                "In its way: Secret {} has the same {what}, and Argo CD takes either of the two: delete the one that is not needed, and run this again",
                other.name
            )
        })
    };
    others.filter_map(told).collect()
}
