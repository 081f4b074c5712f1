//! Using System V objects.

use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use sensor_ebpf::subject::ObjectSubject;

use crate::support::case::Case;
use crate::support::expect::Expected;
use crate::support::fence::Fence;
use crate::support::place::Place;
use crate::support::sys::ipc::{Kind, Object};
use crate::support::sys::process::in_child;
use crate::support::sys::{EACCES, Errno, Res};

/// System V objects are no matter of policy.
const POLICY: &str = "\
files:
  - allow: [read]
    paths: ['${dir}/*']";

const KEY: i32 = 0x7069_0001;

pub const CASE: Case = Case {
    hook: Hook::IPC_PERMISSION,
    errno: EACCES,
    policy: POLICY,
    prepare: |_| Box::new(Object::new(Kind::Memory, KEY)),
    denied: |_| Kind::Memory.get(KEY, 0).map(drop),
    allowed: |_| {
        let kind = Kind::Memory;
        let id = kind.make(libc::IPC_PRIVATE)?;
        kind.touch(id)?;
        kind.remove(id)
    },
    event: |_| denied(Hook::IPC_PERMISSION, Kind::Memory.get(KEY, 0).unwrap(), KEY),
    by_child: false,
};

/// The refusal of an object that the agent did not make.
pub fn denied(hook: Hook, id: i64, key: i32) -> Expected {
    Expected::deny(hook, Rights::PROCESS).object(&ObjectSubject::ipc(id as u32, key as u32))
}

#[test]
fn before_inside_outside() {
    CASE.check();
}

#[test]
fn objects_of_every_kind_are_used_only_by_those_that_made_them() {
    let place = Place::on_disk("ipc_kinds");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let other = fence.agent(place.path(), POLICY);
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let key = KEY + 1 + number as i32;
        let object = Object::new(kind, key);
        // By key, and by an id that was guessed.
        let op = |step| if step == 0 { kind.get(key, 0).map(drop) } else { kind.touch(object.id) };
        let mut inside = fence.child(op);
        for step in 0..2 {
            assert_eq!(inside.try_to(step), Ok(()), "{kind:?} before");
        }
        inside.tag(agent.tag);
        for step in 0..2 {
            assert_eq!(inside.try_to(step), Err(EACCES), "{kind:?}");
            let denied = denied(Hook::IPC_PERMISSION, object.id, key);
            fence.expect(&agent, &inside, &[denied]);
        }
        drop(object);

        // One that the agent makes is its children's too, and no other agent's.
        let mut maker = fence.tagged(&agent, |_| -> Res<i64> { kind.make(key) });
        let made = Object { kind, id: maker.run(0).unwrap() };
        let op = |step: u32| if step == 0 { kind.touch(made.id) } else { kind.remove(made.id) };
        let mut child = fence.tagged(&agent, |step| in_child(|| op(step)));
        assert_eq!(child.try_to(0), Ok(()), "{kind:?} of its own");
        fence.quiet(&agent);
        let mut stranger = fence.tagged(&other, op);
        assert_eq!(stranger.try_to(0), Err(EACCES), "{kind:?} of another agent");
        let denied_here = denied(Hook::IPC_PERMISSION, made.id, key);
        fence.expect(&other, &stranger, &[denied_here]);
        let mut outside = fence.child(op);
        assert_eq!(outside.try_to(0), Ok(()), "{kind:?} outside");
        assert_eq!(child.try_to(1), Ok(()), "{kind:?} is removed by its maker");
        fence.quiet(&agent);
    }
}

#[test]
fn an_address_that_is_used_again_gives_nothing_away() {
    const COUNT: i64 = 200;
    let place = Place::on_disk("ipc_reuse");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    for kind in Kind::ALL {
        let mut child = fence.child(|step| -> Res {
            if step > 0 {
                return kind.touch(i64::from(step) - 1);
            }
            let ids: Vec<_> =
                (0..COUNT).map(|_| kind.make(libc::IPC_PRIVATE)).collect::<Res<_>>()?;
            ids.into_iter().try_for_each(|id| kind.remove(id))
        });
        child.tag(agent.tag);
        assert_eq!(child.try_to(0), Ok(()));
        // The kernel frees them after a grace period.
        std::thread::sleep(std::time::Duration::from_millis(200));
        let others: Vec<_> = (0..COUNT).map(|_| Object::new(kind, libc::IPC_PRIVATE)).collect();
        for object in &others {
            let answer = child.try_to(object.id as u32 + 1);
            assert_eq!(answer, Err(EACCES), "{kind:?} {}", object.id);
        }
        assert_eq!(fence.events(&agent).len(), others.len());
    }
}

#[test]
fn room_for_objects_is_given_back() {
    // Many more than there is room for, a few at a time.
    let place = Place::on_disk("ipc_room");
    let mut fence = Fence::up();
    let agent = fence.agent(place.path(), POLICY);
    let mut child = fence.tagged(&agent, |_| -> Res {
        for _ in 0..sensor_ebpf::limits::IPC_MAX + 100 {
            match Kind::Queue.make(libc::IPC_PRIVATE) {
                Ok(id) => Kind::Queue.remove(id)?,
                // Until the kernel has freed the last ones.
                Err(Errno(libc::ENOMEM)) => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    });
    assert_eq!(child.try_to(0), Ok(()));
    let mut last = fence
        .tagged(&agent, |_| -> Res { Kind::Queue.remove(Kind::Queue.make(libc::IPC_PRIVATE)?) });
    assert_eq!(last.try_to(0), Ok(()));
}
