//! What must be allowed for the clusters that are printed: a `ManagementRole`, or what the one on the hub lacks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Found, Hub, Looked,
    document::{Document, FillIn},
    manifest::Object,
    plan,
};
use crate::{
    api::{MOST_CLUSTERS, MOST_ENTRIES, MOST_NAMED, ManagementRole},
    domain::{arn::RoleArn, eks::AccessScope, role_pattern::reserved},
    managed_cluster::{by_hand::Becomes, management::Management},
};

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
            "It allows what was found, and no more than an entry can tell: a policy that is held to namespaces may name any, and a cluster any deployer role of its entry."
        } else {
            "It allows what was found. What was not is for you to fill in, where it says so, and without that it gives nothing there."
        };
        let management = read(&role).and_then(|role| plan::management(hub, &role));
        let leads_to = management
            .as_ref()
            .map_or_else(|_| String::new(), |made| leads_to(&made.role));
        return Allowing {
            note: String::new(),
            management,
            manifest: Some(Document {
                unknown,
                ..Document::of(
                    format!(
                        "{allows}{leads_to}{} Run `mooring bootstrap` on it, and after each change of it.",
                        too_many(allow.len())
                    ),
                    role,
                )
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
    let fill_in = if unknown.is_empty() {
        ""
    } else {
        ", and what was not found is for you to fill in, where it says so"
    };
    let comment = format!(
        "The one on the hub, as it is, with {count} at the end of allow: what was found and it does not allow yet{fill_in}. If it comes from Git, add {them} there and do not apply this. Run `mooring bootstrap` on it after that.{}",
        too_many(standing + added.len())
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
            unknown,
            ..Document::of(comment, role)
        }),
    }
}

/// What a new `ManagementRole` leads to on AWS.
fn leads_to(role: &RoleArn) -> String {
    format!(
        " It leads to management role {role}, which is made for Argo CD's service accounts with the boundary that bootstrap makes, and to the hub's OIDC provider where there is none; `mooring plan -f FILE` tells each step, and what stands in its way."
    )
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

/// That a `ManagementRole` takes no more entries than that, and what to do.
fn too_many(entries: usize) -> String {
    if entries <= MOST_ENTRIES {
        return String::new();
    }
    format!(
        " It has {entries} entries, and the API server takes {MOST_ENTRIES}: join clusters that may have the same before you apply it, by more names or globs in one entry."
    )
}

/// What is given on one cluster, where that is not `unsaid`, and to which project of Argo CD. An entry of `allow` gives all
/// that it lists on each cluster that it lists, so those of one entry have the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Given {
    account: String,
    region: String,
    project: String,
    scopes: BTreeMap<String, &'static str>,
    groups: BTreeSet<String>,
    unsaid: bool,
}

/// Whether a name means more names in `allow` than itself. Of others' names none is written there as a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

impl Given {
    fn on(looked: &Looked) -> Self {
        let cluster = &looked.wired.cluster;
        let mut scopes = BTreeMap::new();
        for (policy, scope) in looked.associations().into_iter().flatten() {
            let scope = match scope {
                AccessScope::Cluster => "Cluster",
                AccessScope::Namespaces(_) => "Namespace",
            };
            scopes.insert(policy.name().to_owned(), scope);
        }
        let groups = looked
            .entry()
            .into_iter()
            .flat_map(|entry| entry.groups.iter().cloned());
        Self {
            account: cluster.account.to_string(),
            region: cluster.region.to_string(),
            scopes,
            groups: groups.filter(|group| !is_pattern(group)).collect(),
            project: looked.wired.seen.project.clone(),
            unsaid: looked.unsaid().is_some(),
        }
    }
}

/// The entries of `allow` that give what was found, and what of each is not known. `before` is how many entries come before
/// them.
fn entries(all: &[&Looked], before: usize) -> (Vec<Value>, Vec<FillIn>) {
    let (mut allow, mut unknown) = (Vec::new(), Vec::new());
    let mut by_given: BTreeMap<Given, Vec<&Looked>> = BTreeMap::new();
    // An entry without its project would be for all projects.
    for looked in all.iter().filter(|looked| !is_pattern(&looked.wired.seen.project)) {
        by_given.entry(Given::on(looked)).or_default().push(looked);
    }
    let mut by_given = Vec::from_iter(by_given);
    let first = |here: &[&Looked]| here.iter().map(|looked| looked.wired.cluster.name.to_string()).min();
    by_given.sort_by_cached_key(|(given, here)| (given.account.clone(), given.region.clone(), first(here)));
    let parts = |(given, here): (Given, Vec<_>)| short_enough(here).into_iter().map(move |part| (given.clone(), part));
    for (given, here) in by_given.into_iter().flat_map(parts) {
        let set = |of: &dyn Fn(&Looked) -> String| here.iter().map(|looked| of(looked)).collect::<BTreeSet<_>>();
        if given.unsaid {
            let names = Vec::from_iter(set(&|looked| looked.wired.cluster.name.to_string()));
            unknown.push(FillIn {
                at: format!("/spec/allow/{}", before + allow.len()),
                what: format!(
                    "accessPolicies or kubernetesGroups: what Argo CD may do on {} is not known",
                    names.join(", ")
                ),
            });
        }
        let Given {
            account,
            region,
            project,
            scopes,
            groups,
            ..
        } = given;
        let mut entry = json!({
            "accounts": [account],
            "regions": [region],
            "clusters": set(&|looked| looked.wired.cluster.name.to_string()),
        });
        let named: BTreeSet<String> = here.iter().filter_map(|looked| named(looked)).collect();
        if !named.is_empty() {
            entry["deployerRoles"] = json!(named);
        }
        if !project.is_empty() {
            entry["projects"] = json!([project]);
        }
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

/// The role that `allow` has to name for a cluster. What is reserved no entry may name.
fn named(looked: &Looked) -> Option<String> {
    let role = &looked.wired.role;
    (looked.wired.becomes == Becomes::Named && reserved(role).is_none()).then(|| role.to_string())
}

/// Clusters in parts that one entry can name, with their roles.
fn short_enough(all: Vec<&Looked>) -> Vec<Vec<&Looked>> {
    let mut parts: Vec<Vec<&Looked>> = Vec::new();
    let mut roles: BTreeSet<String> = BTreeSet::new();
    for looked in all {
        let mut more = roles.clone();
        more.extend(named(looked));
        match parts.last_mut() {
            Some(part) if more.len() <= MOST_NAMED && part.len() < MOST_CLUSTERS => {
                part.push(looked);
                roles = more;
            }
            Some(_) | None => {
                parts.push(vec![looked]);
                roles = named(looked).into_iter().collect();
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_entries_than_the_api_server_takes_are_told() {
        assert_eq!(too_many(MOST_ENTRIES), "");
        let told = too_many(MOST_ENTRIES + 1);
        assert!(told.contains("has 51 entries, and the API server takes 50"), "{told}");
    }
}
