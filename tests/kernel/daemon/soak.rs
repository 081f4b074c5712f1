//! A daemon at work for a long time, and what it takes meanwhile. `PICKET_SOAK` says for how many seconds
//! (`cargo xtask test --soak 1800`); a third of them is for whatever fills at first.

use std::fs;
use std::time::{Duration, Instant};

use aya::maps::loaded_maps;
use hyper::Method;
use sensor_user::api::types::Reloaded;
use serde_json::json;

use super::{reads_public, say, setting};
use crate::support::child::Child;
use crate::support::daemon::{Daemon, Home, eventually};
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res};

/// Between two rounds of what an agent does.
const PACE: Duration = Duration::from_millis(25);

/// An agent's process: reads what it may, is refused one of a hundred files that it may not, and rests.
fn worker(home: &Home, place: &Place) -> Child {
    let (public, base) = (place.at("public"), place.path().to_owned());
    home.child(move |seconds| -> Res<i64> {
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < Duration::from_secs(seconds.into()) {
            assert_eq!(touch(base.join(format!("secret{}", count % 100)), 0), Err(EACCES));
            assert_eq!(touch(&public, 0), Ok(()));
            count += 1;
            std::thread::sleep(PACE);
        }
        Ok(count)
    })
}

/// What is taken at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// Resident bytes of the daemon.
    rss: u64,
    /// Kernel memory of its maps and of the policies' tables.
    maps: u64,
    /// Maps in the kernel, whoever made them.
    count: u64,
    descriptors: u64,
    threads: u64,
}

impl Sample {
    fn of(daemon: &Daemon) -> Sample {
        let status = daemon.status();
        let entries = |what: &str| {
            fs::read_dir(format!("/proc/{}/{what}", daemon.pid())).unwrap().count() as u64
        };
        Sample {
            rss: status.rss,
            maps: status.map_memory + status.table_memory,
            count: loaded_maps().flatten().count() as u64,
            descriptors: entries("fd"),
            threads: entries("task"),
        }
    }

    /// The most of each.
    fn most(samples: &[Sample]) -> Sample {
        samples.iter().fold(Sample::default(), |most, sample| Sample {
            rss: most.rss.max(sample.rss),
            maps: most.maps.max(sample.maps),
            count: most.count.max(sample.count),
            descriptors: most.descriptors.max(sample.descriptors),
            threads: most.threads.max(sample.threads),
        })
    }
}

/// What may be resident in the last third above the first: which pages the allocator gives back depends on
/// who had them last, so two equal states differ by some. A leak of 20 bytes a violation is above it in half
/// an hour.
const MARGIN: u64 = 2 << 20;

/// Seconds from which the first third tells what the daemon takes: it grew for three minutes.
const SETTLED: usize = 600;

/// Maps, descriptors and threads that may be under way at one time and not at another: a table that the
/// kernel frees after its grace period, a connection, a thread of tokio's that waits to be used again.
const UNDER_WAY: u64 = 6;

#[test]
fn a_daemon_takes_no_more_after_a_long_time() {
    let seconds = setting("PICKET_SOAK", 30).max(30);
    let place = Place::on_disk("daemon_soak");
    place.file("public");
    (0..100).for_each(|number| drop(place.file(&format!("secret{number}"))));
    let home = Home::new("soak");
    // What is kept for `picket tail` is full within the first third.
    let files = "sinks.file.max_size = \"8MiB\"\nsinks.file.keep = 2";
    home.configure(&format!("limits.backlog = \"256KiB\"\n{files}"));
    let text = |round: usize| {
        format!("{}\n  - allow: [read]\n    paths: ['/nowhere/{round}']", reads_public(&place))
    };
    home.policy("reader", &text(0));
    let daemon = home.start();
    let begun = Instant::now();
    let mut workers: Vec<Child> = (0..4).map(|_| worker(&home, &place)).collect();
    for worker in &mut workers {
        daemon.enter(daemon.agent("reader"), worker);
        worker.begin(seconds as u32);
    }
    let apart = Duration::from_secs_f64((seconds as f64 / 30.0).min(60.0));
    let (mut samples, mut rounds, mut sampled) = (Vec::new(), 0, begun);
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        rounds += 1;
        home.policy("reader", &text(rounds));
        let done: Reloaded = daemon.call(Method::POST, "/v1/reload", &json!({})).unwrap();
        assert!(done.problems.is_empty(), "{done:?}");
        // One that comes and goes.
        let id = daemon.agent("reader");
        let mut guest = worker(&home, &place);
        daemon.enter(id, &guest);
        assert!(guest.run(1).is_ok_and(|count| count > 0));
        drop(guest);
        if sampled.elapsed() >= apart || samples.is_empty() {
            sampled = Instant::now();
            samples.push(Sample::of(&daemon));
            if seconds > 60 {
                say(&format!("after {:.0?}: {:?}", begun.elapsed(), samples.last().unwrap()));
            }
        }
    }
    let violations: i64 = workers.iter_mut().map(|worker| worker.end().unwrap()).sum();
    let third = samples.len() / 3;
    let (first, last) =
        (Sample::most(&samples[..third]), Sample::most(&samples[samples.len() - third..]));
    say(&format!(
        "{seconds} s, {rounds} reloads and agents that came and went, {violations} violations of the others; \
         at most {first:?} in the first third of {} samples, {last:?} in the last",
        samples.len()
    ));
    assert!(third > 2, "{samples:?}");
    // In a short run both thirds are of the time in which everything fills.
    if seconds >= SETTLED {
        assert!(last.rss <= first.rss + MARGIN, "{samples:#?}");
    }
    assert!(last.maps <= first.maps, "{samples:#?}");
    for (first, last) in [
        (first.count, last.count),
        (first.descriptors, last.descriptors),
        (first.threads, last.threads),
    ] {
        assert!(last <= first + UNDER_WAY, "{samples:#?}");
    }
    assert!(daemon.status().enforcing);
    eventually("only the others are left", || (daemon.agents().len() == 4).then_some(()));
}
