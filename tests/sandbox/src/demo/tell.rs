//! How the demo speaks: scenes, lines with the time since the start, and blocks as a terminal would show them.

use std::time::Instant;

/// Speaks to a person at a terminal, or to a log.
pub(super) struct Teller {
    started: Instant,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// A new scene.
    pub(super) fn scene(&self, title: &str) {
        println!("\n{:6.1}s  == {title}", self.started.elapsed().as_secs_f64());
    }

    /// A line.
    pub(super) fn say(&self, text: &str) {
        println!("{:6.1}s  {text}", self.started.elapsed().as_secs_f64());
    }

    /// Something that was checked.
    pub(super) fn proved(&self, text: &str) {
        println!("{:6.1}s  ok: {text}", self.started.elapsed().as_secs_f64());
    }

    /// A command as a person would type it, and what it shows.
    pub(super) fn shows(&self, command: &str, output: &str) {
        println!("\n{:6.1}s  $ {command}", self.started.elapsed().as_secs_f64());
        for line in output.trim_end().lines() {
            println!("  {line}");
        }
        println!();
    }

    /// The end of a demo that is not as it says.
    pub(super) fn fail(&self, why: &str) {
        println!("{:6.1}s  FAILED: {why}", self.started.elapsed().as_secs_f64());
    }
}
