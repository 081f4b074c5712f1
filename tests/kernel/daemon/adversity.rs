//! What goes wrong on a machine, for as long as a value lives: a disk that is full, a clock that jumps,
//! memory that is short; and another build of the program to upgrade to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::daemon::PICKET;
use crate::support::place::program;

/// A small disk for the event log, which is soon full.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it.
    pub fn mount(at: PathBuf) -> SmallDisk {
        fs::create_dir_all(&at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        assert!(Command::new("mount").args(options).arg(&at).status().unwrap().success());
        SmallDisk(at)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    assert_eq!(unsafe { libc::clock_gettime(id, &raw mut now) }, 0);
    now
}

/// The machine's clock. When this is dropped it shows again what it would have shown.
pub struct Clock {
    /// Seconds from the uptime to the time of day.
    ahead: libc::time_t,
}

impl Clock {
    /// As it is.
    pub fn new() -> Clock {
        let (day, uptime) = (clock(libc::CLOCK_REALTIME), clock(libc::CLOCK_BOOTTIME));
        Clock { ahead: day.tv_sec - uptime.tv_sec }
    }

    /// Sets it to so many seconds after 1970.
    pub fn jump(&self, to: libc::time_t) {
        let time = libc::timespec { tv_sec: to, tv_nsec: 0 };
        // SAFETY: the pointer is to a live timespec.
        let done = unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) };
        assert_eq!(done, 0, "the clock is not set: {}", std::io::Error::last_os_error());
        assert!((0..60).contains(&(clock(libc::CLOCK_REALTIME).tv_sec - to)));
    }

    /// Forth to the next century.
    pub fn forth(&self) {
        self.jump(130 * 365 * 86400);
    }

    /// Back to the year that the clock counts from, as on a machine whose battery is empty. The kernel
    /// takes no time of day that is before its own start.
    pub fn back(&self) {
        self.jump(clock(libc::CLOCK_BOOTTIME).tv_sec + 3600);
    }

    /// To what it would show if nobody had touched it.
    pub fn right(&self) {
        self.jump(clock(libc::CLOCK_BOOTTIME).tv_sec + self.ahead);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.right();
    }
}

/// A cgroup whose memory can be made short.
pub struct Ward(PathBuf);

impl Ward {
    /// An empty one, without a limit.
    pub fn new(name: &str) -> Ward {
        let root = Path::new("/sys/fs/cgroup");
        fs::write(root.join("cgroup.subtree_control"), "+memory").unwrap();
        let ward = Ward(root.join(name));
        let _ = fs::remove_dir(&ward.0);
        fs::create_dir(&ward.0).unwrap();
        ward
    }

    /// Takes a process in; what it had allocated before counts elsewhere.
    pub fn admit(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// Leaves it so many bytes more than it has now.
    pub fn starve(&self, bytes: u64) {
        let now: u64 = self.read("memory.current").trim().parse().unwrap();
        fs::write(self.0.join("memory.max"), (now + bytes).to_string()).unwrap();
    }

    /// Takes the limit away.
    pub fn feed(&self) {
        fs::write(self.0.join("memory.max"), "max").unwrap();
    }

    /// How often something in it was killed for want of memory.
    pub fn killed(&self) -> u64 {
        let events = self.read("memory.events");
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let procs = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines() {
            let _ = fs::write("/sys/fs/cgroup/cgroup.procs", pid);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// The program as a build of another version would be: a copy in which the version reads otherwise wherever it
/// is data. So the hash over version and programs, by which a daemon knows its own kernel side, is another;
/// where the compiler made the version part of an instruction, the copy still says the old one.
pub fn other_build(dir: &Path) -> PathBuf {
    let own = env!("CARGO_PKG_VERSION");
    let other = own.replace(|digit: char| digit.is_ascii_digit(), "9");
    let mut bytes = fs::read(PICKET).unwrap();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(own.len()).position(|w| w == own.as_bytes()) {
        at += found;
        bytes[at..at + own.len()].copy_from_slice(other.as_bytes());
    }
    let copy = program(dir, "picket-other", &bytes);
    let said = Command::new(&copy).arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains(&other), "the copy is of no other version: {said}");
    copy
}
