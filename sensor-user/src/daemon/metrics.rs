//! Metrics in the text format of Prometheus. Labels are names of hooks, verdicts, faults, sinks, maps,
//! policies and agents, and of each there is a bounded number, whatever agents do. No label is an
//! agent's id, a path or a pid.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::Mutex;

use super::core::{Core, lock};
use super::manage;
use super::peer::Peer;
use crate::kernel::adopt::Host;

/// What the text is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names of agents, and of policies, that are told apart; the rest is `other`.
const NAMES_MAX: usize = 128;
/// Combinations that are told apart, beside those of `other`.
const SERIES_MAX: usize = 2048;
/// What stands for whatever is told apart no more.
const OTHER: &str = "other";

/// Violations so far, by agent's name, policy, hook and verdict.
#[derive(Debug, Default)]
pub struct Violations(Mutex<Counts>);

type Series = (String, String, &'static str, &'static str);

#[derive(Debug, Default)]
struct Counts {
    agents: HashSet<String>,
    policies: HashSet<String>,
    counts: BTreeMap<Series, u64>,
}

impl Violations {
    /// Counts one.
    pub fn count(&self, agent: &str, policy: &str, op: &'static str, verdict: &'static str) {
        let Counts { agents, policies, counts } = &mut *lock(&self.0);
        let (agent, policy) = (bounded(agents, agent), bounded(policies, policy));
        let series = (agent.to_owned(), policy.to_owned(), op, verdict);
        let room = counts.len() < SERIES_MAX || counts.contains_key(&series);
        // Of those without room there are as many as hooks and verdicts, at most.
        let series = if room { series } else { (OTHER.to_owned(), OTHER.to_owned(), op, verdict) };
        *counts.entry(series).or_default() += 1;
    }
}

/// A name, if there are not too many others.
fn bounded<'n>(known: &mut HashSet<String>, name: &'n str) -> &'n str {
    if known.contains(name) {
        return name;
    }
    if known.len() < NAMES_MAX {
        known.insert(name.to_owned());
        return name;
    }
    OTHER
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
        "Whether the last canary was refused everything and every hook is armed.",
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
    text.metric("picket_sink_waiting", "gauge", "Records that wait before a sink.");
    for sink in &status.sinks {
        text.value("picket_sink_waiting", &[("sink", &sink.name)], sink.waiting as f64);
    }
    if let Some((used, size)) = status.ring {
        let help = "Bytes of the event ring that are in use.";
        text.single("picket_ring_used_bytes", "gauge", help, used as f64);
        text.single("picket_ring_bytes", "gauge", "Bytes of the event ring.", size as f64);
    }
    maps(core, &mut text);
    text.metric(
        "picket_violations_total",
        "counter",
        "Violations passed on since the daemon began.",
    );
    for ((agent, policy, op, verdict), count) in &lock(&core.violations.0).counts {
        let labels =
            [("agent", agent.as_str()), ("policy", policy), ("op", op), ("verdict", verdict)];
        text.value("picket_violations_total", &labels, *count as f64);
    }
    programs(core, &mut text);
    text.0
}

/// What the kernel says that its maps take.
fn maps(core: &Core, text: &mut Text) {
    let found = core.engine().as_host().map(Host::map_memory).unwrap_or_default();
    text.metric("picket_map_bytes", "gauge", "Kernel memory of a map, but of policy tables.");
    for (map, bytes) in &found {
        text.value("picket_map_bytes", &[("map", map)], *bytes as f64);
    }
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
        for number in 0..10_000 {
            let (agent, policy) = (format!("a{number}"), format!("p{}", number % 1000));
            violations.count(&agent, &policy, "file_open", "deny");
            violations.count("a1", &policy, ["bpf", "file_open"][number % 2], "audit");
        }
        let counts = &lock(&violations.0).counts;
        assert!(counts.len() <= SERIES_MAX + 4, "{}", counts.len());
        assert_eq!(counts.values().sum::<u64>(), 20_000);
        let first = ("a0".to_owned(), "p0".to_owned(), "file_open", "deny");
        assert_eq!(counts.get(&first), Some(&1));
    }

    #[test]
    fn what_a_person_is_asked_is_counted_apart_from_what_is_refused() {
        let violations = Violations::default();
        for verdict in ["ask", "deny", "ask", "audit"] {
            violations.count("a", "p", "file_open", verdict);
        }
        let counts = &lock(&violations.0).counts;
        let of = |verdict| counts[&("a".to_owned(), "p".to_owned(), "file_open", verdict)];
        assert_eq!((of("ask"), of("deny"), of("audit")), (2, 1, 1));
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.value("m", &[("a", "x\"y\\z\n"), ("b", "")], 1.0);
        assert_eq!(text.0, "m{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1\n");
    }
}
