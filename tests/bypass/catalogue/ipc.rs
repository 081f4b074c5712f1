//! 400s, third part: objects that are shared with somebody outside.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;

use super::VAULT;
use crate::arena::{Arena, SECRET};
use crate::row::{ATTACK, Attack, Control, Row, way};
use crate::support::fence::Fence;
use crate::support::place;
use crate::support::sys::ipc::Kind;
use crate::support::sys::{Errno, Res};
use crate::sys::{bpf, files, ipc, kernel};

/// Objects of System V that somebody outside has made.
const SYSTEM_V: Attack =
    Attack { policy: VAULT, hook: Hook::IPC_PERMISSION, right: Rights::PROCESS, ..ATTACK };

/// The kernel's keys.
const KEYS: Attack =
    Attack { policy: VAULT, hook: Hook::KEY_ALLOC, right: Rights::KERNEL, ..ATTACK };

/// The key of objects that must stay.
const KEY: i32 = 0x7037;
/// Numbers of the objects that are there to be removed; children are born with them.
static NUMBERS: [AtomicI64; 3] = [const { AtomicI64::new(0) }; 3];

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
    Row::stopped(
        435,
        "A POSIX message queue removed",
        "No agent may, for it has no name that a rule could allow",
        Attack {
            policy: VAULT_ONLY,
            hook: Hook::INODE_UNLINK,
            right: Rights::DELETE,
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
            prepare: |_| {
                let memory = ipc::shared_memory(KEY, true).unwrap();
                let queue = ipc::queue(KEY, true).unwrap();
                let semaphore = ipc::semaphore(KEY, true).unwrap();
                for (slot, number) in NUMBERS.iter().zip([memory, queue, semaphore]) {
                    slot.store(number, Ordering::SeqCst);
                }
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
                way("shmctl", |_| ipc::remove_memory(number(0))),
                way("msgctl", |_| ipc::remove_queue(number(1)))
                    .by(Hook::MSG_QUEUE_MSGCTL, Rights::PROCESS),
                way("semctl", |_| ipc::remove_semaphore(number(2)))
                    .by(Hook::SEM_SEMCTL, Rights::PROCESS),
            ],
            ..SYSTEM_V
        },
    ),
    Row::stopped(
        437,
        "A POSIX message queue made, for somebody outside to read",
        "No agent may, for it has no name that a rule could allow",
        Attack {
            policy: VAULT_ONLY,
            hook: Hook::INODE_CREATE,
            right: Rights::CREATE,
            prepare: |_| {
                drop(Queue);
                Box::new(Queue)
            },
            happened: |_| Path::new("/dev/mqueue/picket-victim").exists(),
            ways: &[way("mq_open", |_| {
                files::message_queue("picket-victim", libc::O_CREAT | libc::O_RDWR).map(drop)
            })],
            ..SYSTEM_V
        },
    ),
    Row::tested(
        438,
        "The marks by which an agent's own System V objects are told from others, lost",
        "They are set when an object is made; without them the agent may not use its own",
        &[Hook::SHM_ALLOC_SECURITY, Hook::MSG_QUEUE_ALLOC_SECURITY, Hook::SEM_ALLOC_SECURITY],
        own_objects_are_known,
    ),
    Row::tested(
        439,
        "So many System V objects made and removed that there is no room for marks",
        "A mark goes with its object, and its room is there for the next",
        &[Hook::SHM_FREE_SECURITY, Hook::MSG_QUEUE_FREE_SECURITY, Hook::SEM_FREE_SECURITY],
        marks_go_with_their_objects,
    ),
    Row::stopped(
        441,
        "A key that somebody outside keeps in a keyring",
        "No agent may use keys",
        Attack {
            hook: Hook::KEY_PERMISSION,
            before: |arena| {
                let key = kernel::add_key("user", "picket-key", SECRET.as_bytes())?;
                arena.note.set(key as u64);
                Ok(())
            },
            // The kernel goes on to say that there is none.
            ways: &[way("keyctl read", |a| a.take(&kernel::read_key(a.note.get() as i64)?))
                .errno(libc::ENOKEY)],
            ..KEYS
        },
    ),
    Row::stopped(
        442,
        "Something typed into a terminal that is shared with a person: `TIOCSTI`",
        "An `ioctl` that is not on the list",
        Attack {
            hook: Hook::FILE_IOCTL,
            right: Rights::KERNEL,
            control: Control::Root("since 6.2 it takes CAP_SYS_ADMIN"),
            before: |arena| {
                let terminal = kernel::terminal()?;
                arena.note.set(std::os::fd::AsRawFd::as_raw_fd(&terminal) as u64);
                std::mem::forget(terminal);
                Ok(())
            },
            ways: &[way("TIOCSTI", |a| {
                kernel::type_into(&crate::sys::owned(a.note.get() as i64))?;
                a.take(SECRET.as_bytes())
            })],
            ..KEYS
        },
    ),
    Row::stopped(
        443,
        "A program that the kernel starts outside to answer for a key: `request_key`",
        "No agent may use keys, and the one that is asked for is looked for in its keyrings",
        Attack {
            hook: Hook::KEY_PERMISSION,
            prepare: |arena| {
                let script = format!("#!/bin/sh\n: > {}\n", arena.text("work/ran"));
                place::program(Path::new("/sbin"), "request-key", script.as_bytes());
                Box::new(Answerer)
            },
            happened: Arena::ran,
            ways: &[way("request_key", |a| match kernel::request_key("picket-asked-for") {
                // Nor has the program made one.
                Err(Errno(libc::ENOKEY)) if a.ran() => Ok(()),
                answer => answer.map(drop),
            })],
            ..KEYS
        },
    ),
    Row::stopped(
        444,
        "A keyring of its own, to leave keys in",
        "No agent may make keys, and a keyring is one",
        Attack {
            ways: &[way("KEYCTL_JOIN_SESSION_KEYRING", |a| {
                kernel::new_session_keyring()?;
                a.take(SECRET.as_bytes())
            })],
            ..KEYS
        },
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

/// The program that answers for keys; goes when this is dropped.
struct Answerer;

impl Drop for Answerer {
    fn drop(&mut self) {
        let _ = fs::remove_file("/sbin/request-key");
    }
}

/// What an agent makes it may use and remove.
fn own_objects_are_known() {
    let mut fence = Fence::up();
    let agent = fence.agent("/var/tmp", VAULT_ONLY);
    for kind in Kind::ALL {
        let mut child = fence.tagged(&agent, |_| -> Res {
            let id = kind.make(libc::IPC_PRIVATE)?;
            let used = kind.touch(id);
            kind.remove(id).and(used)
        });
        assert_eq!(child.try_to(0), Ok(()), "{kind:?}");
    }
    fence.quiet(&agent);
}

/// Of each kind some objects are made and removed: marks are there as long as they are.
fn marks_go_with_their_objects() {
    const OBJECTS: usize = 8;
    let mut fence = Fence::up();
    let agent = fence.agent("/var/tmp", VAULT_ONLY);
    let marks = bpf::map_called("IPC_MAKERS").unwrap();
    for kind in Kind::ALL {
        let before = settled(&marks);
        let objects: RefCell<Vec<i64>> = RefCell::default();
        let mut child = fence.tagged(&agent, |step| -> Res {
            let mut objects = objects.borrow_mut();
            if step == 0 {
                for _ in 0..OBJECTS {
                    objects.push(kind.make(libc::IPC_PRIVATE)?);
                }
                return Ok(());
            }
            objects.drain(..).try_for_each(|id| kind.remove(id))
        });
        assert_eq!(child.try_to(0), Ok(()), "{kind:?}");
        assert_eq!(marked(&marks).difference(&before).count(), OBJECTS, "{kind:?} marked");
        assert_eq!(child.try_to(1), Ok(()), "{kind:?}");
        // The kernel frees them when nobody can be looking any more.
        let gone = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            marked(&marks).is_subset(&before)
        });
        let left = marked(&marks).difference(&before).count();
        assert!(gone, "{kind:?}: {left} of {OBJECTS} marks are left when all objects are gone");
    }
}

/// Marks, as soon as those of objects that are being freed are gone.
fn settled(marks: &OwnedFd) -> BTreeSet<u64> {
    let mut before = marked(marks);
    for _ in 0..10 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        before = marked(marks);
    }
    before
}

/// Addresses that bear a mark.
fn marked(marks: &OwnedFd) -> BTreeSet<u64> {
    bpf::keys(marks).unwrap().into_iter().collect()
}

/// One of the numbers.
fn number(index: usize) -> i64 {
    NUMBERS[index].load(Ordering::SeqCst)
}
