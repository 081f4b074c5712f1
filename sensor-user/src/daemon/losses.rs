//! Losses: what found no room in the ring, said in the stream per agent.

use std::time::SystemTime;

use super::core::{Core, lock, subject};
use crate::event::json::Line;

impl Core {
    /// Says in the stream what was lost, on the way here and from here on.
    pub fn report(&self) {
        self.report_losses();
        self.hub.report_gaps();
    }

    /// Says in the stream what each agent lost since it was last said. A loss is noted as said only
    /// when it was: a daemon that is killed in between leaves it to the next.
    pub fn report_losses(&self) {
        // One at a time, or two would say the same.
        let _reporting = lock(&self.reporting);
        let mut losses = Vec::new();
        {
            let engine = self.engine();
            let Some(progress) = engine.progress() else { return };
            for agent in engine.agents() {
                let Ok(counters) = engine.counters(agent.tag()) else { continue };
                let reported = progress.reported(agent.slot);
                if counters.lost > reported {
                    losses.push((agent.clone(), counters.lost, reported));
                }
            }
        }
        for (agent, total, reported) in losses {
            let of = subject(&self.engine(), &agent);
            self.hub.publish(Line::loss(of, total - reported, total, SystemTime::now()));
            let engine = self.engine();
            if let Some(progress) =
                engine.progress().filter(|_| engine.agent(agent.tag()).is_some())
            {
                progress.report(agent.slot, total);
            }
        }
    }
}
