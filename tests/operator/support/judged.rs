//! Argo CD's own code, as the judge of the cluster Secrets of a world.

use std::{
    collections::BTreeMap,
    process::{Output, Stdio},
};

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use mooring_sandbox::argocd::Judge;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use super::World;

/// Runs the judge with one Secret on its standard input.
pub(crate) async fn judge(
    judge: &Judge,
    arguments: &[&str],
    environment: &BTreeMap<String, String>,
    secret: &Secret,
) -> Output {
    let mut command = Command::new(judge.program());
    command.args(arguments).env_clear().envs(environment);
    let mut input = serde_json::to_value(secret).unwrap();
    input["apiVersion"] = json!("v1");
    input["kind"] = json!("Secret");
    fed(&mut command, &input.to_string()).await
}

/// Runs a program with this on its standard input.
pub(crate) async fn fed(command: &mut Command, input: &str) -> Output {
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    running.wait_with_output().await.unwrap()
}

/// What the judge printed, a value a line.
pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All that the judge printed.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

impl World {
    /// Every cluster Secret that stands, as Argo CD reads it (`db.SecretToCluster` and `RESTConfig`), by the name that it
    /// shows. One that it cannot read fails the test.
    pub(crate) async fn argo_cd_reads(&self) -> BTreeMap<String, Value> {
        let program = Judge::prepare().await.unwrap();
        let labelled = ListParams::default().labels("argocd.argoproj.io/secret-type=cluster");
        let mut read = BTreeMap::new();
        for secret in self.secrets().list(&labelled).await.unwrap().items {
            let output = judge(&program, &["secret"], &BTreeMap::new(), &secret).await;
            let name = secret.metadata.name.unwrap();
            assert!(output.status.success(), "{name}: {}", said(&output));
            let one = lines(&output).remove(0);
            read.insert(one["name"].as_str().unwrap().to_owned(), one);
        }
        read
    }
}
