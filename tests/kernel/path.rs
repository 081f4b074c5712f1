//! The canonical name of a file: its path from the root of the mount namespace, however it was
//! reached and whatever it is called.

mod proc;

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;

use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::files::{
    HERE, chdir, chroot, detached_clone, memfd, mkdir_at, mount, open, open_at, pipe, proc_fd,
    touch, umount, unlink, unshare_mounts,
};
use crate::support::sys::{EACCES, Res};
use crate::support::trial::Trial;

/// Nothing of what is tried here is allowed, so that each attempt shows its subject.
const NOTHING: &str = "\
files:
  - allow: [read]
    paths: ['/nothing', '/proc/self/**']";

fn denied(path: impl AsRef<Path>) -> Expected {
    Expected::deny(Hook::FILE_OPEN, Rights::READ).path(path)
}

/// A mount, taken off when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(source: &Path, at: &Path, kind: &str, flags: u64, options: &str) -> Mount {
        let mounted = mount(source, at, kind, flags, options);
        assert_eq!(mounted, Ok(()), "mounting {kind} at {}", at.display());
        Mount(at.to_owned())
    }

    fn bind(source: &Path, at: &Path) -> Mount {
        Mount::new(source, at, "", libc::MS_BIND, "")
    }

    fn memory(at: &Path) -> Mount {
        Mount::new(Path::new("tmpfs"), at, "tmpfs", 0, "")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let taken_off = umount(&self.0, libc::MNT_DETACH);
        assert!(taken_off.is_ok() || std::thread::panicking(), "{taken_off:?}");
    }
}

#[test]
fn a_file_has_the_name_of_the_mount_that_it_is_seen_through() {
    let place = Place::on_disk("path_mounts");
    let (source, bound) = (place.dir("source"), place.dir("bound"));
    fs::write(source.join("file"), "x").unwrap();
    let _bind = Mount::bind(&source, &bound);
    let over = place.dir("over");
    let _lower = Mount::memory(&over);
    fs::create_dir(over.join("in")).unwrap();
    let _deep = Mount::memory(&over.join("in"));
    fs::write(over.join("in/file"), "x").unwrap();
    let single = place.file("single");
    let target = place.file("target");
    let _file = Mount::bind(&source.join("file"), &target);
    let (a, b) = (bound.join("file"), source.join("file"));
    let in_over = over.join("in/file");
    Trial::new(&place, NOTHING)
        .refused("through a bind mount", || touch(&a, 0), EACCES, denied(&a))
        .refused("beside it", || touch(&b, 0), EACCES, denied(&b))
        .refused("in a mount in a mount", || touch(&in_over, 0), EACCES, denied(&in_over))
        .refused("a file that is mounted on a file", || touch(&target, 0), EACCES, denied(&target))
        .refused("no mount at all", || touch(&single, 0), EACCES, denied(&single))
        .run();
}

#[test]
fn what_lies_under_a_mount_cannot_be_reached_by_its_name() {
    // Two mounts at one place: the upper one counts, and has that place's name.
    let place = Place::on_disk("path_over");
    let over = place.dir("over");
    fs::write(over.join("file"), "below").unwrap();
    let _one = Mount::memory(&over);
    let _two = Mount::memory(&over);
    let file = over.join("file");
    fs::write(&file, "above").unwrap();
    Trial::new(&place, NOTHING)
        .refused("the upper", || touch(&file, 0), EACCES, denied(&file))
        .run();
}

#[test]
fn a_root_of_ones_own_changes_no_name() {
    let place = Place::on_disk("path_chroot");
    let jail = place.dir("jail");
    let inner = jail.join("file");
    fs::write(&inner, "x").unwrap();
    let spec = "files:\n  - allow: [read]\n    paths: ['/file']";
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), spec);
    let mut child = fence.child(|step| match step {
        0 => chroot(&jail).and_then(|()| chdir("/")),
        _ => touch("/file", 0),
    });
    assert_eq!(child.try_to(0), Ok(()));
    assert_eq!(child.try_to(1), Ok(()));
    child.tag(agent.tag);
    assert_eq!(child.try_to(1), Err(EACCES));
    fence.expect(&agent, &child, &[denied(&inner)]);
}

#[test]
fn a_name_may_have_any_bytes_and_255_of_them() {
    let place = Place::on_disk("path_bytes");
    let names: [&[u8]; 6] = [
        b"line\nbreak",
        b"\xff\xfe not text",
        b"\x1b[2J",
        b" ",
        "gr\u{f6}\u{df}e \u{202e}".as_bytes(),
        &[b'n'; 255],
    ];
    let mut trial = Trial::new(&place, NOTHING);
    for name in names {
        let path = place.path().join(OsStr::from_bytes(name));
        fs::write(&path, "x").unwrap();
        let event = denied(&path);
        trial = trial.refused("a name", move || touch(&path, 0), EACCES, event);
    }
    trial.run();
}

/// Makes directories in each other, `count` of them with names of `length` bytes; the last one.
fn descend(from: &Path, count: usize, length: usize) -> (OwnedFd, PathBuf) {
    let name = "d".repeat(length);
    let mut path = from.to_owned();
    let mut dir = open(from, libc::O_PATH).unwrap();
    for _ in 0..count {
        mkdir_at(dir.as_raw_fd(), &name).unwrap();
        dir = open_at(dir.as_raw_fd(), &name, libc::O_PATH, 0).unwrap();
        path.push(&name);
    }
    (dir, path)
}

/// Makes a file in a directory.
fn plant(dir: &OwnedFd, name: &str) {
    open_at(dir.as_raw_fd(), name, libc::O_WRONLY | libc::O_CREAT, 0o644).unwrap();
}

#[test]
fn a_deep_tree_is_walked_to_its_root() {
    let place = Place::on_disk("path_deep");
    let (dir, path) = descend(place.path(), 200, 1);
    plant(&dir, "file");
    let file = path.join("file");
    Trial::new(&place, NOTHING)
        .refused("deep down", || touch(&file, 0), EACCES, denied(&file))
        .run();
}

#[test]
fn a_tree_that_is_too_deep_is_a_fault() {
    let place = Place::on_disk("path_too_deep");
    let (dir, _) = descend(place.path(), 300, 1);
    plant(&dir, "file");
    let event = Expected::fault(Hook::FILE_OPEN, Fault::PATH_TOO_LONG);
    Trial::new(&place, "files:\n  - allow: [read]\n    paths: ['/**']")
        .refused(
            "a file far down",
            || open_at(dir.as_raw_fd(), "file", 0, 0).map(drop),
            EACCES,
            event,
        )
        .run();
}

#[test]
fn a_path_has_4095_bytes_at_most() {
    const LONGEST: usize = 4095;
    let place = Place::on_disk("path_longest");
    let count = (LONGEST - place.path().as_os_str().len() - 2) / 256;
    let (dir, path) = descend(place.path(), count, 255);
    let left = LONGEST - path.as_os_str().len() - 1;
    let (longest, longer) = ("f".repeat(left), "f".repeat(left + 1));
    assert!(left < 255 && path.join(&longest).as_os_str().len() == LONGEST);
    plant(&dir, &longest);
    plant(&dir, &longer);
    let read = |name: &str| open_at(dir.as_raw_fd(), name, 0, 0).map(drop);
    Trial::new(&place, NOTHING)
        .refused("the longest", || read(&longest), EACCES, denied(path.join(&longest)))
        .run();
    Trial::new(&place, "files:\n  - allow: [read]\n    paths: ['/**']")
        .allowed("the longest where it is allowed", || read(&longest))
        .refused(
            "one byte more",
            || read(&longer),
            EACCES,
            Expected::fault(Hook::FILE_OPEN, Fault::PATH_TOO_LONG),
        )
        .run();
}

/// What may be done with what is merged; the layers are nobody's to touch.
const MERGED: &str = "\
files:
  - allow: [read, list, write, create, delete, link]
    paths: ['${dir}/merged/**']";

#[test]
fn an_overlay_is_judged_by_its_own_names() {
    let place = Place::on_disk("path_overlay");
    let [lower, upper, work, merged] =
        ["lower", "upper", "work", "merged"].map(|name| place.dir(name));
    for name in ["read", "write", "truncate", "rename", "link", "delete"] {
        fs::write(lower.join(name), name).unwrap();
    }
    fs::create_dir(lower.join("sub")).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let _overlay = Mount::new(Path::new("overlay"), &merged, "overlay", 0, &options);
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), MERGED);
    let at = |name: &str| merged.join(name);
    let mut child = fence.tagged(&agent, |step| match step {
        0 => touch(at("read"), libc::O_RDONLY),
        // From here on files are copied up: the kernel opens both layers in our name.
        1 => touch(at("write"), libc::O_RDWR),
        2 => touch(at("truncate"), libc::O_WRONLY | libc::O_TRUNC),
        3 => fs::read_dir(&merged).map(|list| assert!(list.count() > 5)).map_err(|_| EACCES),
        4 => crate::support::sys::files::rename(at("rename"), at("renamed")),
        5 => crate::support::sys::files::link(at("link"), at("linked")),
        6 => unlink(at("delete")),
        7 => touch(at("new"), libc::O_WRONLY | libc::O_CREAT),
        8 => crate::support::sys::files::mkdir(at("made")),
        9 => touch(lower.join("read"), libc::O_RDONLY),
        _ => touch(upper.join("write"), libc::O_RDONLY),
    });
    for step in 0..9 {
        assert_eq!(child.try_to(step), Ok(()), "step {step}");
        fence.quiet(&agent);
    }
    assert_eq!(child.try_to(9), Err(EACCES));
    assert_eq!(child.try_to(10), Err(EACCES));
    fence.expect(&agent, &child, &[denied(lower.join("read")), denied(upper.join("write"))]);
}

/// Everything may be read, so that what is refused is refused for having no name.
const EVERYTHING: &str = "files:\n  - allow: [read, list]\n    paths: ['/**']";

#[test]
fn a_mount_that_hangs_nowhere_has_no_names() {
    let place = Place::on_disk("path_detached");
    place.file("file");
    let detached = detached_clone(place.path()).unwrap();
    let faults = |fence: &mut Fence| fence.faults(Hook::FILE_OPEN, Fault::FOREIGN_MOUNT);
    let before = faults(&mut Fence::up());
    let event = || Expected::fault(Hook::FILE_OPEN, Fault::FOREIGN_MOUNT);
    let at = |name: &str| open_at(detached.as_raw_fd(), name, 0, 0).map(drop);
    Trial::new(&place, EVERYTHING)
        .refused("a file in it", || at("file"), EACCES, event())
        .refused("itself", || at("."), EACCES, event())
        .allowed("the same by its name", || touch(place.at("file"), 0))
        .run();
    assert_eq!(faults(&mut Fence::up()), before + 2);
}

#[test]
fn mounts_of_another_namespace_have_no_names() {
    let place = Place::on_disk("path_namespace");
    place.file("file");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), EVERYTHING);
    let mut old = None;
    let mut child = fence.child(|step| -> Res {
        match step {
            0 => {
                old = Some(open(place.path(), libc::O_PATH)?);
                unshare_mounts()
            }
            1 => open_at(old.as_ref().map_or(HERE, std::os::fd::AsRawFd::as_raw_fd), "file", 0, 0)
                .map(drop),
            _ => touch(place.at("file"), 0),
        }
    });
    assert_eq!(child.try_to(0), Ok(()));
    assert_eq!(child.try_to(1), Ok(()), "before");
    child.tag(agent.tag);
    assert_eq!(child.try_to(1), Err(EACCES), "a directory that was open before");
    fence.expect(&agent, &child, &[Expected::fault(Hook::FILE_OPEN, Fault::FOREIGN_MOUNT)]);
    assert_eq!(child.try_to(2), Ok(()), "the same in its own namespace");
    fence.quiet(&agent);
}

#[test]
fn pipes_and_memory_files_may_be_opened_again() {
    // As `/dev/stdin` and shells' process substitutions do.
    let place = Place::on_disk("path_anonymous");
    Trial::new(&place, NOTHING)
        .allowed("a pipe", || touch(proc_fd(&pipe()?.0), libc::O_RDONLY))
        .allowed("a memory file", || touch(proc_fd(&memfd("m")?), libc::O_RDWR))
        .run();
}

#[test]
fn a_file_keeps_its_last_name_when_it_has_none() {
    let place = Place::on_disk("path_unlinked");
    let path = place.at("gone");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), NOTHING);
    let mut kept = None;
    let mut child = fence.child(|step| -> Res {
        match (step, &kept) {
            (_, Some(file)) => touch(proc_fd(file), libc::O_RDONLY),
            _ => {
                kept = Some(open(&path, libc::O_RDONLY)?);
                unlink(&path)
            }
        }
    });
    place.file("gone");
    assert_eq!(child.try_to(0), Ok(()));
    assert_eq!(child.try_to(1), Ok(()), "before");
    child.tag(agent.tag);
    assert_eq!(child.try_to(1), Err(EACCES));
    fence.expect(&agent, &child, &[denied(&path)]);
}
