use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::control_plane::guard::new_folder;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(new_folder(&std::env::temp_dir(), "mooring-argocd-").unwrap())
    }

    /// A `go` that runs this script.
    fn go(&self, script: &str) -> PathBuf {
        let path = self.0.join("go");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A `go` that makes what it is told to make, says where Argo CD's source is, and keeps a list of its calls.
    fn working_go(&self) -> PathBuf {
        let source = self.0.join("source");
        for file in [
            "hack/git-verify-wrapper.sh",
            "hack/gpg-wrapper.sh",
            "manifests/crds/application-crd.yaml",
            "manifests/crds/kustomization.yaml",
        ] {
            let path = source.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, file).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        }
        self.go(&format!(
            "echo \"$GOTOOLCHAIN $CGO_ENABLED|$*\" >>{calls}\n\
             if [ \"$1\" = list ]; then echo go: downloading; echo {source}; exit 0; fi\n\
             while [ \"$1\" != -o ]; do shift; done\n\
             printf '#!/bin/sh\\necho built\\n' >\"$2\"; chmod +x \"$2\"",
            calls = self.0.join("calls").display(),
            source = source.display(),
        ))
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.0.join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    fn sources(&self, go: Option<PathBuf>) -> Sources {
        Sources {
            cache: self.0.join("cache"),
            go,
            progress_every: Duration::from_mins(1),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_file_of_the_judge_is_among_its_sources() {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../argocd-judge");
    let mut written: Vec<String> = fs::read_dir(module)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("_test.go"))
        .filter(|name| [".go", ".mod", ".sum"].iter().any(|end| name.ends_with(end)))
        .collect();
    written.sort();
    let mut built: Vec<&str> = build::SOURCES.iter().map(|(name, _)| *name).collect();
    built.sort_unstable();
    assert_eq!(written, built);
}

#[test]
fn another_source_is_another_folder() {
    assert_ne!(hash(&[("a", "b")]), hash(&[("a", "c")]));
    assert_ne!(hash(&[("a", "b"), ("c", "d")]), hash(&[("a", "bc"), ("", "d")]));
    assert_eq!(Part::Judge.version().len(), 16);
    assert_ne!(Part::Judge.version(), Part::Programs.version());
}

#[test]
fn the_judge_is_built_once_and_is_the_plugin_too() {
    let folder = Folder::new();
    let sources = folder.sources(Some(folder.working_go()));
    let made = sources.find(Part::Judge).unwrap();
    assert_eq!(sources.find(Part::Judge).unwrap(), made);
    let calls = folder.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(
        calls[0].starts_with("auto 0|build -mod=readonly -trimpath "),
        "{calls:?}"
    );
    assert!(calls[0].ends_with(" ."), "{calls:?}");
    assert_eq!(
        fs::read_link(made.join("argocd-k8s-auth")).unwrap(),
        Path::new("argocd-judge")
    );
}

#[test]
fn argocd_lies_beside_its_links_scripts_and_definitions() {
    let folder = Folder::new();
    let sources = folder.sources(Some(folder.working_go()));
    let made = sources.find(Part::Programs).unwrap();
    assert!(
        build::PROGRAMS.iter().all(|name| executable(&made.join(name))),
        "{made:?}"
    );
    let definitions: Vec<_> = fs::read_dir(made.join(build::CRDS))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(definitions, ["application-crd.yaml"]);
    // A lost link is a folder that is not whole: it is made again.
    fs::remove_file(made.join("argocd-repo-server")).unwrap();
    assert!(executable(
        &sources.find(Part::Programs).unwrap().join("argocd-repo-server")
    ));
    assert_eq!(folder.calls().len(), 4);
}

#[test]
fn what_is_missing_is_told() {
    let folder = Folder::new();
    let error = folder.sources(None).find(Part::Judge).unwrap_err().to_string();
    assert!(error.contains("Go is not installed"), "{error}");
    let go = folder.go("echo 'dial tcp: lookup proxy.golang.org: no such host' >&2; exit 1");
    let error = folder.sources(Some(go)).find(Part::Judge).unwrap_err().to_string();
    assert!(
        error.contains("`go build` in tests/argocd-judge failed:\n  dial tcp"),
        "{error}"
    );
}
