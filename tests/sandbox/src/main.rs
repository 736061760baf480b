//! The command line of the sandbox.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mooring_sandbox::{control_plane, demo};

/// A whole hub and its spokes on one machine.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make etcd and kube-apiserver available: minutes the first time, nothing afterwards.
    Prepare,
    /// Plays the demo: a hub, three more clusters, and everything that Mooring does with them.
    Demo(demo::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse().command {
        Command::Prepare => None,
        Command::Demo(arguments) => Some(arguments),
    };
    if let Some(arguments) = arguments {
        return demo::run(arguments).await;
    }
    match control_plane::prepare().await {
        Ok(assets) => {
            println!("{}\n{}", assets.etcd.display(), assets.kube_apiserver.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
