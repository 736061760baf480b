//! The policies at both scopes, asked as an API server asks.

use jiff::Timestamp;

use super::*;

fn associated(policy: &str, namespaces: &[&str]) -> AssociatedPolicy {
    AssociatedPolicy {
        policy_arn: format!("arn:aws-cn:eks::aws:cluster-access-policy/{policy}"),
        namespaces: (!namespaces.is_empty()).then(|| namespaces.iter().map(|&name| name.to_owned()).collect()),
        associated: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
    }
}

/// `get  ns/group/resource`: verb, namespace, group and resource of an attempt; or a path.
fn holds(policy: &str, scope: &[&str], attempt: &str) -> bool {
    let words: Vec<&str> = attempt.split(' ').collect();
    let attempt = match words.as_slice() {
        [verb, group, resource, namespace] => Attempt::Resource {
            verb,
            group: group.trim_matches('-'),
            resource,
            namespace: namespace.trim_matches('-'),
        },
        _ => Attempt::Path,
    };
    allows(&associated(policy, scope), attempt)
}

const CLUSTER: &[&str] = &[];

#[test]
fn policies_allow_what_the_user_guide_says() {
    let cases = [
        // policy, attempt, allowed at cluster scope
        (
            "AmazonEKSClusterAdminPolicy",
            "delete example.com widgets/scale -",
            true,
        ),
        ("AmazonEKSClusterAdminPolicy", "/metrics", true),
        ("AmazonEKSAdminPolicy", "/metrics", false),
        ("AmazonEKSAdminPolicy", "create rbac.authorization.k8s.io roles a", true),
        (
            "AmazonEKSAdminPolicy",
            "create rbac.authorization.k8s.io clusterroles -",
            false,
        ),
        (
            "AmazonEKSAdminPolicy",
            "create authorization.k8s.io localsubjectaccessreviews a",
            true,
        ),
        ("AmazonEKSAdminPolicy", "create - namespaces -", false),
        ("AmazonEKSAdminPolicy", "create example.com widgets a", false),
        ("AmazonEKSEditPolicy", "create rbac.authorization.k8s.io roles a", false),
        ("AmazonEKSEditPolicy", "patch apps deployments a", true),
        ("AmazonEKSEditPolicy", "patch apps deployments/status a", false),
        ("AmazonEKSEditPolicy", "list - secrets a", true),
        ("AmazonEKSEditPolicy", "impersonate - serviceaccounts a", true),
        (
            "AmazonEKSEditPolicy",
            "create apiextensions.k8s.io customresourcedefinitions -",
            false,
        ),
        ("AmazonEKSViewPolicy", "list - pods -", true),
        ("AmazonEKSViewPolicy", "get - pods/log a", true),
        ("AmazonEKSViewPolicy", "get - secrets a", false),
        ("AmazonEKSViewPolicy", "create - configmaps a", false),
        ("AmazonEKSViewPolicy", "get - pods/exec a", false),
        ("AmazonEKSAdminViewPolicy", "get - secrets a", true),
        ("AmazonEKSAdminViewPolicy", "watch example.com widgets -", true),
        ("AmazonEKSAdminViewPolicy", "create - configmaps a", false),
        ("AmazonEKSAdminViewPolicy", "/metrics", false),
        ("AmazonEKSNetworkingPolicy", "get - pods a", false),
    ];
    for (policy, attempt, allowed) in cases {
        assert_eq!(holds(policy, CLUSTER, attempt), allowed, "{policy}: {attempt}");
    }
}

#[test]
fn a_scope_of_namespaces_ends_at_them() {
    let cases = [
        (&["apps"][..], "list - pods apps", true),
        (&["apps"], "list - pods other", false),
        (&["apps"], "list - pods -", false),
        // As a RoleBinding: one namespace is in itself, the list of them is in none.
        (&["apps"], "get - namespaces apps", true),
        (&["apps"], "list - namespaces -", false),
        (&["apps"], "/metrics", false),
        (&["dev-*", "apps"], "delete - pods dev-1", true),
        (&["dev-*"], "delete - pods dev", false),
        (&["*-dev-*"], "delete - pods a-dev-dev-b", true),
        (&["*"], "delete - pods anything", true),
        (&["*"], "create rbac.authorization.k8s.io clusterroles -", false),
    ];
    for (scope, attempt, allowed) in cases {
        let policy = "AmazonEKSClusterAdminPolicy";
        assert_eq!(holds(policy, scope, attempt), allowed, "{scope:?}: {attempt}");
    }
}

#[test]
fn scopes_are_globs() {
    for (scope, namespace, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "a", true),
        ("a*c", "abc", true),
        ("a*c", "abcd", false),
        ("*b*", "abc", true),
        ("**", "", true),
        ("a?", "ab", false),
    ] {
        assert_eq!(glob(scope, namespace), expected, "{scope} {namespace}");
    }
}
