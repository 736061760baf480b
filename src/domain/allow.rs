//! What the platform team allows: one pure question, asked of every request.

use std::collections::BTreeSet;

use serde::Serialize;

use super::name::{AccountId, ClusterName, Region};

/// A pattern in which `*` stands for any run of characters. Nothing else is special.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Glob(pub String);

impl Glob {
    /// Whether the pattern covers the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let mut pieces: Vec<&str> = pieces.collect();
        let Some(last) = pieces.pop() else {
            return rest.is_empty();
        };
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// Where an access policy may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum ScopeKind {
    /// In the whole cluster, and so in any namespace too.
    Cluster,
    /// In namespaces only.
    Namespace,
}

/// One entry of `spec.allow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// Accounts, or `*`.
    pub accounts: Vec<Glob>,
    /// Regions; `*` where the entry leaves them out.
    pub regions: Vec<Glob>,
    /// EKS cluster names; `*` where the entry leaves them out.
    pub clusters: Vec<Glob>,
    /// Access policies by name, with the widest scope.
    pub access_policies: Vec<(String, ScopeKind)>,
    /// Kubernetes groups.
    pub kubernetes_groups: Vec<Glob>,
    /// Argo CD projects; `*` where the entry leaves them out.
    pub projects: Vec<Glob>,
}

/// What one `ManagedCluster` asks for, as far as `allow` speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The cluster's account.
    pub account: AccountId,
    /// The cluster's region.
    pub region: Region,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Access policies by name, with the scope asked.
    pub access_policies: Vec<(String, ScopeKind)>,
    /// Kubernetes groups.
    pub kubernetes_groups: BTreeSet<String>,
    /// The Argo CD project, where the cluster belongs to one.
    pub project: Option<String>,
}

/// What is asked beyond what is allowed, each with a sentence for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotAllowed(pub Vec<String>);

/// Holds a request against the allowances. It is allowed when one entry covers the cluster, and the entries that
/// cover it together give everything that it asks.
///
/// # Errors
/// Names every single thing that no entry gives.
pub fn judge(allow: &[Allowance], asked: &Asked) -> Result<(), NotAllowed> {
    let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
    let covering: Vec<&Allowance> = allow
        .iter()
        .filter(|entry| {
            any(&entry.accounts, asked.account.as_str())
                && any(&entry.regions, asked.region.as_str())
                && any(&entry.clusters, asked.cluster.as_str())
        })
        .collect();
    if covering.is_empty() {
        return Err(NotAllowed(vec![format!(
            "cluster {} in account {}, region {}",
            asked.cluster, asked.account, asked.region
        )]));
    }
    let mut beyond = Vec::new();
    for (name, scope) in &asked.access_policies {
        let given = covering
            .iter()
            .flat_map(|entry| &entry.access_policies)
            .any(|(given, widest)| given == name && (*widest == ScopeKind::Cluster || *scope == ScopeKind::Namespace));
        if !given {
            let place = match scope {
                ScopeKind::Cluster => "the whole cluster",
                ScopeKind::Namespace => "namespaces",
            };
            beyond.push(format!("access policy {name} in {place}"));
        }
    }
    for group in &asked.kubernetes_groups {
        if !covering.iter().any(|entry| any(&entry.kubernetes_groups, group)) {
            beyond.push(format!("Kubernetes group {group}"));
        }
    }
    // A cluster without a project may be used by every project, so it takes an entry that gives every project.
    let project = asked.project.as_deref().unwrap_or("*");
    let project_given = covering
        .iter()
        .flat_map(|entry| &entry.projects)
        .any(|glob| match &asked.project {
            Some(project) => glob.matches(project),
            None => glob.0 == "*",
        });
    if !project_given {
        beyond.push(if project == "*" {
            "every Argo CD project (set argocd.project to one that is allowed)".to_owned()
        } else {
            format!("Argo CD project {project}")
        });
    }
    if beyond.is_empty() {
        Ok(())
    } else {
        Err(NotAllowed(beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob((*text).to_owned())).collect()
    }

    fn allowance() -> Allowance {
        Allowance {
            accounts: globs(&["222222222222"]),
            regions: globs(&["eu-*"]),
            clusters: globs(&["prod-*"]),
            access_policies: vec![
                ("AmazonEKSClusterAdminPolicy".into(), ScopeKind::Cluster),
                ("AmazonEKSEditPolicy".into(), ScopeKind::Namespace),
            ],
            kubernetes_groups: globs(&["team-*"]),
            projects: globs(&["*"]),
        }
    }

    fn asked() -> Asked {
        Asked {
            account: "222222222222".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            cluster: "prod-eu".parse().unwrap(),
            access_policies: vec![("AmazonEKSClusterAdminPolicy".into(), ScopeKind::Cluster)],
            kubernetes_groups: BTreeSet::new(),
            project: None,
        }
    }

    #[test]
    fn globs_cover_the_whole_text() {
        for (glob, text, covers) in [
            ("*", "", true),
            ("*", "x", true),
            ("prod-*", "prod-eu", true),
            ("prod-*", "preprod-eu", false),
            ("*-eu", "prod-eu", true),
            ("*-eu", "prod-eu-2", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*a", "a", false),
            ("", "", true),
            ("", "x", false),
            ("prod", "prod", true),
            ("prod", "prod2", false),
            ("ab*ba", "aba", false),
            ("p?od", "prod", false),
        ] {
            assert_eq!(Glob(glob.to_owned()).matches(text), covers, "{glob} {text}");
        }
    }

    #[test]
    fn what_is_written_down_is_allowed() {
        assert_eq!(judge(&[allowance()], &asked()), Ok(()));
    }

    #[test]
    fn each_thing_beyond_it_is_named() {
        type Change = fn(&mut Asked);
        let cases: [(Change, &str); 7] = [
            (|a| a.account = "333333333333".parse().unwrap(), "account 333333333333"),
            (|a| a.region = "us-east-1".parse().unwrap(), "region us-east-1"),
            (|a| a.cluster = "dev".parse().unwrap(), "cluster dev"),
            (
                |a| a.access_policies = vec![("AmazonEKSEditPolicy".into(), ScopeKind::Cluster)],
                "AmazonEKSEditPolicy in the whole cluster",
            ),
            (
                |a| a.access_policies = vec![("AmazonEKSViewPolicy".into(), ScopeKind::Namespace)],
                "AmazonEKSViewPolicy in namespaces",
            ),
            (
                |a| a.kubernetes_groups = ["admins".to_owned()].into(),
                "Kubernetes group admins",
            ),
            (
                |a| a.kubernetes_groups = ["team-a".to_owned(), "x".to_owned()].into(),
                "Kubernetes group x",
            ),
        ];
        for (change, named) in cases {
            let mut asked = asked();
            change(&mut asked);
            let NotAllowed(beyond) = judge(&[allowance()], &asked).unwrap_err();
            assert_eq!(beyond.len(), 1, "{beyond:?}");
            assert!(beyond[0].contains(named), "{beyond:?}");
        }
    }

    #[test]
    fn a_policy_allowed_for_the_cluster_may_be_used_in_namespaces() {
        let mut asked = asked();
        asked.access_policies = vec![("AmazonEKSClusterAdminPolicy".into(), ScopeKind::Namespace)];
        assert_eq!(judge(&[allowance()], &asked), Ok(()));
    }

    #[test]
    fn a_cluster_open_to_every_project_needs_every_project() {
        let mut one = allowance();
        one.projects = globs(&["team-a"]);
        assert!(judge(&[one.clone()], &asked()).is_err());
        let mut in_project = asked();
        in_project.project = Some("team-a".into());
        assert_eq!(judge(&[one], &in_project), Ok(()));
    }
}
