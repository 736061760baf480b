//! Which AppProjects admit a cluster as a destination.
//!
//! Source: argoproj/argo-cd v3.6.1, `pkg/apis/application/v1alpha1/app_project_types.go` (`IsDestinationPermitted`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::glob::glob;

/// How many namespaces a project is tried with. One that names more is taken to admit: whoever may edit a project must
/// not be able to keep everybody else's clusters from being looked at.
const MOST: usize = 200;

/// How many patterns one with braces may stand for.
const EXPANSIONS: usize = 64;

/// An AppProject, as far as it speaks of destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// The project's name.
    pub name: String,
    destinations: Vec<Destination>,
    only_own_clusters: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Destination {
    server: String,
    name: String,
    namespace: String,
}

impl Project {
    /// Reads a project from the object as the API server has it.
    #[must_use]
    pub fn read(name: &str, spec: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let destination = |value: &Value| Destination {
            server: text(value, "server"),
            name: text(value, "name"),
            namespace: text(value, "namespace"),
        };
        Self {
            name: name.to_owned(),
            destinations: spec
                .get("destinations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(destination)
                .collect(),
            only_own_clusters: spec.get("permitOnlyProjectScopedClusters") == Some(&Value::Bool(true)),
        }
    }

    /// Whether an Application of this project may have the cluster as its destination, in any of the namespaces (or,
    /// where none are given, in some namespace). `own` is the project that the cluster itself belongs to, if any.
    #[must_use]
    pub fn admits(&self, server: &str, cluster: &str, namespaces: &[String], own: &str) -> bool {
        if own == self.name {
            return true;
        }
        if self.only_own_clusters {
            return false;
        }
        let mut candidates: BTreeSet<&str> = namespaces.iter().map(String::as_str).collect();
        if candidates.is_empty() {
            // What stands for a pattern is one of its own matches, as far as that can be written down.
            candidates.extend(self.destinations.iter().map(|of| of.namespace.trim_matches('*')));
            candidates.insert("some-namespace");
        }
        if candidates.len() > MOST {
            return true;
        }
        let leads: Vec<(bool, bool)> = self
            .destinations
            .iter()
            .map(|of| of.leads_to(server, cluster))
            .collect();
        candidates
            .into_iter()
            .any(|namespace| self.admits_in(namespace, &leads))
    }

    /// The same for one namespace; `leads` says of each destination whether it is the cluster by server, and by name.
    fn admits_in(&self, namespace: &str, leads: &[(bool, bool)]) -> bool {
        let mut admitted = false;
        for (of, (by_server, by_name)) in self.destinations.iter().zip(leads.iter().copied()) {
            let in_namespace = matches(&of.namespace, namespace);
            if (by_server || by_name) && in_namespace {
                admitted = true;
            } else if in_namespace && (denies(&of.server) && !by_server || denies(&of.name) && !by_name)
                || denies(&of.namespace) && !in_namespace && (by_server || by_name)
            {
                return false;
            }
        }
        admitted
    }
}

impl Destination {
    fn leads_to(&self, server: &str, cluster: &str) -> (bool, bool) {
        (
            !server.is_empty() && matches(&self.server, server),
            !cluster.is_empty() && matches(&self.name, cluster),
        )
    }
}

fn denies(pattern: &str) -> bool {
    pattern.starts_with('!')
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('!') {
        Some(denied) => !matches_pattern(denied, text),
        None => matches_pattern(pattern, text),
    }
}

/// `*`, `?` and `{a,b}`. What else Argo CD's patterns know (`[a-z]`), and what stands for more than [`EXPANSIONS`]
/// patterns, is taken to match: better silent than wrong.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    if pattern.contains('[') {
        return true;
    }
    match expanded(pattern) {
        Some(patterns) => patterns.iter().any(|pattern| glob(pattern, text)),
        None => true,
    }
}

/// The patterns without braces that one with braces stands for; `None` where they are too many.
fn expanded(pattern: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        let braces = pattern.split_once('{').and_then(|(before, rest)| {
            let (alternatives, after) = rest.split_once('}')?;
            Some((before, alternatives, after))
        });
        match braces {
            None => done.push(pattern),
            Some((before, alternatives, after)) => {
                open.extend(alternatives.split(',').map(|one| format!("{before}{one}{after}")));
            }
        }
        if done.len() + open.len() > EXPANSIONS {
            return None;
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn admits(destinations: &Value, namespaces: &[&str], own: &str) -> bool {
        let project = Project::read("team", &json!({ "destinations": destinations }));
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        project.admits("https://api.example", "prod", &namespaces, own)
    }

    #[test]
    fn a_destination_is_admitted_by_server_or_name_and_by_namespace() {
        for (destinations, namespaces, admitted) in [
            (json!([{"server": "*", "namespace": "*"}]), &[][..], true),
            (json!([{"name": "prod", "namespace": "team-a"}]), &[], true),
            (json!([{"name": "prod", "namespace": "team-*"}]), &["team-a"], true),
            (json!([{"name": "prod", "namespace": "team-*"}]), &["other"], false),
            (json!([{"name": "{prod,dev}", "namespace": "*"}]), &[], true),
            (json!([{"server": "https://api.example", "namespace": "x"}]), &[], true),
            (
                json!([{"server": "https://api.example/", "namespace": "*"}]),
                &[],
                false,
            ),
            (
                json!([{"server": "https://kubernetes.default.svc", "namespace": "*"}]),
                &[],
                false,
            ),
            (json!([]), &[], false),
            (
                json!([{"server": "*", "namespace": "*"}, {"name": "!prod", "namespace": "*"}]),
                &[],
                false,
            ),
            (
                json!([{"name": "prod", "namespace": "*"}, {"name": "prod", "namespace": "!kube-system"}]),
                &["kube-system"],
                false,
            ),
            (
                json!([{"name": "prod", "namespace": "*"}, {"name": "prod", "namespace": "!kube-system"}]),
                &[],
                true,
            ),
        ] {
            assert_eq!(admits(&destinations, namespaces, ""), admitted, "{destinations}");
        }
    }

    /// Argo CD takes such patterns, so somebody may have them.
    #[test]
    fn no_project_takes_long() {
        let many: Vec<Value> = (0..10_000)
            .map(|n| json!({"name": "other", "namespace": format!("team-{n}")}))
            .collect();
        // What is too much is taken to admit.
        for (destinations, admits) in [
            (json!([{"server": "{a,b}".repeat(40), "namespace": "*"}]), true),
            (json!([{"server": "*a".repeat(40), "namespace": "*"}]), true),
            (json!([{"name": "*", "namespace": "{*a,*b}".repeat(5)}]), false),
            (json!(many), true),
        ] {
            let project = Project::read("team", &json!({ "destinations": destinations }));
            assert_eq!(project.admits(&"a".repeat(60), "prod", &[], ""), admits);
        }
        assert_eq!(expanded("{a,b}-{c,d}").map(|all| all.len()), Some(4));
        assert_eq!(expanded("{a"), Some(vec!["{a".to_owned()]));
        assert_eq!(expanded(&"{a,b}".repeat(7)), None);
    }

    #[test]
    fn a_clusters_own_project_admits_it_and_one_that_is_closed_admits_no_other() {
        assert!(admits(&json!([]), &[], "team"));
        let closed =
            json!({"destinations": [{"server": "*", "namespace": "*"}], "permitOnlyProjectScopedClusters": true});
        let closed = Project::read("team", &closed);
        assert!(!closed.admits("https://x", "x", &[], ""));
        assert!(closed.admits("https://x", "x", &[], "team"));
    }
}
