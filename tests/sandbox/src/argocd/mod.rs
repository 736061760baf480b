//! Argo CD's own, released code, from the pinned Go module in `tests/argocd-judge`: the judge of what Mooring writes.
//!
//! Two builds, each made once into the user's cache, `$XDG_CACHE_HOME` (or `~/.cache`) `/mooring/argocd-judge/`, in a
//! folder named by a hash of its sources, which all clones share:
//!
//! - [`Judge`], for the tests: our small program, and Argo CD's `argocd-k8s-auth` as a link to it;
//! - [`Programs`], for `make e2e`: all of Argo CD as one binary, with what it wants beside it.

mod build;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::control_plane::{
    assets::{
        AssetsError, Attempt,
        cache::{self, Cache},
        user_cache,
    },
    guard::{executable, on_path},
};

/// Why Argo CD's code could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ArgocdError {
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache directory for Argo CD's code: set XDG_CACHE_HOME or HOME")]
    NoCache,
    /// There is no `go` on `PATH`.
    #[error(
        "Go is not installed, so Argo CD's own code cannot be built: install Go 1.26 or newer (it fetches by itself the \
         version that tests/argocd-judge/go.mod asks for)"
    )]
    NoGo,
    /// Go could not build it.
    #[error("Argo CD's own code cannot be built: {0}")]
    Build(String),
    /// The cache cannot be written, or what was built does not run.
    #[error(transparent)]
    Files(#[from] AssetsError),
    /// The thread that built was stopped.
    #[error("the build of Argo CD's own code was stopped: {0}")]
    Stopped(String),
}

/// The program `argocd-judge`, whose subcommands `tests/argocd-judge/README.md` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    folder: PathBuf,
}

impl Judge {
    /// Builds it, if it is not in the cache: about 4 minutes on two cores the first time, seconds after a change of ours.
    /// Progress is told on standard error.
    ///
    /// # Errors
    /// [`ArgocdError`] without Go, a Go module proxy or a writable cache.
    pub async fn prepare() -> Result<Self, ArgocdError> {
        let folder = prepare(Part::Judge).await?;
        Ok(Self { folder })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.folder.join("argocd-judge")
    }

    /// The folder that is to come first on `PATH`, for `argocd-k8s-auth` to be found.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Argo CD's components under their own names, and its two scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds them, if they are not in the cache: about 8 minutes on two cores the first time, 4 after the judge.
    /// Progress is told on standard error.
    ///
    /// # Errors
    /// [`ArgocdError`] without Go, a Go module proxy or a writable cache.
    pub async fn prepare() -> Result<Self, ArgocdError> {
        let folder = prepare(Part::Programs).await?;
        Ok(Self { folder })
    }

    /// A component, for instance `argocd-repo-server`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder that is to come first on `PATH`, for `argocd-k8s-auth` and the scripts to be found.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the custom resource definitions, YAML, one a file.
    #[must_use]
    pub fn crds(&self) -> PathBuf {
        self.folder.join(build::CRDS)
    }
}

/// What is built, and published in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Judge,
    Programs,
}

impl Part {
    /// The name of its folder: another one as soon as anything that it is made from is another.
    fn version(self) -> String {
        match self {
            Self::Judge => hash(&build::SOURCES),
            Self::Programs => format!("argocd-{}", hash(&build::MODULE)),
        }
    }

    /// What must be in its folder for it to be whole.
    fn executables(self) -> &'static [&'static str] {
        match self {
            Self::Judge => &["argocd-judge", "argocd-k8s-auth"],
            Self::Programs => &build::PROGRAMS,
        }
    }

    /// What is run to see that it works, with its argument.
    fn check(self) -> (&'static str, &'static str) {
        match self {
            Self::Judge => ("argocd-judge", "--help"),
            Self::Programs => ("argocd", "--help"),
        }
    }
}

/// Where a part is made and kept, as plain values, so that tests can put others in their place.
#[derive(Debug, Clone)]
struct Sources {
    cache: PathBuf,
    go: Option<PathBuf>,
    progress_every: Duration,
}

impl Sources {
    fn of_this_machine() -> Result<Self, ArgocdError> {
        Ok(Self {
            cache: user_cache("argocd-judge").ok_or(ArgocdError::NoCache)?,
            go: on_path("go"),
            progress_every: Duration::from_secs(5),
        })
    }

    fn find(&self, part: Part) -> Result<PathBuf, ArgocdError> {
        let version = part.version();
        let folder = cache::folder(&self.cache, &version);
        let whole = || part.executables().iter().all(|name| executable(&folder.join(name)));
        if whole() {
            return Ok(folder);
        }
        let go = self.go.as_ref().ok_or(ArgocdError::NoGo)?;
        let cache = Cache::lock(&self.cache, self.progress_every)?;
        // Whoever held the lock before may have been making just this.
        if whole() {
            return Ok(folder);
        }
        let attempt = cache.fill(&version, &[part.check()], |work| match part {
            Part::Judge => build::judge(go, work, self.progress_every),
            Part::Programs => build::programs(go, work, self.progress_every),
        })?;
        match attempt {
            Attempt::Made => Ok(folder),
            Attempt::PassedOver(reason) => Err(ArgocdError::Build(reason)),
        }
    }
}

async fn prepare(part: Part) -> Result<PathBuf, ArgocdError> {
    let sources = Sources::of_this_machine()?;
    match tokio::task::spawn_blocking(move || sources.find(part)).await {
        Ok(found) => found,
        Err(stopped) => Err(ArgocdError::Stopped(stopped.to_string())),
    }
}

/// The first 16 hexadecimal digits of a SHA-256 over names and contents, each behind its length.
fn hash(files: &[(&str, &str)]) -> String {
    let mut hash = Sha256::new();
    for text in files.iter().flat_map(|(name, content)| [name, content]) {
        hash.update(text.len().to_be_bytes());
        hash.update(text.as_bytes());
    }
    let digits: Vec<String> = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digits.concat()
}

#[cfg(test)]
mod tests;
