//! Configuration: one HTTP client for every service and account, and what every client starts from.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::permit::Permit;

/// Told of every call: service, operation, outcome (`ok` or the kind of failure) and duration with all retries.
pub type Observer = Arc<dyn Fn(&'static str, &'static str, &'static str, Duration) + Send + Sync>;

/// What the operator is told about AWS. Region, credentials and endpoints come from where the aws CLI takes them.
#[derive(Clone)]
pub struct Settings {
    /// Passes that work in one account and region at a time.
    pub passes_per_account: usize,
    /// Further passes in one account and region, kept free for a person's edit.
    pub reserved_passes_per_account: usize,
    /// A file of PEM certificates that replaces the system's roots, as `AWS_CA_BUNDLE` does for the aws CLI.
    pub ca_bundle: Option<PathBuf>,
    /// Time for a connection to be made, with TLS and the proxy.
    pub connect_timeout: Duration,
    /// Time until the first byte of an answer.
    pub read_timeout: Duration,
    /// Time for one attempt.
    pub attempt_timeout: Duration,
    /// Time for a call with all of its retries. Shorter than a pass's deadline (three minutes by default), so that a
    /// pass can tell what it was.
    pub operation_timeout: Duration,
    /// Attempts of one call, the first included.
    pub attempts: u32,
    /// Told of every call.
    pub observer: Option<Observer>,
    /// Asked before each attempt of each call; everything is sent when there is none.
    pub permit: Option<Permit>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            passes_per_account: 4,
            reserved_passes_per_account: 1,
            ca_bundle: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(20),
            attempt_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(110),
            attempts: 15,
            observer: None,
            permit: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("passes_per_account", &self.passes_per_account)
            .field("reserved_passes_per_account", &self.reserved_passes_per_account)
            .field("ca_bundle", &self.ca_bundle)
            .field("operation_timeout", &self.operation_timeout)
            .finish_non_exhaustive()
    }
}

/// What keeps the operator from starting to talk to AWS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The bundle of certificate authorities cannot be read.
    #[error("cannot read the CA bundle {}: {source}; mount the file, or unset AWS_CA_BUNDLE", path.display())]
    UnreadableBundle {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The bundle is not what it should be.
    #[error("the CA bundle {} {why}; give it one or more PEM certificates, or unset AWS_CA_BUNDLE", path.display())]
    InvalidBundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing says which region to call.
    #[error("no AWS region is set: set AWS_REGION to the region of the cluster that the operator runs on")]
    NoRegion,
}

/// Loads the configuration that all clients share.
pub(super) async fn load(settings: &Settings) -> Result<SdkConfig, ConnectError> {
    let config = load_anywhere(settings).await?;
    if config.region().is_none() {
        return Err(ConnectError::NoRegion);
    }
    Ok(config)
}

/// The same for whoever says the region at each call.
pub(super) async fn load_anywhere(settings: &Settings) -> Result<SdkConfig, ConnectError> {
    let trust = match &settings.ca_bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(read_bundle(path)?),
        None => TrustStore::default(),
    };
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(Transport::new(settings, trust))
        .retry_config(retries(settings.attempts))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(settings.connect_timeout)
                .read_timeout(settings.read_timeout)
                .operation_attempt_timeout(settings.attempt_timeout)
                .operation_timeout(settings.operation_timeout)
                .build(),
        )
        .load()
        .await;
    Ok(config)
}

/// How calls are retried: the SDK's standard mode.
///
/// Not adaptive: its limiter multiplies its rate by 0.7 for *each* throttled answer, so that one burst of twenty takes
/// an account down to its floor of one request in two seconds, and it hands out turns in no order
/// (aws-smithy-runtime, `client_rate_limiter.rs`). Standard mode backs off each call by itself, with full jitter:
/// twenty calls in flight at a mean backoff of ten seconds offer two requests a second. Sixty calls, twenty at a time,
/// got through an account that serves 1.5 a second in 47 to 69 seconds (40 at best), and through one of 15 a second in
/// 4 to 7 (`super::tests`). Fifteen attempts wait 96 seconds on average, about as long as a call may take.
/// How many retries *failures of the connection* get is held down by the partition's token bucket instead
/// (`super::wire::Partitions`).
pub(super) fn retries(attempts: u32) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(Duration::from_millis(500))
        .with_max_backoff(Duration::from_secs(20))
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, ConnectError> {
    let bundle = fs::read(path).map_err(|source| ConnectError::UnreadableBundle {
        path: path.to_owned(),
        source,
    })?;
    let (usable, left_out) = authorities(&bundle).map_err(|why| ConnectError::InvalidBundle {
        path: path.to_owned(),
        why,
    })?;
    for (certificate, error) in left_out {
        tracing::warn!(bundle = %path.display(), certificate, error, "certificate left out");
    }
    Ok(usable)
}

/// A certificate of a bundle that is left out: its number in the bundle, from one, and why.
pub type LeftOut = (usize, String);

/// The certificate authorities of a bundle that TLS can use, as PEM. What is none is left out, since bundles of a whole
/// company may hold such a one.
///
/// # Errors
/// When the bundle is no PEM, or holds no certificate that can be used.
pub fn authorities(bundle: &[u8]) -> Result<(Vec<u8>, Vec<LeftOut>), String> {
    let (mut usable, mut left_out) = (String::new(), Vec::new());
    for (index, certificate) in CertificateDer::pem_slice_iter(bundle).enumerate() {
        let certificate = certificate.map_err(|error| format!("is not well-formed PEM ({error})"))?;
        match RootCertStore::empty().add(certificate.clone()) {
            Ok(()) => {
                usable.push_str("-----BEGIN CERTIFICATE-----\n");
                usable.push_str(&BASE64_STANDARD.encode(&certificate));
                usable.push_str("\n-----END CERTIFICATE-----\n");
            }
            Err(error) => left_out.push((index + 1, error.to_string())),
        }
    }
    if usable.is_empty() {
        return Err("holds no certificate that can be used".to_owned());
    }
    Ok((usable.into_bytes(), left_out))
}

/// The one HTTP client. It is built once and shared, since reading the trusted roots takes milliseconds and the SDK
/// would do it for each of the thousands of clients of an hour.
#[derive(Debug)]
struct Transport {
    /// By way of the proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in either case.
    general: SharedHttpConnector,
    trust: TrustStore,
    /// Straight to the credential services of the machine, one connector for each pair of timeouts.
    local: Arc<RwLock<Vec<(HttpConnectorSettings, SharedHttpConnector)>>>,
}

impl Transport {
    fn new(settings: &Settings, trust: TrustStore) -> Self {
        let timeouts = HttpConnectorSettings::builder()
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .build();
        Self {
            general: connector(&timeouts, trust.clone(), Some(ProxyConfig::from_env())),
            trust,
            local: Arc::default(),
        }
    }

    fn local(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let timeouts = |of: &HttpConnectorSettings| (of.connect_timeout(), of.read_timeout());
        let find = |known: &[(HttpConnectorSettings, SharedHttpConnector)]| {
            let same = known.iter().find(|(of, _)| timeouts(of) == timeouts(settings));
            same.map(|(_, connector)| connector.clone())
        };
        if let Some(known) = find(&self.local.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let mut all = self.local.write().unwrap_or_else(PoisonError::into_inner);
        find(&all).unwrap_or_else(|| {
            let made = connector(settings, self.trust.clone(), None);
            all.push((settings.clone(), made.clone()));
            made
        })
    }
}

fn connector(settings: &HttpConnectorSettings, trust: TrustStore, proxy: Option<ProxyConfig>) -> SharedHttpConnector {
    let mut builder = Connector::builder().connector_settings(settings.clone());
    builder.set_proxy_config(proxy);
    let builder = builder.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
    let connector = match TlsContext::builder().with_trust_store(trust).build() {
        Ok(context) => builder.tls_context(context).build(),
        // The builder cannot fail in this version; without the context there would be the system's roots.
        Err(error) => return SharedHttpConnector::new(Unusable(error.to_string())),
    };
    SharedHttpConnector::new(connector)
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Route {
            general: self.general.clone(),
            local: self.local(settings),
        })
    }
}

/// Keeps the pod's and the machine's credential services off the proxy, which cannot reach them: the aws CLI does so
/// for the container's (botocore, `ContainerMetadataFetcher`).
#[derive(Debug)]
struct Route {
    general: SharedHttpConnector,
    local: SharedHttpConnector,
}

impl HttpConnector for Route {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_link_local(request.uri()) {
            self.local.call(request)
        } else {
            self.general.call(request)
        }
    }
}

fn is_link_local(uri: &str) -> bool {
    // Pod Identity's agent, the container's and the machine's metadata services, each by IPv4 and IPv6.
    [
        "http://169.254.",
        "http://[fd00:ec2::",
        "http://127.0.0.1",
        "http://localhost",
        "http://[::1]",
    ]
    .iter()
    .any(|prefix| uri.starts_with(prefix))
}

/// Answers every request with the reason why there is no connector.
#[derive(Debug)]
struct Unusable(String);

impl HttpConnector for Unusable {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let error = aws_smithy_runtime_api::client::result::ConnectorError::user(self.0.clone().into());
        HttpConnectorFuture::ready(Err(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_credential_services_of_the_machine_go_past_the_proxy() {
        for (uri, local) in [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://169.254.169.254/latest/api/token", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("https://sts.eu-west-1.amazonaws.com/", false),
            ("https://169.254.169.254.example.com/", false),
        ] {
            assert_eq!(is_link_local(uri), local, "{uri}");
        }
    }
}
