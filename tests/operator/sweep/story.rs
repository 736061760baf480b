//! What stands in the end, in words that are the same for every cluster; and what was given to whom on the way there.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use mooring::policy::{self, Document};
use mooring_sandbox::aws::{Call, contract::Service};
use serde_json::{Value, json};

use super::{deeds::THEIR_GROUP, ground::Ground, scenarios::Scenario};
use crate::{
    adopt::{by_hand_manager, hand_made_trust},
    keeping::seed,
};

/// Everything of a cluster that stands: object, role, access entry, Secrets. Names, IDs and times are left out or
/// replaced, so that those of two clusters can be compared.
pub(super) fn end(ground: &Ground, scenario: &Scenario, name: &str) -> Value {
    let (world, object) = (&ground.world, ground.object(name));
    let spec = world.cluster(name);
    let deployer = scenario.role(world, name);
    let role = world.seen_role_named(&spec.account, deployer.name.as_str());
    let entry = world.seen_entry_of(name, &deployer);
    let policies = role.as_ref().map(|_| {
        let input = json!({"RoleName": deployer.name.as_str()});
        [
            world.iam(&spec.account, "ListRolePolicies", input.clone())["PolicyNames"].clone(),
            world.iam(&spec.account, "ListAttachedRolePolicies", input)["AttachedPolicies"].clone(),
        ]
    });
    let secrets: Vec<Value> = (ground.secrets_of(name).iter())
        .map(|secret| {
            let of = |key: &str| secret["metadata"][key].clone();
            json!({
                "name": of("name"), "labels": of("labels"), "annotations": of("annotations"), "data": secret["data"],
                "deletionTimestamp": of("deletionTimestamp"),
            })
        })
        .collect();
    let status = timeless(&object["status"]);
    let end = json!({
        "object": (!object.is_null()).then(|| json!({
            "finalizers": object["metadata"]["finalizers"], "spec": object["spec"], "status": status,
        })),
        "role": role.as_ref().map(|role| {
            json!({
                "arn": role.arn, "trust": role.trust, "boundary": role.boundary, "tags": role.tags,
                "description": role.description, "longestSession": role.longest_session,
            })
        }),
        "policies": policies,
        "entry": entry.as_ref().map(|entry| {
            json!({
                "groups": entry.groups, "tags": entry.tags, "policies": entry.policies, "username": entry.username,
            })
        }),
        "secrets": secrets,
        "removal recorded": ground.recorded(name),
    });
    let issuer = seed(world, name).issuer;
    let id = issuer.rsplit('/').next().unwrap().to_owned();
    let secret = secrets.first().and_then(|secret| secret["name"].as_str());
    // Where the object is gone, what it left to somebody else may still bear its mark.
    let mark = role.as_ref().and_then(|role| role.tags.get("mooring.dev/uid"));
    let uid = object["metadata"]["uid"].as_str().or_else(|| mark.map(String::as_str));
    let role_id = role.as_ref().map(|role| role.id.as_str());
    let config = secrets.first().and_then(|secret| secret["data"]["config"].as_str());
    let authority = STANDARD.encode(world.stage.hub.ca_pem());
    // What EKS gives each entry anew: of the one that stands, where one does, so that another one in the record is seen.
    let recorded = object["status"]["accessEntry"]["arn"].as_str();
    let entry_arn = entry.as_ref().map(|entry| entry.arn.as_str()).or(recorded);
    let entry_id = entry_arn.and_then(|arn| arn.rsplit('/').next());
    let words: [(Option<&str>, &str); 10] = [
        (entry_id, "ENTRY-ID"),
        (Some(&authority), "AUTHORITY"),
        (config, "CONFIG"),
        (secret, "SECRET"),
        (Some(deployer.name.as_str()), "ROLE"),
        (role_id, "ROLE-ID"),
        (uid, "UID"),
        (Some(&id), "CLUSTER-ID"),
        (Some(&spec.account), "ACCOUNT"),
        (Some(name), "NAME"),
    ];
    let mut text = end.to_string();
    for (word, instead) in words {
        if let Some(word) = word.filter(|word| !word.is_empty()) {
            text = text.replace(word, instead);
        }
    }
    let mut end: Value = serde_json::from_str(&text).unwrap();
    // Base64 hides the words: what is in the Secret is compared as text.
    for (told, secret) in end["secrets"].as_array_mut().unwrap().iter_mut().zip(&secrets) {
        told["data"] = plain(&secret["data"], &words);
    }
    end
}

/// A status without times and hashes, its conditions in order: which came first depends on who was quicker.
pub(super) fn timeless(status: &Value) -> Value {
    let mut status = status.clone();
    // A Secret's UID is its own in every run.
    if let Some(uid) = status.get_mut("secretUid") {
        *uid = Value::Null;
    }
    // The authority is the world's own.
    if let Some(cluster) = status.get_mut("cluster").and_then(Value::as_object_mut) {
        cluster.remove("certificateAuthoritySha256");
    }
    // When a server changed is told, and which it was before is not.
    if let Some(at) = status.get_mut("serverChangedAt").filter(|at| !at.is_null()) {
        *at = json!(TIME);
    }
    // Of each removal its name says enough; those of earlier stories in the same hub are counted with it.
    if let Some(removals) = status.get_mut("removals").and_then(Value::as_array_mut) {
        for removal in removals.iter_mut() {
            *removal = removal["name"].clone();
        }
        removals.dedup();
    }
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.sort_by_key(|condition| condition["type"].to_string());
        for condition in conditions {
            condition["lastTransitionTime"] = Value::Null;
            let message = condition["message"].as_str().unwrap_or_default();
            condition["message"] = json!(without_time(message));
        }
    }
    status
}

const TIME: &str = "TIME";

/// A message without the time that it names.
fn without_time(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let time = word.trim_end_matches(',');
        if time.parse::<jiff::Timestamp>().is_ok() {
            word.replace(time, TIME)
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn plain(data: &Value, words: &[(Option<&str>, &str)]) -> Value {
    let members = data.as_object().into_iter().flatten();
    let text = |value: &Value| {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
        let mut text = String::from_utf8(bytes).unwrap();
        for (word, instead) in words {
            if let Some(word) = word.filter(|word| !word.is_empty()) {
                text = text.replace(word, instead);
            }
        }
        text
    };
    members.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// What the specs of a scenario give.
struct Given {
    policies: BTreeSet<(String, BTreeSet<String>)>,
    groups: BTreeSet<String>,
}

fn given(specs: &[Value]) -> Given {
    let access = specs.iter().map(|spec| &spec["access"]);
    let policies = access
        .clone()
        .filter_map(|access| access["policies"].as_array().cloned());
    let policy = |policy: Value| {
        let name = policy["name"].as_str().unwrap().to_owned();
        (name, texts(&policy["namespaces"]))
    };
    Given {
        policies: policies.flatten().map(policy).collect(),
        groups: access.flat_map(|access| texts(&access["kubernetesGroups"])).collect(),
    }
}

fn texts(list: &Value) -> BTreeSet<String> {
    let members = list.as_array().into_iter().flatten();
    members
        .map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// At no moment did the operator give what no spec of the scenario gives, nor touch what is not of this cluster; and
/// where access is only taken away, it gave nothing at all.
pub(super) fn gave_no_more(ground: &Ground, scenario: &Scenario, name: &str, since: u64) {
    let world = &ground.world;
    let mut given = given(&scenario.specs(world, name));
    if scenario.adopts() {
        // What others gave stays.
        given.groups.insert(THEIR_GROUP.to_owned());
    }
    let (role, cluster) = (scenario.role(world, name), world.cluster(name));
    for call in ground.aws_calls(name, since).iter().filter(|call| call.write) {
        let told = || format!("{name}: {} {:?}", call.operation, call.input);
        let is = |member: &str, wanted: &str| call.text(member).is_none_or(|text| text == wanted);
        match call.service {
            Service::Iam => assert!(
                is("RoleName", role.name.as_str()) && call.input.contains_key("RoleName"),
                "{}",
                told()
            ),
            Service::Eks => {
                let own = call
                    .text("resourceArn")
                    .is_none_or(|arn| arn.contains(&format!("/{}/", cluster.name)));
                let ours = is("principalArn", &role.to_string()) && is("clusterName", &cluster.name);
                assert!(own && ours && call.account == cluster.account, "{}", told());
            }
            Service::Sts => {}
        }
        if let Some(trust) = trust(call) {
            let let_in = lets_in(ground, scenario, trust);
            assert!(let_in, "{} lets in who is not of the chain", told());
        }
        let grant = gives(call);
        if let Some(policy) = &grant.policy {
            assert!(
                given.policies.contains(policy),
                "{} is more than {:?}",
                told(),
                given.policies
            );
        }
        assert!(
            grant.groups.is_subset(&given.groups),
            "{} is more than {:?}",
            told(),
            given.groups
        );
        let anything = grant.policy.is_some() || call.operation == "CreateAccessEntry";
        assert!(!(anything && scenario.takes_away()), "{}", told());
    }
}

/// The trust policy that a call sets.
fn trust(call: &Call) -> Option<&str> {
    let member = match call.operation.as_str() {
        "CreateRole" => "AssumeRolePolicyDocument",
        "UpdateAssumeRolePolicy" => "PolicyDocument",
        _ => return None,
    };
    let told = || panic!("{member} of {} is not in the log", call.operation);
    Some(call.text(member).unwrap_or_else(told))
}

/// Whether a trust policy lets the management role in and nobody else; on what was wired by hand, the one who was let in
/// by hand as well.
fn lets_in(ground: &Ground, scenario: &Scenario, trust: &str) -> bool {
    let world = &ground.world;
    let management = policy::deployer_trust(&world.hub().management_role_arn(None));
    let theirs = scenario.adopts().then(|| hand_made_trust(&by_hand_manager(world)));
    let theirs = theirs
        .iter()
        .map(|theirs| Document::parse(&theirs.to_string()).unwrap());
    let known: Vec<Document> = (std::iter::once(management).chain(theirs))
        .flat_map(|document| document.statements)
        .map(|statement| Document::new(vec![statement]))
        .collect();
    let document = Document::parse(trust).unwrap();
    let mut statements = document.statements.into_iter();
    statements.all(|statement| {
        let one = Document::new(vec![statement]);
        known.iter().any(|known| known.means(&one))
    })
}

#[derive(Default)]
struct Gives {
    policy: Option<(String, BTreeSet<String>)>,
    groups: BTreeSet<String>,
}

/// What a call to EKS gives.
fn gives(call: &Call) -> Gives {
    let input = &call.input;
    let groups = input.get("kubernetesGroups").map(texts).unwrap_or_default();
    let policy = (call.operation == "AssociateAccessPolicy").then(|| {
        let arn = call.text("policyArn").unwrap_or_default();
        let scope = &input["accessScope"];
        let namespaces = texts(&scope["namespaces"]);
        let whole = scope["type"] == "cluster";
        assert_eq!(whole, namespaces.is_empty(), "{input:?}");
        (arn.rsplit('/').next().unwrap_or_default().to_owned(), namespaces)
    });
    Gives { policy, groups }
}

/// How two ends differ, for people.
pub(super) fn difference(clean: &Value, end: &Value) -> String {
    let mut all = BTreeMap::new();
    differ("", clean, end, &mut all);
    let lines: Vec<String> = all
        .into_iter()
        .map(|(path, (clean, end))| format!("  {path}: {clean} in a clean run, here {end}"))
        .collect();
    lines.join("\n")
}

fn differ(path: &str, clean: &Value, end: &Value, all: &mut BTreeMap<String, (String, String)>) {
    match (clean, end) {
        (Value::Object(clean), Value::Object(end)) => {
            for key in clean.keys().chain(end.keys()) {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differ(&format!("{path}.{key}"), &of(clean), &of(end), all);
            }
        }
        (Value::Array(clean), Value::Array(end)) if clean.len() == end.len() => {
            for (index, (clean, end)) in clean.iter().zip(end).enumerate() {
                differ(&format!("{path}[{index}]"), clean, end, all);
            }
        }
        (clean, end) if clean == end => {}
        (clean, end) => {
            all.insert(path.to_owned(), (clean.to_string(), end.to_string()));
        }
    }
}
