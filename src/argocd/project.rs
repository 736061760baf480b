//! Which AppProjects admit a cluster as a destination.
//!
//! Source: argoproj/argo-cd v3.6.1, `pkg/apis/application/v1alpha1/app_project_types.go` (`IsDestinationPermitted`).

use serde_json::Value;

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
        let anywhere = ["some-namespace".to_owned()];
        let mut candidates: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        if candidates.is_empty() {
            let plain =
                |of: &&Destination| !of.namespace.contains(['*', '?', '{', '[']) && !of.namespace.starts_with('!');
            candidates.extend(self.destinations.iter().filter(plain).map(|of| of.namespace.as_str()));
            candidates.extend(anywhere.iter().map(String::as_str));
            // What stands for a pattern is one of its own matches, as far as that can be written down.
            candidates.extend(self.destinations.iter().map(|of| of.namespace.trim_matches('*')));
        }
        candidates
            .into_iter()
            .any(|namespace| self.matches(server, cluster, namespace))
    }

    fn matches(&self, server: &str, cluster: &str, namespace: &str) -> bool {
        let mut admitted = false;
        for of in &self.destinations {
            let by_server = !server.is_empty() && matches(&of.server, server);
            let by_name = !cluster.is_empty() && matches(&of.name, cluster);
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

fn denies(pattern: &str) -> bool {
    pattern.starts_with('!')
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix('!') {
        Some(denied) => !glob(denied, text),
        None => glob(pattern, text),
    }
}

/// `*`, `?` and `{a,b}`. What else Argo CD's patterns know (`[a-z]`) is taken to match: better silent than wrong.
fn glob(pattern: &str, text: &str) -> bool {
    if pattern.contains('[') {
        return true;
    }
    if let Some((before, rest)) = pattern.split_once('{')
        && let Some((alternatives, after)) = rest.split_once('}')
    {
        return alternatives
            .split(',')
            .any(|one| glob(&format!("{before}{one}{after}"), text));
    }
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| glob(rest, &text[at..]))
        }
        Some(one) => {
            let mut others = text.chars();
            others.next().is_some_and(|c| one == '?' || one == c) && glob(rest.as_str(), others.as_str())
        }
    }
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
