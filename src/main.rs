//! The binary: parses its arguments and hands over.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use clap::Parser;
use mooring::{
    cli::{Cli, Command, DoctorArgs, ImportArgs, PlanArgs, RevokeArgs},
    commands::{self, Printed},
    run,
};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Controller(arguments) => run::controller(arguments.into())
            .await
            .map_err(|error| error.to_string()),
        Command::Verifier(arguments) => run::verifier(arguments).await.map_err(|error| error.to_string()),
        Command::Doctor(arguments) => match doctor(&arguments).await {
            Ok(code) => return code,
            Err(message) => {
                complain(&message);
                return NOT_RUN.into();
            }
        },
        Command::Import(arguments) => import(&arguments).await,
        Command::Plan(arguments) => match plan(&arguments).await {
            Ok(code) => return code,
            Err(message) => Err(message),
        },
        Command::Revoke(arguments) => match revoke(&arguments).await {
            Ok(code) => return code,
            Err(message) => Err(message),
        },
        Command::Render(arguments) => commands::render::run(&arguments).and_then(print),
        Command::Bootstrap(arguments) => commands::bootstrap::run(&arguments).and_then(print),
        Command::Crd => print(Printed {
            out: commands::crd::crds(),
            ..Printed::default()
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a doctor that could not begin: it tells nothing of any cluster.
const NOT_RUN: u8 = 3;

fn complain(message: &str) {
    for line in message.lines() {
        eprintln!("mooring: {line}");
    }
}

async fn doctor(arguments: &DoctorArgs) -> Result<ExitCode, String> {
    let looked = Box::pin(run::doctor(arguments, |line| eprintln!("mooring: {line}"))).await;
    let all = looked.map_err(|error| error.to_string())?;
    print(Printed {
        out: commands::doctor::print(&all, arguments.output),
        ..Printed::default()
    })?;
    Ok(commands::doctor::verdict(&all).exit_code().into())
}

async fn import(arguments: &ImportArgs) -> Result<(), String> {
    let looked = Box::pin(run::import(arguments, |line| eprintln!("mooring: {line}"))).await;
    let (hub, all, left) = looked.map_err(|error| error.to_string())?;
    print(commands::import::print(&hub, &all, &left))
}

async fn plan(arguments: &PlanArgs) -> Result<ExitCode, String> {
    let manifests = commands::manifests::Manifests::read(&arguments.files)?;
    if !manifests.invalid.is_empty() {
        return Err(manifests.invalid.join("\n"));
    }
    let files = run::Files {
        roles: manifests.roles,
        clusters: manifests.clusters,
    };
    let looked = Box::pin(run::plan(arguments, files, |line| eprintln!("mooring: {line}"))).await;
    let all = looked.map_err(|error| error.to_string())?;
    print(Printed {
        out: commands::plan::print(&all, arguments.output),
        ..Printed::default()
    })?;
    Ok(commands::plan::verdict(&all).exit_code().into())
}

async fn revoke(arguments: &RevokeArgs) -> Result<ExitCode, String> {
    let revoked = Box::pin(run::revoke(arguments, |line| eprintln!("mooring: {line}"))).await;
    let revoked = revoked.map_err(|error| error.to_string())?;
    print(Printed {
        out: commands::revoke::print(&revoked, arguments.output),
        ..Printed::default()
    })?;
    Ok(revoked.exit_code().into())
}

fn print(printed: Printed) -> Result<(), String> {
    let Printed { out, notes, failures } = printed;
    match std::io::stdout().lock().write_all(out.as_bytes()) {
        // Whoever reads has seen enough, as with `| head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => return Err(format!("standard output cannot be written: {error}")),
        Ok(()) => {}
    }
    for note in notes {
        eprintln!("mooring: {note}");
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}
