//! What Argo CD's settings say of what it asks of a cluster.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The API group of the kinds that [`Settings::roles`] speaks of.
const RBAC: &str = "rbac.authorization.k8s.io";

/// The key of how Argo CD takes a kind that it may not list.
const RESPECT_RBAC: &str = "resource.respectRBAC";

/// How much of a wrong value is told, in characters.
const VALUE_LIMIT: usize = 60;

/// Of Argo CD's settings those that say what it asks of a cluster. What is not set is `false`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `application.sync.impersonation.enabled` (Argo CD's manual, "Application Sync using impersonation").
    pub impersonation: bool,
    /// Neither `resource.respectRBAC` nor `resource.inclusions` is set: it lists every kind that the cluster serves, but
    /// for `resource.exclusions`, and gives the cluster up when one is refused (Argo CD's manual, "Declarative setup").
    pub every_kind: bool,
    /// That `resource.exclusions` surely leaves neither `Role` nor `ClusterRole` out, so that they are among what it lists.
    pub roles: bool,
    /// What `resource.respectRBAC` says, as far as it is told, where that is no value of it: Argo CD then sets no cluster
    /// up at all (argoproj/argo-cd v3.6.1, `RespectRBAC` in `util/settings/settings.go`, `getCluster` in
    /// `controller/cache/cache.go`). It is read to the letter, spaces and line ends too.
    pub unknown_respect_rbac: Option<String>,
}

/// One rule of `resource.exclusions`: what all three lists let through is left out, and an empty list lets everything
/// through (argoproj/argo-cd v3.6.1, `util/settings/filtered_resource.go`). For which clusters a rule is, is not looked
/// at: it may be for this one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exclusion {
    #[serde(default)]
    api_groups: Option<Vec<String>>,
    #[serde(default)]
    kinds: Option<Vec<String>>,
}

impl Exclusion {
    /// Whether it may leave out one of RBAC's kinds of roles. A group is a glob, and a kind is not.
    fn may_leave_roles_out(&self) -> bool {
        let groups = self.api_groups.as_deref().unwrap_or_default();
        let kinds = self.kinds.as_deref().unwrap_or_default();
        let is_glob = |group: &String| group.contains(['*', '?', '[', '{', '\\']);
        (groups.is_empty() || groups.iter().any(|group| is_glob(group) || group == RBAC))
            && (kinds.is_empty()
                || kinds
                    .iter()
                    .any(|kind| ["*", "Role", "ClusterRole"].contains(&kind.as_str())))
    }
}

impl Settings {
    /// Reads the data of `argocd-cm`.
    #[must_use]
    pub fn read(data: &BTreeMap<String, String>) -> Self {
        let value = |key: &str| data.get(key).map(|value| value.trim()).unwrap_or_default();
        let respects = data.get(RESPECT_RBAC).map(String::as_str).unwrap_or_default();
        Self {
            impersonation: value("application.sync.impersonation.enabled") == "true",
            every_kind: respects.is_empty() && value("resource.inclusions").is_empty(),
            unknown_respect_rbac: (!["", "normal", "strict"].contains(&respects))
                .then(|| respects.chars().take(VALUE_LIMIT).collect()),
            roles: match value("resource.exclusions") {
                "" => true,
                rules => serde_saphyr::from_str::<Option<Vec<Exclusion>>>(rules)
                    .is_ok_and(|rules| !rules.unwrap_or_default().iter().any(Exclusion::may_leave_roles_out)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data: &[(&str, &str)]) -> Settings {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::read(&data.collect())
    }

    #[test]
    fn every_kind_is_listed_unless_one_of_two_settings_says_otherwise() {
        for (data, every_kind) in [
            (&[][..], true),
            (&[("resource.respectRBAC", "")], true),
            (&[("resource.respectRBAC", "normal")], false),
            (&[("resource.respectRBAC", "strict")], false),
            (&[("resource.respectRBAC", "nomral")], false),
            (&[("resource.inclusions", "- kinds: [Deployment]")], false),
        ] {
            assert_eq!(of(data).every_kind, every_kind, "{data:?}");
        }
    }

    #[test]
    fn a_value_that_argo_cd_does_not_know_is_kept_to_be_told() {
        let long = "x".repeat(1000);
        for (value, unknown) in [
            ("", None),
            ("normal", None),
            ("strict", None),
            ("nomral", Some("nomral")),
            ("Normal", Some("Normal")),
            (" strict\n", Some(" strict\n")),
            (&long, Some(&long[..VALUE_LIMIT])),
        ] {
            assert_eq!(
                of(&[(RESPECT_RBAC, value)]).unknown_respect_rbac.as_deref(),
                unknown,
                "{value:?}"
            );
        }
        assert_eq!(of(&[]).unknown_respect_rbac, None);
    }

    #[test]
    fn impersonation_is_on_where_it_says_true() {
        for (value, on) in [("true", true), ("false", false), ("yes", false)] {
            assert_eq!(
                of(&[("application.sync.impersonation.enabled", value)]).impersonation,
                on
            );
        }
    }

    /// The first is of the kind that Argo CD's own manifests set (`manifests/base/config/argocd-cm.yaml`).
    #[test]
    fn roles_are_listed_unless_a_rule_may_leave_them_out() {
        for (rules, roles) in [
            (
                "- apiGroups: ['', discovery.k8s.io]\n  kinds: [Endpoints, EndpointSlice]\n- apiGroups: [coordination.k8s.io]\n  kinds: [Lease]\n",
                true,
            ),
            ("- apiGroups: [rbac.authorization.k8s.io]\n  kinds: [RoleBinding]", true),
            (
                "- apiGroups: [rbac.authorization.k8s.io]\n  kinds: [ClusterRole]\n  clusters: ['https://other']",
                false,
            ),
            ("- apiGroups: [rbac.authorization.k8s.io]", false),
            ("- apiGroups: ['*.k8s.io']\n  kinds: [Role]", false),
            ("- kinds: ['*']\n  apiGroups: [metrics.k8s.io]", true),
            ("- kinds: ['*']", false),
            ("- clusters: ['https://other']", false),
            ("null", true),
            ("[]", true),
            ("not: a list", false),
            ("- [", false),
        ] {
            assert_eq!(of(&[("resource.exclusions", rules)]).roles, roles, "{rules}");
        }
    }
}
