//! What the daemon takes: time and memory. Nothing is judged here, so these are left out unless
//! asked for (`--open`).

use std::fs;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use hyper::Method;
use sensor_user::api::types::{NewProcess, Reloaded};
use sensor_user::kernel::sys;
use serde_json::json;

use super::reads_public;
use crate::support::daemon::Home;
use crate::support::place::Place;
use crate::support::sys::process;

/// Processes that do nothing, ended with this.
struct Idle(Vec<i32>);

impl Idle {
    fn start(&mut self) -> i32 {
        match process::fork().unwrap() {
            None => loop {
                // SAFETY: takes nothing; returns after a signal.
                unsafe { libc::pause() };
            },
            Some(pid) => {
                self.0.push(pid);
                pid
            }
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = process::kill(*pid, libc::SIGKILL);
            let _ = process::wait(*pid);
        }
    }
}

/// Bytes that the kernel takes for what is pinned in a directory, without policies' tables.
fn pinned(home: &Home) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(home.pins()).unwrap() {
        let at = entry.unwrap().path();
        if at.is_dir() {
            continue;
        }
        let map = sys::open_pin(&at).unwrap();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        bytes += line.map_or(0, |line| line.trim().parse::<u64>().unwrap());
    }
    bytes
}

#[test]
#[ignore = "measures, and judges nothing"]
fn what_the_daemon_takes() {
    let place = Place::on_disk("daemon_figures");
    let home = Home::apart("figures");
    let text = |round: usize| {
        format!("{}\n  - allow: [read]\n    paths: ['/nowhere/{round}']", reads_public(&place))
    };
    home.policy("reader", &text(0));
    let begun = Instant::now();
    let daemon = home.start();
    assert!(daemon.status().enforcing);
    eprintln!("from nothing to enforcing: {:?}", begun.elapsed());
    daemon.kill();
    let begun = Instant::now();
    let daemon = home.start();
    assert!(daemon.status().enforcing);
    eprintln!("from adopting to enforcing: {:?}", begun.elapsed());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    eprintln!("idle: {:.1} MiB resident", mib(daemon.status().rss));
    eprintln!("kernel, fixed: {:.1} MiB in maps", mib(pinned(&home)));
    let mut idle = Idle(Vec::new());
    let mut round = 0;
    for agents in [1, 100, 1000] {
        while idle.0.len() < agents {
            let id = daemon.agent("reader");
            let new = NewProcess { pid: idle.start().cast_unsigned() };
            let path = format!("/v1/agents/{id}/processes");
            daemon.act(Method::POST, &path, Some(&new)).unwrap();
        }
        let mut times: Vec<Duration> = (0..30)
            .map(|_| {
                round += 1;
                home.policy("reader", &text(round));
                let begun = Instant::now();
                let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
                assert!(done.problems.is_empty(), "{done:?}");
                begun.elapsed()
            })
            .collect();
        times.sort();
        let status = daemon.status();
        eprintln!(
            "{agents} agents: a reload takes {:?} (median), {:?} (most); {:.1} MiB resident; {} tables, {:.1} MiB",
            times[times.len() / 2],
            times[times.len() - 1],
            mib(status.rss),
            status.tables.0,
            mib(status.table_memory),
        );
    }
}
