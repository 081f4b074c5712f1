//! Subjects as people write them, in the forms that events print: what `picket explain` takes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use sensor_ebpf::act::Act;
use sensor_ebpf::capability::Capability;
use sensor_ebpf::limits::SUBJECT_MAX;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{
    ANON_MEMORY, ANON_PIPE, INET_LEN, KIND_ABSTRACT, KIND_INET, ObjectSubject, TRANSPORT_ICMP,
    TRANSPORT_TCP, TRANSPORT_UDP, destination, mapped, translated,
};
use sensor_ebpf::table::Space;

use super::host::Host;
use crate::event::subject as event;
use crate::family;

/// Something to judge.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    space: Space,
    bytes: Vec<u8>,
    followed: bool,
}

/// Why a subject cannot be judged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SubjectError {
    /// In none of the forms.
    #[error(
        "`{0}` is no subject; give an absolute path, tcp:ADDRESS:PORT, udp:ADDRESS:PORT, \
         icmp:ADDRESS, unix:/PATH, unix:@NAME, socket:FAMILY/TYPE[/PROTOCOL], process:ACT, \
         capability:NAME, pipe or memfd"
    )]
    Form(String),
    /// An address that does not parse.
    #[error("`{0}` has no address and port; write tcp:192.0.2.1:443 or udp:[2001:db8::1]:53")]
    Address(String),
    /// A socket that does not parse.
    #[error("`{0}` is no socket; write socket:inet/stream or socket:inet/raw/1")]
    Socket(String),
    /// No act.
    #[error("`{0}` is nothing that is done to a process; the acts are {1}")]
    Act(String, String),
    /// No capability.
    #[error("`{0}` is no capability; the capabilities are {1}")]
    Capability(String, String),
    /// Not absolute, or with parts that no canonical path has.
    #[error(
        "`{0}` is not the path that the kernel would judge; give an absolute path without `.`, `..` and doubled slashes"
    )]
    Path(String),
    /// Longer than any name.
    #[error("the path has more than {SUBJECT_MAX} bytes, which the kernel refuses to every agent")]
    Long,
}

impl Subject {
    /// Reads a subject; `rights` tells a peer from a local address, and `host` the links.
    pub fn parse(
        given: &[u8],
        rights: Rights,
        host: Option<&dyn Host>,
    ) -> Result<Subject, SubjectError> {
        let given = unescape(given);
        let text = String::from_utf8_lossy(&given).into_owned();
        let object = |subject: ObjectSubject| Subject::object(subject.as_bytes().to_vec());
        if given.starts_with(b"/") {
            return Subject::path(&given, host);
        }
        if let Some(name) = given.strip_prefix(b"unix:@") {
            return Ok(Subject::object([&[KIND_ABSTRACT], name].concat()));
        }
        if let Some(path) = given.strip_prefix(b"unix:") {
            return Subject::path(path, host);
        }
        match text.split_once(':') {
            Some(("tcp", rest)) => inet(&text, TRANSPORT_TCP, rest, rights).map(object),
            Some(("udp", rest)) => inet(&text, TRANSPORT_UDP, rest, rights).map(object),
            Some(("icmp", rest)) => inet(&text, TRANSPORT_ICMP, rest, rights).map(object),
            Some(("process", act)) => match Act::from_name(act) {
                Some(act) => Ok(object(ObjectSubject::process(act, 0))),
                None => Err(SubjectError::Act(act.to_owned(), names(Act::ALL))),
            },
            Some(("capability", name)) => match Capability::from_name(name) {
                Some(capability) => Ok(object(ObjectSubject::capability(capability))),
                None => Err(SubjectError::Capability(name.to_owned(), names(Capability::ALL))),
            },
            Some(("socket", rest)) => socket(rest).map(object).ok_or(SubjectError::Socket(text)),
            None if text == "pipe" => Ok(object(ObjectSubject::anon(ANON_PIPE))),
            None if text == "memfd" => Ok(object(ObjectSubject::anon(ANON_MEMORY))),
            _ => Err(SubjectError::Form(text)),
        }
    }

    fn object(bytes: Vec<u8>) -> Subject {
        Subject { space: Space::Object, bytes, followed: false }
    }

    fn path(given: &[u8], host: Option<&dyn Host>) -> Result<Subject, SubjectError> {
        let bytes = match host {
            Some(host) => super::canonical(host, given),
            None => given.to_vec(),
        };
        let shown = || event::printable(given);
        let odd = |name: &[u8]| matches!(name, b"" | b"." | b"..");
        let absolute = given.starts_with(b"/") && !given.contains(&0);
        if !absolute || bytes != b"/" && bytes[1..].split(|b| *b == b'/').any(odd) {
            return Err(SubjectError::Path(shown()));
        }
        if bytes.len() > SUBJECT_MAX {
            return Err(SubjectError::Long);
        }
        Ok(Subject { space: Space::Path, followed: bytes != given, bytes })
    }

    /// Where a gateway on the way to a peer would go to, which must be allowed as well: see
    /// [`translated`].
    pub fn behind(&self, rights: Rights) -> Option<Subject> {
        let bytes: [u8; INET_LEN] = self.bytes.as_slice().try_into().ok()?;
        let [KIND_INET, transport, address @ .., high, low] = bytes else { return None };
        if self.space != Space::Object || !rights.intersects(Rights::CONNECT | Rights::SEND) {
            return None;
        }
        let port = u16::from_be_bytes([high, low]);
        let inner = ObjectSubject::inet(transport, translated(address)?, port);
        Some(Subject { followed: true, ..Subject::object(inner.as_bytes().to_vec()) })
    }

    /// Which automata judge it.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Its bytes, as the kernel writes them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is another path than the one that was given.
    pub fn was_followed(&self) -> bool {
        self.followed
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = Bytes::copy_from_slice(&self.bytes);
        match self.space {
            Space::Path => event::Subject::Path(bytes).fmt(f),
            Space::Object => event::Subject::object(bytes).fmt(f),
        }
    }
}

/// The names of a table, as a list.
fn names<T>(known: &[(T, &str)]) -> String {
    known.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// Reads `\xHH` as a byte; any other backslash is itself.
fn unescape(given: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(given.len());
    let mut rest = given;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.strip_prefix(b"x").and_then(|after| std::str::from_utf8(after.get(..2)?).ok());
        let byte = digits
            .filter(|digits| *first == b'\\' && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn inet(
    text: &str,
    transport: u8,
    rest: &str,
    rights: Rights,
) -> Result<ObjectSubject, SubjectError> {
    let error = || SubjectError::Address(text.to_owned());
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.ends_with(']') => {
            (host, port.parse().map_err(|_| error())?)
        }
        _ if transport == TRANSPORT_ICMP => (rest, 0),
        _ => return Err(error()),
    };
    let address = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().map_err(|_| error())?.octets(),
        None => match host.parse().map_err(|_| error())? {
            IpAddr::V4(v4) => mapped(v4.octets()),
            IpAddr::V6(_) => return Err(error()),
        },
    };
    // As the hooks do: a peer's unspecified address is the loopback, a local one is itself.
    let address = if rights.intersects(Rights::BIND) { address } else { destination(address) };
    Ok(ObjectSubject::inet(transport, address, port))
}

/// One kind of socket; a protocol that is left out is 0, which lets the kernel choose.
fn socket(rest: &str) -> Option<ObjectSubject> {
    let sockets = family::parse(rest).ok()?;
    let given = rest.split('/').count() == 3;
    let protocol = if given { sockets.protocol? } else { sockets.protocol.unwrap_or(0) };
    Some(ObjectSubject::family(sockets.family?, sockets.kind?, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, rights: Rights) -> String {
        match Subject::parse(text.as_bytes(), rights, None) {
            Ok(subject) => subject.to_string(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_events_print_is_read_back() {
        for text in [
            "/a b/c",
            "/a\\x0ab",
            "/\\xff",
            "tcp:192.0.2.1:443",
            "udp:[2001:db8::1]:53",
            "unix:@x",
            "process:signal",
            "capability:net_admin",
        ] {
            assert_eq!(shown(text, Rights::READ), text);
        }
        assert_eq!(shown("unix:/run/x", Rights::CONNECT), "/run/x");
        assert_eq!(shown("tcp:0.0.0.0:80", Rights::CONNECT), "tcp:127.0.0.1:80");
        assert_eq!(shown("tcp:0.0.0.0:80", Rights::BIND), "tcp:0.0.0.0:80");
        assert_eq!(shown("socket:inet/stream", Rights::SOCKET), "socket:inet/stream");
        assert_eq!(shown("socket:netlink/3/9", Rights::SOCKET), "socket:netlink/raw/audit");
    }

    #[test]
    fn an_address_in_an_address_is_found_where_it_is_a_peers() {
        let behind = |text: &str, rights| {
            let subject = Subject::parse(text.as_bytes(), rights, None).unwrap();
            subject.behind(rights).map(|behind| behind.to_string())
        };
        let nat64 = "tcp:[64:ff9b::a9fe:a9fe]:80";
        assert_eq!(behind(nat64, Rights::CONNECT).as_deref(), Some("tcp:169.254.169.254:80"));
        assert_eq!(behind(nat64, Rights::BIND), None);
        assert_eq!(behind("tcp:[2001:db8::1]:80", Rights::CONNECT), None);
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in [
            "",
            "a",
            "./a",
            "/a/../b",
            "/a//b",
            "/a/",
            "tcp:host:1",
            "tcp:1.2.3.4",
            "tcp:::1:80",
            "tcp:[::1]",
            "socket:inet",
            "socket:inet/stream/1/2",
            "socket:inet/raw/*",
            "socket:netlink/route",
            "socket:*/raw",
            "unix:x",
            "sctp:1.2.3.4:5",
            "process:7",
            "capability:CAP_KILL",
        ] {
            assert!(Subject::parse(text.as_bytes(), Rights::READ, None).is_err(), "{text}");
        }
    }
}
