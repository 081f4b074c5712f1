//! System V objects.

use super::{Ref, Res, sys};

/// A kind of System V object. All are found by keys and known by ids alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Shared memory.
    Memory,
    /// A message queue.
    Queue,
    /// Semaphores.
    Semaphores,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Memory, Kind::Queue, Kind::Semaphores];

    /// `shmget(2)` and its like: the id of the object with this key.
    pub fn get(self, key: i32, flags: i32) -> Res<i64> {
        match self {
            Kind::Memory => sys!(SYS_shmget, key, 4096, flags),
            Kind::Queue => sys!(SYS_msgget, key, flags),
            Kind::Semaphores => sys!(SYS_semget, key, 1, flags),
        }
    }

    /// A new object with this key, of mode 600.
    pub fn make(self, key: i32) -> Res<i64> {
        self.get(key, libc::IPC_CREAT | libc::IPC_EXCL | 0o600)
    }

    /// `shmctl(2)` and its like with `IPC_RMID`.
    pub fn remove(self, id: i64) -> Res {
        match self {
            Kind::Memory => sys!(SYS_shmctl, id, libc::IPC_RMID, 0),
            Kind::Queue => sys!(SYS_msgctl, id, libc::IPC_RMID, 0),
            Kind::Semaphores => sys!(SYS_semctl, id, 0, libc::IPC_RMID, 0),
        }
        .map(drop)
    }

    /// Puts something there that others would see: what is used through the id alone.
    pub fn touch(self, id: i64) -> Res {
        match self {
            Kind::Memory => {
                let at = sys!(SYS_shmat, id, 0, 0)?;
                sys!(SYS_shmdt, at).map(drop)
            }
            Kind::Queue => {
                // `struct msgbuf`: a type that is not 0, and one byte.
                let message = [1_u64, 0];
                sys!(SYS_msgsnd, id, Ref(&message), 1, libc::IPC_NOWAIT).map(drop)
            }
            Kind::Semaphores => {
                // `struct sembuf`: number, operation (add one), flags; 16 bits each.
                let operation = [0_u16, 1, 0];
                sys!(SYS_semop, id, Ref(&operation), 1).map(drop)
            }
        }
    }
}

/// An object that goes when this does, if it is still there.
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: i64,
}

impl Object {
    /// A new one.
    pub fn new(kind: Kind, key: i32) -> Object {
        let id = kind.make(key).unwrap_or_else(|error| panic!("{kind:?} {key:#x}: {error:?}"));
        Object { kind, id }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _ = self.kind.remove(self.id);
    }
}
