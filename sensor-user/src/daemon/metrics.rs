//! Metrics in the text format of Prometheus. Labels are names of hooks, verdicts, faults, sinks and
//! policies: of each there are few, whatever agents do. No label names an agent, a path or a pid.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use super::core::{Core, lock};
use super::manage;
use super::peer::Peer;
use crate::kernel::adopt::Host;

/// What the text is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Policies that are told apart; the rest is `other`.
const POLICIES_MAX: usize = 128;

/// Violations so far, by policy, hook and verdict.
#[derive(Debug, Default)]
pub struct Violations(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    policies: Vec<String>,
    counts: BTreeMap<(String, &'static str, &'static str), u64>,
}

impl Violations {
    /// Counts one.
    pub fn count(&self, policy: &str, op: &'static str, verdict: &'static str) {
        let mut state = lock(&self.0);
        let known = state.policies.iter().any(|known| known == policy);
        let room = state.policies.len() < POLICIES_MAX;
        if !known && room {
            state.policies.push(policy.to_owned());
        }
        let policy = if known || room { policy } else { "other" };
        *state.counts.entry((policy.to_owned(), op, verdict)).or_default() += 1;
    }
}

/// A text under way.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value of it.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0 += name;
        for (number, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let open = if number == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    /// A metric of one value.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.metric(name, kind, help);
        self.value(name, &[], value);
    }
}

/// All metrics.
pub fn text(core: &Core) -> String {
    let status = manage::status(core, Peer::SELF);
    let mut text = Text::default();
    let yes = |yes: bool| f64::from(u8::from(yes));
    text.single(
        "picket_enforcing",
        "gauge",
        "Whether the last canary was refused everything.",
        yes(status.enforcing),
    );
    text.single("picket_agents", "gauge", "Agents there are.", status.agents as f64);
    text.single(
        "picket_policy_tables",
        "gauge",
        "Policy tables in the kernel.",
        status.tables.0 as f64,
    );
    text.single(
        "picket_policy_table_bytes",
        "gauge",
        "Kernel memory of the policy tables.",
        status.table_memory as f64,
    );
    text.single(
        "picket_daemon_resident_bytes",
        "gauge",
        "Resident memory of the daemon.",
        status.rss as f64,
    );
    text.single(
        "picket_events_lost",
        "gauge",
        "Events of the agents there are that found no room in the ring.",
        status.lost as f64,
    );
    text.single(
        "picket_records_total",
        "counter",
        "Records passed on since the daemon began.",
        status.passed as f64,
    );
    text.single(
        "picket_policy_problems",
        "gauge",
        "Files of the policy directory with mistakes in them.",
        status.problems.len() as f64,
    );
    text.metric("picket_hook_armed", "gauge", "Whether a program is attached to the hook.");
    for hook in &status.hooks {
        text.value("picket_hook_armed", &[("hook", &hook.name)], yes(hook.armed));
    }
    text.metric(
        "picket_faults_total",
        "counter",
        "Errors while judging, each of which refused something.",
    );
    for (hook, fault, count) in &status.faults {
        text.value("picket_faults_total", &[("hook", hook), ("fault", fault)], *count as f64);
    }
    text.metric("picket_sink_written_total", "counter", "Records that a sink took.");
    for sink in &status.sinks {
        text.value("picket_sink_written_total", &[("sink", &sink.name)], sink.written as f64);
    }
    text.metric("picket_sink_missed_total", "counter", "Records that a sink could not take.");
    for sink in &status.sinks {
        text.value("picket_sink_missed_total", &[("sink", &sink.name)], sink.missed as f64);
    }
    text.metric(
        "picket_violations_total",
        "counter",
        "Violations passed on since the daemon began.",
    );
    for ((policy, op, verdict), count) in &lock(&core.violations.0).counts {
        let labels = [("policy", policy.as_str()), ("op", op), ("verdict", verdict)];
        text.value("picket_violations_total", &labels, *count as f64);
    }
    programs(core, &mut text);
    text.0
}

/// What the kernel counts for each program, where `kernel.bpf_stats_enabled` is 1.
fn programs(core: &Core, text: &mut Text) {
    let found = core.engine().as_host().map(Host::runs).unwrap_or_default();
    text.metric("picket_program_seconds_total", "counter", "Time in the program of a hook.");
    for (hook, seconds, _) in &found {
        text.value("picket_program_seconds_total", &[("hook", hook)], *seconds);
    }
    text.metric("picket_program_runs_total", "counter", "Runs of the program of a hook.");
    for (hook, _, runs) in &found {
        text.value("picket_program_runs_total", &[("hook", hook)], *runs as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_labels_is_bounded() {
        let violations = Violations::default();
        for number in 0..1000 {
            violations.count(&format!("p{number}"), "file_open", "deny");
        }
        let counts = &lock(&violations.0).counts;
        assert_eq!(counts.len(), POLICIES_MAX + 1);
        assert_eq!(counts.values().sum::<u64>(), 1000);
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.value("m", &[("a", "x\"y\\z\n"), ("b", "")], 1.0);
        assert_eq!(text.0, "m{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1\n");
    }
}
