//! Local storage of tasks, as other BPF programs than ours leave it.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use super::process::pidfd;
use super::{Ref, Res, Word as _, sys};

const MAP_CREATE: i32 = 0;
const MAP_UPDATE_ELEM: i32 = 2;
const BTF_LOAD: i32 = 18;

/// Gives a task a value in each of so many new maps, which go when they are dropped.
pub fn burden(pid: i32, maps: usize) -> Res<Vec<OwnedFd>> {
    let types = number()?;
    let task = pidfd(pid)?;
    let made = (0..maps).map(|_| {
        let map = map(&types)?;
        let (key, value) = (task.as_raw_fd(), 1_i32);
        let attributes =
            [map.as_raw_fd() as u64, Ref(&key).word() as u64, Ref(&value).word() as u64, 0];
        sys!(SYS_bpf, MAP_UPDATE_ELEM, Ref(&attributes), size_of_val(&attributes))?;
        Ok(map)
    });
    made.collect()
}

/// Types of which the first is `int`: all that the kernel wants to know of key and value.
fn number() -> Res<OwnedFd> {
    const MAGIC: u32 = 0x1_eb9f;
    const HEADER: u32 = 24;
    const INT: u32 = 1 << 24;
    const SIGNED: u32 = 1 << 24;
    // `struct btf_header`: magic and version, its length, the types' place and length, the names'; then one
    // `struct btf_type` with what an integer has besides, and the names.
    let words = [MAGIC, HEADER, 0, 16, 16, 5, 1, INT, 4, SIGNED | 32];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(b"\0int\0");
    let attributes = [(&bytes[..]).word() as u64, 0, bytes.len() as u64];
    owned(sys!(SYS_bpf, BTF_LOAD, Ref(&attributes), size_of_val(&attributes))?)
}

/// A map of such storage (`BPF_MAP_TYPE_TASK_STORAGE`).
fn map(types: &OwnedFd) -> Res<OwnedFd> {
    const TASK_STORAGE: u32 = 29;
    const NO_PREALLOC: u32 = 1;
    // `union bpf_attr` up to the types of key and value: kind, sizes, entries, flags, two that do not matter,
    // four of a name, a link; then the types' descriptor and the two types.
    let mut attributes = [0_u32; 15];
    attributes[..5].copy_from_slice(&[TASK_STORAGE, 4, 4, 0, NO_PREALLOC]);
    attributes[12..].copy_from_slice(&[types.as_raw_fd().cast_unsigned(), 1, 1]);
    owned(sys!(SYS_bpf, MAP_CREATE, Ref(&attributes), size_of_val(&attributes))?)
}

fn owned(descriptor: i64) -> Res<OwnedFd> {
    // SAFETY: a descriptor that the kernel has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}
