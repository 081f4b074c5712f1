//! Commands to what is behind a descriptor.

use std::path::{Path, PathBuf};

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_PIPE, ObjectSubject};

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place::{self, Place};
use crate::support::sys::attrs::{
    GETFLAGS, NODUMP, SETFLAGS, ioctl, ioctl_into, ioctl_with, set_flags,
};
use crate::support::sys::files::{open, pipe};
use crate::support::sys::net::socket;
use crate::support::sys::{EACCES, Errno, Res};
use crate::support::trial::Trial;

const POLICY: &str = "\
files:
  - allow: [read, write, list]
    paths: ['/**']
  - allow: [attr]
    paths: ['${dir}/mine']";

pub const CASE: Case = Case {
    hook: Hook::FILE_IOCTL,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        place::file(dir, "yours");
        place::file(dir, "mine");
        nothing()
    },
    denied: |dir| set_flags(&open(dir.join("yours"), libc::O_RDONLY)?, NODUMP),
    allowed: |dir| set_flags(&open(dir.join("mine"), libc::O_RDONLY)?, NODUMP),
    event: |dir| denied(Rights::ATTR, SETFLAGS).path(dir.join("yours")),
    by_child: false,
};

fn denied(right: Rights, command: u32) -> Expected {
    Expected::deny(Hook::FILE_IOCTL, right).other(&ObjectSubject::ioctl(command))
}

/// What a command answers to whom the fence lets it through: any error but the fence's own is the
/// kernel's, and says that the command was looked at.
fn reached(answer: Res<i64>) -> Res {
    match answer {
        Ok(_) => Ok(()),
        Err(EACCES) => Err(EACCES),
        Err(_) => Ok(()),
    }
}

const TCGETS: u32 = 0x5401;
const TIOCSTI: u32 = 0x5412;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCLINUX: u32 = 0x541c;
const FIONREAD: u32 = 0x541b;
const FIONBIO: u32 = 0x5421;
const TIOCSETD: u32 = 0x5423;
const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;
const FICLONE: u32 = 0x4004_9409;
const FIDEDUPERANGE: u32 = 0xc018_9436;
const SNAP_CREATE: u32 = 0x5000_9401;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCSIFFLAGS: u32 = 0x8914;
const RNDGETENTCNT: u32 = 0x8004_5200;

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn nothing_is_typed_into_a_terminal() {
    let place = Place::on_disk("ioctl_terminal");
    let master = || open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY);
    let path = PathBuf::from("/dev/pts/ptmx");
    let at = |path: &Path| if path.exists() { path.to_owned() } else { PathBuf::from("/dev/ptmx") };
    let ptmx = std::fs::canonicalize("/dev/ptmx").unwrap_or_else(|_| at(&path));
    let refused = |command| denied(Rights::KERNEL, command).path(&ptmx);
    let to = |command, size: usize| {
        reached(ioctl_with(&master()?, command, &[0_u64; 8])).map(|()| debug_assert!(size == 0))
    };
    Trial::new(&place, POLICY)
        .refused("TIOCSTI", || to(TIOCSTI, 0), EACCES, refused(TIOCSTI))
        .refused("TIOCLINUX", || to(TIOCLINUX, 0), EACCES, refused(TIOCLINUX))
        .refused("TIOCSETD", || to(TIOCSETD, 0), EACCES, refused(TIOCSETD))
        .allowed("what a terminal emulator needs", || {
            let (terminal, mut number, mut size) = (master()?, 0_u32, [0_u16; 4]);
            ioctl_into(&terminal, TIOCGPTN, &mut number)?;
            ioctl_with(&terminal, TIOCSPTLCK, &0_i32)?;
            ioctl_into(&terminal, TIOCGWINSZ, &mut size)?;
            ioctl_with(&terminal, TIOCSWINSZ, &size)?;
            ioctl_into(&terminal, TCGETS, &mut [0_u8; 64]).map(drop)
        })
        .run();
}

#[test]
fn only_known_commands_reach_a_file() {
    let place = Place::on_disk("ioctl_files");
    let (from, to) = (place.file("from"), place.file("to"));
    let reader = || open(&from, libc::O_RDONLY);
    let at = |right, command| denied(right, command).path(&from);
    let tell = |command: u32| reached(ioctl_with(&reader()?, command, &[0_u64; 16]));
    Trial::new(&place, POLICY)
        .refused("a snapshot", || tell(SNAP_CREATE), EACCES, at(Rights::KERNEL, SNAP_CREATE))
        .refused("comparing", || tell(FIDEDUPERANGE), EACCES, at(Rights::KERNEL, FIDEDUPERANGE))
        .refused("any number", || tell(0xdead_beef), EACCES, at(Rights::KERNEL, 0xdead_beef))
        .allowed("whether it is a terminal", || {
            match ioctl_into(&reader()?, TCGETS, &mut [0_u8; 64]) {
                Err(Errno(libc::ENOTTY)) => Ok(()),
                other => panic!("a file is no terminal: {other:?}"),
            }
        })
        .allowed("its flags", || ioctl_into(&reader()?, GETFLAGS, &mut 0_i64).map(drop))
        .allowed("how much is left", || ioctl_into(&reader()?, FIONREAD, &mut 0_i32).map(drop))
        .allowed("a copy that takes no room", || {
            let source = std::os::fd::AsRawFd::as_raw_fd(&reader()?) as usize;
            reached(ioctl(&open(&to, libc::O_WRONLY)?, FICLONE, source))
        })
        .run();
}

#[test]
fn pipes_sockets_and_devices_have_lists_of_their_own() {
    let place = Place::on_disk("ioctl_others");
    let inet = || socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
    let pipe_event = Expected::deny(Hook::FILE_IOCTL, Rights::KERNEL)
        .object(&ObjectSubject::anon(ANON_PIPE))
        .other(&ObjectSubject::ioctl(SETFLAGS));
    let socket_event = Expected::deny(Hook::FILE_IOCTL, Rights::KERNEL)
        .object(&ObjectSubject::anon(sensor_ebpf::subject::ANON_SOCKET))
        .other(&ObjectSubject::ioctl(SIOCSIFFLAGS));
    let to_pipe = |command| reached(ioctl_with(&pipe()?.0, command, &[0_u64; 8]));
    let to_socket = |command| reached(ioctl_with(&inet()?, command, &[0_u64; 8]));
    Trial::new(&place, POLICY)
        .refused("flags of a pipe", || to_pipe(SETFLAGS), EACCES, pipe_event)
        .refused("an interface's flags", || to_socket(SIOCSIFFLAGS), EACCES, socket_event)
        .allowed("not to block", || ioctl_with(&pipe()?.0, FIONBIO, &1_i32).map(drop))
        .allowed("which interfaces there are", || {
            ioctl_into(&inet()?, SIOCGIFCONF, &mut [0_u64; 2]).map(drop)
        })
        .allowed("how much randomness there is", || {
            ioctl_into(&open("/dev/urandom", libc::O_RDONLY)?, RNDGETENTCNT, &mut 0_i32).map(drop)
        })
        .run();
}
