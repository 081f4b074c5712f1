//! Many operations under one policy: each works before its process is tagged, has the outcome that
//! it should have inside, and works outside.

use super::expect::{Expected, Who};
use super::fence::{Agent, Fence};
use super::place::Place;
use super::sys::{Errno, Res};

/// One operation and what should come of it.
struct Step<'a> {
    name: &'a str,
    run: Box<dyn Fn() -> Res + 'a>,
    refused: Option<Errno>,
    events: Vec<Expected>,
    by_child: bool,
}

/// The operations.
pub struct Trial<'a> {
    place: &'a Place,
    spec: &'a str,
    prepare: Box<dyn Fn() + 'a>,
    steps: Vec<Step<'a>>,
    auditing: bool,
}

impl<'a> Trial<'a> {
    /// Under the policy with these lines of `spec`, where `${dir}` is the place.
    pub fn new(place: &'a Place, spec: &'a str) -> Trial<'a> {
        Trial { place, spec, prepare: Box::new(|| ()), steps: Vec::new(), auditing: false }
    }

    /// With everything allowed and reported.
    pub fn auditing(self) -> Trial<'a> {
        Trial { auditing: true, ..self }
    }

    /// To be done, by the test, before each operation.
    pub fn prepare(self, prepare: impl Fn() + 'a) -> Trial<'a> {
        Trial { prepare: Box::new(prepare), ..self }
    }

    /// An operation that is allowed and makes no event.
    pub fn allowed(self, name: &'a str, run: impl Fn() -> Res + 'a) -> Trial<'a> {
        self.step(name, run, None, Vec::new(), false)
    }

    /// An operation that is allowed and makes an event.
    pub fn reported(self, name: &'a str, run: impl Fn() -> Res + 'a, event: Expected) -> Trial<'a> {
        self.step(name, run, None, vec![event], false)
    }

    /// An operation that is refused.
    pub fn refused(
        self,
        name: &'a str,
        run: impl Fn() -> Res + 'a,
        errno: Errno,
        event: Expected,
    ) -> Trial<'a> {
        self.step(name, run, Some(errno), vec![event], false)
    }

    /// An operation that is refused to a child of the process.
    pub fn refused_to_child(
        self,
        name: &'a str,
        run: impl Fn() -> Res + 'a,
        errno: Errno,
        event: Expected,
    ) -> Trial<'a> {
        self.step(name, run, Some(errno), vec![event], true)
    }

    fn step(
        mut self,
        name: &'a str,
        run: impl Fn() -> Res + 'a,
        refused: Option<Errno>,
        events: Vec<Expected>,
        by_child: bool,
    ) -> Trial<'a> {
        self.steps.push(Step { name, run: Box::new(run), refused, events, by_child });
        self
    }

    /// Tries all of them.
    pub fn run(self) {
        let mut fence = Fence::up();
        let dir = self.place.path();
        let agent = if self.auditing {
            fence.auditing_agent(dir, self.spec)
        } else {
            fence.agent(dir, self.spec)
        };
        let mut inside = fence.child(|step| (self.steps[step as usize].run)());
        let mut outside = fence.child(|step| (self.steps[step as usize].run)());
        for (number, step) in self.steps.iter().enumerate() {
            (self.prepare)();
            assert_eq!(inside.try_to(number as u32), Ok(()), "{} before it is tagged", step.name);
        }
        inside.tag(agent.tag);
        for (number, step) in self.steps.iter().enumerate() {
            (self.prepare)();
            let answer = inside.try_to(number as u32);
            assert_eq!(answer, step.refused.map_or(Ok(()), Err), "{} inside", step.name);
            let pid = inside.pid();
            let who = if step.by_child { Who::ChildOf(pid) } else { Who::Child(pid) };
            self.expect(&mut fence, &agent, who, step);
            if step.refused.is_some() {
                // Nothing was changed by what was refused, so nothing has to be prepared.
                let answer = outside.try_to(number as u32);
                assert_eq!(answer, Ok(()), "{} outside", step.name);
            }
        }
    }

    fn expect(&self, fence: &mut Fence, agent: &Agent, who: Who, step: &Step<'_>) {
        assert_eq!(fence.seen(agent, who), step.events, "events of {}", step.name);
    }
}
