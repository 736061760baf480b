//! How the demo and the end-to-end run speak: scenes, lines with the time since the start, and blocks as a terminal would show them.

use std::time::Instant;

/// Speaks to a person at a terminal, or to a log.
pub(crate) struct Teller {
    started: Instant,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// A new scene.
    pub(crate) fn scene(&self, title: &str) {
        println!("\n{:6.1}s  == {title}", self.started.elapsed().as_secs_f64());
    }

    /// A line.
    pub(crate) fn say(&self, text: &str) {
        println!("{:6.1}s  {text}", self.started.elapsed().as_secs_f64());
    }

    /// Something that was checked.
    pub(crate) fn proved(&self, text: &str) {
        println!("{:6.1}s  ok: {text}", self.started.elapsed().as_secs_f64());
    }

    /// A command as a person would type it, and what it shows.
    pub(crate) fn shows(&self, command: &str, output: &str) {
        println!("\n{:6.1}s  $ {command}", self.started.elapsed().as_secs_f64());
        for line in output.trim_end().lines() {
            println!("  {line}");
        }
        println!();
    }

    /// The end of a run that is not as it says.
    pub(crate) fn fail(&self, why: &str) {
        println!("{:6.1}s  FAILED: {why}", self.started.elapsed().as_secs_f64());
    }
}
