//! 200s, second half: what is beside a file's content, and descriptors from elsewhere.

use std::fs;
use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, way};
use crate::support::sys::files::{open, proc_fd};
use crate::sys::files;

/// Changing what is beside the content.
const ATTRIBUTES: Attack = Attack {
    policy: VAULT,
    hook: NONE_YET,
    right: Rights::ATTR,
    about: Arena::secret_text,
    happened: Arena::changed,
    ..ATTACK
};

pub const ROWS: &[Row] = &[
    Row::stopped(
        221,
        "A protected file's mode changed",
        "`attr` is asked of the name, by whatever call",
        Attack {
            hook: Hook::PATH_CHMOD,
            ways: &[
                way("chmod", |a| files::chmod(a.secret(), 0o777)),
                way("fchmodat", |a| files::fchmodat(a.secret(), 0o777)),
                way("through /proc", |a| {
                    let file = open(a.secret(), libc::O_PATH)?;
                    files::chmod(proc_fd(&file), 0o777)
                }),
                way("chmod(1)", |a| a.shell("chmod 600 vault/secret")).tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        222,
        "A protected file given away, or taken",
        "`attr` is asked of the name, by whatever call",
        Attack {
            hook: Hook::PATH_CHOWN,
            control: Control::Root("takes CAP_CHOWN"),
            ways: &[
                way("chown", |a| files::chown(a.secret(), 1, 1)),
                way("lchown", |a| files::lchown(a.secret(), 1, 1)),
                way("fchownat of a descriptor", |a| {
                    let file = open(a.secret(), libc::O_PATH)?;
                    files::fchownat(file.as_raw_fd(), "", 1, 1)
                }),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::open(
        223,
        "A protected file's times forged",
        "To be asked of `inode_setattr`",
        Attack {
            ways: &[
                way("utimensat", |a| files::set_times(a.secret(), 1)),
                way("utime", |a| files::set_times_old(a.secret(), 1)),
                way("touch", |a| a.shell("touch -d @1 vault/secret")).tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::open(
        224,
        "Something hidden in, or taken from, a protected file's extended attributes",
        "To be asked of `inode_setxattr` and `inode_removexattr`",
        Attack {
            ways: &[
                way("setxattr", |a| files::set_attribute(a.secret(), "user.x", b"x")),
                way("setfattr", |a| a.shell("setfattr -n user.x -v x vault/secret")).tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::open(
        225,
        "An extended attribute removed from a protected file",
        "To be asked of `inode_removexattr`",
        Attack {
            prepare: |arena| {
                files::set_attribute(arena.secret(), "user.x", b"x").unwrap();
                Box::new(())
            },
            happened: |arena| files::attribute(arena.secret(), "user.x").is_err(),
            ways: &[way("removexattr", |a| files::remove_attribute(a.secret(), "user.x"))],
            ..ATTRIBUTES
        },
    ),
    Row::open(
        226,
        "A protected file opened to another user by an ACL",
        "To be asked of `inode_set_acl`, before 6.2 of `inode_setxattr`",
        Attack {
            ways: &[
                way("setxattr", |a| {
                    files::set_attribute(a.secret(), "system.posix_acl_access", &files::acl_for(1))
                }),
                way("setfacl", |a| a.shell("setfacl -m u:1:rwx vault/secret")).tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::open(
        227,
        "A protected file's flags: `chattr`",
        "To be an `ioctl` that is not on the list; takes a descriptor, and so `read`",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            about: |_| "*".to_owned(),
            ways: &[way("no dump", |a| files::set_flags(&open(a.secret(), libc::O_RDONLY)?, 0x40))],
            ..ATTRIBUTES
        },
    ),
    Row::open(
        228,
        "Mode and times by a descriptor that was opened to be read",
        "To be asked of the same hooks, which do not care how the file is named",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            ways: &[
                way("fchmod", |a| files::fchmod(&open(a.secret(), libc::O_RDONLY)?, 0o777))
                    .by(Hook::PATH_CHMOD, Rights::ATTR),
                way("futimens", |a| files::set_file_times(&open(a.secret(), libc::O_RDONLY)?, 1)),
                way("fsetxattr", |a| {
                    files::set_file_attribute(&open(a.secret(), libc::O_RDONLY)?, "user.x", b"x")
                }),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        229,
        "A set-id program made for somebody outside to run",
        "No agent may make one, whatever the policy says of `attr`",
        Attack {
            policy: "files:\n  - allow: [read, list, write, create, attr]\n    paths: ['/**']",
            hook: Hook::PATH_CHMOD,
            about: |arena| arena.text("open/file"),
            happened: |arena| {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = fs::metadata(arena.at("open/file")).unwrap().permissions().mode();
                mode & 0o4000 != 0
            },
            ways: &[way("chmod u+s", |a| files::chmod(a.at("open/file"), 0o4755))],
            ..ATTRIBUTES
        },
    ),
];
