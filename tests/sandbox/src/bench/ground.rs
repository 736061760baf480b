//! What the operator is measured on: a stage set up as the README says, with the policies that `mooring bootstrap`
//! prints and the RBAC that `deploy/install` ships.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Arguments, Setting};
use crate::{
    aws::Settings,
    stage::{Fleet, Operator, OperatorOptions, Stage, StageError, is_ready, sibling_binary},
    up::repository,
};

/// What the operator calls itself to the API server.
pub(super) const AGENT: &str = "system:serviceaccount:mooring-system:mooring-controller";

/// The access policy that every cluster asks for.
pub(super) const POLICY: &str = "AmazonEKSClusterAdminPolicy";

const NAMESPACE: &str = "mooring-system";
const SERVICE_ACCOUNT: &str = "mooring-controller";

/// How long the operator may take to start and to make the management role.
const PATIENCE: Duration = Duration::from_mins(1);

/// The stage, and the operator that runs on it.
pub(super) struct Ground {
    // First, so that the operator ends before what it talks to.
    pub(super) operator: Operator,
    pub(super) stage: Stage,
    /// Where its metrics are.
    pub(super) address: String,
}

impl Ground {
    pub(super) async fn raise(setting: &Setting, arguments: &Arguments) -> Result<Self, StageError> {
        let fleet = Fleet::of(setting.accounts, setting.clusters);
        let settings = Settings {
            latency: setting.latency.into(),
            rates: setting.rates,
            ..Settings::default()
        };
        let stage = Stage::start(fleet, settings).await?;
        if let Some(slow) = &setting.slow {
            stage.aws.throttle(Some(slow), setting.rates_of(slow));
        }
        let binary = arguments.operator.clone().unwrap_or_else(sibling_binary);
        let role = management_role(&stage.fleet);
        stage.bootstrap(&bootstrap(&binary, &stage, &role)?)?;
        let repository = repository();
        stage.apply_folder(&repository.join("crds")).await?;
        stage
            .hub
            .apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}")
            .await?;
        for file in ["00-namespace.yaml", "10-rbac.yaml"] {
            stage.apply_file(&repository.join("deploy/install").join(file)).await?;
        }
        let operator = Operator::start(
            &stage,
            &OperatorOptions {
                command: "controller",
                binary,
                role_arn: format!("arn:aws:iam::{}:role/mooring-operator", stage.fleet.hub.account),
                namespace: NAMESPACE.to_owned(),
                service_account: Some(SERVICE_ACCOUNT.to_owned()),
                flags: arguments.flags.clone(),
            },
        )
        .await?;
        stage.hub.apply_yaml(&role.to_string()).await?;
        stage
            .wait("ManagementRole", "default", PATIENCE, is_ready)
            .await
            .map_err(|error| StageError::new(format!("{error}\nthe operator's log:\n{}", operator.log_text())))?;
        let address = address(&operator).await?;
        Ok(Self {
            operator,
            stage,
            address,
        })
    }
}

fn management_role(fleet: &Fleet) -> Value {
    let accounts: std::collections::BTreeSet<&str> = fleet.spokes.iter().map(|spoke| spoke.account.as_str()).collect();
    json!({
        "apiVersion": "mooring.dev/v1alpha1",
        "kind": "ManagementRole",
        "metadata": {"name": "default"},
        "spec": {
            "cluster": {"name": fleet.hub.name, "region": fleet.hub.region},
            "allow": [{"accounts": accounts, "accessPolicies": [{"name": POLICY, "scope": "Cluster"}]}],
        },
    })
}

/// What `mooring bootstrap` prints for the management role.
fn bootstrap(binary: &Path, stage: &Stage, role: &Value) -> Result<Value, StageError> {
    let file: PathBuf = stage.hub.folder().join("management-role.json");
    std::fs::write(&file, role.to_string())?;
    let output = Command::new(binary)
        .args(["bootstrap", "--hub-account", &stage.fleet.hub.account])
        .args([
            "--operator-namespace",
            NAMESPACE,
            "--operator-service-account",
            SERVICE_ACCOUNT,
        ])
        .arg("-f")
        .arg(&file)
        .output()
        .map_err(|error| {
            StageError::new(format!(
                "{}: {error}; build it, or name it by --operator",
                binary.display()
            ))
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(StageError::new(format!("mooring bootstrap failed: {said}")));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn address(operator: &Operator) -> Result<String, StageError> {
    let begun = Instant::now();
    loop {
        if let Some(address) = operator.address() {
            return Ok(address);
        }
        if begun.elapsed() > PATIENCE {
            return Err(StageError::new(
                "the operator's log never named the address of its metrics",
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
