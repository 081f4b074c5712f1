//! Fuzzing under libFuzzer: `cargo xtask fuzz TARGET` builds and runs this.
//!
//! One program for all targets, so that there is one to build; [`TARGET`] says which of them it is.

#![no_main]

mod targets;

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// The variable of the environment that names the target.
const TARGET: &str = "PICKET_FUZZ_TARGET";

static RUN: LazyLock<targets::Run> = LazyLock::new(|| {
    let name = env::var(TARGET).unwrap_or_default();
    let Some((_, run)) = targets::ALL.iter().find(|(own, _)| *own == name) else {
        let names: Vec<_> = targets::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("{TARGET} is `{name}`, and must be one of {}", names.join(", "));
        std::process::exit(2);
    };
    *run
});

fuzz_target!(|data: &[u8]| (*RUN)(data));
