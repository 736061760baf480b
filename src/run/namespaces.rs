//! The namespaces that the operator has to do with.

use std::collections::BTreeSet;

use crate::domain::name::KubernetesName;

/// Where the operator writes cluster Secrets, and where it runs.
pub(super) struct Namespaces {
    /// Those of the Argo CDs that it serves.
    pub(super) served: Vec<String>,
    own: String,
}

impl Namespaces {
    pub(super) fn new(served: &BTreeSet<KubernetesName>, own: &KubernetesName) -> Self {
        Self {
            served: served.iter().map(ToString::to_string).collect(),
            own: own.to_string(),
        }
    }

    /// Those of the hub that give more than themselves: whoever writes workloads there has the fleet.
    pub(super) fn guarded(&self) -> BTreeSet<String> {
        self.served.iter().chain([&self.own]).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argo_cds_namespace_is_guarded_and_the_operators_own() {
        let name = |text: &str| text.parse::<KubernetesName>().unwrap();
        let served = BTreeSet::from([name("argocd"), name("argocd-two")]);
        let guarded = Namespaces::new(&served, &name("ops")).guarded();
        assert_eq!(Vec::from_iter(guarded), ["argocd", "argocd-two", "ops"]);
    }
}
