//! Files that are printed by the code and committed, so that a change shows in review: they are current, or this fails.
//!
//! `make generate` writes them anew: it runs this very test with `MOORING_GENERATE` set.

use std::{env, fs, path::Path};

use mooring::commands::crd;

/// Every generated file, from the root of the repository, and what it must hold.
fn generated() -> Vec<(&'static str, String)> {
    vec![
        ("crds/managementroles.yaml", crd::management_roles()),
        ("crds/managedclusters.yaml", crd::managed_clusters()),
    ]
}

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = env::var_os("MOORING_GENERATE").is_some();
    let mut stale = Vec::new();
    for (path, content) in generated() {
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|committed| committed == content) {
            continue;
        }
        if write {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            println!("written: {path}");
        } else {
            stale.push(path);
        }
    }
    assert!(
        stale.is_empty(),
        "not what the code prints: {stale:?}; run `make generate` and commit the result"
    );
}

/// Nothing lies beside them that nobody writes any more.
#[test]
fn the_folder_of_definitions_holds_nothing_else() {
    let known: Vec<_> = generated().into_iter().map(|(path, _)| path).collect();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // deploy/install/kustomization.yaml includes the folder.
        let path = format!("crds/{name}");
        assert!(
            known.contains(&path.as_str()) || name == "kustomization.yaml",
            "{path} is not generated"
        );
    }
}
