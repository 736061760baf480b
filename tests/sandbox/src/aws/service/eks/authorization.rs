//! What the caller's policies must allow, with the condition keys of the service authorization reference.
//!
//! The resource type `access-entry` has the keys `aws:ResourceTag/*`, `eks:principalArn`, `eks:accessEntryType`,
//! `eks:kubernetesGroups`, `eks:username` and `eks:clusterName`. When an entry does not exist (any more), what is
//! known of it is what the request says: its cluster and principal.

use std::collections::BTreeMap;

use super::entry::{Entry, Principal};
use super::input::Input;
use super::{Call, State};
use crate::aws::contract::{ApiError, Check};

type Context = BTreeMap<String, Vec<String>>;

impl Call<'_> {
    /// Refuses the call unless the caller's policies allow every check.
    pub(super) fn authorize(&self, checks: &[Check]) -> Result<(), ApiError> {
        self.world.authorize(self.caller, checks, self.request)
    }

    /// The check of an operation on nothing in particular.
    pub(super) fn on_anything(&self) -> Check {
        Check {
            action: action(self.request.operation),
            resource: "*".to_owned(),
            context: Context::new(),
        }
    }

    /// The check of an operation on a cluster.
    pub(super) fn on_cluster(&self, state: &State, name: &str) -> Check {
        let tags = state.clusters.get(&self.key(name)).map(|cluster| &cluster.seed.tags);
        let context = resource_tags(tags.into_iter().flatten());
        Check {
            action: action(self.request.operation),
            resource: self.arn(&format!("cluster/{name}")),
            context,
        }
    }

    /// The check of an operation on the entry of a principal.
    pub(super) fn on_entry(&self, state: &State, cluster: &str, principal: &str) -> Check {
        let entry = state
            .clusters
            .get(&self.key(cluster))
            .and_then(|found| found.entry(principal));
        let mut context = Context::new();
        if let Some(entry) = entry {
            context = resource_tags(entry.tags.iter());
            entry_keys(&mut context, entry);
        } else {
            set(&mut context, "eks:clusterName", vec![cluster.to_owned()]);
            set(&mut context, "eks:principalArn", vec![principal.to_owned()]);
        }
        let resource = entry.map_or_else(|| self.entry_arn(cluster, principal, "*"), |entry| entry.arn.clone());
        Check {
            action: action(self.request.operation),
            resource,
            context,
        }
    }

    /// The checks of creating an entry: on the cluster, and for its tags on the entry that is to be.
    pub(super) fn on_new_entry(&self, state: &State, entry: &Entry) -> Vec<Check> {
        let input = Input(&self.request.input);
        let mut create = self.on_cluster(state, &entry.cluster);
        request_tags(&mut create.context, &entry.tags);
        set(&mut create.context, "eks:principalArn", vec![entry.principal.clone()]);
        set(&mut create.context, "eks:accessEntryType", vec![entry.kind.clone()]);
        set(&mut create.context, "eks:kubernetesGroups", entry.groups.clone());
        set(
            &mut create.context,
            "eks:username",
            input.optional("username").into_iter().map(str::to_owned).collect(),
        );
        let mut checks = vec![create];
        if !entry.tags.is_empty() {
            let mut context = Context::new();
            request_tags(&mut context, &entry.tags);
            entry_keys(&mut context, entry);
            checks.push(Check {
                action: "eks:TagResource",
                resource: entry.arn.clone(),
                context,
            });
        }
        checks
    }

    /// The ARN of an entry; a principal that cannot be one has `*` in place of what it does not have.
    pub(super) fn entry_arn(&self, cluster: &str, principal: &str, uuid: &str) -> String {
        let (kind, account, name) =
            Principal::parse(principal).map_or(("*", "*", "*"), |found| (found.kind, found.account, found.name));
        self.arn(&format!("access-entry/{cluster}/{kind}/{account}/{name}/{uuid}"))
    }

    fn arn(&self, resource: &str) -> String {
        let (partition, region) = (self.request.partition, &self.request.region);
        format!("arn:{partition}:eks:{region}:{}:{resource}", self.caller.account)
    }
}

/// Sets a condition key; a key without values is absent.
pub(super) fn set(context: &mut Context, key: &str, values: Vec<String>) {
    if values.is_empty() {
        context.remove(key);
    } else {
        context.insert(key.to_owned(), values);
    }
}

/// The keys of the tags that a request gives.
pub(super) fn request_tags(context: &mut Context, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        set(context, &format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    set(context, "aws:TagKeys", tags.keys().cloned().collect());
}

fn resource_tags<'a>(tags: impl Iterator<Item = (&'a String, &'a String)>) -> Context {
    tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()]))
        .collect()
}

fn entry_keys(context: &mut Context, entry: &Entry) {
    set(context, "eks:clusterName", vec![entry.cluster.clone()]);
    set(context, "eks:principalArn", vec![entry.principal.clone()]);
    set(context, "eks:accessEntryType", vec![entry.kind.clone()]);
    set(context, "eks:kubernetesGroups", entry.groups.clone());
    set(context, "eks:username", vec![entry.username.clone()]);
}

/// The IAM action of an operation.
fn action(operation: &str) -> &'static str {
    match operation {
        "DescribeCluster" => "eks:DescribeCluster",
        "ListAccessEntries" => "eks:ListAccessEntries",
        "CreateAccessEntry" => "eks:CreateAccessEntry",
        "DescribeAccessEntry" => "eks:DescribeAccessEntry",
        "UpdateAccessEntry" => "eks:UpdateAccessEntry",
        "DeleteAccessEntry" => "eks:DeleteAccessEntry",
        "AssociateAccessPolicy" => "eks:AssociateAccessPolicy",
        "DisassociateAccessPolicy" => "eks:DisassociateAccessPolicy",
        "ListAssociatedAccessPolicies" => "eks:ListAssociatedAccessPolicies",
        "ListAccessPolicies" => "eks:ListAccessPolicies",
        "TagResource" => "eks:TagResource",
        _ => "eks:UntagResource",
    }
}
