//! The network namespace: loopback and nothing else, made by util-linux's `unshare` without any right of root's.
//!
//! Argo CD's application controller listens on every interface for its metrics and cannot be told otherwise, and its
//! ports are fixed ones. In a namespace of its own neither reaches anybody.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{control_plane::guard::executable, stage::StageError};

/// Where `ip` is on systems that leave these folders out of an ordinary user's `PATH`.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];

/// With a user namespace, for everybody; without one, for root where user namespaces are off.
const WAYS: [&str; 2] = ["-rn", "-n"];

/// How a program is started in a network namespace of its own, tried on this machine.
#[derive(Debug)]
pub(super) struct Namespace {
    unshare: PathBuf,
    ip: PathBuf,
    way: &'static str,
}

impl Namespace {
    /// Finds the way that works here.
    ///
    /// # Errors
    /// With what to do, when there is none.
    pub(super) fn find() -> Result<Self, StageError> {
        if !cfg!(target_os = "linux") {
            return Err(StageError::new(
                "a network namespace is a thing of Linux, and Argo CD is not to listen on the interfaces of this \
                 machine: run this in a Linux virtual machine or a privileged container",
            ));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(SYSTEM.map(PathBuf::from));
        Self::among(&folders.collect::<Vec<_>>())
    }

    fn among(folders: &[PathBuf]) -> Result<Self, StageError> {
        let tool = |name: &str, package: &str| {
            let mut paths = folders.iter().map(|folder| folder.join(name));
            paths.find(|path| executable(path)).ok_or_else(|| {
                StageError::new(format!(
                    "`{name}` is not installed, and without it no network namespace can be made, in which Argo CD is to \
                     run: install the package {package}"
                ))
            })
        };
        let (unshare, ip) = (tool("unshare", "util-linux")?, tool("ip", "iproute2 (or iproute)")?);
        let mut refusals = Vec::new();
        for way in WAYS {
            let tried = Command::new(&unshare)
                .arg(way)
                .arg(&ip)
                .args(["link", "set", "lo", "up"])
                .output()?;
            if tried.status.success() {
                return Ok(Self { unshare, ip, way });
            }
            let said = String::from_utf8_lossy(&tried.stderr).trim().replace('\n', "; ");
            refusals.push(format!("`unshare {way} ip link set lo up` says: {said}"));
        }
        Err(StageError::new(format!(
            "no network namespace can be made here, in which Argo CD is to run, because its controller listens on every \
             interface.\n  {}\nOne of these helps: run it as root; on Ubuntu `sudo sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0`; where user namespaces are off, `sudo sysctl \
             user.max_user_namespaces=10000` (on Debian before 11 also kernel.unprivileged_userns_clone=1); in a \
             container, start that one with --privileged",
            refusals.join("\n  ")
        )))
    }

    /// Becomes `program` in the namespace, loopback up: the process ID, the terminal and the exit code stay the same.
    /// Comes back only if that fails.
    pub(super) fn become_program(&self, program: &Path, arguments: impl IntoIterator<Item = OsString>) -> StageError {
        let script = r#"ip=$1; shift; "$ip" link set lo up && exec "$@""#;
        let failed = Command::new(&self.unshare)
            .args([self.way, "/bin/sh", "-c", script, "mooring-e2e"])
            .args([self.ip.as_os_str(), program.as_os_str()])
            .args(arguments)
            .exec();
        StageError::new(format!("{}: {failed}", self.unshare.display()))
    }
}

/// The network namespace that this process is in, as the kernel names it: `net:[4026531840]`.
///
/// # Errors
/// Without a `/proc`.
pub(super) fn own() -> Result<OsString, StageError> {
    let path = Path::new("/proc/self/ns/net");
    let name = std::fs::read_link(path).map_err(|error| StageError::new(format!("{}: {error}", path.display())))?;
    Ok(name.into_os_string())
}

/// Refuses to go on in the namespace that was to be left.
///
/// # Errors
/// When this process is still in it.
pub(super) fn have_left(outside: &OsStr) -> Result<(), StageError> {
    if own()? == outside {
        return Err(StageError::new(
            "this is still the machine's own network, on which Argo CD is not to listen: start it as `make e2e`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::control_plane::guard::new_folder;

    /// A folder with scripts for programs, which goes with the value.
    struct Tools(PathBuf);

    impl Tools {
        fn of(scripts: &[(&str, &str)]) -> Self {
            let folder = new_folder(&std::env::temp_dir(), "mooring-test-").unwrap();
            for (name, script) in scripts {
                let path = folder.join(name);
                std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            Self(folder)
        }

        fn found(&self) -> Result<Namespace, String> {
            Namespace::among(std::slice::from_ref(&self.0)).map_err(|error| error.to_string())
        }
    }

    impl Drop for Tools {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let error = Tools::of(&[("ip", "exit 0")]).found().unwrap_err();
        assert!(error.contains("`unshare`") && error.contains("util-linux"), "{error}");
        let error = Tools::of(&[("unshare", "exit 0")]).found().unwrap_err();
        assert!(error.contains("`ip`") && error.contains("iproute2"), "{error}");
    }

    #[test]
    fn a_kernel_that_forbids_it_is_quoted_and_the_way_out_is_told() {
        let refuses = "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1";
        let error = Tools::of(&[("unshare", refuses), ("ip", "exit 0")])
            .found()
            .unwrap_err();
        for told in [
            "`unshare -rn ip link set lo up` says: unshare: unshare failed: Operation not permitted",
            "`unshare -n ip",
            "as root",
            "apparmor_restrict_unprivileged_userns=0",
        ] {
            assert!(error.contains(told), "{told} is not in: {error}");
        }
    }

    #[test]
    fn root_without_user_namespaces_needs_none() {
        let only_root = r#"[ "$1" = -n ] || { echo 'write failed /proc/self/uid_map' >&2; exit 1; }"#;
        let tools = Tools::of(&[("unshare", only_root), ("ip", "exit 0")]);
        assert_eq!(tools.found().unwrap().way, "-n");
        let tools = Tools::of(&[("unshare", "exit 0"), ("ip", "exit 0")]);
        assert_eq!(tools.found().unwrap().way, "-rn");
    }

    #[test]
    fn the_namespace_that_was_to_be_left_is_known_again() {
        assert!(have_left(&own().unwrap()).is_err());
        assert!(have_left(OsStr::new("net:[1]")).is_ok());
    }
}
