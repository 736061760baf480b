//! What the platform team allows: one pure question, asked of every request.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    arn::RoleArn,
    glob::{Glob, meet},
    name::{AccountId, ClusterName, Region},
    role_pattern::RolePattern,
};

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
    /// Roles outside of the hub's path that may be deployer roles.
    pub deployer_roles: Vec<RolePattern>,
}

impl Allowance {
    /// Whether it surely holds for every cluster and project for which the other does, in an account that both cover.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let all = |wide: &[Glob], narrow: &[Glob]| narrow.iter().all(|narrow| any(wide, &narrow.0));
        all(&self.regions, &other.regions)
            && all(&self.clusters, &other.clusters)
            && all(&self.projects, &other.projects)
    }

    /// Whether both can hold for one cluster and project, so that [`judge`] takes them together, in an account that both cover.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let any = |one: &[Glob], two: &[Glob]| one.iter().any(|one| two.iter().any(|two| meet(&one.0, &two.0)));
        any(&self.regions, &other.regions)
            && any(&self.clusters, &other.clusters)
            && any(&self.projects, &other.projects)
    }
}

/// An access policy that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedPolicy {
    /// Its name.
    pub name: String,
    /// The namespaces that it is held to, in which EKS takes `*` for any run of characters; none: the whole cluster.
    pub namespaces: Vec<String>,
}

/// Namespaces in which a workload, and so whoever may write there, has the rights of the cluster's own components.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// What one `ManagedCluster` asks for, as far as `allow` speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The cluster's account.
    pub account: AccountId,
    /// The cluster's region.
    pub region: Region,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The access policies.
    pub access_policies: Vec<AskedPolicy>,
    /// Namespaces of this cluster, besides its system's, that give more than themselves: on the hub, Argo CD's and the
    /// operator's.
    pub guarded_namespaces: Vec<String>,
    /// Kubernetes groups.
    pub kubernetes_groups: BTreeSet<String>,
    /// The Argo CD project, where the cluster belongs to one.
    pub project: Option<String>,
    /// The deployer role, where it is named by its ARN: one that stands already.
    pub deployer_role: Option<RoleArn>,
}

/// What is asked beyond what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotAllowed(pub Vec<Beyond>);

/// One thing that is asked beyond what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beyond {
    /// What, for the person who asked.
    pub what: String,
    /// What would help.
    pub remedy: Remedy,
}

/// What helps against a thing that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Remedy {
    /// The platform team allows it, or less is asked for.
    LessOrMore,
    /// The platform team allows it: it never changes in an object.
    More,
    /// Other namespaces are named: these give more than themselves.
    OtherNamespaces,
}

impl Beyond {
    /// A thing with what would help.
    #[must_use]
    pub fn new(what: impl Into<String>, remedy: Remedy) -> Self {
        Self {
            what: what.into(),
            remedy,
        }
    }
}

impl NotAllowed {
    /// All of them in a row, and what would help.
    #[must_use]
    pub fn words(&self) -> String {
        let all: Vec<&str> = self.0.iter().map(|beyond| beyond.what.as_str()).collect();
        let any = |remedy: Remedy| self.0.iter().any(|beyond| beyond.remedy == remedy);
        let (less, more) = (any(Remedy::LessOrMore), any(Remedy::More));
        let mut next = Vec::new();
        if less || more {
            let mut ask = "ask the platform team to add it to spec.allow".to_owned();
            if more {
                ask.push_str(
                    ", and to run `mooring bootstrap` again if the new entry adds an account or a deployer role",
                );
            }
            if less {
                ask.push_str(", or ask for less");
            }
            if more {
                ask.push_str(
                    ". Account, region, name and deployer role of a ManagedCluster never change: for others, make a new ManagedCluster",
                );
            }
            next.push(ask);
        }
        if any(Remedy::OtherNamespaces) {
            let others = if next.is_empty() { "name" } else { "Name" };
            next.push(format!("{others} namespaces that match none of these"));
        }
        format!("{}: {}", all.join(", nor "), next.join(". "))
    }
}

/// Holds a request against the allowances. It is allowed when the entries that cover both the cluster and the project
/// together give everything that it asks: what one entry gives to its projects is not for the projects of another.
///
/// # Errors
/// Names every single thing that no entry gives.
pub fn judge(allow: &[Allowance], asked: &Asked) -> Result<(), NotAllowed> {
    let covering: Vec<&Allowance> = allow
        .iter()
        .filter(|entry| {
            any(&entry.accounts, asked.account.as_str())
                && any(&entry.regions, asked.region.as_str())
                && any(&entry.clusters, asked.cluster.as_str())
        })
        .collect();
    if covering.is_empty() {
        let meant = asked.region.meant();
        let meant = meant.map_or_else(String::new, |meant| format!(" (is {meant} meant?)"));
        let what = format!(
            "cluster {} in account {}, region {}{meant}",
            asked.cluster, asked.account, asked.region
        );
        return Err(NotAllowed(vec![Beyond::new(what, Remedy::More)]));
    }
    let project = asked.project.as_deref();
    let of_project: Vec<&Allowance> = covering
        .iter()
        .copied()
        .filter(|entry| gives_project(entry, project))
        .collect();
    let mut beyond = Vec::new();
    for policy in &asked.access_policies {
        beyond.extend(beyond_policy(&of_project, &covering, policy, asked));
    }
    for group in &asked.kubernetes_groups {
        let gives = |entries: &[&Allowance]| entries.iter().any(|entry| any(&entry.kubernetes_groups, group));
        if !gives(&of_project) && !gives(&covering) {
            beyond.push(less_or_more(format!("Kubernetes group {group}")));
        } else if !gives(&of_project) && !of_project.is_empty() {
            beyond.push(less_or_more(format!(
                "Kubernetes group {group} {}",
                in_project(project)
            )));
        }
    }
    if let Some(role) = &asked.deployer_role {
        let gives = |entries: &[&Allowance]| {
            let mut patterns = entries.iter().flat_map(|entry| &entry.deployer_roles);
            patterns.any(|pattern| pattern.matches(role))
        };
        if !gives(&covering) {
            let what = format!("deployer role {role} (deployerRoles names the roles outside of Mooring's path)");
            beyond.push(Beyond::new(what, Remedy::More));
        } else if !gives(&of_project) && !of_project.is_empty() {
            let what = format!("deployer role {role} {}", in_project(project));
            beyond.push(Beyond::new(what, Remedy::More));
        }
    }
    if of_project.is_empty() {
        beyond.push(less_or_more(project.map_or_else(
            || "all of Argo CD's projects, for which this object asks since it names none (set spec.argocd.project to one that is allowed)".to_owned(),
            |project| format!("Argo CD project {project}"),
        )));
    }
    if beyond.is_empty() {
        Ok(())
    } else {
        Err(NotAllowed(beyond))
    }
}

fn less_or_more(what: String) -> Beyond {
    Beyond::new(what, Remedy::LessOrMore)
}

fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

/// A cluster without a project may be used by every project, so it takes an entry that gives every project.
fn gives_project(entry: &Allowance, project: Option<&str>) -> bool {
    match project {
        Some(project) => any(&entry.projects, project),
        None => entry.projects.iter().any(|glob| glob.0 == "*"),
    }
}

fn in_project(project: Option<&str>) -> String {
    project.map_or_else(
        || "for all of Argo CD's projects, for which this object asks since it names none (set spec.argocd.project to one that is allowed)".to_owned(),
        |project| format!("for Argo CD project {project}"),
    )
}

/// What of a policy no entry gives. Where the project alone is at fault, that is told once, of the project.
fn beyond_policy(
    of_project: &[&Allowance],
    covering: &[&Allowance],
    policy: &AskedPolicy,
    asked: &Asked,
) -> Option<Beyond> {
    let gives = |entries: &[&Allowance], scope: ScopeKind| {
        let mut given = entries.iter().flat_map(|entry| &entry.access_policies);
        given.any(|(name, widest)| *name == policy.name && (*widest == ScopeKind::Cluster || *widest == scope))
    };
    let scope = if policy.namespaces.is_empty() {
        ScopeKind::Cluster
    } else {
        ScopeKind::Namespace
    };
    let name = &policy.name;
    if !gives(covering, scope) {
        let place = match scope {
            ScopeKind::Cluster => "the whole cluster",
            ScopeKind::Namespace => "namespaces",
        };
        let meant = meant(name, covering).map_or_else(String::new, |meant| format!(" (is {meant} meant?)"));
        return Some(less_or_more(format!("access policy {name} in {place}{meant}")));
    }
    if of_project.is_empty() {
        return None;
    }
    if !gives(of_project, scope) {
        let what = format!("access policy {name} {}", in_project(asked.project.as_deref()));
        return Some(less_or_more(what));
    }
    if gives(of_project, ScopeKind::Cluster) {
        return None;
    }
    let covered = |guarded: &&str| policy.namespaces.iter().any(|name| Glob::covers(name, guarded));
    let guarded = asked.guarded_namespaces.iter().map(String::as_str);
    let guarded: Vec<&str> = guarded.filter(covered).collect();
    let reached: Vec<&str> = guarded
        .iter()
        .copied()
        .chain(SYSTEM_NAMESPACES.into_iter().filter(covered))
        .collect();
    let fleet = if guarded.is_empty() {
        String::new()
    } else {
        format!(
            "; whoever can write in {} has every cluster that Argo CD deploys to",
            guarded.join(", ")
        )
    };
    (!reached.is_empty()).then(|| {
        let what = format!(
            "access policy {name} in namespaces {}, which match {}, where it gives more than those namespaces{fleet}",
            policy.namespaces.join(", "),
            reached.join(", ")
        );
        Beyond::new(what, Remedy::OtherNamespaces)
    })
}

/// The policy of the entries that is meant by a name that none of them has: the same but for its case, its beginning
/// (`AmazonEKS`), its end (`Policy`), and two letters.
fn meant<'a>(name: &str, entries: &[&'a Allowance]) -> Option<&'a str> {
    let bare = |name: &str| {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("amazoneks").unwrap_or(&name);
        name.strip_suffix("policy").unwrap_or(name).to_owned()
    };
    let given = entries.iter().flat_map(|entry| &entry.access_policies);
    let nearest = given
        .map(|(other, _)| (letters_apart(&bare(name), &bare(other)), other))
        .min()?;
    let (apart, other) = nearest;
    (apart <= 2 && other != name).then_some(other)
}

/// How many letters must be put in, taken out or changed to come from one text to the other (Levenshtein).
#[must_use]
pub fn letters_apart(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, found) in row.iter_mut().skip(1).zip(other.bytes()) {
            let best = (diagonal + usize::from(letter != found)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything beyond it, in words.
    fn beyond(judged: Result<(), NotAllowed>) -> Vec<String> {
        let NotAllowed(beyond) = judged.unwrap_err();
        beyond.into_iter().map(|one| one.what).collect()
    }

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
            deployer_roles: vec!["arn:aws:iam::*:role/argocd-*".parse().unwrap()],
        }
    }

    fn policy(name: &str, namespaces: &[&str]) -> AskedPolicy {
        AskedPolicy {
            name: name.to_owned(),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn asked() -> Asked {
        Asked {
            account: "222222222222".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            cluster: "prod-eu".parse().unwrap(),
            access_policies: vec![policy("AmazonEKSClusterAdminPolicy", &[])],
            guarded_namespaces: Vec::new(),
            kubernetes_groups: BTreeSet::new(),
            project: None,
            deployer_role: None,
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
        let cases: [(Change, &str); 8] = [
            (|a| a.account = "333333333333".parse().unwrap(), "account 333333333333"),
            (|a| a.region = "us-east-1".parse().unwrap(), "region us-east-1"),
            (|a| a.cluster = "dev".parse().unwrap(), "cluster dev"),
            (
                |a| a.access_policies = vec![policy("AmazonEKSEditPolicy", &[])],
                "AmazonEKSEditPolicy in the whole cluster",
            ),
            (
                |a| a.access_policies = vec![policy("AmazonEKSViewPolicy", &["team-a"])],
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
            (
                |a| a.deployer_role = Some("arn:aws:iam::222222222222:role/admin".parse().unwrap()),
                "deployer role arn:aws:iam::222222222222:role/admin",
            ),
        ];
        for (change, named) in cases {
            let mut asked = asked();
            change(&mut asked);
            let beyond = beyond(judge(&[allowance()], &asked));
            assert_eq!(beyond.len(), 1, "{beyond:?}");
            assert!(beyond[0].contains(named), "{beyond:?}");
        }
    }

    #[test]
    fn a_role_outside_of_the_path_is_for_the_projects_of_the_entry_that_names_it() {
        let mut asked = asked();
        asked.deployer_role = Some("arn:aws:iam::222222222222:role/argocd-prod".parse().unwrap());
        assert_eq!(judge(&[allowance()], &asked), Ok(()));
        let mut without = allowance();
        without.deployer_roles.clear();
        let mut platform = allowance();
        platform.projects = globs(&["platform"]);
        let beyond = beyond(judge(&[without, platform], &asked));
        assert!(
            beyond[0].contains("role/argocd-prod for all of Argo CD's projects"),
            "{beyond:?}"
        );
    }

    #[test]
    fn a_policy_allowed_for_the_cluster_may_be_used_in_namespaces() {
        let mut asked = asked();
        asked.access_policies = vec![policy("AmazonEKSClusterAdminPolicy", &["kube-system"])];
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

    #[test]
    fn what_one_entry_gives_to_its_projects_no_other_entry_gives_away() {
        let mut viewer = allowance();
        viewer.access_policies = vec![("AmazonEKSViewPolicy".into(), ScopeKind::Cluster)];
        viewer.kubernetes_groups = Vec::new();
        let mut platform = allowance();
        platform.projects = globs(&["platform"]);
        let allow = [viewer, platform];
        let mut admin = asked();
        admin.kubernetes_groups = ["team-a".to_owned()].into();
        assert_eq!(
            beyond(judge(&allow, &admin)),
            [
                "access policy AmazonEKSClusterAdminPolicy for all of Argo CD's projects, for which this object asks since it names none (set spec.argocd.project to one that is allowed)",
                "Kubernetes group team-a for all of Argo CD's projects, for which this object asks since it names none (set spec.argocd.project to one that is allowed)",
            ]
        );
        admin.project = Some("team-a".into());
        assert_eq!(
            beyond(judge(&allow, &admin))[0],
            "access policy AmazonEKSClusterAdminPolicy for Argo CD project team-a"
        );
        admin.project = Some("platform".into());
        assert_eq!(judge(&allow, &admin), Ok(()));
        let mut both = asked();
        both.project = Some("platform".into());
        both.access_policies.push(policy("AmazonEKSViewPolicy", &[]));
        assert_eq!(
            judge(&allow, &both),
            Ok(()),
            "what is for every project is for this one too"
        );
    }

    #[test]
    fn a_policy_for_namespaces_does_not_reach_those_that_give_the_cluster() {
        let of = |namespaces: &[&str]| {
            let mut asked = asked();
            asked.access_policies = vec![policy("AmazonEKSEditPolicy", namespaces)];
            asked.guarded_namespaces = vec!["argocd".to_owned()];
            judge(&[allowance()], &asked)
        };
        assert_eq!(of(&["team-a", "kube-team", "team-*"]), Ok(()));
        for (namespaces, reached) in [
            (&["team-a", "kube-system"][..], "kube-system"),
            (&["*a*", "*e*"], "argocd, kube-system, kube-public, kube-node-lease"),
            (&["kube-*"], "kube-system, kube-public, kube-node-lease"),
            (&["argo*"], "argocd"),
        ] {
            let refused = of(namespaces).unwrap_err();
            assert_eq!(refused.0.len(), 1);
            let words = refused.words();
            let start = format!(
                "access policy AmazonEKSEditPolicy in namespaces {}, which match {reached}, where it gives more",
                namespaces.join(", ")
            );
            assert!(words.starts_with(&start), "{words}");
            assert!(
                words.ends_with(": name namespaces that match none of these") && !words.contains("platform team"),
                "nobody is sent to have the cluster given away: {words}"
            );
            assert_eq!(words.contains("every cluster"), reached.contains("argocd"), "{words}");
        }
    }

    #[test]
    fn what_helps_is_told_of_what_is_asked_and_of_nothing_else() {
        let words = |change: fn(&mut Asked)| {
            let mut asked = asked();
            change(&mut asked);
            judge(&[allowance()], &asked).unwrap_err().words()
        };
        let group = |asked: &mut Asked| asked.kubernetes_groups = ["x".to_owned()].into();
        assert!(words(group).ends_with(": ask the platform team to add it to spec.allow, or ask for less"));
        let abroad = words(|asked| asked.account = "333333333333".parse().unwrap());
        assert!(
            abroad.contains("`mooring bootstrap` again")
                && !abroad.contains("less")
                && abroad.ends_with("make a new ManagedCluster"),
            "{abroad}"
        );
        let both = words(|asked| {
            asked.kubernetes_groups = ["x".to_owned()].into();
            asked.access_policies = vec![policy("AmazonEKSEditPolicy", &["kube-system"])];
        });
        assert!(
            both.contains("or ask for less. Name namespaces that match none"),
            "{both}"
        );
    }

    #[test]
    fn a_slip_of_the_pen_is_told_from_a_wish() {
        let entry = Allowance {
            access_policies: vec![
                ("AmazonEKSEditPolicy".into(), ScopeKind::Cluster),
                ("AmazonEKSViewPolicy".into(), ScopeKind::Namespace),
            ],
            ..allowance()
        };
        for (name, expected) in [
            ("EditPolicy", Some("AmazonEKSEditPolicy")),
            ("amazonEksEdit", Some("AmazonEKSEditPolicy")),
            ("AmazonEKSVeiwPolicy", Some("AmazonEKSViewPolicy")),
            ("AmazonEKSAdminPolicy", None),
            ("AmazonEKSClusterAdminPolicy", None),
            // It is given, in namespaces.
            ("AmazonEKSViewPolicy", None),
        ] {
            assert_eq!(meant(name, &[&entry]), expected, "{name}");
        }
        for (one, other, apart) in [
            ("", "", 0),
            ("ab", "", 2),
            ("kitten", "sitting", 3),
            ("view", "view", 0),
        ] {
            assert_eq!((letters_apart(one, other), letters_apart(other, one)), (apart, apart));
        }
    }
}
