//! Lines on standard error while something takes long, and the tools that take it.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::AssetsError;
use crate::control_plane::guard::{Environment, Guarded, new_folder};

/// One line for the person who waits. Written past the test harness, which would hold it back until a test ends.
pub(crate) fn say(line: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(io::stderr(), "sandbox: {line}");
}

/// How a tool ended: its exit code and the end of what it said.
pub(crate) struct Ended {
    pub(crate) code: String,
    pub(crate) log: String,
}

impl Ended {
    pub(crate) fn success(&self) -> bool {
        self.code == "0"
    }

    /// The last thing the tool said, for a line of ours.
    pub(crate) fn last_line(&self) -> &str {
        self.log.lines().last().unwrap_or_default().trim()
    }
}

/// Runs a tool to its end inside `work`, telling `what` and the time it took so far once in a while.
pub(crate) fn run(
    what: &str,
    every: Duration,
    program: &Path,
    args: &[OsString],
    work: &Path,
    environment: &[(&str, &str)],
) -> Result<Ended, AssetsError> {
    let failed = |source| AssetsError::Cache {
        action: "run a tool in",
        path: work.to_owned(),
        source,
    };
    let folder = new_folder(work, "run-").map_err(failed)?;
    let guarded = Guarded::spawn(program, args, &folder, work, &Environment::Inherited(environment)).map_err(failed)?;
    let start = Instant::now();
    let mut told = Instant::now();
    loop {
        if let Some(code) = guarded.exited() {
            return Ok(Ended {
                code,
                log: guarded.log_tail(),
            });
        }
        if told.elapsed() >= every {
            told = Instant::now();
            say(&format!("{what}, {} so far", clock(start.elapsed())));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}
