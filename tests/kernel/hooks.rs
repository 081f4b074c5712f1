//! One file a hook, named as the hook. Each has a [`Case`] for the situations that are the same
//! everywhere, and tests of what is special about it.

mod bpf;
mod bprm_check_security;
mod capable;
mod file_fcntl;
mod file_ioctl;
mod file_ioctl_compat;
mod file_mprotect;
mod file_open;
mod file_permission;
mod file_receive;
mod file_send_sigiotask;
mod inode_create;
mod inode_file_setattr;
mod inode_init_security_anon;
mod inode_remove_acl;
mod inode_removexattr;
mod inode_set_acl;
mod inode_setattr;
mod inode_setxattr;
mod inode_unlink;
mod ipc_permission;
mod kernel_load_data;
mod kernel_module_request;
mod kernel_read_file;
mod key_alloc;
mod key_permission;
mod locked_down;
mod mmap_file;
mod move_mount;
mod msg_queue_msgctl;
mod path_chmod;
mod path_chown;
mod path_chroot;
mod path_link;
mod path_mkdir;
mod path_mknod;
mod path_notify;
mod path_rename;
mod path_rmdir;
mod path_symlink;
mod path_truncate;
mod path_unlink;
mod perf_event_open;
mod ptrace_access_check;
mod ptrace_traceme;
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
mod socket_sendmsg_unix;
mod socket_setsockopt;
mod syslog;
mod task_alloc;
mod task_kill;
mod task_movememory;
mod task_setioprio;
mod task_setnice;
mod task_setrlimit;
mod task_setscheduler;
mod unix_may_send;
mod unix_stream_connect;
mod uring_allowed;
mod uring_cmd;
mod uring_override_creds;
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
    &inode_setattr::CASE,
    &inode_setxattr::CASE,
    &inode_removexattr::CASE,
    &inode_set_acl::CASE,
    &inode_remove_acl::CASE,
    &inode_file_setattr::CASE,
    &file_ioctl::CASE,
    &file_ioctl_compat::CASE,
    &file_receive::CASE,
    &path_notify::CASE,
    &inode_create::CASE,
    &inode_unlink::CASE,
    &socket_listen::CASE,
    &socket_setsockopt::CASE,
    &ipc_permission::CASE,
    &shm_shmctl::CASE,
    &msg_queue_msgctl::CASE,
    &sem_semctl::CASE,
    &capable::CASE,
    &ptrace_traceme::CASE,
    &task_setrlimit::CASE,
    &task_setscheduler::CASE,
    &task_setnice::CASE,
    &task_setioprio::CASE,
    &task_movememory::CASE,
    &file_fcntl::CASE,
    &perf_event_open::CASE,
    &kernel_module_request::CASE,
    &kernel_read_file::CASE,
    &kernel_load_data::CASE,
    &locked_down::CASE,
    &syslog::CASE,
    &key_alloc::CASE,
    &key_permission::CASE,
    &inode_init_security_anon::CASE,
    &uring_allowed::CASE,
    &uring_override_creds::CASE,
    &uring_cmd::CASE,
];

/// Hooks that have tests of their own instead (or a row in the catalogue): they refuse nothing that a policy
/// could allow, or only what a process has from before its tag.
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
    Hook::FILE_PERMISSION,
    Hook::FILE_TRUNCATE,
    Hook::SOCKET_SENDMSG_UNIX,
    Hook::FILE_RECEIVE_INET,
    Hook::FILE_WRITE_INET,
    Hook::FILE_SEND_SIGIOTASK,
];
