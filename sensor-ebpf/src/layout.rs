//! The kernel's own structures: every field that the programs read, named once.
//!
//! Rust for BPF has no CO-RE relocations. Userspace finds each field in the running kernel's BTF,
//! puts its offset into [`Layout`], and hands that to the programs as a read-only global, which the
//! verifier sees as constants. A field that the kernel does not have is a load error naming it.

macro_rules! layout {
    ($($field:ident = $of:literal, $path:literal;)*) => {
        /// Byte offsets of kernel fields, and the few facts that are no offsets. All of them are
        /// 64-bit words, so that the structure has no padding and one shape in both halves.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Layout {
            $(#[doc = concat!("Offset of `", $path, "` in `struct ", $of, "`.")] pub $field: u64,)*
            /// Bit of `dentry.d_flags` that marks a lookup in progress (`DCACHE_PAR_LOOKUP`; it
            /// moved in 6.18).
            pub dcache_par_lookup: u64,
            /// From a `struct mount` to its place in its file system's list of mounts (`mnt_instance`
            /// in a ring until 6.17, since then the mount itself in a chain).
            pub mount_of_sb: u64,
            /// From such a place to the pointer to the next.
            pub mount_of_sb_next: u64,
            /// Which argument of `inode_setattr` is the dentry: the second since 6.9.
            pub setattr_dentry: u64,
            /// Address of `rename_lock`'s sequence counter: changes whenever any dentry moves.
            pub rename_seq: u64,
            /// Address of `mount_lock`'s sequence counter: changes whenever any mount does.
            pub mount_seq: u64,
        }

        /// `(struct, field path)` of each offset, in the order that they have in [`Layout`].
        pub const FIELDS: &[(&str, &str)] = &[$(($of, $path)),*];

        impl Layout {
            /// What the object carries before the loader fills it in.
            pub const ZERO: Layout =
                Layout {
                    $($field: 0,)*
                    dcache_par_lookup: 0,
                    mount_of_sb: 0,
                    mount_of_sb_next: 0,
                    setattr_dentry: 0,
                    rename_seq: 0,
                    mount_seq: 0,
                };

            /// The layout with these offsets, one per entry of [`FIELDS`]; the facts are 0.
            #[must_use]
            pub fn from_offsets(offsets: &[u64; FIELDS.len()]) -> Layout {
                let [$($field),*] = *offsets;
                Layout { $($field,)* ..Layout::default() }
            }
        }
    };
}

layout! {
    file_path = "file", "f_path";
    file_flags = "file", "f_flags";
    file_mode = "file", "f_mode";
    path_mnt = "path", "mnt";
    path_dentry = "path", "dentry";
    dentry_flags = "dentry", "d_flags";
    dentry_hash_pprev = "dentry", "d_hash.pprev";
    dentry_seq = "dentry", "d_seq.seqcount.sequence";
    dentry_parent = "dentry", "d_parent";
    dentry_name = "dentry", "d_name";
    dentry_inode = "dentry", "d_inode";
    dentry_sb = "dentry", "d_sb";
    inode_mode = "inode", "i_mode";
    inode_rdev = "inode", "i_rdev";
    inode_number = "inode", "i_ino";
    inode_generation = "inode", "i_generation";
    file_inode = "file", "f_inode";
    sb_flags = "super_block", "s_flags";
    sb_magic = "super_block", "s_magic";
    sb_mounts = "super_block", "s_mounts";
    vfsmount_root = "vfsmount", "mnt_root";
    mount_vfsmount = "mount", "mnt";
    mount_parent = "mount", "mnt_parent";
    mount_mountpoint = "mount", "mnt_mountpoint";
    mount_ns = "mount", "mnt_ns";
    task_storage = "task_struct", "bpf_storage";
    task_nsproxy = "task_struct", "nsproxy";
    task_parent = "task_struct", "real_parent";
    task_tgid = "task_struct", "tgid";
    task_own_cred = "task_struct", "real_cred";
    task_cred = "task_struct", "cred";
    task_leader = "task_struct", "group_leader";
    task_start = "task_struct", "start_boottime";
    task_pid = "task_struct", "thread_pid";
    pid_level = "pid", "level";
    pid_numbers = "pid", "numbers";
    qstr_name = "qstr", "name";
    nsproxy_mnt_ns = "nsproxy", "mnt_ns";
    mnt_namespace_event = "mnt_namespace", "event";
    mnt_namespace_number = "mnt_namespace", "ns.inum";
    storage_list = "bpf_local_storage", "list";
    element_node = "bpf_local_storage_elem", "snode";
    element_map = "bpf_local_storage_elem", "sdata.smap";
    element_data = "bpf_local_storage_elem", "sdata.data";
    task_real_cred = "task_struct", "real_cred";
    task_io_uring = "task_struct", "io_uring";
    iattr_valid = "iattr", "ia_valid";
    task_signal = "task_struct", "signal";
    signal_pids = "signal_struct", "pids";
    proc_inode_vfs = "proc_inode", "vfs_inode";
    proc_inode_pid = "proc_inode", "pid";
    bprm_file = "linux_binprm", "file";
    vma_file = "vm_area_struct", "vm_file";
    socket_sk = "socket", "sk";
    sock_family = "sock", "__sk_common.skc_family";
    sock_protocol = "sock", "sk_protocol";
    sock_type = "sock", "sk_type";
    sock_state = "sock", "__sk_common.skc_state";
    sock_storage = "sock", "sk_bpf_storage";
    sock_local_port = "sock", "__sk_common.skc_num";
    sock_local_v4 = "sock", "__sk_common.skc_rcv_saddr";
    sock_local_v6 = "sock", "__sk_common.skc_v6_rcv_saddr";
    sock_peer_port = "sock", "__sk_common.skc_dport";
    sock_peer_v4 = "sock", "__sk_common.skc_daddr";
    sock_peer_v6 = "sock", "__sk_common.skc_v6_daddr";
    unix_path = "unix_sock", "path";
    unix_addr = "unix_sock", "addr";
    unix_peer = "unix_sock", "peer";
    unix_addr_len = "unix_address", "len";
    unix_addr_name = "unix_address", "name";
    ipc_id = "kern_ipc_perm", "id";
    ipc_key = "kern_ipc_perm", "key";
    msghdr_name = "msghdr", "msg_name";
    msghdr_namelen = "msghdr", "msg_namelen";
    msghdr_control = "msghdr", "msg_control";
    msghdr_controllen = "msghdr", "msg_controllen";
}
