//! One kube-apiserver: its files, its flags, its port, and when it is ready.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use socket2::{Domain, Socket, Type};

use super::{
    Error, Options,
    assets::Assets,
    etcd::Etcd,
    guard::{Environment, Guarded, write_private},
    pki::{Authority, TokenKey},
};

/// How long a start may take. It is 3 s alone; the rest is for a machine that is busy with builds.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the API server writes what was asked of it, one JSON object a line.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// Every request once, when it is answered, without bodies. The server's requests to itself are left out.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
"rules": [{"level": "None", "users": ["system:apiserver"]}, {"level": "Metadata"}]}"#;

/// A port of loopback that is ours while the value lives. The API server refuses port 0; this socket is bound and does
/// not listen, so nobody else is given the port, and the server shares it with `--permit-port-sharing`.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _held: Socket,
}

impl Port {
    pub(super) fn hold() -> Result<Self, Error> {
        let hold = || -> std::io::Result<Self> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_reuse_port(true)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            let address = socket.local_addr()?.as_socket_ipv4();
            Ok(Self {
                number: address.map_or(0, |address| address.port()),
                _held: socket,
            })
        };
        hold().map_err(Error::Port)
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.number)
    }
}

/// Writes the server's files into `folder` and starts it.
pub(super) fn spawn(
    options: &Options,
    assets: &Assets,
    etcd: &Etcd,
    port: &Port,
    authority: &Authority,
    issuer: &str,
    folder: &Path,
) -> Result<Guarded, Error> {
    let path = |name: &str| folder.join(name).display().to_string();
    let write = |name: &str, content: &str| {
        let file = folder.join(name);
        write_private(&file, content.as_bytes()).map_err(Error::file("write", file))
    };
    let server = authority.server()?;
    let tokens = TokenKey::new()?;
    write("ca.crt", &authority.pem())?;
    write("server.crt", &server.certificate)?;
    write("server.key", &server.key)?;
    write("tokens.key", &tokens.private)?;
    write("tokens.pub", &tokens.public)?;
    let mut args = vec![
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port.number),
        "--permit-port-sharing=true".to_owned(),
        // A loopback address is refused here, and without any the server does not start on a machine that has no
        // default route. This one is reserved for documentation, and nothing is ever sent to it.
        "--advertise-address=192.0.2.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--etcd-servers={}", etcd.url()),
        format!("--etcd-prefix=/{}", folder.file_name().unwrap_or_default().display()),
        format!("--cert-dir={}", folder.display()),
        format!("--client-ca-file={}", path("ca.crt")),
        format!("--tls-cert-file={}", path("server.crt")),
        format!("--tls-private-key-file={}", path("server.key")),
        format!("--service-account-issuer={issuer}"),
        // EKS serves its keys there; clients of the sandbox ask this server.
        format!("--service-account-jwks-uri={issuer}/keys"),
        format!("--service-account-signing-key-file={}", path("tokens.key")),
        format!("--service-account-key-file={}", path("tokens.pub")),
        // It would hold back pods until a controller manager has made the default ServiceAccount; there is none.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        // Half a second of start-up, for fairness between clients that a sandbox does not have.
        "--enable-priority-and-fairness=false".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if options.audit {
        write("audit-policy.json", AUDIT_POLICY)?;
        args.push(format!("--audit-policy-file={}", path("audit-policy.json")));
        args.push(format!("--audit-log-path={}", path(AUDIT_LOG)));
        // Megabytes: never rotated, because a mark is a place in this one file.
        args.push("--audit-log-maxsize=1000000".to_owned());
    }
    if let Some(url) = &options.authentication_webhook {
        write("authentication-webhook.json", &webhook_kubeconfig(url))?;
        args.push(format!(
            "--authentication-token-webhook-config-file={}",
            path("authentication-webhook.json")
        ));
        args.push("--authentication-token-webhook-version=v1".to_owned());
        args.push("--authentication-token-webhook-cache-ttl=0s".to_owned());
    }
    if let Some(url) = &options.authorization_webhook {
        write("authorization-webhook.json", &webhook_kubeconfig(url))?;
        write(
            "authorization.json",
            &authorization(&path("authorization-webhook.json")),
        )?;
        args.push(format!("--authorization-config={}", path("authorization.json")));
    } else {
        args.push("--authorization-mode=RBAC".to_owned());
    }
    args.extend(options.extra_args.iter().cloned());
    Guarded::spawn(&assets.kube_apiserver, args, folder, folder, &Environment::Only(&[]))
        .map_err(Error::file("use", folder))
}

/// A kubeconfig is how the API server is told where a webhook is.
fn webhook_kubeconfig(url: &str) -> String {
    let document = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "webhook",
        "clusters": [{"name": "webhook", "cluster": {"server": url}}],
        "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": "kube-apiserver"}}],
        "users": [{"name": "kube-apiserver", "user": {}}],
    });
    document.to_string()
}

/// RBAC first, then the webhook; whoever allows wins, as on EKS. Nothing is remembered between requests, so that a
/// change of access shows at once.
fn authorization(kubeconfig: &str) -> String {
    let document = serde_json::json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
        "authorizers": [{"type": "RBAC", "name": "rbac"}, {"type": "Webhook", "name": "webhook", "webhook": {
            "authorizedTTL": "1s", "unauthorizedTTL": "1s",
            "cacheAuthorizedRequests": false, "cacheUnauthorizedRequests": false,
            "timeout": "5s", "subjectAccessReviewVersion": "v1", "matchConditionSubjectAccessReviewVersion": "v1",
            "failurePolicy": "NoOpinion", "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": kubeconfig},
        }}],
    });
    document.to_string()
}

/// Waits until the server says that it is ready and has made its own namespaces.
pub(super) async fn ready(server: &Guarded, name: &str, client: &kube::Client) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        let last = match look(client).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let (program, name) = ("kube-apiserver", name.to_owned());
        if let Some(code) = server.exited() {
            return Err(Error::Ended {
                server: program,
                name,
                code,
                log: server.log_tail(),
            });
        }
        if start.elapsed() > PATIENCE {
            let (last, log) = (last.to_string(), server.log_tail());
            return Err(Error::NotReady {
                server: program,
                name,
                waited: start.elapsed(),
                last,
                log,
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn look(client: &kube::Client) -> Result<(), kube::Error> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    client.request_text(request).await?;
    for namespace in ["default", "kube-system"] {
        Api::<Namespace>::all(client.clone()).get(namespace).await?;
    }
    Ok(())
}
