//! Logs: one line an event on standard error, for machines or for people.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, the event's fields, and the `spans` around.
    Json,
    /// Text, in colour on a terminal.
    Text,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directives cannot be read.
    #[error(
        "the log level {directives:?} cannot be read ({reason}): write a level, as in \"info\", or directives, as in \"info,mooring=debug\""
    )]
    Directives {
        /// What was given.
        directives: String,
        /// Where it is wrong.
        reason: String,
    },
    /// Logging was started before.
    #[error("logging was started twice")]
    Started,
}

/// Starts logging for the whole process. `directives` is a level, or a list of `target=level`, in the language of
/// `tracing_subscriber::EnvFilter`; the environment is not read.
///
/// # Errors
/// When the directives cannot be read, or logging runs already.
pub fn start(format: Format, directives: &str) -> Result<(), LogError> {
    subscriber(format, directives, io::stderr().is_terminal(), io::stderr)?
        .try_init()
        .map_err(|_| LogError::Started)
}

fn subscriber<W>(
    format: Format,
    directives: &str,
    colour: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{directives}"))
        .map_err(|error| LogError::Directives {
            directives: directives.to_owned(),
            reason: error.to_string(),
        })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Json => Box::new(layer.json().flatten_event(true).with_current_span(false)),
        Format::Text => Box::new(layer.with_ansi(colour)),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter.and(without_bodies()))))
}

/// Tells at every call by which keys a profile is used, with the ID of the access key, at the level `info` (aws-config,
/// `profile/credentials.rs`). Who names this target brings it back.
const QUIET: &str = "aws_config::profile::credentials=warn";

/// What carries requests logs their whole bodies at the level `trace`, tokens among them (aws-smithy-runtime,
/// `client/orchestrator.rs`). No directive brings that out.
fn without_bodies() -> Targets {
    const CARRIERS: [&str; 8] = [
        "aws_",
        "hyper",
        "h2",
        "rustls",
        "tower",
        "kube",
        "reqwest",
        "tungstenite",
    ];
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(CARRIERS.map(|carrier| (carrier, LevelFilter::DEBUG)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::{debug, info, info_span, subscriber::with_default, warn};

    use super::*;

    #[test]
    fn no_directive_brings_out_the_bodies_of_requests() {
        let lines = Lines::default();
        let writer = lines.clone();
        let made = subscriber(Format::Json, "trace,aws_smithy_runtime=trace", false, move || {
            writer.clone()
        });
        let subscriber = made.unwrap();
        with_default(subscriber, || {
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "WebIdentityToken=secret");
            tracing::trace!(target: "hyper::proto", "secret");
            tracing::debug!(target: "aws_smithy_runtime::client", "a try");
            tracing::trace!(target: "mooring::aws", "ours");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            !text.contains("secret") && text.contains("a try") && text.contains("ours"),
            "{text}"
        );
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, directives: &str, events: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        with_default(
            subscriber(format, directives, false, move || writer.clone()).unwrap(),
            events,
        );
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_json_line_parses_and_holds_the_fields_and_the_spans() {
        let lines = logged(Format::Json, "info", || {
            let _pass = info_span!("pass", object = "ManagedCluster prod-eu").entered();
            info!(steps = 3, "a message with \"quotes\"\nand a second line");
            warn!("another");
        });
        let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0]["message"], "a message with \"quotes\"\nand a second line");
        assert_eq!(events[0]["level"], "INFO");
        assert_eq!(events[0]["steps"], 3);
        assert_eq!(events[0]["spans"][0]["object"], "ManagedCluster prod-eu");
        assert!(events[0]["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn text_lines_have_no_colour_off_a_terminal() {
        let lines = logged(Format::Text, "info", || info!(steps = 3, "planned"));
        assert!(
            lines[0].contains("INFO") && lines[0].ends_with("planned steps=3"),
            "{lines:?}"
        );
        assert!(!lines[0].contains('\u{1b}'));
    }

    #[test]
    fn directives_choose_by_target() {
        let lines = logged(Format::Text, "warn,mooring=debug", || {
            debug!("ours");
            info!(target: "hyper", "theirs");
        });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("ours"));
    }

    #[test]
    fn keys_of_profiles_are_told_only_where_they_are_asked_for() {
        let told = |directives: &str| {
            let lines = logged(Format::Text, directives, || {
                info!(target: "aws_config::profile::credentials", "access_key_id: AKIA");
                info!(target: "aws_config::meta", "another");
            });
            lines.iter().filter(|line| line.contains("AKIA")).count()
        };
        for directives in ["info", "debug", "info,aws_config=debug", "trace"] {
            assert_eq!(told(directives), 0, "{directives}");
        }
        assert_eq!(told("info,aws_config::profile::credentials=info"), 1);
    }

    #[test]
    fn directives_that_cannot_be_read_are_refused_with_an_example() {
        let error = start(Format::Text, "mooring=loud").unwrap_err().to_string();
        assert!(
            error.contains("\"mooring=loud\"") && error.contains("\"info,mooring=debug\""),
            "{error}"
        );
    }
}
