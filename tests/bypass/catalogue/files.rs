//! 200s: what is in files, and what they are called.

use std::fs;
use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::sys::files::{
    HERE, chdir, link, link_at, mkdir, open, open_at, open2, proc_fd, read, rename, rename2,
    symlink,
};
use crate::support::sys::ring;
use crate::sys::{files, memory};

/// What is protected may be renamed and linked, and not read.
const NO_READ: &str = "\
files:
  - allow: [read, list, write, create, delete, link]
    paths: ['/**']
  - deny: [read, write, list]
    paths: ['${dir}/vault/**', '${dir}/outer/inner/**']";

/// Reading what is in the vault.
const READING: Attack = Attack {
    policy: VAULT,
    hook: Hook::FILE_OPEN,
    right: Rights::READ,
    about: Arena::secret_text,
    ..ATTACK
};

/// Giving and taking names.
pub(super) const NAMING: Attack = Attack {
    policy: VAULT,
    right: Rights::CREATE,
    about: |_| "*".to_owned(),
    happened: Arena::changed,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        201,
        "A secret by another spelling of its path",
        "Judged by the canonical path of what was opened, walked up from the file itself",
        Attack {
            ways: &[
                way("as it is", |a| a.take_file(a.secret())),
                way(".. and .", |a| a.take_file(a.at("open/../work/.././vault/./secret"))),
                way("slashes", |a| a.take_file(a.at("vault///secret"))),
                way("relative", |a| chdir(a.dir()).and_then(|()| a.take_file("vault/secret"))),
                way("from within", |a| chdir(a.at("vault")).and_then(|()| a.take_file("secret"))),
                way("/proc/self/root", |a| {
                    a.take_file(format!("/proc/self/root{}", a.secret_text()))
                }),
                way("/proc/self/cwd", |a| {
                    chdir(a.at("vault")).and_then(|()| a.take_file("/proc/self/cwd/secret"))
                }),
                way("/proc/thread-self/root", |a| {
                    a.take_file(format!("/proc/thread-self/root{}", a.secret_text()))
                }),
                way("openat of a directory", |a| {
                    let dir = open(a.at("vault"), libc::O_PATH | libc::O_DIRECTORY)?;
                    a.take(&read(&open_at(dir.as_raw_fd(), "secret", libc::O_RDONLY, 0)?)?)
                }),
                way("openat with ..", |a| {
                    let dir = open(a.at("open"), libc::O_PATH | libc::O_DIRECTORY)?;
                    a.take(&read(&open_at(dir.as_raw_fd(), "../vault/secret", libc::O_RDONLY, 0)?)?)
                }),
                way("openat2 within a root", |a| {
                    const RESOLVE_IN_ROOT: u64 = 0x10;
                    let dir = open(a.at("vault"), libc::O_PATH | libc::O_DIRECTORY)?;
                    let file = open2(dir.as_raw_fd(), "/secret", libc::O_RDONLY, RESOLVE_IN_ROOT)?;
                    a.take(&read(&file)?)
                }),
                way("a link", |a| {
                    symlink(a.secret(), a.at("work/link"))?;
                    a.take_file(a.at("work/link"))
                }),
                way("a relative link", |a| {
                    symlink("../vault/secret", a.at("work/link"))?;
                    a.take_file(a.at("work/link"))
                }),
                way("a link to its directory", |a| {
                    symlink("../vault", a.at("work/link"))?;
                    a.take_file(a.at("work/link/secret"))
                }),
                way("a chain of links", |a| {
                    symlink("two", a.at("work/one"))?;
                    symlink("three", a.at("work/two"))?;
                    symlink(a.secret(), a.at("work/three"))?;
                    a.take_file(a.at("work/one"))
                }),
                way("O_PATH, and again through /proc", |a| {
                    let file = open(a.secret(), libc::O_PATH)?;
                    a.take_file(proc_fd(&file))
                }),
                way("io_uring", |a| a.take(&read(&ring::open(a.secret(), libc::O_RDONLY)?)?)),
            ],
            // None can be made later.
            before: |_| ring::nothing(false),
            ..READING
        },
    ),
    Row::stopped(
        202,
        "Its content by another call than `read`",
        "The right is asked for when the file is opened, whatever is done with the descriptor",
        Attack {
            ways: &[
                way("mmap", |a| a.take(&memory::map_and_read(&open(a.secret(), libc::O_RDONLY)?)?)),
                way("readv", |a| a.take(&files::read_vector(&open(a.secret(), libc::O_RDONLY)?)?)),
                way("sendfile", |a| {
                    let from = open(a.secret(), libc::O_RDONLY)?;
                    let to = open(a.at("work/copy"), libc::O_CREAT | libc::O_WRONLY)?;
                    files::send_file(&to, &from).map(drop)
                }),
                way("copy_file_range", |a| {
                    let from = open(a.secret(), libc::O_RDONLY)?;
                    let to = open(a.at("work/copy"), libc::O_CREAT | libc::O_WRONLY)?;
                    files::copy_range(&from, &to).map(drop)
                }),
                way("splice", |a| {
                    let from = open(a.secret(), libc::O_RDONLY)?;
                    let (out, into) = crate::support::sys::files::pipe()?;
                    files::splice(&from, &into)?;
                    let mut bytes = [0; 64];
                    crate::support::sys::files::read_next(&out, &mut bytes)?;
                    a.take(&bytes)
                }),
                way("opened to be written too", |a| {
                    a.take(&read(&open(a.secret(), libc::O_RDWR)?)?)
                }),
                way("for ioctl only", |a| {
                    // Access mode 3 asks for both permissions and gives neither, so it is reopened.
                    let file = open(a.secret(), 3)?;
                    a.take_file(proc_fd(&file))
                }),
            ],
            ..READING
        },
    ),
    Row::stopped(
        203,
        "A secret by a second name: hard link",
        "`link` is asked of the old name, and the new one may not allow more",
        Attack {
            right: Rights::LINK,
            hook: Hook::PATH_LINK,
            about: Arena::secret_text,
            happened: Arena::looted,
            ways: &[
                way("link", |a| {
                    link(a.secret(), a.at("work/new"))?;
                    a.take_file(a.at("work/new"))
                }),
                way("linkat", |a| {
                    link_at(HERE, a.secret(), a.at("work/new"), 0)?;
                    a.take_file(a.at("work/new"))
                }),
                way("through a link", |a| {
                    symlink(a.secret(), a.at("work/link"))?;
                    link_at(HERE, a.at("work/link"), a.at("work/new"), libc::AT_SYMLINK_FOLLOW)?;
                    a.take_file(a.at("work/new"))
                }),
                way("through a descriptor's entry in /proc", |a| {
                    let file = open(a.secret(), libc::O_PATH)?;
                    link_at(HERE, proc_fd(&file), a.at("work/new"), libc::AT_SYMLINK_FOLLOW)?;
                    a.take_file(a.at("work/new"))
                }),
            ],
            ..NAMING
        },
    ),
    Row::stopped(
        204,
        "A secret by a second name, from a descriptor: `linkat(fd, \"\")`",
        "The same hook; the call itself takes a capability",
        Attack {
            right: Rights::LINK,
            hook: Hook::PATH_LINK,
            about: Arena::secret_text,
            happened: Arena::looted,
            control: Control::Root("takes CAP_DAC_READ_SEARCH, up to 6.9"),
            ways: &[way("AT_EMPTY_PATH", |a| {
                let file = open(a.secret(), libc::O_PATH)?;
                files::link_descriptor(&file, &a.at("work/new"))?;
                a.take_file(a.at("work/new"))
            })],
            ..NAMING
        },
    ),
    Row::stopped(
        205,
        "A secret by another name: rename",
        "`delete` is asked of the old name, and the new one may not allow more",
        Attack {
            right: Rights::DELETE,
            hook: Hook::PATH_RENAME,
            about: Arena::secret_text,
            happened: Arena::looted,
            ways: &[
                way("rename", |a| {
                    rename(a.secret(), a.at("work/new"))?;
                    a.take_file(a.at("work/new"))
                }),
                way("renameat2", |a| {
                    rename2(a.secret(), a.at("work/new"), libc::RENAME_NOREPLACE)?;
                    a.take_file(a.at("work/new"))
                }),
                way("over another file", |a| {
                    rename(a.secret(), a.at("open/file"))?;
                    a.take_file(a.at("open/file"))
                }),
                way("by an exchange", |a| {
                    rename2(a.secret(), a.at("open/file"), libc::RENAME_EXCHANGE)?;
                    a.take_file(a.at("open/file"))
                }),
            ],
            ..NAMING
        },
    ),
    Row::stopped(
        206,
        "The directory above it renamed",
        "A directory may move only where everything below it keeps the rights that it has",
        Attack {
            policy: NO_READ,
            right: Rights::CREATE,
            hook: Hook::PATH_RENAME,
            about: |_| "*".to_owned(),
            happened: Arena::looted,
            ways: &[
                way("the directory", |a| {
                    rename(a.at("vault"), a.at("work/v"))?;
                    a.take_file(a.at("work/v/secret"))
                }),
                way("the one above", |a| {
                    mkdir(a.at("work/d"))?;
                    rename(a.at("outer"), a.at("work/outer"))?;
                    a.take_file(a.at("work/outer/inner/secret"))
                }),
                way("an exchange with an innocent one", |a| {
                    rename2(a.at("vault"), a.at("open"), libc::RENAME_EXCHANGE)?;
                    a.take_file(a.at("open/secret"))
                })
                .by(Hook::PATH_RENAME, Rights::CREATE),
            ],
            prepare: |arena| {
                fs::create_dir_all(arena.at("outer/inner")).unwrap();
                fs::copy(arena.secret(), arena.at("outer/inner/secret")).unwrap();
                Box::new(())
            },
            ..NAMING
        },
    ),
    Row::stopped(
        207,
        "A file may be renamed and linked, and not read: to where it may be read",
        "No name may give an object more than it had (`name would widen rights`)",
        Attack {
            policy: NO_READ,
            right: Rights::CREATE,
            hook: Hook::PATH_RENAME,
            about: Arena::secret_text,
            happened: Arena::looted,
            ways: &[
                way("rename", |a| {
                    rename(a.secret(), a.at("work/new"))?;
                    a.take_file(a.at("work/new"))
                }),
                way("link", |a| {
                    link(a.secret(), a.at("work/new"))?;
                    a.take_file(a.at("work/new"))
                })
                .by(Hook::PATH_LINK, Rights::CREATE),
                way("exchange", |a| {
                    rename2(a.secret(), a.at("open/file"), libc::RENAME_EXCHANGE)?;
                    a.take_file(a.at("open/file"))
                }),
            ],
            ..NAMING
        },
    ),
];
