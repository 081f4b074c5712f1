//! Extended attributes by the namespace in their name (`xattr(7)`): which of them are data of the file,
//! and which tell the kernel what to do.

/// Bytes of a name that decide, the last of which is a zero; so is what is behind a shorter name.
pub const NAME_HEAD: usize = 16;

/// What an attribute is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Data of the file, its access control list, or its compression: a matter of the right to change
    /// attributes.
    Ordinary,
    /// File capabilities, which lend rights to whoever runs the file as a set-id bit does.
    Capability,
    /// Labels of security modules, marks of overlayfs, and whatever else the kernel goes by. No policy
    /// can give it: a forged mark shows one file under another's name, a forged label opens it.
    Kernel,
}

/// Class of the attribute whose name begins with these bytes.
#[inline(always)]
#[must_use]
pub fn class(head: [u8; NAME_HEAD]) -> Class {
    if begins(&head, b"user.") || begins(&head, b"system.") || begins(&head, b"btrfs.") {
        Class::Ordinary
    } else if begins(&head, b"security.capabi") {
        Class::Capability
    } else {
        Class::Kernel
    }
}

#[inline(always)]
fn begins<const N: usize>(head: &[u8; NAME_HEAD], with: &[u8; N]) -> bool {
    const { assert!(N < NAME_HEAD) };
    let mut i = 0;
    while i < N {
        if head[i] != with[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Class {
        let mut head = [0; NAME_HEAD];
        let len = name.len().min(NAME_HEAD - 1);
        head[..len].copy_from_slice(&name.as_bytes()[..len]);
        class(head)
    }

    #[test]
    fn only_what_is_the_files_own_is_ordinary() {
        for name in ["user.a", "user.", "system.posix_acl_access", "btrfs.compression"] {
            assert_eq!(of(name), Class::Ordinary, "{name}");
        }
        assert_eq!(of("security.capability"), Class::Capability);
        for name in
            ["security.selinux", "trusted.overlay.redirect", "security.ima", "", "user", "x"]
        {
            assert_eq!(of(name), Class::Kernel, "{name}");
        }
    }
}
