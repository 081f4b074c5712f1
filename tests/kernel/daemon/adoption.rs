//! What a daemon looks at when it adopts. No time is judged: system calls are counted.

use std::fs;

use super::{reader, reads_public};
use crate::support::child::Child;
use crate::support::daemon::{Home, eventually};
use crate::support::place::Place;

/// Starts a daemon over what there is, and stops it: how often it asked the kernel for a map by its id,
/// which it does before it reads a table.
fn maps_looked_at(home: &Home, agents: usize) -> usize {
    let trace = home.state().join("trace");
    let _ = fs::remove_file(&trace);
    let to = trace.to_str().unwrap();
    // Beside the daemon and not above it, so that signals find the daemon.
    let strace = ["strace", "-D", "-f", "--seccomp-bpf", "-e", "trace=bpf", "-o", to];
    let daemon = home.start_under(&strace);
    assert_eq!(daemon.status().arrival, "adopted");
    assert_eq!(daemon.agents().len(), agents);
    let main = daemon.pid();
    assert!(daemon.stop().success());
    let text = eventually("the trace is whole", || {
        let text = fs::read_to_string(&trace).unwrap_or_default();
        let last = |line: &str| {
            line.split_whitespace().next() == Some(&main.to_string()) && line.contains("+++ exited")
        };
        text.lines().any(last).then_some(text)
    });
    let count = text.matches("bpf(BPF_MAP_GET_FD_BY_ID").count();
    assert!(count > 0, "nothing was seen: {} lines", text.lines().count());
    count
}

#[test]
fn a_table_is_read_once_for_all_agents_that_are_adopted_under_it() {
    let place = Place::on_disk("daemon_adoption");
    let home = Home::new("adoption");
    home.policy("reader", &reads_public(&place));
    let mut children: Vec<Child> = Vec::new();
    let mut more = |to: usize| {
        let daemon = home.start();
        while children.len() < to {
            let child = reader(&home, &place);
            daemon.enter(daemon.agent("reader"), &child);
            children.push(child);
        }
        assert!(daemon.stop().success());
        maps_looked_at(&home, to)
    };
    let (one, many) = (more(1), more(17));
    assert_eq!(many, one, "for each of 16 more agents there is something more to look at");
}
