//! What a plan would change of what stands, for people to read before it is carried out. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    argocd::ClusterSecret,
    aws::{LONGEST_SESSION, Role, WantedRole},
    domain::{
        eks::{AccessScope, Associations},
        ownership::{Tags, missing_tags},
    },
    policy::{self, Difference, Document, Effect, differences, differences_of},
};

use super::{
    observe::{Secrets, Spoke},
    plan::{entry_tags, primary},
    step::{Step, scope_in_words},
};

/// What is planned for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// `ManagedCluster` or `ManagementRole`.
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    /// The ARN of its EKS cluster, where that is known.
    pub of: Option<String>,
    /// What looking at it brought, or why there is no plan.
    pub looked: Result<Looked, Unplanned>,
}

/// Why there is no plan for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplanned {
    /// It asks for what it may not have, or what nobody could give: a person has to change it.
    Refused(String),
    /// Something that the plan needs could not be looked at.
    Unseen(String),
}

impl From<String> for Unplanned {
    fn from(why: String) -> Self {
        Self::Unseen(why)
    }
}

/// What looking at an object brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// What would be written, in order.
    pub changes: Vec<Change>,
    /// What stands in the way of the rest, in words.
    pub waits: Vec<String>,
    /// What a person should know beside it.
    pub notes: Vec<String>,
    /// What could not be looked at, so that more may be to do than is told.
    pub unseen: Vec<String>,
    /// Applications and ApplicationSets that would gain the cluster as a destination.
    pub gains: Vec<String>,
    /// Applications and ApplicationSets that would lose it.
    pub loses: Vec<String>,
}

impl Planned {
    /// Whether it was looked at, there is nothing to do, and nothing stands in the way.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let nothing =
            |looked: &Looked| looked.changes.is_empty() && looked.waits.is_empty() && looked.unseen.is_empty();
        self.looked.as_ref().is_ok_and(nothing)
    }
}

/// Where a step writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Side {
    /// To AWS.
    #[serde(rename = "AWS")]
    Aws,
    /// To Kubernetes.
    Kubernetes,
}

impl Side {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Kubernetes => "Kubernetes",
        }
    }
}

/// A step, with what it changes of what stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The step's name.
    pub step: &'static str,
    /// Where it writes.
    pub on: Side,
    /// The step in words.
    pub words: String,
    /// What becomes of single values; what stays as it is is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// What becomes of a policy document, statement by statement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<policy::Change>,
    /// Access that somebody has now and has no more afterwards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// A value that a step changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    /// What it is.
    pub of: String,
    /// What it is now, where it is there and may be shown.
    pub before: Option<String>,
    /// What it will be; `None` when it goes.
    pub after: Option<String>,
}

impl Change {
    /// A step of which nothing more is to be said.
    #[must_use]
    pub fn plain(step: &'static str, on: Side, words: String) -> Self {
        Self {
            step,
            on,
            words,
            values: Vec::new(),
            policy: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// The same with what becomes of single values.
    #[must_use]
    pub fn with_values(mut self, values: Vec<Value>) -> Self {
        self.values = values;
        self
    }

    /// The same with what becomes of a policy document, and with the access that is lost by that.
    #[must_use]
    pub fn with_policy(mut self, differences: &[Difference]) -> Self {
        self.policy = differences.iter().map(policy::Change::from).collect();
        self.lost.extend(narrowed(differences));
        self
    }

    /// The same with access that is lost.
    #[must_use]
    pub fn losing(mut self, lost: impl IntoIterator<Item = String>) -> Self {
        self.lost.extend(lost);
        self
    }
}

/// What takes access away among the differences of a document, as far as its statements alone tell.
fn narrowed(differences: &[Difference]) -> Vec<String> {
    let narrows = |difference: &&Difference| match difference {
        Difference::Unreadable | Difference::Version { .. } => false,
        Difference::Surplus(statement) => statement.effect == Effect::Allow,
        Difference::Missing(statement) => statement.effect == Effect::Deny,
        Difference::Element {
            element,
            surplus,
            missing,
            ..
        } if element.starts_with("Condition") => surplus.is_empty() && !missing.is_empty(),
        Difference::Element { surplus, .. } => !surplus.is_empty(),
    };
    let told = |difference: &Difference| format!("by the policy: {difference}");
    differences.iter().filter(narrows).map(told).collect()
}

/// What the steps of a plan change of what stands.
#[must_use]
pub fn changes(steps: &[Step], spoke: &Spoke, secrets: &Secrets, recorded_secret: Option<&str>) -> Vec<Change> {
    steps
        .iter()
        .map(|step| change(step, spoke, secrets, recorded_secret))
        .collect()
}

fn change(step: &Step, spoke: &Spoke, secrets: &Secrets, recorded_secret: Option<&str>) -> Change {
    let plain = |on: Side| Change::plain(step.name(), on, step.words());
    let aws = || plain(Side::Aws);
    let role = spoke.role.as_ref();
    let entry = spoke.entry.as_ref();
    let nothing = Associations::new();
    let found = spoke.associations.as_ref().unwrap_or(&nothing);
    match step {
        Step::CreateRole { role } => new_role(aws(), role),
        Step::DeleteRole { .. } => aws().losing(role.map(|role| format!("every session of role {}", role.arn))),
        Step::SetBoundary { boundary, .. } => aws().with_values(vec![boundary_of(role, &boundary.to_string())]),
        Step::SetTrust { differences, .. } => aws().with_policy(differences),
        Step::AddTrust { trust, .. } | Step::LeaveRole { trust, .. } => {
            let now = role.map(|role| role.trust.as_str()).unwrap_or_default();
            aws().with_policy(&differences_of(now, trust))
        }
        Step::AdoptRole { tags, .. } => aws().with_values(tag_values(role.map(|role| &role.tags), tags)),
        Step::TagRole { tags, .. } => aws().with_values(tag_values(role.map(|role| &role.tags), tags)),
        Step::UpdateRole { description, .. } => aws().with_values(settings_of(role, description)),
        Step::CreateAccessEntry { entry, role_id } => {
            let mut values = tag_values(None, &entry_tags(&entry.tags, role_id.as_deref()));
            values.extend(groups(&BTreeSet::new(), &entry.groups));
            aws().with_values(values)
        }
        Step::SetGroups { groups: wanted, .. } => {
            let none = BTreeSet::new();
            let now = entry.map_or(&none, |entry| &entry.groups);
            let lost = now.difference(wanted).map(|group| format!("Kubernetes group {group}"));
            aws().with_values(groups(now, wanted)).losing(lost)
        }
        Step::SetUsername {
            username,
            found,
            groups: wanted,
            found_groups,
        } => {
            let lost = found_groups.difference(wanted);
            let lost = lost.map(|group| format!("Kubernetes group {group}"));
            let value = Value {
                of: "user name".to_owned(),
                before: Some(found.clone()),
                after: Some(username.clone()),
            };
            let mut values = vec![value];
            values.extend(groups(found_groups, wanted));
            aws()
                .with_values(values)
                .losing([format!("what RBAC gives to user {found}")].into_iter().chain(lost))
        }
        Step::TagAccessEntry { tags, .. } | Step::AdoptAccessEntry { tags, .. } => {
            aws().with_values(tag_values(entry.map(|entry| &entry.tags), tags))
        }
        Step::DeleteAccessEntry => {
            let policies = found.iter().map(|(policy, scope)| in_scope(policy.name(), scope));
            let groups = entry.into_iter().flat_map(|entry| &entry.groups);
            let groups = groups.map(|group| format!("Kubernetes group {group}"));
            aws().losing(policies.chain(groups))
        }
        Step::Associate { policy, scope } => aws().with_values(vec![Value {
            of: format!("scope of {}", policy.name()),
            before: None,
            after: Some(scope_in_words(scope)),
        }]),
        Step::Rescope { policy, scope, .. } | Step::Reassociate { policy, scope, .. } => {
            let now = found.get(policy);
            let narrower = now.filter(|now| !scope.covers(now));
            let lost = narrower.map(|now| {
                let kept = scope_in_words(scope);
                format!("{}, but for {kept}", in_scope(policy.name(), now))
            });
            let value = Value {
                of: format!("scope of {}", policy.name()),
                before: now.map(scope_in_words),
                after: Some(scope_in_words(scope)),
            };
            aws().with_values(vec![value]).losing(lost)
        }
        Step::Disassociate { policy, .. } => {
            let lost = found.get(policy).map(|scope| in_scope(policy.name(), scope));
            aws().losing(lost)
        }
        Step::ApplySecret { secret, .. } => {
            let now = replaced(step, secrets, recorded_secret);
            let values = secret.values_from(now).into_iter();
            let values = values.map(|(of, before, after)| Value { of, before, after });
            plain(Side::Kubernetes).with_values(values.collect())
        }
        Step::NullSecretKeys { .. } | Step::DropLabels { .. } | Step::DropOwners { .. } => plain(Side::Kubernetes),
        Step::DeleteSecret { name, .. } => {
            let stays = primary(secrets, "", recorded_secret).is_some_and(|kept| kept.name != *name);
            let lost = (!stays).then(|| "Argo CD's way to the cluster".to_owned());
            plain(Side::Kubernetes).losing(lost)
        }
    }
}

/// The cluster Secret that a step writes over: ours, or the one of others that it takes over.
#[must_use]
pub fn replaced<'a>(step: &Step, secrets: &'a Secrets, recorded: Option<&str>) -> Option<&'a ClusterSecret> {
    let Step::ApplySecret { secret, adopts, .. } = step else {
        return None;
    };
    let adoptable = secrets.adoptable.as_ref().filter(|_| adopts.is_some());
    primary(secrets, &secret.name, recorded).or_else(|| adoptable.map(|adoptable| &adoptable.secret))
}

fn in_scope(policy: &str, scope: &AccessScope) -> String {
    format!("{policy} in {}", scope_in_words(scope))
}

/// A role that is to be made.
#[must_use]
pub fn new_role(change: Change, role: &WantedRole) -> Change {
    let mut values = vec![boundary_of(None, &role.boundary.to_string())];
    values.extend(tag_values(None, &role.tags));
    let trust = differences(&Document::new(Vec::new()), &role.trust);
    change.with_values(values).with_policy(&trust)
}

/// The permissions boundary that a role has, and is to have.
#[must_use]
pub fn boundary_of(role: Option<&Role>, after: &str) -> Value {
    Value {
        of: "permissions boundary".to_owned(),
        before: role.and_then(|role| role.boundary.clone()),
        after: Some(after.to_owned()),
    }
}

/// The description and the longest session that are set back.
#[must_use]
pub fn settings_of(role: Option<&Role>, description: &str) -> Vec<Value> {
    let seconds = |seconds: i32| format!("{seconds} s");
    let all = [
        Value {
            of: "description".to_owned(),
            before: role.and_then(|role| role.description.clone()),
            after: Some(description.to_owned()),
        },
        Value {
            of: "longest session".to_owned(),
            before: role.and_then(|role| role.longest_session).map(seconds),
            after: Some(seconds(LONGEST_SESSION)),
        },
    ];
    all.into_iter().filter(|value| value.before != value.after).collect()
}

/// The tags that are set anew.
#[must_use]
pub fn tag_values(now: Option<&Tags>, wanted: &Tags) -> Vec<Value> {
    let none = BTreeMap::new();
    let now = now.unwrap_or(&none);
    let value = |(key, value): (String, String)| Value {
        before: now.get(&key).cloned(),
        of: format!("tag {key}"),
        after: Some(value),
    };
    missing_tags(wanted, now).into_iter().map(value).collect()
}

fn groups(now: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Vec<Value> {
    let value = |group: &String, is: bool| Value {
        of: "Kubernetes group".to_owned(),
        before: (!is).then(|| group.clone()),
        after: is.then(|| group.clone()),
    };
    let gained = wanted.difference(now).map(|group| value(group, true));
    let lost = now.difference(wanted).map(|group| value(group, false));
    gained.chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::eks::{AccessEntry, AccessPolicyArn};

    fn policy(name: &str) -> AccessPolicyArn {
        AccessPolicyArn::from_aws(&format!("arn:aws:eks::aws:cluster-access-policy/{name}"))
    }

    fn namespaces(names: &[&str]) -> AccessScope {
        AccessScope::Namespaces(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn spoke() -> Spoke {
        Spoke {
            entry: Some(AccessEntry {
                arn: "arn:entry".into(),
                principal: "arn:role".into(),
                kind: "STANDARD".into(),
                username: None,
                groups: ["team".to_owned()].into(),
                ..AccessEntry::default()
            }),
            associations: Some(
                [
                    (policy("Admin"), AccessScope::Cluster),
                    (policy("Edit"), namespaces(&["a"])),
                ]
                .into(),
            ),
            ..Spoke::default()
        }
    }

    fn told(step: Step) -> Change {
        changes(&[step], &spoke(), &Secrets::default(), None).remove(0)
    }

    #[test]
    fn narrowing_loses_access_and_widening_does_not() {
        let rescope = |name: &str, scope: AccessScope| {
            told(Step::Rescope {
                found: spoke().associations.unwrap()[&policy(name)].clone(),
                policy: policy(name),
                scope,
            })
        };
        let narrower = rescope("Admin", namespaces(&["a"]));
        assert_eq!(narrower.lost, ["Admin in the whole cluster, but for namespaces a"]);
        assert_eq!(narrower.values[0].before.as_deref(), Some("the whole cluster"));
        assert!(rescope("Edit", namespaces(&["a", "b"])).lost.is_empty());
        assert!(rescope("Edit", AccessScope::Cluster).lost.is_empty());
        assert_eq!(
            rescope("Edit", namespaces(&["b"])).lost,
            ["Edit in namespaces a, but for namespaces b"]
        );
        assert_eq!(
            told(Step::Disassociate {
                policy: policy("Edit"),
                found: namespaces(&["a"]),
            })
            .lost,
            ["Edit in namespaces a"]
        );
        assert_eq!(
            told(Step::DeleteAccessEntry).lost,
            [
                "Admin in the whole cluster",
                "Edit in namespaces a",
                "Kubernetes group team"
            ]
        );
        let groups = told(Step::SetGroups {
            groups: ["other".to_owned()].into(),
            found: ["team".to_owned()].into(),
        });
        assert_eq!(groups.lost, ["Kubernetes group team"]);
        assert_eq!(groups.values.len(), 2);
    }

    #[test]
    fn a_document_loses_by_what_it_allows_no_more_and_by_what_it_denies() {
        let document = |statements: serde_json::Value| {
            let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
            Document::parse(&text).unwrap()
        };
        let lost = |before: serde_json::Value, after: serde_json::Value| {
            let change = Change::plain("SetTrust", Side::Aws, String::new());
            change
                .with_policy(&differences(&document(before), &document(after)))
                .lost
        };
        let allow = |principals: &[&str]| json!({"Sid": "A", "Effect": "Allow", "Principal": {"AWS": principals}, "Action": "sts:AssumeRole"});
        let one = |lost: Vec<String>, part: &str| assert!(lost.len() == 1 && lost[0].contains(part), "{lost:?}");
        one(
            lost(json!([allow(&["a", "b"])]), json!([allow(&["b"])])),
            "Principal AWS: take away a",
        );
        assert!(lost(json!([allow(&["b"])]), json!([allow(&["a", "b"])])).is_empty());
        let mut held = allow(&["a"]);
        held["Condition"] = json!({"Bool": {"x": "true"}});
        one(
            lost(json!([allow(&["a"])]), json!([held])),
            "Condition Bool x: add true",
        );
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:*"});
        one(lost(json!([allow(&["a"])]), json!([allow(&["a"]), deny])), "Deny sts:*");
        one(lost(json!([allow(&["a"])]), json!([])), "take away statement A");
    }
}
