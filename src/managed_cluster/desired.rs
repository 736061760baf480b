//! 3. desired: what should exist. Pure and infallible: everything that can be wrong was refused when it was parsed.

use std::collections::BTreeSet;

use crate::{
    argocd::{Connection, InvalidConnection, WantedSecret},
    aws::WantedRole,
    domain::{
        arn::{ClusterArn, RoleArn},
        eks::{Associations, Cluster, WantedEntry},
        ownership::Tags,
    },
    policy,
};

use super::{management::Management, request::Request};

/// Everything that one `ManagedCluster` should lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Desired {
    /// The EKS cluster.
    pub cluster: ClusterArn,
    /// The deployer role.
    pub role: WantedRole,
    /// Whether that role is somebody else's: it is judged, and never written to.
    pub existing: bool,
    /// Whether that role stands already, outside of our path, and is ours once it was taken over.
    pub named: bool,
    /// Whether that role stands under our path, and the spec chose its name: it need not be of this cluster.
    pub chosen: bool,
    /// Whether what others made is taken over.
    pub adopt: bool,
    /// Argo CD's namespace, where the cluster Secret is.
    pub namespace: String,
    /// The management role, which it must let in.
    pub management_role: RoleArn,
    /// The access entry, without the tag that names the role's unique ID, which AWS gives when the role is made.
    pub entry: WantedEntry,
    /// The access policies of the entry.
    pub associations: Associations,
    /// The cluster Secret; `None` until AWS has told the cluster's endpoint and certificate authority.
    pub secret: Option<Result<WantedSecret, InvalidConnection>>,
}

/// What should exist for this request, given the cluster that AWS describes.
#[must_use]
pub fn desired(request: &Request, management: &Management, cluster: Option<&Cluster>) -> Desired {
    let mut tags: Tags = request.tags.clone();
    tags.extend(request.owner.tags());
    let groups: BTreeSet<String> = request.groups.clone();
    Desired {
        cluster: request.identity.cluster.clone(),
        role: WantedRole {
            arn: request.deployer.clone(),
            trust: policy::deployer_trust(&management.role),
            boundary: request.boundary.clone(),
            tags: tags.clone(),
            description: format!(
                "Argo CD on {} deploys to {} in {} with this role. Made by Mooring for ManagedCluster {}.",
                management.hub.cluster.name,
                request.identity.cluster.name,
                request.identity.cluster.region,
                request.identity.name
            ),
        },
        existing: request.identity.existing.is_some(),
        named: request.identity.adopted.is_some(),
        chosen: request.identity.role_name.is_some(),
        adopt: request.adopt,
        namespace: management.namespace.clone(),
        management_role: management.role.clone(),
        entry: WantedEntry {
            principal: request.deployer.clone(),
            groups,
            tags,
        },
        associations: request.associations.clone(),
        secret: cluster.and_then(|cluster| secret(request, cluster)),
    }
}

fn secret(request: &Request, cluster: &Cluster) -> Option<Result<WantedSecret, InvalidConnection>> {
    let connection = Connection {
        server: cluster.endpoint.clone()?,
        certificate_authority: cluster.certificate_authority.clone()?,
        // A local cluster on Outposts is known to its authenticator by its ID (EKS user guide, "Local clusters").
        cluster_name: cluster
            .outpost_id
            .clone()
            .unwrap_or_else(|| request.identity.cluster.name.to_string()),
        role_arn: request.deployer.to_string(),
    };
    Some(connection.present(&request.presentation, &request.identity.uid, &request.identity.name))
}
