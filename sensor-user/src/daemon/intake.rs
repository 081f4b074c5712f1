//! What happens to a violation between the ring and the hub: it is found out who did it, and it is said
//! in full or counted. Every violation is said, counted and later said, or said to be lost.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use sensor_ebpf::event::EventHeader;
use sensor_ebpf::tag::Tag;

use super::config::Events;
use super::core::{Core, lock, subject};
use super::redact::Redact;
use super::repeats::Repeats;
use super::who::Who;
use crate::api::types::AgentId;
use crate::event::json::{Line, Process, Repeat, Violation};
use crate::kernel::maps::Tags;
use crate::kernel::progress::{Progress, Unsaid};

/// The state of it.
pub struct Intake {
    who: Mutex<Who>,
    redact: Mutex<Arc<Redact>>,
    repeats: Mutex<Repeats>,
}

impl Intake {
    /// As it is configured.
    pub fn new(tags: Tags, config: &Events) -> Intake {
        let intake = Intake {
            who: Mutex::new(Who::by(tags)),
            redact: Mutex::default(),
            repeats: Mutex::default(),
        };
        intake.configure(config);
        intake
    }

    /// Goes by another configuration from now on.
    pub fn configure(&self, config: &Events) {
        lock(&self.repeats).set_window(config.repeats);
        // Tried when the configuration was read.
        *lock(&self.redact) = Arc::new(Redact::new(&config.redact).unwrap_or_default());
    }

    /// What is secret in arguments.
    pub fn redact(&self) -> Arc<Redact> {
        lock(&self.redact).clone()
    }

    /// The process behind an event.
    pub fn who(&self, header: &EventHeader) -> Process {
        lock(&self.who).of(header, &self.redact(), Instant::now())
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        lock(&self.repeats)
    }

    /// When counted violations are to be said next.
    pub fn next_due(&self) -> Option<Instant> {
        self.repeats().next_due()
    }
}

impl Core {
    /// Says a violation, or counts it.
    pub fn take_in(&self, tag: Tag, violation: Violation<'static>) {
        let mut repeats = self.intake.repeats();
        let seq = violation.seq;
        match repeats.take(violation, Instant::now()) {
            Some(violation) => {
                drop(repeats);
                self.hub.publish(Line::Violation(Box::new(violation)));
            }
            None => self.with_progress(tag, |progress| progress.count(tag.agent, seq)),
        }
    }

    fn with_progress(&self, tag: Tag, act: impl FnOnce(&Progress)) {
        let engine = self.engine();
        if let Some(progress) = engine.progress().filter(|_| engine.agent(tag).is_some()) {
            act(progress);
        }
    }

    /// Says what was counted in windows that have ended.
    pub fn say_due(&self) {
        let mut repeats = self.intake.repeats();
        let due = repeats.due(Instant::now());
        self.say_repeats(due);
    }

    /// Says everything that was counted of an agent, or of all.
    pub fn say_counted(&self, agent: Option<Tag>) {
        let id = agent.map(|tag| AgentId::from(tag).to_string());
        let mut repeats = self.intake.repeats();
        let counted = repeats.flush(id.as_deref());
        self.say_repeats(counted);
    }

    /// The caller holds the counts, so that none changes between being said and being noted as said.
    fn say_repeats(&self, repeats: Vec<Repeat<'static>>) {
        for repeat in repeats {
            let count = repeat.repeats;
            let tag = repeat.last.of.agent_id.parse::<AgentId>().map(Tag::from);
            self.hub.publish(Line::Repeat(Box::new(repeat)));
            if let Ok(tag) = tag {
                self.with_progress(tag, |progress| progress.said(tag.agent, count));
            }
        }
    }

    /// What the daemon before this had counted and not said when it was killed: said as lost, for no more
    /// is known of it. What is left says which was the last of each agent: it may be in the ring still.
    pub fn say_left_over(&self) -> Vec<(Tag, Unsaid)> {
        let mut left = Vec::new();
        {
            let engine = self.engine();
            let Some(progress) = engine.progress() else { return Vec::new() };
            for agent in engine.agents() {
                left.push((agent.clone(), progress.unsaid(agent.slot)));
            }
        }
        let mut last = Vec::new();
        for (agent, unsaid) in left {
            last.push((agent.tag(), unsaid));
            let count = unsaid.count();
            if count > 0 {
                let of = subject(&self.engine(), &agent);
                self.hub.publish(Line::left_over(of, count, SystemTime::now()));
                self.with_progress(agent.tag(), |progress| progress.said(agent.slot, count));
            }
        }
        last
    }
}

/// How long until an instant; a long time where there is none.
pub fn until(due: Option<Instant>) -> Duration {
    due.map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(Instant::now()))
}
