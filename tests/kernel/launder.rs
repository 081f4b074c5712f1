//! Names cannot be laundered: nothing gets a name under which more may be done with its content
//! than under the one that it had. What editors, git and package managers do all day still works.

use std::fs;
use std::path::Path;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::support::expect::Expected;
use crate::support::place::Place;
use crate::support::sys::EACCES;
use crate::support::sys::files::{link, open, rename, rename2, touch, write};
use crate::support::trial::Trial;

/// Everything may be renamed and linked; what differs is what may be done with the content.
const POLICY: &str = "\
files:
  - allow: [list, create, delete, link]
    paths: ['${dir}/**']
  - allow: [read, write]
    paths: ['${dir}/work/**']
  - allow: [read, map]
    paths: ['${dir}/docs/**']
  - deny: [read, write]
    paths: ['**/.env', '${dir}/vault/**']";

/// The tree as it is before each attempt.
fn plant(place: &Place) {
    for name in ["work", "docs", "vault", "shut"] {
        let _ = fs::remove_dir_all(place.at(name));
    }
    for name in [
        "work/a",
        "work/sub/b",
        "work/other/c",
        "docs/a",
        "docs/sub/b",
        "vault/a",
        "vault/sub/b",
        "shut/a",
        "work/.env",
    ] {
        let path = place.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
}

fn widens(hook: Hook, requested: Rights, old: &Path, new: &Path) -> Expected {
    Expected::deny(hook, requested).path(old).peer(new).cause(Fault::WIDENS)
}

#[test]
fn no_name_that_allows_more() {
    let place = Place::on_disk("launder_files");
    let at = |name: &str| place.at(name);
    let renamed = |old: &Path, new: &Path| widens(Hook::PATH_RENAME, Rights::CREATE, old, new);
    let linked = |old: &Path, new: &Path| widens(Hook::PATH_LINK, Rights::CREATE, old, new);
    let (fresh, fresh_docs) = (at("work/new"), at("docs/new"));
    let (vault, docs, shut, env, work) =
        (at("vault/a"), at("docs/a"), at("shut/a"), at("work/.env"), at("work/a"));
    let (create_delete, none) = (Rights::CREATE | Rights::DELETE, libc::RENAME_NOREPLACE);
    Trial::new(&place, POLICY)
        .prepare(|| plant(&place))
        .refused("out of the vault", || rename(&vault, &fresh), EACCES, renamed(&vault, &fresh))
        .refused("a link", || link(&vault, &fresh), EACCES, linked(&vault, &fresh))
        .refused(
            "out of where nothing is said",
            || rename(&shut, &fresh_docs),
            EACCES,
            renamed(&shut, &fresh_docs),
        )
        .refused("read to write", || rename(&docs, &fresh), EACCES, renamed(&docs, &fresh))
        .refused("by a link", || link(&docs, &fresh), EACCES, linked(&docs, &fresh))
        .refused(
            "write to code",
            || rename(&work, &fresh_docs),
            EACCES,
            renamed(&work, &fresh_docs),
        )
        .refused("off a guarded name", || rename(&env, &fresh), EACCES, renamed(&env, &fresh))
        .refused(
            "without replacing",
            || rename2(&vault, &fresh, none),
            EACCES,
            renamed(&vault, &fresh),
        )
        .refused(
            "over a file",
            || rename(&vault, &work),
            EACCES,
            widens(Hook::PATH_RENAME, create_delete, &vault, &work),
        )
        .refused(
            "by an exchange",
            || rename2(&vault, &work, libc::RENAME_EXCHANGE),
            EACCES,
            widens(Hook::PATH_RENAME, create_delete, &vault, &work),
        )
        .refused(
            "by an exchange the other way",
            || rename2(&work, &vault, libc::RENAME_EXCHANGE),
            EACCES,
            widens(Hook::PATH_RENAME, create_delete, &work, &vault),
        )
        .run();
}

#[test]
fn no_directory_that_takes_its_files_to_where_more_is_allowed() {
    let place = Place::on_disk("launder_dirs");
    let at = |name: &str| place.at(name);
    let renamed = |old: &Path, new: &Path| widens(Hook::PATH_RENAME, Rights::CREATE, old, new);
    let fresh = at("work/new");
    let (vault, below, docs) = (at("vault"), at("vault/sub"), at("docs/sub"));
    let (work, library) = (at("work/sub"), at("docs/new"));
    Trial::new(&place, POLICY)
        .prepare(|| plant(&place))
        .refused("the vault", || rename(&vault, &fresh), EACCES, renamed(&vault, &fresh))
        .refused("a part of it", || rename(&below, &fresh), EACCES, renamed(&below, &fresh))
        .refused("documents", || rename(&docs, &fresh), EACCES, renamed(&docs, &fresh))
        .refused("work to code", || rename(&work, &library), EACCES, renamed(&work, &library))
        .refused(
            "by an exchange",
            || rename2(&work, &below, libc::RENAME_EXCHANGE),
            EACCES,
            widens(Hook::PATH_RENAME, Rights::CREATE | Rights::DELETE, &work, &below),
        )
        .run();
}

#[test]
fn honest_moves_are_allowed() {
    let place = Place::on_disk("launder_honest");
    let at = |name: &str| place.at(name);
    Trial::new(&place, POLICY)
        .prepare(|| plant(&place))
        .allowed("within a tree", || rename(at("work/a"), at("work/z")))
        .allowed("to another directory of it", || rename(at("work/a"), at("work/sub/a")))
        .allowed("a directory within it", || rename(at("work/sub"), at("work/new")))
        .allowed("a directory into another", || rename(at("work/sub"), at("work/other/sub")))
        .allowed("two directories for each other", || {
            rename2(at("work/sub"), at("work/other"), libc::RENAME_EXCHANGE)
        })
        .allowed("two files for each other", || {
            rename2(at("work/a"), at("work/sub/b"), libc::RENAME_EXCHANGE)
        })
        .allowed("a link within it", || link(at("work/a"), at("work/sub/z")))
        .allowed("to where less is allowed", || rename(at("work/a"), at("vault/z")))
        .allowed("a directory to where less is allowed", || rename(at("work/sub"), at("vault/z")))
        .allowed("a directory onto a guarded name", || {
            rename(at("work/sub"), at("work/other/.env"))
        })
        .allowed("onto a guarded name", || rename(at("work/a"), at("work/.env")))
        .run();
}

#[test]
fn editors_and_git_work_as_ever() {
    // Write a new file beside the old one, rename it over the old one.
    let place = Place::on_disk("launder_editors");
    let at = |name: &str| place.at(name);
    let replace = |new: &Path, old: &Path| {
        let file = open(new, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)?;
        write(&file, b"new")?;
        rename(new, old)?;
        touch(old, libc::O_RDONLY)
    };
    Trial::new(&place, POLICY)
        .prepare(|| plant(&place))
        .allowed("vim", || {
            rename(at("work/a"), at("work/a~"))?;
            replace(&at("work/.a.swp"), &at("work/a"))
        })
        .allowed("git's index", || {
            crate::support::sys::files::mkdir(at("work/.git"))?;
            replace(&at("work/.git/index.lock"), &at("work/.git/index"))?;
            replace(&at("work/.git/index.lock"), &at("work/.git/index"))
        })
        .allowed("git's objects, which are linked into place", || {
            let file = open(at("work/tmp_obj"), libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)?;
            write(&file, b"blob")?;
            link(at("work/tmp_obj"), at("work/object"))?;
            crate::support::sys::files::unlink(at("work/tmp_obj"))
        })
        .run();
}
