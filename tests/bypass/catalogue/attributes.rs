//! 200s, second half: what is beside a file's content, and descriptors from elsewhere.

use std::fs;
use std::os::fd::AsRawFd as _;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::Arena;
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::sys::Errno;
use crate::support::sys::attrs::{ACL, NODUMP, acl_for, file_setattr, set_flags, set_flags_32};
use crate::support::sys::files::{open, proc_fd};
use crate::sys::files;

/// Changing what is beside the content.
const ATTRIBUTES: Attack = Attack {
    policy: VAULT,
    hook: Hook::INODE_SETATTR,
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
    Row::stopped(
        223,
        "A protected file's times forged",
        "`attr` is asked of every name that the file has",
        Attack {
            ways: &[
                way("utimensat", |a| files::set_times(a.secret(), 1)),
                way("utime", |a| files::set_times_old(a.secret(), 1)),
                way("touch", |a| a.shell("touch -d @1 vault/secret")).tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        224,
        "Something hidden in a protected file's extended attributes",
        "`attr` is asked of every name that the file has",
        Attack {
            hook: Hook::INODE_SETXATTR,
            ways: &[
                way("setxattr", |a| files::set_attribute(a.secret(), "user.x", b"x")),
                way("setfattr", |a| a.shell("setfattr -n user.x -v x vault/secret")).tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        225,
        "An extended attribute removed from a protected file",
        "`attr` is asked of every name that the file has",
        Attack {
            hook: Hook::INODE_REMOVEXATTR,
            prepare: |arena| {
                files::set_attribute(arena.secret(), "user.x", b"x").unwrap();
                Box::new(())
            },
            happened: |arena| files::attribute(arena.secret(), "user.x").is_err(),
            ways: &[way("removexattr", |a| files::remove_attribute(a.secret(), "user.x"))],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        226,
        "A protected file opened to another user by an ACL",
        "`attr` is asked of every name that the file has",
        Attack {
            hook: Hook::INODE_SET_ACL,
            ways: &[
                way("setxattr", |a| files::set_attribute(a.secret(), ACL, &acl_for(1)))
                    .before(Hook::INODE_SETXATTR),
                way("setfacl", |a| a.shell("setfacl -m u:1:rwx vault/secret"))
                    .before(Hook::INODE_SETXATTR)
                    .tool(),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        227,
        "A protected file's flags: `chattr`",
        "An `ioctl` that takes `attr`, from programs of both word lengths; and the call that is to replace it",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            hook: Hook::FILE_IOCTL,
            ways: &[
                way("ioctl", |a| set_flags(&open(a.secret(), libc::O_RDONLY)?, NODUMP)),
                way("ioctl of a 32-bit program", |a| {
                    set_flags_32(&open(a.secret(), libc::O_RDONLY)?, NODUMP)
                })
                .by(Hook::FILE_IOCTL_COMPAT, Rights::ATTR)
                .before(Hook::FILE_IOCTL),
                way("file_setattr", |a| match file_setattr(a.secret(), 0x80) {
                    // Before 6.17.
                    Err(Errno(libc::ENOSYS)) => {
                        set_flags(&open(a.secret(), libc::O_RDONLY)?, NODUMP)
                    }
                    answer => answer,
                })
                .by(Hook::INODE_FILE_SETATTR, Rights::ATTR)
                .before(Hook::FILE_IOCTL),
            ],
            ..ATTRIBUTES
        },
    ),
    Row::stopped(
        228,
        "Mode and times by a descriptor that was opened to be read",
        "The same hooks are asked, which do not care how the file is named",
        Attack {
            policy: "files:\n  - allow: [read, list]\n    paths: ['/**']",
            ways: &[
                way("fchmod", |a| files::fchmod(&open(a.secret(), libc::O_RDONLY)?, 0o777))
                    .by(Hook::PATH_CHMOD, Rights::ATTR),
                way("futimens", |a| files::set_file_times(&open(a.secret(), libc::O_RDONLY)?, 1)),
                way("fsetxattr", |a| {
                    files::set_file_attribute(&open(a.secret(), libc::O_RDONLY)?, "user.x", b"x")
                })
                .by(Hook::INODE_SETXATTR, Rights::ATTR),
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
    Row::stopped(
        230,
        "An ACL that keeps others out taken off a protected file",
        "`attr` is asked of every name that the file has",
        Attack {
            hook: Hook::INODE_REMOVE_ACL,
            prepare: |arena| {
                files::set_attribute(arena.secret(), ACL, &acl_for(1)).unwrap();
                Box::new(())
            },
            happened: |arena| files::attribute(arena.secret(), ACL).is_err(),
            ways: &[way("removexattr", |a| files::remove_attribute(a.secret(), ACL))
                .before(Hook::INODE_REMOVEXATTR)],
            ..ATTRIBUTES
        },
    ),
];
