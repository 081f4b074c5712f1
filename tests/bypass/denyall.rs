//! Every system call there is, with plausible arguments, by an agent that may do nothing: nothing on
//! the disk, in the network or in another process is different afterwards.
//!
//! Each call is made by a child of its own, which is ended if it has not come back in time: calls that
//! wait, that fork, or that take the process's memory away are tried like all the others.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::arena::{Arena, USER};
use crate::support::fence::Fence;
use crate::support::place;
use crate::support::sys::files::{chdir, open};
use crate::support::sys::net::{Address, listener, pair, receiver, socket};
use crate::support::sys::process::{become_user, set_dumpable, setsid};
use crate::support::sys::{Res, c_path};
use crate::sys::process::spawn_call;
use crate::sys::raw;
use crate::victim::{self, Victim};

/// The first number that no kernel of these has.
const NUMBERS: i64 = 475;

/// Rounds with arguments at random for each number, besides its own.
const RANDOM: u64 = 3;

/// Not tried, each because it would end the test without anything being wrong.
const LEFT_OUT: &[(i64, &str)] = &[
    (libc::SYS_vfork, "runs twice on the caller's stack"),
    (libc::SYS_exit, "ends the caller"),
    (libc::SYS_exit_group, "ends the caller"),
    (libc::SYS_rt_sigreturn, "takes the caller's registers from its stack"),
];

/// To `kill`: among others the one that makes the calls, which is of the same agent. Whether others are
/// spared is row 507's business.
const EVERYBODY: i32 = -1;

/// Arguments by letter, for calls that change something outside the caller: `p` and `q` paths, `n` a
/// path where nothing is, `D` a directory's descriptor, `F` a file's, `S` a socket's, `a` and `l` an
/// address and its length, `b` and `c` a buffer and its length, `P` a process, `K` a signal, `m` a
/// mode, `u` a user, `H` "here" (`AT_FDCWD`), `0`, `1`, `2` numbers, `x` a name of an attribute, `t`
/// times, `e` an argument vector.
const CALLS: &[(i64, &str)] = &[
    (libc::SYS_write, "Fbc"),
    (libc::SYS_open, "p1m"),
    (libc::SYS_open, "n#Cm"),
    (libc::SYS_open, "p#Tm"),
    (libc::SYS_creat, "nm"),
    (libc::SYS_creat, "pm"),
    (libc::SYS_openat, "Hp2m"),
    (libc::SYS_openat, "Dn#Cm"),
    (libc::SYS_link, "pn"),
    (libc::SYS_linkat, "HpHn0"),
    (libc::SYS_unlink, "p"),
    (libc::SYS_unlinkat, "Hp0"),
    (libc::SYS_rmdir, "d"),
    (libc::SYS_rename, "pn"),
    (libc::SYS_rename, "pq"),
    (libc::SYS_renameat, "HpHn"),
    (libc::SYS_renameat2, "HpHq2"),
    (libc::SYS_mkdir, "nm"),
    (libc::SYS_mkdirat, "Hnm"),
    (libc::SYS_mknod, "nm0"),
    (libc::SYS_mknodat, "Hnm0"),
    (libc::SYS_symlink, "pn"),
    (libc::SYS_symlinkat, "pHn"),
    (libc::SYS_truncate, "p0"),
    (libc::SYS_ftruncate, "F0"),
    (libc::SYS_execve, "Xe0"),
    (libc::SYS_execveat, "HXe00"),
    (libc::SYS_connect, "Sal"),
    (libc::SYS_connect, "Ual"),
    (libc::SYS_sendto, "Ubc0al"),
    (libc::SYS_sendto, "Sbc#Fal"),
    (libc::SYS_bind, "Sal"),
    (libc::SYS_kill, "PK"),
    (libc::SYS_tkill, "PK"),
    (libc::SYS_tgkill, "PPK"),
    (libc::SYS_ptrace, "#AP00"),
    (libc::SYS_mount, "ddn#B0"),
    (libc::SYS_umount2, "d2"),
    (libc::SYS_chroot, "d"),
    (libc::SYS_pivot_root, "dd"),
    (libc::SYS_unshare, "#U"),
    (libc::SYS_socket, "21#M"),
    (libc::SYS_socket, "#K10"),
];

/// Tries all of them, as both users, and without a tag to see that they do something.
pub fn nothing_is_changed() {
    for uid in [0, USER] {
        let arena = Arena::new("bypass_deny_all", uid);
        arena.reset();
        let scene = Scene::new(&arena);
        let mut fence = Fence::up();
        let agent = fence.agent(arena.dir(), "mode: enforce");
        let before = scene.state();
        let mut inside = fence.child(|step| match step {
            0 => scene.enter(),
            _ => scene.fire(),
        });
        inside.try_to(0).unwrap();
        inside.tag(agent.tag);
        let fired = inside.run(1).unwrap();
        assert!(fired > 1000, "{fired} calls only");
        fence.leftovers(&agent);
        assert_eq!(scene.state(), before, "as user {uid}");
        assert!(!arena.reached(), "a server was reached, as user {uid}");
        assert!(!victim::disturbed(&arena), "a process outside was disturbed, as user {uid}");
        drop(inside);
        if uid == USER {
            let mut outside = fence.child(|step| match step {
                0 => scene.enter(),
                _ => scene.fire(),
            });
            outside.try_to(0).unwrap();
            outside.run(1).unwrap();
            assert_ne!(scene.state(), before, "without a tag nothing changes either");
            assert!(arena.reached(), "without a tag no server is reached either");
        }
    }
}

/// What there is to be changed.
struct Scene<'a> {
    arena: &'a Arena,
    _victim: Victim,
}

/// Everything about a file but when it was read.
type State = BTreeMap<PathBuf, (u64, u32, u32, u32, i64, i64, Vec<u8>)>;

impl<'a> Scene<'a> {
    fn new(arena: &'a Arena) -> Scene<'a> {
        place::program(&arena.at("work"), "tool", b"#!/bin/sh\n:>made-by-tool\n");
        fs::create_dir(arena.at("work/empty")).unwrap();
        let (inet, unix) = (Address::inet("127.0.0.1:7030"), Address::unix(arena.at("open/s")));
        arena.watch(listener(&inet, libc::AF_INET, libc::SOCK_STREAM));
        arena.watch(receiver(&inet, libc::AF_INET, libc::SOCK_DGRAM));
        arena.watch(listener(&unix, libc::AF_UNIX, libc::SOCK_STREAM));
        let victim = Victim::new(arena);
        arena.hand_over();
        Scene { arena, _victim: victim }
    }

    fn state(&self) -> State {
        fn add(path: &Path, state: &mut State) {
            let Ok(info) = fs::symlink_metadata(path) else { return };
            let content =
                if info.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
            let (mode, owner) = (info.mode(), (info.uid(), info.gid()));
            let entry =
                (info.ino(), mode, owner.0, owner.1, info.ctime(), info.ctime_nsec(), content);
            state.insert(path.to_owned(), entry);
            if info.is_dir() {
                for entry in fs::read_dir(path).unwrap() {
                    add(&entry.unwrap().path(), state);
                }
            }
        }
        let mut state = State::new();
        add(self.arena.dir(), &mut state);
        for (name, file) in [("mounts", "/proc/self/mounts"), ("modules", "/proc/modules")] {
            let text = fs::read(file).unwrap();
            state.insert(name.into(), (0, 0, 0, 0, 0, 0, text));
        }
        let host = fs::read("/proc/sys/kernel/hostname").unwrap();
        state.insert("host".into(), (0, 0, 0, 0, 0, 0, host));
        state
    }

    /// Becomes the attacker.
    fn enter(&self) -> Res<i64> {
        chdir(self.arena.at("work"))?;
        if self.arena.uid != 0 {
            become_user(self.arena.uid)?;
            set_dumpable()?;
        }
        Ok(0)
    }

    /// Makes all the calls; how many there were.
    fn fire(&self) -> Res<i64> {
        let pool = Pool::new(self.arena);
        let mut count = 0;
        for number in 0..NUMBERS {
            if LEFT_OUT.iter().any(|(left_out, _)| *left_out == number) {
                continue;
            }
            for (_, letters) in CALLS.iter().filter(|(call, _)| *call == number) {
                for round in 0..pool.paths.len() as u64 {
                    let arguments = pool.by_letters(letters, round);
                    count += self.one(number, arguments)?;
                }
            }
            for round in 0..RANDOM {
                count += self.one(number, pool.at_random(number as u64, round))?;
            }
        }
        Ok(count)
    }

    fn one(&self, number: i64, arguments: [u64; 6]) -> Res<i64> {
        if number == libc::SYS_kill && arguments[0] as i32 == EVERYBODY {
            return Ok(0);
        }
        if number == libc::SYS_clone && arguments[0] & libc::CLONE_VM as u64 != 0 {
            // The same as `vfork`.
            return Ok(0);
        }
        spawn_call(|| {
            // So that "my group" is nobody else.
            let _ = setsid();
            let _ = raw::call(number, arguments);
        })?;
        Ok(1)
    }
}

/// Arguments to choose from.
struct Pool {
    paths: Vec<std::ffi::CString>,
    fresh: std::ffi::CString,
    directory: std::ffi::CString,
    program: std::ffi::CString,
    addresses: Vec<Address>,
    buffer: Box<[u8; 4096]>,
    vector: Box<[u64; 2]>,
    descriptors: Vec<OwnedFd>,
    victim: u64,
    uid: u64,
}

impl Pool {
    fn new(arena: &Arena) -> Pool {
        let inet = Address::inet("127.0.0.1:7030");
        let path = |flags| open(arena.at("work"), flags).ok();
        let descriptors = [
            path(libc::O_PATH | libc::O_DIRECTORY),
            open(arena.at("open/file"), libc::O_PATH).ok(),
            socket(libc::AF_INET, libc::SOCK_STREAM, 0).ok(),
            socket(libc::AF_INET, libc::SOCK_DGRAM, 0).ok(),
            pair(libc::SOCK_STREAM).ok().map(|(one, _)| one),
        ];
        let program = c_path(arena.at("work/tool"));
        Pool {
            paths: ["vault/secret", "open/file", "work/tool"]
                .map(|name| c_path(arena.at(name)))
                .into(),
            fresh: c_path(arena.at("work/new")),
            directory: c_path(arena.at("work/empty")),
            vector: Box::new([program.as_ptr() as u64, 0]),
            program,
            addresses: vec![inet, Address::unix(arena.at("open/s"))],
            buffer: Box::new([0x41; 4096]),
            descriptors: descriptors.into_iter().flatten().collect(),
            victim: arena.victim.get() as u64,
            uid: u64::from(arena.uid),
        }
    }

    fn descriptor(&self, index: usize) -> u64 {
        self.descriptors.get(index).map_or(0, |file| file.as_raw_fd() as u64)
    }

    fn by_letters(&self, letters: &str, round: u64) -> [u64; 6] {
        let mut words = [0; 6];
        let mut special = false;
        let mut next = 0;
        let address = &self.addresses[round as usize % self.addresses.len()];
        for letter in letters.chars() {
            if letter == '#' {
                special = true;
                continue;
            }
            let word = match (special, letter) {
                (true, 'C') => (libc::O_CREAT | libc::O_RDWR) as u64,
                (true, 'T') => (libc::O_TRUNC | libc::O_WRONLY) as u64,
                (true, 'F') => libc::MSG_FASTOPEN as u64,
                (true, 'A') => u64::from(libc::PTRACE_ATTACH),
                (true, 'B') => libc::MS_BIND,
                (true, 'U') => libc::CLONE_NEWUSER as u64,
                (true, 'M') => 262,
                (true, 'K') => libc::AF_PACKET as u64,
                (_, 'p') => self.path(round),
                (_, 'q') => self.path(round + 1),
                (_, 'n') => self.fresh.as_ptr() as u64,
                (_, 'd') => self.directory.as_ptr() as u64,
                (_, 'X') => self.program.as_ptr() as u64,
                (_, 'e') => self.vector.as_ptr() as u64,
                (_, 'H') => libc::AT_FDCWD as u64,
                (_, 'D') => self.descriptor(0),
                (_, 'F') => self.descriptor(1),
                (_, 'S') => self.descriptor(2),
                (_, 'U') => self.descriptor(3),
                (_, 'a') => address.0.as_ptr() as u64,
                (_, 'l') => address.0.len() as u64,
                (_, 'b') => self.buffer.as_ptr() as u64,
                (_, 'c') => 64,
                (_, 'P') => self.victim,
                (_, 'K') => libc::SIGKILL as u64,
                (_, 'm') => 0o100_644,
                (_, digit) => u64::from(digit.to_digit(10).unwrap_or(0)),
            };
            special = false;
            words[next] = word;
            next += 1;
        }
        words
    }

    fn path(&self, round: u64) -> u64 {
        self.paths[round as usize % self.paths.len()].as_ptr() as u64
    }

    /// Six words of the pool, the same in every run.
    fn at_random(&self, number: u64, round: u64) -> [u64; 6] {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ round.wrapping_mul(0xd134_2543_de82_ef95)
            | 1;
        std::array::from_fn(|_| {
            // xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            self.any(state >> 8)
        })
    }

    fn any(&self, choice: u64) -> u64 {
        let address = &self.addresses[choice as usize / 32 % self.addresses.len()];
        match choice % 24 {
            0 | 1 => self.path(choice / 32),
            2 => self.fresh.as_ptr() as u64,
            3 => self.directory.as_ptr() as u64,
            4 | 5 => self.descriptor(choice as usize / 32 % 5),
            6 => address.0.as_ptr() as u64,
            7 => address.0.len() as u64,
            8 | 9 => self.buffer.as_ptr() as u64,
            10 => 64,
            11 => self.victim,
            12 => libc::AT_FDCWD as u64,
            13 => 0o644,
            14 => self.uid,
            15 => 0x8000,
            16 => u64::MAX,
            17..20 => 0,
            20 => 1,
            21 => 2,
            22 => 9,
            _ => 4096,
        }
    }
}
