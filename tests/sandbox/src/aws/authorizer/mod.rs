//! A cluster's authorizer for access policies: what the policies allow that are associated with the caller's access entry
//! now. It never denies: what it does not allow is left to RBAC, which stands beside it and knows the entry's groups.
//!
//! Source: EKS user guide, "Associate access policies with access entries" and "Review access policy permissions".

mod policies;

use serde_json::{Value, json};

use self::policies::{Policy, Rule};
use super::identity::Identity;
use super::service::eks::{AssociatedPolicy, Eks, Key};

/// What a user wants to do.
#[derive(Clone, Copy, Debug)]
enum Attempt<'a> {
    Resource {
        verb: &'a str,
        group: &'a str,
        /// With its subresource: `pods/log`.
        resource: &'a str,
        /// Empty outside of namespaces. As Kubernetes has it, a request for one namespace is in that namespace.
        namespace: &'a str,
    },
    /// A path such as `/metrics`.
    Path,
}

/// The status of a `SubjectAccessReview`.
pub(super) fn review(eks: &Eks, cluster: &Key, spec: &Value) -> Value {
    let access = Identity::of_extra(&spec["extra"]).and_then(|identity| eks.access(cluster, &identity));
    let text = |attributes: &Value, name: &str| attributes[name].as_str().unwrap_or_default().to_owned();
    let wanted = &spec["resourceAttributes"];
    let (mut resource, subresource) = (text(wanted, "resource"), text(wanted, "subresource"));
    if !subresource.is_empty() {
        resource = format!("{resource}/{subresource}");
    }
    let (verb, group, namespace) = (text(wanted, "verb"), text(wanted, "group"), text(wanted, "namespace"));
    let attempt = if wanted.is_object() {
        Attempt::Resource {
            verb: &verb,
            group: &group,
            resource: &resource,
            namespace: &namespace,
        }
    } else {
        Attempt::Path
    };
    let access = access.as_ref();
    let mut policies = access.into_iter().flat_map(|access| &access.policies);
    match policies.find(|policy| allows(policy, attempt)) {
        Some(policy) => {
            let principal = access.map(|access| access.principal_arn.as_str()).unwrap_or_default();
            let reason = format!(
                "EKS access policy: allowed by {}, associated with the access entry of {principal}",
                policy.policy_arn
            );
            json!({"allowed": true, "reason": reason})
        }
        None => json!({"allowed": false}),
    }
}

fn allows(associated: &AssociatedPolicy, attempt: Attempt<'_>) -> bool {
    let Some(policy) = Policy::of_arn(&associated.policy_arn) else {
        return false;
    };
    match attempt {
        Attempt::Path => associated.namespaces.is_none() && policy.every_path,
        Attempt::Resource {
            verb,
            group,
            resource,
            namespace,
        } => {
            let in_scope = associated
                .namespaces
                .as_ref()
                .is_none_or(|scopes| !namespace.is_empty() && scopes.iter().any(|scope| glob(scope, namespace)));
            in_scope && policy.rules().any(|rule| rule.allows(verb, group, resource))
        }
    }
}

impl Rule {
    fn allows(&self, verb: &str, group: &str, resource: &str) -> bool {
        let has = |list: &[&str], wanted: &str| list.contains(&"*") || list.contains(&wanted);
        has(self.verbs, verb) && has(self.groups, group) && has(self.resources, resource)
    }
}

/// Whether a namespace is one that a scope means: `dev-*` means all that begin so.
fn glob(scope: &str, namespace: &str) -> bool {
    match scope.split_once('*') {
        None => scope == namespace,
        Some((start, rest)) => namespace.strip_prefix(start).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| glob(rest, &left[at..]))
        }),
    }
}

#[cfg(test)]
mod tests;
