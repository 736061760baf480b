//! Access policies associated with entries.

use serde_json::{Map, json};

use super::authorization::set;
use super::entry::AssociatedPolicy;
use super::errors::{invalid_parameter, no_entry, not_associated};
use super::input::Input;
use super::{Call, State, paging, policies, rules};
use crate::aws::contract::{Answer, Check};

impl State {
    /// Associates a policy, or gives an association another scope. An entry that was created a moment ago may not be
    /// there yet (aws.md 1.2).
    pub(super) fn associate(&mut self, call: &Call<'_>) -> Answer {
        let (name, principal) = call.names();
        let input = Input(&call.request.input);
        let policy = input.text("policyArn");
        let scope = input.structure("accessScope");
        let namespaces = scope.and_then(|scope| scope.texts("namespaces")).unwrap_or_default();
        let kind = scope.and_then(|scope| scope.optional("type"));
        call.authorize(&[association_check(
            call.on_entry(self, name, principal),
            policy,
            kind,
            namespaces,
        )])?;
        let cluster = self.cluster_mut(call, name)?;
        cluster.must_have_entries()?;
        cluster.seen(principal, call).ok_or_else(|| no_entry(name))?;
        let mut entry = cluster.entry(principal).ok_or_else(|| no_entry(name))?.clone();
        rules::takes_policies(name, &entry.kind)?;
        if !policies::exists(call.request.partition, policy) {
            return Err(invalid_parameter(
                name,
                "The specified policyArn is invalid: invalid policy.",
            ));
        }
        let empty = Map::new();
        let mut namespaces = rules::scope(name, scope.unwrap_or(Input(&empty)))?;
        if let Some(existing) = entry.associations.get(policy).filter(|_| cluster.seed.scopes_stay) {
            namespaces.clone_from(&existing.namespaces);
        }
        let associated = entry
            .associations
            .get(policy)
            .map_or(call.time, |existing| existing.associated);
        let association = AssociatedPolicy {
            policy_arn: policy.to_owned(),
            namespaces,
            associated,
            modified: call.time,
        };
        let output = json!({
            "clusterName": name,
            "principalArn": principal,
            "associatedAccessPolicy": association.describe(),
        });
        entry.associations.insert(policy.to_owned(), association);
        cluster.write(principal, Some(entry), call);
        Ok(output)
    }

    pub(super) fn disassociate(&mut self, call: &Call<'_>) -> Answer {
        let (name, principal) = call.names();
        let policy = Input(&call.request.input).text("policyArn");
        let mut check = call.on_entry(self, name, principal);
        let stands = self
            .clusters
            .get(&call.key(name))
            .and_then(|cluster| cluster.entry(principal));
        let association = stands.and_then(|entry| entry.associations.get(policy));
        let kind = association.map(|association| {
            if association.namespaces.is_some() {
                "namespace"
            } else {
                "cluster"
            }
        });
        let namespaces = association
            .and_then(|association| association.namespaces.clone())
            .unwrap_or_default();
        check = association_check(check, policy, kind, namespaces);
        call.authorize(&[check])?;
        let cluster = self.cluster_mut(call, name)?;
        cluster.must_have_entries()?;
        let mut entry = cluster.entry(principal).ok_or_else(|| no_entry(name))?.clone();
        entry
            .associations
            .remove(policy)
            .ok_or_else(|| not_associated(name, policy))?;
        cluster.write(principal, Some(entry), call);
        Ok(json!({}))
    }

    pub(super) fn list_associations(&self, call: &Call<'_>) -> Answer {
        let (name, principal) = call.names();
        call.authorize(&[call.on_entry(self, name, principal)])?;
        let cluster = self.cluster(call, name)?;
        cluster.must_have_entries()?;
        let entry = cluster.seen(principal, call).ok_or_else(|| no_entry(name))?;
        let associations = entry.associations.values().map(AssociatedPolicy::describe).collect();
        let others = Map::from_iter([
            ("clusterName".to_owned(), name.into()),
            ("principalArn".to_owned(), principal.into()),
        ]);
        paging::page(
            Input(&call.request.input),
            name,
            "associatedAccessPolicies",
            associations,
            others,
        )
    }
}

/// A check on an entry with the keys of an association.
fn association_check(mut check: Check, policy: &str, kind: Option<&str>, namespaces: Vec<String>) -> Check {
    set(&mut check.context, "eks:policyArn", vec![policy.to_owned()]);
    set(
        &mut check.context,
        "eks:accessScope",
        kind.into_iter().map(str::to_owned).collect(),
    );
    set(&mut check.context, "eks:namespaces", namespaces);
    check
}
