//! System V objects: shared memory, semaphores, message queues.

use std::ptr::null_mut;

use super::{Entry, Op, check, entry};

/// All of them.
pub const ALL: &[Entry] = &[
    entry("shmget+rmid", "shm_alloc_security, shm_shmctl, shm_free_security", shared_memory),
    entry("shmat+shmdt", "ipc_permission, mmap_file", attach),
    entry("semget+rmid", "sem_alloc_security, sem_semctl, sem_free_security", semaphores),
    entry("semop", "ipc_permission", semaphore),
    entry(
        "msgget+rmid",
        "msg_queue_alloc_security, msg_queue_msgctl, msg_queue_free_security",
        queue,
    ),
];

fn shared_memory() -> Op {
    Op::new(200, || {
        // SAFETY: takes numbers only.
        unsafe {
            let id = check(libc::shmget(libc::IPC_PRIVATE, 4096, 0o600), "shmget");
            check(libc::shmctl(id, libc::IPC_RMID, null_mut()), "shmctl");
        }
    })
}

/// An object for as long as this program runs, and a moment longer: whoever measures ends the machine.
fn attach() -> Op {
    // SAFETY: takes numbers only.
    let id = check(unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) }, "shmget");
    Op::new(200, move || {
        // SAFETY: a new mapping, which nobody looks into before it is taken off.
        unsafe {
            let at = libc::shmat(id, null_mut(), 0);
            assert_ne!(at.addr(), usize::MAX, "shmat: {}", std::io::Error::last_os_error());
            check(libc::shmdt(at), "shmdt");
        }
    })
}

fn semaphores() -> Op {
    Op::new(200, || {
        // SAFETY: takes numbers only.
        unsafe {
            let id = check(libc::semget(libc::IPC_PRIVATE, 1, 0o600), "semget");
            check(libc::semctl(id, 0, libc::IPC_RMID), "semctl");
        }
    })
}

/// Up and down again.
fn semaphore() -> Op {
    // SAFETY: takes numbers only.
    let id = check(unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) }, "semget");
    Op::new(500, move || {
        for sem_op in [1, -1] {
            let mut one = libc::sembuf { sem_num: 0, sem_op, sem_flg: 0 };
            // SAFETY: one whole operation.
            check(unsafe { libc::semop(id, &raw mut one, 1) }, "semop");
        }
    })
}

fn queue() -> Op {
    Op::new(200, || {
        // SAFETY: takes numbers only.
        unsafe {
            let id = check(libc::msgget(libc::IPC_PRIVATE, 0o600), "msgget");
            check(libc::msgctl(id, libc::IPC_RMID, null_mut()), "msgctl");
        }
    })
}
