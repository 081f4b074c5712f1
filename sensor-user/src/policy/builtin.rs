//! Rules that every policy has: what is no access to anything by itself, and without which no
//! program runs. They come after all others, and a deny of the policy's own beats them.

use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_MEMORY, ANON_PIDFD, ANON_PIPE, ANON_SOCKET, KIND_ANON};
use sensor_ebpf::table::Space;

use super::address::family;
use super::automaton::{Accept, ByteSet, Elem};
use super::glob::{self, Names};
use super::model::RuleKind;
use super::rules::{Entry, RuleInfo, Rules};
use super::variables::Variables;

/// Socket families and types, as in `socket(2)`.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_NETLINK: u16 = 16;
const AF_INET6: u16 = 10;
const STREAM: u8 = 1;
const DGRAM: u8 = 2;
const RAW: u8 = 3;

/// Devices that are no door to a driver's state: bit buckets, randomness, and terminals. Whether they
/// may be read or written is for the rules of `files` to say, as of every other file.
const DEVICES: &str = "/dev/{null,zero,full,random,urandom,tty,ptmx,pts/*}";

struct Builtin {
    pattern: &'static str,
    rights: Rights,
    reason: &'static str,
    space: Space,
    subjects: Vec<Vec<Elem>>,
}

/// Adds the built-in rules behind those that are there.
pub(super) fn add(rules: &mut Rules) {
    for builtin in builtins() {
        rules.infos.push(RuleInfo {
            file: "built-in".to_owned(),
            line: 0,
            column: 0,
            section: "built-in",
            kind: RuleKind::Allow,
            rights: builtin.rights,
            pattern: builtin.pattern.to_owned(),
            reason: Some(builtin.reason.to_owned()),
        });
        let accept = Accept {
            strength: RuleKind::Allow as u8,
            rights: builtin.rights.0 as u16,
            rule: rules.infos.len() as u32,
        };
        rules.entries.extend(builtin.subjects.into_iter().map(|elems| Entry {
            space: builtin.space,
            floating: false,
            elems,
            accept,
        }));
    }
}

fn builtins() -> Vec<Builtin> {
    let socket = |pattern, reason, subjects| {
        let (rights, space) = (Rights::SOCKET, Space::Object);
        Builtin { pattern, rights, reason, space, subjects }
    };
    let inet = [
        family(AF_INET, &[STREAM], &[0, 6]),
        family(AF_INET, &[DGRAM], &[0, 17, 1]),
        family(AF_INET6, &[STREAM], &[0, 6]),
        family(AF_INET6, &[DGRAM], &[0, 17, 58]),
    ];
    let file = |pattern, what: u8, rights, reason| Builtin {
        pattern,
        rights,
        reason,
        space: Space::Object,
        subjects: vec![vec![Elem::Byte(ByteSet::one(KIND_ANON)), Elem::Byte(ByteSet::one(what))]],
    };
    let content = Rights::READ | Rights::WRITE;
    vec![
        socket(
            "unix sockets",
            "making a unix socket reaches nobody; connecting it is judged",
            family(AF_UNIX, &[], &[]),
        ),
        socket(
            "TCP, UDP and ICMP echo sockets",
            "making a socket reaches nobody; connecting, sending and binding are judged",
            inet.concat(),
        ),
        socket(
            "netlink route sockets",
            "the C library asks the kernel for its own addresses through one",
            family(AF_NETLINK, &[RAW, DGRAM], &[0]),
        ),
        file(
            "pipes",
            ANON_PIPE,
            content | Rights::ATTR,
            "a pipe is reached only by those that were handed it",
        ),
        file(
            "memory files",
            ANON_MEMORY,
            content | Rights::ATTR,
            "a memory file is reached only by those that were handed it",
        ),
        file(
            "pidfds",
            ANON_PIDFD,
            content,
            "a pidfd gives nothing; what is done with it is judged",
        ),
        file(
            "sockets",
            ANON_SOCKET,
            Rights::ATTR,
            "nobody asks for a socket's mode; what it reaches is judged",
        ),
        Builtin {
            pattern: DEVICES,
            rights: Rights::DEVICE,
            reason: "programs expect these devices, and they lead nowhere",
            space: Space::Path,
            subjects: paths(DEVICES),
        },
    ]
}

/// The subjects that a pattern over paths without variables stands for.
fn paths(pattern: &str) -> Vec<Vec<Elem>> {
    let globs = glob::parse(pattern, Names::Paths, &Variables::default()).unwrap_or_default();
    globs.into_iter().map(|glob| glob.elems).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_devices_are_a_pattern() {
        assert_eq!(paths(DEVICES).len(), 8);
    }
}
