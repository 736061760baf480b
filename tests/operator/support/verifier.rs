//! The verifier and the doctor, as a pod of the hub has them: its service account's rights, and its role in AWS.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{HUB_ACCOUNT, NAMESPACE, World, bootstrap::OPERATOR_NAMESPACE, folder};

pub(crate) const VERIFIER: &str = "mooring-verifier";

/// Argo CD's service accounts that the `ManagementRole` names by default.
pub(crate) const SERVICE_ACCOUNTS: [&str; 3] = [
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-server",
];

/// What `mooring doctor` said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) clusters: Vec<Value>,
    /// Everything that was printed.
    pub(crate) text: String,
}

impl Said {
    /// The hops that do not hold, with the reason of each.
    pub(crate) fn troubles(&self) -> Vec<(String, String)> {
        let hops = self
            .clusters
            .iter()
            .flat_map(|cluster| cluster["hops"].as_array().unwrap());
        let text = |hop: &Value, key: &str| hop[key].as_str().unwrap_or_default().to_owned();
        hops.filter(|hop| hop["reason"].is_string())
            .map(|hop| (text(hop, "hop"), text(hop, "reason")))
            .collect()
    }
}

/// The verifier at work. It is killed, and its log deleted, when this is dropped.
pub(crate) struct Verifier {
    process: Child,
    log: PathBuf,
}

impl Verifier {
    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as Kubernetes does, and waits until it is over.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let pid = self.process.id().unwrap().to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap();
        self.process.wait().await.unwrap()
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

impl World {
    /// What the verifier is given, and Argo CD's service accounts, bound to the management role.
    pub(crate) async fn with_verifier(&self) {
        self.let_verify().await;
        for name in SERVICE_ACCOUNTS {
            self.bind(name, true).await;
        }
    }

    /// What the verifier is given.
    pub(crate) async fn let_verify(&self) {
        for file in ["30-verifier-rbac.yaml", "31-verifier-admission.yaml"] {
            self.stage
                .apply_file(&folder("deploy/install").join(file))
                .await
                .unwrap();
        }
    }

    /// Makes a service account of Argo CD, annotated with the management role or not.
    pub(crate) async fn bind(&self, name: &str, bound: bool) {
        let mut metadata = json!({"name": name, "namespace": NAMESPACE});
        // An empty map would be held by whoever applied it, against everybody's annotations.
        if bound {
            let role = self.hub().management_role_arn(None).to_string();
            metadata["annotations"] = json!({"eks.amazonaws.com/role-arn": role});
        }
        self.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
            .await;
    }

    pub(crate) async fn as_verifier(&self, arguments: &[&str]) -> Command {
        let lifetime = std::time::Duration::from_hours(1);
        let hub = &self.stage.hub;
        let kubeconfig = hub
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, VERIFIER, lifetime)
            .await
            .unwrap();
        let spec = &self.stage.fleet.hub;
        let cluster = format!("arn:aws:eks:{}:{}:cluster/{}", spec.region, spec.account, spec.name);
        let role = format!("arn:aws:iam::{HUB_ACCOUNT}:role/{VERIFIER}");
        let mut variables = self.stage.aws.env();
        let pod = self
            .stage
            .aws
            .pod_identity(&role, &cluster, OPERATOR_NAMESPACE, VERIFIER, "verifier-0");
        variables.extend(pod.unwrap());
        // A name that does not resolve is the resolver's affair, and not the proxy's.
        for (name, value) in &mut variables {
            if name == "NO_PROXY" {
                value.push_str(",.invalid");
            }
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        command
            .args(arguments)
            .env_clear()
            .envs(variables)
            .env("KUBECONFIG", kubeconfig)
            .kill_on_drop(true);
        command
    }

    /// Runs the doctor.
    pub(crate) async fn doctor(&self, clusters: &[&str]) -> Said {
        let arguments: Vec<&str> = ["doctor", "-o", "json"].iter().chain(clusters).copied().collect();
        let output = self.as_verifier(&arguments).await.output().await.unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let text = format!("{out}{}", String::from_utf8(output.stderr).unwrap());
        Said {
            code: output.status.code().unwrap(),
            clusters: serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {text}")),
            text,
        }
    }

    /// Runs the verifier; it ends with what comes back.
    pub(crate) async fn verifier(&self, flags: &[&str]) -> Verifier {
        let mut arguments = vec!["verifier", "--listen", "127.0.0.1:0", "--log-format", "json"];
        if !flags.contains(&"--log-level") {
            arguments.extend(["--log-level", "info,mooring=debug"]);
        }
        // Nobody starts it again: what else the machine does must not cost it its lease.
        arguments.extend(["--lease-duration", "60s"]);
        arguments.extend(flags);
        let log = std::env::temp_dir().join(format!("mooring-verifier-{}.log", fastrand::u64(..)));
        let file = std::fs::File::create(&log).unwrap();
        let mut command = self.as_verifier(&arguments).await;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let process = command.spawn().unwrap();
        Verifier { process, log }
    }
}
