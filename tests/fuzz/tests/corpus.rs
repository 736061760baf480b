//! Every input that was ever kept is read again.

use std::collections::BTreeSet;

/// What the inputs of one target may come to, in bytes: `make fuzz` adds to them.
const MOST: u64 = 256 * 1024;

#[test]
fn every_kept_input_is_read_without_a_panic() {
    for (name, target) in mooring_fuzz::TARGETS {
        let inputs = mooring_fuzz::replay(name, *target);
        assert!(inputs >= 5, "the corpus of {name} is nearly empty: {inputs}");
    }
}

#[test]
fn each_corpus_has_its_target_and_stays_small() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut found = BTreeSet::new();
    for corpus in std::fs::read_dir(folder).unwrap() {
        let corpus = corpus.unwrap();
        let files = std::fs::read_dir(corpus.path()).unwrap();
        let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= MOST, "{}: {bytes} bytes", corpus.path().display());
        found.insert(corpus.file_name().into_string().unwrap());
    }
    let targets = mooring_fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(found, targets.collect());
}
