//! Rules by which the kernel side tags processes itself, when they run a program or are made in a
//! cgroup: what userspace writes into the maps of [`Tag`]s by path and by cgroup.

use crate::tag::Tag;

/// In the one value of the map `TAGGING`: there are rules by path.
pub const BY_PATH: u32 = 1;
/// In the same: there are rules by cgroup.
pub const BY_CGROUP: u32 = 2;

/// Bytes of a key of `TAG_PATHS`: a canonical path with zeros behind it. A longer path has no rule.
pub const PATH_KEY: usize = 256;
/// Bytes of a key of `TAG_NAMES`: the beginning of a file's name, with at least one zero behind it. A
/// program whose name is not there is not named any further.
pub const NAME_KEY: usize = 64;
/// Rules of each kind that there may be.
pub const RULES_MAX: u32 = 256;
/// How far down the tree of cgroups a rule's may be, counted from the root. `cgroup.max.depth` is
/// unlimited by default; service managers and container engines stay under 12.
pub const LEVELS: u32 = 24;

/// A rule by cgroup: the value of `TAG_CGROUPS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupRule {
    /// Whom it makes those who are in it.
    pub tag: Tag,
    /// 0 where it is about all of them. Otherwise it is about containers: only who runs a program is
    /// tagged, and nobody in the mount namespace with this number, which is that of the engines that make
    /// containers. What they do in the cgroup before their container runs is theirs.
    pub engines: u32,
}

const _: () = assert!(size_of::<CgroupRule>() == 12);

/// The key of a path; `None` if it is too long.
#[must_use]
pub fn path_key(path: &[u8]) -> Option<[u8; PATH_KEY]> {
    let mut key = [0; PATH_KEY];
    key[..PATH_KEY - 1].get_mut(..path.len())?.copy_from_slice(path);
    Some(key)
}

/// The key of a file's name.
#[must_use]
pub fn name_key(name: &[u8]) -> [u8; NAME_KEY] {
    let mut key = [0; NAME_KEY];
    for (to, from) in key[..NAME_KEY - 1].iter_mut().zip(name) {
        *to = *from;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_with_a_zero() {
        assert_eq!(path_key(b"/bin/sh").unwrap()[..8], *b"/bin/sh\0");
        assert!(path_key(&[b'a'; PATH_KEY - 1]).unwrap().ends_with(b"a\0"));
        assert_eq!(path_key(&[b'a'; PATH_KEY]), None);
        assert_eq!(name_key(b"sh")[..3], *b"sh\0");
        assert_eq!(name_key(&[b'a'; 200])[NAME_KEY - 2..], *b"a\0");
    }
}
