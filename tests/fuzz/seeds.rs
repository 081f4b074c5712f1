//! The fuzzers' seeds, and everything that ever broke a target, as ordinary tests: they need neither
//! libFuzzer nor the compiler for it.

mod targets;

use std::fs;
use std::path::Path;

/// Runs a target on what is in its directory; how many inputs there were.
fn replay(name: &str, run: targets::Run) -> usize {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
        count += 1;
    }
    count
}

#[test]
fn every_target_takes_its_seeds() {
    for (name, run) in targets::ALL {
        assert!(replay(name, *run) >= 2, "{name} has too few seeds to start from");
        run(b"");
    }
}
