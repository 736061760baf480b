//! Access entries: list, create, describe, update, delete.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::authorization::set;
use super::entry::{Entry, Principal};
use super::errors::{in_use, invalid_parameter, invalid_principal, no_entry, too_many_entries};
use super::input::Input;
use super::{Call, State, paging, rules};
use crate::aws::contract::{Answer, ApiError};
use crate::aws::wire::uuid;

/// Access entries of one cluster (quota L-C56B9FC3, not adjustable).
const MAX_ENTRIES: usize = 3_000;

impl State {
    pub(super) fn list_entries(&self, call: &Call<'_>) -> Answer {
        let input = Input(&call.request.input);
        let name = input.text("clusterName");
        call.authorize(&[call.on_cluster(self, name)])?;
        let cluster = self.cluster(call, name)?;
        cluster.must_have_entries()?;
        let policy = input.optional("associatedPolicyArn");
        let entries = cluster
            .entries
            .values()
            .filter_map(|entry| entry.seen(call.now, call.propagation));
        let principals = entries
            .filter(|entry| policy.is_none_or(|policy| entry.associations.contains_key(policy)))
            .map(|entry| Value::from(entry.principal.as_str()));
        paging::page(input, name, "accessEntries", principals.collect(), Map::new())
    }

    pub(super) fn create_entry(&mut self, call: &Call<'_>) -> Answer {
        let input = Input(&call.request.input);
        let name = input.text("clusterName").to_owned();
        let mut entry = call.new_entry(input);
        call.authorize(&call.on_new_entry(self, &entry))?;
        let cluster = self.cluster_mut(call, &name)?;
        cluster.must_have_entries()?;
        entry.kind = rules::kind(&name, input.optional("type"))?;
        rules::of_standard_only(&name, &entry.kind, input)?;
        rules::groups(&name, &entry.groups)?;
        rules::username(&name, input.optional("username").unwrap_or_default())?;
        rules::tags(&name, &entry.tags)?;
        if Principal::parse(&entry.principal).is_none() {
            return Err(invalid_principal(&name));
        }
        if entry.principal.contains(":role/aws-service-role/") {
            let message = "The specified principalArn is invalid: service-linked roles cannot have access entries.";
            return Err(invalid_parameter(&name, message));
        }
        if let Some(existing) = cluster.entry(&entry.principal) {
            // A request that is repeated with its token is answered as the first one was.
            let repeated = entry.token.is_some() && existing.token == entry.token;
            return if repeated {
                Ok(json!({"accessEntry": existing.describe()}))
            } else {
                Err(in_use(&name))
            };
        }
        if cluster
            .entries
            .values()
            .filter(|entry| entry.latest().is_some())
            .count()
            >= MAX_ENTRIES
        {
            return Err(too_many_entries(&name, MAX_ENTRIES));
        }
        entry.principal_id = call
            .world
            .principal_id(&entry.principal)
            .ok_or_else(|| invalid_principal(&name))?;
        let output = json!({"accessEntry": entry.describe()});
        cluster.write(&entry.principal.clone(), Some(entry), call);
        Ok(output)
    }

    pub(super) fn describe_entry(&self, call: &Call<'_>) -> Answer {
        let (name, principal) = call.names();
        call.authorize(&[call.on_entry(self, name, principal)])?;
        let cluster = self.cluster(call, name)?;
        cluster.must_have_entries()?;
        let entry = cluster.seen(principal, call).ok_or_else(|| no_entry(name))?;
        Ok(json!({"accessEntry": entry.describe()}))
    }

    pub(super) fn update_entry(&mut self, call: &Call<'_>) -> Answer {
        let (name, principal) = call.names();
        let input = Input(&call.request.input);
        let mut check = call.on_entry(self, name, principal);
        if let Some(groups) = input.texts("kubernetesGroups") {
            set(&mut check.context, "eks:kubernetesGroups", groups);
        }
        if let Some(username) = input.optional("username") {
            set(&mut check.context, "eks:username", vec![username.to_owned()]);
        }
        call.authorize(&[check])?;
        let cluster = self.cluster_mut(call, name)?;
        cluster.must_have_entries()?;
        let mut entry = cluster.entry(principal).ok_or_else(|| no_entry(name))?.clone();
        rules::of_standard_only(name, &entry.kind, input)?;
        if let Some(groups) = input.texts("kubernetesGroups") {
            rules::groups(name, &groups)?;
            entry.groups = groups;
        }
        if let Some(username) = input.optional("username") {
            rules::username(name, username)?;
            entry.username = call.username(principal, username);
        }
        entry.modified = call.time;
        let output = json!({"accessEntry": entry.describe()});
        cluster.write(principal, Some(entry), call);
        Ok(output)
    }

    pub(super) fn delete_entry(&mut self, call: &Call<'_>) -> Answer {
        let (name, principal) = call.names();
        call.authorize(&[call.on_entry(self, name, principal)])?;
        let cluster = self.cluster_mut(call, name)?;
        cluster.must_have_entries()?;
        cluster.entry(principal).ok_or_else(|| no_entry(name))?;
        cluster.write(principal, None, call);
        Ok(json!({}))
    }
}

impl Call<'_> {
    /// The cluster and the principal of an input.
    pub(super) fn names(&self) -> (&str, &str) {
        let input = Input(&self.request.input);
        (input.text("clusterName"), input.text("principalArn"))
    }

    fn new_entry(&self, input: Input<'_>) -> Entry {
        let (cluster, principal) = self.names();
        let given = Value::Object(input.0.clone());
        Entry {
            cluster: cluster.to_owned(),
            principal: principal.to_owned(),
            principal_id: String::new(),
            arn: self.entry_arn(cluster, principal, &uuid()),
            groups: input.texts("kubernetesGroups").unwrap_or_default(),
            username: self.username(principal, input.optional("username").unwrap_or_default()),
            kind: input.optional("type").unwrap_or("STANDARD").to_owned(),
            tags: input.tags(),
            created: self.time,
            modified: self.time,
            associations: BTreeMap::new(),
            token: input
                .optional("clientRequestToken")
                .map(|token| (token.to_owned(), given)),
        }
    }

    /// The user name asked for, or the one that EKS gives.
    fn username(&self, principal: &str, given: &str) -> String {
        let generated = || Principal::parse(principal).map(|parsed| parsed.username(principal, self.request.partition));
        if given.is_empty() {
            generated().unwrap_or_default()
        } else {
            given.to_owned()
        }
    }
}

/// The entry of an access entry's ARN, as cluster and principal.
pub(super) fn by_arn(state: &State, call: &Call<'_>, arn: &str) -> Result<(String, String), ApiError> {
    let mut own = state
        .clusters
        .values()
        .filter(|cluster| cluster.seed.account == call.caller.account && cluster.seed.region == call.request.region);
    let found = own.find_map(|cluster| {
        let mut entries = cluster.entries.values().filter_map(|entry| entry.latest());
        entries
            .find(|entry| entry.arn == arn)
            .map(|entry| (entry.cluster.clone(), entry.principal.clone()))
    });
    found.ok_or_else(|| super::errors::no_resource(arn))
}
