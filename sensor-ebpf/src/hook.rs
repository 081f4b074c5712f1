//! The hooks, and what can go wrong in one.

/// An LSM hook, by the number that it has in events and in the fault counters.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Hook(pub u32);

macro_rules! hooks {
    ($($name:ident = $id:literal, $text:literal, $errno:ident
        $(, since $since:literal)? $(, on $on:literal)?;)*) => {
        impl Hook {
            $(
                #[doc = concat!("`", $text, "`; refuses with `-", stringify!($errno), "`.")]
                pub const $name: Hook = Hook($id);
            )*

            /// Every hook that is attached where the kernel has it, with the name of its program, in
            /// attach order.
            pub const ALL: &'static [(Hook, &'static str)] = &[$((Hook::$name, $text)),*];

            /// The first kernel line that has this hook, where it is younger than the oldest kernel
            /// that Picket runs on. An older kernel is guarded by other hooks there; each file says
            /// which.
            #[must_use]
            pub const fn since(self) -> Option<&'static str> {
                match self {
                    $($(Hook::$name => Some($since),)?)*
                    _ => None,
                }
            }

            /// The kernel's hook that the program called `name` is attached to: of the same name, but
            /// where a hook has two programs.
            #[must_use]
            pub fn point(name: &str) -> &str {
                match name {
                    $($($text => $on,)?)*
                    same => same,
                }
            }

            /// What a refusal in this hook returns to the program: a positive errno.
            #[inline(always)]
            #[must_use]
            pub const fn errno(self) -> i32 {
                match self {
                    $(Hook::$name => $errno,)*
                    _ => EPERM,
                }
            }
        }
        $(const _: () = assert!($id < Hook::MAX);)*
    };
}

/// `EPERM`: for what no search path or library retries elsewhere (processes, the kernel itself), and
/// for attributes of files, where it is what everybody but the owner gets (`chmod(2)`): `cp -p` and
/// `tar` go on after it, and would give up on `EACCES`.
pub const EPERM: i32 = 1;
/// `EAGAIN`: what `fork` answers when it cannot get what it needs.
pub const EAGAIN: i32 = 11;
/// `ENOMEM`: what `socket` and `shmget` answer when they cannot get what they need.
pub const ENOMEM: i32 = 12;
/// `EACCES`: for files, programs and peers. Shells keep searching `PATH` on it and libraries try
/// their next file or address, as they do for an ordinary permission error.
pub const EACCES: i32 = 13;
/// `EPROTONOSUPPORT`: for a type or protocol that may not be used, so that libraries fall back.
pub const EPROTONOSUPPORT: i32 = 93;
/// `EAFNOSUPPORT`: for a socket family that may not be used, as on a kernel built without it.
pub const EAFNOSUPPORT: i32 = 97;
/// `ESTALE`: makes `open(2)` look a name up once more; see the `path_mknod` hook.
pub const ESTALE: i32 = 116;

// `task_alloc` comes first: from the moment a task can be tagged its children must be.
hooks! {
    TASK_ALLOC = 0, "task_alloc", EAGAIN;
    FILE_OPEN = 1, "file_open", EACCES;
    BPRM_CHECK_SECURITY = 2, "bprm_check_security", EACCES;
    MMAP_FILE = 3, "mmap_file", EACCES;
    FILE_MPROTECT = 4, "file_mprotect", EACCES;
    PATH_UNLINK = 5, "path_unlink", EACCES;
    PATH_RMDIR = 6, "path_rmdir", EACCES;
    PATH_RENAME = 7, "path_rename", EACCES;
    PATH_LINK = 8, "path_link", EACCES;
    PATH_MKNOD = 9, "path_mknod", EACCES;
    PATH_MKDIR = 10, "path_mkdir", EACCES;
    PATH_SYMLINK = 11, "path_symlink", EACCES;
    PATH_TRUNCATE = 12, "path_truncate", EACCES;
    SOCKET_CREATE = 13, "socket_create", EPROTONOSUPPORT;
    SOCKET_CONNECT = 14, "socket_connect", EACCES;
    SOCKET_SENDMSG = 15, "socket_sendmsg", EACCES;
    SOCKET_BIND = 16, "socket_bind", EACCES;
    UNIX_STREAM_CONNECT = 17, "unix_stream_connect", EACCES;
    UNIX_MAY_SEND = 18, "unix_may_send", EACCES;
    TASK_KILL = 19, "task_kill", EPERM;
    PTRACE_ACCESS_CHECK = 20, "ptrace_access_check", EPERM;
    BPF = 21, "bpf", EPERM;
    USERNS_CREATE = 22, "userns_create", EPERM;
    SB_MOUNT = 23, "sb_mount", EPERM;
    SB_REMOUNT = 24, "sb_remount", EPERM;
    SB_UMOUNT = 25, "sb_umount", EPERM;
    SB_PIVOTROOT = 26, "sb_pivotroot", EPERM;
    MOVE_MOUNT = 27, "move_mount", EPERM;
    PATH_CHROOT = 28, "path_chroot", EPERM;
    PATH_CHMOD = 29, "path_chmod", EPERM;
    PATH_CHOWN = 30, "path_chown", EPERM;
    CAPABLE = 50, "capable", EPERM;
    PTRACE_TRACEME = 51, "ptrace_traceme", EPERM;
    TASK_SETRLIMIT = 52, "task_setrlimit", EPERM;
    TASK_SETSCHEDULER = 53, "task_setscheduler", EPERM;
    TASK_SETNICE = 54, "task_setnice", EPERM;
    TASK_SETIOPRIO = 55, "task_setioprio", EPERM;
    TASK_MOVEMEMORY = 56, "task_movememory", EPERM;
    FILE_FCNTL = 57, "file_fcntl", EPERM;
    FILE_SEND_SIGIOTASK = 58, "file_send_sigiotask", EPERM;
    PERF_EVENT_OPEN = 60, "perf_event_open", EACCES;
    KERNEL_MODULE_REQUEST = 61, "kernel_module_request", EPERM;
    KERNEL_READ_FILE = 62, "kernel_read_file", EPERM;
    KERNEL_LOAD_DATA = 63, "kernel_load_data", EPERM;
    LOCKED_DOWN = 64, "locked_down", EPERM;
    SYSLOG = 65, "syslog", EPERM;
    KEY_ALLOC = 66, "key_alloc", EACCES;
    KEY_PERMISSION = 67, "key_permission", EACCES;
    INODE_INIT_SECURITY_ANON = 68, "inode_init_security_anon", EPERM;
    URING_ALLOWED = 69, "uring_allowed", EPERM, since "6.15";
    URING_OVERRIDE_CREDS = 70, "uring_override_creds", EPERM;
    URING_CMD = 71, "uring_cmd", EPERM;
    INODE_SETATTR = 31, "inode_setattr", EPERM;
    INODE_SETXATTR = 32, "inode_setxattr", EPERM;
    INODE_REMOVEXATTR = 33, "inode_removexattr", EPERM;
    INODE_SET_ACL = 34, "inode_set_acl", EPERM, since "6.2";
    INODE_REMOVE_ACL = 35, "inode_remove_acl", EPERM, since "6.2";
    INODE_FILE_SETATTR = 36, "inode_file_setattr", EPERM, since "6.17";
    FILE_IOCTL = 37, "file_ioctl", EACCES;
    FILE_IOCTL_COMPAT = 38, "file_ioctl_compat", EACCES, since "6.8";
    FILE_RECEIVE = 39, "file_receive", EACCES;
    PATH_NOTIFY = 40, "path_notify", EACCES;
    INODE_CREATE = 41, "inode_create", EACCES;
    INODE_UNLINK = 42, "inode_unlink", EACCES;
    FILE_PERMISSION = 43, "file_permission", EACCES;
    FILE_TRUNCATE = 44, "file_truncate", EACCES, since "6.2";
    SOCKET_POST_CREATE = 85, "socket_post_create", ENOMEM;
    SOCKET_LISTEN = 86, "socket_listen", EACCES;
    SOCKET_ACCEPT = 87, "socket_accept", EACCES;
    SOCKET_SETSOCKOPT = 88, "socket_setsockopt", EPERM;
    SHM_ALLOC_SECURITY = 89, "shm_alloc_security", ENOMEM;
    MSG_QUEUE_ALLOC_SECURITY = 90, "msg_queue_alloc_security", ENOMEM;
    SEM_ALLOC_SECURITY = 91, "sem_alloc_security", ENOMEM;
    SHM_FREE_SECURITY = 92, "shm_free_security", EPERM;
    MSG_QUEUE_FREE_SECURITY = 93, "msg_queue_free_security", EPERM;
    SEM_FREE_SECURITY = 94, "sem_free_security", EPERM;
    IPC_PERMISSION = 95, "ipc_permission", EACCES;
    SHM_SHMCTL = 96, "shm_shmctl", EPERM;
    MSG_QUEUE_MSGCTL = 97, "msg_queue_msgctl", EPERM;
    SEM_SEMCTL = 98, "sem_semctl", EPERM;
    SOCKET_SENDMSG_UNIX = 99, "socket_sendmsg_unix", EACCES, on "socket_sendmsg";
    FILE_RECEIVE_INET = 100, "file_receive_inet", EACCES, on "file_receive";
    FILE_WRITE_INET = 101, "file_write_inet", EACCES, on "file_permission";
}

impl Hook {
    /// Hooks that everybody on the machine runs through all the time, and that only few agents need:
    /// loaded with the others, and attached only while there is such an agent.
    pub const ON_DEMAND: &'static [Hook] = &[
        Hook::FILE_PERMISSION,
        Hook::FILE_TRUNCATE,
        Hook::SOCKET_SENDMSG_UNIX,
        Hook::FILE_WRITE_INET,
    ];

    /// Whether it is one of [`Hook::ON_DEMAND`].
    #[must_use]
    pub fn is_on_demand(self) -> bool {
        Self::ON_DEMAND.contains(&self)
    }

    /// The hook whose program is called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Hook> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name)?;
        Some(found.0)
    }

    /// Room for hooks in the fault counters.
    pub const MAX: u32 = 128;

    /// The name of its program, which is the kernel's for the hook; see [`point`](Self::point).
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let found = Self::ALL.iter().find(|(hook, _)| *hook == self)?;
        Some(found.1)
    }
}

/// An internal error while judging. It denies a tagged task, is counted per hook and cause, and is
/// reported; an untagged task never gets as far.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Fault(pub u32);

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident = $id:literal, $text:literal;)*) => {
        impl Fault {
            $($(#[doc = $doc])* pub const $name: Fault = Fault($id);)*

            /// Every cause with the words that events and `doctor` use for it.
            pub const ALL: &'static [(Fault, &'static str)] = &[$((Fault::$name, $text)),*];
        }
        $(const _: () = assert!($id < Fault::MAX);)*
    };
}

faults! {
    /// No fault: the policy itself decided. Never counted.
    NONE = 0, "none";
    /// The tag names an agent slot that is empty or was given to another agent.
    STALE_TAG = 1, "stale tag";
    /// The agent's policy slot holds no table, or a table of another format.
    NO_POLICY = 2, "no policy";
    /// The task's scratch memory could not be had.
    NO_SCRATCH = 3, "no scratch memory";
    /// A kernel structure could not be read.
    UNREADABLE = 4, "unreadable kernel memory";
    /// The canonical path has more than 4095 bytes, or more components than the walker goes.
    PATH_TOO_LONG = 5, "path too long";
    /// The object is on a mount that is detached or belongs to another mount namespace.
    FOREIGN_MOUNT = 6, "detached mount or foreign mount namespace";
    /// Names kept changing while the path was read.
    UNSTABLE_PATH = 7, "path changed while it was read";
    /// The tag could not be copied to a child or to a socket.
    NO_TAG = 8, "tag not copied";
    /// An address or control message that is shorter than its kind demands.
    BAD_ADDRESS = 9, "malformed address or control message";
    /// A socket family that no subject can express.
    UNKNOWN_FAMILY = 10, "unknown socket family";
    /// A directory that may not be moved or linked where its files would gain rights.
    WIDENS = 11, "name would widen rights";
    /// The storage walk that backs up the tag lookup met something that it cannot read.
    TAG_LOOKUP = 12, "tag lookup";
    /// A file that would lend its owner's or group's identity, or capabilities, to whoever runs it.
    SET_ID = 16, "would make a set-id program";
}

impl Fault {
    /// Room for causes in the fault counters.
    pub const MAX: u32 = 32;

    /// The words for it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let found = Self::ALL.iter().find(|(fault, _)| *fault == self)?;
        Some(found.1)
    }
}

/// Entries of the per-CPU array map `FAULTS`, indexed `hook * Fault::MAX + fault`.
pub const FAULT_SLOTS: u32 = Hook::MAX * Fault::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_unique() {
        for (i, (hook, name)) in Hook::ALL.iter().enumerate() {
            assert_eq!(hook.name(), Some(*name));
            assert!(Hook::ALL[..i].iter().all(|(h, n)| h != hook && n != name));
            assert!(hook.errno() > 0 && hook.errno() < 4096);
        }
        for (i, (fault, name)) in Fault::ALL.iter().enumerate() {
            assert_eq!(fault.name(), Some(*name));
            assert!(Fault::ALL[..i].iter().all(|(f, n)| f != fault && n != name));
        }
    }
}
