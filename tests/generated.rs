//! Files that are printed by the code and committed, so that a change shows in review: they are current, or this fails.
//!
//! `make generate` writes them anew: it runs this very test with `MOORING_GENERATE` set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{env, fs, path::Path};

use clap::Parser;
use mooring::{
    access::Reason,
    cli::{Cli, Command},
    commands::{bootstrap, crd},
};

/// The issuer that stands for the hub's in what is generated for the examples.
const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";

/// Every generated file, from the root of the repository, and what it must hold.
fn generated() -> Vec<(String, String)> {
    let mut files = vec![
        ("crds/managementroles.yaml".to_owned(), crd::management_roles()),
        ("crds/managedclusters.yaml".to_owned(), crd::managed_clusters()),
    ];
    files.extend(bootstrapped());
    files.push(("docs/connected.md".to_owned(), connected()));
    files
}

/// What the condition `Connected` may say, for people: below the words that people wrote there, every reason.
fn connected() -> String {
    const TABLE: &str = "| Reason | Meaning |\n|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connected.md");
    let there = fs::read_to_string(path).unwrap();
    let (words, _) = there.split_once(TABLE).unwrap();
    let rows = Reason::ALL
        .iter()
        .map(|reason| format!("| `{reason}` | {} |\n", reason.about()));
    [words.to_owned(), TABLE.to_owned()].into_iter().chain(rows).collect()
}

/// What `mooring bootstrap --output-dir` writes for the examples, as files of deploy/aws.
fn bootstrapped() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = env::temp_dir().join(format!(
        "mooring-generated-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let example = root.join("deploy/examples/management-role.yaml");
    let arguments = [
        "mooring",
        "bootstrap",
        "-f",
        example.to_str().unwrap(),
        "--hub-account",
        "111111111111",
        "--hub-issuer",
        ISSUER,
        "--output-dir",
        folder.to_str().unwrap(),
    ];
    let Command::Bootstrap(arguments) = Cli::try_parse_from(arguments).unwrap().command else {
        panic!("that is the bootstrap command")
    };
    bootstrap::run(&arguments).unwrap();
    let mut files = Vec::new();
    for account in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        for file in fs::read_dir(&account).unwrap().map(|entry| entry.unwrap().path()) {
            let path = file.strip_prefix(&folder).unwrap().display().to_string();
            files.push((format!("deploy/aws/{path}"), fs::read_to_string(&file).unwrap()));
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    files.sort();
    files
}

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = env::var_os("MOORING_GENERATE").is_some();
    let mut stale = Vec::new();
    for (path, content) in generated() {
        let file = root.join(&path);
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
fn the_generated_folders_hold_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known: Vec<String> = generated().into_iter().map(|(path, _)| path).collect();
    let mut folders = vec!["crds".to_owned(), "deploy/aws".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
                continue;
            }
            // deploy/install/kustomization.yaml includes the folder.
            assert!(
                known.contains(&path) || path == "crds/kustomization.yaml",
                "{path} is not generated"
            );
        }
    }
}
