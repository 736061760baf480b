//! The command line of the sandbox.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mooring_sandbox::{bench, control_plane, demo, e2e, up};

/// A whole hub and its spokes on one machine.
///
/// A real Kubernetes API server, and a fake AWS that answers at AWS's own addresses through a proxy on loopback. Nothing
/// here reaches a network, and everything is gone when the command ends, however it ends.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes etcd and kube-apiserver available: minutes the first time, nothing afterwards.
    Prepare,
    /// Plays the demo: a hub and three more clusters, moored, refused, broken, mended, narrowed and let go.
    ///
    /// Checks everything that it shows, and fails when something is not as it says.
    Demo(demo::Arguments),
    /// Lets Argo CD itself deploy: its controllers, repo server and a redis, on clusters that the operator has moored.
    ///
    /// Runs in a network namespace of its own, so it needs Linux. Checks everything that it shows.
    E2e(e2e::Arguments),
    /// Starts the hub and AWS without the operator, and stays until Ctrl-C.
    ///
    /// Prints `export` lines with which kubectl, the aws CLI, boto3 and a build of your own reach them from another
    /// terminal.
    Up(up::Arguments),
    /// Measures the operator, built beside this program, on a thousand clusters.
    ///
    /// Prints figures, and fails when something is not right: never for being slow.
    Bench(bench::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Prepare => prepare().await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::E2e(arguments) => e2e::run(arguments).await,
        Command::Up(arguments) => up::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
    }
}

async fn prepare() -> ExitCode {
    match control_plane::prepare().await {
        Ok(assets) => {
            println!("{}\n{}", assets.etcd.display(), assets.kube_apiserver.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mooring-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
