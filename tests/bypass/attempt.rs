//! Trying an attack: by root and by an ordinary user, without a tag and with one, in every spelling.
//!
//! Without a tag it must work, which shows that nothing but the fence stops it and that the oracle
//! can tell. With one, three things must hold: the program sees the errno, the event names hook,
//! right and subject, and nothing happened.

use std::fmt;

use sensor_ebpf::hook::Hook;
use sensor_ebpf::verdict::Verdict;
use sensor_user::event::Event;
use sensor_user::event::subject::Subject;

use crate::arena::{Arena, USER};
use crate::row::{Attack, Control, NONE_YET, Row, Way};
use crate::support::child::Child;
use crate::support::fence::{Agent, Fence, hook_or};
use crate::support::sys::process::{become_user, set_dumpable};
use crate::support::sys::{Errno, Res};
use crate::sys::alarm;

/// What was not as it must be.
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Steps of a child.
const BECOME: u32 = 0;
/// See [`BECOME`].
const ATTACK: u32 = 1;

/// Seconds after which an attempt counts as hanging, emulation included.
const PATIENCE: u32 = 60;

/// Tries a row's attack in every way, as both users.
pub fn check(row: &Row, attack: &Attack) -> Result<(), Wrong> {
    check_ways(row, attack, |_| true)
}

/// The same in some of the ways.
pub fn check_ways(row: &Row, attack: &Attack, which: impl Fn(&Way) -> bool) -> Result<(), Wrong> {
    let mut fence = Fence::up();
    for uid in [0, USER] {
        let arena = Arena::new(&format!("bypass_{}", row.number), uid);
        arena.reset();
        let agent = fence.agent(arena.dir(), &spec(attack.policy, &arena));
        if attack.cut_off {
            fence.cut_off(&agent);
        }
        for way in attack.ways.iter().filter(|way| which(way)) {
            let tried = Tried { attack, way, arena: &arena, agent: &agent };
            tried.check(&mut fence).map_err(|wrong| {
                let who = if uid == 0 { "root" } else { "a user" };
                Wrong(format!("{} ({}, as {who}): {}", row.name(), way.name, wrong.0))
            })?;
        }
        if attack.cut_off {
            fence.let_keep(&agent);
        }
        arena.reset();
    }
    Ok(())
}

/// One way, by one user.
struct Tried<'a> {
    attack: &'a Attack,
    way: &'a Way,
    arena: &'a Arena,
    agent: &'a Agent,
}

impl Tried<'_> {
    fn check(&self, fence: &mut Fence) -> Result<(), Wrong> {
        let possible = self.outside(fence)?;
        self.inside(fence, possible)
    }

    /// Tries it without a tag: whether this user can do it at all.
    fn outside(&self, fence: &mut Fence) -> Result<bool, Wrong> {
        let must = match self.attack.control {
            // Of a user the kernel itself may have refused it.
            Control::Nobody(_) => return Ok(self.arena.uid == 0),
            Control::Anybody => true,
            Control::Root(_) => self.arena.uid == 0,
        };
        let (answer, happened) = self.run(fence, false);
        let works = answer == Ok(());
        ensure(works || !must, || format!("without a tag: {answer:?}"))?;
        ensure(works == happened, || {
            format!("without a tag it says {answer:?}, and it did happen: {happened}")
        })?;
        Ok(works)
    }

    fn inside(&self, fence: &mut Fence, possible: bool) -> Result<(), Wrong> {
        let (answer, happened) = self.run(fence, true);
        let events = fence.events(self.agent);
        ensure(!happened, || format!("it happened ({answer:?}; {})", told(&events)))?;
        if !possible {
            // The kernel itself may have refused before any hook was asked.
            return ensure(answer.is_err(), || format!("it says that it worked: {answer:?}"));
        }
        let hook = self.hook();
        if hook == NONE_YET {
            return ensure(answer.is_err() && !events.is_empty(), || {
                format!("{answer:?}; {}", told(&events))
            });
        }
        let errno = Errno(self.way.errno.unwrap_or(hook.errno()));
        ensure(answer == Err(errno), || {
            format!("{answer:?} instead of {errno:?}; {}", told(&events))
        })?;
        ensure(events.iter().any(|event| self.is_expected(event)), || {
            let right = self.way.right.unwrap_or(self.attack.right);
            let (hook, about) = (hook.name().unwrap(), (self.attack.about)(self.arena));
            format!("no event of {hook} that refuses {right:?} on {about}; {}", told(&events))
        })
    }

    /// The hook that refuses on this kernel.
    fn hook(&self) -> Hook {
        let hook = self.way.hook.unwrap_or(self.attack.hook);
        self.way.older.map_or(hook, |older| hook_or(hook, older))
    }

    fn is_expected(&self, event: &Event) -> bool {
        let about = (self.attack.about)(self.arena);
        // No subject is an empty one.
        let names = [&event.subject, &event.peer];
        let is = |name: &&Option<Subject>| {
            let name = name.as_ref().map(ToString::to_string).unwrap_or_default();
            // Behind a process stands what was to be done to it.
            name.strip_prefix(&about).is_some_and(|act| act.is_empty() || act.starts_with(" ("))
        };
        event.hook == self.hook()
            && event.requested.contains(self.way.right.unwrap_or(self.attack.right))
            && (about == "*" || names.iter().any(is))
            && event.verdict == Verdict::Deny
            && event.header.errno != 0
            && [0, USER].contains(&event.header.uid)
    }

    /// What the attacker was told, and whether it happened.
    fn run(&self, fence: &mut Fence, tagged: bool) -> (Res, bool) {
        self.arena.reset();
        let kept = (self.attack.prepare)(self.arena);
        self.arena.hand_over();
        let mut child = fence.child(|step| match step {
            BECOME => ready(self.arena.uid).and_then(|()| (self.attack.before)(self.arena)),
            _ => (self.way.run)(self.arena),
        });
        let ready = child.try_to(BECOME);
        assert_eq!(ready, Ok(()), "becoming user {}", self.arena.uid);
        if tagged {
            child.tag(self.agent.tag);
        }
        // What works may take a moment to show; what does not is looked at once more after a shorter one.
        self.arena.patience.set(if tagged { 30 } else { 2000 });
        let answer = run(&mut child);
        let happened = (self.attack.happened)(self.arena);
        drop(child);
        drop(kept);
        (answer, happened)
    }
}

fn run(child: &mut Child) -> Res {
    child.try_to(ATTACK)
}

/// The lines of a policy's `spec`, for this arena.
fn spec(policy: &str, arena: &Arena) -> String {
    let lines = match policy.split_once("\nspec:\n") {
        None => policy.to_owned(),
        Some((_, lines)) => {
            lines.lines().map(|l| format!("{}\n", l.get(2..).unwrap_or(""))).collect()
        }
    };
    lines
        .replace("${home}", &arena.text("home"))
        .replace("${workspace}", &arena.text("work"))
        .replace("${uid}", &arena.uid.to_string())
}

/// Makes a child ready to attack.
fn ready(uid: u32) -> Res {
    alarm(PATIENCE)?;
    if uid == 0 {
        return Ok(());
    }
    become_user(uid)?;
    // Otherwise its own /proc would belong to root.
    set_dumpable()
}

fn ensure(holds: bool, else_: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong(else_())) }
}

/// Events, as far as they fit a line.
fn told(events: &[Event]) -> String {
    let one = |event: &Event| {
        let subject = event.subject.as_ref().map(ToString::to_string).unwrap_or_default();
        let (hook, fault) = (event.hook.name().unwrap(), event.fault.name().unwrap());
        format!("{hook} {:?} {subject} ({}, fault: {fault})", event.requested, event.verdict.name())
    };
    let all: Vec<String> = events.iter().take(8).map(one).collect();
    format!("{} events: {}", events.len(), all.join("; "))
}
