//! `picket tail`: the stream of events.

mod show;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use sensor_ebpf::hook::Hook;
use sensor_ebpf::rights::Rights;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::asking::{self, Daemon};
use crate::api::client::{Client, ClientError, Events};
use crate::api::types::EventQuery;
use crate::policy::suggest;
use show::Show;

/// Lines that are shown where nothing else is said.
const LAST: usize = 20;
/// How often a daemon that has gone away is looked for.
const AGAIN: Duration = Duration::from_millis(300);

/// Show violations and what else the daemon says: the last 20 lines, or more.
///
/// Users other than root see what is about agents that they started. With -f it goes on over restarts
/// of the daemon, without losing or repeating what the daemon's log holds. Where it could not keep
/// up, a line says how many others it missed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on as things happen.
    #[arg(long, short)]
    follow: bool,
    /// Show the last N lines; 0 shows only what comes. With --since, all unless given.
    #[arg(short = 'n', value_name = "N")]
    last: Option<usize>,
    /// Only of the agent with this name or id.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only under the policy with this name.
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// Only of this hook (`file_open`), or where this right was asked for (`read`).
    #[arg(long, value_name = "OP", value_parser = op)]
    op: Option<String>,
    /// Only with this verdict.
    #[arg(long, value_parser = ["deny", "audit", "ask"])]
    verdict: Option<String>,
    /// Only since then: a time (2026-05-17T10:00:00Z) or how long ago (10m, 2h, 1day).
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<SystemTime>,
    /// Print the lines as they are: one JSON object each (docs/events.md).
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

fn op(text: &str) -> Result<String, String> {
    let rights: Vec<&str> = Rights(u32::MAX).names().collect();
    let names = || Hook::ALL.iter().map(|(_, name)| *name).chain(rights.iter().copied());
    if names().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(suggest::suggest(text, names()).unwrap_or_else(|| {
        format!("it is no hook, and no right; the rights are {}", rights.join(", "))
    }))
}

fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH));
    }
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "write a time like 2026-05-17T10:00:00Z, or how long ago like 10m".to_owned())
}

impl Args {
    fn query(&self) -> EventQuery {
        let since = self.since.map(|since| {
            since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
        });
        EventQuery {
            follow: self.follow,
            agent: self.agent.clone(),
            policy: self.policy.clone(),
            op: self.op.clone(),
            verdict: self.verdict.clone(),
            since,
            last: self.last.or_else(|| self.since.is_none().then_some(LAST)),
            after: None,
            new: self.last == Some(0),
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.daemon.client();
    let show = Show::new(args.json);
    asking::wait(async {
        let mut tail = Tail { client, query: args.query(), show };
        tokio::select! {
            done = tail.run() => done.map(|()| ExitCode::SUCCESS),
            gone = nobody_reads() => Err(gone.into()),
            // As the shell would say it of a program that the signal ended.
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                Ok(ExitCode::from(128 + libc::SIGINT as u8))
            }
        }
    })
}

/// Waits until nobody reads standard output any more: in `picket tail -f | head -1` no other line may come
/// for hours.
async fn nobody_reads() -> io::Error {
    // SAFETY: nothing in this process closes standard output while it is registered.
    let out = unsafe { AsyncFd::register_with_interest(io::stdout(), Interest::ERROR) };
    let Ok(out) = out else {
        // A file, which is there for ever.
        return std::future::pending().await;
    };
    match out.ready(Interest::ERROR).await {
        Ok(_) => io::ErrorKind::BrokenPipe.into(),
        Err(error) => error,
    }
}

struct Tail {
    client: Client,
    query: EventQuery,
    show: Show,
}

impl Tail {
    async fn run(&mut self) -> anyhow::Result<()> {
        let mut events = self.client.events(&self.query).await?;
        loop {
            self.note(events.last);
            let ended = self.read(&mut events).await?;
            if !self.query.follow {
                return match ended {
                    None => Ok(()),
                    Some(error) => bail!("the daemon went away: {error}"),
                };
            }
            let mut err = anstream::stderr();
            let _ = writeln!(err, "picket: the daemon is gone; waiting for another");
            events = self.again().await?;
            let _ = writeln!(err, "picket: a daemon is there again");
        }
    }

    /// What is to be asked for after this connection: what comes after what it was given.
    fn note(&mut self, last: Option<u64>) {
        self.query.after = self.query.after.or(last);
        self.query.last = None;
        self.query.new = false;
    }

    /// Shows lines until the stream ends, and why it did.
    async fn read(&mut self, events: &mut Events) -> anyhow::Result<Option<io::Error>> {
        loop {
            match events.next_line().await {
                Ok(Some(line)) => {
                    if let Some(n) = self.show.line(&line)? {
                        self.query.after = self.query.after.max(Some(n));
                    }
                }
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            }
        }
    }

    /// Waits for a daemon.
    async fn again(&self) -> anyhow::Result<Events> {
        loop {
            tokio::time::sleep(AGAIN).await;
            match self.client.events(&self.query).await {
                Ok(events) => return Ok(events),
                Err(ClientError::NoDaemon { .. } | ClientError::Broken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::daemon::config::{FileSink, Limits, Sinks as SinksConfig};
    use crate::daemon::fake::{Fake, Room, Running};
    use crate::daemon::past::Past;
    use crate::daemon::sink::Sinks;
    use crate::event::json::Line;

    /// A daemon whose log is in a directory.
    fn daemon(room: &Path) -> Running {
        let log = room.join("events.jsonl");
        let limits = Limits::default();
        let past = Past::read(Some(&log), room, limits.backlog);
        let file = FileSink { path: log, ..FileSink::default() };
        let sinks = Sinks::open(&SinksConfig { file, ..SinksConfig::default() }).unwrap();
        Running::start(Fake::over(sinks, limits, past), &room.join("socket")).unwrap()
    }

    fn say(daemon: &Running, numbers: std::ops::Range<u32>) {
        for number in numbers {
            daemon.house.hub.publish(Line::notice(&format!("<{number}>"), None, None));
        }
    }

    #[derive(Clone, Default)]
    struct Shown(Arc<Mutex<Vec<u8>>>);

    impl Write for Shown {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shown {
        /// The numbers that were said, in order.
        fn numbers(&self) -> Vec<u32> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let number = |line: &str| line.split_once('<')?.1.split_once('>')?.0.parse().ok();
            text.lines().filter_map(number).collect()
        }

        fn wait_for(&self, count: usize) {
            for _ in 0..6000 {
                if self.numbers().len() >= count {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            panic!("only {:?}", self.numbers());
        }
    }

    #[test]
    fn over_restarts_nothing_is_lost_and_nothing_is_said_twice() {
        let room = Room::new("tail");
        let first = daemon(&room.0);
        say(&first, 0..30);
        let client = Client::new(Some(&first.socket));
        let query = EventQuery { follow: true, last: Some(10), ..EventQuery::default() };
        let shown = Shown::default();
        let out = shown.clone();
        let tail = std::thread::spawn(move || {
            let show = Show::to(Box::new(out), true);
            asking::wait(async {
                let mut tail = Tail { client, query, show };
                tokio::select! {
                    done = tail.run() => done,
                    () = tokio::time::sleep(Duration::from_secs(120)) => Ok(()),
                }
            })
        });
        shown.wait_for(10);
        say(&first, 30..40);
        shown.wait_for(20);
        // Gone without a word, as by kill -9; and what the next one does happens unseen.
        drop(first);
        let second = daemon(&room.0);
        say(&second, 40..50);
        drop(second);
        let third = daemon(&room.0);
        shown.wait_for(30);
        say(&third, 50..60);
        shown.wait_for(40);
        assert_eq!(shown.numbers(), (20..60).collect::<Vec<_>>());
        assert!(!tail.is_finished());
    }

    #[test]
    fn without_follow_it_ends_and_without_a_daemon_it_says_so() {
        let room = Room::new("tail-ends");
        let socket = room.0.join("socket");
        let shown = Shown::default();
        let run = |query: EventQuery| {
            let show = Show::to(Box::new(shown.clone()), false);
            let client = Client::new(Some(&socket));
            asking::wait(async { Tail { client, query, show }.run().await })
        };
        let error = run(EventQuery::default()).unwrap_err().to_string();
        assert!(error.contains("tail-ends") && error.contains("systemctl start picket"), "{error}");
        let daemon = daemon(&room.0);
        say(&daemon, 0..30);
        run(EventQuery { last: Some(3), ..EventQuery::default() }).unwrap();
        assert_eq!(shown.numbers(), [27, 28, 29]);
        let n = daemon.house.hub.range().1;
        run(EventQuery { after: Some(n - 1), ..EventQuery::default() }).unwrap();
        assert_eq!(shown.numbers(), [27, 28, 29, 29]);
    }

    #[test]
    fn operations_and_times_are_checked_before_anybody_is_asked() {
        assert_eq!(op("file_open").as_deref(), Ok("file_open"));
        assert_eq!(op("read").as_deref(), Ok("read"));
        assert_eq!(op("file_opne"), Err("did you mean `file_open`?".to_owned()));
        assert!(op("xyzzy").is_err_and(|error| error.contains("read")));
        assert!(since("10m").is_ok_and(|since| since < SystemTime::now()));
        assert!(since("2026-05-17T10:00:00Z").is_ok());
        assert!(since("yesterday").is_err());
    }
}
