//! Rights: what may be done to an object. One bit each, the same in policies, tables and events.

/// A set of rights.
///
/// A `repr(transparent)` integer and not an enum set, because it crosses the kernel boundary and
/// sits in policy tables.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Rights(pub u32);

/// How many rights a table has room for; every bit of a mask is below it.
pub const RIGHTS_MAX: usize = 16;

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Rights {
            $($(#[$doc])* pub const $name: Rights = Rights(1 << $bit);)*

            /// Every right with the name it has in policies and events, lowest bit first.
            pub const NAMES: &'static [(Rights, &'static str)] = &[$((Rights::$name, $text)),*];
        }
        $(const _: () = assert!($bit < RIGHTS_MAX);)*
    };
}

rights! {
    /// Read a file's content.
    READ = 0, "read";
    /// Change a file's content (write, append, truncate).
    WRITE = 1, "write";
    /// Read a directory's entries.
    LIST = 2, "list";
    /// Give a name to a new object (`creat`, `mkdir`, `mknod`, `symlink`, the new name of a rename).
    CREATE = 3, "create";
    /// Take a name away (`unlink`, `rmdir`, the old name of a rename, what a rename replaces).
    DELETE = 4, "delete";
    /// Give an existing file a second name (`link`): asked of the existing name.
    LINK = 5, "link";
    /// Change mode, owner, times and extended attributes.
    ATTR = 6, "attr";
    /// Run as a program or as a script (`execve`).
    EXEC = 7, "exec";
    /// Map as code (`mmap` with `PROT_EXEC`, an ELF interpreter).
    MAP = 8, "map";
    /// Open a connection, or fix a datagram socket's peer.
    CONNECT = 9, "connect";
    /// Send a datagram to a peer that is named in the call.
    SEND = 10, "send";
    /// Take a local address.
    BIND = 11, "bind";
    /// Make a socket of a family, type and protocol.
    SOCKET = 12, "socket";
    /// Open a character or block device, beside reading or writing it, or make a device node.
    DEVICE = 13, "device";
    /// Act on a process outside the agent (signal, trace).
    PROCESS = 14, "process";
    /// Use a capability, or the kernel's own control interfaces (`bpf`, mounts, user namespaces),
    /// which no policy can give.
    KERNEL = 15, "kernel";
}

impl Rights {
    /// The empty set.
    pub const NONE: Rights = Rights(0);
    /// The rights through which content can be reached: what no rename or link may add to.
    pub const CONTENT: Rights = Rights(
        Self::READ.0
            | Self::WRITE.0
            | Self::LIST.0
            | Self::EXEC.0
            | Self::MAP.0
            | Self::ATTR.0
            | Self::CONNECT.0
            | Self::SEND.0
            | Self::DEVICE.0,
    );

    /// The rights on names: by which the entries of a directory are changed.
    pub const ENTRY: Rights = Rights(Self::CREATE.0 | Self::DELETE.0 | Self::LINK.0);

    /// The right that policies and events call `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Rights> {
        let found = Self::NAMES.iter().find(|(_, text)| *text == name)?;
        Some(found.0)
    }

    /// Whether every right of `other` is in `self`.
    #[inline(always)]
    #[must_use]
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether `self` and `other` share a right.
    #[inline(always)]
    #[must_use]
    pub const fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is no right in it.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in `self` and not in `other`.
    #[inline(always)]
    #[must_use]
    pub const fn minus(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// What is in both.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// What is in either.
    #[inline(always)]
    #[must_use]
    pub const fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// The names of the rights in it, lowest bit first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(right, _)| self.contains(*right)).map(|(_, name)| *name)
    }
}

impl core::ops::BitOr for Rights {
    type Output = Rights;

    #[inline(always)]
    fn bitor(self, other: Rights) -> Rights {
        self.or(other)
    }
}

impl core::ops::BitOrAssign for Rights {
    #[inline(always)]
    fn bitor_assign(&mut self, other: Rights) {
        *self = self.or(other);
    }
}

impl core::fmt::Debug for Rights {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_has_one_name_and_comes_back_from_it() {
        for (right, name) in Rights::NAMES {
            assert_eq!(right.0.count_ones(), 1);
            assert_eq!(Rights::from_name(name), Some(*right));
            assert_eq!(Rights::NAMES.iter().filter(|(_, other)| other == name).count(), 1);
        }
        assert_eq!(Rights::from_name("reed"), None);
    }
}
