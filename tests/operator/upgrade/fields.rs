//! What is recorded has every field that a schema has, so that a new one cannot be forgotten.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{present, read, versions};
use crate::support::folder;

/// Fields that no recorded object has, each with why.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "ManagedCluster.status.plan.blocked",
        "of a plan that something stands in the way of, written anew by each pass",
    ),
    (
        "ManagedCluster.status.serverChangedAt",
        "of a cluster that was made again",
    ),
    (
        "ManagementRole.spec.identity.roleArn",
        "goes with no role that Mooring made",
    ),
    (
        "ManagementRole.status.untrustedServiceAccounts",
        "of a role that Mooring did not make",
    ),
    (
        "ManagementRole.spec.role.name",
        "the recorded role has the name by default",
    ),
    (
        "ManagementRole.status.restarted",
        "of workloads, of which there are none",
    ),
    (
        "ManagementRole.status.removals",
        "kept for an hour alone, and without it removals are counted anew",
    ),
];

/// The leaves of a schema, `[]` for the members of a list.
fn leaves(schema: &Value, path: &str, all: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, schema) in properties {
            leaves(schema, &format!("{path}.{name}"), all);
        }
    } else if schema["items"].is_object() {
        leaves(&schema["items"], path, all);
    } else {
        all.insert(path.to_owned());
    }
}

/// Whether a value has a field anywhere.
fn has(value: &Value, path: &[&str]) -> bool {
    match (value, path) {
        (Value::Array(members), _) => members.iter().any(|member| has(member, path)),
        (_, []) => !value.is_null(),
        (Value::Object(members), [name, rest @ ..]) => members.get(*name).is_some_and(|value| has(value, rest)),
        _ => false,
    }
}

#[test]
fn every_field_of_the_schemas_is_recorded_or_left_out_for_a_reason() {
    let files = read(&versions().join(present()));
    let (mut missing, mut needless) = (Vec::new(), LEFT_OUT.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    for file in ["managedclusters.yaml", "managementroles.yaml"] {
        let text = std::fs::read_to_string(folder("crds").join(file)).unwrap();
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let mut all = BTreeSet::new();
        for part in ["spec", "status"] {
            leaves(&schema[part], &format!("{kind}.{part}"), &mut all);
        }
        assert!(all.len() > 20, "{all:?}");
        for leaf in all {
            let path: Vec<&str> = leaf.split('.').skip(1).collect();
            let mut objects = files.values().map(|file| &file["object"]);
            let recorded = objects.any(|object| object["kind"] == kind && has(object, &path));
            let under = |path: &&str| leaf == **path || leaf.starts_with(&format!("{path}."));
            if recorded {
                continue;
            }
            if LEFT_OUT.iter().any(|(path, _)| under(path)) {
                needless.retain(|path| !under(path));
            } else {
                missing.push(leaf);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "no recorded object has {missing:?}: put them into the manifests here and `make record`, after raising the version in \
         Cargo.toml where it was released"
    );
    assert!(
        needless.is_empty(),
        "left out, and yet recorded or no field: {needless:?}"
    );
}
