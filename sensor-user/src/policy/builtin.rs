//! Rules that every policy has: what is no access to anything by itself, and without which no
//! program runs. They come after all others, and a deny of the policy's own beats them.

use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_MEMORY, ANON_PIDFD, ANON_PIPE, KIND_ANON};
use sensor_ebpf::table::Space;

use super::address::family;
use super::automaton::{Accept, ByteSet, Elem};
use super::model::RuleKind;
use super::rules::{Entry, RuleInfo, Rules};

/// Socket families and types, as in `socket(2)`.
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_NETLINK: u16 = 16;
const AF_INET6: u16 = 10;
const STREAM: u8 = 1;
const DGRAM: u8 = 2;
const RAW: u8 = 3;

struct Builtin {
    pattern: &'static str,
    rights: Rights,
    reason: &'static str,
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
            space: Space::Object,
            floating: false,
            elems,
            accept,
        }));
    }
}

fn builtins() -> Vec<Builtin> {
    let socket =
        |pattern, reason, subjects| Builtin { pattern, rights: Rights::SOCKET, reason, subjects };
    let inet = [
        family(AF_INET, &[STREAM], &[0, 6]),
        family(AF_INET, &[DGRAM], &[0, 17, 1]),
        family(AF_INET6, &[STREAM], &[0, 6]),
        family(AF_INET6, &[DGRAM], &[0, 17, 58]),
    ];
    let file = |pattern, what: u8, reason| Builtin {
        pattern,
        rights: Rights::READ | Rights::WRITE,
        reason,
        subjects: vec![vec![Elem::Byte(ByteSet::one(KIND_ANON)), Elem::Byte(ByteSet::one(what))]],
    };
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
        file("pipes", ANON_PIPE, "a pipe is reached only by those that were handed it"),
        file(
            "memory files",
            ANON_MEMORY,
            "a memory file is reached only by those that were handed it",
        ),
        file("pidfds", ANON_PIDFD, "a pidfd gives nothing; what is done with it is judged"),
    ]
}
