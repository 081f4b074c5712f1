//! A process to attack: not tagged, of the attacker's own user, and open to it.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::arena::Arena;
use crate::support::sys::files::{chdir, open, pipe, read_next, write};
use crate::support::sys::process::{become_user, fork, kill, set_dumpable, wait};
use crate::sys::{self, memory};

/// The descriptor under which a victim has the secret open.
pub const SECRET_AT: i32 = 77;

/// What a victim has in its memory, where everybody who was forked from the test has it too.
pub static WORD: &[u8; 32] = b"what a process keeps to itself..";

/// The process; ends when it is dropped.
pub struct Victim(i32);

impl Victim {
    /// Starts one and notes it in the arena. Its working directory is the vault.
    pub fn new(arena: &Arena) -> Victim {
        let (ready_out, ready) = pipe().unwrap();
        let pid = match fork().unwrap() {
            None => {
                let up = become_user(arena.uid)
                    .and_then(|()| set_dumpable())
                    .and_then(|()| chdir(arena.at("vault")))
                    .and_then(|()| open(arena.secret(), libc::O_RDONLY))
                    .and_then(|secret| sys::bpf::put_in_place(&secret, SECRET_AT).map(|()| secret))
                    .and_then(|_| write(&ready, b"!"));
                assert!(up.is_ok(), "{up:?}");
                loop {
                    thread::park();
                }
            }
            Some(pid) => pid,
        };
        drop(ready);
        assert_eq!(read_next(&ready_out, &mut [0]), Ok(1), "the victim did not start");
        arena.victim.set(pid);
        Victim(pid)
    }

    /// For a row's `prepare`.
    pub fn boxed(arena: &Arena) -> Box<dyn std::any::Any> {
        Box::new(Victim::new(arena))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = kill(self.0, libc::SIGKILL);
        let _ = wait(self.0);
    }
}

/// Whether the victim is not sleeping peacefully: dead, stopped, or traced. A signal takes a moment
/// to have its effect.
pub fn disturbed(arena: &Arena) -> bool {
    const STEP: u64 = 10;
    (0..=arena.patience.get() / STEP).any(|_| {
        let disturbed = is_disturbed(arena);
        if !disturbed {
            thread::sleep(Duration::from_millis(STEP));
        }
        disturbed
    })
}

/// Whether the victim, which was stopped, goes on.
pub fn awake(arena: &Arena) -> bool {
    thread::sleep(Duration::from_millis(arena.patience.get().min(100)));
    !is_disturbed(arena)
}

fn is_disturbed(arena: &Arena) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", arena.victim.get()));
    let Ok(status) = status else { return true };
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    let state = field("State:").trim();
    !(state.starts_with('S') || state.starts_with('R')) || field("TracerPid:").trim() != "0"
}

/// Whether the victim's memory was written to.
pub fn scribbled_on(arena: &Arena) -> bool {
    memory::peek(arena.victim.get(), arena.scribble()).is_ok_and(|bytes| bytes != arena.scribble())
}

/// The victim's entry in /proc.
pub fn entry(arena: &Arena, name: &str) -> String {
    format!("/proc/{}/{name}", arena.victim.get())
}

/// The subject of events about the victim.
pub fn name(arena: &Arena) -> String {
    format!("process {}", arena.victim.get())
}

/// The secret, where the victim has it open.
pub fn secret_entry(arena: &Arena) -> String {
    entry(arena, &format!("fd/{SECRET_AT}"))
}
