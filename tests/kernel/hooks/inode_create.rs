//! POSIX message queues: they have names, and no path that a hook with a path would see.

use std::path::Path;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::{ANON_QUEUE, ObjectSubject};

use crate::support::case::{Case, nothing};
use crate::support::expect::Expected;
use crate::support::place;
use crate::support::sys::EACCES;
use crate::support::sys::files::{touch, unlink};
use crate::support::sys::queues;

const POLICY: &str = "\
files:
  - allow: [read, write, create, delete]
    paths: ['/**']";

/// Queues are the machine's, so the tests do not share one.
const YOURS: &str = "picket-test-create";

pub const CASE: Case = Case {
    hook: Hook::INODE_CREATE,
    errno: EACCES,
    policy: POLICY,
    prepare: |dir| {
        let _ = queues::unlink(YOURS);
        place::file(dir, "mine");
        nothing()
    },
    denied: |_| queues::create(YOURS),
    allowed: |dir| {
        let mine: &Path = &dir.join("mine");
        unlink(mine)?;
        touch(mine, libc::O_CREAT | libc::O_WRONLY)
    },
    event: |_| {
        let queue = ObjectSubject::anon(ANON_QUEUE);
        Expected::deny(Hook::INODE_CREATE, Rights::CREATE).object(&queue)
    },
    by_child: false,
};

#[test]
fn before_inside_outside() {
    CASE.check();
}
