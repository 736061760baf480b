//! The hub, and the names of everything that is made for it.
//!
//! These functions are frozen: a release that named a role otherwise would leave every existing one behind. Their
//! results are held by golden tests.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    arn::{ClusterArn, OidcProviderArn, PolicyArn, RoleArn},
    name::{AccountId, InvalidName, KubernetesName, Partition, PolicyName, RoleName},
};

/// The management cluster, and the `ManagementRole` object that something is made for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Hub {
    /// The EKS cluster that Argo CD and the operator run on.
    pub cluster: ClusterArn,
    /// The name of the `ManagementRole`.
    pub management_role: KubernetesName,
}

/// The IAM path under which everything stands that Mooring makes.
pub const MOORING: &str = "/mooring/";

/// The IAM path of the management roles of a hub: `/mooring/<hub account>-<hub region>-<hub cluster>/`.
#[must_use]
pub fn management_path(hub: &ClusterArn) -> String {
    let ClusterArn { region, account, name } = hub;
    format!("{MOORING}{account}-{region}-{name}/")
}

impl Hub {
    /// The partition of the hub, and so of everything that it can reach.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.cluster.region.partition()
    }

    /// The IAM path under which the deployer roles of this hub and `ManagementRole` stand, in every account:
    /// `/mooring/<hub account>-<hub region>-<hub cluster>/<ManagementRole>/`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}{}/", self.management_path(), self.management_role)
    }

    /// The IAM path of management roles, one step above the deployer roles: a pattern for deployer roles never holds
    /// the role that assumes them, in the hub's own account neither.
    #[must_use]
    pub fn management_path(&self) -> String {
        management_path(&self.cluster)
    }

    /// The deployer role of a cluster, under the hub's path in the cluster's account.
    ///
    /// A role's name is unique in its account whatever its path, and without regard to case (IAM user guide, "IAM
    /// identifiers"). The hash therefore covers the path as well as the cluster's partition, account, region and
    /// name, so that two hubs may moor one cluster, and `Prod` and `prod` do not meet.
    #[must_use]
    pub fn deployer_role(&self, cluster: &ClusterArn) -> RoleArn {
        let path = self.path();
        let hash = short_hash(&[
            self.partition().name(),
            cluster.account.as_str(),
            cluster.region.as_str(),
            cluster.name.as_str(),
            &path,
        ]);
        let name = RoleName::derived("", cluster.name.as_str(), &hash);
        RoleArn {
            partition: self.partition(),
            account: cluster.account.clone(),
            path,
            name,
        }
    }

    /// The management role's ARN: named by the platform team or from the hub and the object.
    ///
    /// The hash covers the object's path, so that the roles of two objects never meet, in whatever way a name is cut.
    #[must_use]
    pub fn management_role_arn(&self, name: Option<&RoleName>) -> RoleArn {
        let name = name.cloned().unwrap_or_else(|| {
            let hash = short_hash(&[
                self.partition().name(),
                self.cluster.account.as_str(),
                "management",
                &self.path(),
            ]);
            RoleName::derived("management-", self.management_role.as_str(), &hash)
        });
        RoleArn {
            partition: self.partition(),
            account: self.cluster.account.clone(),
            path: self.management_path(),
            name,
        }
    }

    /// The role in `account` that the operator enters by: `name` at the root path, made by `mooring bootstrap`.
    #[must_use]
    pub fn provisioner(&self, account: &AccountId, name: &RoleName) -> RoleArn {
        RoleArn {
            partition: self.partition(),
            account: account.clone(),
            path: "/".to_owned(),
            name: name.clone(),
        }
    }

    /// A customer-managed policy of the hub's account, at the root path.
    #[must_use]
    pub fn hub_policy(&self, name: &PolicyName) -> PolicyArn {
        PolicyArn {
            partition: self.partition(),
            account: Some(self.cluster.account.clone()),
            path: "/".to_owned(),
            name: name.to_string(),
        }
    }

    /// The IAM OIDC provider of an issuer in the hub's account.
    ///
    /// # Errors
    /// When the issuer is not an `https://` URL that IAM takes (no port, no query: IAM `CreateOpenIDConnectProvider`).
    pub fn oidc_provider(&self, issuer: &str) -> Result<OidcProviderArn, InvalidName> {
        let host_and_path = issuer.strip_prefix("https://").filter(|rest| {
            rest.split('/').next().is_some_and(|host| !host.is_empty())
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-._~/".contains(c))
                && !rest.ends_with('/')
        });
        let issuer_host_and_path = host_and_path.map(str::to_owned).ok_or_else(|| InvalidName {
            kind: "an OIDC issuer that IAM accepts",
            value: issuer.to_owned(),
            hint: "an issuer is an https:// URL without port, query or trailing slash",
        })?;
        Ok(OidcProviderArn {
            partition: self.partition(),
            account: self.cluster.account.clone(),
            issuer_host_and_path,
        })
    }
}

/// Eight hex digits of SHA-256 over the parts, each closed by a line feed, which none of them can hold.
fn short_hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update(b"\n");
    }
    let [a, b, c, d, ..]: [u8; 32] = hasher.finalize().into();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(account: &str, region: &str, name: &str) -> ClusterArn {
        ClusterArn {
            region: region.parse().unwrap(),
            account: account.parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn hub() -> Hub {
        Hub {
            cluster: cluster("111111111111", "eu-west-1", "hub"),
            management_role: "default".parse().unwrap(),
        }
    }

    #[test]
    fn names_are_frozen() {
        assert_eq!(hub().path(), "/mooring/111111111111-eu-west-1-hub/default/");
        assert_eq!(
            hub()
                .deployer_role(&cluster("222222222222", "eu-west-1", "prod-eu"))
                .to_string(),
            "arn:aws:iam::222222222222:role/mooring/111111111111-eu-west-1-hub/default/prod-eu-49950450"
        );
        assert_eq!(
            hub().management_role_arn(None).to_string(),
            "arn:aws:iam::111111111111:role/mooring/111111111111-eu-west-1-hub/management-default-b949815e"
        );
    }

    #[test]
    fn a_long_cluster_name_is_cut_and_still_told_apart() {
        let (a, b) = ("x".repeat(99) + "a", "x".repeat(99) + "b");
        let a = hub().deployer_role(&cluster("222222222222", "eu-west-1", &a)).name;
        let b = hub().deployer_role(&cluster("222222222222", "eu-west-1", &b)).name;
        assert_eq!(a.as_str().len(), 49);
        assert_ne!(a, b);
    }

    #[test]
    fn clusters_hubs_and_objects_never_share_a_role_name() {
        let mut names = std::collections::BTreeSet::new();
        let mut other_hub = hub();
        other_hub.cluster.name = "hub2".parse().unwrap();
        let mut other_object = hub();
        other_object.management_role = "second".parse().unwrap();
        for hub in [hub(), other_hub, other_object] {
            for (account, region, name) in [
                ("222222222222", "eu-west-1", "prod"),
                ("222222222222", "eu-west-1", "Prod"),
                ("222222222222", "eu-west-2", "prod"),
                ("333333333333", "eu-west-1", "prod"),
            ] {
                names.insert(
                    hub.deployer_role(&cluster(account, region, name))
                        .name
                        .as_str()
                        .to_lowercase(),
                );
            }
        }
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn an_issuer_makes_its_providers_arn() {
        let issuer = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";
        assert_eq!(
            hub().oidc_provider(issuer).unwrap().to_string(),
            "arn:aws:iam::111111111111:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
        );
        for wrong in [
            "http://x",
            "https://",
            "https://x:443/id",
            "https://x/*",
            "https://x/id/",
        ] {
            assert!(hub().oidc_provider(wrong).is_err(), "{wrong}");
        }
    }
}
