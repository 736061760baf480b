//! Clusters: what a test says of one, and what `DescribeCluster` shows of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::input::Input;
use super::mapping::RoleMapping;
use super::{Call, Cluster, Key, State};
use crate::aws::contract::Answer;
use crate::aws::wire::endpoint::Partition;

/// `accessConfig.authenticationMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationMode {
    /// `CONFIG_MAP`: no access entries.
    ConfigMap,
    /// `API_AND_CONFIG_MAP`.
    ApiAndConfigMap,
    /// `API`.
    Api,
}

impl AuthenticationMode {
    fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "CONFIG_MAP",
            Self::ApiAndConfigMap => "API_AND_CONFIG_MAP",
            Self::Api => "API",
        }
    }
}

/// `status` of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterStatus {
    /// Endpoint and certificate authority are not there yet.
    Creating,
    /// Ready.
    Active,
    /// Being deleted.
    Deleting,
    /// Could not be created: endpoint and certificate authority will never be there.
    Failed,
    /// Ready, with a change under way.
    Updating,
    /// Waits to be created.
    Pending,
}

impl ClusterStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Deleting => "DELETING",
            Self::Failed => "FAILED",
            Self::Updating => "UPDATING",
            Self::Pending => "PENDING",
        }
    }

    /// "The endpoint and certificate authority aren't available until the cluster reaches the ACTIVE state."
    fn has_endpoint(self) -> bool {
        matches!(self, Self::Active | Self::Updating | Self::Deleting)
    }
}

/// One of `health.issues`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthIssue {
    /// `KmsKeyDisabled`, `AccessDenied`, ...
    pub code: String,
    /// What AWS says of it.
    pub message: String,
    /// What it is about.
    pub resource_ids: Vec<String>,
}

/// A cluster as its owner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSeed {
    /// The account that owns it: 12 digits.
    pub account: String,
    /// Its region; the partition follows from it.
    pub region: String,
    /// Its name.
    pub name: String,
    /// The URL of its API server.
    pub endpoint: String,
    /// `certificateAuthority.data`: PEM blocks in base64.
    pub ca_data: String,
    /// `identity.oidc.issuer`: a URL with scheme.
    pub issuer: String,
    /// Whether there are access entries.
    pub authentication_mode: AuthenticationMode,
    /// Where it is in its life.
    pub status: ClusterStatus,
    /// Its Kubernetes version: `1.34`.
    pub version: String,
    /// Whether its API server is reached from the internet.
    pub endpoint_public_access: bool,
    /// Whether its API server is reached from its VPC.
    pub endpoint_private_access: bool,
    /// From where its public endpoint may be reached.
    pub public_access_cidrs: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What ails it.
    pub health_issues: Vec<HealthIssue>,
    /// `mapRoles` of the `ConfigMap` `kube-system/aws-auth`, which counts in the modes that name it. On a stage, a cluster
    /// with an API server has what the `ConfigMap` there says.
    pub aws_auth: Vec<RoleMapping>,
    /// Whether an access policy that is associated already keeps its scope when it is associated with another, which EKS
    /// takes all the same. AWS's documents say that it changes; nobody has seen it here (aws.md 1.4).
    pub scopes_stay: bool,
}

impl ClusterSeed {
    /// An active cluster with a public endpoint in mode `API`, its endpoint and issuer named as EKS names them.
    #[must_use]
    pub fn new(account: &str, region: &str, name: &str) -> Self {
        let id = format!("{:032X}", fastrand::u128(..));
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
            endpoint: format!("https://{id}.gr7.{region}.eks.{suffix}"),
            ca_data: "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K".to_owned(),
            issuer: format!("https://oidc.eks.{region}.{suffix}/id/{id}"),
            authentication_mode: AuthenticationMode::Api,
            status: ClusterStatus::Active,
            version: "1.34".to_owned(),
            endpoint_public_access: true,
            endpoint_private_access: false,
            public_access_cidrs: vec!["0.0.0.0/0".to_owned()],
            tags: BTreeMap::new(),
            health_issues: Vec::new(),
            aws_auth: Vec::new(),
            scopes_stay: false,
        }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        let partition = Partition::of_region(&self.region).map_or("aws", |partition| partition.id);
        format!(
            "arn:{partition}:eks:{}:{}:cluster/{}",
            self.region, self.account, self.name
        )
    }

    pub(super) fn key(&self) -> Key {
        (self.account.clone(), self.region.clone(), self.name.clone())
    }
}

/// A time as EKS writes it: seconds with a fraction.
pub(super) fn epoch(time: Timestamp) -> Value {
    let milliseconds = time.as_millisecond();
    json!(std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default()).as_secs_f64())
}

impl State {
    pub(super) fn describe_cluster(&self, call: &Call<'_>) -> Answer {
        let name = Input(&call.request.input).text("name");
        call.authorize(&[call.on_cluster(self, name)])?;
        Ok(json!({ "cluster": self.cluster(call, name)?.describe() }))
    }
}

impl Cluster {
    fn describe(&self) -> Value {
        let seed = &self.seed;
        let issues: Vec<Value> = seed
            .health_issues
            .iter()
            .map(|issue| json!({"code": issue.code, "message": issue.message, "resourceIds": issue.resource_ids}))
            .collect();
        let mut cluster = json!({
            "name": seed.name,
            "arn": seed.arn(),
            "createdAt": epoch(self.created),
            "version": seed.version,
            "platformVersion": "eks.1",
            "roleArn": format!("arn:{}:iam::{}:role/eks-cluster", seed.arn().split(':').nth(1).unwrap_or("aws"), seed.account),
            "resourcesVpcConfig": {
                "subnetIds": ["subnet-0000000000000000a", "subnet-0000000000000000b"],
                "securityGroupIds": [],
                "clusterSecurityGroupId": "sg-00000000000000000",
                "vpcId": "vpc-00000000000000000",
                "endpointPublicAccess": seed.endpoint_public_access,
                "endpointPrivateAccess": seed.endpoint_private_access,
                "publicAccessCidrs": seed.public_access_cidrs,
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"},
            "status": seed.status.name(),
            "certificateAuthority": {},
            "tags": seed.tags,
            "health": {"issues": issues},
            "accessConfig": {"authenticationMode": seed.authentication_mode.name()},
        });
        if seed.status.has_endpoint() {
            cluster["endpoint"] = seed.endpoint.clone().into();
            cluster["certificateAuthority"] = json!({"data": seed.ca_data});
            cluster["identity"] = json!({"oidc": {"issuer": seed.issuer}});
        }
        cluster
    }
}
