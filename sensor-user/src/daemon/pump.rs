//! From the ring to the way out: decodes each event, joins it with its agent and rule, and gives its
//! room in the ring back when it was said or counted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sensor_ebpf::tag::Tag;

use super::core::{Core, lock};
use super::intake::until;
use crate::api::types::AgentId;
use crate::engine::stream::Stream;
use crate::event::json::{Line, Violation};
use crate::event::{Context, Event, boot_time};
use crate::kernel::progress::Unsaid;

/// Events that are passed on before anybody else gets the thread.
const BATCH: usize = 64;

/// Passes events on for as long as the daemon runs.
pub async fn pump(core: Arc<Core>, mut stream: Stream) -> std::io::Result<()> {
    let mut known = Known::find(&core);
    loop {
        while batch(&core, &mut stream, &mut known) {
            core.say_due();
            tokio::task::yield_now().await;
        }
        core.report_losses();
        tokio::select! {
            ready = stream.ready() => ready?,
            () = tokio::time::sleep(until(core.intake.next_due())) => {}
        }
        core.say_due();
    }
}

/// Passes on some; whether there may be more.
fn batch(core: &Core, stream: &mut Stream, known: &mut Known) -> bool {
    let boot = boot_time();
    for _ in 0..BATCH {
        let taken = stream.take(|event| match event {
            Ok(event) if known.has(&event) => see(core, &event),
            Ok(event) => pass(core, &event, boot),
            // Of programs of another version would be refused before; this is a damaged record.
            Err(error) => {
                let detail = error.to_string();
                core.hub.publish(Line::notice("an event could not be read", None, Some(&detail)));
            }
        });
        if taken.is_none() {
            return false;
        }
    }
    true
}

/// The first event in the ring may be the last that a killed daemon had passed on: it died between
/// that and giving the room back.
struct Known {
    first: bool,
    written: Option<(String, u64)>,
    counted: Vec<(Tag, Unsaid)>,
}

impl Known {
    fn find(core: &Core) -> Known {
        let (written, counted) = (core.hub.take_written(), core.say_left_over());
        Known { first: true, written, counted }
    }

    /// Whether the event was passed on before.
    fn has(&mut self, event: &Event) -> bool {
        if !std::mem::take(&mut self.first) {
            return false;
        }
        let (tag, seq) = (tag(event), event.header.seq);
        let same = |(of, unsaid): &(Tag, Unsaid)| *of == tag && unsaid.was_last(seq);
        self.written.take() == Some((AgentId::from(tag).to_string(), seq))
            || self.counted.iter().any(same)
    }
}

fn tag(event: &Event) -> Tag {
    Tag { agent: event.header.agent, epoch: event.header.epoch }
}

/// Passes one event on.
fn pass(core: &Core, event: &Event, boot: SystemTime) {
    let time = boot + Duration::from_nanos(event.header.time);
    // Before anything that takes long: a process may be about to end.
    let process = core.intake.who(&event.header);
    let violation = {
        let engine = core.engine();
        let unknown = Context::unknown();
        let context = engine.context(event).unwrap_or(unknown);
        let op = event.hook.name().unwrap_or("unknown");
        core.violations.count(context.agent, context.policy, op, event.verdict.name());
        Violation::new(event, context, time, process).into_owned()
    };
    // Not with the engine in hand: a disk may be slow.
    core.take_in(tag(event), violation);
    see(core, event);
}

/// Notes how far the agent's violations were passed on.
fn see(core: &Core, event: &Event) {
    let tag = tag(event);
    if core.engine().agent(tag).is_some() {
        lock(&core.seen).insert(tag, event.header.seq + 1);
    }
}
