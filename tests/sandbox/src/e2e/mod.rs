//! `mooring-sandbox e2e`: Argo CD itself, as released, deploys from Git to clusters that Mooring has moored, through
//! nothing but what Mooring made. Every scene checks what it shows; the first that is not as it says ends the run with
//! an error. `tests/argocd-judge/README.md` says what a whole Argo CD needs.

mod argocd;
mod checks;
mod letting_go;
mod namespace;
mod repository;
mod scenes;
mod sight;
mod world;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::{argocd::ArgoCd, checks::TARGET, namespace::Namespace, repository::Repository, world::World};
use crate::{
    argocd::{Judge, Programs},
    aws, control_plane,
    demo::{bootstrap, reach::group_rights, tell::Teller},
    stage::{ClusterSpec, Fleet, Operator, OperatorOptions, Stage, StageError, is_ready, sibling_binary},
};

/// How long all of it may take. Every token that is asked for lives longer.
const LONGEST: Duration = Duration::from_mins(30);

const MANAGEMENT_ROLE: &str = include_str!("manifests/management-role.yaml");

/// Flags of `mooring-sandbox e2e`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The operator's binary; by default `mooring` beside this program.
    #[arg(long, value_name = "FILE")]
    pub mooring: Option<PathBuf>,

    /// The repository, with its folders crds and deploy.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub repository: PathBuf,

    /// The network namespace that was left; the program says so to itself.
    #[arg(long, value_name = "NAMESPACE", hide = true)]
    pub left: Option<OsString>,
}

/// Makes ready what needs a network, goes on in a network namespace of its own, and runs there.
pub async fn run(arguments: Arguments) -> ExitCode {
    let teller = Teller::new();
    let ran = match &arguments.left {
        None => Err(leave(&teller).await),
        Some(left) => match namespace::have_left(left) {
            Ok(()) => bounded(&arguments, &teller).await,
            Err(error) => Err(error),
        },
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            teller.fail(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Comes back only when it fails.
async fn leave(teller: &Teller) -> StageError {
    let left = async {
        // First, so that nobody waits minutes for a build in vain.
        let namespace = Namespace::find()?;
        let own = namespace::own()?;
        let failed = |error: &dyn std::error::Error| StageError::new(error.to_string());
        control_plane::prepare().await.map_err(|error| failed(&error))?;
        Judge::prepare().await.map_err(|error| failed(&error))?;
        Programs::prepare().await.map_err(|error| failed(&error))?;
        teller.say("going on in a network namespace of its own, where loopback is all there is");
        let arguments = std::env::args_os().skip(1).chain(["--left".into(), own]);
        Err::<(), _>(namespace.become_program(&std::env::current_exe()?, arguments))
    };
    match left.await {
        Err(error) => error,
        Ok(()) => StageError::new("the program went on twice"),
    }
}

/// Plays, until it is over, or somebody interrupts, or it takes too long; everything has ended then.
async fn bounded(arguments: &Arguments, teller: &Teller) -> Result<(), StageError> {
    // Before anything is started, so that a Ctrl-C meanwhile stops it in order too.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        played = Box::pin(play(arguments, teller)) => played,
        () = tokio::time::sleep(LONGEST) => {
            Err(StageError::new(format!("it is not over after {} minutes", LONGEST.as_secs() / 60)))
        }
        _ = interrupt.recv() => Err(StageError::new("interrupted")),
        _ = terminate.recv() => Err(StageError::new("asked to end")),
    }
}

async fn play(arguments: &Arguments, teller: &Teller) -> Result<(), StageError> {
    let world = Box::pin(raise(arguments, teller)).await?;
    let played = Box::pin(scenes::all(&world)).await;
    if played.is_err() {
        world.last_words();
    }
    played
}

fn fleet() -> Fleet {
    let spoke = |account: &str, region: &str, name: &str| ClusterSpec::new(account, region, name).with_server();
    Fleet {
        hub: ClusterSpec::new("111111111111", "eu-west-1", "hub"),
        spokes: vec![
            spoke("222222222222", "eu-west-1", "prod-eu"),
            spoke("333333333333", "eu-central-1", "tools"),
            spoke("333333333333", "eu-west-1", "shared-platform"),
        ],
    }
}

async fn raise<'a>(arguments: &Arguments, teller: &'a Teller) -> Result<World<'a>, StageError> {
    let failed = |error: crate::argocd::ArgocdError| StageError::new(error.to_string());
    let (judge, programs) = (
        Judge::prepare().await.map_err(failed)?,
        Programs::prepare().await.map_err(failed)?,
    );
    let binary = arguments.mooring.clone().unwrap_or_else(sibling_binary);
    let repository = std::path::absolute(&arguments.repository)?;

    teller.scene("A hub and three more clusters in two accounts, each with a Kubernetes API server, and a fake AWS");
    // AWS shows a change to everybody after a while; here after a second.
    let settings = aws::Settings {
        propagation: Duration::from_secs(1),
        eks_propagation: Duration::from_secs(1),
        ..aws::Settings::default()
    };
    let stage = Stage::start(fleet(), settings).await?;
    for cluster in stage.fleet.clusters() {
        teller.say(&format!(
            "account {}, region {}: EKS cluster {}",
            cluster.account, cluster.region, cluster.name
        ));
    }
    // What the owners of two clusters do: a namespace for Argo CD's deployments, and rights for a group.
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {TARGET}}}}}");
    for cluster in ["tools", "shared-platform"] {
        stage.server(cluster)?.apply_yaml(&namespace).await?;
    }
    for object in group_rights() {
        stage.server("shared-platform")?.apply_yaml(&object).await?;
    }

    teller.scene("Mooring as deploy/ installs it, with the IAM policies that `mooring bootstrap` prints; then Argo CD");
    argocd::install(&stage, &programs).await?;
    let operator = operate(&stage, binary, &repository).await?;
    let role = stage.wait("ManagementRole", "default", Duration::from_mins(2), is_ready);
    let role = role
        .await
        .inspect_err(|_| world::last_words(teller, "operator", &operator.log_text()))?;
    let role = role["status"]["role"]["arn"].as_str().unwrap_or_default().to_owned();
    teller.say(&format!("the management role is there: {role}"));
    // With the hub's own files, and so gone with them.
    let repository = Repository::new(stage.hub.folder().join("git")).await?;
    let argocd = ArgoCd::start(&stage, &judge, &programs, &role).await?;
    teller.say("Argo CD's application controller runs with that role and a token of its service account");
    World::new(argocd, operator, stage, repository, teller)
}

/// Installs the operator and starts it, and makes the `ManagementRole`.
async fn operate(stage: &Stage, binary: PathBuf, repository: &Path) -> Result<Operator, StageError> {
    stage.apply_folder(&repository.join("crds")).await?;
    stage.apply_folder(&repository.join("deploy/install")).await?;
    let manifest = stage.hub.folder().join("management-role.yaml");
    std::fs::write(&manifest, MANAGEMENT_ROLE)?;
    let printed = bootstrap(&binary, &manifest, stage).await?;
    stage.bootstrap(&printed)?;
    let options = OperatorOptions {
        binary,
        command: "controller",
        role_arn: format!("arn:aws:iam::{}:role/mooring-operator", stage.fleet.hub.account),
        namespace: "mooring-system".to_owned(),
        service_account: Some("mooring-controller".to_owned()),
        flags: [
            "--resync-interval",
            "10s",
            "--confirm-after",
            "5s",
            "--log-format",
            "text",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let operator = Operator::start(stage, &options).await?;
    stage.hub.apply_yaml(MANAGEMENT_ROLE).await?;
    Ok(operator)
}
