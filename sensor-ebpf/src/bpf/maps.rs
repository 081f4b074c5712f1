//! Every map, with who writes and who reads it.

use aya_ebpf::bindings::{BPF_F_CLONE, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC};
use aya_ebpf::btf_maps::{Array, ArrayOfMaps, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::helpers::generated::{bpf_sk_storage_get, bpf_task_storage_get};
use aya_ebpf::macros::btf_map;
use sensor_ebpf::hook::FAULT_SLOTS;
use sensor_ebpf::layout::Layout;
use sensor_ebpf::limits::{AGENTS_MAX, IPC_MAX, POLICIES_MAX, RING_BYTES, TABLE_CELLS};
use sensor_ebpf::tag::{Agent, Tag};
use sensor_ebpf::tagging::{CgroupRule, NAME_KEY, PATH_KEY, RULES_MAX};

use super::scratch::Scratch;
use super::vmlinux::{Opaque, Task};

/// Definition of a `BPF_MAP_TYPE_TASK_STORAGE` map, for which aya-ebpf has no wrapper. The fields
/// only make the BTF that the loader reads: integers are lengths of arrays, types are pointees.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; 29],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the fields are never read; the loader replaces references to the static by the map.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> TaskStorage<T> {
        TaskStorage {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// Address of the map, as the kernel knows it.
    #[inline(always)]
    pub fn address(&'static self) -> u64 {
        core::ptr::from_ref(self) as u64
    }

    /// The task's value, or null. On 6.1 null may also mean that another task of this CPU is in
    /// the middle of a storage operation.
    #[inline(always)]
    pub fn get(&'static self, task: Task) -> *mut T {
        // SAFETY: the helper takes any task that the verifier trusts, and checks it itself.
        unsafe {
            bpf_task_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                task.0.cast_mut().cast(),
                core::ptr::null_mut(),
                0,
            )
        }
        .cast()
    }

    /// The task's value, made as `initial` (zeros if null) where there is none; null if that
    /// failed.
    #[inline(always)]
    pub fn get_or_create(&'static self, task: Task, initial: *mut T) -> *mut T {
        const BPF_LOCAL_STORAGE_GET_F_CREATE: u64 = 1;
        // SAFETY: as in `get`; `initial` is null or points to a whole value on the stack, which
        // the verifier checks against the map's value size.
        unsafe {
            bpf_task_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                task.0.cast_mut().cast(),
                initial.cast(),
                BPF_LOCAL_STORAGE_GET_F_CREATE,
            )
        }
        .cast()
    }
}

/// Definition of a `BPF_MAP_TYPE_SK_STORAGE` map whose values pass to the sockets that a listening
/// one makes (`BPF_F_CLONE`), which aya-ebpf's wrapper cannot ask for. As [`TaskStorage`].
#[repr(C)]
pub struct SocketStorage<T> {
    r#type: *const [i32; 24],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// SAFETY: as for `TaskStorage`.
unsafe impl<T> Sync for SocketStorage<T> {}

impl<T> SocketStorage<T> {
    const fn new() -> SocketStorage<T> {
        SocketStorage {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The value of a `struct sock` that the verifier knows, or null.
    #[inline(always)]
    pub fn get(&'static self, sk: *const Opaque) -> *mut T {
        self.call(sk, core::ptr::null_mut(), 0)
    }

    /// The same, made as `initial` where there is none; null if that failed.
    #[inline(always)]
    pub fn get_or_create(&'static self, sk: *const Opaque, initial: *mut T) -> *mut T {
        const BPF_SK_STORAGE_GET_F_CREATE: u64 = 1;
        self.call(sk, initial, BPF_SK_STORAGE_GET_F_CREATE)
    }

    #[inline(always)]
    fn call(&'static self, sk: *const Opaque, initial: *mut T, flags: u64) -> *mut T {
        // SAFETY: the helper takes any socket that the verifier knows; `initial` is null or points
        // to a whole value on the stack, which the verifier checks against the map's value size.
        unsafe {
            bpf_sk_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                sk.cast_mut().cast(),
                initial.cast(),
                flags,
            )
        }
        .cast()
    }
}

/// A policy table.
pub type Table = [u16; TABLE_CELLS];

/// Task → tag. Written by userspace through a pidfd, by `task_alloc` for children, by the rules of
/// [`super::tagging`], and for the threads of a process whose first thread has a tag.
#[btf_map]
pub static TAGS: TaskStorage<Tag> = TaskStorage::new();

/// Task → room for one subject. Per task and not per CPU: a task that pre-empts another inside
/// the same program must not overwrite what the other is matching. Made at first use.
#[btf_map]
pub static SCRATCH: TaskStorage<Scratch> = TaskStorage::new();

/// Task → room for the second subject of a rename or link. Made at first use.
#[btf_map]
pub static SCRATCH_PEER: TaskStorage<Scratch> = TaskStorage::new();

/// Socket → tag of the task that made it. Written by `socket_post_create`; passes to the sockets
/// that a listening one accepts. A socket without a value came from outside.
#[btf_map]
pub static MAKERS: SocketStorage<Tag> = SocketStorage::new();

/// Address of a System V object → tag of the task that made it. Written and cleared where objects are
/// made; see `ipc`.
#[btf_map]
pub static IPC_MAKERS: HashMap<u64, Tag, { IPC_MAX as usize }> = HashMap::new();

/// Agent slot → agent. Written by userspace; the programs only advance its counters. Mapped into
/// userspace's memory, because an update by system call would write the counters too, which the
/// programs advance meanwhile.
#[btf_map]
pub static AGENTS: Array<Agent, { AGENTS_MAX as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();

/// Policy slot → table. Replaced whole by userspace; a program uses one table from start to end.
#[btf_map]
pub static POLICIES: ArrayOfMaps<Array<Table, 1>, { POLICIES_MAX as usize }> = ArrayOfMaps::new();

/// Events to userspace.
#[btf_map]
pub static EVENTS: RingBuf<u8, { RING_BYTES as usize }> = RingBuf::new();

/// `hook * Fault::MAX + fault` → how often, per CPU. Read by userspace.
#[btf_map]
pub static FAULTS: PerCpuArray<u64, { FAULT_SLOTS as usize }> = PerCpuArray::new();

/// Which rules for tagging there are: `tagging::BY_*`. Written by userspace.
#[btf_map]
pub static TAGGING: Array<u32, 1> = Array::new();

/// Canonical path of a program, as `tagging::path_key` makes it → tag of who runs it. Written by
/// userspace.
#[btf_map]
pub static TAG_PATHS: HashMap<[u8; PATH_KEY], Tag, { RULES_MAX as usize }> = HashMap::new();

/// Names of those programs' files, as `tagging::name_key` makes them. Written by userspace.
#[btf_map]
pub static TAG_NAMES: HashMap<[u8; NAME_KEY], u32, { RULES_MAX as usize }> = HashMap::new();

/// Id of a cgroup → who is in it. Written by userspace.
#[btf_map]
pub static TAG_CGROUPS: HashMap<u64, CgroupRule, { RULES_MAX as usize }> = HashMap::new();

/// Where the kernel keeps its fields. Read-only data, set by the loader before the programs are
/// verified, so that the verifier sees constants.
#[unsafe(no_mangle)]
pub static LAYOUT: Layout = Layout::ZERO;
