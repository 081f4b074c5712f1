//! Processes outside that act for whoever reaches their socket: under the base policy each is refused by a
//! rule with a reason, by whatever name it is reached.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use sensor_user::policy::{Compiled, Options, RuleKind, Source, Variables, compile};
use sensor_user::policy_host::LocalHost;

use crate::support::fence::{Agent, Fence};
use crate::support::place::Place;
use crate::support::sys::EACCES;
use crate::support::sys::net::{Address, connect, listener, socket};

/// Servers, by path. `HOME` is the home directory of the agent's user.
const PATHS: &[&str] = &[
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/libvirt/libvirt-sock",
    "/run/snapd.socket",
    "/run/user/1000/docker.sock",
    "/run/user/1000/podman/podman.sock",
    "/run/dbus/system_bus_socket",
    "/run/user/1000/bus",
    "/run/systemd/private",
    "/run/systemd/io.system.ManagedOOM",
    "/run/user/1000/systemd/private",
    "/run/user/1000/gnupg/S.gpg-agent",
    "/run/user/1000/keyring/ssh",
    "/run/user/1000/wayland-0",
    "/run/user/1000/pipewire-0",
    "/run/user/1000/pulse/native",
    "/tmp/ssh-XXXXabcdef/agent.1234",
    "/tmp/.X11-unix/X0",
    "/tmp/.ICE-unix/1234",
    "/tmp/tmux-1000/default",
    "/tmp/screen-exchange/S-agent",
    "/tmp/dbus-abcdef/socket",
    "WORK/docker.sock",
];

/// Servers, by abstract name.
const NAMES: &[&str] = &["/tmp/.X11-unix/X0", "/tmp/dbus-abcdef", "/tmp/.ICE-unix/1234"];

/// Servers, by address.
const ADDRESSES: &[&str] =
    &["127.0.0.1:2375", "127.0.0.1:2376", "[::1]:2375", "127.0.0.1:2379", "127.0.0.1:10250"];

fn base(work: &Path) -> Compiled {
    let text = include_str!("../../policies/coding-agent.yaml").to_owned();
    let source = Source { name: "coding-agent.yaml".to_owned(), text };
    let variables: Variables = [
        ("home", "/home/agent"),
        ("user", "agent"),
        ("uid", "1000"),
        ("workspace", work.to_str().unwrap()),
    ]
    .into_iter()
    .collect();
    compile(&source, &variables, &LocalHost, Options::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// One server and every address that leads to it.
struct Deputy {
    name: String,
    addresses: Vec<Address>,
    kind: i32,
    family: i32,
    _server: OwnedFd,
}

impl Deputy {
    fn at_path(path: &str, place: &Place) -> Deputy {
        let path = PathBuf::from(path.replace("WORK", place.path().to_str().unwrap()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        let direct = Address::unix(&path);
        let link = place.at(&format!("link-{}", path.display().to_string().replace('/', "-")));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut addresses = vec![direct.clone(), Address::unix(&link)];
        if let Ok(rest) = path.strip_prefix("/run") {
            addresses.push(Address::unix(Path::new("/var/run").join(rest)));
        }
        Deputy {
            name: path.display().to_string(),
            addresses,
            kind: libc::SOCK_STREAM,
            family: libc::AF_UNIX,
            _server: listener(&direct, libc::AF_UNIX, libc::SOCK_STREAM),
        }
    }

    fn at_name(name: &str) -> Deputy {
        let address = Address::hidden(name);
        Deputy {
            name: format!("@{name}"),
            addresses: vec![address.clone()],
            kind: libc::SOCK_STREAM,
            family: libc::AF_UNIX,
            _server: listener(&address, libc::AF_UNIX, libc::SOCK_STREAM),
        }
    }

    fn at_address(text: &str) -> Deputy {
        let address = Address::inet(text);
        let family = if address.0.len() == 16 { libc::AF_INET } else { libc::AF_INET6 };
        Deputy {
            name: text.to_owned(),
            addresses: vec![address.clone()],
            kind: libc::SOCK_STREAM,
            family,
            _server: listener(&address, family, libc::SOCK_STREAM),
        }
    }
}

#[test]
fn every_deputy_is_refused_by_a_rule_with_a_reason() {
    let place = Place::on_disk("deputies");
    let mut fence = Fence::up();
    let agent = fence.agent_under(base(place.path()));
    let deputies: Vec<Deputy> = PATHS
        .iter()
        .map(|path| Deputy::at_path(path, &place))
        .chain(NAMES.iter().map(|name| Deputy::at_name(name)))
        .chain(ADDRESSES.iter().map(|address| Deputy::at_address(address)))
        .collect();
    let ways: Vec<(&Deputy, &Address)> = deputies
        .iter()
        .flat_map(|deputy| deputy.addresses.iter().map(move |address| (deputy, address)))
        .collect();
    let op = |step: u32| {
        let (deputy, address) = ways[step as usize];
        connect(&socket(deputy.family, deputy.kind, 0)?, address)
    };
    let mut inside = fence.child(op);
    let mut wrong = Vec::new();
    for (number, (deputy, _)) in ways.iter().enumerate() {
        assert_eq!(inside.try_to(number as u32), Ok(()), "{} before", deputy.name);
    }
    inside.tag(agent.tag);
    for (number, (deputy, address)) in ways.iter().enumerate() {
        let answer = inside.try_to(number as u32);
        let reason = reason(&mut fence, &agent);
        if answer != Err(EACCES) || reason.is_none() {
            wrong.push(format!("{} by {address:?}: {answer:?}, {reason:?}", deputy.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The reason of the deny that decided the agent's only event.
fn reason(fence: &mut Fence, agent: &Agent) -> Option<String> {
    let events = fence.events(agent);
    let [event] = events.as_slice() else { return None };
    let rule = fence.rule_of(agent, event).filter(|rule| rule.kind == RuleKind::Deny)?;
    rule.reason.clone()
}
