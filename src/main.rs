//! The binary: parses its arguments and hands over.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use clap::Parser;
use mooring::{
    cli::{Cli, Command},
    commands::{self, Printed},
    run,
};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Controller(arguments) => run::controller(arguments.into())
            .await
            .map_err(|error| error.to_string()),
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
            for line in message.lines() {
                eprintln!("mooring: {line}");
            }
            ExitCode::FAILURE
        }
    }
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
