//! The hops of the chain at AWS, taken with a token of Argo CD's service account and nothing of this process's own.
//!
//! Tokens and credentials live in types that cannot be printed, compared, cloned or serialised; what AWS answers is
//! cleaned of them before it leaves here, since some of its messages repeat what was sent (`SignatureDoesNotMatch`).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_sdk_sts::{
    Client,
    config::{IdentityCache, Region as SdkRegion},
    types,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::HeaderValue;

use super::{
    calls::Call,
    connect::{self, ConnectError, Settings},
    error::{AwsError, ErrorKind},
    presign::{self, TOKEN_PREFIX},
    wire::Wire,
};
use crate::domain::{arn::RoleArn, name::Region};

/// How long the sessions last: the least that STS gives, and what Argo CD asks for (AWS SDK for Go, `stscreds`).
const SESSION: Duration = Duration::from_mins(15);

/// How long a session must still last to be used for another walk.
const MARGIN: Duration = Duration::from_mins(3);

/// For how long one call may be tried.
const CALL: Duration = Duration::from_secs(20);

/// A token of a `ServiceAccount`, for STS.
pub struct WebToken(String);

impl WebToken {
    /// Holds a token.
    #[must_use]
    pub fn new(token: String) -> Self {
        Self(token)
    }
}

/// A session of a role.
pub struct RoleSession {
    credentials: Credentials,
    ends: SystemTime,
}

impl RoleSession {
    /// Whether it lasts long enough for another walk.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.ends
            .duration_since(SystemTime::now())
            .is_ok_and(|left| left > MARGIN)
    }
}

/// A token for the API server of one EKS cluster.
pub struct EksToken(String);

impl EksToken {
    /// The header that carries it, marked as not to be shown. `None` never, since the token is plain ASCII.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// How many characters it has: the authenticator of a cluster takes no more than 4,096.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// A text of whoever was sent the token, without it. Where a piece of the token shows all the same, nothing of the
    /// text is kept: he may want it shown.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let clean = scrubbed(text, &[&self.0]);
        if self.shows_in(&clean) {
            return "<not shown: it held a part of the token>".to_owned();
        }
        clean
    }

    /// Whether a piece of the token shows, or of what is secret in the URL that it stands for; with blanks in between or in
    /// other case, too.
    fn shows_in(&self, text: &str) -> bool {
        let squeezed = |text: &str| {
            let kept = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
            kept.map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>()
        };
        let text = squeezed(text);
        let pieces: HashSet<&[u8]> = text.windows(PIECE).collect();
        let shows = |secret: &str| squeezed(secret).windows(PIECE).any(|piece| pieces.contains(piece));
        let encoded = self.0.strip_prefix(TOKEN_PREFIX).unwrap_or(&self.0);
        let url = BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap_or_default();
        let url = String::from_utf8_lossy(&url);
        let secrets = url
            .split(['?', '&'])
            .filter_map(|pair| pair.split_once('='))
            .filter(|(key, _)| ["X-Amz-Signature", "X-Amz-Security-Token"].contains(key))
            .map(|(_, value)| value);
        shows(encoded) || secrets.into_iter().any(shows)
    }

    /// A token that is none.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// How many characters in a row are a piece of a token: as many come about by chance nowhere.
const PIECE: usize = 12;

/// Takes hops. Cheap to clone.
#[derive(Clone)]
pub struct Walker {
    config: Arc<SdkConfig>,
    wire: Wire,
}

impl std::fmt::Debug for Walker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walker").finish_non_exhaustive()
    }
}

impl Walker {
    /// Loads endpoints and trust as the aws CLI does. Nothing is called yet, and no credentials are needed.
    ///
    /// # Errors
    /// When the CA bundle cannot be used.
    pub async fn connect(settings: &Settings) -> Result<Self, ConnectError> {
        let config = connect::load_anywhere(settings).await?;
        Ok(Self::over(config, settings))
    }

    /// The same over a configuration that is already there.
    pub(super) fn over(config: SdkConfig, settings: &Settings) -> Self {
        Self {
            config: Arc::new(config),
            wire: Wire::new(settings.observer.clone()),
        }
    }

    /// A client for one region. A walk says what it saw: it tries briefly, where a pass tries for minutes.
    fn sts(&self, region: &Region, credentials: Option<Credentials>) -> Client {
        let retries = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(500));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(8))
            .operation_timeout(CALL)
            .build();
        let mut config = aws_sdk_sts::config::Builder::from(self.config.as_ref())
            .region(SdkRegion::new(region.as_str().to_owned()))
            .retry_config(retries)
            .timeout_config(timeouts);
        if let Some(credentials) = credentials {
            config = config
                .credentials_provider(credentials)
                .identity_cache(IdentityCache::no_cache());
        }
        Client::from_conf(config.build())
    }

    /// Exchanges the token of a `ServiceAccount` for a session of a role, at the region's STS.
    ///
    /// # Errors
    /// When STS refuses or cannot be reached.
    pub async fn exchange(
        &self,
        region: &Region,
        role: &RoleArn,
        session_name: &str,
        token: &WebToken,
    ) -> Result<RoleSession, AwsError> {
        let (call, resource) = (Call::AssumeRoleWithWebIdentity, role.to_string());
        let acting_as: Arc<str> = "a token of Argo CD's service account".into();
        let request = self
            .sts(region, None)
            .assume_role_with_web_identity()
            .role_arn(&resource)
            .role_session_name(session_name)
            .duration_seconds(seconds())
            .web_identity_token(&token.0);
        let answer = self.wire.call(call, &resource, &acting_as, request.send()).await;
        let answer = answer.map_err(|error| scrub(error, &[&token.0]))?;
        session(answer.credentials, call, &resource, &acting_as)
    }

    /// Goes on into another role, as `argocd-k8s-auth` does: no external ID, no tags, no session policy.
    ///
    /// # Errors
    /// When STS refuses or cannot be reached.
    pub async fn assume(
        &self,
        region: &Region,
        from: &RoleSession,
        role: &RoleArn,
        session_name: &str,
    ) -> Result<RoleSession, AwsError> {
        let (call, resource) = (Call::AssumeDeployerRole, role.to_string());
        let acting_as: Arc<str> = "the management role".into();
        let request = self
            .sts(region, Some(from.credentials.clone()))
            .assume_role()
            .role_arn(&resource)
            .role_session_name(session_name)
            .duration_seconds(seconds());
        let answer = self.wire.call(call, &resource, &acting_as, request.send()).await;
        let secrets = [
            from.credentials.secret_access_key(),
            from.credentials.session_token().unwrap_or_default(),
        ];
        let answer = answer.map_err(|error| scrub(error, &secrets))?;
        session(answer.credentials, call, &resource, &acting_as)
    }

    /// Mints the token of a session for a cluster, at AWS's own host of the region, whatever endpoint STS is called at.
    ///
    /// # Errors
    /// When the cluster's name cannot be signed.
    pub fn eks_token(&self, region: &Region, session: &RoleSession, cluster: &str) -> Result<EksToken, String> {
        presign::eks_token(session.credentials.clone(), region, cluster, SystemTime::now()).map(EksToken)
    }
}

fn seconds() -> i32 {
    i32::try_from(SESSION.as_secs()).unwrap_or(900)
}

fn session(
    credentials: Option<types::Credentials>,
    call: Call,
    resource: &str,
    acting_as: &Arc<str>,
) -> Result<RoleSession, AwsError> {
    let usable = credentials.and_then(|credentials| {
        let ends = SystemTime::try_from(credentials.expiration).ok()?;
        let credentials = Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
            Some(ends),
            "mooring-verify",
        );
        Some(RoleSession { credentials, ends })
    });
    usable.ok_or_else(|| AwsError {
        call,
        kind: ErrorKind::Unknown,
        code: "UnexpectedAnswer".to_owned(),
        message: "the answer holds no credentials".to_owned(),
        request_id: None,
        resource: resource.to_owned(),
        acting_as: Arc::clone(acting_as),
    })
}

fn scrub(mut error: AwsError, secrets: &[&str]) -> AwsError {
    error.message = scrubbed(&error.message, secrets);
    error
}

fn scrubbed(text: &str, secrets: &[&str]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        clean = clean.replace(secret, "<not shown>");
        let encoded = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
        clean = clean.replace(&encoded, "<not shown>");
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile when the type has the trait.
    macro_rules! never {
        ($type:ty: $($trait:path),+) => {$(
            const _: fn() = || {
                trait Unambiguous<A> { fn here() {} }
                impl<T: ?Sized> Unambiguous<()> for T {}
                struct Has;
                impl<T: ?Sized + $trait> Unambiguous<Has> for T {}
                let _ = <$type as Unambiguous<_>>::here;
            };
        )+};
    }

    never!(WebToken: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq);
    never!(RoleSession: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq);
    never!(EksToken: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone, PartialEq);

    #[test]
    fn a_header_that_is_printed_does_not_show_its_token() {
        let token = EksToken("k8s-aws-v1.hunter2".to_owned());
        let header = token.authorization().unwrap();
        assert_eq!(header, "Bearer k8s-aws-v1.hunter2");
        assert!(!format!("{header:?}").contains("hunter2"));
        assert_eq!(token.scrub("bad k8s-aws-v1.hunter2!"), "bad <not shown>!");
        assert_eq!(token.length(), 18);
    }

    #[test]
    fn what_was_sent_encoded_is_found_too() {
        assert_eq!(
            scrubbed("a%2Fb%3D and a/b= and b", &["a/b=", ""]),
            "<not shown> and <not shown> and b"
        );
    }
}
