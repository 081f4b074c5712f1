//! Rules that every policy has: what is no access to anything by itself, and without which no
//! program runs, and what no policy may give. They come after all others; a deny beats every allow, theirs
//! or the policy's own.

use sensor_ebpf::capability::Capability;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_MEMORY, ANON_PIDFD, ANON_PIPE, ANON_SOCKET, KIND_ANON};
use sensor_ebpf::table::Space;

use super::address::family;
use super::automaton::{Accept, ByteSet, Elem};
use super::glob::{self, Names};
use super::model::RuleKind;
use super::rules::{Entry, RuleInfo, Rules, capability_elems};
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

/// Capabilities that only get past the permissions and owners of files. An agent that runs as root
/// has no other way to files of other users, and each such access is judged by the rules on files, more
/// narrowly than by any capability. `dac_read_search` is not among them: `dac_override` covers all that
/// it does for a path, and what is left is opening files by handle (`open_by_handle_at(2)`), past every
/// directory on the way.
fn on_files() -> ByteSet {
    let mut numbers = ByteSet::default();
    for capability in
        [Capability::CHOWN, Capability::DAC_OVERRIDE, Capability::FOWNER, Capability::FSETID]
    {
        numbers.insert(capability.0);
    }
    numbers
}

struct Builtin {
    kind: RuleKind,
    pattern: &'static str,
    rights: Rights,
    reason: &'static str,
    space: Space,
    subjects: Vec<Vec<Elem>>,
}

/// Adds the built-in rules behind those that are there.
pub(super) fn add(rules: &mut Rules) {
    for builtin in builtins().into_iter().chain(denials()) {
        rules.infos.push(RuleInfo {
            file: "built-in".to_owned(),
            line: 0,
            column: 0,
            section: "built-in",
            kind: builtin.kind,
            rights: builtin.rights,
            pattern: builtin.pattern.to_owned(),
            reason: Some(builtin.reason.to_owned()),
        });
        let accept = Accept {
            strength: builtin.kind as u8,
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
        let (kind, rights, space) = (RuleKind::Allow, Rights::SOCKET, Space::Object);
        Builtin { kind, pattern, rights, reason, space, subjects }
    };
    let inet = [
        family(AF_INET, &[STREAM], &[0, 6]),
        family(AF_INET, &[DGRAM], &[0, 17, 1]),
        family(AF_INET6, &[STREAM], &[0, 6]),
        family(AF_INET6, &[DGRAM], &[0, 17, 58]),
    ];
    let file = |pattern, what: u8, rights, reason| Builtin {
        kind: RuleKind::Allow,
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
            kind: RuleKind::Allow,
            pattern: DEVICES,
            rights: Rights::DEVICE,
            reason: "programs expect these devices, and they lead nowhere",
            space: Space::Path,
            subjects: paths(DEVICES),
        },
        Builtin {
            kind: RuleKind::Allow,
            pattern: "capabilities on files",
            rights: Rights::KERNEL,
            reason: "root reaches other users' files by them, and the rules on files judge that",
            space: Space::Object,
            subjects: vec![capability_elems(on_files())],
        },
    ]
}

/// What no policy gives, because whoever has it can take the fence down: Picket's own files, and the
/// kernel's settings, by which programs outside can be made to run (`core_pattern`, `modprobe`,
/// `uevent`), processes be killed (`sysrq-trigger`, `cgroup.kill`) and memory be read (`kcore`, tracing).
/// Everything else that is dangerous is denied by not being allowed, and an operator may allow it.
fn denials() -> impl Iterator<Item = Builtin> {
    let changes = Rights::WRITE | Rights::CREATE | Rights::DELETE | Rights::LINK | Rights::ATTR;
    let content = changes | Rights::READ | Rights::LIST | Rights::EXEC | Rights::MAP;
    let all = content | Rights::CONNECT | Rights::SEND | Rights::DEVICE;
    [
        ("/{run,var/lib,var/log}/picket/**", all, "picket's socket, state and journal"),
        ("/etc/picket/**", changes, "picket's settings and policies"),
        (PROGRAMS, changes, "picket itself"),
        (UNITS, changes, "what starts picket"),
        ("/sys/fs/bpf/**", all, "pinned programs and maps, picket's among them"),
        ("/sys/**", changes, "settings of the kernel, of devices and of cgroups"),
        ("/sys/kernel/{debug,tracing}/**", all, "the inside of the kernel"),
        ("/proc/sys/{debug,fs,kernel,vm}/**", changes, "settings of the kernel"),
        ("/proc/{sysrq-trigger,kcore}", all, "the kernel's panic button and memory"),
        ("/proc/[0-9]*/**", changes, "settings of another process"),
        ("/dev/{mem,kmem,port}", all, "the machine's memory and ports"),
    ]
    .into_iter()
    .map(|(pattern, rights, reason)| Builtin {
        kind: RuleKind::Deny,
        pattern,
        rights,
        reason,
        space: Space::Path,
        subjects: paths(pattern),
    })
}

/// Where Picket's program is installed.
const PROGRAMS: &str = "/{bin,sbin,usr/bin,usr/sbin,usr/local/bin,usr/local/sbin}/picket";
/// Where systemd and older init systems look for what to start; not elsewhere, because a pattern with
/// no fixed beginning would make every table larger.
const UNITS: &str = "/{etc,run,lib,usr/lib,usr/local/lib}/systemd/system/{picket*/**,*/picket*}";

/// The subjects that a pattern over paths without variables stands for.
fn paths(pattern: &str) -> Vec<Vec<Elem>> {
    let globs = glob::parse(pattern, Names::Paths, &Variables::default()).unwrap_or_default();
    globs.into_iter().map(|glob| glob.elems).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_paths_are_patterns() {
        assert_eq!(paths(DEVICES).len(), 8);
        assert!(denials().all(|denial| !denial.subjects.is_empty()));
    }
}
