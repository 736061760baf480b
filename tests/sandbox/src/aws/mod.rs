//! The fake AWS: IAM, STS and EKS for many accounts, regions and partitions, on loopback, at AWS's own addresses.
//!
//! [`FakeAws::start`] opens an HTTPS proxy on loopback that answers as AWS's hosts; whoever runs with the variables of
//! [`FakeAws::env`] reaches it without knowing: the operator, the aws CLI, boto3, Argo CD. `wire/` is HTTP, TLS and
//! signatures; `operations/` the tables that say what may be asked; `dispatch` the way of a call; `service/` and
//! `world/` what AWS would do about it. What an EKS cluster's API server asks, by way of `webhooks`, is in
//! `authenticator/` and `authorizer/`.

pub mod authz;
pub mod contract;
pub mod eventual;
pub mod operations;
pub mod world;

mod authenticator;
mod authorizer;
mod dispatch;
mod faults;
mod identity;
mod log;
mod pod_identity;
mod relay;
mod service;
mod throttle;
mod trail;
mod webhooks;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

pub use authenticator::{BearerToken, Refusal, ReviewLog, SignError, TokenReview, User};
pub use dispatch::Latency;
pub use faults::{Effect, Fault, FaultId, Faults, UnknownOperation};
pub use log::{Call, CallLog, Outcome};
pub use relay::{Relay, Relayed};
pub use service::eks::{
    Access, AssociatedPolicy, AuthenticationMode, ClusterSeed, ClusterStatus, HealthIssue, NoSuchCluster, RoleMapping,
    Unmapped,
};
pub use throttle::{Rate, Rates};
pub use webhooks::ClusterWebhooks;
pub use world::Credentials;

use self::authenticator::Authenticator;
use self::contract::{Answer, ApiError, Caller, Request, Service};
use self::dispatch::Core;
use self::identity::Identity;
use self::pod_identity::Agent;
use self::service::eks::Eks;
use self::webhooks::Webhooks;
use self::wire::endpoint::{Partition, iam_region};
use self::wire::{Behind, Proxy};
use self::world::World;

/// How the fake AWS behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The region that [`FakeAws::env`] gives to clients, and that [`FakeAws::call`] is made in.
    pub region: String,
    /// How long each service takes to answer.
    pub latency: Latency,
    /// How long a write to IAM takes to arrive everywhere.
    pub propagation: Duration,
    /// How long a write to EKS takes to arrive everywhere.
    pub eks_propagation: Duration,
    /// The rates of every account that [`FakeAws::throttle`] gives no others.
    pub rates: Rates,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: "eu-west-1".to_owned(),
            latency: Latency::default(),
            propagation: Duration::ZERO,
            eks_propagation: Duration::ZERO,
            rates: Rates::default(),
        }
    }
}

/// Why the fake AWS could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate could not be made.
    #[error("the sandbox's certificate authority could not make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("TLS could not be set up with the sandbox's certificates: {0}")]
    Tls(#[from] rustls::Error),
    /// The folder for the certificate could not be written.
    #[error("{path} could not be written: {source}; set TMPDIR to a folder that can")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No port could be opened.
    #[error("no port of 127.0.0.1 could be opened for the sandbox's AWS: {0}")]
    Listen(std::io::Error),
}

impl StartError {
    fn folder(path: &Path, source: std::io::Error) -> Self {
        Self::Folder {
            path: path.to_owned(),
            source,
        }
    }
}

/// A running fake AWS. It stops when it is dropped, and takes its connections and its certificate with it.
pub struct FakeAws {
    core: Arc<Core>,
    proxy: Proxy,
    agent: Agent,
    webhooks: Webhooks,
    region: String,
}

impl FakeAws {
    /// Starts it on free ports of the loopback interface, without accounts or clusters.
    ///
    /// # Errors
    /// When no port can be opened or no certificate can be made or written.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let world = World::new(world::Settings {
            propagation: settings.propagation,
            ..world::Settings::default()
        });
        let core = Arc::new(Core {
            world,
            eks: Eks::new(settings.eks_propagation),
            log: CallLog::default(),
            faults: Faults::default(),
            throttles: throttle::Throttles::default(),
            latency: settings.latency,
            authenticator: Authenticator::default(),
            last_writes: std::sync::Mutex::default(),
        });
        core.throttles.set(None, settings.rates);
        let proxy = Proxy::start(Behind::Fake(Arc::clone(&core))).await?;
        let agent = Agent::start(Arc::clone(&core), proxy.folder()).await?;
        let webhooks = Webhooks::start(Arc::clone(&core)).await?;
        Ok(Self {
            core,
            proxy,
            agent,
            webhooks,
            region: settings.region,
        })
    }

    /// The environment in which AWS's clients reach this AWS and no other.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        self.proxy.env(&self.region)
    }

    /// The proxy's URL.
    #[must_use]
    pub fn proxy_url(&self) -> String {
        self.proxy.url()
    }

    /// The certificate of the sandbox's authority, a PEM file.
    #[must_use]
    pub fn ca_bundle(&self) -> PathBuf {
        self.proxy.bundle()
    }

    /// Adds an account to a partition: `aws`, `aws-cn`, `aws-us-gov`, ...
    pub fn add_account(&self, account: &str, partition: &'static str) {
        self.core.world.add_account(account, partition);
    }

    /// The credentials of an account's root user, which no policy limits. The account is added to `aws` if it is not
    /// there.
    #[must_use]
    pub fn root(&self, account: &str) -> Credentials {
        self.core.world.root_credentials(account)
    }

    /// Credentials for a session of a role, its trust policy not asked.
    ///
    /// # Errors
    /// `NoSuchEntity` when there is no such role.
    pub fn session(
        &self,
        role_arn: &str,
        session_name: &str,
        tags: &[(String, String)],
    ) -> Result<Credentials, ApiError> {
        self.core.world.session_credentials(role_arn, session_name, tags)
    }

    /// The same for a session that lasts.
    ///
    /// # Errors
    /// `NoSuchEntity` when there is no such role.
    pub fn long_session(&self, role_arn: &str, session_name: &str, lasts: Duration) -> Result<Credentials, ApiError> {
        self.core.world.long_session_credentials(role_arn, session_name, lasts)
    }

    /// Every secret key and session token that was ever given to anybody: what no output may hold.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.core.world.secrets()
    }

    /// Who has an access key: what [`FakeAws::access`] asks for.
    #[must_use]
    pub fn caller(&self, credentials: &Credentials) -> Option<Caller> {
        self.core
            .world
            .credentials(&credentials.access_key_id)
            .map(|key| key.caller)
    }

    /// Carries out an operation directly, in the default region of this AWS: validated and authorized as on the wire,
    /// but without latency, faults, throttling, and not in the call log. For what a test does by hand.
    ///
    /// # Errors
    /// What AWS would answer.
    pub fn call(&self, credentials: &Credentials, service: Service, operation: &str, input: Value) -> Answer {
        self.call_in(&self.region, credentials, service, operation, input)
    }

    /// As [`FakeAws::call`], in a region.
    ///
    /// # Errors
    /// What AWS would answer.
    pub fn call_in(
        &self,
        region: &str,
        credentials: &Credentials,
        service: Service,
        operation: &str,
        input: Value,
    ) -> Answer {
        let unknown = || ApiError::new(400, "InvalidAction", format!("Could not find operation {operation}"));
        let row = operations::find(service, operation).ok_or_else(unknown)?;
        let token = || {
            ApiError::new(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
            )
        };
        let caller = self.caller(credentials).ok_or_else(token)?;
        let partition = Partition::of_region(region).map_or("aws", |partition| partition.id);
        let region = if service == Service::Iam {
            iam_region(region).unwrap_or(region)
        } else {
            region
        };
        let input = match input {
            Value::Object(members) => members,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        let caller = Some(caller);
        let request = Request {
            service,
            operation: row.name,
            partition,
            region: region.to_owned(),
            caller,
            input,
        };
        self.core.carry_out(row, &request)
    }

    /// Adds a cluster, or puts it in the place of one with the same account, region and name.
    pub fn add_cluster(&self, seed: ClusterSeed) {
        self.core.eks.add(seed);
    }

    /// Changes a cluster as its owner would.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn update_cluster(
        &self,
        account: &str,
        region: &str,
        name: &str,
        change: impl FnOnce(&mut ClusterSeed),
    ) -> Result<(), NoSuchCluster> {
        self.core.eks.update(&key(account, region, name), change)
    }

    /// Gives to a cluster's authenticator what its `aws-auth` says, as often as that changes. A cluster that is not there
    /// any more has no authenticator.
    pub(crate) fn heeds_aws_auth(&self, account: &str, region: &str, name: &str) -> impl Fn(Vec<RoleMapping>) + use<> {
        let (core, key) = (Arc::clone(&self.core), key(account, region, name));
        move |mappings| {
            let heard = core.eks.update(&key, |seed| seed.aws_auth = mappings);
            if let Err(error) = heard {
                tracing::debug!(%error, "nobody heeds aws-auth");
            }
        }
    }

    /// Removes a cluster with its access entries.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn remove_cluster(&self, account: &str, region: &str, name: &str) -> Result<(), NoSuchCluster> {
        self.core.eks.remove(&key(account, region, name))
    }

    /// Every cluster.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterSeed> {
        self.core.eks.clusters()
    }

    /// What a cluster's authenticator makes of a caller. `None`: no access entry pins the unique ID of its role.
    #[must_use]
    pub fn access(&self, account: &str, region: &str, cluster: &str, caller: &Caller) -> Option<Access> {
        let identity = Identity::of(caller)?;
        self.core.eks.access(&key(account, region, cluster), &identity)
    }

    /// What a cluster's API server asks about bearer tokens and about what their users may do. An API server that is
    /// started with both is an EKS cluster of this AWS.
    #[must_use]
    pub fn webhooks(&self, account: &str, region: &str, cluster: &str) -> ClusterWebhooks {
        self.webhooks.of(&key(account, region, cluster))
    }

    /// Every bearer token that was shown to a cluster, and what became of it.
    #[must_use]
    pub fn token_reviews(&self) -> &ReviewLog {
        self.core.authenticator.log()
    }

    /// Lets bearer tokens age: moves the clock of the clusters' authenticators forward, and no other. Tokens that a
    /// client signs from then on are that old already, since clients keep the wall clock.
    pub fn age_tokens(&self, by: Duration) {
        self.core.authenticator.advance(by);
    }

    /// Binds a role to a pod as EKS Pod Identity does, and gives the environment that the pod gets. Each time the pod
    /// asks, the role's trust policy decides.
    ///
    /// # Errors
    /// When the pod's token cannot be written.
    pub fn pod_identity(
        &self,
        role_arn: &str,
        cluster_arn: &str,
        namespace: &str,
        service_account: &str,
        pod: &str,
    ) -> Result<Vec<(String, String)>, StartError> {
        self.agent.bind(role_arn, cluster_arn, namespace, service_account, pod)
    }

    /// Makes the signing keys of a token issuer known, as AWS would fetch them from its JWKS address.
    ///
    /// # Errors
    /// When the text is not a JSON Web Key Set.
    pub fn register_issuer(&self, issuer_url: &str, jwks_json: &str) -> Result<(), serde_json::Error> {
        self.core.world.register_issuer(issuer_url, jwks_json)
    }

    /// Moves AWS's clock forward: writes arrive everywhere, sessions expire. Signatures keep the wall clock.
    pub fn advance(&self, by: Duration) {
        self.core.world.advance(by);
        self.core.eks.advance(by);
    }

    /// Sets the rates of one account, or of every account that has none of its own.
    pub fn throttle(&self, account: Option<&str>, rates: Rates) {
        self.core.throttles.set(account, rates);
    }

    /// The call log.
    #[must_use]
    pub fn log(&self) -> &CallLog {
        &self.core.log
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }
}

fn key(account: &str, region: &str, name: &str) -> (String, String, String) {
    (account.to_owned(), region.to_owned(), name.to_owned())
}
