//! The Git repository that Argo CD deploys from.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::stage::StageError;

/// The folder of the manifests in it.
pub(super) const FOLDER: &str = "shop";

/// The branch.
pub(super) const BRANCH: &str = "main";

/// The `ConfigMap` that changes with each commit.
pub(super) const CONFIG_MAP: &str = "shop";

/// Its key.
pub(super) const KEY: &str = "greeting";

/// What stands beside it. Nothing here needs a controller to become healthy: there is none.
const BESIDE: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80}]
";

/// A repository with one branch.
pub(super) struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// Makes an empty one in a folder that is not there yet.
    ///
    /// # Errors
    /// Without `git`.
    pub(super) async fn new(folder: PathBuf) -> Result<Self, StageError> {
        std::fs::create_dir_all(folder.join(FOLDER))?;
        let repository = Self { folder };
        repository.git(&["init", "--quiet", "--initial-branch", BRANCH]).await?;
        Ok(repository)
    }

    /// Where Argo CD finds it.
    pub(super) fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// Commits manifests that greet so, and gives the revision.
    ///
    /// # Errors
    /// What git says.
    pub(super) async fn commit(&self, greeting: &str) -> Result<String, StageError> {
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {CONFIG_MAP}}}\ndata:\n  {KEY}: {}\n",
            serde_json::json!(greeting)
        );
        let folder = self.folder.join(FOLDER);
        std::fs::write(folder.join("configmap.yaml"), map)?;
        std::fs::write(folder.join("beside.yaml"), BESIDE)?;
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", greeting]).await?;
        self.head().await
    }

    /// The last revision.
    ///
    /// # Errors
    /// What git says.
    pub(super) async fn head(&self) -> Result<String, StageError> {
        self.git(&["rev-parse", "HEAD"]).await
    }

    async fn git(&self, arguments: &[&str]) -> Result<String, StageError> {
        let output = command(&self.folder)
            .args(arguments)
            .output()
            .await
            .map_err(|error| StageError::new(format!("git: {error}; Argo CD needs it too: install it")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(StageError::new(format!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )))
    }
}

/// Git without anybody's settings: hooks, signatures and templates are the user's own affair.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .kill_on_drop(true)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "A team")
            .env(format!("GIT_{who}_EMAIL"), "team@example.com");
    }
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_TEMPLATE_DIR"] {
        command.env_remove(inherited);
    }
    command
}
