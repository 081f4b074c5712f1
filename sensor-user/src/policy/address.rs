//! Peers and local addresses: from `tcp:10.0.0.0/8:443` and the like to the elements of the
//! subjects that `sensor_ebpf::subject` describes.

use std::net::{IpAddr, Ipv6Addr};

use sensor_ebpf::subject::{
    KIND_FAMILY, KIND_INET, TRANSPORT_ICMP, TRANSPORT_TCP, TRANSPORT_UDP, destination, mapped,
};

use super::automaton::{ByteSet, Elem};
use super::glob::Error;

/// A set of addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inet {
    transports: Vec<u8>,
    /// The address, IPv4 as mapped IPv6, and how many bits of it count.
    network: ([u8; 16], u8),
    ports: (u16, u16),
}

const HINT: &str =
    "an address is `10.0.0.0/8:443`, `[2001:db8::]/32:8000-8999`, `tcp:*:443` or `udp:*`";

fn error(text: &str, message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error { start: 0, end: text.len(), message: message.into(), hint: Some(hint.into()) }
}

/// Parses `[tcp:|udp:|icmp:](*|ADDRESS[/BITS])[:(*|PORT[-PORT])]`.
pub(super) fn parse(text: &str) -> Result<Inet, Error> {
    let (transports, rest) = transports(text);
    let (host, ports) = split(text, rest)?;
    let network = network(text, host)?;
    let icmp = transports == [TRANSPORT_ICMP];
    let ports = match ports {
        None => (0, u16::MAX),
        Some(_) if icmp => {
            let hint = "leave the port out: ICMP has none";
            return Err(error(text, "an ICMP address has no port", hint));
        }
        Some(ports) => range(text, ports)?,
    };
    Ok(Inet { transports, network, ports })
}

fn transports(text: &str) -> (Vec<u8>, &str) {
    let known = [("tcp:", TRANSPORT_TCP), ("udp:", TRANSPORT_UDP), ("icmp:", TRANSPORT_ICMP)];
    for (prefix, transport) in known {
        if let Some(rest) = text.strip_prefix(prefix) {
            return (vec![transport], rest);
        }
    }
    (vec![TRANSPORT_TCP, TRANSPORT_UDP], text)
}

/// Splits host and port; a host in brackets keeps them.
fn split<'t>(text: &str, rest: &'t str) -> Result<(&'t str, Option<&'t str>), Error> {
    let after = rest.find(']').map_or(0, |at| at + 1);
    if !rest.starts_with('[') && rest.matches(':').count() > 1 {
        let bare = rest.split('/').next().unwrap_or(rest);
        let hint = match (bare.parse::<Ipv6Addr>(), rest.split_once('/')) {
            (Ok(_), Some((host, bits))) => format!("write `[{host}]/{bits}`"),
            (Ok(_), None) => format!("write `[{bare}]`, and a port behind the bracket"),
            _ => HINT.to_owned(),
        };
        return Err(error(text, "an IPv6 address stands in brackets", hint));
    }
    match rest[after..].find(':') {
        Some(at) => {
            let at = after + at;
            Ok((&rest[..at], Some(&rest[at + 1..])))
        }
        None => Ok((rest, None)),
    }
}

fn network(text: &str, host: &str) -> Result<([u8; 16], u8), Error> {
    if host == "*" {
        return Ok(([0; 16], 0));
    }
    let (address, bits) = match host.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (host, None),
    };
    let (address, extra, width) = octets(text, address)?;
    let bits = match bits {
        None => width,
        Some(bits) => number(bits)
            .filter(|bits| *bits <= u32::from(width))
            .map(|bits| bits as u8)
            .ok_or_else(|| {
                let message = format!("`{bits}` is no length of a prefix");
                error(text, message, format!("a length from 0 to {width} follows the `/`"))
            })?,
    };
    let length = bits + extra;
    let net = masked(address, length);
    if net != address {
        let net = Ipv6Addr::from(net);
        let net = match net.to_ipv4_mapped().filter(|_| extra > 0) {
            Some(v4) => format!("{v4}/{bits}"),
            None => format!("[{net}]/{bits}"),
        };
        let message = format!("the address has bits beyond the {bits} of its prefix");
        return Err(error(
            text,
            message,
            format!("write `{net}` for the network, or leave `/{bits}` out"),
        ));
    }
    Ok((address, length))
}

/// The address as 16 bytes, by how many bits its prefixes are shorter than those, and its width.
fn octets(text: &str, address: &str) -> Result<([u8; 16], u8, u8), Error> {
    let inner = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let parsed = inner.unwrap_or(address).parse();
    match (parsed, inner) {
        (Ok(IpAddr::V4(v4)), None) => Ok((mapped(v4.octets()), 96, 32)),
        (Ok(IpAddr::V6(v6)), Some(_)) => Ok((v6.octets(), 0, 128)),
        (_, Some(inner)) if inner.contains('%') => Err(error(
            text,
            "a scope (`%…`) is not part of the address that is judged",
            "leave it out",
        )),
        (_, Some(inner)) if inner.contains('/') => {
            let (net, bits) = inner.split_once('/').unwrap_or((inner, ""));
            Err(error(
                text,
                "the length of a prefix stands behind the brackets",
                format!("write `[{net}]/{bits}`"),
            ))
        }
        _ if address.contains(|c: char| c.is_ascii_alphabetic()) && inner.is_none() => {
            let message = format!("`{address}` is a name, and the kernel knows only addresses");
            Err(error(text, message, HINT))
        }
        _ => Err(error(text, format!("`{address}` is no address"), HINT)),
    }
}

fn masked(mut address: [u8; 16], bits: u8) -> [u8; 16] {
    for (i, byte) in address.iter_mut().enumerate() {
        *byte &= mask(i, bits);
    }
    address
}

/// The bits of byte `i` that a prefix of `bits` bits covers.
fn mask(i: usize, bits: u8) -> u8 {
    let covered = usize::from(bits).saturating_sub(8 * i).min(8);
    !(0xff_u16 >> covered) as u8
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn range(text: &str, ports: &str) -> Result<(u16, u16), Error> {
    if ports == "*" {
        return Ok((0, u16::MAX));
    }
    let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |port: &str| number(port).and_then(|port| u16::try_from(port).ok());
    match (port(low), port(high)) {
        (Some(low), Some(high)) if low <= high => Ok((low, high)),
        (Some(_), Some(_)) => Err(error(
            text,
            "the range of ports is the wrong way round",
            format!("write `{high}-{low}`"),
        )),
        _ => Err(error(
            text,
            format!("`{ports}` is no port"),
            "a port is 0 to 65535, a range `8000-8999`, any port `*`",
        )),
    }
}

impl Inet {
    /// The addresses that a connection to these really goes to: see `subject::destination`.
    pub(super) fn destinations(mut self) -> Inet {
        if self.network.1 == 128 {
            self.network.0 = destination(self.network.0);
        }
        self
    }

    /// The elements of its subjects: one sequence per part of the range of ports.
    pub(super) fn elems(&self) -> Vec<Vec<Elem>> {
        let mut head = vec![byte(KIND_INET)];
        let mut transports = ByteSet::default();
        self.transports.iter().for_each(|t| transports.insert(*t));
        head.push(Elem::Byte(transports));
        let (address, bits) = self.network;
        for (i, low) in address.iter().enumerate() {
            let high = low | !mask(i, bits);
            head.push(Elem::Byte(ByteSet::range(*low, high)));
        }
        port_ranges(self.ports)
            .into_iter()
            .map(|ports| [head.clone(), ports.to_vec()].concat())
            .collect()
    }
}

fn byte(byte: u8) -> Elem {
    Elem::Byte(ByteSet::one(byte))
}

/// A range of ports as pairs of byte ranges: the first high byte, those between, the last.
fn port_ranges((low, high): (u16, u16)) -> Vec<[Elem; 2]> {
    let pair = |first: (u8, u8), second: (u8, u8)| {
        [first, second].map(|(low, high)| Elem::Byte(ByteSet::range(low, high)))
    };
    let ([low_high, low_low], [high_high, high_low]) = (low.to_be_bytes(), high.to_be_bytes());
    if low_high == high_high {
        return vec![pair((low_high, low_high), (low_low, high_low))];
    }
    let mut all = vec![pair((low_high, low_high), (low_low, 0xff))];
    if low_high + 1 < high_high {
        all.push(pair((low_high + 1, high_high - 1), (0, 0xff)));
    }
    all.push(pair((high_high, high_high), (0, high_low)));
    all
}

/// Sockets of a family, one of `kinds` and one of `protocols`; no family and no list mean any.
pub(super) fn family(
    family: impl Into<Option<u16>>,
    kinds: &[u8],
    protocols: &[u16],
) -> Vec<Vec<Elem>> {
    let set = |bytes: &[u8]| match bytes {
        [] => Elem::Byte(ByteSet::ALL),
        _ => {
            let mut set = ByteSet::default();
            bytes.iter().for_each(|b| set.insert(*b));
            Elem::Byte(set)
        }
    };
    let [high, low] = match family.into() {
        Some(family) => family.to_be_bytes().map(byte),
        None => [set(&[]), set(&[])],
    };
    let head = vec![byte(KIND_FAMILY), high, low, set(kinds)];
    if protocols.is_empty() {
        return vec![[head, vec![set(&[]), set(&[])]].concat()];
    }
    protocols
        .iter()
        .map(|protocol| {
            let [high, low] = protocol.to_be_bytes();
            [head.clone(), vec![byte(high), byte(low)]].concat()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports_hold_their_ports_and_no_others() {
        for range in
            [(0, 65535), (443, 443), (8000, 8999), (255, 256), (0, 1), (65535, 65535), (1, 600)]
        {
            let parts = port_ranges(range);
            for port in 0..=u16::MAX {
                let [high, low] = port.to_be_bytes();
                let holds =
                    |elem: &Elem, byte| matches!(elem, Elem::Byte(set) if set.contains(byte));
                let held = parts.iter().any(|[a, b]| holds(a, high) && holds(b, low));
                assert_eq!(held, range.0 <= port && port <= range.1, "{port} in {range:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "localhost:80",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "fe80::/10",
            "[fe80::1%eth0]:80",
            "[fe80::/10]",
            "10.0.0.1:",
            "10.0.0.1:65536",
            "10.0.0.1:90-80",
            "icmp:10.0.0.1:80",
            "[10.0.0.1]",
            "010.0.0.1",
            "10.0.0.1:+5",
            "10.0.0.0/+8",
            "*/8",
            "tcp:",
            "sctp:*:80",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_families_are_one_space() {
        let same = |a: &str, b: &str| assert_eq!(parse(a).unwrap(), parse(b).unwrap());
        same("10.0.0.0/8:5432", "[::ffff:10.0.0.0]/104:5432");
        same("1.2.3.4", "[::ffff:1.2.3.4]:*");
        same("*", "[::]/0");
        let to = |text: &str| parse(text).unwrap().destinations();
        assert_eq!(to("0.0.0.0:80"), to("127.0.0.1:80"));
        assert_eq!(to("[::]:80"), to("[::1]:80"));
    }
}
