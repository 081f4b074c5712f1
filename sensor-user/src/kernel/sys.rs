//! `bpf(2)` where aya has no wrapper: task storage by pidfd, and maps made at run time. The only
//! file of this crate with unsafe code that concerns BPF.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_type};

/// Types that may be handed to the kernel byte by byte.
///
/// # Safety
///
/// The type must be `repr(C)` or an integer, without padding and without pointers.
pub unsafe trait Bytes: Copy {}

// SAFETY: an integer.
unsafe impl Bytes for u32 {}
// SAFETY: an integer.
unsafe impl Bytes for i32 {}
// SAFETY: two 32-bit integers in `repr(C)`; its size is asserted where it is defined.
unsafe impl Bytes for sensor_ebpf::tag::Tag {}
// SAFETY: integers in `repr(C)` without padding; size and offsets are asserted where it is defined.
unsafe impl Bytes for sensor_ebpf::tag::Agent {}

/// A whole [`Layout`](sensor_ebpf::layout::Layout) as aya takes globals.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct LayoutGlobal(pub sensor_ebpf::layout::Layout);

// SAFETY: 64-bit integers in `repr(C)`, hence without padding.
unsafe impl aya::Pod for LayoutGlobal {}

/// An [`Agent`](sensor_ebpf::tag::Agent) as aya takes map values.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct AgentValue(pub sensor_ebpf::tag::Agent);

// SAFETY: as for `Bytes`.
unsafe impl aya::Pod for AgentValue {}

/// A `bpf_attr` with all bytes zero, as the kernel demands of what a command does not use.
fn attr() -> bpf_attr {
    // SAFETY: the union consists of integers and raw pointers, for which zero bytes are valid.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// The system call.
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<RawFd> {
    // SAFETY: `attr` is a whole `bpf_attr`, and the callers below fill it with pointers to values
    // of the map's sizes that outlive the call.
    let code = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_int,
            std::ptr::from_mut(attr),
            size_of::<bpf_attr>(),
        )
    };
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(code as RawFd) }
}

/// Makes a map.
pub fn create_map(
    kind: bpf_map_type,
    name: &str,
    value_size: u32,
    entries: u32,
) -> io::Result<OwnedFd> {
    let mut attr = attr();
    // SAFETY: the variant of BPF_MAP_CREATE; all of its fields are integers.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = kind as u32;
    create.key_size = size_of::<u32>() as u32;
    create.value_size = value_size;
    create.max_entries = entries;
    for (to, from) in create.map_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from as _;
    }
    let fd = bpf(bpf_cmd::BPF_MAP_CREATE, &mut attr)?;
    // SAFETY: a descriptor that the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a value into a map. `value` must have the map's value size in bytes.
pub fn update<K: Bytes, V: Bytes>(map: BorrowedFd<'_>, key: &K, value: &[V]) -> io::Result<()> {
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_ptr() as u64;
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Reads a value of a map; `None` if the key has none. For a map with values of type `V`.
pub fn lookup<K: Bytes, V: Bytes + Default>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = V::default();
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = std::ptr::from_mut(&mut value) as u64;
    match bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) {
        Ok(_) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a BPF file system is mounted at `path` (`statfs(2)`, `BPF_FS_MAGIC`).
#[must_use]
pub fn is_bpffs(path: &CStr) -> bool {
    const BPF_FS_MAGIC: libc::c_long = 0xcafe_4a11;
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: a C string and room for a whole structure, which is read only if it was filled.
    unsafe {
        libc::statfs(path.as_ptr(), found.as_mut_ptr()) == 0
            && found.assume_init().f_type == BPF_FS_MAGIC
    }
}

/// A pidfd of a process (`pidfd_open(2)`). Async-signal-safe.
pub fn pidfd_open(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: takes integers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
