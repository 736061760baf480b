//! The accounts and clusters of a stage.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::aws::{ClusterSeed, FakeAws};

/// One EKS cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Whether it has an API server of its own, which asks this AWS who has a bearer token and what access policies
    /// allow. Without one it stands in AWS only, and its endpoint leads nowhere. The hub always has one; there the flag
    /// says whether it is also a cluster that can be reached through AWS.
    pub server: bool,
}

/// A hub and its spokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The hub.
    pub hub: ClusterSpec,
    /// The spokes.
    pub spokes: Vec<ClusterSpec>,
}

impl ClusterSpec {
    /// A cluster.
    #[must_use]
    pub fn new(account: &str, region: &str, name: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
            server: false,
        }
    }

    /// The same with an API server of its own: 3 s of CPU time to start, and 300 MB.
    #[must_use]
    pub fn with_server(self) -> Self {
        Self { server: true, ..self }
    }

    /// The 32 upper-case hex digits by which EKS tells clusters apart in hosts: the same for the same cluster.
    fn id(&self) -> String {
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in format!("{}/{}/{}", self.account, self.region, self.name).bytes() {
            hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        format!("{hash:032X}")
    }

    /// Its OIDC issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("https://oidc.eks.{}.amazonaws.com/id/{}", self.region, self.id())
    }

    /// Its API server's URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{}.gr7.{}.eks.amazonaws.com", self.id(), self.region)
    }
}

impl Fleet {
    /// The fleet of the examples: one hub account, two spoke accounts, three spoke clusters in two regions.
    #[must_use]
    pub fn example() -> Self {
        Self {
            hub: ClusterSpec::new("111111111111", "eu-west-1", "hub"),
            spokes: vec![
                ClusterSpec::new("222222222222", "eu-west-1", "prod-eu"),
                ClusterSpec::new("333333333333", "eu-central-1", "tools"),
                ClusterSpec::new("333333333333", "eu-west-1", "shared-platform"),
            ],
        }
    }

    /// A fleet of `clusters` spokes spread over `accounts` accounts and two regions.
    #[must_use]
    pub fn of(accounts: usize, clusters: usize) -> Self {
        let spokes = (0..clusters).map(|number| {
            let account = format!("{:012}", 200_000_000_000_u64 + (number % accounts.max(1)) as u64);
            let region = if (number / accounts.max(1)).is_multiple_of(2) {
                "eu-west-1"
            } else {
                "eu-central-1"
            };
            ClusterSpec::new(&account, region, &format!("spoke-{number:04}"))
        });
        Self {
            hub: ClusterSpec::new("111111111111", "eu-west-1", "hub"),
            spokes: spokes.collect(),
        }
    }

    /// The same, every cluster with an API server of its own.
    #[must_use]
    pub fn with_servers(self) -> Self {
        Self {
            hub: self.hub.with_server(),
            spokes: self.spokes.into_iter().map(ClusterSpec::with_server).collect(),
        }
    }

    /// All clusters, the hub first.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterSpec> {
        std::iter::once(&self.hub).chain(&self.spokes)
    }

    /// Makes the accounts and clusters known to AWS, each cluster with a certificate authority that is a certificate.
    pub fn seed(&self, aws: &FakeAws, certificate_authority: &str) {
        for cluster in self.clusters() {
            aws.add_account(&cluster.account, "aws");
            aws.add_cluster(ClusterSeed {
                endpoint: cluster.endpoint(),
                ca_data: STANDARD.encode(certificate_authority),
                issuer: cluster.issuer(),
                ..ClusterSeed::new(&cluster.account, &cluster.region, &cluster.name)
            });
        }
    }
}
