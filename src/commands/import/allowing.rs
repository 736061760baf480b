//! What must be allowed for the clusters that are printed: a `ManagementRole`, or what the one on the hub lacks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Found, Hub, Looked, manifest::Object, plan};
use crate::{
    api::ManagementRole,
    domain::eks::{AccessScope, Associations},
    managed_cluster::management::Management,
};

/// How the clusters are allowed.
pub(super) struct Allowing {
    /// What is said of it before every manifest; may be empty.
    pub(super) note: String,
    /// The `ManagementRole` to apply, and what is said above it; none where the one on the hub does.
    pub(super) manifest: Option<(String, Value)>,
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
        let role = new_role(hub, &entries(&all));
        return Allowing {
            note: String::new(),
            management: read(&role).and_then(|role| plan::management(hub, &role)),
            manifest: Some((
                "It allows what was found, and no more. Run `mooring bootstrap` on it, and after each change of it."
                    .to_owned(),
                role,
            )),
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
        return Allowing {
            note: format!("ManagementRole {name}, which is on the hub, allows all of it already and stays as it is."),
            manifest: None,
            management: Ok(standing),
        };
    }
    let added = entries(&beyond);
    let (count, them) = match added.len() {
        1 => ("1 entry".to_owned(), "that entry"),
        count => (format!("{count} entries"), "those entries"),
    };
    let comment = format!(
        "The one on the hub, as it is, with {count} at the end of allow: what was found and it does not allow yet, and no more. If it comes from Git, add {them} there and do not apply this. Run `mooring bootstrap` on it after that."
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
        manifest: Some((comment, role)),
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

/// One entry of `allow` for each account, with what was found there.
fn entries(all: &[&Looked]) -> Vec<Value> {
    let mut allow = Vec::new();
    let accounts: BTreeSet<_> = all.iter().map(|looked| &looked.wired.cluster.account).collect();
    for account in accounts {
        let of = |looked: &&Looked| looked.wired.cluster.account == *account;
        let here: Vec<&Looked> = all.iter().copied().filter(of).collect();
        let set = |of: &dyn Fn(&Looked) -> String| here.iter().map(|looked| of(looked)).collect::<BTreeSet<_>>();
        let mut scopes: BTreeMap<String, &str> = BTreeMap::new();
        let mut groups = BTreeSet::new();
        for spoke in here.iter().filter_map(|looked| looked.spoke.as_ref().ok()) {
            for (policy, scope) in spoke.associations.iter().flatten() {
                let widest = scopes.entry(policy.name().to_owned()).or_insert("Namespace");
                if *scope == AccessScope::Cluster {
                    *widest = "Cluster";
                }
            }
            groups.extend(spoke.entry.iter().flat_map(|entry| entry.groups.iter().cloned()));
        }
        let unsaid = |looked: &&Looked| {
            let spoke = looked.spoke.as_ref().ok();
            let entry = spoke.and_then(|spoke| spoke.entry.as_ref());
            let none = spoke.is_none_or(|spoke| spoke.associations.as_ref().is_none_or(Associations::is_empty));
            none && entry.is_none_or(|entry| entry.groups.is_empty())
        };
        if here.iter().any(unsaid) {
            scopes.insert("AmazonEKSViewPolicy".to_owned(), "Cluster");
        }
        let mut entry = json!({
            "accounts": [account],
            "regions": set(&|looked| looked.wired.cluster.region.to_string()),
            "clusters": set(&|looked| looked.wired.cluster.name.to_string()),
            "accessPolicies": scopes.iter().map(|(name, scope)| json!({"name": name, "scope": scope})).collect::<Vec<_>>(),
            "deployerRoles": set(&|looked| looked.wired.role.to_string()),
        });
        if !groups.is_empty() {
            entry["kubernetesGroups"] = json!(groups);
        }
        allow.push(entry);
    }
    allow
}
