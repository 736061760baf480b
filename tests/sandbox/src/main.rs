//! The command line of the sandbox.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mooring_sandbox::control_plane;

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Prepare => control_plane::prepare().await,
    };
    match done {
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
