//! Commands of `ioctl(2)`: which of them an agent may give to which kind of file. An allow list, because
//! a command means what the driver or file system behind the file says, and some reach far past it: a
//! terminal takes typed input from `TIOCSTI`, and btrfs shows a tree under a new name for a snapshot.
//!
//! Pure: the kernel asks it, and so can a test.

/// What is behind a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file or a directory.
    File,
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A character device, terminals among them.
    Character,
    /// A block device.
    Block,
    /// An object of the kernel without a type of its own (`anon_inode`): epoll, eventfd, perf, a
    /// virtual machine.
    Object,
}

/// What a command takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing beyond the descriptor.
    Nothing,
    /// The right to change attributes of the file.
    Attr,
    /// The right to use the device.
    Device,
    /// What no policy can give.
    Refused,
}

/// What `command` takes on a file of this kind.
#[inline(always)]
#[must_use]
pub const fn needs(kind: Kind, command: u32) -> Needs {
    if is_general(command) {
        return Needs::Nothing;
    }
    let allowed = match kind {
        Kind::File => {
            if is_flags(command) {
                return Needs::Attr;
            }
            is_of_files(command)
        }
        Kind::Pipe => false,
        Kind::Socket => is_of_sockets(command),
        Kind::Character => {
            let typed = command >> 8;
            if is_of_terminals(command) {
                true
            } else if typed == TERMINAL || typed == CONSOLE || typed == CONSOLES {
                false
            } else {
                return Needs::Device;
            }
        }
        Kind::Block => return Needs::Device,
        Kind::Object => is_of_objects(command),
    };
    if allowed { Needs::Nothing } else { Needs::Refused }
}

/// `'T'` without size and direction: the commands of terminals (`asm-generic/ioctls.h`).
const TERMINAL: u32 = 0x54;
/// `'K'`: keyboards and fonts of the virtual consoles (`linux/kd.h`), among them what each key says.
const CONSOLE: u32 = 0x4b;
/// `'V'`: which virtual console is in front (`linux/vt.h`).
const CONSOLES: u32 = 0x56;

/// What the kernel itself answers for every file, and what libraries ask of any file to learn
/// whether it is a terminal.
const fn is_general(command: u32) -> bool {
    matches!(
        command,
        0x5401 // TCGETS: isatty(3)
        | 0x802c_542a // TCGETS2
        | 0x540f // TIOCGPGRP
        | 0x5411 // TIOCOUTQ, SIOCOUTQ
        | 0x5413 // TIOCGWINSZ
        | 0x541b // FIONREAD
        | 0x5421 // FIONBIO
        | 0x5450 // FIONCLEX
        | 0x5451 // FIOCLEX
        | 0x5452 // FIOASYNC
        | 0x5460 // FIOQSIZE
        | 2 // FIGETBSZ
    )
}

/// Questions to the file system, and what moves content between descriptors that were opened for it:
/// `FICLONE` is a copy that takes no room. Not `FIDEDUPERANGE`, which compares with a file that was
/// opened for writing only, and so tells what nobody may read.
const fn is_of_files(command: u32) -> bool {
    matches!(
        command,
        0xc020_660b // FS_IOC_FIEMAP
        | 0x8008_6601 | 0x8004_6601 // FS_IOC_GETFLAGS
        | 0x8008_7601 | 0x8004_7601 // FS_IOC_GETVERSION
        | 0x801c_581f // FS_IOC_FSGETXATTR
        | 0x8100_9431 // FS_IOC_GETFSLABEL
        | 0x8011_1500 // FS_IOC_GETFSUUID
        | 0x8081_1501 // FS_IOC_GETFSSYSFSPATH
        | 0x4004_9409 // FICLONE
        | 0x4020_940d // FICLONERANGE
        | 0x4030_5828 // FS_IOC_RESVSP
        | 0x4030_5829 // FS_IOC_UNRESVSP
        | 0x4030_582a // FS_IOC_RESVSP64
        | 0x4030_582b // FS_IOC_UNRESVSP64
        | 0x4030_5839 // FS_IOC_ZERO_RANGE
    )
}

/// Flags and generation of a file (`ioctl_iflags(2)`).
const fn is_flags(command: u32) -> bool {
    matches!(
        command,
        0x4008_6602 | 0x4004_6602 // FS_IOC_SETFLAGS
        | 0x4008_7602 | 0x4004_7602 // FS_IOC_SETVERSION
        | 0x401c_5820 // FS_IOC_FSSETXATTR
    )
}

/// Questions to the network (`linux/sockios.h`). What changes it takes a capability as well, and is not
/// here; `SIOCETHTOOL` is both, and its changes do.
const fn is_of_sockets(command: u32) -> bool {
    matches!(
        command,
        0x8901
            ..=0x8904 // FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP
        | 0x8905 // SIOCATMARK
        | 0x8906 | 0x8907 | 0x8010_8906 | 0x8010_8907 // SIOCGSTAMP, SIOCGSTAMPNS
        | 0x8910 // SIOCGIFNAME
        | 0x8912 | 0x8913 // SIOCGIFCONF, SIOCGIFFLAGS
        | 0x8915 | 0x8917 | 0x8919 | 0x891b // SIOCGIFADDR, DSTADDR, BRDADDR, NETMASK
        | 0x891d | 0x891f | 0x8921 // SIOCGIFMETRIC, MEM, MTU
        | 0x8927 | 0x8933 | 0x8935 // SIOCGIFHWADDR, INDEX, PFLAGS
        | 0x8942 | 0x8946 // SIOCGIFTXQLEN, SIOCETHTOOL
        | 0x8970 // SIOCGIFMAP
    )
}

/// What shells, editors and terminal emulators tell a terminal. Not `TIOCSTI` (0x5412) and `TIOCLINUX`
/// (0x541c), which type for the user of a terminal that is shared with processes outside; not
/// `TIOCSETD` (0x5423), which loads line disciplines, nor `TIOCCONS` (0x541d), which takes the
/// console's output. Of the virtual consoles only the question which one is in front: editors ask it to
/// learn whether they are on one.
const fn is_of_terminals(command: u32) -> bool {
    matches!(
        command,
        0x5402..=0x540e // TCSETS … TIOCSCTTY: modes, breaks, flow, exclusive use
        | 0x5410 // TIOCSPGRP
        | 0x5414..=0x541a // TIOCSWINSZ, modem lines, TIOCGSOFTCAR, TIOCSSOFTCAR
        | 0x541e // TIOCGSERIAL
        | 0x5420 // TIOCPKT
        | 0x5422 // TIOCNOTTY
        | 0x5424 | 0x5425 // TIOCGETD, TCSBRKP
        | 0x5427..=0x5429 // TIOCSBRK, TIOCCBRK, TIOCGSID
        | 0x402c_542b..=0x402c_542d // TCSETS2, TCSETSW2, TCSETSF2
        | 0x5432..=0x5435 // TCGETX … TCSETXW
        | 0x5441 // TIOCGPTPEER: the other end is judged when it is opened
        | 0x545d // TIOCGICOUNT
        | 0x5603 // VT_GETSTATE
        | 0x8004_5430 // TIOCGPTN
        | 0x4004_5431 // TIOCSPTLCK
        | 0x8004_5432 // TIOCGDEV
        | 0x4004_5436 // TIOCSIG
        | 0x8004_5438..=0x8004_5440 // TIOCGPKT, TIOCGPTLCK, TIOCGEXCL
    )
}

/// Commands of objects whose making was judged: a ring of events, a filter's supervisor, a counter.
const fn is_of_objects(command: u32) -> bool {
    // KVM's machines (0xae) come from an opened /dev/kvm, userfaultfd (0xaa) from its own call.
    matches!(command >> 8 & 0xff, 0xae | 0xaa)
        || matches!(
            command,
            0x4008_8a01 | 0x8008_8a02 // EPIOCSPARAMS, EPIOCGPARAMS
            | 0xc050_2100 | 0xc018_2101 // SECCOMP_IOCTL_NOTIF_RECV, SEND
            | 0x4008_2102 | 0x8008_2102 // SECCOMP_IOCTL_NOTIF_ID_VALID
            | 0x4018_2103 | 0x4008_2104 // SECCOMP_IOCTL_NOTIF_ADDFD, SET_FLAGS
            | 0x2400..=0x2403 // PERF_EVENT_IOC_ENABLE … RESET
            | 0x4008_2404 | 0x8008_2407 // PERF_EVENT_IOC_PERIOD, ID
        )
        // PIDFD_GET_INFO, whose size grows with the kernel.
        || command & 0xc000_ffff == 0xc000_ff0b
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 6] =
        [Kind::File, Kind::Pipe, Kind::Socket, Kind::Character, Kind::Block, Kind::Object];

    #[test]
    fn every_file_may_be_asked_whether_it_is_a_terminal() {
        for kind in KINDS {
            assert_eq!(needs(kind, 0x5401), Needs::Nothing, "{kind:?}");
        }
    }

    #[test]
    fn nothing_types_into_a_terminal_or_changes_what_it_is() {
        for command in [0x5412, 0x541c, 0x541d, 0x541f, 0x5423, 0x5437, 0x4b47, 0x5606] {
            assert_eq!(needs(Kind::Character, command), Needs::Refused, "{command:#x}");
        }
        assert_eq!(needs(Kind::Character, 0x8004_5200), Needs::Device, "RNDGETENTCNT");
    }

    #[test]
    fn no_file_system_makes_names_or_compares_for_an_agent() {
        // BTRFS_IOC_SNAP_CREATE, its second form, SUBVOL_CREATE, FIDEDUPERANGE, FIBMAP, FIFREEZE,
        // FS_IOC_ENABLE_VERITY, FS_IOC_ADD_ENCRYPTION_KEY.
        for command in [
            0x5000_9401,
            0x5000_9417,
            0x5000_940e,
            0xc018_9436,
            1,
            0xc004_5877,
            0x4080_6685,
            0xc050_6617,
        ] {
            assert_eq!(needs(Kind::File, command), Needs::Refused, "{command:#x}");
        }
        for command in [0x4008_6602, 0x401c_5820] {
            assert_eq!(needs(Kind::File, command), Needs::Attr, "{command:#x}");
            for kind in [Kind::Pipe, Kind::Socket, Kind::Object] {
                assert_eq!(needs(kind, command), Needs::Refused, "{kind:?} {command:#x}");
            }
        }
    }

    #[test]
    fn a_block_device_is_ruled_by_the_right_to_it() {
        // BLKROSET, BLKGETSIZE64, and a number that nobody knows.
        for command in [0x125d, 0x8008_1272, 0xdead_beef] {
            assert_eq!(needs(Kind::Block, command), Needs::Device, "{command:#x}");
        }
    }

    #[test]
    fn the_network_may_be_asked_and_not_changed() {
        assert_eq!(needs(Kind::Socket, 0x8912), Needs::Nothing, "SIOCGIFCONF");
        for command in [0x8914, 0x8916, 0x89a0, 0x89e0, 0xdead_beef] {
            assert_eq!(needs(Kind::Socket, command), Needs::Refused, "{command:#x}");
        }
    }

    #[test]
    fn pidfds_tell_about_their_process() {
        assert_eq!(needs(Kind::Object, 0xc040_ff0b), Needs::Nothing);
        assert_eq!(needs(Kind::Object, 0xff01), Needs::Refused, "PIDFD_GET_CGROUP_NAMESPACE");
    }
}
