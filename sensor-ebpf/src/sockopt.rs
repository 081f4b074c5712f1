//! Socket options and control messages that no agent may use, whatever its policy: those that make
//! traffic go elsewhere than to the address that was judged, and those that put code or rules into
//! the kernel.
//!
//! A list of what is refused and not of what is allowed: options are how a program tunes its own
//! socket, hundreds of them, and new ones appear with every kernel. A new option that redirects
//! traffic has to be added here.
//!
//! The numbers are those of `include/linux/socket.h` (levels) and of `include/uapi` (names). The
//! value of an option lies in user memory when the hook runs, so that only its name counts.

/// `SOL_SOCKET`.
const SOCKET: u32 = 1;
/// `SOL_IP`.
const IP: u32 = 0;
/// `SOL_TCP`.
const TCP: u32 = 6;
/// `SOL_UDP`.
const UDP: u32 = 17;
/// `SOL_IPV6`.
const IPV6: u32 = 41;

/// One list, as a decision and as the names in it. A decision by patterns and not by a table, because
/// what is left of it in the kernel are comparisons.
macro_rules! options {
    (
        $(#[$doc:meta])* $decide:ident, $(#[$names_doc:meta])* $names:ident:
        $($level:ident / $first:literal $(..= $last:literal)? = $name:literal;)*
    ) => {
        $(#[$doc])*
        #[inline(always)]
        #[must_use]
        pub const fn $decide(level: u32, number: u32) -> bool {
            matches!((level, number), $(($level, $first $(..= $last)?))|*)
        }

        $(#[$names_doc])*
        const fn $names(level: u32, number: u32) -> Option<&'static str> {
            match (level, number) {
                $(($level, $first $(..= $last)?) => Some($name),)*
                _ => None,
            }
        }
    };
}

options! {
    /// Whether `setsockopt(level, number)` is refused to agents.
    refused,
    /// The name of an option that is.
    refused_name:
    // Another routing table or another link, where the same address is another machine.
    SOCKET / 25 = "SO_BINDTODEVICE";
    SOCKET / 62 = "SO_BINDTOIFINDEX";
    SOCKET / 36 = "SO_MARK";
    IP / 50 = "IP_UNICAST_IF";
    IPV6 / 76 = "IPV6_UNICAST_IF";
    IPV6 / 50 = "IPV6_PKTINFO";
    // Source routes, and headers that hold one: the first hop is not the peer. A flow label brings
    // such headers along with it (`net/ipv6/ip6_flowlabel.c:fl_create`).
    IP / 4 = "IP_OPTIONS";
    IPV6 / 6 = "IPV6_2292PKTOPTIONS";
    IPV6 / 32 = "IPV6_FLOWLABEL_MGR";
    IPV6 / 54 = "IPV6_HOPOPTS";
    IPV6 / 55 = "IPV6_RTHDRDSTOPTS";
    IPV6 / 57 = "IPV6_RTHDR";
    IPV6 / 59 = "IPV6_DSTOPTS";
    // Tunnels of the socket's own.
    IP / 16 = "IP_IPSEC_POLICY";
    IP / 17 = "IP_XFRM_POLICY";
    IPV6 / 34 = "IPV6_IPSEC_POLICY";
    IPV6 / 35 = "IPV6_XFRM_POLICY";
    UDP / 100 = "UDP_ENCAP";
    // Addresses that are not this machine's, and connections that nobody opened.
    IP / 19 = "IP_TRANSPARENT";
    IPV6 / 75 = "IPV6_TRANSPARENT";
    TCP / 19 = "TCP_REPAIR";
    // Another protocol under the same socket (`smc`, `espintcp`), by a kernel module.
    TCP / 31 = "TCP_ULP";
    // Programs and rules in the kernel.
    SOCKET / 50 = "SO_ATTACH_BPF";
    SOCKET / 52 = "SO_ATTACH_REUSEPORT_EBPF";
    IP / 64..=0xffff_ffff = "packet filter or routing rules";
    IPV6 / 64..=65 = "packet filter rules";
    IPV6 / 200..=0xffff_ffff = "multicast routing rules";
}

options! {
    /// Whether a control message of an IPv4 or IPv6 socket is refused to agents, whatever it says.
    control_refused,
    /// The name of a control message that is.
    control_name:
    SOCKET / 36 = "SO_MARK";
    IP / 7 = "IP_RETOPTS";
    IPV6 / 3 = "IPV6_2292HOPOPTS";
    IPV6 / 4 = "IPV6_2292DSTOPTS";
    IPV6 / 5 = "IPV6_2292RTHDR";
    IPV6 / 54 = "IPV6_HOPOPTS";
    IPV6 / 55 = "IPV6_RTHDRDSTOPTS";
    IPV6 / 57 = "IPV6_RTHDR";
    IPV6 / 59 = "IPV6_DSTOPTS";
}

options! {
    /// Whether a control message has a source address in it, and may have a link beside that. With a
    /// link it is refused to agents; without one it is how a server answers from the address that it
    /// was asked at.
    has_link,
    /// The name of a control message that may.
    link_name:
    IP / 8 = "IP_PKTINFO";
    IPV6 / 2 = "IPV6_2292PKTINFO";
    IPV6 / 50 = "IPV6_PKTINFO";
}

/// Where the data of a control message that [`has_link`] holds the link's 32-bit index
/// (`struct in_pktinfo`, `struct in6_pktinfo`).
#[inline(always)]
#[must_use]
pub const fn link_at(level: u32) -> u64 {
    if level == IP { 0 } else { 16 }
}

/// The name of an option or control message that is refused.
#[must_use]
pub fn name(level: u32, number: u32) -> Option<&'static str> {
    refused_name(level, number).or(control_name(level, number)).or(link_name(level, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_around_an_address_are_refused() {
        for (level, number) in [
            (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
            (libc::SOL_SOCKET, libc::SO_MARK),
            (libc::SOL_SOCKET, libc::SO_ATTACH_BPF),
            (libc::SOL_IP, libc::IP_OPTIONS),
            (libc::SOL_IP, libc::IP_TRANSPARENT),
            (libc::SOL_IP, 64),
            (libc::SOL_IP, 1152),
            (libc::SOL_IPV6, libc::IPV6_RTHDR),
            (libc::SOL_IPV6, libc::IPV6_HOPOPTS),
            (libc::SOL_IPV6, libc::IPV6_DSTOPTS),
            (libc::SOL_IPV6, libc::IPV6_2292PKTOPTIONS),
            (libc::SOL_IPV6, libc::IPV6_TRANSPARENT),
            (libc::SOL_TCP, libc::TCP_REPAIR),
            (libc::SOL_TCP, libc::TCP_ULP),
        ] {
            assert!(refused(level as u32, number as u32), "{level}/{number}");
            assert!(name(level as u32, number as u32).is_some(), "{level}/{number}");
        }
        assert!(control_refused(libc::SOL_IPV6 as u32, libc::IPV6_RTHDR as u32));
        assert!(has_link(libc::SOL_IP as u32, libc::IP_PKTINFO as u32));
        assert!(has_link(libc::SOL_IPV6 as u32, libc::IPV6_PKTINFO as u32));
        assert_eq!(
            link_at(libc::SOL_IP as u32),
            core::mem::offset_of!(libc::in_pktinfo, ipi_ifindex) as u64
        );
        assert_eq!(
            link_at(libc::SOL_IPV6 as u32),
            core::mem::offset_of!(libc::in6_pktinfo, ipi6_ifindex) as u64
        );
    }

    #[test]
    fn what_ordinary_programs_set_is_not() {
        for (level, number) in [
            (libc::SOL_SOCKET, libc::SO_REUSEADDR),
            (libc::SOL_SOCKET, libc::SO_REUSEPORT),
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
            (libc::SOL_SOCKET, libc::SO_LINGER),
            (libc::SOL_SOCKET, libc::SO_PASSCRED),
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
            (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
            (libc::SOL_TCP, libc::TCP_NODELAY),
            (libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT),
            (libc::SOL_TCP, libc::TCP_CONGESTION),
            (libc::SOL_UDP, libc::UDP_SEGMENT),
            (libc::SOL_IP, libc::IP_TOS),
            (libc::SOL_IP, libc::IP_RECVERR),
            (libc::SOL_IP, libc::IP_PKTINFO),
            (libc::SOL_IP, libc::IP_ADD_MEMBERSHIP),
            (libc::SOL_IP, libc::IP_MULTICAST_IF),
            (libc::SOL_IPV6, libc::IPV6_V6ONLY),
            (libc::SOL_IPV6, libc::IPV6_RECVPKTINFO),
            (libc::SOL_IPV6, libc::IPV6_RECVTCLASS),
            (libc::SOL_IPV6, libc::IPV6_TCLASS),
            (libc::SOL_IPV6, libc::IPV6_ADD_MEMBERSHIP),
        ] {
            assert!(!refused(level as u32, number as u32), "{level}/{number}");
        }
        for (level, number) in [
            (libc::SOL_IP, libc::IP_TTL),
            (libc::SOL_IP, libc::IP_TOS),
            (libc::SOL_IP, libc::IP_PKTINFO),
            (libc::SOL_IPV6, libc::IPV6_HOPLIMIT),
            (libc::SOL_IPV6, libc::IPV6_TCLASS),
            (libc::SOL_UDP, libc::UDP_SEGMENT),
        ] {
            assert!(!control_refused(level as u32, number as u32), "{level}/{number}");
        }
    }
}
