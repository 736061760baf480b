//! One API server with both custom resource definitions, for every test of a process.

use http::Request;
use kube::{
    Client,
    core::{Status, response::StatusCause},
};
use mooring_sandbox::control_plane::ControlPlane;
use serde_json::Value;
use tokio::sync::OnceCell;

/// The API server, with the definitions that `mooring crd` prints.
pub(crate) async fn server() -> &'static ControlPlane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let server = ControlPlane::shared().await.unwrap();
    let install = || async { drop(server.apply_yaml(&mooring::commands::crd::crds()).await.unwrap()) };
    INSTALLED.get_or_init(install).await;
    server
}

/// What the API server said, and the warnings beside it.
pub(crate) struct Answer {
    /// The object as stored, or why not.
    pub(crate) result: Result<Value, Refusal>,
    /// The `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

/// A refusal in the API server's words.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What kubectl prints.
    pub(crate) message: String,
    /// One for each thing wrong: field, reason and message.
    pub(crate) causes: Vec<StatusCause>,
}

/// Sends an object as kubectl does: a field that the server does not know is an error.
pub(crate) async fn send(client: &Client, method: &str, path: &str, object: &Value, dry_run: bool) -> Answer {
    let dry_run = if dry_run { "&dryRun=All" } else { "" };
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?fieldValidation=Strict{dry_run}"))
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object).unwrap().into())
        .unwrap();
    let response = client.send(request).await.unwrap();
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings.map(|w| w.to_str().unwrap().to_owned()).collect();
    let accepted = response.status().is_success();
    let body = response.into_body().collect_bytes().await.unwrap();
    let result = if accepted {
        Ok(serde_json::from_slice(&body).unwrap())
    } else {
        let status: Status = serde_json::from_slice(&body).unwrap();
        Err(Refusal {
            message: status.message,
            causes: status.details.map(|details| details.causes).unwrap_or_default(),
        })
    };
    Answer { result, warnings }
}
