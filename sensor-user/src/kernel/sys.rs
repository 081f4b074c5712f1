//! `bpf(2)` where aya has no wrapper: task storage by pidfd, and maps made at run time. The only
//! file of this crate with unsafe code that concerns BPF.

use std::ffi::{CStr, CString};
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_info, bpf_map_type};

/// Types that may be handed to the kernel byte by byte.
///
/// # Safety
///
/// The type must be `repr(C)` or an integer, without padding and without pointers.
pub unsafe trait Bytes: Copy {}

// SAFETY: an integer.
unsafe impl Bytes for u16 {}
// SAFETY: an integer.
unsafe impl Bytes for u32 {}
// SAFETY: an integer.
unsafe impl Bytes for i32 {}
// SAFETY: an integer.
unsafe impl Bytes for u64 {}
// SAFETY: an array of bytes.
unsafe impl<const N: usize> Bytes for [u8; N] {}
// SAFETY: two 32-bit integers in `repr(C)`; its size is asserted where it is defined.
unsafe impl Bytes for sensor_ebpf::tag::Tag {}
// SAFETY: three 32-bit integers in `repr(C)`; its size is asserted where it is defined.
unsafe impl Bytes for sensor_ebpf::tagging::CgroupRule {}
// SAFETY: integers and byte arrays in `repr(C)` without padding: its size, which is asserted, is the
// sum of theirs.
unsafe impl Bytes for super::record::Record {}

/// A whole [`Layout`](sensor_ebpf::layout::Layout) as aya takes globals.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct LayoutGlobal(pub sensor_ebpf::layout::Layout);

// SAFETY: 64-bit integers in `repr(C)`, hence without padding.
unsafe impl aya::Pod for LayoutGlobal {}

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
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = attr();
    // SAFETY: the variant of BPF_MAP_CREATE; all of its fields are integers.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = kind as u32;
    create.key_size = size_of::<u32>() as u32;
    create.value_size = value_size;
    create.max_entries = entries;
    create.map_flags = flags;
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

/// Takes a value out of a map.
pub fn delete<K: Bytes>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr).map(drop)
}

/// The keys of a hash map that nobody else changes.
pub fn keys<K: Bytes>(map: BorrowedFd<'_>, start: K) -> io::Result<Vec<K>> {
    let mut keys: Vec<K> = Vec::new();
    loop {
        let mut next = start;
        let mut attr = attr();
        attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
        attr.__bindgen_anon_2.key = keys.last().map_or(0, |key| std::ptr::from_ref(key) as u64);
        attr.__bindgen_anon_2.__bindgen_anon_1.next_key = std::ptr::from_mut(&mut next) as u64;
        match bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
            Ok(_) => keys.push(next),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(keys),
            Err(error) => return Err(error),
        }
    }
}

/// Reads a value of a map; `None` if the key has none. For a map with values of type `V`.
pub fn lookup<K: Bytes, V: Bytes + Default>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = V::default();
    match lookup_into(map, key, &mut value) {
        Ok(()) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a value of a map with values of type `V`.
pub fn lookup_into<K: Bytes, V: Bytes>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &mut V,
) -> io::Result<()> {
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = std::ptr::from_mut(value) as u64;
    bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr).map(drop)
}

/// Reads a value that consists of many of `V`. For a map with values of that size in bytes.
pub fn lookup_into_slice<K: Bytes, V: Bytes>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &mut [V],
) -> io::Result<()> {
    if value_size(map)? as usize != size_of_val(value) {
        return Err(io::Error::other("its values have another size"));
    }
    let mut attr = attr();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr).map(drop)
}

/// Every value of a per-CPU array of 64-bit values, in the order of its slots, each summed over the CPUs
/// that the machine may have.
///
/// By `BPF_MAP_LOOKUP_BATCH`, which these maps know since Linux 5.13: one by one it is a call a slot.
pub fn per_cpu_sums(map: BorrowedFd<'_>, slots: u32) -> io::Result<Vec<u64>> {
    /// Slots a call: what it takes is bounded also where there are many CPUs.
    const BATCH: u32 = 256;
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    if value_size(map)? as usize != size_of::<u64>() {
        return Err(io::Error::other("its values have another size"));
    }
    let (mut keys, mut values) = ([0_u32; BATCH as usize], vec![0_u64; BATCH as usize * cpus]);
    let mut sums: Vec<u64> = Vec::with_capacity(slots as usize);
    let (mut last, mut next) = (0_u32, 0_u32);
    loop {
        let mut attr = attr();
        attr.batch.map_fd = map.as_raw_fd() as u32;
        attr.batch.in_batch =
            if sums.is_empty() { 0 } else { std::ptr::from_mut(&mut last) as u64 };
        attr.batch.out_batch = std::ptr::from_mut(&mut next) as u64;
        attr.batch.keys = keys.as_mut_ptr() as u64;
        attr.batch.values = values.as_mut_ptr() as u64;
        attr.batch.count = BATCH;
        let over = match bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) {
            Ok(_) => false,
            // What there was before the end is there all the same.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) => return Err(error),
        };
        // SAFETY: an integer, which the kernel has written or left as it was.
        let count = unsafe { attr.batch.count } as usize;
        sums.extend(values.chunks_exact(cpus).take(count).map(|each| each.iter().sum::<u64>()));
        if over || count == 0 || sums.len() > slots as usize {
            break;
        }
        last = next;
    }
    if sums.len() != slots as usize {
        return Err(io::Error::other(format!("it has {} slots, not {slots}", sums.len())));
    }
    Ok(sums)
}

/// Bytes of a map's values, as the kernel counts them.
pub fn value_size(map: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = MaybeUninit::<bpf_map_info>::zeroed();
    let mut attr = attr();
    attr.info.bpf_fd = map.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_map_info>() as u32;
    attr.info.info = info.as_mut_ptr() as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    // SAFETY: integers and byte arrays, all zero where the kernel did not write.
    Ok(unsafe { info.assume_init() }.value_size)
}

/// Pins a map or link at a path in a BPF file system.
pub fn pin(object: BorrowedFd<'_>, at: &Path) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_bytes())?;
    let mut attr = attr();
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd() as u32;
    attr.__bindgen_anon_4.pathname = at.as_ptr() as u64;
    bpf(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Opens what is pinned at a path.
pub fn open_pin(at: &Path) -> io::Result<OwnedFd> {
    let at = CString::new(at.as_os_str().as_bytes())?;
    let mut attr = attr();
    attr.__bindgen_anon_4.pathname = at.as_ptr() as u64;
    let fd = bpf(bpf_cmd::BPF_OBJ_GET, &mut attr)?;
    // SAFETY: a descriptor that the kernel has just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Types that may lie in memory that the kernel programs change at any time.
///
/// # Safety
///
/// The type must be `repr(C)` and consist of atomics only, without padding.
pub unsafe trait Cell: Sync {}

/// An [`Agent`](sensor_ebpf::tag::Agent) in shared memory.
#[repr(C)]
#[derive(Debug)]
pub struct AgentCell {
    /// [`Agent::epoch`](sensor_ebpf::tag::Agent::epoch).
    pub epoch: AtomicU32,
    /// [`Agent::policy`](sensor_ebpf::tag::Agent::policy).
    pub policy: AtomicU32,
    /// [`Agent::moves`](sensor_ebpf::tag::Agent::moves).
    pub moves: AtomicU32,
    /// [`Agent::flags`](sensor_ebpf::tag::Agent::flags).
    pub flags: AtomicU32,
    /// [`Agent::next_seq`](sensor_ebpf::tag::Agent::next_seq).
    pub next_seq: AtomicU64,
    /// [`Agent::lost`](sensor_ebpf::tag::Agent::lost).
    pub lost: AtomicU64,
}

const _: () = assert!(size_of::<AgentCell>() == size_of::<sensor_ebpf::tag::Agent>());

// SAFETY: atomics in `repr(C)`, of which each is aligned behind the one before.
unsafe impl Cell for AgentCell {}
// SAFETY: an array of atomics.
unsafe impl<const N: usize> Cell for [AtomicU64; N] {}

/// The values of an array map made with `BPF_F_MMAPABLE`, in this process's memory.
#[derive(Debug)]
pub struct Shared<T: Cell> {
    values: NonNull<T>,
    count: usize,
    of: PhantomData<T>,
}

// SAFETY: a reference into the mapping is all that is ever given out, and the values are `Sync`.
unsafe impl<T: Cell> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Cell> Sync for Shared<T> {}

impl<T: Cell> Shared<T> {
    /// Maps the first `count` values of `map`, whose values have the size of `T`.
    pub fn map(map: BorrowedFd<'_>, count: usize) -> io::Result<Shared<T>> {
        const { assert!(size_of::<T>().is_multiple_of(8), "the kernel places values at multiples of 8") };
        if value_size(map)? as usize != size_of::<T>() {
            return Err(io::Error::other("its values have another size"));
        }
        let (read_write, len) = (libc::PROT_READ | libc::PROT_WRITE, count * size_of::<T>());
        // SAFETY: makes a new mapping; the kernel checks the length against the map's.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), len, read_write, libc::MAP_SHARED, map.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let values = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Shared { values, count, of: PhantomData })
    }

    /// The values.
    pub fn values(&self) -> &[T] {
        // SAFETY: the mapping has `count` values of `T`'s size, is aligned to a page, lives as long
        // as `self`, and everybody changes it atomically.
        unsafe { std::slice::from_raw_parts(self.values.as_ptr(), self.count) }
    }
}

impl<T: Cell> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that was made in `map`, which nobody refers to any more.
        unsafe { libc::munmap(self.values.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}

/// How far a ring was read and how far it was written, in bytes since it was made: the first words of
/// its first two pages (`bpf_ringbuf`).
pub fn ring_positions(map: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    // SAFETY: takes an integer.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let (nowhere, len) = (std::ptr::null_mut(), 2 * page);
    // SAFETY: makes a new mapping, only for reading; the kernel checks the length.
    let at =
        unsafe { libc::mmap(nowhere, len, libc::PROT_READ, libc::MAP_SHARED, map.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both words lie within the mapping that was just made, are aligned to a page, and are
    // changed atomically by whoever changes them; the mapping goes when they have been read.
    unsafe {
        let word = |at: *mut libc::c_void| (*at.cast::<AtomicU64>()).load(Ordering::Acquire);
        // The reader's first: the writer is never behind it.
        let read = word(at);
        let written = word(at.byte_add(page));
        libc::munmap(at, len);
        Ok((read, written))
    }
}

/// Whether a BPF file system is mounted at `path` (`statfs(2)`, `BPF_FS_MAGIC`).
#[must_use]
pub fn is_bpffs(path: &CStr) -> bool {
    const BPF_FS_MAGIC: libc::c_long = 0xcafe_4a11;
    file_system(path) == Some(BPF_FS_MAGIC)
}

/// Whether `path` is of cgroup v2, whose directories' inode numbers are the cgroups' ids
/// (`CGROUP2_SUPER_MAGIC`).
#[must_use]
pub fn is_cgroup2(path: &CStr) -> bool {
    file_system(path) == Some(libc::CGROUP2_SUPER_MAGIC)
}

/// The kind of file system that `path` is in (`statfs(2)`).
fn file_system(path: &CStr) -> Option<libc::c_long> {
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: a C string and room for a whole structure, which is read only if it was filled.
    unsafe {
        (libc::statfs(path.as_ptr(), found.as_mut_ptr()) == 0).then(|| found.assume_init().f_type)
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

/// Whether the process behind a pidfd has not ended yet: an error if it has.
pub fn pidfd_alive(process: BorrowedFd<'_>) -> io::Result<()> {
    pidfd_kill(process, 0)
}

/// Sends a signal to the process behind a pidfd (`pidfd_send_signal(2)`); 0 sends none.
pub fn pidfd_kill(process: BorrowedFd<'_>, signal: libc::c_int) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: takes a descriptor, integers and a null pointer, which stands for no information.
    let code = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_info, 0)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
