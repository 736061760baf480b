//! A stage for whole-operator runs: a hub with its API server, accounts and clusters in the fake AWS, what the platform
//! team installs, and the operator as a process of its own.

mod argocd;
mod aws_auth;
mod bootstrap;
mod exports;
mod fleet;
mod operator;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::{
    Api, Client,
    api::{DynamicObject, GroupVersionKind, Patch, PatchParams},
    core::ApiResource,
};
use serde_json::Value;
use tokio::sync::OnceCell;

pub use self::{
    argocd::Destination,
    bootstrap::{SetUp, set_up},
    exports::{Exports, PERSON},
    fleet::{ClusterSpec, Fleet},
    operator::{Operator, OperatorOptions, Signal, sibling_binary},
};
use crate::{
    aws::{self, ClusterSeed, FakeAws, contract::ApiError, contract::Service},
    control_plane::{self, ApiProxy, ControlPlane, Options},
};

/// Why the stage is not as it should be.
#[derive(Debug)]
pub struct StageError(String);

impl StageError {
    /// An error in one sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StageError {}

macro_rules! from {
    ($($type:ty),*) => {$(
        impl From<$type> for StageError {
            fn from(error: $type) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}
from!(
    control_plane::Error,
    aws::StartError,
    kube::Error,
    std::io::Error,
    serde_json::Error,
    aws::UnknownOperation
);

impl From<ApiError> for StageError {
    fn from(error: ApiError) -> Self {
        Self(format!("the sandbox's AWS said {}: {}", error.code, error.message))
    }
}

/// The stage.
pub struct Stage {
    /// The hub's API server.
    pub hub: ControlPlane,
    /// The API servers of spokes, each with its place in the fleet.
    spokes: Vec<(usize, ControlPlane)>,
    /// AWS.
    pub aws: FakeAws,
    /// The accounts and clusters.
    pub fleet: Fleet,
    proxy: OnceCell<ApiProxy>,
    /// Of each cluster that asks AWS who has a token.
    aws_auth: Vec<aws_auth::Watch>,
}

impl Stage {
    /// Starts AWS and seeds the fleet, and starts the API servers of the hub and of the spokes that are to have one side
    /// by side. AWS verifies web identity tokens with the keys of these servers.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(fleet: Fleet, settings: aws::Settings) -> Result<Self, StageError> {
        let aws = FakeAws::start(settings).await?;
        let wanted = fleet.spokes.iter().enumerate().filter(|(_, spoke)| spoke.server);
        let spokes = wanted.map(async |(place, spoke)| Ok((place, ControlPlane::start(options(&aws, spoke)).await?)));
        let (hub, spokes) = tokio::try_join!(
            ControlPlane::start(options(&aws, &fleet.hub)),
            futures::future::try_join_all(spokes)
        )?;
        let mut stage = Self {
            hub,
            spokes,
            aws,
            fleet,
            proxy: OnceCell::new(),
            aws_auth: Vec::new(),
        };
        stage.fleet.seed(&stage.aws, &stage.hub.ca_pem());
        for (cluster, server) in stage.servers() {
            let jwks = server.jwks().await?.to_string();
            stage.aws.register_issuer(server.issuer(), &jwks)?;
            if cluster.server {
                let lead = |seed: &mut ClusterSeed| {
                    seed.endpoint = server.url();
                    seed.ca_data = STANDARD.encode(server.ca_pem());
                };
                stage
                    .aws
                    .update_cluster(&cluster.account, &cluster.region, &cluster.name, lead)
                    .map_err(|error| StageError::new(error.to_string()))?;
            }
        }
        let asking = stage.servers().filter(|(cluster, _)| cluster.server);
        let watches = asking.map(|(cluster, server)| aws_auth::watch(&stage.aws, cluster, server));
        stage.aws_auth = watches.collect::<Result<_, _>>()?;
        Ok(stage)
    }

    /// The clusters that have an API server, with it; the hub first.
    pub fn servers(&self) -> impl Iterator<Item = (&ClusterSpec, &ControlPlane)> {
        let spokes = self.spokes.iter();
        let spokes = spokes.filter_map(|(place, server)| Some((self.fleet.spokes.get(*place)?, server)));
        std::iter::once((&self.fleet.hub, &self.hub)).chain(spokes)
    }

    /// The API server of the first cluster of a name that has one, be it the hub or a spoke.
    ///
    /// # Errors
    /// When there is none: see [`ClusterSpec::with_server`].
    pub fn server(&self, name: &str) -> Result<&ControlPlane, StageError> {
        let mut servers = self.servers();
        let found = servers.find(|(cluster, _)| cluster.name == name);
        found.map(|(_, server)| server).ok_or_else(|| {
            StageError::new(format!(
                "cluster {name} has no API server: add it to the fleet with ClusterSpec::with_server"
            ))
        })
    }

    /// A faulting proxy in front of the hub's API server. From the first call on, operators that are started go through
    /// it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn proxy(&self) -> Result<&ApiProxy, StageError> {
        Ok(self.proxy.get_or_try_init(|| self.hub.proxy()).await?)
    }

    /// The faulting proxy, if there is one.
    #[must_use]
    pub fn proxied(&self) -> Option<&ApiProxy> {
        self.proxy.get()
    }

    /// Applies every YAML file of a folder, in the order of their names.
    ///
    /// # Errors
    /// When a file cannot be read, or the API server refuses it.
    pub async fn apply_folder(&self, folder: &Path) -> Result<Vec<String>, StageError> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(|error| StageError::new(format!("{}: {error}", folder.display())))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
            .filter(|path| path.file_name().is_some_and(|name| name != "kustomization.yaml"))
            .collect();
        files.sort();
        let mut names = Vec::new();
        for file in files {
            names.extend(self.apply_file(&file).await?);
        }
        Ok(names)
    }

    /// Applies one YAML file.
    ///
    /// # Errors
    /// When it cannot be read, or the API server refuses it.
    pub async fn apply_file(&self, file: &Path) -> Result<Vec<String>, StageError> {
        let text =
            std::fs::read_to_string(file).map_err(|error| StageError::new(format!("{}: {error}", file.display())))?;
        let objects = self.hub.apply_yaml(&text).await?;
        Ok(objects
            .iter()
            .map(|object| {
                let kind = object
                    .types
                    .as_ref()
                    .map(|types| types.kind.clone())
                    .unwrap_or_default();
                format!("{kind} {}", object.metadata.name.clone().unwrap_or_default())
            })
            .collect())
    }

    /// Sets an account up with what `mooring bootstrap` printed: roles with their inline policies, and managed
    /// policies, made by the account's own administrator.
    ///
    /// # Errors
    /// When AWS refuses a document, or the text has another form.
    pub fn bootstrap(&self, printed: &Value) -> Result<Vec<String>, StageError> {
        let mut made = Vec::new();
        for SetUp {
            account,
            operation,
            input,
            makes,
        } in set_up(printed)?
        {
            self.aws
                .call(&self.aws.root(&account), Service::Iam, operation, input)?;
            made.extend(makes);
        }
        Ok(made)
    }

    /// The hub's API server as its administrator sees it.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn client(&self) -> Result<Client, StageError> {
        Ok(self.hub.admin()?)
    }

    /// `ManagedCluster`s (`managedclusters`) or `ManagementRole`s (`managementroles`).
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn mooring(&self, kind: &str) -> Result<Api<DynamicObject>, StageError> {
        Ok(mooring(self.client()?, kind))
    }

    /// Changes an object by a merge patch, as `kubectl patch --type merge` does.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> Result<(), StageError> {
        self.mooring(kind)?
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// Waits until an object is as asked, at most `limit`.
    ///
    /// # Errors
    /// When it is not by then; the error shows its status.
    pub async fn wait(
        &self,
        kind: &str,
        name: &str,
        limit: Duration,
        until: impl Fn(&Value) -> bool,
    ) -> Result<Value, StageError> {
        wait(&self.mooring(kind)?, kind, name, limit, until).await
    }
}

/// The `ManagedCluster`s or `ManagementRole`s of an API server.
#[must_use]
pub fn mooring(client: Client, kind: &str) -> Api<DynamicObject> {
    let plural = format!("{}s", kind.to_lowercase());
    let gvk = GroupVersionKind::gvk("mooring.dev", "v1alpha1", kind);
    Api::all_with(client, &ApiResource::from_gvk_with_plural(&gvk, &plural))
}

/// Waits until an object is as asked, at most `limit`; one that is not there is null.
///
/// # Errors
/// When it is not by then; the error shows its status.
pub async fn wait(
    api: &Api<DynamicObject>,
    kind: &str,
    name: &str,
    limit: Duration,
    until: impl Fn(&Value) -> bool,
) -> Result<Value, StageError> {
    let deadline = Instant::now() + limit;
    loop {
        let object = api.get_opt(name).await?.map(serde_json::to_value).transpose()?;
        let object = object.unwrap_or(Value::Null);
        if until(&object) {
            return Ok(object);
        }
        if Instant::now() >= deadline {
            let status = serde_json::to_string_pretty(&object["status"]).unwrap_or_default();
            return Err(StageError::new(format!(
                "{kind} {name} is not as it should be after {} s; its status is {status}",
                limit.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The control plane of a cluster. Beside RBAC, its own tokens and certificates, it asks AWS as an EKS cluster does.
fn options(aws: &FakeAws, cluster: &ClusterSpec) -> Options {
    let webhooks = cluster
        .server
        .then(|| aws.webhooks(&cluster.account, &cluster.region, &cluster.name));
    Options {
        issuer: Some(cluster.issuer()),
        authentication_webhook: webhooks.as_ref().map(|webhooks| webhooks.authentication.clone()),
        authorization_webhook: webhooks.map(|webhooks| webhooks.authorization),
        ..Options::named(&cluster.name)
    }
}

/// The `Ready` condition's status and reason, of an object as JSON.
#[must_use]
pub fn ready(object: &Value) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready");
    let text = |key: &str| {
        ready
            .and_then(|ready| ready[key].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    (text("status"), text("reason"))
}

/// Whether `Ready` is `True` for the object's present generation.
#[must_use]
pub fn is_ready(object: &Value) -> bool {
    ready(object).0 == "True" && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}
