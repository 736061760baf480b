//! What must be allowed for the clusters that are printed: a `ManagementRole`, or what the one on the hub lacks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Found, Hub, Looked,
    document::{Document, FillIn},
    manifest::Object,
    plan,
};
use crate::{api::ManagementRole, domain::eks::AccessScope, managed_cluster::management::Management};

/// How the clusters are allowed.
pub(super) struct Allowing {
    /// What is said of it before every manifest; may be empty.
    pub(super) note: String,
    /// The `ManagementRole` to apply; none where the one on the hub does.
    pub(super) manifest: Option<Document>,
    /// What the clusters stand on once that is applied; why that is not known.
    pub(super) management: Result<Management, String>,
}

/// Holds the manifests against the `ManagementRole` on the hub. One that stands is never narrowed: all of it is printed
/// again, with what its `allow` lacks.
pub(super) fn allowing(found: &Found, objects: &[Object<'_>]) -> Allowing {
    let hub = &found.hub;
    let name = &hub.management_role;
    let Some(living) = &found.role else {
        let all: Vec<&Looked> = objects.iter().map(|one| one.looked).collect();
        let (allow, unknown) = entries(&all, 0);
        let role = new_role(hub, &allow);
        let allows = if unknown.is_empty() {
            "It allows what was found, and no more."
        } else {
            "It allows what was found. What was not is for you to fill in, where it says so, and without that it gives nothing there."
        };
        return Allowing {
            note: String::new(),
            management: read(&role).and_then(|role| plan::management(hub, &role)),
            manifest: Some(Document {
                comment: format!("{allows} Run `mooring bootstrap` on it, and after each change of it."),
                object: role,
                unknown,
            }),
        };
    };
    let standing = match read(living).and_then(|role| plan::management(hub, &role)) {
        Ok(standing) => standing,
        Err(why) => {
            return Allowing {
                note: format!(
                    "ManagementRole {name} is on the hub and cannot be read by this release, so nothing is printed for it: see that its allow gives what is asked here."
                ),
                manifest: None,
                management: Err(why),
            };
        }
    };
    let beyond = objects.iter().filter(|one| !plan::is_allowed(&standing, &one.manifest));
    let beyond: Vec<&Looked> = beyond.map(|one| one.looked).collect();
    if beyond.is_empty() {
        let note = if objects.iter().any(|one| one.looked.unsaid().is_some()) {
            format!(
                "ManagementRole {name}, which is on the hub, allows what is printed already, and is not printed again. Whether it allows what you fill in, `mooring plan -f` tells."
            )
        } else {
            format!("ManagementRole {name}, which is on the hub, allows all of it already and stays as it is.")
        };
        return Allowing {
            note,
            manifest: None,
            management: Ok(standing),
        };
    }
    let standing = living
        .pointer("/spec/allow")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let (added, unknown) = entries(&beyond, standing);
    let (count, them) = match added.len() {
        1 => ("1 entry".to_owned(), "that entry"),
        count => (format!("{count} entries"), "those entries"),
    };
    let no_more = if unknown.is_empty() {
        ", and no more"
    } else {
        ", and what was not found is for you to fill in, where it says so"
    };
    let comment = format!(
        "The one on the hub, as it is, with {count} at the end of allow: what was found and it does not allow yet{no_more}. If it comes from Git, add {them} there and do not apply this. Run `mooring bootstrap` on it after that."
    );
    let mut spec = living.get("spec").cloned().unwrap_or_default();
    if let Some(allow) = spec.get_mut("allow").and_then(Value::as_array_mut) {
        allow.extend(added);
    }
    let role = json!({"apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": name}, "spec": spec});
    let mut after = living.clone();
    after["spec"] = spec;
    Allowing {
        note: String::new(),
        management: read(&after).and_then(|role| plan::management(hub, &role)),
        manifest: Some(Document {
            comment,
            object: role,
            unknown,
        }),
    }
}

fn read(role: &Value) -> Result<ManagementRole, String> {
    serde_json::from_value(role.clone()).map_err(|error| format!("the ManagementRole cannot be read: {error}"))
}

fn new_role(hub: &Hub, allow: &[Value]) -> Value {
    let mut role = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "ManagementRole", "metadata": {"name": hub.management_role},
        "spec": {
            "cluster": {"name": hub.cluster.name, "region": hub.cluster.region},
            "argocdNamespace": hub.namespace,
            "allow": allow,
        },
    });
    // The verifier looks by the roles by which this looked.
    if hub.reader_role != DEFAULT_READER {
        role["spec"]["provisioner"]["readerRoleName"] = json!(hub.reader_role);
    }
    if let Some(id) = &hub.external_id {
        role["spec"]["provisioner"]["externalId"] = json!(id);
    }
    role
}

/// What `spec.provisioner.readerRoleName` is when it is left out.
const DEFAULT_READER: &str = "mooring-reader";

/// One entry of `allow` for each account, with what was found there, and what of each is not known. `before` is how many
/// entries come before them.
fn entries(all: &[&Looked], before: usize) -> (Vec<Value>, Vec<FillIn>) {
    let (mut allow, mut unknown) = (Vec::new(), Vec::new());
    let accounts: BTreeSet<_> = all.iter().map(|looked| &looked.wired.cluster.account).collect();
    for account in accounts {
        let of = |looked: &&Looked| looked.wired.cluster.account == *account;
        let here: Vec<&Looked> = all.iter().copied().filter(of).collect();
        let set = |of: &dyn Fn(&Looked) -> String| here.iter().map(|looked| of(looked)).collect::<BTreeSet<_>>();
        let mut scopes: BTreeMap<String, &str> = BTreeMap::new();
        let mut groups = BTreeSet::new();
        for looked in &here {
            for (policy, scope) in looked.associations().into_iter().flatten() {
                let widest = scopes.entry(policy.name().to_owned()).or_insert("Namespace");
                if *scope == AccessScope::Cluster {
                    *widest = "Cluster";
                }
            }
            groups.extend(
                looked
                    .entry()
                    .into_iter()
                    .flat_map(|entry| entry.groups.iter().cloned()),
            );
        }
        let unsaid = here.iter().filter(|looked| looked.unsaid().is_some());
        let unsaid: Vec<&str> = unsaid.map(|looked| looked.wired.cluster.name.as_str()).collect();
        if !unsaid.is_empty() {
            unknown.push(FillIn {
                at: format!("/spec/allow/{}", before + allow.len()),
                what: format!(
                    "accessPolicies or kubernetesGroups: what Argo CD may do on {} is not known",
                    unsaid.join(", ")
                ),
            });
        }
        let mut entry = json!({
            "accounts": [account],
            "regions": set(&|looked| looked.wired.cluster.region.to_string()),
            "clusters": set(&|looked| looked.wired.cluster.name.to_string()),
            "deployerRoles": set(&|looked| looked.wired.role.to_string()),
        });
        if !scopes.is_empty() {
            let policy = |(name, scope)| json!({"name": name, "scope": scope});
            entry["accessPolicies"] = scopes.iter().map(policy).collect();
        }
        if !groups.is_empty() {
            entry["kubernetesGroups"] = json!(groups);
        }
        allow.push(entry);
    }
    (allow, unknown)
}
