//! What the platform team makes in each account before the operator can work: exactly what `mooring bootstrap` prints.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{HUB_ACCOUNT, Setting};

pub(crate) const OPERATOR_ROLE: &str = "mooring-operator";
pub(crate) const OPERATOR_NAMESPACE: &str = "mooring-system";
pub(crate) const OPERATOR_SERVICE_ACCOUNT: &str = "mooring-controller";

pub(crate) fn printed(setting: &Setting) -> Value {
    let issuer = setting.fleet.hub.issuer();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
    command
        .args([
            "bootstrap",
            "--file",
            "-",
            "--hub-account",
            HUB_ACCOUNT,
            "--hub-issuer",
            &issuer,
        ])
        .args([
            "--operator-role",
            OPERATOR_ROLE,
            "--operator-namespace",
            OPERATOR_NAMESPACE,
        ])
        .args(["--operator-service-account", OPERATOR_SERVICE_ACCOUNT]);
    for boundary in &setting.boundaries {
        command.args(["--deployer-boundary", boundary]);
    }
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(setting.management.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "mooring bootstrap failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
