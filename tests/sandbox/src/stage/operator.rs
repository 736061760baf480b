//! The operator as a process of its own: the binary that users run, with the identity that users give it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::{Stage, StageError};
use crate::control_plane::{
    ApiProxy, ControlPlane,
    guard::{Environment, Guarded, new_folder},
};

/// Each process is a pod of its own.
static PODS: AtomicUsize = AtomicUsize::new(0);

/// How the operator is run.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The binary `mooring`.
    pub binary: PathBuf,
    /// Its subcommand: `controller` or `verifier`.
    pub command: &'static str,
    /// The role that its pod has, by EKS Pod Identity, where the stage gives it its environment.
    pub role_arn: String,
    /// The namespace of its service account.
    pub namespace: String,
    /// Its service account; the kubeconfig is made for it. `None`: the API server's administrator.
    pub service_account: Option<String>,
    /// Further flags of the subcommand.
    pub flags: Vec<String>,
}

impl OperatorOptions {
    fn next_pod(&self) -> String {
        let service_account = self.service_account.as_deref().unwrap_or("mooring-controller");
        format!("{service_account}-{}", PODS.fetch_add(1, Ordering::Relaxed))
    }
}

/// A signal to the operator's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks it to stop.
    Terminate,
    /// Ends it at once.
    Kill,
    /// Freezes it.
    Stop,
    /// Lets it go on.
    Continue,
}

/// A running operator. It ends with this value, and with this process, however that ends.
pub struct Operator {
    process: Guarded,
    pod: String,
}

impl Operator {
    /// Starts `mooring` with the environment of a pod: the service account's token for Kubernetes, Pod
    /// Identity for AWS, and nothing of this process's own environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(stage: &Stage, options: &OperatorOptions) -> Result<Self, StageError> {
        Self::start_by(stage, options, None).await
    }

    /// The same, with another way to the hub's API server than straight: the address of a relay in front of it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_by(stage: &Stage, options: &OperatorOptions, way: Option<&str>) -> Result<Self, StageError> {
        let pod = options.next_pod();
        let service_account = options.service_account.as_deref().unwrap_or("mooring-controller");
        let cluster = format!(
            "arn:aws:eks:{}:{}:cluster/{}",
            stage.fleet.hub.region, stage.fleet.hub.account, stage.fleet.hub.name
        );
        let mut variables = stage.aws.env();
        variables.extend(stage.aws.pod_identity(
            &options.role_arn,
            &cluster,
            &options.namespace,
            service_account,
            &pod,
        )?);
        let proxied = stage.proxied().map(ApiProxy::url);
        Self::spawn(&stage.hub, variables, options, pod, way.or(proxied.as_deref())).await
    }

    /// Starts `mooring` against an API server, with these variables and the kubeconfig of its service account only.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn with_environment(
        hub: &ControlPlane,
        variables: Vec<(String, String)>,
        options: &OperatorOptions,
    ) -> Result<Self, StageError> {
        Self::spawn(hub, variables, options, options.next_pod(), None).await
    }

    async fn spawn(
        hub: &ControlPlane,
        mut variables: Vec<(String, String)>,
        options: &OperatorOptions,
        pod: String,
        way: Option<&str>,
    ) -> Result<Self, StageError> {
        let mut kubeconfig = match &options.service_account {
            Some(name) => {
                let lifetime = Duration::from_hours(6);
                let url = way.map_or_else(|| hub.url(), str::to_owned);
                hub.kubeconfig_by_way_of(&url, &options.namespace, name, lifetime)
                    .await?
            }
            None => hub.admin_kubeconfig(),
        };
        let folder = new_folder(&std::env::temp_dir(), "mooring-operator-")?;
        if way.is_some() {
            // Another operator of the same service account may come by another way.
            let own = folder.join("kubeconfig");
            std::fs::copy(&kubeconfig, &own)?;
            kubeconfig = own;
        }
        variables.push(("KUBECONFIG".to_owned(), kubeconfig.display().to_string()));
        variables.push(("MOORING_LEASE_IDENTITY".to_owned(), pod.clone()));
        let pairs: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let flags = [options.command, "--listen", "127.0.0.1:0"].map(str::to_owned);
        let arguments = flags.into_iter().chain(options.flags.iter().cloned());
        let working_directory = folder.clone();
        let process = Guarded::spawn(
            &options.binary,
            arguments,
            &folder,
            &working_directory,
            &Environment::Only(&pairs),
        )?;
        Ok(Self { process, pod })
    }

    /// The name of its pod, which its Lease and its requests bear.
    #[must_use]
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// Where the operator logs to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.process.folder().join("log")
    }

    /// The whole log so far.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The exit code, once it has ended.
    #[must_use]
    pub fn exited(&self) -> Option<String> {
        self.process.exited()
    }

    /// The process ID.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.process.folder().join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The address of `/healthz`, `/readyz` and `/metrics`, once the log names it.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let log = self.log_text();
        let line = log.lines().find(|line| line.contains("serving /healthz"))?;
        let at = line.find("127.0.0.1:")?;
        Some(
            line[at..]
                .chars()
                .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
                .collect(),
        )
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is not there.
    pub fn signal(&self, signal: Signal) -> Result<(), StageError> {
        let pid = self
            .pid()
            .ok_or_else(|| StageError::new("the operator's process is not there"))?;
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let sent = Command::new("kill").arg(name).arg(pid.to_string()).status()?;
        if sent.success() {
            Ok(())
        } else {
            Err(StageError::new(format!("kill {name} {pid} failed")))
        }
    }

    /// Waits until the process has ended, at most `limit`.
    ///
    /// # Errors
    /// When it has not by then.
    pub async fn wait_for_exit(&self, limit: Duration) -> Result<String, StageError> {
        let deadline = std::time::Instant::now() + limit;
        loop {
            if let Some(code) = self.exited() {
                return Ok(code);
            }
            if std::time::Instant::now() >= deadline {
                return Err(StageError::new(format!(
                    "the operator still runs after {} s",
                    limit.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resolves when the process has ended, to its exit code: 128 and the number of the signal where one ended it.
    pub async fn ended(&self) -> String {
        loop {
            if let Some(code) = self.exited() {
                return code;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Peak and present resident memory in KiB, and CPU time in seconds, as the kernel counts them.
    #[must_use]
    pub fn resources(&self) -> Option<(u64, u64, f64)> {
        let process = PathBuf::from(format!("/proc/{}", self.pid()?));
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let kib = |key: &str| -> Option<u64> {
            let line = status.lines().find(|line| line.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        // utime and stime, in clock ticks of a hundredth of a second (proc(5)).
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some((kib("VmHWM:")?, kib("VmRSS:")?, ticks / 100.0))
    }
}

/// The binary `mooring` beside the binary that runs now.
#[must_use]
pub fn sibling_binary() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or_else(|| Path::new(".")).join("mooring")
}
