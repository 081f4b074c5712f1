//! Kinds of sockets by name: `family[/type[/protocol]]`, as `socket(2)` takes them and as policies,
//! events and `explain` write them. The families' names are those of address_families(7).

use std::fmt;

use crate::policy::suggest::suggest;

/// Families (`include/linux/socket.h`) that a kernel can have, by name.
const FAMILIES: &[(&str, u16)] = &[
    ("unix", 1),
    ("inet", 2),
    ("ax25", 3),
    ("ipx", 4),
    ("appletalk", 5),
    ("netrom", 6),
    ("atmpvc", 8),
    ("x25", 9),
    ("inet6", 10),
    ("rose", 11),
    ("decnet", 12),
    ("key", 15),
    ("netlink", NETLINK),
    ("packet", PACKET),
    ("atmsvc", 20),
    ("rds", 21),
    ("irda", 23),
    ("pppox", 24),
    ("llc", 26),
    ("ib", 27),
    ("mpls", 28),
    ("can", 29),
    ("tipc", 30),
    ("bluetooth", 31),
    ("iucv", 32),
    ("rxrpc", 33),
    ("isdn", 34),
    ("phonet", 35),
    ("ieee802154", 36),
    ("caif", 37),
    ("alg", 38),
    ("nfc", 39),
    ("vsock", 40),
    ("kcm", 41),
    ("qipcrtr", 42),
    ("smc", 43),
    ("xdp", 44),
    ("mctp", 45),
];
const NETLINK: u16 = 16;
const PACKET: u16 = 17;

/// Types (`include/linux/net.h`).
const KINDS: &[(&str, u8)] = &[
    ("stream", 1),
    ("dgram", 2),
    ("raw", 3),
    ("rdm", 4),
    ("seqpacket", 5),
    ("dccp", 6),
    ("packet", 10),
];

/// Protocols of `inet` and `inet6` (`include/uapi/linux/in.h`).
const IP: &[(&str, u16)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("raw", 255),
    ("smc", 256),
    ("mptcp", 262),
];

/// Protocols of `netlink` (`include/uapi/linux/netlink.h`).
const OF_NETLINK: &[(&str, u16)] = &[
    ("route", 0),
    ("usersock", 2),
    ("sock_diag", 4),
    ("nflog", 5),
    ("xfrm", 6),
    ("selinux", 7),
    ("iscsi", 8),
    ("audit", 9),
    ("fib_lookup", 10),
    ("connector", 11),
    ("netfilter", 12),
    ("kobject_uevent", 15),
    ("generic", 16),
    ("scsitransport", 18),
    ("ecryptfs", 19),
    ("rdma", 20),
    ("crypto", 21),
    ("smc", 22),
];

/// Protocols of `packet`, in network byte order as the call takes them
/// (`include/uapi/linux/if_ether.h`).
const OF_PACKET: &[(&str, u16)] = &[
    ("all", 0x0003_u16.to_be()),
    ("ip", 0x0800_u16.to_be()),
    ("arp", 0x0806_u16.to_be()),
    ("ipv6", 0x86dd_u16.to_be()),
];

/// Protocols of `bluetooth` (`include/net/bluetooth/bluetooth.h`).
const OF_BLUETOOTH: &[(&str, u16)] =
    &[("l2cap", 0), ("hci", 1), ("sco", 2), ("rfcomm", 3), ("bnep", 4), ("iso", 8)];

/// Protocols of `can` (`include/uapi/linux/can.h`).
const OF_CAN: &[(&str, u16)] = &[("raw", 1), ("bcm", 2), ("isotp", 6), ("j1939", 7)];

fn protocols(family: u16) -> &'static [(&'static str, u16)] {
    match family {
        2 | 10 => IP,
        NETLINK => OF_NETLINK,
        PACKET => OF_PACKET,
        31 => OF_BLUETOOTH,
        29 => OF_CAN,
        _ => &[],
    }
}

fn by_name<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

fn by_number<T: Copy + PartialEq>(names: &[(&'static str, T)], number: T) -> Option<&'static str> {
    names.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// Kinds of sockets; what is `None` may be any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// `AF_*`.
    pub family: Option<u16>,
    /// `SOCK_*`.
    pub kind: Option<u8>,
    /// `IPPROTO_*` or the family's own numbers.
    pub protocol: Option<u16>,
}

/// What is wrong with a text, and with which bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
    /// What it is.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

/// What stands between two slashes.
#[derive(Clone, Copy)]
struct Part<'t> {
    start: usize,
    text: &'t str,
}

impl Part<'_> {
    fn wrong(self, what: &str, names: impl Iterator<Item = &'static str> + Clone) -> Wrong {
        let hint = suggest(self.text, names.clone()).unwrap_or_else(|| {
            let names: Vec<_> = names.collect();
            match names.as_slice() {
                [] => "give its number, as socket(2) takes it, or `*`".to_owned(),
                names => format!("give its number, `*`, or one of {}", names.join(", ")),
            }
        });
        Wrong {
            start: self.start,
            end: self.start + self.text.len(),
            message: format!("unknown {what} `{}`", self.text),
            hint,
        }
    }
}

/// Parses `family[/type[/protocol]]` or `family/protocol`, each a name, a number or `*`. A number
/// after the family is a type.
pub fn parse(text: &str) -> Result<Sockets, Wrong> {
    let mut start = 0;
    let parts: Vec<Part<'_>> = text
        .split('/')
        .map(|text| {
            let part = Part { start, text };
            start += text.len() + 1;
            part
        })
        .collect();
    let [family, rest @ ..] = parts.as_slice() else { unreachable!("split gives one at least") };
    let family = read(*family, FAMILIES, "socket family")?;
    let of_family = family.map_or(&[][..], protocols);
    match rest {
        [] => Ok(Sockets { family, kind: None, protocol: None }),
        [second] => match read(*second, KINDS, "socket type") {
            Ok(kind) => Ok(Sockets { family, kind, protocol: None }),
            Err(_) => match by_name(of_family, second.text) {
                Some(protocol) => Ok(Sockets { family, kind: None, protocol: Some(protocol) }),
                None => {
                    let protocols = of_family.iter().map(|(name, _)| *name);
                    let names = KINDS.iter().map(|(name, _)| *name).chain(protocols);
                    Err(second.wrong("socket type or protocol", names))
                }
            },
        },
        [kind, protocol] => Ok(Sockets {
            family,
            kind: read(*kind, KINDS, "socket type")?,
            protocol: read(*protocol, of_family, "protocol")?,
        }),
        [_, _, extra, ..] => Err(Wrong {
            start: extra.start - 1,
            end: text.len(),
            message: "there is something behind the protocol".to_owned(),
            hint: "write `family`, `family/type` or `family/type/protocol`".to_owned(),
        }),
    }
}

fn read<T: Copy + std::str::FromStr>(
    part: Part<'_>,
    names: &'static [(&'static str, T)],
    what: &str,
) -> Result<Option<T>, Wrong> {
    if part.text == "*" {
        return Ok(None);
    }
    let digits = !part.text.is_empty() && part.text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| part.text.parse().ok()).flatten();
    match by_name(names, part.text).or(number) {
        Some(number) => Ok(Some(number)),
        None => Err(part.wrong(what, names.iter().map(|(name, _)| *name))),
    }
}

/// One kind of socket, as [`parse`] reads it.
pub struct Shown(pub u16, pub u8, pub u16);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(family, kind, protocol) = *self;
        match by_number(FAMILIES, family) {
            Some(name) => f.write_str(name),
            None => write!(f, "{family}"),
        }?;
        match by_number(KINDS, kind) {
            Some(name) => write!(f, "/{name}"),
            None => write!(f, "/{kind}"),
        }?;
        match by_number(protocols(family), protocol) {
            Some(name) => write!(f, "/{name}"),
            None if protocol == 0 => Ok(()),
            None => write!(f, "/{protocol}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(
        family: impl Into<Option<u16>>,
        kind: impl Into<Option<u8>>,
        protocol: impl Into<Option<u16>>,
    ) -> Sockets {
        Sockets { family: family.into(), kind: kind.into(), protocol: protocol.into() }
    }

    #[test]
    fn names_and_numbers_mean_the_same() {
        for (text, meant) in [
            ("vsock", sockets(40, None, None)),
            ("40", sockets(40, None, None)),
            ("inet/raw", sockets(2, 3, None)),
            ("inet/3", sockets(2, 3, None)),
            ("inet/raw/icmp", sockets(2, 3, 1)),
            ("inet6/raw/58", sockets(10, 3, 58)),
            ("inet/*/raw", sockets(2, None, 255)),
            ("inet/stream/mptcp", sockets(2, 1, 262)),
            ("netlink/route", sockets(16, None, 0)),
            ("netlink/raw/kobject_uevent", sockets(16, 3, 15)),
            ("netlink/kobject_uevent", sockets(16, None, 15)),
            ("packet/raw/all", sockets(17, 3, 0x0003_u16.to_be())),
            ("*", sockets(None, None, None)),
            ("*/raw", sockets(None, 3, None)),
        ] {
            assert_eq!(parse(text), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_pointed_at_with_what_might_be_meant() {
        for (text, at, hint) in [
            ("inet4", 0..5, "did you mean `inet`?"),
            ("pakcet/raw", 0..6, "did you mean `packet`?"),
            ("inet/steam", 5..10, "did you mean `stream`?"),
            ("netlink/rout", 8..12, "did you mean `route`?"),
            ("netlink/raw/adit", 12..16, "did you mean `audit`?"),
            ("inet/raw/1/2", 10..12, "write `family`, `family/type` or `family/type/protocol`"),
            ("vsock/stream/x", 13..14, "give its number, as socket(2) takes it, or `*`"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert_eq!((wrong.start..wrong.end, wrong.hint.as_str()), (at, hint), "{text}");
        }
        for text in ["", "/", "inet/", "inet//6", "65536", "inet/256", "inet/raw/65536", "-1", "+2"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for (family, kind, protocol) in
            [(1, 5, 0), (2, 1, 0), (2, 3, 1), (10, 2, 136), (16, 3, 0), (17, 3, 0x0300), (99, 9, 7)]
        {
            let text = Shown(family, kind, protocol).to_string();
            let meant = parse(&text).unwrap();
            assert_eq!((meant.family, meant.kind), (Some(family), Some(kind)), "{text}");
            assert_eq!(meant.protocol.unwrap_or(0), protocol, "{text}");
        }
        assert_eq!(Shown(2, 1, 262).to_string(), "inet/stream/mptcp");
        assert_eq!(Shown(16, 3, 0).to_string(), "netlink/raw/route");
        assert_eq!(Shown(99, 9, 0).to_string(), "99/9");
    }
}
