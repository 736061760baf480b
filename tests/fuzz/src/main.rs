//! libFuzzer on the target that `MOORING_FUZZ` names. `make fuzz` builds it with coverage and runs each for a while.

#![no_main]

use std::sync::OnceLock;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("MOORING_FUZZ").unwrap_or_default();
        let found = mooring_fuzz::TARGETS.iter().find(|(known, _)| *known == name);
        found
            .unwrap_or_else(|| panic!("MOORING_FUZZ={name:?} names no target"))
            .1
    });
    target(input);
});
