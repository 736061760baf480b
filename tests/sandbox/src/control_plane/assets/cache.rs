//! The user's cache of programs that are fetched or built, one folder for each version and platform.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    AssetsError, Attempt, platform,
    progress::{self, clock, say},
};
use crate::control_plane::guard::new_folder;

/// Unfinished work carries this at the front of its name, so that nobody takes it for a version.
const PARTIAL: &str = ".partial-";

/// The cache, locked against every other process of this user for as long as the value lives.
pub(crate) struct Cache {
    root: PathBuf,
    every: Duration,
    _lock: File,
}

/// The folder of a version on this platform.
pub(crate) fn folder(root: &Path, version: &str) -> PathBuf {
    root.join(format!("{version}-{}", platform()))
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AssetsError {
    let path = path.to_owned();
    move |source| AssetsError::Cache { action, path, source }
}

impl Cache {
    /// Waits for the lock, telling so. The kernel lets go of a lock when its holder dies, in whatever way.
    pub(crate) fn lock(root: &Path, every: Duration) -> Result<Self, AssetsError> {
        fs::create_dir_all(root).map_err(failed("create", root))?;
        let path = root.join(".lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        let start = Instant::now();
        let mut told = start;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
            }
            if told.elapsed() >= every {
                told = Instant::now();
                say(&format!(
                    "waiting for whoever is making the programs already, {} so far",
                    clock(start.elapsed())
                ));
            }
            thread::sleep(Duration::from_millis(100));
        }
        let cache = Self {
            root: root.to_owned(),
            every,
            _lock: lock,
        };
        cache.sweep();
        Ok(cache)
    }

    pub(crate) fn folder(&self, version: &str) -> PathBuf {
        folder(&self.root, version)
    }

    /// Lets `produce` put the programs into the folder `made` of a work folder, sees that each runs with the one
    /// argument beside its name, and publishes the folder in one step.
    pub(crate) fn fill(
        &self,
        version: &str,
        programs: &[(&str, &str)],
        produce: impl FnOnce(&Path) -> Result<Attempt, AssetsError>,
    ) -> Result<Attempt, AssetsError> {
        let work = new_folder(&self.root, PARTIAL).map_err(failed("create a folder in", &self.root))?;
        let made = work.join("made");
        fs::create_dir(&made).map_err(failed("create", &made))?;
        let attempt = produce(&work).and_then(|attempt| match attempt {
            Attempt::PassedOver(line) => Ok(Attempt::PassedOver(line)),
            Attempt::Made => self.publish(version, programs, &work, &made),
        });
        // What cannot be removed now is swept by the next one who holds the lock.
        let _ = fs::remove_dir_all(&work);
        attempt
    }

    fn publish(
        &self,
        version: &str,
        programs: &[(&str, &str)],
        work: &Path,
        made: &Path,
    ) -> Result<Attempt, AssetsError> {
        for (name, argument) in programs {
            let program = made.join(name);
            let ended = progress::run("checking", self.every, &program, &[argument.into()], work, &[])?;
            if !ended.success() {
                return Err(AssetsError::Unusable {
                    program,
                    code: ended.code,
                    log: ended.log,
                });
            }
        }
        let folder = self.folder(version);
        if folder.exists() {
            // It lacks a program, or `cached` had found it: nobody can be using it.
            fs::remove_dir_all(&folder).map_err(failed("remove the incomplete", &folder))?;
        }
        fs::rename(made, &folder).map_err(failed("publish", &folder))?;
        say(&format!("ready in {}", folder.display()));
        Ok(Attempt::Made)
    }

    fn sweep(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}
