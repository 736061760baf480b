//! The build from Go modules: for machines that reach a Go module proxy and not GitHub.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use super::{
    AssetsError, Attempt,
    cache::failed,
    progress::{Ended, run, say},
};

const GO_MOD: &str = include_str!("../../../../control-plane/go.mod");
const GO_SUM: &str = include_str!("../../../../control-plane/go.sum");

const KUBE_APISERVER: &str = "k8s.io/kubernetes/cmd/kube-apiserver";
const ETCD: &str = "go.etcd.io/etcd/server/v3";

/// The user's own flags and workspace are for the user's own modules; the toolchain is the one that go.mod asks for.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("CGO_ENABLED", "0"),
    ("GOFLAGS", ""),
    ("GOWORK", "off"),
    ("GOTOOLCHAIN", "auto"),
];

/// The version of Kubernetes that `tests/control-plane/go.mod` pins, for instance `v1.37.2`.
pub(super) fn kubernetes_version() -> &'static str {
    let pinned = GO_MOD
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
    pinned
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or("unpinned")
}

/// Builds both programs into `work/made`. About 4 minutes on two cores the first time, when nothing is in Go's cache.
pub(super) fn build(go: &Path, work: &Path, every: Duration) -> Result<Attempt, AssetsError> {
    let version = kubernetes_version();
    say(&format!(
        "building Kubernetes {version} and etcd from Go modules, about 4 minutes the first time"
    ));
    write_module(work, &[("go.mod", GO_MOD), ("go.sum", GO_SUM)])?;
    for (program, package, flags) in [
        ("kube-apiserver", KUBE_APISERVER, version_flags(version)),
        ("etcd", ETCD, String::new()),
    ] {
        let ended = go_build(go, package, &flags, program, work, every)?;
        if !ended.success() {
            return Ok(Attempt::PassedOver(format!(
                "`go build {package}` failed:\n{}",
                ended.log
            )));
        }
    }
    Ok(Attempt::Made)
}

/// Writes the files of a module, by their names.
pub(crate) fn write_module(work: &Path, files: &[(&str, &str)]) -> Result<(), AssetsError> {
    for (name, content) in files {
        let path = work.join(name);
        fs::write(&path, content).map_err(failed("write", &path))?;
    }
    Ok(())
}

/// Builds a package as the module in `work` pins it, into `work/made/<program>`. `link_flags` begin with a space.
pub(crate) fn go_build(
    go: &Path,
    package: &str,
    link_flags: &str,
    program: &str,
    work: &Path,
    every: Duration,
) -> Result<Ended, AssetsError> {
    let mut args: Vec<OsString> = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        .map(Into::into)
        .into();
    args.push(format!("-ldflags=-s -w{link_flags}").into());
    args.extend(["-o".into(), work.join("made").join(program).into(), package.into()]);
    run(&format!("building {program}"), every, go, &args, work, &ENVIRONMENT)
}

/// Where Go keeps the source of a module that the one in `work` pins, as the last line of the log.
pub(crate) fn go_module_folder(go: &Path, module: &str, work: &Path, every: Duration) -> Result<Ended, AssetsError> {
    let args = ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module].map(OsString::from);
    run("looking for the module's source", every, go, &args, work, &ENVIRONMENT)
}

/// Without them the server calls itself v0.0.0, and clients that compare versions complain.
fn version_flags(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let variable = "k8s.io/component-base/version";
    format!(" -X {variable}.gitVersion={version} -X {variable}.gitMajor={major} -X {variable}.gitMinor={minor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_go_mod_and_every_staging_module_follows_it() {
        let version = kubernetes_version();
        let minor = version.strip_prefix("v1.").expect(version);
        let replaced: Vec<&str> = GO_MOD.lines().filter(|line| line.contains("=> k8s.io/")).collect();
        assert!(replaced.len() >= 30, "{replaced:?}");
        assert_eq!(
            replaced.iter().find(|line| !line.ends_with(&format!(" v0.{minor}"))),
            None
        );
    }

    #[test]
    fn the_server_is_told_its_version() {
        let flags = version_flags("v1.37.2");
        assert!(
            flags.contains("gitVersion=v1.37.2 ") && flags.contains("gitMajor=1 ") && flags.ends_with("gitMinor=37")
        );
    }
}
