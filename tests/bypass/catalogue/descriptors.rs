//! 200s, third part: descriptors from elsewhere, devices, and what else gives a file away.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, Status, way};
use crate::support::sys::files::{chdir, ftruncate, mknod, open, open_at, proc_fd, read};
use crate::support::sys::net::pair;
use crate::support::sys::{Errno, Res};
use crate::sys::{files, net};

/// Reading by a descriptor that was there before.
const DESCRIPTORS: Attack =
    Attack { policy: VAULT, right: Rights::READ, about: Arena::secret_text, ..ATTACK };

pub const ROWS: &[Row] = &[
    Row::stopped(
        231,
        "A secret that was open before the process was tagged, of an agent that is to be cut off from such",
        "Each use is judged as an open would be",
        Attack {
            hook: Hook::FILE_PERMISSION,
            cut_off: true,
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
                    let file = kept(a)?;
                    a.take_file(format!("/proc/thread-self/fd/{}", file.as_raw_fd()))
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
    Row::stopped(
        234,
        "A secret handed over by an accomplice outside: `SCM_RIGHTS`",
        "What is received is judged as if it were opened now; the kernel drops what is refused",
        Attack {
            hook: Hook::FILE_RECEIVE,
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
    Row::stopped(
        238,
        "Who uses a file, and when: `inotify`",
        "To be watched a file takes `read`, a directory `list`",
        Attack {
            hook: Hook::PATH_NOTIFY,
            about: |_| "*".to_owned(),
            ways: &[
                way("inotify", |a| files::spy_on(&a.secret()).and_then(|_| a.take(SECRET.as_bytes()))),
                way("inotify of a directory", |a| {
                    files::spy_on(&a.at("vault")).and_then(|_| a.take(SECRET.as_bytes()))
                })
                .by(Hook::PATH_NOTIFY, Rights::LIST),
            ],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        239,
        "Everything that anybody on the machine opens: `fanotify` on a mount",
        "No agent may watch a whole mount",
        Attack {
            hook: Hook::PATH_NOTIFY,
            right: Rights::KERNEL,
            about: |_| "*".to_owned(),
            control: Control::Root("takes CAP_SYS_ADMIN"),
            ways: &[way("FAN_MARK_MOUNT", |a| {
                files::spy_on_mount(a.dir()).and_then(|_| a.take(SECRET.as_bytes()))
            })],
            ..DESCRIPTORS
        },
    ),
    Row::stopped(
        240,
        "A file that was open before the process was tagged, cut",
        "Judged as any cutting is, if the agent is to be cut off from what was open before",
        Attack {
            hook: Hook::FILE_TRUNCATE,
            right: Rights::WRITE,
            cut_off: true,
            before: |arena| keep(arena, open(arena.secret(), libc::O_RDWR)?),
            happened: Arena::changed,
            ways: &[way("ftruncate", |a| ftruncate(&kept(a)?, 1)).before(Hook::PATH_TRUNCATE)],
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
            hook: NONE_YET,
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
