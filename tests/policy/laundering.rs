//! No sequence of renames, exchanges and links gives an object a right that it was not born with.
//!
//! A model of a file system on which a careless agent does what the policy lets it do. Moves are judged
//! by `sensor_ebpf::moves`, which is what the hooks judge them by; what counts as gained is said here a
//! second time, by verdicts on single rights.

use std::collections::BTreeMap;

use sensor_ebpf::moves::Move;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::table::{self, Cursor, Space};
use sensor_ebpf::verdict::{Masks, Verdict, decide};
use sensor_user::policy::Compiled;

use super::generated::Dice;
use super::support::spec;

/// Path to inode.
type Names = BTreeMap<String, Inode>;

/// A directory or file, with the number of the name that it was born with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inode {
    Directory(usize),
    File(usize),
}

struct Model<'c> {
    compiled: &'c Compiled,
    names: Names,
    /// Names that files and directories were born with.
    born: Vec<String>,
    /// Whether moves are checked at all; the control does without.
    checked: bool,
}

impl Model<'_> {
    fn cursor(&self, path: &str) -> Cursor {
        table::run(self.compiled.table.as_slice(), Space::Path, path.as_bytes())
    }

    fn masks(&self, path: &str) -> Masks {
        self.cursor(path).masks(self.compiled.table.as_slice())
    }

    fn may(&self, right: Rights, path: &str) -> bool {
        decide(self.masks(path), right, false).verdict <= Verdict::Audit
    }

    fn birth(&mut self, path: &str) -> usize {
        self.born.push(path.to_owned());
        self.born.len() - 1
    }

    fn is_parent(&self, path: &str) -> bool {
        let parent = &path[..path.rfind('/').unwrap_or(0)];
        parent.is_empty() || matches!(self.names.get(parent), Some(Inode::Directory(_)))
    }

    fn is_empty(&self, path: &str) -> bool {
        let below = format!("{path}/");
        !self.names.keys().any(|name| name.starts_with(&below))
    }

    fn create(&mut self, path: &str, directory: bool) {
        if self.names.contains_key(path) || !self.is_parent(path) || !self.may(Rights::CREATE, path)
        {
            return;
        }
        let number = self.birth(path);
        let inode = if directory { Inode::Directory(number) } else { Inode::File(number) };
        self.names.insert(path.to_owned(), inode);
    }

    fn may_move(&self, from: &str, to: &str, wanted: Move) -> bool {
        if !self.checked {
            return self.may(wanted.old, from) && self.may(wanted.new, to);
        }
        let weighed = self.compiled.judge_move(from.as_bytes(), to.as_bytes(), wanted);
        weighed.decision.verdict <= Verdict::Audit
    }

    fn link(&mut self, from: &str, to: &str) {
        let Some(inode @ Inode::File(_)) = self.names.get(from).copied() else {
            return;
        };
        let free = !self.names.contains_key(to) && self.is_parent(to);
        if free && self.may_move(from, to, Move::link()) {
            self.names.insert(to.to_owned(), inode);
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let (Some(old), replaced) = (self.names.get(from).copied(), self.names.get(to).copied())
        else {
            return;
        };
        let fits = match (old, replaced) {
            (_, None) => true,
            (Inode::Directory(_), Some(Inode::Directory(_))) => self.is_empty(to),
            (Inode::File(_), Some(Inode::File(_))) => true,
            _ => false,
        };
        let inside = to.starts_with(&format!("{from}/")) || to == from;
        let wanted = Move::rename(is_directory(old), replaced.is_some());
        if fits && !inside && self.is_parent(to) && self.may_move(from, to, wanted) {
            self.names.remove(to);
            let moved = self.take(from);
            self.put(to, moved);
        }
    }

    fn exchange(&mut self, one: &str, other: &str) {
        let (Some(a), Some(b)) = (self.names.get(one).copied(), self.names.get(other).copied())
        else {
            return;
        };
        let inside = |a: &str, b: &str| format!("{a}/").starts_with(&format!("{b}/"));
        let wanted = Move::exchange(is_directory(a), is_directory(b));
        if !inside(one, other) && !inside(other, one) && self.may_move(one, other, wanted) {
            let (a, b) = (self.take(one), self.take(other));
            self.put(other, a);
            self.put(one, b);
        }
    }

    /// Takes a name and all below it out, by what follows the name.
    fn take(&mut self, path: &str) -> Vec<(String, Inode)> {
        let below = format!("{path}/");
        let taken: Vec<String> = self
            .names
            .keys()
            .filter(|name| *name == path || name.starts_with(&below))
            .cloned()
            .collect();
        taken
            .into_iter()
            .filter_map(|name| {
                let inode = self.names.remove(&name)?;
                Some((name[path.len()..].to_owned(), inode))
            })
            .collect()
    }

    fn put(&mut self, path: &str, moved: Vec<(String, Inode)>) {
        for (suffix, inode) in moved {
            self.names.insert(format!("{path}{suffix}"), inode);
        }
    }

    /// What offers more under the name that it has now than under the one that it was born with: a
    /// file, or what is or could be below a directory.
    fn laundered(&self) -> Option<String> {
        self.names.iter().find_map(|(path, inode)| {
            let (Inode::File(number) | Inode::Directory(number)) = *inode;
            let born = &self.born[number];
            match inode {
                _ if born == path => None,
                Inode::File(_) => self.gained(born, path, Rights::CONTENT),
                Inode::Directory(_) => suffixes().find_map(|suffix| {
                    let (born, now) = (format!("{born}{suffix}"), format!("{path}{suffix}"));
                    self.gained(&born, &now, Rights(0xffff))
                }),
            }
        })
    }

    /// A right that is had under `now`, and was not, or not so easily, under `born`.
    fn gained(&self, born: &str, now: &str, rights: Rights) -> Option<String> {
        let (old, new) = (self.masks(born), self.masks(now));
        let gained = |right: &&(Rights, &str)| {
            let right = right.0;
            let verdict = |masks: Masks| decide(masks, right, false).verdict;
            let worst = match verdict(new) {
                Verdict::Allow => Verdict::Allow,
                Verdict::Audit => Verdict::Audit,
                // A yes to what is done with content is a yes to the name that was asked about.
                Verdict::Ask if Rights::ENTRY.contains(right) => Verdict::Ask,
                Verdict::Ask => Verdict::Audit,
                Verdict::Deny => Verdict::Deny,
            };
            rights.contains(right) && verdict(old) > worst
        };
        let found = Rights::NAMES.iter().find(gained)?;
        Some(format!("{now}, once {born}, gained {}", found.1))
    }
}

fn is_directory(inode: Inode) -> bool {
    matches!(inode, Inode::Directory(_))
}

/// What may stand behind a directory's name.
fn suffixes() -> impl Iterator<Item = String> {
    NAMES.iter().flat_map(|name| {
        let below = NAMES.iter().map(move |next| format!("/{name}/{next}"));
        below.chain([format!("/{name}")])
    })
}

const NAMES: [&str; 6] = ["a", "b", "ab", "key", ".env", "key.x"];

fn path(dice: &mut Dice) -> String {
    (0..1 + dice.roll(3)).map(|_| format!("/{}", dice.pick(&NAMES))).collect()
}

/// A policy under which much may be moved, and not everything read.
fn policy(dice: &mut Dice) -> String {
    let mut rules = String::from(
        "  - allow: [create, delete, link, list]\n    paths: ['/**']\n  - allow: [read, write]\n    paths: ['/a/**', '/b/b/**']\n",
    );
    for _ in 0..2 + dice.roll(6) {
        let kind = dice.pick(&["allow", "allow", "deny", "deny", "ask", "audit"]);
        let rights = dice.pick(&[
            "read",
            "write",
            "read, write",
            "exec",
            "map",
            "list",
            "attr, read",
            "delete",
        ]);
        let name = dice.pick(&NAMES);
        let pattern = match dice.roll(7) {
            0 => format!("**/{name}"),
            1 => format!("**/{name}/**"),
            2 => format!("/{name}/**"),
            3 => format!("/*/{name}/*"),
            4 => format!("/{name}/**/{}", dice.pick(&NAMES)),
            5 => format!("/a/{name}*"),
            _ => format!("{}/**", path(dice)),
        };
        let rule = format!("  - {kind}: [{rights}]\n    paths: ['{pattern}']\n");
        if !rules.contains(&format!("'{pattern}'")) {
            rules += &rule;
        }
    }
    format!("  files:\n{rules}")
}

/// Lets an agent loose; what it laundered, and how many moves succeeded.
fn play(seed: u64, checked: bool) -> (Option<String>, usize) {
    let mut dice = Dice::new(seed);
    let text = policy(&mut dice);
    let compiled = spec(&text);
    let mut model = Model { compiled: &compiled, names: Names::new(), born: Vec::new(), checked };
    let mut moves = 0;
    for _ in 0..150 {
        let (one, other) = (path(&mut dice), path(&mut dice));
        let before = model.names.clone();
        match dice.roll(8) {
            0 | 1 => model.create(&one, true),
            2 | 3 => model.create(&one, false),
            4 | 5 => model.rename(&one, &other),
            6 => model.exchange(&one, &other),
            _ => model.link(&one, &other),
        }
        if before == model.names {
            continue;
        }
        moves += 1;
        if let Some(found) = model.laundered() {
            return (Some(format!("seed {seed}: {found}\n{text}")), moves);
        }
    }
    (None, moves)
}

#[test]
fn nothing_gains_a_right_by_being_moved() {
    let mut moves = 0;
    for seed in 0..400 {
        let (found, moved) = play(seed, true);
        assert_eq!(found, None);
        moves += moved;
    }
    assert!(moves > 5_000, "{moves}");
}

#[test]
fn the_model_notices_a_fence_that_lets_everything_move() {
    let found = (0..100).filter(|seed| play(*seed, false).0.is_some()).count();
    assert!(found > 50, "{found}");
}

/// What ordinary tools do must not need rules of its own.
#[test]
fn ordinary_moves_go_through() {
    let compiled = spec(
        "  files:\n  - allow: [read, list, write, create, delete, link, attr]\n    paths: ['/w/**', '/tmp/**']\n  - deny: [read, write, create, delete, link, attr]\n    paths: ['**/.env', '**/.env.*', '**/*.pem', '**/id_rsa*', '/home/u/.ssh/**']\n  - deny: [write, create, delete]\n    paths: ['**/.git/hooks/**']\n",
    );
    let table = compiled.table.as_slice();
    let cursor = |path: &str| table::run(table, Space::Path, path.as_bytes());
    let file = |from: &str, to: &str| cursor(to).masks(table).within(cursor(from).masks(table));
    let directory = |from: &str, to: &str| cursor(from).directory_within(table, cursor(to));
    // Editors write a new file and rename it over the old one.
    assert!(file("/w/src/.main.rs.swp", "/w/src/main.rs") && file("/w/4913", "/w/main.rs~"));
    // git writes lock files, temporary objects and packs.
    assert!(file("/w/.git/index.lock", "/w/.git/index"));
    assert!(file("/w/.git/objects/tmp_obj_x", "/w/.git/objects/ab/cdef"));
    assert!(directory("/w/.git/rebase-merge", "/w/.git/rebase-apply"));
    // npm and cargo rename whole directories, also to and from names that a pattern begins with.
    assert!(directory("/w/node_modules/.left-pad-Ab12", "/w/node_modules/left-pad"));
    assert!(directory("/w/target/debug/build/x-1", "/w/target/debug/build/x-2"));
    assert!(
        directory("/w/i", "/w/id") && directory("/w/id_rs", "/w/x") && directory("/w/.en", "/w/e")
    );
    assert!(directory("/tmp/build", "/w/build") && directory("/w/a", "/tmp/a"));
    // What would launder does not.
    assert!(!file("/w/.env", "/w/env") && !file("/home/u/.ssh/id", "/w/id"));
    assert!(!directory("/w/.env.d", "/w/env") && !directory("/w/.git/hooks", "/w/hooks"));
    assert!(!directory("/w/x", "/w/.git/hooks") && !directory("/home/u/.ssh", "/w/ssh"));
}
