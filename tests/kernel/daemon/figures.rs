//! What the daemon takes: time and memory, and how much goes through it. Nothing is judged here, so
//! these are left out unless asked for (`--open`; `--release` for the program as it is released).
//! `docs/daemon.md` has the figures.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use aya::maps::loaded_maps;
use aya::programs::loaded_programs;
use hyper::Method;
use sensor_user::api::types::{NewProcess, Reloaded};
use sensor_user::kernel::{adopt, pins};
use serde_json::json;

use super::{reads_public, say};
use crate::support::child::Child;
use crate::support::daemon::{Daemon, Home};
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res, process};

/// Reloads for each number of agents: the second longest of them is the 99th percentile.
const RELOADS: usize = 120;
/// Starts over a kernel side that is there.
const STARTS: usize = 10;

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

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The smallest value that so many percent of all do not exceed.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent).div_ceil(100) - 1]
}

/// What the kernel says that a map takes.
fn memory(map: &aya::maps::MapInfo) -> u64 {
    let fd = map.fd().unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))
        .unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
    line.map_or(0, |line| line.trim().parse::<u64>().unwrap())
}

/// Starts a daemon; how long it took until it said that it enforces.
fn start(home: &Home) -> (Daemon, Duration) {
    let begun = Instant::now();
    let daemon = home.start();
    assert!(daemon.status().enforcing);
    (daemon, begun.elapsed())
}

/// Starts a daemon again and again; the last one, with the median and the longest time.
fn start_over(home: &Home, mut daemon: Daemon) -> (Daemon, Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        daemon.kill();
        let (next, took) = start(home);
        assert_eq!(next.status().arrival, "adopted");
        (daemon, _) = (next, times.push(took));
    }
    (daemon, percentile(&mut times, 50), percentile(&mut times, 100))
}

/// Memory of the kernel side, as the kernel counts it.
fn kernel_memory(home: &Home, daemon: &Daemon) {
    let status = daemon.status();
    let programs = adopt::programs(&pins::links(home.pins(), status.generation));
    let ours = |info: &aya::programs::ProgramInfo| programs.contains(&info.id());
    let (mut jitted, mut locked) = (0, 0);
    for info in loaded_programs().flatten().filter(ours) {
        jitted += u64::from(info.size_jitted());
        locked += u64::from(info.memory_locked().unwrap());
    }
    say(&format!(
        "kernel, fixed: {:.2} MiB in maps; {} programs of {:.2} MiB machine code, {:.2} MiB with what they \
         were made from",
        mib(status.map_memory),
        programs.len(),
        mib(jitted),
        mib(locked + jitted),
    ));
    for map in loaded_maps().flatten() {
        let name = map.name_as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "policy" => say(&format!("kernel, a policy's table: {} bytes", memory(&map))),
            "TAGS" | "SCRATCH" | "SCRATCH_PEER" => {
                say(&format!("kernel, {name}, a task: {} bytes", map.value_size()));
            }
            _ => {}
        }
    }
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
    let (daemon, took) = start(&home);
    say(&format!("from nothing to enforcing: {took:.2?}"));
    say(&format!("after that: {:.1} MiB resident", mib(daemon.status().rss)));
    let (daemon, median, most) = start_over(&home, daemon);
    say(&format!("from adopting to enforcing: {median:.2?} (median), {most:.2?} (most)"));
    say(&format!("idle: {:.1} MiB resident", mib(daemon.status().rss)));
    let mut idle = Idle(Vec::new());
    let mut round = 0;
    for agents in [1, 100, 1000] {
        while idle.0.len() < agents {
            let id = daemon.agent("reader");
            let new = NewProcess { pid: idle.start().cast_unsigned() };
            let path = format!("/v1/agents/{id}/processes");
            daemon.act(Method::POST, &path, Some(&new)).unwrap();
        }
        if agents == 1 {
            kernel_memory(&home, &daemon);
        }
        let mut times: Vec<Duration> = (0..RELOADS)
            .map(|_| {
                round += 1;
                home.policy("reader", &text(round));
                let begun = Instant::now();
                let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
                assert!(done.problems.is_empty(), "{done:?}");
                begun.elapsed()
            })
            .collect();
        let status = daemon.status();
        say(&format!(
            "{agents} agents: a reload takes {:.1?} (median), {:.1?} (p99), {:.1?} (most); {:.1} MiB resident; \
             {} tables, {:.1} MiB; {:.2} MiB in maps",
            percentile(&mut times, 50),
            percentile(&mut times, 99),
            percentile(&mut times, 100),
            mib(status.rss),
            status.tables.0,
            mib(status.table_memory),
            mib(status.map_memory),
        ));
    }
    let (daemon, median, most) = start_over(&home, daemon);
    say(&format!("adopting 1000 agents: {median:.2?} (median), {most:.2?} (most)"));
    assert_eq!(daemon.agents().len(), 1000);
}

/// A process that does the forbidden for so many seconds; how often it did.
fn violator(home: &Home, place: &Place) -> Child {
    let secret = place.file("secret");
    home.child(move |seconds| -> Res<i64> {
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < Duration::from_secs(seconds.into()) {
            for _ in 0..16 {
                assert_eq!(touch(&secret, 0), Err(EACCES));
                count += 1;
            }
        }
        Ok(count)
    })
}

/// Lines between two places of a file.
fn lines_between(mut file: &File, from: u64, to: u64) -> usize {
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut bytes = Vec::new();
    file.take(to - from).read_to_end(&mut bytes).unwrap();
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
#[ignore = "measures, and judges nothing"]
fn how_many_events_go_through_to_the_file() {
    const WINDOW: u32 = 10;
    let place = Place::on_disk("daemon_throughput");
    for (repeats, agents) in [("0s", 1), ("0s", 2), ("0s", 8), ("1s", 8)] {
        let home = Home::new("throughput");
        // Each violation has a line of its own where none is a repeat.
        home.configure(&format!("events.repeats = {repeats:?}\nsinks.file.max_size = \"4GiB\""));
        home.policy("reader", &reads_public(&place));
        let daemon = home.start();
        let mut children: Vec<Child> = (0..agents).map(|_| violator(&home, &place)).collect();
        for child in &children {
            daemon.enter(daemon.agent("reader"), child);
        }
        let log = File::open(home.log()).unwrap();
        children.iter_mut().for_each(|child| child.begin(WINDOW + 4));
        std::thread::sleep(Duration::from_secs(2));
        let said = |daemon: &Daemon| daemon.agents().iter().map(|a| a.events).sum::<u64>();
        let (begun, from, first) = (Instant::now(), log.metadata().unwrap().len(), said(&daemon));
        std::thread::sleep(Duration::from_secs(WINDOW.into()));
        let (took, to, last) = (begun.elapsed(), log.metadata().unwrap().len(), said(&daemon));
        let tried: i64 = children.iter_mut().map(|child| child.end().unwrap()).sum();
        let lost: u64 = daemon.agents().iter().map(|agent| agent.lost).sum();
        let rate = |count: f64| count / took.as_secs_f64();
        let lines = lines_between(&log, from, to);
        say(&format!(
            "{agents} agents, repeats {repeats}: {:.0} lines a second in the file ({lines} in {took:.1?}, {} \
             bytes each); {:.0} violations a second were made in this time; of {tried} in all {lost} found \
             no room in the ring",
            rate(lines as f64),
            (to - from) / lines.max(1) as u64,
            rate((last - first) as f64),
        ));
    }
}
