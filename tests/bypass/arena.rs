//! Where attacks are tried: what there is to steal and to break, and how to tell whether that
//! happened. The same for every row.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::support::elf;
use crate::support::place::{self, Place};
use crate::support::sys::files::{open, read};
use crate::support::sys::{Errno, Res};
use crate::sys::{self, Shared};

/// What nobody may get to know.
pub const SECRET: &str = "picket-secret-8c1f0e";
/// What is in the files that may be read and changed.
pub const PLAIN: &str = "nothing special";
/// An ordinary user of the guest.
pub const USER: u32 = 1000;

/// The arena.
///
/// | path | what it is |
/// |---|---|
/// | `vault/secret` | holds [`SECRET`] |
/// | `vault/tool` | a program that makes `work/ran` |
/// | `open/file` | holds [`PLAIN`] |
/// | `work/`, `home/` | empty |
pub struct Arena {
    place: Place,
    /// Who attacks.
    pub uid: u32,
    /// Where attacks put what they got; shared with children.
    loot: Shared,
    /// Milliseconds that what was done may take to show.
    pub patience: Cell<u64>,
    /// A process to attack, or 0.
    pub victim: Cell<i32>,
    /// Bytes that a victim has at the same address.
    scribble: Box<[u8; 32]>,
    /// Servers that must not be reached.
    servers: RefCell<Vec<OwnedFd>>,
    /// Whatever else a row wants to remember until its oracle asks.
    pub note: Cell<u64>,
}

impl Arena {
    /// An arena on the root disk.
    pub fn new(name: &str, uid: u32) -> Arena {
        let place = Place::on_disk(name);
        Arena {
            place,
            uid,
            loot: Shared::new(),
            patience: Cell::new(0),
            victim: Cell::new(0),
            scribble: Box::new(*b"nobody may write in here........"),
            servers: RefCell::default(),
            note: Cell::new(0),
        }
    }

    /// Everything as it was before anybody attacked.
    pub fn reset(&self) {
        for entry in fs::read_dir(self.dir()).unwrap() {
            let path = entry.unwrap().path();
            let gone = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            gone.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        for name in ["vault", "open", "work", "home"] {
            fs::create_dir(self.at(name)).unwrap();
        }
        fs::write(self.secret(), SECRET).unwrap();
        fs::write(self.at("open/file"), PLAIN).unwrap();
        place::program(&self.at("vault"), "tool", &elf::maker(&self.at("work/ran")));
        self.loot.clear();
        self.victim.set(0);
        self.note.set(0);
        self.servers.borrow_mut().clear();
    }

    /// Gives everything to the attacker, so that nothing but the fence is in the way.
    pub fn hand_over(&self) {
        fn give(path: &Path, uid: u32) {
            if path.is_symlink() {
                return;
            }
            chown(path, Some(uid), Some(uid)).unwrap();
            if path.is_dir() {
                for entry in fs::read_dir(path).unwrap() {
                    give(&entry.unwrap().path(), uid);
                }
            }
        }
        give(self.dir(), self.uid);
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.place.path()
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.place.at(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// The file that nobody may read.
    pub fn secret(&self) -> PathBuf {
        self.at("vault/secret")
    }

    /// The subject of events about it.
    pub fn secret_text(&self) -> String {
        self.text("vault/secret")
    }

    /// Keeps what an attack got.
    pub fn take(&self, bytes: &[u8]) -> Res {
        self.loot.set(bytes);
        Ok(())
    }

    /// Reads a file and keeps what is in it.
    pub fn take_file(&self, path: impl AsRef<Path>) -> Res {
        self.take(&read(&open(path, libc::O_RDONLY)?)?)
    }

    /// Whether the secret got out: to the attacker's memory, or to a file outside the vault.
    pub fn looted(&self) -> bool {
        fn holds(path: &Path) -> bool {
            if path.is_symlink() {
                false
            } else if path.is_dir() {
                fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path()))
            } else {
                path.is_file() && contains(&fs::read(path).unwrap(), SECRET.as_bytes())
            }
        }
        contains(&self.loot.get(), SECRET.as_bytes())
            || ["open", "work"].iter().any(|name| holds(&self.at(name)))
    }

    /// Whether the vault is not as it was: content, names, modes, owners, times, attributes.
    pub fn changed(&self) -> bool {
        let Ok(entries) = fs::read_dir(self.at("vault")) else { return true };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let Ok(secret) = fs::symlink_metadata(self.secret()) else { return true };
        names != ["secret", "tool"]
            || !secret.is_file()
            || fs::read(self.secret()).unwrap() != SECRET.as_bytes()
            || secret.permissions().mode() & 0o7777 != 0o644
            || (secret.uid(), secret.gid()) != (self.uid, self.uid)
            || secret.nlink() != 1
            || secret.mtime() < 1_000_000_000
            || sys::has_attributes(&self.secret())
            || sys::inode_flags(&self.secret()) & !sys::EXTENTS != 0
    }

    /// Whether `vault/tool`, or a copy of it, was run.
    pub fn ran(&self) -> bool {
        self.at("work/ran").exists()
    }

    /// Whether something is in `work` that was not.
    pub fn made(&self) -> bool {
        fs::read_dir(self.at("work")).unwrap().next().is_some()
    }

    /// What a victim has in memory, at the same address.
    pub fn scribble(&self) -> &[u8] {
        &*self.scribble
    }

    /// Has a server watched.
    pub fn watch(&self, server: OwnedFd) {
        self.servers.borrow_mut().push(server);
    }

    /// Whether any of the servers was reached: has a connection, or a datagram.
    pub fn reached(&self) -> bool {
        self.servers.borrow().iter().any(|server| sys::readable(server.as_raw_fd()))
    }

    /// Runs a command line with bash, in the arena's directory. It tells no errno: a failure is
    /// `ECHILD`.
    pub fn shell(&self, line: &str) -> Res {
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", line]).current_dir(self.dir()).stdin(Stdio::null());
        bash.stdout(Stdio::null()).stderr(Stdio::null()).env_clear();
        bash.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", self.at("work"));
        match bash.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Errno(libc::ECHILD)),
            Err(error) => Err(Errno(error.raw_os_error().unwrap_or(0))),
        }
    }

    /// [`shell`](Self::shell) of a program that prints what it got.
    pub fn shell_loot(&self, line: &str) -> Res {
        self.shell(&format!("{{ {line} ; }} >work/out"))?;
        if self.looted() { Ok(()) } else { Err(Errno(libc::ENOMSG)) }
    }
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

impl Shared {
    fn clear(&self) {
        self.bytes().iter().for_each(|byte| byte.store(0, Ordering::Relaxed));
    }

    fn set(&self, bytes: &[u8]) {
        for (to, from) in self.bytes().iter().zip(bytes) {
            to.store(*from, Ordering::Relaxed);
        }
    }

    fn get(&self) -> Vec<u8> {
        let value = |byte: &AtomicU8| byte.load(Ordering::Relaxed);
        self.bytes().iter().map(value).collect()
    }
}
