//! 200s, second part: content and names changed.

use std::fs;
use std::os::unix::fs::symlink as make_link;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use super::files::NAMING;
use crate::arena::{Arena, PLAIN};
use crate::row::{ATTACK, Attack, Row, way};
use crate::support::sys::files::{
    chdir, creat, ftruncate, link, mkdir, mknod, open, proc_fd, rename, rmdir, symlink, truncate,
    unlink, unlink_old, write,
};
use crate::support::sys::net::{Address, bind, socket};
use crate::sys::files;

/// Changing what is in the vault.
const WRITING: Attack = Attack {
    policy: VAULT,
    hook: Hook::FILE_OPEN,
    right: Rights::WRITE,
    about: Arena::secret_text,
    happened: Arena::changed,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        208,
        "A protected file changed",
        "`write` is asked for when it is opened to be written or cut",
        Attack {
            ways: &[
                way("write", |a| write(&open(a.secret(), libc::O_WRONLY)?, PLAIN.as_bytes())),
                way("append", |a| {
                    write(&open(a.secret(), libc::O_WRONLY | libc::O_APPEND)?, PLAIN.as_bytes())
                }),
                way("read and write", |a| {
                    write(&open(a.secret(), libc::O_RDWR)?, PLAIN.as_bytes())
                }),
                way("O_TRUNC", |a| open(a.secret(), libc::O_WRONLY | libc::O_TRUNC).map(drop)),
                way("O_TRUNC, opened to be read", |a| {
                    open(a.secret(), libc::O_RDONLY | libc::O_TRUNC).map(drop)
                }),
                way("creat", |a| creat(a.secret())),
                way("O_CREAT", |a| {
                    let file = open(a.secret(), libc::O_WRONLY | libc::O_CREAT)?;
                    write(&file, PLAIN.as_bytes())
                }),
                way("ftruncate", |a| ftruncate(&open(a.secret(), libc::O_WRONLY)?, 0)),
                way("fallocate", |a| files::punch(&open(a.secret(), libc::O_WRONLY)?)),
                way("reopened through /proc", |a| {
                    let file = open(a.secret(), libc::O_PATH)?;
                    write(&open(proc_fd(&file), libc::O_WRONLY)?, PLAIN.as_bytes())
                }),
                way("tee", |a| a.shell("echo x | tee vault/secret")).tool(),
                way("dd", |a| a.shell("dd if=/dev/zero of=vault/secret count=1")).tool(),
                way("sed -i", |a| a.shell("cat open/file >vault/secret")).tool(),
            ],
            ..WRITING
        },
    ),
    Row::stopped(
        209,
        "A protected file cut by its name",
        "`truncate(2)` has a hook of its own",
        Attack {
            hook: Hook::PATH_TRUNCATE,
            ways: &[
                way("truncate", |a| truncate(a.secret(), 0)),
                way("to more", |a| truncate(a.secret(), 1 << 20)),
                way("through a link", |a| {
                    symlink(a.secret(), a.at("work/link"))?;
                    truncate(a.at("work/link"), 0)
                }),
            ],
            ..WRITING
        },
    ),
    Row::stopped(
        210,
        "A protected name taken away",
        "`delete` is asked of the name",
        Attack {
            hook: Hook::PATH_UNLINK,
            right: Rights::DELETE,
            about: Arena::secret_text,
            ways: &[
                way("unlinkat", |a| unlink(a.secret())),
                way("unlink", |a| unlink_old(a.secret())),
                way("rm -rf", |a| a.shell("rm -f vault/secret; test ! -e vault/secret")).tool(),
                way("a rename over it", |a| rename(a.at("open/file"), a.secret()))
                    .by(Hook::PATH_RENAME, Rights::DELETE),
                way("a rename away", |a| rename(a.secret(), a.at("work/x")))
                    .by(Hook::PATH_RENAME, Rights::DELETE),
            ],
            ..NAMING
        },
    ),
    Row::stopped(
        211,
        "A protected directory taken away",
        "`delete` is asked of the name",
        Attack {
            hook: Hook::PATH_RMDIR,
            right: Rights::DELETE,
            about: |arena| arena.text("vault/dir"),
            prepare: |arena| {
                fs::create_dir(arena.at("vault/dir")).unwrap();
                Box::new(())
            },
            happened: |arena| !arena.at("vault/dir").exists(),
            ways: &[
                way("rmdir", |a| rmdir(a.at("vault/dir"))),
                way("unlinkat", |a| crate::support::sys::files::rmdir_at(a.at("vault/dir"))),
            ],
            ..NAMING
        },
    ),
    Row::stopped(
        212,
        "A file planted that was not there: a hook, a start-up file, a setting",
        "`create` is asked of the new name, existing or not",
        Attack {
            hook: Hook::PATH_MKNOD,
            about: |arena| arena.text("vault/new"),
            ways: &[
                way("O_CREAT", |a| {
                    open(a.at("vault/new"), libc::O_CREAT | libc::O_WRONLY).map(drop)
                }),
                way("creat", |a| creat(a.at("vault/new"))),
                way("mknod", |a| mknod(a.at("vault/new"), libc::S_IFREG | 0o644, 0)),
                way("a fifo", |a| mknod(a.at("vault/new"), libc::S_IFIFO | 0o644, 0)),
                way("a socket's node", |a| mknod(a.at("vault/new"), libc::S_IFSOCK | 0o644, 0)),
                way("through a link", |a| {
                    make_link(a.at("vault/new"), a.at("work/link")).unwrap();
                    creat(a.at("work/link"))
                }),
                way("relative", |a| chdir(a.at("vault")).and_then(|()| creat("new"))),
                way("a unix socket", |a| {
                    let server = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
                    bind(&server, &Address::unix(a.at("vault/new")))
                }),
                way("a unix datagram socket", |a| {
                    let server = socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?;
                    bind(&server, &Address::unix(a.at("vault/new")))
                }),
                way("a directory", |a| mkdir(a.at("vault/new")))
                    .by(Hook::PATH_MKDIR, Rights::CREATE),
                way("a link", |a| symlink("/etc/passwd", a.at("vault/new")))
                    .by(Hook::PATH_SYMLINK, Rights::CREATE),
                way("a hard link", |a| link(a.at("open/file"), a.at("vault/new")))
                    .by(Hook::PATH_LINK, Rights::CREATE),
                way("a rename", |a| rename(a.at("open/file"), a.at("vault/new")))
                    .by(Hook::PATH_RENAME, Rights::CREATE),
                way("touch", |a| a.shell("touch vault/new")).tool(),
                way("cp", |a| a.shell("cp open/file vault/new")).tool(),
                way("ln -s", |a| a.shell("ln -s /etc/passwd vault/new"))
                    .tool()
                    .by(Hook::PATH_SYMLINK, Rights::CREATE),
            ],
            ..NAMING
        },
    ),
];
