//! Renames, exchanges and links: two names, and what is below them.

use std::any::Any;
use std::fs;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::moves::Move;

use super::dice::{self, Dice, bytes, clear};
use super::{Amount, Asked, Operation, Question, compare};
use crate::support::place::Place;
use crate::support::sys::files::{link, rename, rename2};

/// What is at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Nothing,
    File,
    Directory,
    /// A directory with something in it.
    Tree,
}

impl At {
    fn make(self, path: &Path) {
        clear(path);
        match self {
            At::Nothing => {}
            At::File => fs::write(path, "x").unwrap(),
            At::Directory => fs::create_dir(path).unwrap(),
            At::Tree => {
                fs::create_dir(path).unwrap();
                fs::write(path.join("x"), "x").unwrap();
            }
        }
    }

    fn is_directory(self) -> bool {
        matches!(self, At::Directory | At::Tree)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Rename,
    Exchange,
    Link,
}

fn operation(dice: &mut Dice, place: &Place) -> Operation {
    let (way, old, new) = dice.of(&[
        (Way::Rename, At::File, At::Nothing),
        (Way::Rename, At::File, At::File),
        (Way::Rename, At::Tree, At::Nothing),
        (Way::Rename, At::Tree, At::Directory),
        (Way::Exchange, At::File, At::File),
        (Way::Exchange, At::Tree, At::File),
        (Way::Exchange, At::Directory, At::Tree),
        (Way::Link, At::File, At::Nothing),
    ]);
    let from = dice::path(dice, place);
    let to = loop {
        let to = dice::path(dice, place);
        if to != from {
            break to;
        }
    };
    let (hook, wanted) = match way {
        Way::Rename => (Hook::PATH_RENAME, Move::rename(old.is_directory(), new != At::Nothing)),
        Way::Exchange => {
            (Hook::PATH_RENAME, Move::exchange(old.is_directory(), new.is_directory()))
        }
        Way::Link => (Hook::PATH_LINK, Move::link()),
    };
    let question = Question::Move(bytes(&from).to_vec(), bytes(&to).to_vec(), wanted);
    let what = format!("{way:?} of {old:?} {} to {new:?} {}", from.display(), to.display());
    let prepare = {
        let (from, to) = (from.clone(), to.clone());
        move || {
            old.make(&from);
            new.make(&to);
            Box::new(()) as Box<dyn Any>
        }
    };
    let run = move || match way {
        Way::Rename => rename(&from, &to),
        Way::Exchange => rename2(&from, &to, libc::RENAME_EXCHANGE),
        Way::Link => link(&from, &to),
    };
    Operation {
        what,
        prepare: Box::new(prepare),
        run: Box::new(run),
        asked: vec![Asked { hook, question, probe: false }],
    }
}

/// A policy under which names may mostly be given and taken, and what may be done under them differs.
fn policy(dice: &mut Dice) -> String {
    const NAMING: [&str; 3] = ["create", "delete", "link"];
    const CONTENT: [&str; 6] = ["read", "write", "list", "attr", "exec", "map"];
    let (naming, content) = (dice.below(3), 2 + dice.below(5));
    let kinds = ["allow", "allow", "deny", "audit"];
    let content = dice::rules(dice, &kinds, &CONTENT, content);
    let naming = dice::rules(dice, &["deny", "audit", "audit"], &NAMING, naming);
    let base = dice.of(&["allow", "allow", "audit"]);
    format!("files:\n  - {base}: [create, delete, link]\n    paths: ['/**']\n{naming}{content}")
}

#[test]
fn kernel_and_library_judge_moves_alike() {
    for place in Place::both("agreement_moves") {
        dice::plant(&place);
        let amount = Amount { policies: 8, operations: 70 };
        compare(&place, amount, policy, |dice| operation(dice, &place));
    }
}
