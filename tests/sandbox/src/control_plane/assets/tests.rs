use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::Command,
    thread,
    time::Instant,
};

use sha2::{Digest, Sha512};

use super::*;
use crate::control_plane::guard::{new_folder, on_path};

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(new_folder(&std::env::temp_dir(), "mooring-assets-").unwrap())
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A program that says its own name, or fails.
    fn program(&self, path: &str, script: &str) -> PathBuf {
        let path = self.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn pair(&self, folder: &str) -> PathBuf {
        self.program(&format!("{folder}/etcd"), "echo etcd");
        self.program(&format!("{folder}/kube-apiserver"), "echo kube-apiserver");
        self.join(folder)
    }

    /// A `go` that makes what it is told to make, and counts how often it was called.
    fn go(&self) -> PathBuf {
        let calls = self.join("go-calls");
        self.program(
            "bin/go",
            &format!(
                "echo \"$GOTOOLCHAIN $GOFLAGS|$*\" >>{calls}\n\
                 while [ \"$1\" != -o ]; do shift; done\n\
                 printf '#!/bin/sh\\necho built\\n' >\"$2\"; chmod +x \"$2\"",
                calls = calls.display()
            ),
        )
    }

    fn go_calls(&self) -> Vec<String> {
        fs::read_to_string(self.join("go-calls"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn sources(&self) -> Sources {
        let cache = self.join("cache");
        Sources {
            environment: None,
            cache,
            release: None,
            go: None,
            progress_every: Duration::from_mins(1),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An archive as controller-tools packs it, and its digest.
fn archive(folder: &Folder) -> (Vec<u8>, String) {
    folder.pair("pack/controller-tools/envtest");
    let path = folder.join("release.tar.gz");
    let mut tar = Command::new(on_path("tar").unwrap());
    tar.arg("-czf")
        .arg(&path)
        .arg("-C")
        .arg(folder.join("pack"))
        .arg("controller-tools");
    assert!(tar.status().unwrap().success());
    let content = fs::read(&path).unwrap();
    let digest = Sha512::digest(&content)
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    (content, digest)
}

/// Serves the bytes to whoever asks, once.
fn serve(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/envtest.tar.gz", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&content).unwrap();
    });
    url
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_environment_comes_before_a_filled_cache() {
    let folder = Folder::new();
    let built = go_modules::kubernetes_version();
    folder.pair(&format!("cache/{built}-{}", platform()));
    let own = folder.pair("own");
    let found = Sources {
        environment: Some(own.clone()),
        ..folder.sources()
    }
    .find()
    .unwrap();
    assert_eq!((found.source, found.etcd), (Source::Environment, own.join("etcd")));
}

#[test]
fn an_environment_that_lacks_a_program_is_an_error_and_not_passed_over() {
    let folder = Folder::new();
    folder.program("own/etcd", "echo etcd");
    let sources = Sources {
        environment: Some(folder.join("own")),
        go: Some(folder.go()),
        ..folder.sources()
    };
    let error = sources.find().unwrap_err().to_string();
    assert!(
        error.contains("has no executable `kube-apiserver`") && error.contains("unset it"),
        "{error}"
    );
    assert_eq!(folder.go_calls(), Vec::<String>::new());
}

#[test]
fn the_cache_comes_before_release_and_build() {
    let folder = Folder::new();
    let built = go_modules::kubernetes_version();
    let cached = folder.pair(&format!("cache/{built}-{}", platform()));
    let release = Release {
        version: "v1.0.0",
        url: "http://127.0.0.1:1/".to_owned(),
        sha512: String::new(),
    };
    let sources = Sources {
        release: Some(release),
        go: Some(folder.go()),
        ..folder.sources()
    };
    let found = sources.find().unwrap();
    assert_eq!(
        (found.source, found.kube_apiserver),
        (Source::Cache, cached.join("kube-apiserver"))
    );
    assert_eq!(folder.go_calls(), Vec::<String>::new());
}

#[test]
fn a_release_with_the_pinned_digest_fills_the_cache() {
    let folder = Folder::new();
    let (content, sha512) = archive(&folder);
    let release = Release {
        version: "v1.0.0",
        url: serve(content),
        sha512,
    };
    let sources = Sources {
        release: Some(release),
        go: Some(folder.go()),
        ..folder.sources()
    };
    let found = sources.find().unwrap();
    assert_eq!(found.source, Source::Release);
    let said = Command::new(&found.kube_apiserver).output().unwrap().stdout;
    assert_eq!(String::from_utf8(said).unwrap(), "kube-apiserver\n");
    // The server answered once: the second time is from the cache.
    assert_eq!(sources.find().unwrap().source, Source::Cache);
    assert_eq!(
        names(&folder.join("cache")),
        [".lock".to_owned(), format!("v1.0.0-{}", platform())]
    );
    assert_eq!(folder.go_calls(), Vec::<String>::new());
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_of_it_stays() {
    let folder = Folder::new();
    let (mut content, sha512) = archive(&folder);
    content.push(0);
    let release = Release {
        version: "v1.0.0",
        url: serve(content),
        sha512: sha512.clone(),
    };
    let sources = Sources {
        release: Some(release),
        go: Some(folder.go()),
        ..folder.sources()
    };
    let error = sources.find().unwrap_err();
    assert!(matches!(&error, AssetsError::Checksum { pinned, found, .. } if *pinned == sha512 && found.len() == 128));
    assert_eq!(names(&folder.join("cache")), [".lock"]);
    assert_eq!(folder.go_calls(), Vec::<String>::new());
}

#[test]
fn an_unreachable_release_is_passed_over_within_seconds_and_then_built() {
    let folder = Folder::new();
    // Reserved for documentation: nothing answers, and on most machines nothing even refuses.
    let release = Release {
        version: "v1.0.0",
        url: "https://192.0.2.1/x.tar.gz".to_owned(),
        sha512: String::new(),
    };
    let sources = Sources {
        release: Some(release),
        go: Some(folder.go()),
        ..folder.sources()
    };
    let start = Instant::now();
    let found = sources.find().unwrap();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(found.source, Source::GoModules);
    let calls = folder.go_calls();
    assert_eq!(calls.len(), 2);
    assert!(
        calls
            .iter()
            .all(|call| call.starts_with("auto |build -mod=readonly -trimpath ")),
        "{calls:?}"
    );
    assert_eq!(sources.find().unwrap().source, Source::Cache);
}

#[test]
fn when_nothing_works_every_reason_is_told() {
    let folder = Folder::new();
    let go = folder.program("bin/go", "echo 'no required module provides package' >&2; exit 1");
    let release = Release {
        version: "v1.0.0",
        url: "http://127.0.0.1:1/".to_owned(),
        sha512: String::new(),
    };
    let error = Sources {
        release: Some(release),
        go: Some(go),
        ..folder.sources()
    }
    .find()
    .unwrap_err()
    .to_string();
    assert!(error.contains("the envtest release is passed over: curl:"), "{error}");
    assert!(
        error.contains("failed:\n  no required module provides package"),
        "{error}"
    );
    assert!(error.contains("Set KUBEBUILDER_ASSETS"), "{error}");
    let error = folder.sources().find().unwrap_err().to_string();
    assert!(error.contains("Go is not installed"), "{error}");
}

#[test]
fn a_program_that_does_not_run_is_not_published() {
    let folder = Folder::new();
    let go = folder.program(
        "bin/go",
        "while [ \"$1\" != -o ]; do shift; done; printf 'exit 3' >\"$2\"; chmod +x \"$2\"",
    );
    let error = Sources {
        go: Some(go),
        ..folder.sources()
    }
    .find()
    .unwrap_err();
    assert!(matches!(error, AssetsError::Unusable { .. }), "{error}");
    assert_eq!(names(&folder.join("cache")), [".lock"]);
}

#[test]
fn two_at_once_build_once_and_leftovers_are_swept() {
    let folder = Folder::new();
    let left = folder.program("cache/.partial-old/made/etcd", "echo half");
    let sources = Sources {
        go: Some(folder.go()),
        ..folder.sources()
    };
    let found: Vec<Source> = thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| sources.find().unwrap().source)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(
        found.contains(&Source::GoModules) && found.contains(&Source::Cache),
        "{found:?}"
    );
    assert_eq!(folder.go_calls().len(), 2, "one call for each program");
    assert!(!left.exists());
}

#[test]
fn an_incomplete_folder_is_made_again() {
    let folder = Folder::new();
    let built = go_modules::kubernetes_version();
    folder.program(&format!("cache/{built}-{}/etcd", platform()), "echo etcd");
    let found = Sources {
        go: Some(folder.go()),
        ..folder.sources()
    }
    .find()
    .unwrap();
    assert_eq!(found.source, Source::GoModules);
    assert_eq!(found.missing(), None);
}
