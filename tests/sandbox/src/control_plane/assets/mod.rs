//! Where etcd and kube-apiserver come from: the first of four sources that has both.
//!
//! 1. the folder that `KUBEBUILDER_ASSETS` names, as for envtest;
//! 2. the user's cache, `$XDG_CACHE_HOME` (or `~/.cache`) `/mooring/control-plane/<version>-<os>-<arch>/`, shared by all clones;
//! 3. the official envtest release, checked against a pinned SHA-512;
//! 4. a build of the pinned Go modules in `tests/control-plane/go.mod`.
//!
//! The last two fill the cache, one process at a time, and publish with one rename: a folder that is there is whole.

pub(crate) mod cache;
pub(crate) mod go_modules;
pub(crate) mod progress;
mod release;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::release::Release;
use super::guard::executable;

/// The two programs of a control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// The etcd server.
    pub etcd: PathBuf,
    /// The Kubernetes API server.
    pub kube_apiserver: PathBuf,
    /// Which source had them.
    pub source: Source,
}

/// Where a pair of programs came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The folder that `KUBEBUILDER_ASSETS` names.
    Environment,
    /// The user's cache directory.
    Cache,
    /// Downloaded just now.
    Release,
    /// Built just now.
    GoModules,
}

/// Why the programs could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// `KUBEBUILDER_ASSETS` is set, and wrong: falling back in silence would test another version than was asked for.
    #[error(
        "KUBEBUILDER_ASSETS is {folder}, which has no executable `{missing}`: put etcd and kube-apiserver there, or unset it"
    )]
    Environment {
        /// The folder.
        folder: PathBuf,
        /// The program that is not there.
        missing: &'static str,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error(
        "no cache directory: set XDG_CACHE_HOME or HOME, or KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver"
    )]
    NoCache,
    /// The cache cannot be written, locked or read.
    #[error("cannot {action} {path}: {source}")]
    Cache {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What was downloaded is not what was pinned.
    #[error(
        "{url} was refused: its SHA-512 is {found}, and the pinned one is {pinned}. Something on the way changed it (a \
         proxy's error page?); nothing of it was used. Set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver to go on"
    )]
    Checksum {
        /// What was downloaded.
        url: String,
        /// Its digest, in hex.
        found: String,
        /// The digest that was wanted, in hex.
        pinned: String,
    },
    /// A program that was fetched or made does not run here.
    #[error("{program} was made but does not run on this machine (exit code {code}):\n{log}")]
    Unusable {
        /// The program.
        program: PathBuf,
        /// Its exit code.
        code: String,
        /// What it said.
        log: String,
    },
    /// No source had them.
    #[error(
        "etcd and kube-apiserver cannot be had:\n{}\nSet KUBEBUILDER_ASSETS to a folder with both, or install Go 1.26 or newer",
        .passed_over.join("\n")
    )]
    NoSource {
        /// One line for each source: why it was passed over.
        passed_over: Vec<String>,
    },
}

/// What [`cache::Cache::fill`] runs to see that they work.
const PROGRAMS: [(&str, &str); 2] = [("etcd", "--version"), ("kube-apiserver", "--version")];

/// A source either has the programs, or is passed over for a reason that is told in one line.
pub(crate) enum Attempt {
    Made,
    PassedOver(String),
}

/// The sources, as plain values, so that tests can put folders of their own in their place.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The value of `KUBEBUILDER_ASSETS`, if set and not empty.
    pub environment: Option<PathBuf>,
    /// The folder that holds one folder for each version.
    pub cache: PathBuf,
    /// The official release for this machine, if there is one.
    pub release: Option<Release>,
    /// The Go command, if it is installed.
    pub go: Option<PathBuf>,
    /// How often a line tells how long a download or build has been running.
    pub progress_every: Duration,
}

impl Sources {
    /// The sources of this machine and user.
    ///
    /// # Errors
    /// [`AssetsError::NoCache`] without a home.
    pub fn of_this_machine() -> Result<Self, AssetsError> {
        Ok(Self {
            environment: set("KUBEBUILDER_ASSETS"),
            cache: user_cache("control-plane").ok_or(AssetsError::NoCache)?,
            release: Release::for_this_machine(),
            go: super::guard::on_path("go"),
            progress_every: Duration::from_secs(5),
        })
    }

    /// Finds, fetches or builds the programs. Blocks: seconds for a download, minutes for a first build. What it
    /// does is told line by line on standard error.
    ///
    /// # Errors
    /// [`AssetsError`] when no source has them, or when a source has something wrong.
    pub fn find(&self) -> Result<Assets, AssetsError> {
        if let Some(folder) = &self.environment {
            let assets = Assets::in_folder(folder, Source::Environment);
            return match assets.missing() {
                None => Ok(assets),
                Some(missing) => Err(AssetsError::Environment {
                    folder: folder.clone(),
                    missing,
                }),
            };
        }
        if let Some(assets) = self.cached() {
            return Ok(assets);
        }
        let cache = cache::Cache::lock(&self.cache, self.progress_every)?;
        // Whoever held the lock before may have been making just this.
        if let Some(assets) = self.cached() {
            return Ok(assets);
        }
        let mut passed_over = Vec::new();
        let mut pass_over = |line: String| {
            progress::say(&line);
            passed_over.push(line);
        };
        match &self.release {
            None => pass_over(format!("no official envtest release for {}", platform())),
            Some(release) => match cache.fill(release.version, &PROGRAMS, |work| {
                release.download(work, self.progress_every)
            })? {
                Attempt::Made => return Ok(Assets::in_folder(&cache.folder(release.version), Source::Release)),
                Attempt::PassedOver(line) => pass_over(line),
            },
        }
        match &self.go {
            None => pass_over("Go is not installed, so the servers cannot be built from Go modules".to_owned()),
            Some(go) => {
                let version = go_modules::kubernetes_version();
                match cache.fill(version, &PROGRAMS, |work| {
                    go_modules::build(go, work, self.progress_every)
                })? {
                    Attempt::Made => return Ok(Assets::in_folder(&cache.folder(version), Source::GoModules)),
                    Attempt::PassedOver(line) => pass_over(line),
                }
            }
        }
        Err(AssetsError::NoSource { passed_over })
    }

    fn cached(&self) -> Option<Assets> {
        let versions = [
            Some(go_modules::kubernetes_version()),
            self.release.as_ref().map(|release| release.version),
        ];
        let folders = versions
            .into_iter()
            .flatten()
            .map(|version| cache::folder(&self.cache, version));
        folders
            .map(|folder| Assets::in_folder(&folder, Source::Cache))
            .find(|assets| assets.missing().is_none())
    }
}

impl Assets {
    fn in_folder(folder: &Path, source: Source) -> Self {
        Self {
            etcd: folder.join("etcd"),
            kube_apiserver: folder.join("kube-apiserver"),
            source,
        }
    }

    fn missing(&self) -> Option<&'static str> {
        let programs = [(&self.etcd, "etcd"), (&self.kube_apiserver, "kube-apiserver")];
        programs
            .into_iter()
            .find(|(path, _)| !executable(path))
            .map(|(_, name)| name)
    }
}

/// Makes etcd and kube-apiserver available, and nothing else: for a Makefile to call before anything that needs them.
/// Returns at once when they are there already.
///
/// # Errors
/// [`AssetsError`] when no source has them, or when a source has something wrong.
pub async fn prepare() -> Result<Assets, AssetsError> {
    let sources = Sources::of_this_machine()?;
    match tokio::task::spawn_blocking(move || sources.find()).await {
        Ok(found) => found,
        Err(stopped) => Err(AssetsError::NoSource {
            passed_over: vec![format!("the search was stopped: {stopped}")],
        }),
    }
}

/// The path that a variable of the environment holds, if it is set and not empty. The programs are started from folders
/// of their own, where a relative path would lead elsewhere.
fn set(name: &str) -> Option<PathBuf> {
    let path: PathBuf = std::env::var_os(name).filter(|value| !value.is_empty())?.into();
    Some(std::path::absolute(&path).unwrap_or(path))
}

/// The folder of that name in this user's cache, which all clones share; none without a home.
pub(crate) fn user_cache(name: &str) -> Option<PathBuf> {
    let home = || set("HOME").map(|home| home.join(".cache"));
    Some(set("XDG_CACHE_HOME").or_else(home)?.join("mooring").join(name))
}

/// Operating system and architecture in Go's words, as release archives are named.
fn platform() -> String {
    format!("{}-{}", operating_system(), architecture())
}

fn operating_system() -> &'static str {
    if std::env::consts::OS == "macos" {
        "darwin"
    } else {
        std::env::consts::OS
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests;
