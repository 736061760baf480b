//! `mooring-sandbox up`: the hub and AWS without the operator, for whoever runs a build of their own against them.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation is what --help prints: no backticks around names"
)]

mod fault;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

pub use self::fault::WantedFault;
use crate::{
    aws::{Rate, Rates, Settings},
    stage::{ClusterSpec, Fleet, PERSON, Stage, StageError},
};

/// Flags of `mooring-sandbox up`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The cluster that stands for the hub in AWS, as ACCOUNT/REGION/NAME.
    ///
    /// The API server of the sandbox issues its tokens as this cluster's OIDC issuer.
    #[arg(long, value_name = "CLUSTER", default_value = "111111111111/eu-west-1/hub", value_parser = cluster)]
    pub hub: ClusterSpec,

    /// A spoke cluster, as ACCOUNT/REGION/NAME; repeat it for more. Its account is made with it.
    ///
    /// Without this flag there are three spokes: 222222222222/eu-west-1/prod-eu,
    /// 333333333333/eu-central-1/tools and 333333333333/eu-west-1/shared-platform. Regions are those of the partition aws.
    #[arg(long = "cluster", value_name = "CLUSTER", value_parser = cluster)]
    pub clusters: Vec<ClusterSpec>,

    /// Give every cluster an API server of its own, the hub included, which takes EKS's tokens.
    ///
    /// `aws eks update-kubeconfig` and Argo CD reach them; access entries, access policies and aws-auth decide. Without
    /// it spokes stand in AWS only. Each takes 300 MB.
    #[arg(long)]
    pub spokes: bool,

    /// A further account, without clusters: 12 digits; repeat it for more.
    #[arg(long = "account", value_name = "ACCOUNT", value_parser = account)]
    pub accounts: Vec<String>,

    /// How long AWS takes to answer each call, as in 50ms or 1s.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = duration)]
    pub latency: Duration,

    /// How long a write takes to be seen by every later call, as in 3s. Until then reads may be stale, and a new role is
    /// no principal yet.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub propagation: Duration,

    /// Calls a second that IAM answers in each account; beyond it throttles. Left out, there is no limit.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub throttle_iam: Option<f64>,

    /// Calls a second that EKS answers in each account and region; beyond it throttles. Left out, there is no limit.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub throttle_eks: Option<f64>,

    /// What goes wrong, as OPERATION=EFFECT or, in full, OPERATION:ACCOUNT=EFFECT@N; repeat it for more.
    ///
    /// OPERATION is AWS's name for it (CreateRole) or * for every one, ACCOUNT the caller's. EFFECT is throttle, denied (as
    /// by a service control policy), error (500), hang, close-before or close-after (the connection is closed before
    /// or after the call was carried out). @N: only the Nth such call.
    /// Examples: CreateRole=throttle, *:222222222222=denied, CreateAccessEntry=close-after@1
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<WantedFault>,
}

impl Arguments {
    fn fleet(&self) -> Fleet {
        let spokes = if self.clusters.is_empty() {
            Fleet::example().spokes
        } else {
            self.clusters.clone()
        };
        let fleet = Fleet {
            hub: self.hub.clone(),
            spokes,
        };
        if self.spokes { fleet.with_servers() } else { fleet }
    }

    fn settings(&self) -> Settings {
        Settings {
            region: self.hub.region.clone(),
            latency: self.latency.into(),
            propagation: self.propagation,
            eks_propagation: self.propagation,
            rates: Rates {
                iam: self.throttle_iam.map(Rate::per_second),
                sts: None,
                eks: self.throttle_eks.map(Rate::per_second),
            },
        }
    }
}

/// Starts everything, says how to use it, and stays until Ctrl-C or SIGTERM.
pub async fn run(arguments: Arguments) -> ExitCode {
    match stand(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mooring-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn stand(arguments: &Arguments) -> Result<(), StageError> {
    // Before anything is started, so that a Ctrl-C meanwhile stops it in order too.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        result = async {
            let stage = raise(arguments).await?;
            std::future::pending::<()>().await;
            drop(stage);
            Ok(())
        } => result,
        () = stopped => {
            eprintln!("stopping");
            Ok(())
        }
    }
}

async fn raise(arguments: &Arguments) -> Result<Stage, StageError> {
    let stage = Stage::start(arguments.fleet(), arguments.settings()).await?;
    for account in &arguments.accounts {
        stage.aws.add_account(account, "aws");
    }
    for fault in &arguments.faults {
        stage.aws.faults().add(fault.0.clone())?;
    }
    let mut applied = Vec::new();
    let definitions = repository().join("crds");
    if definitions.is_dir() {
        applied = stage.apply_folder(&definitions).await?;
    }
    for namespace in ["argocd", "mooring-system"] {
        let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        stage.hub.apply_yaml(&namespace).await?;
    }
    tell(&stage, arguments, &applied)?;
    Ok(stage)
}

/// The folder of the workspace that this program was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.join("../..").canonicalize().unwrap_or(own)
}

fn tell(stage: &Stage, arguments: &Arguments, applied: &[String]) -> Result<(), StageError> {
    let exports = stage.exports(&arguments.accounts)?;
    println!("# The hub's API server: {}", stage.hub.url());
    for cluster in stage.fleet.clusters() {
        println!(
            "# EKS cluster {} in {}, account {}",
            cluster.name, cluster.region, cluster.account
        );
    }
    for (cluster, server) in stage.servers().filter(|(cluster, _)| cluster.server) {
        println!(
            "# {} answers at {}; as its administrator: KUBECONFIG={}",
            cluster.name,
            server.url(),
            server.admin_kubeconfig().display()
        );
    }
    for object in applied {
        println!("# applied: {object}");
    }
    println!(
        "#\n# In another terminal, these lines or `. {}`:",
        exports.script().display()
    );
    print!("{exports}");
    println!(
        "#\n# You are the root user of account {}. For another account: AWS_PROFILE=ACCOUNT, or --profile ACCOUNT, with",
        stage.fleet.hub.account
    );
    println!("# ACCOUNT one of {}.", exports.accounts().join(", "));
    println!(
        "# A root user assumes no role. mooring doctor, plan and import look into every account with AWS_PROFILE={PERSON},\n\
         # where `mooring bootstrap` was given --reader {}.",
        stage.person_arn()
    );
    println!("# Ctrl-C stops everything and removes its files.");
    Ok(())
}

fn cluster(text: &str) -> Result<ClusterSpec, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let [of, region, name] = parts.as_slice() else {
        return Err(format!(
            "{text:?} is no cluster: write ACCOUNT/REGION/NAME, as in 222222222222/eu-west-1/prod-eu"
        ));
    };
    if region.is_empty() || name.is_empty() {
        return Err(format!("{text:?} lacks a region or a name: write ACCOUNT/REGION/NAME"));
    }
    Ok(ClusterSpec::new(&account(of)?, region, name))
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no AWS account: write its 12 digits, as in 222222222222"
        ))
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a whole number with its unit, as in 50ms, 3s or 2m");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(wrong()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(format!("{text:?} is no rate: write calls a second, as in 15 or 0.5")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_accounts_durations_and_rates_are_read_or_explained() {
        assert_eq!(
            cluster("222222222222/eu-west-1/prod-eu").unwrap(),
            ClusterSpec::new("222222222222", "eu-west-1", "prod-eu")
        );
        for wrong in [
            "prod-eu",
            "222222222222/eu-west-1",
            "22/eu-west-1/x",
            "222222222222//x",
            "a/b/c/d",
        ] {
            assert!(cluster(wrong).is_err(), "{wrong}");
        }
        assert!(account("22222222222x").is_err());
        assert_eq!(duration("50ms").unwrap(), Duration::from_millis(50));
        assert_eq!(duration("3s").unwrap(), Duration::from_secs(3));
        assert_eq!(duration("2m").unwrap(), Duration::from_mins(2));
        for wrong in ["50", "ms", "1h", "-1s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(rate("0").is_err() && rate("NaN").is_err());
        assert!((rate("0.5").unwrap() - 0.5).abs() < f64::EPSILON);
    }
}
