//! The demo: a whole hub on this machine, from nothing to moored, refused, broken, mended, narrowed and let go. Every
//! scene checks what it shows; the first that is not as it says ends the demo with an error.

pub(crate) mod reach;
mod scenes;
pub(crate) mod tell;

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde_json::Value;

use self::tell::Teller;
use crate::{
    aws,
    control_plane::{
        self,
        guard::{new_folder, write_private},
    },
    stage::{Fleet, Operator, OperatorOptions, PERSON, Stage, StageError, sibling_binary},
};

/// Flags of `mooring-sandbox demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Stay up at the end until Ctrl-C, and print what other terminals need to look around.
    #[arg(long)]
    pub keep: bool,

    /// The operator's binary; by default `mooring` beside this program.
    #[arg(long, value_name = "FILE")]
    pub mooring: Option<PathBuf>,

    /// The repository, with its folders crds and deploy.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub repository: PathBuf,
}

/// Runs the demo.
pub async fn run(arguments: Arguments) -> ExitCode {
    let teller = Teller::new();
    match play(&arguments, &teller).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            teller.fail(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// What every scene works with.
struct Demo<'a> {
    stage: Stage,
    operator: Operator,
    verifier: Operator,
    teller: &'a Teller,
    examples: PathBuf,
}

async fn play(arguments: &Arguments, teller: &Teller) -> Result<(), StageError> {
    let binary = arguments.mooring.clone().unwrap_or_else(sibling_binary);
    let repository = std::path::absolute(&arguments.repository)?;
    let examples = repository.join("deploy/examples");

    teller.scene("A hub, two more accounts, and three more clusters, on this machine alone");
    control_plane::prepare()
        .await
        .map_err(|error| StageError::new(error.to_string()))?;
    // AWS shows a change to everybody after a while; here after a second.
    let settings = aws::Settings {
        propagation: Duration::from_secs(1),
        eks_propagation: Duration::from_secs(1),
        latency: Duration::from_millis(20).into(),
        ..aws::Settings::default()
    };
    let stage = Stage::start(Fleet::example().with_servers(), settings).await?;
    for cluster in stage.fleet.clusters() {
        teller.say(&format!(
            "account {}, region {}, EKS cluster {}: a Kubernetes API server at {}",
            cluster.account,
            cluster.region,
            cluster.name,
            stage.server(&cluster.name)?.url()
        ));
    }

    teller.scene("Install what deploy/ ships, and set the accounts up with what `mooring bootstrap` prints");
    install(&stage, &repository).await?;
    let printed = bootstrap(&binary, &examples.join("management-role.yaml"), &stage).await?;
    for made in stage.bootstrap(&printed)? {
        teller.say(&made);
    }
    let process = |command, role: &str, flags: &[&str]| OperatorOptions {
        binary: binary.clone(),
        command,
        role_arn: format!("arn:aws:iam::{}:role/mooring-{role}", stage.fleet.hub.account),
        namespace: "mooring-system".to_owned(),
        service_account: Some(format!("mooring-{command}")),
        flags: flags
            .iter()
            .chain(&["--log-format", "text"])
            .map(|flag| (*flag).to_owned())
            .collect(),
    };
    let controller = process("controller", "operator", &["--resync-interval", "10s"]);
    let verifier = process("verifier", "verifier", &["--interval", "10s", "--distance", "1s"]);
    let (operator, verifier) =
        tokio::try_join!(Operator::start(&stage, &controller), Operator::start(&stage, &verifier))?;
    teller.say("the operator and the verifier run, each under its own policies and RBAC");

    let demo = Demo {
        stage,
        operator,
        verifier,
        teller,
        examples,
    };
    let played = unless_ended(&demo.processes(), scenes::all(&demo)).await;
    if let Err(error) = played {
        last_words(&demo.processes(), teller)?;
        return Err(error);
    }
    if arguments.keep {
        stay(&demo).await?;
    }
    Ok(())
}

impl Demo<'_> {
    fn processes(&self) -> [(&'static str, &Operator); 2] {
        [("operator", &self.operator), ("verifier", &self.verifier)]
    }
}

/// Does what needs these processes, each by a name for people. What needs one that has ended would wait in vain.
///
/// # Errors
/// As what is done; and as soon as one of the processes has ended.
pub async fn unless_ended<T>(
    processes: &[(&str, &Operator)],
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<T, StageError> {
    let ended = processes.iter().map(|(who, process)| {
        let ended = async move { format!("the {who} has ended, exit code {}", process.ended().await) };
        Box::pin(ended)
    });
    tokio::select! {
        biased;
        (ended, ..) = futures::future::select_all(ended) => Err(StageError::new(ended)),
        done = work => done,
    }
}

/// Says how the log of each process ends, and where the whole of it is: it is kept, and everything else goes.
fn last_words(processes: &[(&str, &Operator)], teller: &Teller) -> Result<(), StageError> {
    let folder = new_folder(&std::env::temp_dir(), "mooring-demo-")?;
    for (who, process) in processes {
        teller.say(&format!("the {who}'s last words:"));
        let log = process.log_text();
        let lines: Vec<&str> = log.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(15)) {
            teller.say(&line.chars().take(400).collect::<String>());
        }
        let kept = folder.join(format!("{who}.log"));
        write_private(&kept, log.as_bytes())?;
        teller.say(&format!("its whole log: {}", kept.display()));
    }
    Ok(())
}

async fn install(stage: &Stage, repository: &Path) -> Result<(), StageError> {
    stage
        .hub
        .apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}")
        .await?;
    for object in reach::argocd() {
        stage.hub.apply_yaml(&object).await?;
    }
    for object in reach::group_rights() {
        stage.server("shared-platform")?.apply_yaml(&object).await?;
    }
    stage.apply_folder(&repository.join("crds")).await?;
    stage.apply_folder(&repository.join("deploy/install")).await?;
    Ok(())
}

/// Runs `mooring bootstrap` as a platform team does, and reads what it prints.
pub(crate) async fn bootstrap(binary: &Path, management_role: &Path, stage: &Stage) -> Result<Value, StageError> {
    let output = tokio::process::Command::new(binary)
        .arg("bootstrap")
        .arg("-f")
        .arg(management_role)
        .args([
            "--hub-account",
            &stage.fleet.hub.account,
            "--hub-issuer",
            &stage.fleet.hub.issuer(),
            "--reader",
            &stage.person_arn(),
        ])
        .output()
        .await
        .map_err(|error| StageError::new(format!("{}: {error}", binary.display())))?;
    if !output.status.success() {
        return Err(StageError::new(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn stay(demo: &Demo<'_>) -> Result<(), StageError> {
    demo.teller
        .scene("Still here: look around from another terminal, and end this with Ctrl-C");
    let exports = demo.stage.exports(&[])?;
    println!("{exports}");
    println!("# In place of these lines: `. {}`", exports.script().display());
    println!(
        "# mooring doctor, plan and import look into every account with AWS_PROFILE={PERSON}; the other profiles are root\n\
         # users, each of the account of its name.\n"
    );
    demo.teller
        .say(&format!("the operator's log: {}", demo.operator.log().display()));
    demo.teller
        .say(&format!("the verifier's log: {}", demo.verifier.log().display()));
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let asked_to_end = async {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
        Ok(())
    };
    tokio::select! {
        stayed = asked_to_end => stayed,
        never = tell_of_the_end(demo) => match never {},
    }
}

/// Says of each process that ends, as soon as it has, and goes on: somebody may have ended it to see what comes of that.
async fn tell_of_the_end(demo: &Demo<'_>) -> Infallible {
    let told = demo.processes().map(|(who, process)| async move {
        let code = process.ended().await;
        demo.teller.say(&format!(
            "the {who} has ended, exit code {code}: what it does is done no more. Everything else stays up; end this with Ctrl-C and start it \
             again for a new one"
        ));
    });
    futures::future::join_all(told).await;
    std::future::pending().await
}
