//! botocore, AWS's own client, at the other end of a pipe: one line of JSON a call, and one an answer.

use std::{fmt, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use crate::stage::StageError;

/// What AWS's stand-in refused, or botocore did not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `NoSuchEntity`; `Unsent` when nothing was sent.
    pub code: String,
    /// What it said.
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Refused {
    fn unsent(message: impl fmt::Display) -> Self {
        Self {
            code: "Unsent".to_owned(),
            message: message.to_string(),
        }
    }
}

/// The process. It ends when its standard input does, so also when this process is killed.
pub(super) struct Caller {
    pipe: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _process: Child,
}

impl Caller {
    pub(super) fn start(python: &Path, program: &Path, env: Vec<(String, String)>) -> Result<Self, StageError> {
        let mut process = Command::new(python)
            .arg(program)
            .env_clear()
            .envs(env)
            .env("HOME", "/nonexistent")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(StageError::new("botocore's pipes are not there"));
        };
        Ok(Self {
            pipe: Mutex::new((stdin, BufReader::new(stdout))),
            _process: process,
        })
    }

    pub(super) async fn call(&self, call: &Value) -> Result<Value, Refused> {
        let mut pipe = self.pipe.lock().await;
        let (stdin, stdout) = &mut *pipe;
        let line = format!("{call}\n");
        stdin.write_all(line.as_bytes()).await.map_err(Refused::unsent)?;
        let mut answer = String::new();
        stdout.read_line(&mut answer).await.map_err(Refused::unsent)?;
        let answer: Value = serde_json::from_str(&answer).map_err(Refused::unsent)?;
        let text = |key: &str| answer["refused"][key].as_str().unwrap_or_default().to_owned();
        if answer["refused"].is_object() {
            return Err(Refused {
                code: text("code"),
                message: text("message"),
            });
        }
        Ok(answer.get("output").cloned().unwrap_or_else(|| json!({})))
    }
}
