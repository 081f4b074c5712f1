//! Unix sockets, by the path or the abstract name that the server has bound.

use std::any::Any;
use std::path::PathBuf;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::KIND_ABSTRACT;
use sensor_ebpf::table::Space;

use super::dice::{Dice, bytes, clear};
use super::{Amount, Asked, Operation, compare};
use crate::support::place::Place;
use crate::support::sys::net::{Address, bind, connect, listener, receiver, send_to, socket};

const DIRS: [&str; 3] = ["a", "b", "a/b"];
/// As names, and as patterns.
const NAMES: [(&[u8], &str); 6] = [
    (b"s", "s"),
    (b"sock", "sock"),
    (b"S", "S"),
    (b"\xfe", r"\xfe"),
    (b"s\n", r"s\x0a"),
    (b"agent.sock", "*.sock"),
];

/// Where a server is.
#[derive(Clone, Debug)]
enum Name {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

impl Name {
    fn address(&self) -> Address {
        match self {
            Name::Path(path) => Address::unix(path),
            Name::Abstract(name) => {
                let family = (libc::AF_UNIX as u16).to_ne_bytes();
                Address([&family, &b"\0"[..], name].concat())
            }
        }
    }

    fn asked(&self, hook: Hook, right: Rights) -> Asked {
        match self {
            Name::Path(path) => Asked::path(hook, bytes(path), right),
            Name::Abstract(name) => {
                let subject = [&[KIND_ABSTRACT], &name[..]].concat();
                Asked::one(hook, Space::Object, subject, right)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Connect(i32),
    Send,
    Bind,
}

fn operation(dice: &mut Dice, place: &Place) -> Operation {
    use std::os::unix::ffi::OsStrExt as _;
    let name = dice.of(&NAMES).0;
    let name = if dice.below(2) == 0 {
        Name::Abstract([&b"picket-"[..], name].concat())
    } else {
        Name::Path(place.at(dice.of(&DIRS)).join(std::ffi::OsStr::from_bytes(name)))
    };
    let way = dice.of(&[
        Way::Connect(libc::SOCK_STREAM),
        Way::Connect(libc::SOCK_SEQPACKET),
        Way::Send,
        Way::Bind,
    ]);
    let asked = match (way, &name) {
        (Way::Connect(_), _) => name.asked(Hook::UNIX_STREAM_CONNECT, Rights::CONNECT),
        (Way::Send, _) => name.asked(Hook::UNIX_MAY_SEND, Rights::SEND),
        // A path is made like any file, and the right to do so is asked for.
        (Way::Bind, Name::Path(_)) => name.asked(Hook::PATH_MKNOD, Rights::CREATE),
        (Way::Bind, Name::Abstract(_)) => name.asked(Hook::SOCKET_BIND, Rights::BIND),
    };
    let what = format!("{way:?} {name:?}");
    let prepare = {
        let name = name.clone();
        move || -> Box<dyn Any> {
            if let Name::Path(path) = &name {
                clear(path);
            }
            match way {
                Way::Connect(kind) => Box::new(listener(&name.address(), libc::AF_UNIX, kind)),
                Way::Send => Box::new(receiver(&name.address(), libc::AF_UNIX, libc::SOCK_DGRAM)),
                Way::Bind => Box::new(()),
            }
        }
    };
    let run = move || match way {
        Way::Connect(kind) => connect(&socket(libc::AF_UNIX, kind, 0)?, &name.address()),
        Way::Send => {
            send_to(&socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0)?, b"x", 0, &name.address())
        }
        Way::Bind => bind(&socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?, &name.address()),
    };
    Operation { what, prepare: Box::new(prepare), run: Box::new(run), asked: vec![asked] }
}

fn policy(dice: &mut Dice) -> String {
    let mut seen: Vec<String> = Vec::new();
    let (mut network, mut files) = (String::new(), String::new());
    for _ in 0..4 + dice.below(6) {
        let kind = dice.of(&["allow", "allow", "allow", "deny", "audit"]);
        let name = dice.of(&NAMES).1;
        let path = match dice.below(4) {
            0 => format!("**/{name}"),
            1 => "${dir}/**".to_owned(),
            2 => format!("${{dir}}/{}/*", dice.of(&DIRS)),
            _ => format!("${{dir}}/{}/{name}", dice.of(&DIRS)),
        };
        let hidden = match dice.below(3) {
            0 => "@picket-*".to_owned(),
            1 => "@picket-s*".to_owned(),
            _ => format!("@picket-{name}"),
        };
        let (key, rights, peer) = match dice.below(5) {
            0 => ("files", "create".to_owned(), path),
            1 => ("on", "bind".to_owned(), hidden),
            2 => ("to", dice.some(&["connect", "send"]).join(", "), hidden),
            _ => ("to", dice.some(&["connect", "send"]).join(", "), path),
        };
        if seen.contains(&peer) {
            continue;
        }
        if key == "files" {
            files += &format!("  - {kind}: [{rights}]\n    paths: ['{peer}']\n");
        } else {
            network += &format!("  - {kind}: [{rights}]\n    {key}: ['unix:{peer}']\n");
        }
        seen.push(peer);
    }
    let section = |key: &str, rules: &str| {
        if rules.is_empty() { String::new() } else { format!("{key}:\n{rules}") }
    };
    section("files", &files) + &section("network", &network)
}

#[test]
fn kernel_and_library_judge_unix_sockets_alike() {
    let place = Place::on_disk("agreement_unix");
    for dir in DIRS {
        place.dir(dir);
    }
    let amount = Amount { policies: 8, operations: 80 };
    compare(&place, amount, policy, |dice| operation(dice, &place));
}
