//! Chance, and what the random policies and operations about files have in common: one small tree, in
//! which names are alike and a few are odd.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::support::place::Place;

/// Sebastiano Vigna's splitmix64: the same numbers on every machine.
pub struct Dice(u64);

impl Dice {
    /// Begins anew.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of them.
    pub fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Some of them, at least one.
    pub fn some<'a>(&mut self, from: &[&'a str]) -> Vec<&'a str> {
        let mut chosen: Vec<&str> = from.iter().copied().filter(|_| self.below(2) == 0).collect();
        if chosen.is_empty() {
            chosen.push(self.of(from));
        }
        chosen
    }
}

/// The tree's directories.
const DIRS: [&str; 6] = ["a", "b", "a/b", "b/a", "a/b/c", "b/\u{e9}"];

/// A directory so deep that with the longest name in it a path is nearly as long as one may be.
const DEPTH: usize = 13;

/// A component of that directory.
const DEEP: [u8; 250] = [b'd'; 250];

/// Names that are in every directory, as bytes and as a pattern that is just them.
const NAMES: [(&[u8], &str); 12] = [
    (b"x", "x"),
    (b"y", "y"),
    (b"xy", "xy"),
    (b"X", "X"),
    (b"x.env", "x.env"),
    (b".env", ".env"),
    (b"key.pem", "key.pem"),
    (b"...", "..."),
    (b"\xff\x80", r"\xff\x80"),
    (b"x\n", r"x\x0a"),
    (b"[*]", r"\[\*\]"),
    (&[b'n'; 255], "n*"),
];

/// Makes the tree.
pub fn plant(place: &Place) {
    for dir in DIRS {
        place.dir(dir);
    }
    fs::create_dir_all(deep(place)).unwrap();
}

fn deep(place: &Place) -> PathBuf {
    let component = OsStr::from_bytes(&DEEP);
    (0..DEPTH).fold(place.path().to_owned(), |path, _| path.join(component))
}

/// A path in the tree; nothing need be there.
pub fn path(dice: &mut Dice, place: &Place) -> PathBuf {
    let name = OsStr::from_bytes(dice.of(&NAMES).0);
    let dir = if dice.below(12) == 0 { deep(place) } else { place.at(dice.of(&DIRS)) };
    dir.join(name)
}

/// A pattern which often speaks of what is in the tree.
pub fn pattern(dice: &mut Dice) -> String {
    let (dir, name, other) = (dice.of(&DIRS), dice.of(&NAMES).1, dice.of(&NAMES).1);
    match dice.below(12) {
        0 => format!("${{dir}}/{dir}/**"),
        1 => format!("${{dir}}/{dir}/{name}"),
        2 => format!("**/{name}"),
        3 => format!("${{dir}}/**/{name}/**"),
        4 => format!("${{dir}}/{dir}/*.{{env,pem}}"),
        5 => format!("${{dir}}/*/*{name}"),
        6 => format!("**/{{{name},{other}}}"),
        7 => format!("${{dir}}/{dir}/?"),
        8 => format!("${{dir}}/{dir}/[a-x]*"),
        9 => format!("**/b/{name}"),
        10 => "${dir}/ddd*/**/*".to_owned(),
        _ => "${dir}/**".to_owned(),
    }
}

/// Rules over the tree, each about other paths.
pub fn rules(dice: &mut Dice, kinds: &[&str], rights: &[&str], count: u64) -> String {
    let mut patterns: Vec<String> = Vec::new();
    let mut rules = String::new();
    for _ in 0..count {
        let pattern = pattern(dice);
        if patterns.contains(&pattern) {
            continue;
        }
        let (kind, rights) = (dice.of(kinds), dice.some(rights).join(", "));
        rules += &format!("  - {kind}: [{rights}]\n    paths: ['{pattern}']\n");
        patterns.push(pattern);
    }
    rules
}

/// Takes away what is at a path.
pub fn clear(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return,
    };
    removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A path as the kernel names it.
pub fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
