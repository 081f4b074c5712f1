//! Events as they should be, compared field by field.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;
use sensor_ebpf::verdict::Verdict;
use sensor_user::event::subject::Subject;
use sensor_user::event::{Context, Event};

use super::child::{Child, NAME};
use super::fence::{FIRST_LINE, POLICY_FILE};
use super::sys::process::pid;

/// Everything about an event that a test can know beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    hook: &'static str,
    verdict: Verdict,
    requested: Rights,
    because: Rights,
    subject: Option<Subject>,
    peer: Option<Subject>,
    fault: &'static str,
    errno: i32,
    /// File and line.
    rule: Option<(String, usize)>,
    uid: u32,
    comm: String,
}

/// The process that an event is about.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// A child of the test.
    Child(i32),
    /// A child of that child, with a pid that nobody knows beforehand.
    ChildOf(i32),
    /// A process somewhere below it.
    Below,
}

impl From<&Child> for Who {
    fn from(child: &Child) -> Who {
        Who::Child(child.pid())
    }
}

impl Expected {
    /// A refusal with the hook's own errno, where no rule speaks of it.
    pub fn deny(hook: Hook, requested: Rights) -> Expected {
        Expected {
            hook: hook.name().unwrap(),
            verdict: Verdict::Deny,
            requested,
            because: requested,
            subject: None,
            peer: None,
            fault: "none",
            errno: hook.errno(),
            rule: None,
            uid: 0,
            comm: NAME.to_owned(),
        }
    }

    /// A report of something that went on.
    pub fn audit(hook: Hook, requested: Rights) -> Expected {
        Expected { verdict: Verdict::Audit, errno: 0, ..Expected::deny(hook, requested) }
    }

    /// A refusal because of an error.
    pub fn fault(hook: Hook, fault: Fault) -> Expected {
        Expected { fault: fault.name().unwrap(), ..Expected::deny(hook, Rights::NONE) }
    }

    /// By another hook.
    pub fn by(self, hook: Hook) -> Expected {
        Expected { hook: hook.name().unwrap(), ..self }
    }

    /// About a path.
    pub fn path(self, path: impl AsRef<Path>) -> Expected {
        Expected { subject: Some(path_subject(path)), ..self }
    }

    /// About something that has no path.
    pub fn object(self, object: &ObjectSubject) -> Expected {
        let bytes = object.as_bytes().to_vec();
        Expected { subject: Some(Subject::object(bytes.into())), ..self }
    }

    /// With this other name.
    pub fn peer(self, path: impl AsRef<Path>) -> Expected {
        Expected { peer: Some(path_subject(path)), ..self }
    }

    /// With this beside it, which has no path.
    pub fn other(self, object: &ObjectSubject) -> Expected {
        let bytes = object.as_bytes().to_vec();
        Expected { peer: Some(Subject::object(bytes.into())), ..self }
    }

    /// Only these of the requested rights are to blame.
    pub fn because(self, because: Rights) -> Expected {
        Expected { because, ..self }
    }

    /// Decided by the rule on this line of the lines that the test gave, from 1.
    pub fn rule(self, line: usize) -> Expected {
        Expected { rule: Some((POLICY_FILE.to_owned(), FIRST_LINE + line - 1)), ..self }
    }

    /// Refused for this reason, and not by a rule.
    pub fn cause(self, fault: Fault) -> Expected {
        Expected { fault: fault.name().unwrap(), ..self }
    }

    /// With another errno than the hook's usual one.
    pub fn errno(self, errno: i32) -> Expected {
        Expected { errno, ..self }
    }

    /// By a thread of this name.
    pub fn comm(self, comm: &str) -> Expected {
        Expected { comm: comm.to_owned(), ..self }
    }

    /// By this user.
    pub fn uid(self, uid: u32) -> Expected {
        Expected { uid, ..self }
    }

    /// What an event says, in the same form; `who` did it.
    pub fn of(event: &Event, context: Context<'_>, who: Who) -> Expected {
        let header = &event.header;
        match who {
            Who::Child(child) => {
                assert_eq!(header.pid, child as u32, "pid of {event:?}");
                assert_eq!(header.tid, child as u32, "thread of {event:?}");
                assert_eq!(header.ppid, pid() as u32, "parent of {event:?}");
            }
            Who::ChildOf(child) => {
                // With `CLONE_PARENT` it is the test's own.
                let parents = [child as u32, pid() as u32];
                assert!(parents.contains(&header.ppid), "parent of {event:?}");
            }
            Who::Below => {}
        }
        Expected {
            hook: event.hook.name().unwrap(),
            verdict: event.verdict,
            requested: event.requested,
            because: event.because,
            subject: event.subject.clone(),
            peer: event.peer.clone(),
            fault: event.fault.name().unwrap(),
            errno: header.errno.cast_signed(),
            rule: context.rule.map(|rule| (rule.file.into_owned(), rule.line)),
            uid: header.uid,
            comm: event.comm(),
        }
    }
}

fn path_subject(path: impl AsRef<Path>) -> Subject {
    Subject::Path(path.as_ref().as_os_str().as_bytes().to_vec().into())
}
