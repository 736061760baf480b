//! The two builds from `tests/argocd-judge`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use crate::control_plane::assets::{
    AssetsError, Attempt,
    cache::failed,
    go_modules::{go_build, go_module_folder, write_module},
    progress::say,
};

/// A file of the module in `tests/argocd-judge`, by its name.
macro_rules! source {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../argocd-judge/", $name)))
    };
}

/// What pins Argo CD.
pub(super) const MODULE: [(&str, &str); 2] = [source!("go.mod"), source!("go.sum")];

/// All that the judge is made from.
pub(super) const SOURCES: [(&str, &str); 6] = [
    source!("go.mod"),
    source!("go.sum"),
    source!("main.go"),
    source!("secret.go"),
    source!("deploy.go"),
    source!("redis.go"),
];

/// What a whole Argo CD has in its folder: the binary, the names by which it knows what to be, and the scripts that its
/// repo server runs, without which it answers "permission denied".
pub(super) const PROGRAMS: [&str; 7] = [
    "argocd",
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-repo-server",
    "argocd-k8s-auth",
    "git-verify-wrapper.sh",
    "gpg-wrapper.sh",
];

/// The folder of the custom resource definitions.
pub(super) const CRDS: &str = "crds";

const ARGOCD: &str = "github.com/argoproj/argo-cd/v3";

/// Builds the judge, and names it `argocd-k8s-auth` too.
pub(super) fn judge(go: &Path, work: &Path, every: Duration) -> Result<Attempt, AssetsError> {
    say("building Argo CD's own code as the judge, about 4 minutes the first time");
    write_module(work, &SOURCES)?;
    let ended = go_build(go, ".", "", "argocd-judge", work, every)?;
    if !ended.success() {
        return Ok(Attempt::PassedOver(format!(
            "`go build` in tests/argocd-judge failed:\n{}",
            ended.log
        )));
    }
    link("argocd-judge", &["argocd-k8s-auth"], &work.join("made"))?;
    Ok(Attempt::Made)
}

/// Builds Argo CD as released, and lays beside it what its image has: links, scripts and custom resource definitions,
/// from the source that Go has fetched.
pub(super) fn programs(go: &Path, work: &Path, every: Duration) -> Result<Attempt, AssetsError> {
    say("building Argo CD, about 8 minutes the first time");
    write_module(work, &MODULE)?;
    let package = format!("{ARGOCD}/cmd");
    let ended = go_build(go, &package, "", "argocd", work, every)?;
    if !ended.success() {
        return Ok(Attempt::PassedOver(format!(
            "`go build {package}` failed:\n{}",
            ended.log
        )));
    }
    let listed = go_module_folder(go, ARGOCD, work, every)?;
    if !listed.success() {
        return Ok(Attempt::PassedOver(format!(
            "`go list -m {ARGOCD}` failed:\n{}",
            listed.log
        )));
    }
    let source = Path::new(listed.last_line());
    let made = work.join("made");
    let (scripts, components): (Vec<&str>, Vec<&str>) = PROGRAMS
        .into_iter()
        .filter(|name| *name != "argocd")
        .partition(|name| script(name));
    link("argocd", &components, &made)?;
    for name in scripts {
        // Go's module cache keeps no executable bit.
        copy(&source.join("hack").join(name), &made.join(name), 0o755)?;
    }
    let (from, to) = (source.join("manifests").join("crds"), made.join(CRDS));
    fs::create_dir(&to).map_err(failed("create", &to))?;
    for entry in fs::read_dir(&from).map_err(failed("read", &from))? {
        let entry = entry.map_err(failed("read", &from))?;
        if entry.file_name().to_string_lossy().ends_with("-crd.yaml") {
            copy(&entry.path(), &to.join(entry.file_name()), 0o644)?;
        }
    }
    Ok(Attempt::Made)
}

fn script(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "sh")
}

/// Relative links, which hold after the folder was renamed.
fn link(program: &str, names: &[&str], made: &Path) -> Result<(), AssetsError> {
    for name in names {
        let path = made.join(name);
        std::os::unix::fs::symlink(program, &path).map_err(failed("create the link", &path))?;
    }
    Ok(())
}

/// Writes the content anew: the original is read-only, and so would a copy be.
fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), AssetsError> {
    let content = fs::read(from).map_err(failed("read", from))?;
    fs::write(to, content).map_err(failed("write", to))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(failed("make executable", to))
}
