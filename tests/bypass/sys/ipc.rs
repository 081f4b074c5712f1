//! System V objects.

use crate::support::sys::{Mut, Ref, Res, sys};

/// `shmget(2)` of a page.
pub fn shared_memory(key: i32, create: bool) -> Res<i64> {
    let flags = if create { libc::IPC_CREAT | 0o666 } else { 0 };
    sys!(SYS_shmget, key, 4096, flags)
}

/// `shmat(2)`.
pub fn attach(id: i64, flags: i32) -> Res<usize> {
    sys!(SYS_shmat, id, 0, flags).map(|at| at as usize)
}

/// Bytes of attached memory.
pub fn bytes_at(at: usize) -> Vec<u8> {
    // SAFETY: the start of a page that `attach` has just mapped for reading.
    unsafe { std::slice::from_raw_parts(at as *const u8, 64) }.to_vec()
}

/// Fills attached memory.
pub fn write_at(at: usize, bytes: &[u8]) {
    assert!(bytes.len() <= 4096);
    // SAFETY: a page that `attach` has just mapped for writing, long enough.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
}

/// `shmctl(2)`: removes it.
pub fn remove_memory(id: i64) -> Res {
    sys!(SYS_shmctl, id, libc::IPC_RMID, 0).map(drop)
}

/// `msgget(2)`.
pub fn queue(key: i32, create: bool) -> Res<i64> {
    let flags = if create { libc::IPC_CREAT | 0o666 } else { 0 };
    sys!(SYS_msgget, key, flags)
}

/// `msgsnd(2)` of 32 bytes.
pub fn queue_send(id: i64, text: &[u8; 32]) -> Res {
    let message = (1_i64, *text);
    sys!(SYS_msgsnd, id, Ref(&message), text.len(), libc::IPC_NOWAIT).map(drop)
}

/// `msgrcv(2)`.
pub fn queue_receive(id: i64) -> Res<[u8; 32]> {
    let mut message = (0_i64, [0_u8; 32]);
    sys!(SYS_msgrcv, id, Mut(&mut message), 32, 0, libc::IPC_NOWAIT)?;
    Ok(message.1)
}

/// `msgctl(2)`: removes it.
pub fn remove_queue(id: i64) -> Res {
    sys!(SYS_msgctl, id, libc::IPC_RMID, 0).map(drop)
}

/// `semget(2)` of one semaphore.
pub fn semaphore(key: i32, create: bool) -> Res<i64> {
    let flags = if create { libc::IPC_CREAT | 0o666 } else { 0 };
    sys!(SYS_semget, key, 1, flags)
}

/// `semop(2)`: adds one.
pub fn raise(id: i64) -> Res {
    // `struct sembuf`: number, operation, flags.
    let operation = [0_i16, 1, libc::IPC_NOWAIT as i16];
    sys!(SYS_semop, id, Ref(&operation), 1).map(drop)
}

/// `semctl(2)`: its value.
pub fn value(id: i64) -> Res<i64> {
    const GETVAL: i32 = 12;
    sys!(SYS_semctl, id, 0, GETVAL, 0)
}

/// `semctl(2)`: removes it.
pub fn remove_semaphore(id: i64) -> Res {
    sys!(SYS_semctl, id, 0, libc::IPC_RMID, 0).map(drop)
}
