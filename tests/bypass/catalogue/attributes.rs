//! 200s, second half: what is beside a file's content, and descriptors from elsewhere.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, Status, way};
use crate::support::sys::files::{chdir, mknod, open, open_at, proc_fd, read};
use crate::support::sys::net::pair;
use crate::support::sys::{Errno, Res};
use crate::sys::{files, net};

/// Changing what is beside the content.
const ATTRIBUTES: Attack = Attack {
    policy: VAULT,
    hook: NONE_YET,
    right: Rights::ATTR,
    about: Arena::secret_text,
    happened: Arena::changed,
    ..ATTACK
};

/// Reading by a descriptor that was there before.
const DESCRIPTORS: Attack =
    Attack { policy: VAULT, hook: NONE_YET, about: Arena::secret_text, ..ATTACK };

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
    Row::open(
        231,
        "A secret that was open before the process was tagged",
        "To be asked when it is used: `file_permission`",
        Attack {
            before: |arena| {
                let file = open(arena.secret(), libc::O_RDONLY)?;
                keep(arena, file)
            },
            ways: &[
                way("read", |a| a.take(&read(&kept(a)?)?)),
                way("readv", |a| a.take(&files::read_vector(&kept(a)?)?)),
                way("sendfile", |a| {
                    let to = open(a.at("work/copy"), libc::O_CREAT | libc::O_WRONLY)?;
                    files::send_file(&to, &kept(a)?).map(drop)
                }),
            ],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        232,
        "A secret that was open before, opened again: `/proc/self/fd`",
        "Opening again is opening: judged by the path",
        Attack {
            hook: Hook::FILE_OPEN,
            right: Rights::READ,
            before: |arena| keep(arena, open(arena.secret(), libc::O_RDONLY)?),
            ways: &[
                way("/proc/self/fd", |a| a.take_file(proc_fd(&kept(a)?))),
                way("/proc/thread-self/fd", |a| {
                    a.take_file(format!("/proc/thread-self/fd/{}", kept(a)?.as_raw_fd()))
                }),
            ],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        233,
        "A secret below a directory that was open before the process was tagged",
        "What is opened below is judged by its whole path",
        Attack {
            hook: Hook::FILE_OPEN,
            right: Rights::READ,
            before: |arena| keep(arena, open(arena.at("vault"), libc::O_RDONLY | libc::O_DIRECTORY)?),
            ways: &[
                way("openat", |a| {
                    let dir = kept(a)?;
                    a.take(&read(&open_at(dir.as_raw_fd(), "secret", libc::O_RDONLY, 0)?)?)
                }),
                way("fchdir", |a| {
                    let dir = kept(a)?;
                    chdir(proc_fd(&dir)).and_then(|()| a.take_file("secret"))
                }),
            ],
            ..DESCRIPTORS
        },
    ),
    Row::open(
        234,
        "A secret handed over by an accomplice outside: `SCM_RIGHTS`",
        "To be asked of `file_receive`",
        Attack {
            prepare: |arena| {
                let (ours, theirs) = pair(libc::SOCK_STREAM).unwrap();
                let secret = open(arena.secret(), libc::O_RDONLY).unwrap();
                net::pass(&ours, secret.as_raw_fd()).unwrap();
                arena.note.set(theirs.as_raw_fd() as u64);
                Box::new((ours, theirs))
            },
            ways: &[way("recvmsg", |a| {
                let through = kept(a)?;
                match net::receive(&through)? {
                    Some(file) => a.take(&read(&file)?),
                    None => Err(Errno(libc::EACCES)),
                }
            })],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        235,
        "A device node made, which is the disk by another name",
        "Making a device node takes a right that no policy can give",
        Attack {
            policy: VAULT,
            hook: Hook::PATH_MKNOD,
            right: Rights::DEVICE,
            about: |arena| arena.text("work/disk"),
            happened: Arena::made,
            control: Control::Root("takes CAP_MKNOD"),
            ways: &[
                way("a disk", |a| mknod(a.at("work/disk"), libc::S_IFBLK | 0o600, 0xfe00)),
                way("memory", |a| mknod(a.at("work/disk"), libc::S_IFCHR | 0o600, 0x101)),
                way("mknod(1)", |a| a.shell("mknod work/disk c 1 1")).tool(),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        236,
        "The disk, memory or another machine device as it is",
        "They are files that no rule allows; a policy gives devices one by one",
        Attack {
            policy: "files:\n  - allow: [read, write]\n    paths: ['/dev/{null,zero,random,urandom,tty}']",
            hook: Hook::FILE_OPEN,
            right: Rights::READ,
            control: Control::Root("they are root's"),
            ways: &[
                way("/dev/vda", |a| device(a, "/dev/vda")),
                way("/dev/mem", |a| device(a, "/dev/mem")),
                way("/dev/kmsg", |a| device(a, "/dev/kmsg")),
                way("/dev/loop-control", |a| device(a, "/dev/vdb")),
            ],
            ..ATTACK
        },
    ),
    Row::stopped(
        237,
        "The names in a directory that is nobody's business",
        "`list` is asked for when a directory is opened",
        Attack {
            hook: Hook::FILE_OPEN,
            right: Rights::LIST,
            about: |arena| arena.text("vault"),
            ways: &[
                way("ls", |a| a.shell("ls vault && cp open/file work/secret-seen")).tool(),
                way("find", |a| a.shell("find vault -name secret | grep -q . && touch work/secret-seen"))
                    .tool(),
                way("open", |a| {
                    open(a.at("vault"), libc::O_RDONLY | libc::O_DIRECTORY)?;
                    open(a.at("work/secret-seen"), libc::O_CREAT | libc::O_WRONLY).map(drop)
                }),
            ],
            happened: |arena| arena.at("work/secret-seen").exists(),
            ..DESCRIPTORS
        },
    ),
    Row::open(
        238,
        "Who uses a file, and when: `inotify`, `fanotify`",
        "To be asked of `path_notify`",
        Attack {
            about: |_| "*".to_owned(),
            ways: &[
                way("inotify", |a| files::spy_on(&a.secret()).and_then(|_| a.take(SECRET.as_bytes()))),
                way("inotify of a directory", |a| {
                    files::spy_on(&a.at("vault")).and_then(|_| a.take(SECRET.as_bytes()))
                }),
            ],
            ..DESCRIPTORS
        },
    ),
    Row::open(
        239,
        "Everything that anybody on the machine opens: `fanotify` on a mount",
        "To be a capability that an agent does not have",
        Attack {
            control: Control::Root("takes CAP_SYS_ADMIN"),
            ways: &[way("FAN_MARK_MOUNT", |a| {
                files::spy_on_mount(a.dir()).and_then(|_| a.take(SECRET.as_bytes()))
            })],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        241,
        "A secret by its number: `open_by_handle_at`",
        "The file that comes out of it is judged by its path as any other",
        Attack {
            hook: Hook::FILE_OPEN,
            right: Rights::READ,
            control: Control::Root("takes CAP_DAC_READ_SEARCH"),
            ways: &[way("open_by_handle_at", |a| {
                a.take(&read(&files::open_by_handle(&a.secret(), &a.at("open"))?)?)
            })],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        242,
        "Shared memory of others: `/dev/shm`",
        "They are files",
        Attack {
            policy: VAULT_AND_SHM,
            hook: Hook::FILE_OPEN,
            right: Rights::READ,
            about: |_| "/dev/shm/picket-victim".to_owned(),
            prepare: |_| {
                fs::write("/dev/shm/picket-victim", SECRET).unwrap();
                let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
                fs::set_permissions("/dev/shm/picket-victim", open_to_all).unwrap();
                Box::new(Gone("/dev/shm/picket-victim"))
            },
            ways: &[way("shm_open", |a| a.take_file("/dev/shm/picket-victim"))],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        243,
        "A core dump into a protected directory",
        "The kernel makes the file in the name of the process that crashes: `create` there",
        Attack {
            policy: VAULT,
            hook: Hook::PATH_MKNOD,
            right: Rights::CREATE,
            happened: |arena| fs::read_dir(arena.at("vault")).unwrap().count() != 2,
            ways: &[way("SIGSEGV", |a| {
                a.shell(
                    "(cd vault; ulimit -c unlimited; bash -c 'kill -SEGV $$'); ls vault | grep -q core",
                )
            })
            .tool()],
            ..ATTACK
        },
    ),
    Row::untried(
        244,
        "Copies that share their blocks: `FICLONE`, btrfs snapshots and subvolumes",
        "An `ioctl` on a descriptor that takes `read`; a snapshot is an `ioctl` that is not on the list",
        Status::OutOfScope("covered by the ioctl list (227) as far as the guest can show it"),
        "the guest's kernels have no file system that can",
    ),
    Row::untried(
        245,
        "Names that a file system takes for the same: case folding, Unicode",
        "-",
        Status::OutOfScope("judged by the name on disk; do not write deny rules for trees that fold"),
        "the guest's kernels have no such file system",
    ),
    Row::open(
        246,
        "`stat`, `readlink`, `getxattr`, `access`: what a file is, without opening it",
        "Not judged: what can be learnt is size, times, owner, and that it is there",
        Attack {
            ways: &[way("stat", |a| {
                fs::metadata(a.secret()).map_err(|error| crate::sys::errno_of(&error))?;
                a.take(SECRET.as_bytes())
            })],
            ..DESCRIPTORS
        },
    ),
];

/// Shared memory may not be read.
const VAULT_AND_SHM: &str = "\
files:
  - allow: [read, list]
    paths: ['/var/**']";

/// A file that is removed when this is dropped.
struct Gone(&'static str);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

/// Keeps a descriptor for the attack to use.
fn keep(arena: &Arena, file: OwnedFd) -> Res {
    arena.note.set(file.as_raw_fd() as u64);
    std::mem::forget(file);
    Ok(())
}

/// The descriptor that was kept, once.
fn kept(arena: &Arena) -> Res<OwnedFd> {
    let number = arena.note.get();
    if number == 0 { Err(Errno(libc::EBADF)) } else { Ok(crate::sys::owned(number as i64)) }
}

fn device(arena: &Arena, path: &str) -> Res {
    open(path, libc::O_RDONLY)?;
    arena.take(SECRET.as_bytes())
}
