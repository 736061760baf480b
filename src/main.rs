//! The binary: parses its arguments and hands over.

use std::process::ExitCode;

use clap::Parser;
use mooring::{
    cli::{Cli, Command},
    run,
};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Controller(arguments) => run::controller(arguments.into())
            .await
            .map_err(|error| error.to_string()),
        Command::Render(_) | Command::Bootstrap(_) | Command::Crd => Ok(()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mooring: {message}");
            ExitCode::FAILURE
        }
    }
}
