//! 400s, third part: objects that are shared with somebody outside.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, NONE_YET, Row, Status, way};
use crate::support::sys::Res;
use crate::sys::{files, ipc, kernel};

/// Objects of System V that somebody outside has made.
const SYSTEM_V: Attack = Attack { policy: VAULT, hook: NONE_YET, ..ATTACK };

/// The key of objects that must stay.
const KEY: i32 = 0x7037;
/// Bits that an object's number has in a note.
const NUMBER: i64 = 21;

pub const ROWS: &[Row] = &[
    Row::stopped(
        431,
        "Memory that is shared with somebody outside: System V",
        "An agent may use objects of its own and no others",
        Attack {
            hook: Hook::IPC_PERMISSION,
            right: Rights::PROCESS,
            prepare: |_| {
                let id = ipc::shared_memory(0x7031, true).unwrap();
                ipc::write_at(ipc::attach(id, 0).unwrap(), SECRET.as_bytes());
                Box::new(Removed(id, ipc::remove_memory))
            },
            ways: &[way("shmat", |a| {
                let at = ipc::attach(ipc::shared_memory(0x7031, false)?, libc::SHM_RDONLY)?;
                a.take(&ipc::bytes_at(at))
            })],
            ..SYSTEM_V
        },
    ),
    Row::stopped(
        432,
        "Messages to and from somebody outside: System V",
        "An agent may use objects of its own and no others",
        Attack {
            hook: Hook::IPC_PERMISSION,
            right: Rights::PROCESS,
            prepare: |_| {
                let id = ipc::queue(0x7032, true).unwrap();
                let mut text = [0; 32];
                text[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
                ipc::queue_send(id, &text).unwrap();
                Box::new(Removed(id, ipc::remove_queue))
            },
            ways: &[way("msgrcv", |a| a.take(&ipc::queue_receive(ipc::queue(0x7032, false)?)?))],
            ..SYSTEM_V
        },
    ),
    Row::stopped(
        433,
        "Semaphores of somebody outside: System V",
        "An agent may use objects of its own and no others",
        Attack {
            hook: Hook::IPC_PERMISSION,
            right: Rights::PROCESS,
            prepare: |arena| {
                let id = ipc::semaphore(0x7033, true).unwrap();
                arena.note.set(id as u64);
                Box::new(Removed(id, ipc::remove_semaphore))
            },
            happened: |arena| ipc::value(arena.note.get() as i64) != Ok(0),
            ways: &[way("semop", |_| ipc::raise(ipc::semaphore(0x7033, false)?))],
            ..SYSTEM_V
        },
    ),
    Row::stopped(
        434,
        "A POSIX message queue of somebody outside",
        "It is a file of no mount: it has no name that a rule could allow",
        Attack {
            policy: VAULT_ONLY,
            hook: Hook::FILE_OPEN,
            right: Rights::NONE,
            prepare: |_| {
                let flags = libc::O_CREAT | libc::O_RDWR;
                let queue = files::message_queue("picket-victim", flags).unwrap();
                files::queue_send(&queue, SECRET.as_bytes()).unwrap();
                let at = Path::new("/dev/mqueue/picket-victim");
                fs::set_permissions(at, fs::Permissions::from_mode(0o666)).unwrap();
                Box::new(Queue)
            },
            ways: &[way("mq_open", |a| {
                files::message_queue("picket-victim", libc::O_RDONLY)?;
                a.take(SECRET.as_bytes())
            })],
            ..ATTACK
        },
    ),
    Row::open(
        435,
        "A POSIX message queue removed",
        "No `path_*` hook is asked: to be `inode_unlink` on that file system",
        Attack {
            policy: VAULT_ONLY,
            prepare: |arena| {
                let flags = libc::O_CREAT | libc::O_RDWR;
                drop(files::message_queue("picket-victim", flags).unwrap());
                let at = Path::new("/dev/mqueue/picket-victim");
                std::os::unix::fs::chown(at, Some(arena.uid), None).unwrap();
                Box::new(Queue)
            },
            happened: |_| !Path::new("/dev/mqueue/picket-victim").exists(),
            ways: &[way("mq_unlink", |_| files::remove_queue("picket-victim"))],
            ..SYSTEM_V
        },
    ),
    Row::stopped(
        436,
        "Objects of somebody outside removed by their numbers: System V",
        "An agent may change objects of its own and no others",
        Attack {
            hook: Hook::SHM_SHMCTL,
            right: Rights::PROCESS,
            control: Control::Root("they are root's"),
            prepare: |arena| {
                let memory = ipc::shared_memory(KEY, true).unwrap();
                let queue = ipc::queue(KEY, true).unwrap();
                let semaphore = ipc::semaphore(KEY, true).unwrap();
                arena.note.set((memory | queue << NUMBER | semaphore << (2 * NUMBER)) as u64);
                Box::new((
                    Removed(memory, ipc::remove_memory),
                    Removed(queue, ipc::remove_queue),
                    Removed(semaphore, ipc::remove_semaphore),
                ))
            },
            happened: |_| {
                ipc::shared_memory(KEY, false).is_err()
                    || ipc::queue(KEY, false).is_err()
                    || ipc::semaphore(KEY, false).is_err()
            },
            ways: &[
                way("shmctl", |a| ipc::remove_memory(number(a, 0))),
                way("msgctl", |a| ipc::remove_queue(number(a, 1)))
                    .by(Hook::MSG_QUEUE_MSGCTL, Rights::PROCESS),
                way("semctl", |a| ipc::remove_semaphore(number(a, 2)))
                    .by(Hook::SEM_SEMCTL, Rights::PROCESS),
            ],
            ..SYSTEM_V
        },
    ),
    Row::open(
        441,
        "A key that somebody outside keeps in a keyring",
        "To be asked of `key_permission`",
        Attack {
            hook: NONE_YET,
            before: |arena| {
                let key = kernel::add_key("user", "picket-key", SECRET.as_bytes())?;
                arena.note.set(key as u64);
                Ok(())
            },
            ways: &[way("keyctl read", |a| a.take(&kernel::read_key(a.note.get() as i64)?))],
            ..SYSTEM_V
        },
    ),
    Row::untried(
        442,
        "A terminal that is shared with a person: `TIOCSTI`, `TIOCLINUX`",
        "To be `ioctl`s that are not on the list",
        Status::Open,
        "the guest has no terminal that a test could share; kernels since 6.2 can refuse TIOCSTI themselves",
    ),
    Row::untried(
        443,
        "A program that the kernel starts to answer for a key: `request_key`",
        "To be asked of `key_alloc`",
        Status::Open,
        "the guest has no such program",
    ),
];

/// Nothing but the vault's directory may be read.
const VAULT_ONLY: &str = "files:\n  - allow: [read, list]\n    paths: ['/var/**']";

/// A System V object that is removed when this is dropped.
struct Removed(i64, fn(i64) -> Res);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.1(self.0);
    }
}

/// A queue that is removed when this is dropped.
struct Queue;

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = files::remove_queue("picket-victim");
    }
}

/// One of the numbers in the note.
fn number(arena: &Arena, index: i64) -> i64 {
    arena.note.get() as i64 >> (index * NUMBER) & ((1 << NUMBER) - 1)
}
