//! Argo CD: what it needs on the hub, and its processes.

use std::path::{Path, PathBuf};

use crate::{
    argocd::{Judge, Programs},
    control_plane::guard::{Environment, Guarded, new_folder, write_private},
    stage::{Stage, StageError},
};

/// Its namespace.
pub(super) const NAMESPACE: &str = "argocd";

/// What its controller calls itself to API servers.
pub(super) const CONTROLLER: &str = "argocd-application-controller";

const APPLICATION_SETS: &str = "argocd-applicationset-controller";
const REPOSITORIES: &str = "argocd-repo-server";

const REDIS_ADDRESS: &str = "127.0.0.1:6379";
const REPOSITORIES_ADDRESS: &str = "127.0.0.1:8081";

/// Argo CD, running. It ends with this value, and with this process, however that ends.
pub(super) struct ArgoCd {
    processes: Vec<(&'static str, Guarded)>,
    token: String,
}

/// Lays on the hub what Argo CD needs before it starts: its kinds, settings, service accounts and projects.
///
/// # Errors
/// When the API server refuses something.
pub(super) async fn install(stage: &Stage, programs: &Programs) -> Result<(), StageError> {
    stage.apply_folder(&programs.crds()).await?;
    stage.hub.apply_yaml(include_str!("manifests/argocd.yaml")).await?;
    // It signs the sessions of the user interface, which does not run.
    let key: String = (0..32).map(|_| fastrand::alphanumeric()).collect();
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret", "namespace": NAMESPACE},
        "stringData": {"server.secretkey": key},
    });
    stage.hub.apply_yaml(&secret.to_string()).await?;
    Ok(())
}

impl ArgoCd {
    /// Starts it as pods of its service accounts: to the hub each with a token of its own and Argo CD's RBAC, to AWS the
    /// controller alone, with what the pod identity webhook gives it for `role`. Neither has anything else.
    ///
    /// # Errors
    /// When a token is refused or a process cannot be started.
    pub(super) async fn start(
        stage: &Stage,
        judge: &Judge,
        programs: &Programs,
        role: &str,
    ) -> Result<Self, StageError> {
        // Good for an hour, like all tokens here: the run is over by then.
        let token = stage.hub.token(NAMESPACE, CONTROLLER, "sts.amazonaws.com").await?;
        let mut argocd = Self {
            processes: Vec::new(),
            token,
        };
        let path = search_path(programs.folder());
        let path = [("PATH".to_owned(), path)];

        let redis = Home::new()?;
        argocd.run(
            "redis",
            &judge.program(),
            &["redis", "-listen", REDIS_ADDRESS],
            &redis,
            &path,
        )?;

        let home = Home::new()?;
        let mut variables = path.to_vec();
        variables.push(("ARGOCD_GPG_ENABLED".to_owned(), "false".to_owned()));
        // By default one path in /tmp, which stays when the process is killed, and is everybody's.
        let socket = home.0.join("ask-pass.sock").display().to_string();
        variables.push(("ARGOCD_ASK_PASS_SOCK".to_owned(), socket));
        let flags = [
            // A commit is to be seen at the next look; by default it may take 3 minutes.
            "--revision-cache-expiration",
            "1s",
            "--disable-tls",
            "--client-ca-path",
            "",
            "--address",
            "127.0.0.1",
            "--metrics-address",
            "127.0.0.1",
            "--redis",
            REDIS_ADDRESS,
            "--logformat",
            "text",
        ];
        argocd.run(REPOSITORIES, &programs.program(REPOSITORIES), &flags, &home, &variables)?;

        let home = Home::new()?;
        let token_file = home.0.join("token");
        write_private(&token_file, argocd.token.as_bytes())?;
        let mut variables = path.to_vec();
        variables.extend(stage.aws.env());
        variables.push(("AWS_ROLE_ARN".to_owned(), role.to_owned()));
        variables.push((
            "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(),
            token_file.display().to_string(),
        ));
        let hub = kubeconfig(stage, CONTROLLER).await?;
        let flags = [
            "--namespace",
            NAMESPACE,
            "--kubeconfig",
            &hub,
            "--repo-server",
            REPOSITORIES_ADDRESS,
            "--repo-server-plaintext",
            "--redis",
            REDIS_ADDRESS,
            "--app-resync",
            "5",
            "--app-resync-jitter",
            "0",
            "--logformat",
            "text",
        ];
        argocd.run(CONTROLLER, &programs.program(CONTROLLER), &flags, &home, &variables)?;

        let home = Home::new()?;
        let mut variables = path.to_vec();
        // Part of it passes the flag over.
        variables.push(("KUBECONFIG".to_owned(), kubeconfig(stage, APPLICATION_SETS).await?));
        let flags = [
            "--namespace",
            NAMESPACE,
            "--argocd-repo-server",
            REPOSITORIES_ADDRESS,
            "--repo-server-plaintext",
            "--metrics-addr",
            "127.0.0.1:8090",
            // Its default is the repo server's port.
            "--probe-addr",
            "127.0.0.1:8091",
            "--webhook-addr",
            "127.0.0.1:7000",
            "--logformat",
            "text",
        ];
        argocd.run(
            APPLICATION_SETS,
            &programs.program(APPLICATION_SETS),
            &flags,
            &home,
            &variables,
        )?;
        Ok(argocd)
    }

    fn run(
        &mut self,
        name: &'static str,
        program: &Path,
        flags: &[&str],
        home: &Home,
        variables: &[(String, String)],
    ) -> Result<(), StageError> {
        let folder = home.0.display().to_string();
        let mut pairs: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        pairs.extend([("HOME", folder.as_str()), ("TMPDIR", folder.as_str())]);
        let process = Guarded::spawn(
            program,
            flags.iter().copied(),
            &home.0,
            &home.0,
            &Environment::Only(&pairs),
        )?;
        self.processes.push((name, process));
        Ok(())
    }

    /// What to say of the first process that has ended by itself.
    pub(super) fn ended(&self) -> Option<String> {
        let mut processes = self.processes.iter();
        processes
            .find_map(|(name, process)| Some(format!("Argo CD's {name} ended with exit code {}", process.exited()?)))
    }

    /// Everything that its processes have said.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub(super) fn logs(&self) -> Result<Vec<(&'static str, String)>, StageError> {
        let read = |(name, process): &(&'static str, Guarded)| {
            let log = std::fs::read(process.folder().join("log"))?;
            Ok((*name, String::from_utf8_lossy(&log).into_owned()))
        };
        self.processes.iter().map(read).collect()
    }

    /// The controller's token, to look for where it must not be.
    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

/// A process's folder, before it is the guard's.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self, StageError> {
        Ok(Self(new_folder(&std::env::temp_dir(), "mooring-argocd-")?))
    }
}

async fn kubeconfig(stage: &Stage, service_account: &str) -> Result<String, StageError> {
    let lifetime = super::LONGEST * 2;
    let path = stage
        .hub
        .kubeconfig_for_service_account(NAMESPACE, service_account, lifetime)
        .await?;
    Ok(path.display().to_string())
}

/// Argo CD's folder first: `argocd-k8s-auth` and the repo server's scripts are looked for by name.
fn search_path(folder: &Path) -> String {
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}", folder.display())
}
