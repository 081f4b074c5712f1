//! From the ring to the way out: decodes each event, joins it with its agent and rule, and gives its
//! room in the ring back when the file has it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sensor_ebpf::tag::Tag;

use super::core::Core;
use crate::api::types::AgentId;
use crate::engine::stream::Stream;
use crate::event::decode::DecodeError;
use crate::event::json::{Line, Process, Violation};
use crate::event::{Context, Event, boot_time};

/// Events that are passed on before anybody else gets the thread.
const BATCH: usize = 64;

/// Passes events on for as long as the daemon runs.
pub async fn pump(core: Arc<Core>, mut stream: Stream) -> std::io::Result<()> {
    let mut written = core.hub.take_written();
    loop {
        while batch(&core, &mut stream, &mut written) {
            tokio::task::yield_now().await;
        }
        core.report_losses();
        stream.ready().await?;
    }
}

/// Passes on some; whether there may be more.
fn batch(core: &Core, stream: &mut Stream, written: &mut Option<(String, u64)>) -> bool {
    let boot = boot_time();
    for _ in 0..BATCH {
        let pass = |event: Result<Event, DecodeError>| {
            let known = written.take();
            if !event.as_ref().is_ok_and(|event| is(event, known)) {
                pass(core, event, boot);
            }
        };
        if stream.take(pass).is_none() {
            return false;
        }
    }
    true
}

/// Whether an event is the one that the daemon before this had written already when it was killed.
fn is(event: &Event, written: Option<(String, u64)>) -> bool {
    written == Some((AgentId::from(tag(event)).to_string(), event.header.seq))
}

fn tag(event: &Event) -> Tag {
    Tag { agent: event.header.agent, epoch: event.header.epoch }
}

/// Passes one event on.
fn pass(core: &Core, event: Result<Event, DecodeError>, boot: SystemTime) {
    let event = match event {
        Ok(event) => event,
        // Of programs of another version would be refused before; this is a damaged record.
        Err(error) => {
            let detail = error.to_string();
            core.hub.publish(Line::notice("an event could not be read", None, Some(&detail)));
            return;
        }
    };
    let tag = tag(&event);
    let time = boot + Duration::from_nanos(event.header.time);
    let violation = {
        let engine = core.engine();
        let unknown = Context::unknown();
        let context = engine.context(&event).unwrap_or(unknown);
        let op = event.hook.name().unwrap_or("unknown");
        core.violations.count(context.policy, op, event.verdict.name());
        Violation::new(&event, context, time, Process::default()).into_owned()
    };
    // Not with the engine in hand: a disk may be slow.
    core.hub.publish(Line::Violation(Box::new(violation)));
    let engine = core.engine();
    if let Some(progress) = engine.progress().filter(|_| engine.agent(tag).is_some()) {
        progress.passed(tag.agent);
    }
}
