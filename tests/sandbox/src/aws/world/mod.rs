//! The state of the fake AWS: accounts with their roles, policies and identity providers, and the credentials that
//! were handed out. One lock holds all of it; no call waits while it has it.

mod accounts;
mod authorize;
mod issuers;
mod keys;
mod policies;
mod principals;
mod profiles;
mod providers;
mod roles;
mod tags;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::authz::Document;
use super::contract::{Answer, ApiError, Caller, Check, Request};
use super::service;

pub(in crate::aws) use accounts::Account;
pub(in crate::aws) use issuers::{Identity, Issuer};
pub use keys::{Credentials, KeyRecord};
pub(in crate::aws) use keys::{Ids, LONGEST_TOKEN, NewSession};
pub(in crate::aws) use policies::{ManagedPolicy, Stored, Version, size};
pub(in crate::aws) use profiles::Profile;
pub(in crate::aws) use providers::Provider;
pub(in crate::aws) use roles::{Role, Trust};
pub(in crate::aws) use tags::Tags;

/// How the world behaves where AWS lets it vary.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a write takes to be seen by reads, by trust policies, by policy evaluation and by EKS.
    pub propagation: Duration,
    /// Roles that one account may have: 1,000 by default in AWS, 10,000 at most (quota L-FE177D64).
    pub roles_per_account: usize,
    /// By which ARN a call is judged that names a role which does not exist.
    pub missing_role: MissingRole,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            propagation: Duration::ZERO,
            roles_per_account: 1_000,
            missing_role: MissingRole::RootPath,
        }
    }
}

/// A role's ARN holds its path, but `GetRole` and its like give only a name. When no such role exists AWS must judge
/// the caller by some ARN, and its documentation does not say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingRole {
    /// Whoever may call the operation on the name under some path of its policies is told `NoSuchEntity`.
    AnyPath,
    /// The ARN has the path `/`: who is limited to another path is told `AccessDenied`.
    RootPath,
}

/// The world. Every method may be called from any thread.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
}

/// What the world holds.
#[derive(Debug)]
pub(in crate::aws) struct State {
    pub(in crate::aws) settings: Settings,
    pub(in crate::aws) ids: Ids,
    accounts: HashMap<String, Account>,
    /// Where the role of a unique ID stands: account and name in lower case.
    roles: HashMap<String, (String, String)>,
    keys: HashMap<String, KeyRecord>,
    issuers: HashMap<String, Issuer>,
    session_policies: HashMap<String, Document>,
    last_used: HashMap<String, (Timestamp, String)>,
    ahead: Duration,
}

impl World {
    /// A world without accounts.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let state = State {
            settings,
            ids: Ids::default(),
            accounts: HashMap::new(),
            roles: HashMap::new(),
            keys: HashMap::new(),
            issuers: HashMap::new(),
            session_policies: HashMap::new(),
            last_used: HashMap::new(),
            ahead: Duration::ZERO,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an account, with credentials for its root. One that is there already stays as it is.
    pub fn add_account(&self, account: &str, partition: &'static str) {
        self.state().add_account(account, partition);
    }

    /// Moves the world's clock forward: writes arrive, sessions and tokens expire. The wire's clock, by which
    /// signatures are dated, stays.
    pub fn advance(&self, by: Duration) {
        self.state().ahead += by;
    }

    /// The time in the world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state().timestamp()
    }

    /// Every secret key and session token that was given.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let state = self.state();
        let of = |key: &KeyRecord| [Some(key.secret_access_key.clone()), key.session_token.clone()];
        state.keys.values().flat_map(of).flatten().collect()
    }

    /// What is known of an access key, expired ones included.
    #[must_use]
    pub fn credentials(&self, access_key_id: &str) -> Option<KeyRecord> {
        self.state().keys.get(access_key_id).cloned()
    }

    /// The credentials of an account's root user, which no identity policy limits. The account is added, in the
    /// partition `aws`, if it is not there.
    #[must_use]
    pub fn root_credentials(&self, account: &str) -> Credentials {
        let mut state = self.state();
        state.add_account(account, "aws");
        state
            .accounts
            .get(account)
            .map(|account| account.root.clone())
            .unwrap_or_default()
    }

    /// Credentials for a session of a role as a test asks for them: one hour, no session policy, and the trust
    /// policy is not asked.
    ///
    /// # Errors
    /// `NoSuchEntity` when there is no such role.
    pub fn session_credentials(
        &self,
        role_arn: &str,
        session_name: &str,
        tags: &[(String, String)],
    ) -> Result<Credentials, ApiError> {
        let tags = tags.iter().cloned().collect();
        let session = NewSession {
            tags,
            ..NewSession::named(session_name)
        };
        self.open(role_arn, session)
    }

    /// The same without tags, for a session of another length.
    ///
    /// # Errors
    /// `NoSuchEntity` when there is no such role.
    pub fn long_session_credentials(
        &self,
        role_arn: &str,
        session_name: &str,
        lasts: Duration,
    ) -> Result<Credentials, ApiError> {
        let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let session = NewSession {
            seconds,
            ..NewSession::named(session_name)
        };
        self.open(role_arn, session)
    }

    fn open(&self, role_arn: &str, session: NewSession) -> Result<Credentials, ApiError> {
        let mut state = self.state();
        let role = state
            .latest_role_by_arn(role_arn)
            .ok_or_else(|| service::no_role(role_arn))?;
        Ok(state.open_session(&role, session))
    }

    /// Credentials as EKS Pod Identity gives them to a pod: six hours, six transitive session tags. The trust policy
    /// must let `pods.eks.amazonaws.com` do both `sts:AssumeRole` and `sts:TagSession`.
    ///
    /// # Errors
    /// `AccessDenied` when the role does not exist or does not trust the service for this pod.
    pub fn assume_for_pod(
        &self,
        role_arn: &str,
        cluster_arn: &str,
        namespace: &str,
        service_account: &str,
        pod_name: &str,
    ) -> Result<Credentials, ApiError> {
        let pod = service::sts::Pod {
            cluster_arn,
            namespace,
            service_account,
            name: pod_name,
        };
        service::sts::assume_for_pod(&mut self.state(), role_arn, &pod)
    }

    /// Makes the signing keys of a token issuer known, as AWS would fetch them from its JWKS address. Keys given
    /// earlier for the same issuer are replaced.
    ///
    /// # Errors
    /// When the text is not a JSON Web Key Set.
    pub fn register_issuer(&self, issuer_url: &str, jwks_json: &str) -> Result<(), serde_json::Error> {
        let issuer = Issuer::parse(jwks_json)?;
        self.state()
            .issuers
            .insert(issuer_url.trim_end_matches('/').to_owned(), issuer);
        Ok(())
    }

    /// The unique ID of a role, as other services see it now; `None` is an invalid principal.
    #[must_use]
    pub fn principal_id(&self, arn: &str) -> Option<String> {
        self.state().role_by_arn(arn).map(|role| role.id.clone())
    }

    /// The ARN of the role that has a unique ID, as other services see it now.
    #[must_use]
    pub fn principal_arn(&self, unique_id: &str) -> Option<String> {
        self.state().role_by_id(unique_id).map(|role| role.arn.clone())
    }

    /// Decides whether the caller's policies allow all of the checks; the account's root passes.
    ///
    /// # Errors
    /// `AccessDenied`, of EKS `AccessDeniedException`, in AWS's words, for the first check that fails.
    pub fn authorize(&self, caller: &Caller, checks: &[Check], request: &Request) -> Result<(), ApiError> {
        self.state().authorize(caller, checks, request)
    }

    /// Answers a request to IAM.
    ///
    /// # Errors
    /// As AWS documents them for the operation.
    pub fn iam(&self, request: &Request) -> Answer {
        service::iam::answer(&mut self.state(), request)
    }

    /// Answers a request to STS.
    ///
    /// # Errors
    /// As AWS documents them for the operation.
    pub fn sts(&self, request: &Request) -> Answer {
        service::sts::answer(&mut self.state(), request)
    }
}

impl State {
    /// Now, by the world's clock.
    pub(in crate::aws) fn instant(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// Now, by the world's clock.
    pub(in crate::aws) fn timestamp(&self) -> Timestamp {
        let ahead = i64::try_from(self.ahead.as_secs()).unwrap_or(i64::MAX);
        let now = Timestamp::now();
        now.checked_add(jiff::SignedDuration::from_secs(ahead)).unwrap_or(now)
    }

    pub(in crate::aws) fn issuer(&self, url: &str) -> Option<&Issuer> {
        self.issuers.get(url.trim_end_matches('/'))
    }

    /// When and where a role was last used: `GetRole` tells it.
    pub(in crate::aws) fn last_used(&self, role_id: &str) -> Option<&(Timestamp, String)> {
        self.last_used.get(role_id)
    }
}
