//! Sends the canary as an agent of the daemon's, and waits for what its hooks report in the stream.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use super::core::{Core, lock};
use super::peer::Peer;
use crate::api::types::{AgentId, Canary, NewAgent, PolicyText, Probe};
use crate::canary::{Account, Cage, NAME, judge, not_sent, play, policy};

/// How long its events may be on their way. Behind those of busy agents it takes longer than usual.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a canary, and remembers and returns what it found.
pub fn send(core: &Core) -> Canary {
    let probes = try_send(core).unwrap_or_else(|error| vec![not_sent(&error)]);
    let at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
    let canary = Canary { at, probes };
    let free: Vec<&str> =
        canary.probes.iter().filter(|p| !p.refused).map(|p| p.operation.as_str()).collect();
    if free.is_empty() {
        core.notice("canary was refused everything", None, None);
    } else {
        core.notice("canary was not refused", None, Some(&free.join(", ")));
    }
    lock(&core.canary).clone_from(&canary);
    canary
}

fn try_send(core: &Core) -> anyhow::Result<Vec<Probe>> {
    let program = std::env::current_exe()?;
    let cage = Cage::make(core.config().daemon.state.join("canary"))?;
    let source = policy(&program)?;
    let new = NewAgent {
        name: Some(NAME.to_owned()),
        source: Some(PolicyText { file: source.name, text: source.text }),
        ..NewAgent::default()
    };
    let (_, before) = core.hub.range();
    let agent = core.create(Peer::SELF, new)?;
    let tags = core.engine().tags()?;
    let played = play(tags, agent.id.into(), &program, &cage);
    let outcome = played.map(|mut probes| {
        let account = account(core, before, agent.id, &probes);
        judge(&mut probes, &account);
        probes
    });
    core.remove(Peer::SELF, agent.id)?;
    outcome
}

/// What was reported of this agent after the record `before`, and what was lost of it.
fn account(core: &Core, before: u64, id: AgentId, probes: &[Probe]) -> Account {
    let deadline = Instant::now() + PATIENCE;
    let name = id.to_string();
    loop {
        let records = core.hub.after(before, usize::MAX).records;
        let of_it =
            records.iter().filter(|r| r.agent.as_ref().is_some_and(|about| about.id == name));
        let seen = of_it.filter_map(|record| record.op.as_deref().map(str::to_owned)).collect();
        let lost = core.engine().counters(id.into()).map_or(0, |counters| counters.lost);
        let account = Account { seen, lost };
        if account.closes(probes) || Instant::now() > deadline {
            return account;
        }
        sleep(Duration::from_millis(5));
    }
}
