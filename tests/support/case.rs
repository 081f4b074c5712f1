//! The situations that every hook is tried in, with the same operation.

use std::any::Any;
use std::path::Path;

use sensor_ebpf::hook::Hook;

use super::expect::{Expected, Who};
use super::fence::Fence;
use super::place::Place;
use super::sys::{Errno, Res};

/// An operation that a hook refuses, and a similar one that it does not.
pub struct Case {
    /// The hook.
    pub hook: Hook,
    /// What the refused program sees.
    pub errno: Errno,
    /// Lines of `spec`; `${dir}` is the directory that the operations get.
    pub policy: &'static str,
    /// Makes what both operations take, as it was before they ran; what must stay alive meanwhile
    /// is returned.
    pub prepare: fn(&Path) -> Box<dyn Any>,
    /// The operation that the policy does not allow.
    pub denied: fn(&Path) -> Res,
    /// The operation that it does.
    pub allowed: fn(&Path) -> Res,
    /// The event of the refusal.
    pub event: fn(&Path) -> Expected,
    /// Whether the operation is done by a child of the process that is told to do it.
    pub by_child: bool,
}

/// Step that runs [`Case::denied`].
pub const DENIED: u32 = 0;
/// Step that runs [`Case::allowed`].
pub const ALLOWED: u32 = 1;

impl Case {
    /// A step of a child.
    pub fn step(&self, dir: &Path, step: u32) -> Res {
        if step == DENIED { (self.denied)(dir) } else { (self.allowed)(dir) }
    }

    /// Allowed before, denied inside with the event, allowed outside, and a control. That it is
    /// allowed again after the programs are gone is tried for all hooks together, in `after`.
    pub fn check(&self) {
        let mut fence = Fence::up();
        let place = Place::on_disk(self.hook.name().unwrap());
        let dir = place.path();
        let agent = fence.agent(dir, self.policy);
        let mut inside = fence.child(|step| self.step(dir, step));
        let mut outside = fence.child(|step| self.step(dir, step));

        let kept = (self.prepare)(dir);
        assert_eq!(inside.try_to(DENIED), Ok(()), "before it was tagged");
        drop(kept);

        let kept = (self.prepare)(dir);
        inside.tag(agent.tag);
        assert_eq!(inside.try_to(DENIED), Err(self.errno), "inside");
        let who = if self.by_child { Who::ChildOf(inside.pid()) } else { Who::Child(inside.pid()) };
        let hook = acting(self.hook, &mut fence);
        fence.expect(&agent, who, &[(self.event)(dir).by(hook)]);

        // Nothing was changed by what was refused, so that it works now without being prepared.
        assert_eq!(outside.try_to(DENIED), Ok(()), "outside");
        drop(kept);

        let _kept = (self.prepare)(dir);
        assert_eq!(inside.try_to(ALLOWED), Ok(()), "what the policy allows");
        fence.quiet(&agent);
    }
}

/// The hook that refuses the same on a kernel that is too old for this one.
pub fn acting(hook: Hook, fence: &mut Fence) -> Hook {
    let older = match hook {
        Hook::URING_ALLOWED => Hook::INODE_INIT_SECURITY_ANON,
        Hook::INODE_SET_ACL => Hook::INODE_SETXATTR,
        Hook::INODE_REMOVE_ACL => Hook::INODE_REMOVEXATTR,
        Hook::INODE_FILE_SETATTR | Hook::FILE_IOCTL_COMPAT => Hook::FILE_IOCTL,
        other => other,
    };
    if fence.has(hook) { hook } else { older }
}

/// For [`Case::prepare`]: nothing needs to stay alive.
pub fn nothing() -> Box<dyn Any> {
    Box::new(())
}
