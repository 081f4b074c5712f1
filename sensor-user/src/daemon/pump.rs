//! From the ring to the way out: decodes each event, joins it with its agent and rule, and gives its
//! room in the ring back when the sinks have it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sensor_ebpf::tag::Tag;

use super::core::{Core, about};
use super::hub::{About, Record};
use crate::engine::Engine;
use crate::engine::stream::Stream;
use crate::event::{Context, Event, boot_time, json};

/// Events that are passed on before anybody else gets the engine.
const BATCH: usize = 64;

/// Passes events on for as long as the daemon runs.
pub async fn pump(core: Arc<Core>, mut stream: Stream) -> std::io::Result<()> {
    loop {
        drain(&core, &mut stream).await;
        stream.ready().await?;
    }
}

/// Passes on what is there.
async fn drain(core: &Core, stream: &mut Stream) {
    while batch(core, stream) {
        tokio::task::yield_now().await;
    }
    core.report_losses();
}

/// Passes on some; whether there may be more.
fn batch(core: &Core, stream: &mut Stream) -> bool {
    let engine = core.engine();
    let boot = boot_time();
    for _ in 0..BATCH {
        let taken = stream.take(|event| match event {
            Ok(event) => {
                let slot = event.header.agent;
                let known = engine.agent(tag(&event)).is_some();
                let record = record(&engine, &event, boot);
                let policy = record.agent.as_ref().map_or("unknown", |agent| &agent.policy);
                let (op, verdict) = (record.op.unwrap_or("unknown"), event.verdict.name());
                core.violations.count(policy, op, verdict);
                core.hub.publish(record);
                if let Some(progress) = engine.progress().filter(|_| known) {
                    progress.passed(slot);
                }
            }
            // Of programs of another version would be refused before; this is a damaged record.
            Err(error) => core.hub.publish(trouble(&error.to_string())),
        });
        if taken.is_none() {
            return false;
        }
    }
    true
}

fn tag(event: &Event) -> Tag {
    Tag { agent: event.header.agent, epoch: event.header.epoch }
}

/// The record of an event.
fn record(engine: &Engine, event: &Event, boot: SystemTime) -> Record {
    let time = boot + Duration::from_nanos(event.header.time);
    let unknown = Context { agent: "unknown", policy: "unknown", version: "", rule: None };
    let context = engine.context(event).unwrap_or(unknown);
    let agent = engine
        .agent(tag(event))
        .map(|agent| About { policy: context.policy.to_owned(), ..about(engine, agent) });
    Record {
        line: json::Line::new(event, context, time).text(),
        time,
        agent,
        op: event.hook.name(),
        rights: event.requested.names().collect(),
        verdict: Some(event.verdict.name()),
    }
}

fn trouble(what: &str) -> Record {
    Record {
        line: json::notice("an event could not be read", None, Some(what)),
        time: SystemTime::now(),
        agent: None,
        op: None,
        rights: Vec::new(),
        verdict: None,
    }
}
