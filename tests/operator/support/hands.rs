//! What people do to AWS by hand, and what they see there.

use std::collections::{BTreeMap, BTreeSet};

use mooring::domain::arn::RoleArn;
use mooring_sandbox::aws::contract::{Answer, Service};
use serde_json::{Value, json};

use super::{HUB_ACCOUNT, World};

impl World {
    /// A call to IAM as the root of a cluster's account.
    pub(crate) fn try_iam(&self, account: &str, operation: &str, input: Value) -> Answer {
        let aws = &self.stage.aws;
        aws.call(&aws.root(account), Service::Iam, operation, input)
    }

    pub(crate) fn iam(&self, account: &str, operation: &str, input: Value) -> Value {
        self.try_iam(account, operation, input)
            .unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// Somebody deletes the management role, and makes another under its name.
    pub(crate) fn remake_management_role(&self, tags: &BTreeMap<String, String>) {
        let arn = self.hub().management_role_arn(None);
        let by_hand = |operation: &str, mut input: Value| {
            input["RoleName"] = json!(arn.name.as_str());
            self.iam(HUB_ACCOUNT, operation, input);
        };
        by_hand("DeleteRolePolicy", json!({"PolicyName": "mooring-assume-deployers"}));
        by_hand("DeleteRole", json!({}));
        let trust = loose_trust(HUB_ACCOUNT);
        let made = json!({"Path": arn.path, "AssumeRolePolicyDocument": trust, "Tags": iam_tags(tags)});
        by_hand("CreateRole", made);
    }

    /// A call to EKS about a cluster as the root of its account.
    pub(crate) fn try_eks(&self, cluster: &str, operation: &str, mut input: Value) -> Answer {
        let spec = self.cluster(cluster);
        let aws = &self.stage.aws;
        let key = if operation == "DescribeCluster" {
            "name"
        } else {
            "clusterName"
        };
        input[key] = json!(cluster);
        aws.call_in(&spec.region, &aws.root(&spec.account), Service::Eks, operation, input)
    }

    pub(crate) fn eks(&self, cluster: &str, operation: &str, input: Value) -> Value {
        self.try_eks(cluster, operation, input)
            .unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// The same about the access entry of a cluster's deployer role.
    pub(crate) fn entry(&self, cluster: &str, operation: &str, mut input: Value) -> Value {
        input["principalArn"] = json!(self.deployer(cluster).to_string());
        self.eks(cluster, operation, input)
    }

    /// The same call to IAM about a cluster's deployer role.
    pub(crate) fn role(&self, cluster: &str, operation: &str, mut input: Value) -> Value {
        input["RoleName"] = json!(self.deployer(cluster).name.as_str());
        self.iam(&self.cluster(cluster).account.clone(), operation, input)
    }

    /// The deployer role of a cluster, if one of its name is there.
    pub(crate) fn seen_role(&self, cluster: &str) -> Option<SeenRole> {
        let arn = self.deployer(cluster);
        self.seen_role_named(arn.account.as_str(), arn.name.as_str())
    }

    pub(crate) fn seen_role_named(&self, account: &str, name: &str) -> Option<SeenRole> {
        let answer = self.try_iam(account, "GetRole", json!({"RoleName": name}));
        match answer {
            Ok(answer) => Some(SeenRole::read(&answer["Role"])),
            Err(error) if error.code == "NoSuchEntity" => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The access entry of a cluster's deployer role, if it is there.
    pub(crate) fn seen_entry(&self, cluster: &str) -> Option<SeenEntry> {
        self.seen_entry_of(cluster, &self.deployer(cluster))
    }

    /// The access entry of a role on a cluster, if it is there.
    pub(crate) fn seen_entry_of(&self, cluster: &str, role: &RoleArn) -> Option<SeenEntry> {
        let principal = json!({"principalArn": role.to_string()});
        let entry = match self.try_eks(cluster, "DescribeAccessEntry", principal.clone()) {
            Ok(answer) => answer["accessEntry"].clone(),
            Err(error) if error.code == "ResourceNotFoundException" => return None,
            Err(error) => panic!("{error:?}"),
        };
        let associated = self.eks(cluster, "ListAssociatedAccessPolicies", principal);
        let policies = associated["associatedAccessPolicies"].as_array().unwrap().iter();
        let policy = |policy: &Value| {
            let name = text(&policy["policyArn"]).rsplit('/').next().unwrap().to_owned();
            let scope = &policy["accessScope"];
            let namespaces = strings(&scope["namespaces"]);
            let scope = if text(&scope["type"]) == "cluster" {
                "*".to_owned()
            } else {
                namespaces.into_iter().collect::<Vec<_>>().join(",")
            };
            (name, scope)
        };
        Some(SeenEntry {
            username: text(&entry["username"]),
            groups: strings(&entry["kubernetesGroups"]),
            tags: tag_map(&entry["tags"]),
            arn: text(&entry["accessEntryArn"]),
            policies: policies.map(policy).collect(),
        })
    }

    /// The resources that the management role may assume by its policy.
    pub(crate) fn assumable(&self) -> BTreeSet<String> {
        let role = self.hub().management_role_arn(None);
        let input = json!({"RoleName": role.name.as_str(), "PolicyName": "mooring-assume-deployers"});
        let Ok(answer) = self.try_iam(role.account.as_str(), "GetRolePolicy", input) else {
            return BTreeSet::new();
        };
        let policy = document(&answer["PolicyDocument"]);
        policy["Statement"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|statement| match &statement["Resource"] {
                Value::String(one) => BTreeSet::from([one.clone()]),
                many => strings(many),
            })
            .collect()
    }
}

/// A role as IAM shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenRole {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) trust: Value,
    pub(crate) boundary: Option<String>,
    pub(crate) description: String,
    /// In seconds.
    pub(crate) longest_session: i64,
    pub(crate) tags: BTreeMap<String, String>,
}

impl SeenRole {
    fn read(role: &Value) -> Self {
        let tags = role["Tags"].as_array().into_iter().flatten();
        Self {
            arn: text(&role["Arn"]),
            id: text(&role["RoleId"]),
            trust: document(&role["AssumeRolePolicyDocument"]),
            boundary: role["PermissionsBoundary"]["PermissionsBoundaryArn"]
                .as_str()
                .map(str::to_owned),
            description: role["Description"].as_str().unwrap_or_default().to_owned(),
            longest_session: role["MaxSessionDuration"].as_i64().unwrap(),
            tags: tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect(),
        }
    }
}

/// An access entry as EKS shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenEntry {
    pub(crate) arn: String,
    pub(crate) username: String,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Policies by name, with `*` or their namespaces.
    pub(crate) policies: BTreeMap<String, String>,
}

/// The ARN of an access policy.
pub(crate) fn policy_arn(name: &str) -> String {
    format!("arn:aws:eks::aws:cluster-access-policy/{name}")
}

/// A trust policy that lets a whole account in, as somebody in a hurry would write it.
pub(crate) fn loose_trust(account: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:root")}, "Action": "sts:AssumeRole",
    }]})
    .to_string()
}

/// A document as IAM gives it: URL-encoded JSON (IAM API, `Role`).
pub(crate) fn document(value: &Value) -> Value {
    let decoded = percent_encoding::percent_decode_str(value.as_str().unwrap())
        .decode_utf8()
        .unwrap();
    serde_json::from_str(&decoded).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn tag_map(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Tags as IAM takes them.
pub(crate) fn iam_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}
