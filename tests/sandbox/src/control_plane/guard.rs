//! The pipe guard: a process that never outlives the one that started it.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Runs the program in the background, and kills it and removes its folder when standard input closes. That happens
/// when the guard is dropped and when the starting process ends in any way, `kill -9` included, because the kernel
/// closes the other end of the pipe. A parent-death signal does not do: it fires when the *thread* ends that started
/// the process. The watcher looks for `exited` first, so that it never kills a stranger that was given the same id.
const SCRIPT: &str = r#"
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- >>"$folder/log" 2>&1 &
program=$!
echo $program >"$folder/pid"
{ read -r _ <&3; [ -e "$folder/exited" ] || kill -KILL "$program"; } >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$program" 2>/dev/null
echo $? >"$folder/exited.new" && mv "$folder/exited.new" "$folder/exited"
wait "$watcher"
rm -rf "$folder"
"#;

/// How many lines of a log an error shows.
const TAIL: usize = 25;

/// The environment that a guarded program gets.
pub(crate) enum Environment<'a> {
    /// Nothing but `PATH` and these: for servers, which must see neither a proxy nor an `ETCD_*` variable.
    Only(&'a [(&'a str, &'a str)]),
    /// The environment of this process, and these over it: for tools that need the user's own settings.
    Inherited(&'a [(&'a str, &'a str)]),
}

/// A running program, its folder, and the pipe that keeps both alive.
#[derive(Debug)]
pub(crate) struct Guarded {
    shell: Child,
    folder: PathBuf,
}

impl Guarded {
    /// Starts `program` in a process group of its own (Ctrl-C in a terminal reaches only the parent, which then
    /// closes the pipe). `folder` is removed when the program is gone; `folder/log` takes its output.
    pub(crate) fn spawn(
        program: &Path,
        args: impl IntoIterator<Item = impl Into<OsString>>,
        folder: &Path,
        working_directory: &Path,
        environment: &Environment<'_>,
    ) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(SCRIPT)
            .arg("mooring-guard")
            .arg(folder)
            .arg(program);
        command
            .args(args.into_iter().map(Into::into))
            .current_dir(working_directory)
            .process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match environment {
            Environment::Only(pairs) => {
                command
                    .env_clear()
                    .env("PATH", std::env::var_os("PATH").unwrap_or_default());
                command.envs(pairs.iter().copied());
            }
            Environment::Inherited(pairs) => {
                command.envs(pairs.iter().copied());
            }
        }
        Ok(Self {
            shell: command.spawn()?,
            folder: folder.to_owned(),
        })
    }

    /// The exit code, as text, once the program has ended by itself.
    pub(crate) fn exited(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("exited"))
            .ok()
            .map(|code| code.trim().to_owned())
    }

    /// The last lines of the program's own output, for an error message.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        tail(&String::from_utf8_lossy(&log), TAIL)
    }

    /// The program's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell only kills, reaps and removes: milliseconds. The limit is for a disk that hangs.
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let shown = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
    if shown.is_empty() {
        "  (nothing)".to_owned()
    } else {
        format!("  {}", shown.join("\n  "))
    }
}

/// A new folder that only this user may enter. Short, because the path of a Unix socket has at most 104 to 108 bytes.
pub(crate) fn new_folder(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let parent = std::path::absolute(parent)?;
    loop {
        let name: String = (0..8).map(|_| fastrand::alphanumeric().to_ascii_lowercase()).collect();
        let path = parent.join(format!("{prefix}{name}"));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a file that only this user may read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)
}

/// The program's path if the name stands for an executable file on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(OsStr::new(name)))
        .find(|p| executable(p))
}

/// True for a regular file that somebody may execute.
pub(crate) fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Guarded {
        let folder = new_folder(&std::env::temp_dir(), "mooring-test-").unwrap();
        let args = ["-c", script];
        Guarded::spawn(
            Path::new("/bin/sh"),
            args,
            &folder,
            &folder,
            &Environment::Only(&[("A", "b")]),
        )
        .unwrap()
    }

    fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
        for _ in 0..500 {
            if let Some(found) = look() {
                return found;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing after 5 s");
    }

    #[test]
    fn tells_the_exit_code_and_keeps_the_log_until_dropped() {
        let guarded = start("echo \"A is $A, HOME is $HOME\"; echo oops >&2; exit 7");
        assert_eq!(wait_for(|| guarded.exited()), "7");
        assert_eq!(guarded.log_tail(), "  A is b, HOME is \n  oops");
        let folder = guarded.folder().to_owned();
        drop(guarded);
        assert!(!folder.exists());
    }

    #[test]
    fn dropping_kills_the_program_and_removes_its_folder() {
        let guarded = start("echo $$; exec sleep 300");
        let pid: u32 = wait_for(|| guarded.log_tail().trim().parse().ok());
        let folder = guarded.folder().to_owned();
        drop(guarded);
        assert!(!folder.exists());
        assert!(
            !Command::new("kill")
                .args(["-0", &pid.to_string()])
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("1\n2\n3\n", 2), "  2\n  3");
        assert_eq!(tail("", 2), "  (nothing)");
    }
}
