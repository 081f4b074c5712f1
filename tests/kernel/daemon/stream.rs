//! The stream: what a violation's line says, that repeats and losses are counted exactly, and that
//! restarts leave nothing out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sensor_user::api::types::AgentId;
use sensor_user::event::json::Line;

use super::{PUBLIC, SECRET, reader, reads_public, say, setting};
use crate::support::child::Child;
use crate::support::daemon::{Daemon, Home, eventually};
use crate::support::place::Place;
use crate::support::sys::files::touch;
use crate::support::sys::{EACCES, Res};

/// The lines of the log, the files put aside first.
fn lines(home: &Home) -> Vec<Line<'static>> {
    let log = home.log();
    let mut files: Vec<PathBuf> = (1..100)
        .map(|number| PathBuf::from(format!("{}.{number}", log.display())))
        .take_while(|file| file.exists())
        .collect();
    files.reverse();
    files.push(log);
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| {
            let line = |line: &str| Line::parse(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            text.lines().map(line).collect::<Vec<_>>()
        })
        .collect()
}

/// What the log says of an agent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    said: u64,
    repeats: u64,
    lost: u64,
}

impl Account {
    fn all(&self) -> u64 {
        self.said + self.repeats + self.lost
    }
}

fn accounts(home: &Home) -> BTreeMap<String, Account> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for line in lines(home) {
        let Some(id) = line.subject().map(|subject| subject.agent_id.to_string()) else {
            // A line that is missing would spoil the account.
            assert!(!matches!(line, Line::Gap(_)), "{line:?}");
            continue;
        };
        let account = accounts.entry(id).or_default();
        match line {
            Line::Violation(_) => account.said += 1,
            Line::Repeat(repeat) => account.repeats += repeat.repeats,
            Line::Loss(loss) => account.lost += loss.lost,
            Line::Gap(_) | Line::Notice(_) => {}
        }
    }
    accounts
}

/// Waits until the log accounts for so many violations of an agent.
fn wait_for(home: &Home, id: AgentId, all: u64) -> Account {
    eventually("everything is accounted for", || {
        let account = accounts(home).remove(&id.to_string())?;
        assert!(account.all() <= all, "{account:?} of {all}");
        (account.all() == all).then_some(account)
    })
}

#[test]
fn a_line_says_who_did_what_under_which_rule() {
    let place = Place::on_disk("stream_line");
    let home = Home::new("stream-line");
    let policy = format!(
        "{}\n  - deny: [read]\n    paths: ['{}/secret']\n    reason: it is one",
        reads_public(&place),
        place.path().display()
    );
    let file = home.policy("reader", &policy);
    let daemon = home.start();
    let mut child = reader(&home, &place);
    let id = daemon.agent("reader");
    assert_eq!(child.try_to(SECRET), Ok(()), "not yet");
    daemon.enter(id, &child);
    assert_eq!(child.try_to(SECRET), Err(EACCES));
    assert_eq!(child.try_to(PUBLIC), Ok(()));
    let violation = eventually("the violation is said", || {
        lines(&home).into_iter().find_map(|line| match line {
            Line::Violation(violation) if violation.of.agent_id == id.to_string() => {
                Some(violation)
            }
            _ => None,
        })
    });
    let v = &*violation;
    assert_eq!(
        (v.of.agent.as_ref(), v.of.policy.as_ref(), v.of.owner),
        ("reader", "reader", Some(0))
    );
    assert_eq!((v.seq, v.lost, v.op.as_ref(), v.verdict.as_ref()), (0, 0, "file_open", "deny"));
    assert_eq!(v.subject.as_deref(), place.file("secret").to_str());
    assert_eq!(v.errno.as_deref(), Some("EACCES"));
    let rule = v.rule.as_ref().unwrap();
    assert_eq!(
        (rule.file.as_ref(), rule.reason.as_deref()),
        (file.to_str().unwrap(), Some("it is one"))
    );
    assert_eq!(rule.line, 10, "of the path in it");
    let own = std::process::id();
    assert_eq!((v.pid, v.ppid, v.uid), (child.pid().cast_unsigned(), own, 0));
    let exe = std::env::current_exe().unwrap();
    assert_eq!(v.process.exe.as_deref(), exe.to_str());
    assert!(v.process.argv.as_ref().is_some_and(|argv| !argv.is_empty()), "{:?}", v.process);
    let cwd = std::env::current_dir().unwrap();
    assert_eq!(v.process.cwd.as_deref(), cwd.to_str());
    assert!(v.process.ancestry.is_empty(), "its parent is not of the agent");
    assert!(v.process.cgroup_path.as_ref().is_some_and(|path| path.starts_with('/')));
    assert!(!v.process.gone && v.start > 0 && v.cgroup > 0);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(v.head.boot, boot.trim());
    assert!(v.head.n.is_some_and(|n| n > 0));
}

/// A process that tries to read the secret so many times, in thousands; how many were refused.
fn hammer(home: &Home, place: &Place) -> Child {
    let secret = place.file("secret");
    home.child(move |thousands| -> Res<i64> {
        let all = u64::from(thousands) * 1000;
        Ok((0..all).filter(|_| touch(&secret, 0) == Err(EACCES)).count() as i64)
    })
}

#[test]
fn violations_from_eight_agents_at_full_speed_are_accounted_for_exactly() {
    let thousands = setting("PICKET_VIOLATIONS", 1_000_000) as u32 / 8000;
    let place = Place::on_disk("stream_flood");
    let home = Home::new("stream-flood");
    home.policy("reader", &reads_public(&place));
    let daemon = home.start();
    let begun = Instant::now();
    let mut agents: Vec<(AgentId, Child)> = (0..8)
        .map(|_| {
            let child = hammer(&home, &place);
            let id = daemon.agent("reader");
            daemon.enter(id, &child);
            (id, child)
        })
        .collect();
    agents.iter_mut().for_each(|(_, child)| child.begin(thousands));
    let all = u64::from(thousands) * 1000;
    for (_, child) in &mut agents {
        assert_eq!(child.end(), Ok(all as i64), "each is refused, whatever becomes of its event");
    }
    let took = begun.elapsed();
    let (mut total, ids) = (Account::default(), agents.iter().map(|(id, _)| *id));
    for id in ids {
        let account = wait_for(&home, id, all);
        total.said += account.said;
        total.repeats += account.repeats;
        total.lost += account.lost;
    }
    let rate = total.all() as f64 / took.as_secs_f64();
    say(&format!("8 agents: {total:?} in {took:.1?}, {rate:.0} a second"));
    for agent in daemon.agents() {
        assert_eq!((agent.events, agent.name.as_str()), (all, "reader"));
    }
}

#[test]
fn a_daemon_that_is_killed_while_it_counts_leaves_nothing_out() {
    let place = Place::on_disk("stream_killed");
    let home = Home::new("stream-killed");
    home.configure("events.repeats = \"20s\"");
    home.policy("reader", &reads_public(&place));
    let mut daemon = Some(home.start());
    let mut child = hammer(&home, &place);
    let id = daemon.as_ref().map(|daemon| daemon.agent("reader")).unwrap();
    daemon.as_ref().map(|daemon| daemon.enter(id, &child)).unwrap();
    let rounds = 3;
    for _ in 0..rounds {
        child.begin(1);
        std::thread::sleep(Duration::from_millis(200));
        daemon.take().map(Daemon::kill).unwrap();
        assert_eq!(child.end(), Ok(1000));
        daemon = Some(home.start());
    }
    assert_eq!(child.run(1), Ok(1000));
    // A daemon that is told to stop says everything before it goes.
    assert!(daemon.take().map(Daemon::stop).unwrap().success());
    let daemon = home.start();
    let account = wait_for(&home, id, (rounds + 1) * 1000);
    println!("{account:?}");
    assert!(account.repeats > 0, "{account:?}");
    let numbers: Vec<u64> = lines(&home).iter().filter_map(|line| line.head().n).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "numbers go up over restarts");
    drop(daemon);
}
