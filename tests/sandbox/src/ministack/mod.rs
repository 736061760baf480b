//! ministack (a Python package, MIT), an AWS that is not ours: a second opinion on what is sent and on what comes back.
//!
//! It runs on loopback with its policy evaluation on, behind the same door as the fake AWS ([`Relay`]), so that
//! whoever calls AWS's own hosts reaches it with signatures as for AWS. What it is told by `ministack/serve.py` about
//! roles and access entries stands there, with the reasons.

mod caller;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use self::caller::Caller;
pub use self::caller::Refused;
use crate::{
    aws::{Relay, Relayed, contract::Service},
    control_plane::guard::{Environment, Guarded, new_folder},
    python,
    stage::{Fleet, StageError},
};

/// How long it may take to answer: two seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running ministack. It ends with this value, and with this process, however that ends.
pub struct Ministack {
    process: Guarded,
    /// The door of whoever is tested.
    relay: Relay,
    /// The door of the test's own hands, whose calls are nobody's business.
    _own: Relay,
    caller: Caller,
}

impl Ministack {
    /// Starts one and makes the clusters of a fleet in it, whose API servers all show `certificate_authority` (PEM). Its
    /// packages are fetched into the user's cache on first use.
    ///
    /// # Errors
    /// When it cannot be installed, does not answer, or refuses a cluster.
    pub async fn start(fleet: &Fleet, certificate_authority: &str) -> Result<Self, StageError> {
        let python = python::environment("ministack", &here("requirements.txt")).await?;
        let clusters: Map<String, Value> = fleet
            .clusters()
            .map(|cluster| {
                let arn = format!("arn:aws:eks:{}:{}:cluster/{}", cluster.region, cluster.account, cluster.name);
                let leads = json!({
                    "endpoint": cluster.endpoint(), "issuer": cluster.issuer(), "ca": STANDARD.encode(certificate_authority),
                });
                (arn, leads)
            })
            .collect();
        let (process, address) = serve(&python, &Value::Object(clusters).to_string()).await?;
        let relay = Relay::start(address, &fleet.hub.region).await?;
        let own = Relay::start(address, &fleet.hub.region).await?;
        let caller = Caller::start(&python, &here("call.py"), own.env())?;
        let made = Self {
            process,
            relay,
            _own: own,
            caller,
        };
        made.seed(fleet).await?;
        Ok(made)
    }

    /// The environment in which AWS's clients reach it.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        self.relay.env()
    }

    /// What was asked of it through [`Self::env`] so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Relayed> {
        self.relay.seen()
    }

    /// Calls it as the root user of an account, by botocore: input and output are as AWS's own models have them.
    ///
    /// # Errors
    /// What it refuses, with the code; also an input that botocore does not send.
    pub async fn call(
        &self,
        (account, region): (&str, &str),
        service: Service,
        operation: &str,
        input: Value,
    ) -> Result<Value, Refused> {
        let root = json!({"AccessKeyId": account, "SecretAccessKey": "test"});
        self.call_as(&root, region, service, operation, input).await
    }

    /// The same with credentials as STS gives them.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_as(
        &self,
        credentials: &Value,
        region: &str,
        service: Service,
        operation: &str,
        input: Value,
    ) -> Result<Value, Refused> {
        let call = json!({
            "credentials": credentials, "region": region, "service": service.name(), "operation": operation,
            "input": input,
        });
        self.caller.call(&call).await
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// The clusters, and the role that each must have.
    async fn seed(&self, fleet: &Fleet) -> Result<(), StageError> {
        let failed = |refused: Refused| StageError::new(format!("ministack: {refused}"));
        for cluster in fleet.clusters() {
            let of = (cluster.account.as_str(), cluster.region.as_str());
            let trust = json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole",
            }]});
            let role =
                json!({"RoleName": format!("cluster-{}", cluster.name), "AssumeRolePolicyDocument": trust.to_string()});
            let role = self.call(of, Service::Iam, "CreateRole", role).await.map_err(failed)?;
            let input = json!({
                "name": cluster.name, "roleArn": role["Role"]["Arn"], "resourcesVpcConfig": {},
                "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": false},
            });
            self.call(of, Service::Eks, "CreateCluster", input)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ministack").join(file)
}

/// Starts the server, and waits until it answers. The port is free when it is chosen; whoever takes it before the
/// server does makes this try another.
async fn serve(python: &Path, clusters: &str) -> Result<(Guarded, SocketAddr), StageError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = new_folder(&std::env::temp_dir(), "mooring-ministack-")?;
        let (port, own) = (free.port().to_string(), folder.display().to_string());
        let variables = [
            ("BIND_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", &port),
            // Signatures and policies count.
            ("AUTH", "true"),
            // AWSDenyAll is there.
            ("MINISTACK_AUTOCREATE_AWS_MANAGED", "1"),
            ("MOORING_CLUSTERS", clusters),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("HOME", &own),
            ("TMPDIR", &own),
        ];
        let process = Guarded::spawn(
            python,
            [here("serve.py")],
            &folder,
            &folder,
            &Environment::Only(&variables),
        )?;
        loop {
            if answers(free).await {
                return Ok((process, free));
            }
            let late = Instant::now() >= deadline;
            if late || process.exited().is_some() {
                if late || !process.log_tail().contains("already in use") {
                    let log = process.log_tail();
                    return Err(StageError::new(format!(
                        "ministack does not answer; its log ends:\n{log}"
                    )));
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn answers(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask).await;
    matches!(answer, Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 200"))
}
