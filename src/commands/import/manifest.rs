//! The manifests that would take the clusters over, and the comments on each.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::{Value, json};

use super::{
    Becomes, Found, Hub, Looked, Verdict,
    allowing::{Allowing, allowing},
    document::{self, Document, FillIn},
    marks::{marks, unsaid_annotations},
    names::{free_name, object_name},
    plan, shared,
};
use crate::{
    argocd::Credentials,
    commands::Printed,
    domain::{
        commands,
        eks::{AccessScope, Associations},
        ownership::ADOPT_TAG,
    },
    managed_cluster::living::Lives,
    text::on_one_line,
};

/// Prints what must be allowed and a `ManagedCluster` for each, with what each leads to and what stands in its way.
#[must_use]
pub fn print(found: &Found) -> (Printed, Verdict) {
    let mut printed = Printed::default();
    for left in &found.left {
        printed.notes.push(on_one_line(&format!(
            "Secret {} is not imported: {}",
            left.secret, left.why
        )));
    }
    if found.looked.is_empty() {
        printed.notes.push(format!(
            "no cluster Secret in namespace {} can be imported, so nothing is printed",
            found.hub.namespace
        ));
        let verdict = if found.left.is_empty() {
            Verdict::Nothing
        } else {
            Verdict::Hindered
        };
        return (printed, verdict);
    }
    printed.out.push_str(
        "# What would take over the clusters that this Argo CD was wired to by hand, or by ManagedClusters that are gone.\n\
         # Printed by mooring import, which changed nothing. Read it, and what it says of each; put it into Git a few at a time.\n",
    );
    let objects = objects(found);
    let allowing = allowing(found, &objects);
    document::comment(&mut printed.out, &allowing.note);
    let mut hindered = !found.left.is_empty() || !found.hub_seen;
    if let Some(role) = &allowing.manifest {
        hindered |= role.refused;
        role.print(&mut printed);
    }
    for one in &objects {
        let comment = comment(found, &allowing, one, &mut hindered);
        let unsaid = one.looked.unsaid();
        hindered |= unsaid.is_some();
        let unknown = unsaid.map(|why| FillIn {
            at: "/spec/access".to_owned(),
            what: format!("policies or kubernetesGroups: what Argo CD may do there is not known, since {why}"),
        });
        let document = Document {
            unknown: unknown.into_iter().collect(),
            ..Document::of(comment, one.manifest.clone())
        };
        hindered |= document.refused;
        document.print(&mut printed);
    }
    if hindered {
        printed.notes.push(
            "not all of it can be taken over as it is: above each manifest stands what is in its way, and what was not looked at"
                .to_owned(),
        );
    }
    let verdict = if hindered { Verdict::Hindered } else { Verdict::Whole };
    (printed, verdict)
}

/// A manifest, and what it is made of.
pub(super) struct Object<'a> {
    pub(super) looked: &'a Looked,
    pub(super) manifest: Value,
    /// Whether the role stays somebody else's: it is that of other clusters too, or was only used before.
    stays_theirs: bool,
}

fn objects<'a>(found: &'a Found) -> Vec<Object<'a>> {
    let shared = shared(found);
    let mut taken: BTreeSet<String> = found.living.iter().map(|(_, lives)| lives.name.clone()).collect();
    let object = |looked: &'a Looked| {
        let stays_theirs = shared.contains(&looked.wired.role) || looked.was_only_used();
        let name = match moored_as(found, looked) {
            Some((_, lives)) => lives.name.clone(),
            None => free_name(&mut taken, &object_name(looked.wired.had_name())),
        };
        Object {
            looked,
            manifest: managed_cluster(&found.hub, looked, (&name, stays_theirs)),
            stays_theirs,
        }
    };
    found.looked.iter().map(object).collect()
}

/// The `ManagedCluster` that is there for the cluster already.
pub(super) fn moored_as<'a>(found: &'a Found, looked: &Looked) -> Option<(&'a str, &'a Lives)> {
    let of = |(_, lives): &(&str, &Lives)| lives.cluster.as_ref() == Some(&looked.wired.cluster);
    found.living.iter().find(of)
}

/// What is said above a manifest.
fn comment(found: &Found, allowing: &Allowing, one: &Object<'_>, hindered: &mut bool) -> String {
    let (hub, looked) = (&found.hub, one.looked);
    let mut comment = opening(hub, looked, &one.manifest, one.stays_theirs);
    if let Some((_, lives)) = moored_as(found, looked) {
        let _ = write!(
            comment,
            "\nManagedCluster {} is there for this cluster already, and this would change it: compare them first.",
            lives.name
        );
    }
    match (&allowing.management, &looked.spoke) {
        (_, Err(unseen)) => {
            *hindered = true;
            let _ = write!(comment, "\nNot looked at: {}", unseen.why);
            if allowing.manifest.is_some() && looked.wired.becomes == Becomes::Named {
                let _ = write!(
                    comment,
                    "\nA reader role may look at a role outside of Mooring's path once `mooring bootstrap` was run on the ManagementRole above, and what it prints for account {} applied: then run this again",
                    looked.wired.cluster.account
                );
            }
        }
        (Err(why), _) => {
            *hindered = true;
            let _ = write!(comment, "\nIn its way: {why}");
        }
        (Ok(management), Ok(spoke)) => {
            let told = plan::told(found, management, &one.manifest, looked, spoke);
            *hindered |= told.hindered;
            for line in told.lines {
                let _ = write!(comment, "\n{line}");
            }
            let by_hand = looked.wired.becomes == Becomes::Named;
            if by_hand && spoke.cluster.is_none() && looked.wired.role.account == hub.cluster.account {
                comment.push_str(
                    "\nThe role is of the hub's own account, as Argo CD's own role is, and EKS has no such cluster there: correct accountId, and leave access.deployerRole out, so that Mooring makes a role in the cluster's account. The Secret goes on as it is until then.",
                );
            }
        }
    }
    comment
}

/// What the owners of the things do to open them.
fn opening(hub: &Hub, looked: &Looked, object: &Value, stays_theirs: bool) -> String {
    let secret = looked.wired.secret.metadata.name.as_deref().unwrap_or_default();
    let (namespace, name) = (&hub.namespace, text(object, "/metadata/name"));
    let mut lines = vec![
        format!("Secret {secret}, role {}", looked.wired.role),
        "To open it:".to_owned(),
        format!("  kubectl annotate secret -n {namespace} {secret} {ADOPT_TAG}={name}"),
    ];
    if let Credentials::Program(program) = &looked.wired.seen.credentials {
        lines.insert(
            1,
            format!(
                "Argo CD comes to it by {} (execProviderConfig): its config is written anew, with awsAuthConfig in place of that.",
                program.name
            ),
        );
    }
    if stays_theirs {
        let why = if looked.was_only_used() {
            "The role bears no mark of Mooring, which only used it: it stays somebody else's."
        } else {
            "The role is that of other clusters too, and one object alone can own a role: it stays somebody else's."
        };
        lines.insert(1, why.to_owned());
    } else if looked.opens_role(hub) {
        lines.push(format!(
            "  {}",
            commands::open_role(&looked.wired.role.name, &hub.cluster)
        ));
    }
    if let Some(entry) = looked.opens_entry(hub) {
        lines.push(format!(
            "  {}",
            commands::open_access_entry(&looked.wired.cluster.region, &entry.arn, &hub.cluster)
        ));
    }
    if let Some(by) = looked.wired.left_by() {
        lines.insert(
            1,
            format!("ManagedCluster {by} wrote the Secret, and is there no more."),
        );
    }
    let unsaid = unsaid_annotations(looked, object);
    if !unsaid.is_empty() {
        lines.insert(
            1,
            format!(
                "Its annotations stay as they are, and are not printed, since anything may stand in one: {}. Those that ApplicationSets use belong into spec.argocd.annotations, so that a Secret that is made anew has them.",
                unsaid.join(", ")
            ),
        );
    }
    lines.extend(left_for_another(looked));
    lines.join("\n")
}

/// What becomes of a role that another hub made, and of its access entry.
fn left_for_another(looked: &Looked) -> Option<String> {
    let (wired, cluster) = (&looked.wired, &looked.wired.cluster);
    let Becomes::LeftFor(another) = &wired.becomes else {
        return None;
    };
    let entry = commands::delete_access_entry(&cluster.region, &cluster.name, &wired.role);
    Some(format!(
        "Another hub made that role under its own path, and no hub takes over what another made there: role {another} is made beside it, with an access entry of its own. Once Argo CD works by that one, and where the other hub is gone, delete what it left, in account {}:\n  {entry}\n  aws iam delete-role --role-name {}",
        wired.role.account, wired.role.name
    ))
}

fn text<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// The cluster's name in Argo CD.
pub(super) fn shown(looked: &Looked) -> &str {
    looked.wired.shown_name()
}

fn managed_cluster(hub: &Hub, looked: &Looked, (name, stays_theirs): (&str, bool)) -> Value {
    let wired = &looked.wired;
    let policies = looked.associations().map(policies).unwrap_or_default();
    let groups: Vec<&String> = looked.entry().into_iter().flat_map(|entry| &entry.groups).collect();
    let deployer = match &wired.becomes {
        Becomes::Named if stays_theirs => json!({"arn": wired.role, "type": "Existing"}),
        Becomes::Named => json!({"arn": wired.role}),
        Becomes::Chosen => json!({"name": wired.role.name}),
        Becomes::Own | Becomes::LeftFor(_) => Value::Null,
    };
    let mut spec = json!({
        "accountId": wired.cluster.account,
        "region": wired.cluster.region,
        "adoptExisting": true,
        "access": {},
        "argocd": {"name": shown(looked)},
    });
    if !deployer.is_null() {
        spec["access"]["deployerRole"] = deployer;
    }
    if wired.cluster.name.as_str() != name {
        spec["clusterName"] = json!(wired.cluster.name);
    }
    if hub.management_role.as_str() != "default" {
        spec["managementRole"] = json!(hub.management_role);
    }
    if !policies.is_empty() {
        spec["access"]["policies"] = json!(policies);
    }
    if !groups.is_empty() {
        spec["access"]["kubernetesGroups"] = json!(groups);
    }
    for (key, map) in marks(looked) {
        if !map.is_empty() {
            spec["argocd"][key] = json!(map);
        }
    }
    if !wired.seen.project.is_empty() {
        spec["argocd"]["project"] = json!(wired.seen.project);
    }
    if !wired.seen.namespaces.is_empty() {
        let namespaces: BTreeSet<&String> = wired.seen.namespaces.iter().collect();
        spec["argocd"]["namespaces"] = json!(namespaces);
        if wired.seen.cluster_resources {
            spec["argocd"]["clusterResources"] = json!(true);
        }
    }
    // Mooring wrote it, and takes away what it wrote and the spec does not say.
    if let Some(shard) = wired.left_by().and_then(|_| shard(looked)) {
        spec["argocd"]["shard"] = json!(shard);
    }
    json!({"apiVersion": "mooring.dev/v1alpha1", "kind": "ManagedCluster", "metadata": {"name": name}, "spec": spec})
}

/// The shard that a Secret names.
fn shard(looked: &Looked) -> Option<i32> {
    let data = looked.wired.secret.data.as_ref()?;
    std::str::from_utf8(&data.get("shard")?.0).ok()?.parse().ok()
}

fn policies(associations: &Associations) -> Vec<Value> {
    associations
        .iter()
        .map(|(policy, scope)| match scope {
            AccessScope::Cluster => json!({"name": policy.name()}),
            AccessScope::Namespaces(names) => json!({"name": policy.name(), "namespaces": names}),
        })
        .collect()
}
