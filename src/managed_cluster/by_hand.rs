//! Cluster Secrets that people wired by hand, or that objects left behind which are no more, and the clusters and roles that
//! they are about. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::{
    argocd::{CLUSTER_ANNOTATION, ClusterSecret, Credentials, OWNER_ANNOTATION, SeenCluster, parse},
    domain::{
        arn::{ClusterArn, RoleArn},
        eks::{AccessEntry, Associations, is_cluster_id},
        hub,
        name::{InvalidName, KubernetesName, Region},
        ownership::{HUB_TAG, Tags},
        role_pattern::of_another_hub,
    },
};

use super::{
    living::{Lives, Living},
    observe::Spoke,
};

/// Where Argo CD runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The EKS cluster.
    pub cluster: ClusterArn,
    /// Argo CD's namespace.
    pub namespace: String,
    /// The name of the `ManagementRole` to print.
    pub management_role: KubernetesName,
    /// The name of the role by which accounts are entered to look.
    pub reader_role: String,
    /// The external ID that the reader roles ask for.
    pub external_id: Option<String>,
}

impl Hub {
    /// What everything is named after that Mooring makes for it.
    fn paths(&self) -> hub::Hub {
        hub::Hub {
            cluster: self.cluster.clone(),
            management_role: self.management_role.clone(),
        }
    }

    /// Whether a thing bears this hub's mark: what an object that is no more left behind needs not be opened.
    fn marked(&self, tags: &Tags) -> bool {
        tags.get(HUB_TAG) == Some(&self.cluster.to_string())
    }
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Where Argo CD runs.
    pub hub: Hub,
    /// Whether EKS was seen to have that cluster.
    pub hub_seen: bool,
    /// The `ManagementRole` of that name as it is stored, where there is one.
    pub role: Option<Value>,
    /// The `ManagedCluster`s that are there.
    pub living: Living,
    /// Every cluster Secret in Argo CD's namespace, cut down.
    pub secrets: Vec<ClusterSecret>,
    /// The clusters that can be imported.
    pub looked: Vec<Looked>,
    /// The Secrets that cannot.
    pub left: Vec<Left>,
}

/// A cluster Secret, and the EKS cluster and role that it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Wired {
    /// The Secret.
    pub secret: Secret,
    /// What Argo CD reads in it.
    pub seen: SeenCluster,
    /// The EKS cluster: the region by the server, or where that does not tell by the program, the account by the role.
    pub cluster: ClusterArn,
    /// The role that Argo CD assumes.
    pub role: RoleArn,
    /// What becomes of that role.
    pub becomes: Becomes,
}

/// What becomes of the role by which Argo CD comes to a cluster. A role under the path of any Mooring can be named by no
/// manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It stands elsewhere, and is named by its ARN.
    Named,
    /// This hub made it, and has it again where no role is named.
    Own,
    /// This hub made it under a name that a spec chose.
    Chosen,
    /// Another hub made it, and nobody takes it over: this one makes that role beside it.
    LeftFor(RoleArn),
}

impl Wired {
    /// The deployer role from then on.
    #[must_use]
    pub fn deployer(&self) -> &RoleArn {
        match &self.becomes {
            Becomes::Named | Becomes::Own | Becomes::Chosen => &self.role,
            Becomes::LeftFor(another) => another,
        }
    }

    /// The `ManagedCluster` that wrote the Secret, by its name or else its UID; `None` where a person did. Anybody may have
    /// written what stands there: what is the name of no object is not said.
    #[must_use]
    pub fn left_by(&self) -> Option<&str> {
        let annotations = self.secret.metadata.annotations.as_ref()?;
        let uid = annotations.get(OWNER_ANNOTATION)?;
        let mut said = annotations.get(CLUSTER_ANNOTATION).into_iter().chain([uid]);
        let name = said.find(|name| name.parse::<KubernetesName>().is_ok());
        Some(name.map_or(UNNAMED, String::as_str))
    }

    /// The name that its object had, or that Argo CD has for the cluster.
    #[must_use]
    pub fn had_name(&self) -> &str {
        match self.left_by() {
            Some(name) if name != UNNAMED => name,
            Some(_) | None => self.shown_name(),
        }
    }

    /// The cluster's name in Argo CD.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        if self.seen.name.is_empty() {
            self.cluster.name.as_str()
        } else {
            &self.seen.name
        }
    }
}

/// What is said in the place of a name that no object may have.
const UNNAMED: &str = "without a name";

/// A cluster Secret that cannot be imported, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The Secret's name.
    pub secret: String,
    /// Why.
    pub why: String,
}

/// What was found in the account of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// The Secret and what it is about.
    pub wired: Wired,
    /// What stands in the account with the deployer role that it leads to; what is known all the same, where it could not be
    /// looked at whole.
    pub spoke: Result<Spoke, Unseen>,
    /// What EKS gives the role that the Secret names, where it leads to another one and that could be looked at.
    pub former: Option<Access>,
}

/// An account that could not be looked at whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Why.
    pub why: String,
    /// What EKS gives the role on the cluster, where at least that was looked at.
    pub access: Option<Access>,
}

/// What EKS gives a role on a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The access entry of the role.
    pub entry: Option<AccessEntry>,
    /// The access policies of the entry.
    pub associations: Option<Associations>,
}

impl Looked {
    /// The access entry of the role by which Argo CD comes to the cluster, where one was seen.
    #[must_use]
    pub fn entry(&self) -> Option<&AccessEntry> {
        self.given()?.0
    }

    /// The access policies that were seen on it.
    #[must_use]
    pub fn associations(&self) -> Option<&Associations> {
        self.given()?.1
    }

    /// What EKS gives that role; `None` where nobody could look.
    fn given(&self) -> Option<(Option<&AccessEntry>, Option<&Associations>)> {
        let access = match (&self.wired.becomes, &self.spoke) {
            (Becomes::LeftFor(_), _) => self.former.as_ref()?,
            (Becomes::Named | Becomes::Own | Becomes::Chosen, Ok(spoke)) => {
                return Some((spoke.entry.as_ref(), spoke.associations.as_ref()));
            }
            (Becomes::Named | Becomes::Own | Becomes::Chosen, Err(unseen)) => unseen.access.as_ref()?,
        };
        Some((access.entry.as_ref(), access.associations.as_ref()))
    }

    /// Whether an object that is no more used the role and never wrote to it (`type: Existing`): it bears no mark of any hub. One
    /// that was not seen is taken for such a role.
    #[must_use]
    pub fn was_only_used(&self) -> bool {
        let role = self.spoke.as_ref().ok().and_then(|spoke| spoke.role.as_ref());
        self.wired.becomes == Becomes::Named
            && self.wired.left_by().is_some()
            && role.is_none_or(|role| !role.tags.contains_key(HUB_TAG))
    }

    /// Whether its owner has to open the role: this hub's own, which an object left behind, only where it lost its mark.
    #[must_use]
    pub fn opens_role(&self, hub: &Hub) -> bool {
        match &self.wired.becomes {
            Becomes::Named | Becomes::Chosen => true,
            Becomes::Own => {
                let role = self.spoke.as_ref().ok().and_then(|spoke| spoke.role.as_ref());
                role.is_some_and(|role| !hub.marked(&role.tags))
            }
            Becomes::LeftFor(_) => false,
        }
    }

    /// The access entry that its owner has to open.
    #[must_use]
    pub fn opens_entry(&self, hub: &Hub) -> Option<&AccessEntry> {
        let stays = !matches!(self.wired.becomes, Becomes::LeftFor(_));
        self.entry().filter(|entry| stays && !hub.marked(&entry.tags))
    }

    /// Why nobody knows what Argo CD may do on the cluster; `None` where the access entry that was seen says it.
    #[must_use]
    pub fn unsaid(&self) -> Option<&'static str> {
        if self.given().is_none() {
            return Some("its access entry was not looked at");
        }
        let Some(entry) = self.entry() else {
            return Some("it has no access entry for the role: aws-auth lets it in, or nothing does");
        };
        let no_policy = self.associations().is_none_or(Associations::is_empty);
        (no_policy && entry.groups.is_empty()).then_some("its access entry for the role gives nothing")
    }
}

/// Reads the cluster Secrets, as leniently as Argo CD does. Those of `ManagedCluster`s that are there are passed over.
#[must_use]
pub fn read(secrets: &[Secret], hub: &Hub, living: &Living) -> (Vec<Wired>, Vec<Left>) {
    let hub = hub.paths();
    let (mut wired, mut left) = (Vec::new(), Vec::new());
    for secret in secrets {
        let annotations = secret.metadata.annotations.as_ref();
        let owner = annotations.and_then(|all| all.get(OWNER_ANNOTATION));
        let read = read_one(secret, &hub);
        let why = match (owner.and_then(|uid| living.get(uid)), read) {
            (Some(lives), read) => copied(read, lives),
            (None, Ok(one)) => {
                wired.push(one);
                None
            }
            (None, Err(why)) => Some(why),
        };
        left.extend(why.map(|why| Left {
            secret: secret.metadata.name.clone().unwrap_or_default(),
            why,
        }));
    }
    (wired, left)
}

/// That a Secret only bears the mark of an object that is there: it is about another cluster than that one moors, as when
/// somebody made it from a copy.
fn copied(read: Result<Wired, String>, lives: &Lives) -> Option<String> {
    let (one, moored) = (read.ok()?, lives.cluster.as_ref()?);
    // A local cluster on an Outpost is named by its ID there.
    let elsewhere = (&one.cluster.account, &one.cluster.region) != (&moored.account, &moored.region)
        || one.cluster.name != moored.name && !is_cluster_id(one.cluster.name.as_str());
    elsewhere.then(|| {
        format!(
            "it bears the mark of ManagedCluster {}, which moors {moored}, and is about {}: take its annotations of mooring.dev/ off if it was made from a copy of that one's Secret, and run this again",
            lives.name, one.cluster
        )
    })
}

fn read_one(secret: &Secret, hub: &hub::Hub) -> Result<Wired, String> {
    let seen = parse::read(secret).map_err(|why| format!("Argo CD cannot read it: {why}"))?;
    let (name, role, profile, said, by) = match &seen.credentials {
        Credentials::Aws {
            cluster_name,
            role_arn,
            profile,
        } => (cluster_name, role_arn, profile, None, "its awsAuthConfig".to_owned()),
        Credentials::Program(program) => (
            &program.cluster_name,
            &program.role_arn,
            &program.profile,
            program.region.parse().ok(),
            format!("its execProviderConfig ({})", program.name),
        ),
        Credentials::Other(fields) => return Err(not_by_a_role(fields)),
    };
    if !profile.is_empty() {
        return Err(format!("{by} names a profile, which Mooring does not write"));
    }
    if role.is_empty() {
        return Err(format!(
            "{by} names no role: Argo CD comes to it with its own credentials, and Mooring gives each cluster a role"
        ));
    }
    // What stands where a name should may be a secret.
    let told = |field: &'static str| {
        move |error: InvalidName| format!("{field} in its config is not {}: {}", error.kind, error.hint)
    };
    let role: RoleArn = role.parse().map_err(told("the role's ARN"))?;
    let region = region_of(seen.server.as_str()).or(said).ok_or_else(|| {
        format!(
            "its server {} is not the endpoint of an EKS cluster, which tells the region",
            seen.server
        )
    })?;
    let cluster = ClusterArn {
        account: role.account.clone(),
        region,
        name: name.parse().map_err(told("the cluster's name"))?,
    };
    Ok(Wired {
        becomes: becomes(&role, &cluster, hub)?,
        cluster,
        secret: secret.clone(),
        seen,
        role,
    })
}

/// What becomes of a role.
///
/// # Errors
/// Which other `ManagementRole` of this hub has its path.
fn becomes(role: &RoleArn, cluster: &ClusterArn, hub: &hub::Hub) -> Result<Becomes, String> {
    let own = hub.deployer_role(cluster);
    if *role == own {
        return Ok(Becomes::Own);
    }
    if of_another_hub(role, hub).is_some() {
        return Ok(Becomes::LeftFor(own));
    }
    match role.path.strip_prefix(&hub.management_path()) {
        // Under the path itself stands the management role.
        None | Some("") => Ok(Becomes::Named),
        Some(_) if role.path == hub.path() => Ok(Becomes::Chosen),
        Some(of) => {
            let of = of.trim_end_matches('/');
            Err(format!(
                "its role {role} is one that Mooring made for ManagementRole {of} of this hub, and a ManagedCluster of that one alone can have it again: run this once more with --management-role {of}"
            ))
        }
    }
}

/// Why a Secret is not taken over by which Argo CD comes to the cluster otherwise than by a role: the names of what is in it,
/// and never a value.
fn not_by_a_role(fields: &BTreeSet<&'static str>) -> String {
    let all: Vec<&str> = fields.iter().copied().collect();
    match all.as_slice() {
        [] => "it is not wired by a role: its config says nothing of who Argo CD is to the cluster".to_owned(),
        ["execProviderConfig"] => {
            "it is not wired by a role that can be read: its execProviderConfig runs something else than `argocd-k8s-auth aws`, `aws eks get-token` or `aws-iam-authenticator token`".to_owned()
        }
        all => format!(
            "it is not wired by a role, but by what is in its config itself ({})",
            all.join(", ")
        ),
    }
}

/// The region of an EKS endpoint: `https://ID.gr7.REGION.eks.amazonaws.com`, in some forms without the second label, or of a
/// cluster with IPv6 `https://eks-cluster.REGION.api.aws`, in China with `api.amazonwebservices.com.cn` in the end (EKS user
/// guide, "Cluster API server endpoint").
fn region_of(server: &str) -> Option<Region> {
    let host = server.strip_prefix("https://")?.split([':', '/']).next()?;
    for end in [".api.aws", ".api.amazonwebservices.com.cn"] {
        if let Some(before) = host.strip_suffix(end) {
            return before.rsplit('.').next()?.parse().ok();
        }
    }
    let labels: Vec<&str> = host.split('.').collect();
    let at = labels.iter().rposition(|label| *label == "eks")?;
    let before = at.checked_sub(1).and_then(|before| labels.get(before))?;
    before
        .parse()
        .ok()
        .or_else(|| labels.get(at + 1).and_then(|after| after.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_told_by_the_endpoint() {
        for (server, region) in [
            ("https://0123.gr7.eu-west-1.eks.amazonaws.com", Some("eu-west-1")),
            ("https://0123.yl4.cn-north-1.eks.amazonaws.com.cn", Some("cn-north-1")),
            (
                "https://0123.sk1.us-gov-west-1.eks.amazonaws.com:443",
                Some("us-gov-west-1"),
            ),
            ("https://0123.eks-cluster.eu-west-1.api.aws", Some("eu-west-1")),
            ("https://0123.gr7.eks-cluster.eu-west-1.api.aws:443", Some("eu-west-1")),
            (
                "https://0123.eks-cluster.cn-north-1.api.amazonwebservices.com.cn",
                Some("cn-north-1"),
            ),
            ("https://prod.api.aws", None),
            ("https://kubernetes.default.svc", None),
            ("https://10.0.0.1:6443", None),
            ("https://api.prod.example.com", None),
        ] {
            assert_eq!(
                region_of(server).map(|region| region.to_string()).as_deref(),
                region,
                "{server}"
            );
        }
    }
}
