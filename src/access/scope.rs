//! What Argo CD must be allowed on a cluster, as a handful of questions to the API server. Pure.
//!
//! Questions, and no list of rules: EKS access policies do not show in `SelfSubjectRulesReview` (EKS user guide,
//! "Associate access policies with access entries"), and a dozen reviews are nothing to an API server.

use std::{collections::BTreeSet, fmt};

use crate::domain::glob::Glob;

/// The most questions that one walk asks.
pub const MOST: usize = 12;

/// One question: may I?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The verb; `*` for all.
    pub verb: &'static str,
    /// The API group; `*` for all, empty for the core.
    pub group: &'static str,
    /// The resource; `*` for all.
    pub resource: &'static str,
    /// The namespace; `None` for the whole cluster.
    pub namespace: Option<String>,
    /// What Argo CD needs it for.
    pub why: &'static str,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verb, group, resource, ..
        } = self;
        let resource = match (*resource, *group) {
            ("*", _) => "every resource".to_owned(),
            (resource, "") => resource.to_owned(),
            (resource, group) => format!("{resource}.{group}"),
        };
        let verb = if *verb == "*" { "use every verb on" } else { verb };
        match &self.namespace {
            Some(namespace) => write!(f, "{verb} {resource} in namespace {namespace}"),
            None => write!(f, "{verb} {resource} in the whole cluster"),
        }
    }
}

/// What Argo CD is meant to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Look.
    Read,
    /// Deploy the usual kinds.
    Write,
    /// Anything.
    All,
}

/// The questions for what the spec asks for: `policies` by name with the namespaces that each is held to (none for the
/// whole cluster), `namespaces` and `cluster_resources` of the cluster Secret, which say what Argo CD will ask for,
/// and whether Argo CD impersonates service accounts.
///
/// Where only groups are given, RBAC is the user's own, and only reading is asked for: what more such an RBAC is meant
/// to allow is not known here. Nor is writing asked for where no policy is meant for it: an Application that is only
/// looked at is a use of Argo CD too. [`unasked`] says so.
#[must_use]
pub fn asks(
    policies: &[(String, Vec<String>)],
    namespaces: &[String],
    cluster_resources: bool,
    impersonation: bool,
) -> Vec<Ask> {
    let mut asks = all(policies, namespaces, cluster_resources, impersonation);
    asks.truncate(MOST);
    asks
}

fn level(policy: &str) -> Level {
    match policy {
        "AmazonEKSClusterAdminPolicy" => Level::All,
        "AmazonEKSAdminPolicy" | "AmazonEKSEditPolicy" => Level::Write,
        _ => Level::Read,
    }
}

fn all(
    policies: &[(String, Vec<String>)],
    namespaces: &[String],
    cluster_resources: bool,
    impersonation: bool,
) -> Vec<Ask> {
    let widest = |namespace: Option<&str>| {
        let there = policies
            .iter()
            .filter(|(_, held)| holds(held, namespace))
            .map(|(name, _)| level(name));
        // Argo CD asks for the namespace whether or not a policy holds there: then what any policy gives is wanted.
        there
            .max()
            .or_else(|| policies.iter().map(|(name, _)| level(name)).max())
            .unwrap_or(Level::Read)
    };
    let mut places: Vec<Option<&String>> = if namespaces.is_empty() {
        vec![None]
    } else {
        namespaces.iter().map(Some).collect()
    };
    // Where a policy gives more in some namespaces than there is in the whole cluster, Applications are meant for those.
    if namespaces.is_empty() {
        let further = policies.iter().filter(|(name, _)| level(name) > widest(None));
        let named = further.flat_map(|(_, held)| held).filter(|held| !held.contains('*'));
        let named: BTreeSet<&String> = named.collect();
        places.extend(named.into_iter().map(Some));
    }
    // Where there are more than can be asked about, those come first that no policy is meant for.
    places.sort_by_cached_key(|place| policies.iter().any(|(_, held)| holds(held, place.map(String::as_str))));
    let mut asks = Vec::new();
    let mut later = Vec::new();
    for place in places {
        let level = widest(place.map(String::as_str));
        let ask = |verb, group, resource, why| Ask {
            verb,
            group,
            resource,
            namespace: place.cloned(),
            why,
        };
        let deployments = |verb, why| ask(verb, "apps", "deployments", why);
        match level {
            Level::All => asks.push(ask("*", "*", "*", "to deploy whatever an Application holds")),
            Level::Write => {
                asks.push(deployments("patch", "to sync, and for every server-side diff"));
                later.extend([
                    deployments("list", "to fill its cache"),
                    deployments("watch", "to see changes"),
                    deployments("create", "to sync"),
                    deployments("delete", "to prune"),
                ]);
            }
            Level::Read => {
                asks.push(deployments("list", "to fill its cache"));
                later.push(deployments("watch", "to see changes"));
            }
        }
        // With it, whoever syncs is an AppProject's service account, however little Argo CD itself may do.
        if impersonation {
            asks.push(ask(
                "impersonate",
                "",
                "serviceaccounts",
                "to sync as an AppProject's service account (application.sync.impersonation.enabled)",
            ));
        }
    }
    if cluster_resources && !namespaces.is_empty() {
        asks.push(Ask {
            verb: "list",
            group: "",
            resource: "namespaces",
            namespace: None,
            why: "since argocd.clusterResources is set",
        });
    }
    // The first question of every namespace comes before the second of any.
    asks.extend(later);
    asks
}

/// Whether a policy that is held to these namespaces holds in this one, or without one in the whole cluster.
fn holds(held: &[String], namespace: Option<&str>) -> bool {
    let covers = |name: &str| held.iter().any(|one| Glob::covers(one, name));
    held.is_empty() || namespace.is_some_and(covers)
}

/// Whether every kind may be listed, which Argo CD does unless it is told otherwise: where it looks first.
#[must_use]
pub fn every_kind(namespaces: &[String]) -> Ask {
    Ask {
        verb: "list",
        group: "*",
        resource: "*",
        namespace: namespaces.first().cloned(),
        why: "to fill its cache",
    }
}

/// A kind that every cluster serves and that few of EKS's access policies let be listed (EKS user guide, "Review access
/// policy permissions"): asked where not every kind may be listed, to know of one that Argo CD surely lists.
#[must_use]
pub fn roles(namespaces: &[String]) -> Ask {
    Ask {
        verb: "list",
        group: "rbac.authorization.k8s.io",
        resource: if namespaces.is_empty() { "clusterroles" } else { "roles" },
        namespace: namespaces.first().cloned(),
        why: "to fill its cache, as every kind",
    }
}

/// What of [`asks`] was left out, in words: nothing where all was asked.
#[must_use]
pub fn unasked(
    policies: &[(String, Vec<String>)],
    namespaces: &[String],
    cluster_resources: bool,
    impersonation: bool,
) -> Vec<String> {
    let all = all(policies, namespaces, cluster_resources, impersonation);
    let mut words = Vec::new();
    if let left @ 1.. = all.len().saturating_sub(MOST) {
        words.push(format!("{left} more were not asked, to spare the API server"));
    }
    if all
        .iter()
        .all(|ask| matches!(ask.verb, "list" | "watch" | "impersonate"))
    {
        let why = if policies.iter().any(|(name, _)| level(name) > Level::Read) {
            "whether it may write was not asked, since the access policies that are meant for that hold in patterns of \
             namespaces"
        } else {
            "whether it may write was not asked, since no access policy of the spec is meant for that"
        };
        words.push(why.to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(policies: &[(&str, &[&str])], namespaces: &[&str], cluster: bool, impersonation: bool) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let policies: Vec<_> = policies
            .iter()
            .map(|(name, held)| ((*name).to_owned(), names(held)))
            .collect();
        asks(&policies, &names(namespaces), cluster, impersonation)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_widest_policy_says_what_is_asked_for() {
        assert_eq!(
            questions(&[("AmazonEKSClusterAdminPolicy", &[])], &[], false, false),
            ["use every verb on every resource in the whole cluster"]
        );
        assert_eq!(
            questions(
                &[("AmazonEKSEditPolicy", &["a"]), ("AmazonEKSViewPolicy", &[])],
                &["a"],
                false,
                false
            ),
            [
                "patch deployments.apps in namespace a",
                "list deployments.apps in namespace a",
                "watch deployments.apps in namespace a",
                "create deployments.apps in namespace a",
                "delete deployments.apps in namespace a",
            ]
        );
        for read_only in [&[("AmazonEKSViewPolicy", &[][..])][..], &[]] {
            assert_eq!(
                questions(read_only, &[], false, true),
                [
                    "list deployments.apps in the whole cluster",
                    "impersonate serviceaccounts in the whole cluster",
                    "watch deployments.apps in the whole cluster"
                ]
            );
        }
    }

    /// The least that many give: to look everywhere, and to deploy in some namespaces.
    #[test]
    fn where_a_policy_gives_more_than_in_the_whole_cluster_it_is_asked_for() {
        let policies = [("AmazonEKSViewPolicy", &[][..]), ("AmazonEKSEditPolicy", &["a", "b"])];
        let asked = questions(&policies, &[], false, false);
        assert_eq!(
            asked[..3],
            [
                "list deployments.apps in the whole cluster",
                "patch deployments.apps in namespace a",
                "patch deployments.apps in namespace b",
            ]
        );
        let left_out = |held: &str| {
            let edit = ("AmazonEKSEditPolicy".to_owned(), vec![held.to_owned()]);
            unasked(
                &[("AmazonEKSViewPolicy".to_owned(), Vec::new()), edit],
                &[],
                false,
                false,
            )
        };
        assert!(left_out("a").is_empty());
        assert!(left_out("team-*")[0].contains("hold in patterns of namespaces"));
    }

    /// Others write the patterns.
    #[test]
    fn no_pattern_takes_long() {
        let policies = [("AmazonEKSEditPolicy".to_owned(), vec![format!("{}b", "*a".repeat(30))])];
        assert!(asks(&policies, &["a".repeat(63)], false, false)[0].verb == "patch");
    }

    #[test]
    fn what_the_secret_asks_for_is_asked_even_where_no_policy_holds() {
        assert_eq!(
            questions(&[("AmazonEKSEditPolicy", &["team-*"])], &[], false, false)[0],
            "patch deployments.apps in the whole cluster"
        );
        assert_eq!(
            questions(&[("AmazonEKSClusterAdminPolicy", &["a"])], &["a"], true, true),
            [
                "use every verb on every resource in namespace a",
                "impersonate serviceaccounts in namespace a",
                "list namespaces in the whole cluster",
            ]
        );
    }

    #[test]
    fn there_are_a_handful_of_questions_however_many_namespaces() {
        let names: Vec<String> = (0..40).map(|n| format!("team-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = questions(&[("AmazonEKSEditPolicy", &["team-*"])], &names[..8], false, false);
        assert_eq!(all.len(), MOST);
        assert!(
            all[..8].iter().all(|ask| ask.starts_with("patch")),
            "one of each first: {all:?}"
        );
        assert_eq!(
            questions(&[("AmazonEKSEditPolicy", &[])], &names, false, false).len(),
            MOST
        );
    }

    #[test]
    fn what_no_policy_is_meant_for_is_asked_first_and_what_is_not_asked_is_said() {
        let names: Vec<String> = (0..40).map(|n| format!("team-{n}")).collect();
        let policies = [("AmazonEKSClusterAdminPolicy".to_owned(), vec!["team-1*".to_owned()])];
        let asked = asks(&policies, &names, false, false);
        assert_eq!(asked.len(), MOST);
        let covered = asked
            .iter()
            .filter(|ask| ask.namespace.as_ref().unwrap().starts_with("team-1"));
        assert_eq!(covered.count(), 0, "{asked:?}");
        assert_eq!(
            unasked(&policies, &names, false, false),
            ["28 more were not asked, to spare the API server"]
        );
        assert!(unasked(&policies, &[], false, false).is_empty());
        let edit = [("AmazonEKSEditPolicy".to_owned(), Vec::new())];
        assert_eq!(
            unasked(&edit, &names[..12], true, false),
            ["49 more were not asked, to spare the API server"]
        );
        assert!(unasked(&[], &names[..1], false, true)[0].contains("whether it may write was not asked"));
        assert_eq!(
            roles(&[]).to_string(),
            "list clusterroles.rbac.authorization.k8s.io in the whole cluster"
        );
        let first = roles(&names[..2]).to_string();
        assert_eq!(
            first,
            format!("list roles.rbac.authorization.k8s.io in namespace {}", names[0])
        );
    }
}
