//! Descriptors from before the tag.
//!
//! An agent that was started as one has none but its standard streams. One that was tagged while it ran
//! may hold anything, and if it is to be cut off ([`CUT_OFF`]) each use is judged as an open would be, and
//! what is sent through a socket as connecting it would be ([`super::foreign`]). Not what every program inherits
//! and talks through: pipes, pairs of sockets, terminals. Memory that is mapped already stays mapped.

use sensor_ebpf::hook::{Fault, Hook};
use sensor_ebpf::rights::Rights;
use sensor_ebpf::tag::CUT_OFF;

use super::judge::{Actor, Ruling};
use super::vmlinux::{File, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFSOCK};

/// In `f_flags`: opened by the kernel in order to execute it, which was judged as that.
const FMODE_EXEC: u32 = 1 << 5;

impl Actor {
    /// Whether the agent is cut off from what its processes opened before they had their tag.
    #[inline(always)]
    pub fn is_cut_off(&self) -> bool {
        // SAFETY: a whole agent; see `tag::enter`.
        unsafe { (*self.agent).flags & CUT_OFF != 0 }
    }
}

/// Judges a use of a descriptor that is no socket's.
#[inline(always)]
pub fn judge(actor: &Actor, hook: Hook, file: File, right: Rights) -> Result<Ruling, Fault> {
    if !actor.is_cut_off() || file.flags() & FMODE_EXEC != 0 {
        return Ok(Ruling::ALLOW);
    }
    let right = match (file.file_type(), right) {
        (S_IFIFO | S_IFSOCK, _) => return Ok(Ruling::ALLOW),
        (S_IFCHR, _) if file.is_terminal() => return Ok(Ruling::ALLOW),
        (S_IFDIR, Rights::READ) => Rights::LIST,
        (S_IFCHR | S_IFBLK, right) => right.or(Rights::DEVICE),
        (_, right) => right,
    };
    let right = Rights(actor.scratch().forget(u64::from(right.0)) as u32);
    actor.judge_path(hook, right, file.place())
}
