//! The API server of a cluster, reached as Argo CD reaches it: over TLS with exactly the certificate authority and the
//! server name of the cluster Secret, by the proxy that the environment names, with the token that was minted.

use std::{error::Error, io, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{AUTHORIZATION, USER_AGENT},
};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Client, Config, Resource, api::PostParams, client::Body, core};
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

/// The longest answer to one question that is read, in bytes. An API server's has about a thousand; a cluster is
/// somebody else's, and its answers must not fill the verifier's memory.
const LONGEST: usize = 64 * 1024;

/// How much of an answer's message is told, in characters: what to do next must find room beside it.
const TOLD: usize = 500;

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
        let why = match tokio::time::timeout(QUESTION, self.answer(&review)).await {
            Ok(Ok(allowed)) => return Answer::Allowed(allowed),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", QUESTION.as_secs()),
        };
        Answer::Refused(self.token.map_or_else(|| why.clone(), |token| token.scrub(&why)))
    }

    async fn answer(&self, review: &SelfSubjectAccessReview) -> Result<bool, String> {
        let path = SelfSubjectAccessReview::url_path(&(), None);
        let body = serde_json::to_vec(review).map_err(|error| chain(&error))?;
        let request = core::Request::new(path)
            .create(&PostParams::default(), body)
            .map_err(|error| chain(&error))?;
        let response = self.client.send(request.map(Body::from)).await;
        let (head, body) = response.map_err(|error| chain(&error))?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await;
        let body = body
            .map_err(|error| format!("an answer that cannot be read: {}", chain(error.as_ref())))?
            .to_bytes();
        if head.status.is_success() {
            let answer: SelfSubjectAccessReview =
                serde_json::from_slice(&body).map_err(|error| format!("an answer that cannot be read: {error}"))?;
            let status = answer.status.ok_or("an answer that does not say")?;
            return Ok(status.allowed);
        }
        Err(refusal(head.status, &body))
    }
}

/// What the API server said, or the proxy before it, whose pages are no affair of anybody.
fn refusal(code: StatusCode, body: &[u8]) -> String {
    let said = serde_json::from_slice::<core::Status>(body).map(|status| status.message);
    match said {
        Ok(message) if !message.trim().is_empty() => {
            let message: String = message.trim().chars().take(TOLD).collect();
            format!("{message} ({})", code.as_u16())
        }
        Ok(_) | Err(_) => format!("HTTP {code} ({})", code.as_u16()),
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
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

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

    /// Answers every request with this, as often as it is asked.
    async fn says(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            }
        });
        format!("http://{address}")
    }

    fn a_question() -> Ask {
        Ask {
            verb: "list",
            group: "apps",
            resource: "deployments",
            namespace: None,
            why: "to see",
        }
    }

    async fn may(answer: String) -> Answer {
        let server = says(answer.into_bytes()).await;
        Probe::new(&secret(&server), None).unwrap().may(&a_question()).await
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn an_answer_is_taken_for_what_it_says() {
        let review = |status: &str| {
            format!(
                r#"{{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{{}},"status":{status}}}"#
            )
        };
        assert_eq!(
            may(answer("201 Created", &review(r#"{"allowed":true}"#))).await,
            Answer::Allowed(true)
        );
        assert_eq!(
            may(answer("201 Created", &review(r#"{"allowed":false}"#))).await,
            Answer::Allowed(false)
        );
        let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"selfsubjectaccessreviews is forbidden","reason":"Forbidden","code":403}"#;
        assert_eq!(
            may(answer("403 Forbidden", status)).await,
            Answer::Refused("selfsubjectaccessreviews is forbidden (403)".into())
        );
        assert_eq!(
            may(answer("502 Bad Gateway", "<html>hunter2</html>")).await,
            Answer::Refused("HTTP 502 Bad Gateway (502)".into())
        );
        assert!(matches!(may(answer("200 OK", "{}")).await, Answer::Refused(why) if why.contains("does not say")));
        assert!(
            matches!(may(answer("200 OK", "hunter2")).await, Answer::Refused(why) if why.contains("cannot be read"))
        );
    }

    /// Whoever runs the cluster has the token anyway. He shall not have it shown to everybody who may read a status.
    #[tokio::test]
    async fn a_cluster_that_says_its_token_again_is_not_quoted() {
        let url = "https://sts.eu-west-1.amazonaws.com/?X-Amz-Security-Token=IQoJb3JpZ2luX2VjEBAaCWV1&X-Amz-Signature=0123456789abcdef0123456789abcdef";
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, url);
        let token = EksToken::of(&format!("k8s-aws-v1.{encoded}"));
        let spaced = encoded.chars().flat_map(|c| [c, ' ']).collect::<String>();
        for (said, shown) in [
            (format!("no k8s-aws-v1.{encoded} here"), "no <not shown> here (403)"),
            (encoded.clone(), "<not shown: it held a part of the token>"),
            (encoded[40..60].to_owned(), "<not shown: it held a part of the token>"),
            (spaced, "<not shown: it held a part of the token>"),
            (url.to_owned(), "<not shown: it held a part of the token>"),
            ("IQOJB3JPZ2LUX2".to_owned(), "<not shown: it held a part of the token>"),
            (
                "of sts.eu-west-1.amazonaws.com".to_owned(),
                "of sts.eu-west-1.amazonaws.com (403)",
            ),
        ] {
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": said, "code": 403});
            let server = says(answer("403 Forbidden", &status.to_string()).into_bytes()).await;
            let probe = Probe::new(&secret(&server), Some(&token)).ok().unwrap();
            assert_eq!(
                probe.may(&a_question()).await,
                Answer::Refused(shown.to_owned()),
                "{said}"
            );
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_let_go_of() {
        let long = answer("201 Created", &format!(r#"{{"kind":"{}"}}"#, "x".repeat(LONGEST)));
        let found = may(long).await;
        assert!(
            matches!(&found, Answer::Refused(why) if why.contains("length limit exceeded")),
            "{found:?}"
        );
        // Neither is one whose length nobody tells.
        let head = "HTTP/1.1 201 Created\r\nconnection: close\r\n\r\n";
        let found = may(format!("{head}{}", " ".repeat(4 * LONGEST))).await;
        assert!(matches!(&found, Answer::Refused(_)), "{found:?}");
    }

    /// A firewall that lets packets fall: nobody takes the connection, or nobody answers on it.
    #[tokio::test]
    async fn what_does_not_answer_is_a_matter_of_time() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // Linux takes one more than the backlog says; whoever comes then is not answered at all.
        let mut waiting = Vec::new();
        loop {
            let connecting = tokio::net::TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_secs(1), connecting).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => break,
            }
        }
        let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (servers, mute_address) = (format!("https://{address}"), mute.local_addr().unwrap());
        let held = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = mute.accept().await {
                held.push(stream);
            }
        });
        let mute = format!("https://{mute_address}");
        let plain = format!("http://{mute_address}");
        let (full, silent, late) = tokio::join!(version(&servers), version(&mute), version(&plain));
        for found in [full, silent, late] {
            assert!(matches!(&found, Attempt::Failed(Unreached::TimedOut(_))), "{found:?}");
        }
        held.abort();
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
