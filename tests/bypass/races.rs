//! Many processes at once that try to slip through between two steps. Short in an ordinary run; with
//! `PICKET_SOAK` (seconds) as long as it says.

use std::env;
use std::os::unix::fs::symlink as make_link;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, SECRET, USER};
use crate::catalogue::VAULT;
use crate::support::fence::{Agent, Fence};
use crate::support::place;
use crate::support::sys::files::{open, read, rename, symlink, unlink};
use crate::support::sys::process::{Ended, become_user, exec, exit, fork, set_dumpable, wait};
use crate::support::sys::{Errno, Res};
use crate::sys::Shared;

/// Forks of a storm where nobody says otherwise.
const FORKS: u64 = 3_000;
/// The same in a soak.
const MANY_FORKS: u64 = 100_000;
/// Processes at once.
const WORKERS: usize = 4;

/// How long to go on.
fn time() -> Duration {
    let soak = env::var("PICKET_SOAK").ok();
    Duration::from_secs(soak.map_or(2, |text| text.parse().expect("PICKET_SOAK takes seconds")))
}

fn soaking() -> bool {
    env::var_os("PICKET_SOAK").is_some()
}

/// Whether an attempt gave the secret away.
fn leaks(path: impl AsRef<Path>) -> bool {
    let got = open(path, libc::O_RDONLY).and_then(|file| read(&file));
    got.is_ok_and(|bytes| bytes == SECRET.as_bytes())
}

/// Runs `work` in several processes of an agent until the time is up: how often it leaked, and how
/// often it was done.
fn storm(name: &str, uid: u32, prepare: fn(&Arena), work: fn(&Arena, usize, u64) -> bool) {
    let arena = Arena::new(name, uid);
    arena.reset();
    prepare(&arena);
    arena.hand_over();
    let mut fence = Fence::up();
    let agent = fence.agent(arena.dir(), VAULT);
    let until = Instant::now() + time();
    let body = |worker: usize| {
        let (mut leaked, mut rounds) = (0, 0);
        while Instant::now() < until {
            leaked += u64::from(work(&arena, worker, rounds));
            rounds += 1;
        }
        (leaked, rounds)
    };
    let (leaked, rounds) = tagged(&mut fence, &agent, uid, body);
    assert_eq!(leaked, 0, "of {rounds} rounds");
    assert!(rounds > 20, "{rounds} rounds only");
    println!("{name}: {rounds} rounds, none leaked");
}

/// Runs `body` in [`WORKERS`] processes of the agent, and adds up what they say.
fn tagged(
    fence: &mut Fence,
    agent: &Agent,
    uid: u32,
    body: impl Fn(usize) -> (u64, u64),
) -> (u64, u64) {
    let shared = Shared::new();
    let mut child = fence.child(|step| match step {
        0 => {
            if uid != 0 {
                become_user(uid)?;
                set_dumpable()?;
            }
            Ok(())
        }
        _ => {
            let mut workers = Vec::new();
            for worker in 0..WORKERS {
                match fork()? {
                    Some(pid) => workers.push(pid),
                    None => {
                        let (leaked, rounds) = body(worker);
                        let numbers = [leaked.to_le_bytes(), rounds.to_le_bytes()].concat();
                        for (at, byte) in numbers.iter().enumerate() {
                            shared.bytes()[worker * 16 + at].store(*byte, Ordering::Release);
                        }
                        exit(0)
                    }
                }
            }
            workers.into_iter().try_for_each(|pid| match wait(pid)? {
                Ended::Code(0) => Ok(()),
                _ => Err(Errno(libc::ECHILD)),
            })
        }
    });
    child.try_to(0).unwrap();
    child.tag(agent.tag);
    child.try_to(1).unwrap();
    fence.leftovers(agent);
    let number = |at: usize| {
        let byte = |n: usize| shared.bytes()[at + n].load(Ordering::Acquire);
        u64::from_le_bytes(std::array::from_fn(byte))
    };
    (0..WORKERS).fold((0, 0), |(leaked, rounds), worker| {
        (leaked + number(worker * 16), rounds + number(worker * 16 + 8))
    })
}

/// A link that leads to what is allowed and to what is not, by turns, while others follow it.
pub fn links_that_change() {
    storm(
        "race_links",
        USER,
        |arena| {
            std::fs::write(arena.at("open/secret"), "no").unwrap();
            make_link("../open/secret", arena.at("work/link")).unwrap();
            make_link("../open", arena.at("work/dir")).unwrap();
        },
        |arena, worker, round| {
            if worker == 0 {
                let to = if round % 2 == 0 { "vault" } else { "open" };
                for (name, target) in
                    [("link", format!("../{to}/secret")), ("dir", format!("../{to}"))]
                {
                    let new = arena.at("work/new");
                    let flipped = symlink(target, &new)
                        .and_then(|()| rename(&new, arena.at("work").join(name)));
                    assert_eq!(flipped, Ok(()));
                }
                return false;
            }
            let path = if worker == 1 { "work/link" } else { "work/dir/secret" };
            leaks(arena.at(path))
        },
    );
}

/// Directories that are renamed all the time by their owner, while others open what is in them.
pub fn directories_that_move() {
    storm(
        "race_directories",
        USER,
        |arena| {
            for name in ["work/a/x", "work/b/x"] {
                std::fs::create_dir_all(arena.at(name)).unwrap();
            }
            std::fs::write(arena.at("work/a/x/secret"), "no").unwrap();
        },
        |arena, worker, round| {
            let at = |name: &str| arena.at(name);
            match worker {
                0 => {
                    let (from, to) = if round % 2 == 0 {
                        ("work/a/x", "work/c")
                    } else {
                        ("work/c", "work/a/x")
                    };
                    let _ = rename(at(from), at(to));
                    false
                }
                // Into the vault and out of it: never.
                1 => {
                    rename(at("vault"), at("work/d")).is_ok()
                        || rename(at("vault/secret"), at("work/a/x/s")).is_ok()
                }
                2 => leaks(at("work/a/x/../../../vault/secret")),
                _ => leaks(at("work/c/../../vault/secret")),
            }
        },
    );
}

/// Threads of which one becomes another program while the rest go on.
pub fn threads_that_exec() {
    storm(
        "race_exec",
        USER,
        |arena| {
            place::program(
                &arena.at("open"),
                "tool",
                &crate::support::elf::opener(&arena.secret()),
            );
        },
        |arena, _, _| {
            let (secret, tool) = (arena.secret(), arena.at("open/tool"));
            let Ok(child) = fork() else { return false };
            let Some(pid) = child else {
                for _ in 0..3 {
                    let secret = secret.clone();
                    thread::spawn(move || {
                        loop {
                            if leaks(&secret) {
                                exit(99);
                            }
                        }
                    });
                }
                let tool = tool.clone();
                let _ = thread::spawn(move || exec(&tool, &["x"])).join();
                exit(98)
            };
            // The tool ends with the errno of its open, 0 where it got in.
            match wait(pid) {
                Ok(Ended::Code(code)) => code == 0 || code == 99,
                _ => false,
            }
        },
    );
}

/// Forks as fast as they come: no descendant is without the tag.
pub fn forks() {
    for uid in [USER, 0] {
        let arena = Arena::new("race_forks", uid);
        arena.reset();
        arena.hand_over();
        let mut fence = Fence::up();
        let agent = fence.agent(arena.dir(), VAULT);
        let each = if soaking() { MANY_FORKS } else { FORKS } / WORKERS as u64;
        let body = |_| {
            let mut leaked = 0;
            let mut made = 0;
            while made < each {
                let Ok(child) = fork() else { continue };
                match child {
                    None => exit(i32::from(leaks(arena.secret()))),
                    Some(pid) => leaked += u64::from(wait(pid) != Ok(Ended::Code(0))),
                }
                made += 1;
            }
            (leaked, made)
        };
        let (leaked, made) = tagged(&mut fence, &agent, uid, body);
        assert_eq!((leaked, made), (0, each * WORKERS as u64), "as user {uid}");
        println!("race_forks: {made} forks as user {uid}, none leaked");
    }
}

/// Two agents on one tree, each allowed what the other is not: neither gets the other's, and neither
/// is refused its own.
pub fn two_agents() {
    let arena = Arena::new("race_agents", USER);
    arena.reset();
    for name in ["open/one", "open/two"] {
        std::fs::write(arena.at(name), SECRET).unwrap();
    }
    arena.hand_over();
    let mut fence = Fence::up();
    let policy = |mine: &str| {
        format!(
            "files:\n  - allow: [read, write, create, delete]\n    paths: ['${{dir}}/open/{mine}*']"
        )
    };
    let agents = [("one", "two"), ("two", "one")];
    let made = agents.map(|(mine, _)| fence.agent(arena.dir(), &policy(mine)));
    let until = Instant::now() + time();
    let counts = Shared::new();
    let mut children: Vec<_> = agents
        .iter()
        .zip(&made)
        .enumerate()
        .map(|(index, ((mine, others), agent))| {
            let (arena, counts) = (&arena, &counts);
            let mut child = fence.child(move |step| -> Res {
                match step {
                    0 => become_user(USER),
                    _ => match fork()? {
                        Some(_) => Ok(()),
                        None => {
                            let (mut rounds, mut wrong) = (0_u64, 0_u64);
                            let other = arena.at("open").join(others);
                            let own = arena.at("open").join(mine);
                            let fresh = arena.at("open").join(format!("{mine}-new"));
                            while Instant::now() < until {
                                wrong += u64::from(leaks(&other)) + u64::from(!leaks(&own));
                                let made = open(&fresh, libc::O_CREAT | libc::O_WRONLY);
                                wrong += u64::from(made.and_then(|_| unlink(&fresh)).is_err());
                                rounds += 1;
                            }
                            let numbers = [wrong.to_le_bytes(), rounds.to_le_bytes()].concat();
                            for (at, byte) in numbers.iter().enumerate() {
                                counts.bytes()[index * 16 + at].store(*byte, Ordering::Release);
                            }
                            exit(0)
                        }
                    },
                }
            });
            child.try_to(0).unwrap();
            child.tag(agent.tag);
            child
        })
        .collect();
    children.iter_mut().for_each(|child| child.try_to(1).unwrap());
    thread::sleep(time() + Duration::from_secs(1));
    for agent in &made {
        fence.leftovers(agent);
    }
    let number = |at: usize| {
        u64::from_le_bytes(std::array::from_fn(|n| counts.bytes()[at + n].load(Ordering::Acquire)))
    };
    for index in 0..2 {
        let (wrong, rounds) = (number(index * 16), number(index * 16 + 8));
        assert_eq!(wrong, 0, "agent {index}, of {rounds} rounds");
        assert!(rounds > 20, "agent {index}: {rounds} rounds only");
    }
}
