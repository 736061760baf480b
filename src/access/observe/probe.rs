//! The API server of a cluster, reached as Argo CD reaches it: over TLS with exactly the certificate authority and the
//! server name of the cluster Secret, by the proxy that the environment names, with the token that was minted.

use std::{error::Error, io, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Request, Uri,
    header::{AUTHORIZATION, USER_AGENT},
};
use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, Client, Config, api::PostParams, client::Body};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    access::{
        evidence::{Answer, Attempt, Unreached},
        scope::Ask,
    },
    argocd::SeenCluster,
    aws::EksToken,
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(6);

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(12);

/// A cluster's API server.
pub(super) struct Probe<'a> {
    client: Client,
    token: Option<&'a EksToken>,
}

impl<'a> Probe<'a> {
    /// Nothing is sent yet.
    pub(super) fn new(secret: &SeenCluster, token: Option<&'a EksToken>) -> Result<Self, Unreached> {
        let other = |why: String| Unreached::Other(why);
        let uri: Uri = secret
            .server
            .as_str()
            .parse()
            .map_err(|_| other(format!("{:?} is not a URL", secret.server)))?;
        let mut config = Config::new(uri.clone());
        if !secret.certificate_authority.is_empty() {
            config.root_cert = Some(certificates(&secret.certificate_authority)?);
        }
        config.accept_invalid_certs = secret.insecure;
        config.tls_server_name = Some(secret.server_name.clone()).filter(|name| !name.is_empty());
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(QUESTION);
        config.default_retry = false;
        config.proxy_url = proxy(&uri);
        let agent = HeaderValue::from_static(concat!("mooring-verify/", env!("CARGO_PKG_VERSION")));
        config.headers.push((USER_AGENT, agent));
        if let Some(header) = token.and_then(EksToken::authorization) {
            config.headers.push((AUTHORIZATION, header));
        }
        let client = Client::try_from(config).map_err(|error| unreached(&error, token))?;
        Ok(Self { client, token })
    }

    /// Asks for `/version`: the HTTP status that came back.
    pub(super) async fn version(&self) -> Attempt<u16, Unreached> {
        let Ok(request) = Request::get("/version").body(Body::empty()) else {
            return Attempt::NotMade;
        };
        match tokio::time::timeout(QUESTION, self.client.send(request)).await {
            Ok(Ok(response)) => Attempt::Done(response.status().as_u16()),
            Ok(Err(error)) => Attempt::Failed(unreached(&error, self.token)),
            Err(_) => Attempt::Failed(Unreached::TimedOut(format!(
                "no answer within {} s",
                QUESTION.as_secs()
            ))),
        }
    }

    /// Asks whether something is allowed.
    pub(super) async fn may(&self, ask: &Ask) -> Answer {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(ask.verb.to_owned()),
                    group: Some(ask.group.to_owned()),
                    resource: Some(ask.resource.to_owned()),
                    namespace: ask.namespace.clone(),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let params = PostParams::default();
        let why = match tokio::time::timeout(QUESTION, api.create(&params, &review)).await {
            Ok(Ok(answer)) => return Answer::Allowed(answer.status.is_some_and(|status| status.allowed)),
            Ok(Err(kube::Error::Api(status))) => format!("{} ({})", status.message.trim(), status.code),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} s", QUESTION.as_secs()),
        };
        Answer::Refused(self.token.map_or_else(|| why.clone(), |token| token.scrub(&why)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, Unreached> {
    let unusable = || Unreached::Certificate("the cluster Secret's caData holds no PEM certificate".to_owned());
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect();
    found.ok().filter(|all| !all.is_empty()).ok_or_else(unusable)
}

/// The proxy for a URL, as Go's `http.ProxyFromEnvironment` finds it: never for this machine itself.
fn proxy(uri: &Uri) -> Option<Uri> {
    let host = uri.host()?.trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let found = Matcher::from_env().intercept(uri).filter(|_| !local)?;
    let Some(basic) = found.basic_auth() else {
        return Some(found.uri().clone());
    };
    let decoded = BASE64_STANDARD
        .decode(basic.to_str().ok()?.strip_prefix("Basic ")?)
        .ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let [user, password] = [user, password].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    let (scheme, authority) = (found.uri().scheme_str()?, found.uri().authority()?);
    format!("{scheme}://{user}:{password}@{authority}").parse().ok()
}

/// What kind of failure of a connection it is, by what lies at its bottom.
fn unreached(error: &(dyn Error + 'static), token: Option<&EksToken>) -> Unreached {
    // What kube itself adds says nothing.
    let text = chain(error.source().unwrap_or(error));
    let text = token.map_or_else(|| text.clone(), |token| token.scrub(&text));
    match kind(error) {
        Kind::Name => Unreached::Name(text),
        Kind::Refused => Unreached::Refused(text),
        Kind::TimedOut => Unreached::TimedOut(text),
        Kind::Certificate => Unreached::Certificate(text),
        Kind::Other => Unreached::Other(text),
    }
}

/// What lies at the bottom of an error.
enum Kind {
    Name,
    Refused,
    TimedOut,
    Certificate,
    Other,
}

fn kind(error: &(dyn Error + 'static)) -> Kind {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        let certificate = matches!(
            tls,
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
        );
        return if certificate { Kind::Certificate } else { Kind::Other };
    }
    // hyper-util's connector tells a failed resolution in words only (`client/legacy/connect/http.rs`).
    if error.to_string() == "dns error" {
        return Kind::Name;
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        if io.kind() == io::ErrorKind::ConnectionRefused {
            return Kind::Refused;
        }
        if io.kind() == io::ErrorKind::TimedOut {
            return Kind::TimedOut;
        }
        // Its source is that of the error in it, which is so passed over.
        if let Some(inner) = io.get_ref() {
            return kind(inner);
        }
    }
    error.source().map_or(Kind::Other, kind)
}

/// An error and its causes, each said once, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = if said.contains(&text) {
                said
            } else {
                format!("{text}: {said}")
            };
        }
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::argocd::Server;

    fn secret(server: &str) -> SeenCluster {
        SeenCluster {
            server: Server::new(server),
            ..SeenCluster::default()
        }
    }

    async fn version(server: &str) -> Attempt<u16, Unreached> {
        Probe::new(&secret(server), None).unwrap().version().await
    }

    #[tokio::test]
    async fn nobody_listening_is_a_refusal() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let found = version(&format!("https://{address}")).await;
        assert!(matches!(&found, Attempt::Failed(Unreached::Refused(_))), "{found:?}");
    }

    #[tokio::test]
    async fn a_name_that_is_none_does_not_resolve() {
        // RFC 2606: .invalid never resolves. A proxy of the machine would answer for it.
        if Matcher::from_env()
            .intercept(&"https://x.invalid".parse().unwrap())
            .is_some()
        {
            return;
        }
        let found = version("https://mooring-test.invalid").await;
        assert!(matches!(&found, Attempt::Failed(Unreached::Name(_))), "{found:?}");
    }

    #[tokio::test]
    async fn what_is_no_tls_breaks_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 16];
            let _ = stream.read(&mut hello).await;
        });
        let found = version(&format!("https://{address}")).await;
        assert!(matches!(&found, Attempt::Failed(Unreached::Other(_))), "{found:?}");
        serving.await.unwrap();
    }

    #[test]
    fn a_certificate_authority_that_is_none_is_said_so() {
        let broken = SeenCluster {
            certificate_authority: b"no PEM".to_vec(),
            ..secret("https://x")
        };
        assert!(matches!(Probe::new(&broken, None), Err(Unreached::Certificate(why)) if why.contains("caData")));
    }

    #[test]
    fn certificates_are_told_from_other_tls_trouble_and_times_from_refusals() {
        let tls = |error: rustls::Error| unreached(&io::Error::other(error), None);
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::other(unknown.clone()));
        assert!(matches!(unreached(&nested, None), Unreached::Certificate(_)));
        assert!(matches!(tls(unknown), Unreached::Certificate(why) if why.contains("UnknownIssuer")));
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion);
        assert!(matches!(tls(alert), Unreached::Other(_)));
        let late = io::Error::new(io::ErrorKind::TimedOut, "deadline has elapsed");
        assert!(matches!(unreached(&late, None), Unreached::TimedOut(_)));
    }

    #[test]
    fn this_machine_is_never_reached_by_a_proxy() {
        for local in ["https://localhost:1", "https://127.0.0.1:1", "https://[::1]:1"] {
            assert_eq!(proxy(&local.parse().unwrap()), None, "{local}");
        }
    }
}
