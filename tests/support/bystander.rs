//! A process that nobody has tagged and that is not the test: what may be done to it is the agent's
//! policy's to say. The test itself is Picket's own, which no policy opens.

use std::path::Path;

use sensor_ebpf::act::Act;
use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use super::expect::Expected;
use super::sys::files::{pipe, read_next, write};
use super::sys::process::{become_user, fork, kill, set_dumpable, wait};

/// The process.
pub struct Bystander(pub i32);

impl Bystander {
    /// Of this user, and open to others of the same.
    pub fn new(user: u32) -> Bystander {
        let (ready_out, ready) = pipe().unwrap();
        let pid = match fork().unwrap() {
            None => {
                let ready = become_user(user)
                    .and_then(|()| set_dumpable())
                    .and_then(|()| write(&ready, b"!"));
                assert!(ready.is_ok(), "{ready:?}");
                loop {
                    std::thread::park();
                }
            }
            Some(pid) => pid,
        };
        assert_eq!(read_next(&ready_out, &mut [0]), Ok(1));
        Bystander(pid)
    }

    /// One whose pid stands in a file, for operations that know nothing but a directory.
    pub fn noted(dir: &Path) -> Bystander {
        let bystander = Bystander::new(0);
        std::fs::write(dir.join(NOTE), bystander.0.to_string()).unwrap();
        bystander
    }

    /// The pid that [`Bystander::noted`] wrote.
    pub fn pid_in(dir: &Path) -> i32 {
        std::fs::read_to_string(dir.join(NOTE)).unwrap().parse().unwrap()
    }

    /// The event of what is refused on it.
    pub fn denied(&self, hook: Hook, act: Act) -> Expected {
        denied(hook, act, self.0)
    }

    /// Whether it is still there and runs.
    pub fn lives(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.0)).is_ok_and(
            |stat| matches!(stat.rsplit(") ").next(), Some(rest) if rest.starts_with('S')),
        )
    }
}

/// Where the pid stands.
const NOTE: &str = "bystander";

/// The event of an act that is refused on a process.
pub fn denied(hook: Hook, act: Act, pid: i32) -> Expected {
    let subject = ObjectSubject::process(act, pid.unsigned_abs());
    Expected::deny(hook, Rights::PROCESS).object(&subject)
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // One that a failed test has ended already needs no ending.
        let _ = kill(self.0, libc::SIGKILL);
        let _ = wait(self.0);
    }
}
