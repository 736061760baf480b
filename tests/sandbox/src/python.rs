//! Python packages that tests need, each set in a virtual environment of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::stage::StageError;

/// A Python with the packages that a file pins, made on first use in the user's cache directory and shared by all
/// clones. The environment is named after the file's first line; it is made anew when the file changes.
///
/// # Errors
/// When there is no Python with its `venv` module, its package index cannot be reached the first time, or the cache
/// cannot be written.
pub async fn environment(name: &str, requirements: &Path) -> Result<PathBuf, StageError> {
    let pins = fs::read_to_string(requirements)?;
    let version = pins.lines().next().unwrap_or_default().replace("==", "-");
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cache = cache.ok_or_else(|| StageError::new("set HOME: Python packages go to its .cache/mooring"))?;
    let cache = cache.join("mooring").join(name);
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let venv = cache.join(version);
    let pinned = venv.join("requirements.txt");
    let python = venv.join("bin/python");
    if fs::read_to_string(&pinned).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    let _ = fs::remove_dir_all(&venv);
    let mut made = Command::new("python3");
    made.args(["-m", "venv"]).arg(&venv);
    run(&mut made, "python3 with its venv module is needed").await?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    install.arg("--requirement").arg(requirements);
    run(&mut install, "PyPI must be reached once").await?;
    fs::write(pinned, pins)?;
    Ok(python)
}

async fn run(command: &mut Command, needs: &str) -> Result<(), StageError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(StageError::new(format!("{needs}: {}", said.trim())))
}
