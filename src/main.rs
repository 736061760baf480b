//! The binary: parses its arguments and hands over.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use mooring::{
    cli::{Cli, Command, DoctorArgs, ImportArgs, PlanArgs, RevokeArgs},
    commands::{self, Printed},
    run,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::parse_from_environment(std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(told) => {
            // Whoever has closed the stream has seen enough.
            let _ = told.print();
            return if told.use_stderr() {
                NOT_RUN.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let result = match cli.command {
        Command::Controller(arguments) => run::controller(arguments.into())
            .await
            .map_err(|error| error.to_string()),
        Command::Verifier(arguments) => run::verifier(arguments).await.map_err(|error| error.to_string()),
        Command::Doctor(arguments) => return told(doctor(&arguments).await),
        Command::Import(arguments) => return told(import(&arguments).await),
        Command::Plan(arguments) => return told(plan(&arguments).await),
        Command::Revoke(arguments) => return told(revoke(&arguments).await),
        Command::Render(arguments) => return told(commands::render::run(&arguments).map(refusing)),
        Command::Bootstrap(arguments) => return told(commands::bootstrap::run(&arguments).map(refusing)),
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

/// The exit code of a command that could not begin, or whose flags are wrong: it tells nothing of any cluster.
const NOT_RUN: u8 = 3;

/// The exit code of a command that refuses a manifest.
const REFUSED: u8 = 1;

/// The exit code of a command that looks, and tells by it what it found.
fn told(ran: Result<u8, String>) -> ExitCode {
    let code = ran.unwrap_or_else(|message| {
        complain(&message);
        NOT_RUN
    });
    code.into()
}

fn complain(message: &str) {
    for line in message.lines() {
        eprintln!("mooring: {line}");
    }
}

/// Prints, and gives the exit code of a command that may refuse what it was given.
fn refusing(printed: Printed) -> u8 {
    match print(printed) {
        Ok(()) => 0,
        Err(message) => {
            complain(&message);
            REFUSED
        }
    }
}

async fn doctor(arguments: &DoctorArgs) -> Result<u8, String> {
    let looked = Box::pin(run::doctor(arguments, |line| eprintln!("mooring: {line}"))).await;
    let found = looked.map_err(|error| error.to_string())?;
    print(Printed {
        out: commands::doctor::print(&found.examined, arguments.output),
        notes: found.operator.into_iter().collect(),
        ..Printed::default()
    })?;
    Ok(commands::doctor::verdict(&found.examined).exit_code())
}

async fn import(arguments: &ImportArgs) -> Result<u8, String> {
    let looked = Box::pin(run::import(arguments, |line| eprintln!("mooring: {line}"))).await;
    let found = looked.map_err(|error| error.to_string())?;
    let (printed, verdict) = commands::import::print(&found);
    print(printed)?;
    Ok(verdict.exit_code())
}

async fn plan(arguments: &PlanArgs) -> Result<u8, String> {
    let manifests = commands::manifests::Manifests::read(&arguments.files)?;
    if !manifests.invalid.is_empty() {
        complain(&manifests.invalid.join("\n"));
        return Ok(commands::plan::Verdict::Failed.exit_code());
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
    Ok(commands::plan::verdict(&all).exit_code())
}

async fn revoke(arguments: &RevokeArgs) -> Result<u8, String> {
    let revoked = Box::pin(run::revoke(arguments, |line| eprintln!("mooring: {line}"))).await;
    let revoked = revoked.map_err(|error| error.to_string())?;
    print(Printed {
        out: commands::revoke::print(&revoked, arguments.output),
        ..Printed::default()
    })?;
    Ok(revoked.exit_code())
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
