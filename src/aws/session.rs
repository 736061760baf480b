//! Entering an account: one session of its provisioner role for each object, cut down to what that object needs.

use std::{error::Error, fmt, future::Future, sync::Arc};

use aws_config::SdkConfig;
use aws_sdk_iam::{
    config::{IdentityCache, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{
    cache::{Key, Session, Sessions},
    calls::Call,
    connect::{self, ConnectError, Settings},
    error::{AwsError, ErrorKind},
    limits::{Admission, Lane, Limits, ShuttingDown},
    permit::{Ask, Permit},
    sts::{self, Caller},
    wire::{Partitions, Wire},
};
use crate::{
    domain::{
        arn::{ClusterArn, RoleArn},
        hub::Hub,
        name::{AccountId, Region},
    },
    policy::Document,
};

/// AWS, as the operator sees it. Cheap to clone.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    sts: aws_sdk_sts::Config,
    iam: aws_sdk_iam::Config,
    eks: aws_sdk_eks::Config,
    permit: Option<Permit>,
    limits: Limits,
    sessions: Arc<Sessions>,
    partitions: Partitions,
    caller: OnceCell<Caller>,
    wire: Wire,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").finish_non_exhaustive()
    }
}

/// The way into an account, for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The role that is assumed.
    pub provisioner: RoleArn,
    /// Its external ID, if it asks for one.
    pub external_id: Option<String>,
    /// The region whose EKS is called, and through which IAM is found.
    pub region: Region,
    /// What CloudTrail in the account calls the session: [`session_name`].
    pub session_name: String,
    /// What the session is cut down to; at most 2,048 characters (STS `AssumeRole`, `Policy`).
    pub session_policy: Document,
    /// The object that it is for: no two share a session.
    pub object: String,
}

/// A session's name for a hub and an object: `prod-eu@hub`. At most 64 characters of `[\w+=,.@-]` (STS `AssumeRole`,
/// `RoleSessionName`); what is too long, or holds other characters, is cut and ends in a hash of the whole.
#[must_use]
pub fn session_name(hub: &Hub, object: &str) -> String {
    let hub_name = hub.cluster.name.as_str();
    let whole = format!("{object}@{hub_name}");
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(*c);
    if whole.len() <= 64 && whole.chars().all(|c| allowed(&c)) {
        return whole;
    }
    let cut = |text: &str, length: usize| text.chars().filter(allowed).take(length).collect::<String>();
    let hash = hash_of(hub, object);
    format!("{}@{}-{hash:08x}", cut(object, 36), cut(hub_name, 18))
}

/// The name of a session that only proves a hop, by which CloudTrail tells it from Argo CD's own: `mooring-verify-prod-eu`.
/// Always the same for an object, since AWS repeats it in what it refuses; cut as [`session_name`] is.
#[must_use]
pub fn verify_session_name(hub: &Hub, object: &str) -> String {
    let whole = format!("mooring-verify-{object}");
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(*c);
    if whole.len() <= 64 && whole.chars().all(|c| allowed(&c)) {
        return whole;
    }
    let cut: String = whole.chars().filter(allowed).take(55).collect();
    format!("{cut}-{:08x}", hash_of(hub, object))
}

fn hash_of(hub: &Hub, object: &str) -> u32 {
    let digest = Sha256::digest(format!("{object}\n{}", hub.cluster).as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

impl Aws {
    /// Loads region, endpoints and the operator's own credentials as the aws CLI does, and makes the HTTP client.
    /// Nothing is called yet.
    ///
    /// # Errors
    /// When the CA bundle cannot be used, or no region is set.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let config = connect::load(&settings).await?;
        Ok(Self::over(&config, &settings))
    }

    /// The same over a configuration that is already there.
    pub(super) fn over(config: &SdkConfig, settings: &Settings) -> Self {
        let (mut sts, mut iam, mut eks) = (
            aws_sdk_sts::Config::new(config).to_builder(),
            aws_sdk_iam::Config::new(config).to_builder(),
            aws_sdk_eks::Config::new(config).to_builder(),
        );
        if let Some(permit) = &settings.permit {
            let ask = || Ask(Arc::clone(permit));
            (sts, iam, eks) = (sts.interceptor(ask()), iam.interceptor(ask()), eks.interceptor(ask()));
        }
        Self(Arc::new(Inner {
            sts: sts.build(),
            iam: iam.build(),
            eks: eks.build(),
            permit: settings.permit.clone(),
            limits: Limits::new(settings.passes_per_account, settings.reserved_passes_per_account),
            sessions: Arc::default(),
            partitions: Partitions::default(),
            caller: OnceCell::new(),
            wire: Wire::new(settings.observer.clone()),
        }))
    }

    /// Who the operator is to AWS. Asked once; a failure is not remembered.
    ///
    /// # Errors
    /// When STS cannot be reached or the operator has no credentials.
    pub async fn caller(&self) -> Result<Caller, AwsError> {
        let client = || {
            let config = self
                .0
                .sts
                .to_builder()
                .retry_partition(self.0.partitions.of("the operator's own"));
            aws_sdk_sts::Client::from_conf(config.build())
        };
        let caller = self
            .0
            .caller
            .get_or_try_init(|| sts::caller(client(), &self.0.wire))
            .await?;
        Ok(caller.clone())
    }

    /// Waits for a turn in the account and region of a cluster: first come, first served. Hold what comes back for as long
    /// as the pass takes.
    ///
    /// # Errors
    /// When the operator is stopping.
    pub async fn admit(&self, cluster: &ClusterArn, lane: Lane) -> Result<Admission, ShuttingDown> {
        self.0.limits.admit(cluster, lane).await
    }

    /// Begins nothing more: who waits for a turn is turned away, and no session is begun. What runs may finish.
    pub fn close(&self) {
        self.0.limits.close();
    }

    /// Whether [`Self::close`] was called, or the permit is gone: no step begins any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let forbidden = self.0.permit.as_ref().is_some_and(|permit| !permit());
        forbidden || self.0.limits.is_closed()
    }

    /// Enters an account. A session is used until two minutes before it ends; callers that want the same session
    /// share one call; a call that failed is not remembered.
    ///
    /// # Errors
    /// When the provisioner role cannot be assumed, or the operator is stopping.
    pub async fn enter(&self, door: &Door) -> Result<Account, AwsError> {
        let acting_as: Arc<str> = door.provisioner.to_string().into();
        let caller = self
            .0
            .caller
            .get()
            .map_or("the operator's own role", |caller| &caller.arn);
        if self.is_closed() {
            return Err(AwsError {
                call: Call::AssumeRole,
                kind: ErrorKind::ShuttingDown,
                code: "ShuttingDown".to_owned(),
                message: ShuttingDown.to_string(),
                request_id: None,
                resource: acting_as.to_string(),
                acting_as: caller.into(),
            });
        }
        let account = &door.provisioner.account;
        let key = Arc::new(Key::of(door));
        let begin = || {
            let config = self
                .0
                .sts
                .to_builder()
                .retry_partition(self.0.partitions.of(account.as_str()));
            let client = aws_sdk_sts::Client::from_conf(config.build());
            sts::assume(client, self.0.wire.clone(), door.clone(), caller.into())
        };
        let session = self.0.sessions.get(&key, begin).await?;
        Ok(self.account(door, acting_as, session, key))
    }

    fn account(&self, door: &Door, acting_as: Arc<str>, session: Arc<Session>, key: Arc<Key>) -> Account {
        let (account, region) = (door.provisioner.account.as_str(), door.region.as_str());
        let sdk_region = aws_sdk_iam::config::Region::new(region.to_owned());
        // The credentials are fixed, and the SDK's cache would keep each of them for ever.
        let iam = self.0.iam.to_builder();
        let iam = iam
            .credentials_provider(session.credentials.clone())
            .identity_cache(IdentityCache::no_cache());
        let iam = iam
            .region(sdk_region.clone())
            .retry_partition(self.0.partitions.of(account));
        let eks = self.0.eks.to_builder();
        let eks = eks
            .credentials_provider(session.credentials.clone())
            .identity_cache(IdentityCache::no_cache());
        let eks = eks
            .region(sdk_region)
            .retry_partition(self.0.partitions.of(&format!("{account}/{region}")));
        Account {
            iam: aws_sdk_iam::Client::from_conf(iam.build()),
            eks: aws_sdk_eks::Client::from_conf(eks.build()),
            id: door.provisioner.account.clone(),
            region: door.region.clone(),
            acting_as,
            wire: self.0.wire.clone(),
            held: Some(Held {
                sessions: Arc::clone(&self.0.sessions),
                session,
                key,
            }),
        }
    }

    /// The caller's own account, with the caller's own credentials: for whoever only looks.
    pub(super) fn own(&self, caller: &Caller, region: &Region) -> Account {
        let sdk_region = aws_sdk_iam::config::Region::new(region.as_str().to_owned());
        let partition = self.0.partitions.of(caller.account.as_str());
        let iam = self.0.iam.to_builder().region(sdk_region.clone());
        let eks = self.0.eks.to_builder().region(sdk_region);
        Account {
            iam: aws_sdk_iam::Client::from_conf(iam.retry_partition(partition.clone()).build()),
            eks: aws_sdk_eks::Client::from_conf(eks.retry_partition(partition).build()),
            id: caller.account.clone(),
            region: region.clone(),
            acting_as: caller.arn.as_str().into(),
            wire: self.0.wire.clone(),
            held: None,
        }
    }
}

/// An account that was entered, for one object. Hold it for one pass only.
#[derive(Clone)]
pub struct Account {
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) eks: aws_sdk_eks::Client,
    pub(super) id: AccountId,
    pub(super) region: Region,
    acting_as: Arc<str>,
    wire: Wire,
    held: Option<Held>,
}

/// The session that an account was entered with.
#[derive(Clone)]
struct Held {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    key: Arc<Key>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("acting_as", &self.acting_as)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Makes one call. A session that AWS no longer takes (its role was made anew) is not used again.
    pub(super) async fn call<O, E>(
        &self,
        call: Call,
        resource: &str,
        request: impl Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<O, AwsError>
    where
        O: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let outcome = self.wire.call(call, resource, &self.acting_as, request).await;
        let refused = matches!(&outcome, Err(error) if error.kind == ErrorKind::CredentialsUnavailable);
        if let Some(held) = self.held.as_ref().filter(|_| refused) {
            held.sessions.forget(&held.key, &held.session);
        }
        outcome
    }

    /// An error of our own making, about an answer that cannot be right.
    pub(super) fn invalid(&self, call: Call, resource: &str, message: String) -> AwsError {
        AwsError {
            call,
            kind: ErrorKind::Invalid,
            code: "UnexpectedAnswer".to_owned(),
            message,
            request_id: None,
            resource: resource.to_owned(),
            acting_as: Arc::clone(&self.acting_as),
        }
    }
}
