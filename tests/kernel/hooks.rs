//! One file a hook, named as the hook. Each has a [`Case`] for the situations that are the same
//! everywhere, and tests of what is special about it.

mod bpf;
mod bprm_check_security;
mod file_mprotect;
mod file_open;
mod ipc_permission;
mod mmap_file;
mod move_mount;
mod msg_queue_msgctl;
mod path_chmod;
mod path_chown;
mod path_chroot;
mod path_link;
mod path_mkdir;
mod path_mknod;
mod path_rename;
mod path_rmdir;
mod path_symlink;
mod path_truncate;
mod path_unlink;
mod ptrace_access_check;
mod sb_mount;
mod sb_pivotroot;
mod sb_remount;
mod sb_umount;
mod sem_semctl;
mod shm_shmctl;
mod socket_accept;
mod socket_bind;
mod socket_connect;
mod socket_create;
mod socket_listen;
mod socket_post_create;
mod socket_sendmsg;
mod socket_setsockopt;
mod task_alloc;
mod task_kill;
mod unix_may_send;
mod unix_stream_connect;
mod userns_create;

use sensor_ebpf::hook::Hook;

use crate::support::case::Case;

/// The case of each hook but [`WITHOUT_CASE`].
pub const CASES: &[&Case] = &[
    &file_open::CASE,
    &bprm_check_security::CASE,
    &mmap_file::CASE,
    &file_mprotect::CASE,
    &path_unlink::CASE,
    &path_rmdir::CASE,
    &path_rename::CASE,
    &path_link::CASE,
    &path_mknod::CASE,
    &path_mkdir::CASE,
    &path_symlink::CASE,
    &path_truncate::CASE,
    &socket_create::CASE,
    &socket_connect::CASE,
    &socket_sendmsg::CASE,
    &socket_bind::CASE,
    &unix_stream_connect::CASE,
    &unix_may_send::CASE,
    &task_kill::CASE,
    &ptrace_access_check::CASE,
    &bpf::CASE,
    &userns_create::CASE,
    &sb_mount::CASE,
    &sb_remount::CASE,
    &sb_umount::CASE,
    &sb_pivotroot::CASE,
    &move_mount::CASE,
    &path_chroot::CASE,
    &path_chmod::CASE,
    &path_chown::CASE,
    &socket_listen::CASE,
    &socket_setsockopt::CASE,
    &ipc_permission::CASE,
    &shm_shmctl::CASE,
    &msg_queue_msgctl::CASE,
    &sem_semctl::CASE,
];

/// Hooks that have tests of their own instead: they refuse nothing that a policy could allow, or only
/// what a process has from before its tag.
pub const WITHOUT_CASE: &[Hook] = &[
    Hook::TASK_ALLOC,
    Hook::SOCKET_POST_CREATE,
    Hook::SOCKET_ACCEPT,
    Hook::SHM_ALLOC_SECURITY,
    Hook::MSG_QUEUE_ALLOC_SECURITY,
    Hook::SEM_ALLOC_SECURITY,
    Hook::SHM_FREE_SECURITY,
    Hook::MSG_QUEUE_FREE_SECURITY,
    Hook::SEM_FREE_SECURITY,
];
