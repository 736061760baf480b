//! Every input that was ever kept is read again.

#[test]
fn every_kept_input_is_read_without_a_panic() {
    for (name, target) in mooring_fuzz::TARGETS {
        let inputs = mooring_fuzz::replay(name, *target);
        assert!(inputs >= 5, "the corpus of {name} is nearly empty: {inputs}");
    }
}
